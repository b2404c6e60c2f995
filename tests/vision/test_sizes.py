"""Transforms of sizes and places, against torchvision where it is installed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from vision.pictures import alike, picture, torchvision

import scratchgan as sg
from scratchgan import nn
from scratchgan.vision import transforms
from scratchgan.vision.transforms import InterpolationMode


@pytest.mark.parametrize(
    ("size", "max_size", "wanted"),
    [
        (8, None, (8, 12)),  # of 4 x 6: the shorter side is 8
        ([8], None, (8, 12)),
        ((3, 5), None, (3, 5)),
        (8, 9, (6, 9)),
        (3, None, (3, 4)),
    ],
)
def test_resize(size, max_size, wanted):
    for image, expected in ((picture(), wanted), (picture(height=6, width=4), wanted[::-1])):
        if isinstance(size, tuple):
            expected = wanted
        resized = transforms.Resize(size, max_size=max_size)(image)
        assert (resized.height, resized.width) == expected
        alike(resized, image.resize(expected[::-1], Image.Resampling.BILINEAR))


def test_what_has_the_size_stays():
    image, x = picture(), sg.zeros(3, 4, 6)
    for size in (4, (4, 6)):
        assert transforms.Resize(size)(image) is image
        assert transforms.Resize(size)(x) is x


@pytest.mark.parametrize("mode", InterpolationMode)
def test_resize_as_torchvision(mode):
    theirs = torchvision("transforms")
    for size in (3, 9, (5, 5)):
        ours = transforms.Resize(size, mode)
        other = theirs.Resize(size, theirs.InterpolationMode(mode.value))
        assert repr(ours) == repr(other)
        for kind in ("L", "RGB", "F"):
            alike(ours(picture(kind)), other(picture(kind)))


def test_resize_by_a_number_of_pillow():
    resized = transforms.Resize((2, 3), Image.Resampling.LANCZOS)(picture())
    alike(resized, picture().resize((3, 2), Image.Resampling.LANCZOS))


def test_what_resize_refuses():
    with pytest.raises(TypeError, match="Resize: size is a number or two, not float"):
        transforms.Resize(2.5)
    with pytest.raises(ValueError, match="Resize: size is a number or two, not 3"):
        transforms.Resize([1, 2, 3])
    for size, most in ((4, 4), ((4, 4), 9)):
        with pytest.raises(ValueError, match=f"Resize: max_size is {most}"):
            transforms.Resize(size, max_size=most)
    with pytest.raises(TypeError, match="Resize: interpolation is an InterpolationMode, not 'x'"):
        transforms.Resize(4, "x")
    with pytest.raises(TypeError, match=r"Resize: a tensor .* put Resize before ToTensor\(\)"):
        transforms.Resize(4)(sg.zeros(3, 5, 5))
    with pytest.raises(TypeError, match="Resize: takes a picture of Pillow or a tensor"):
        transforms.Resize(4)(np.zeros((4, 4)))


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9), st.integers(1, 9))
def test_the_middle_of_a_picture_and_of_a_tensor(height, width, rows, columns):
    image = picture(height=height, width=width)
    crop = transforms.CenterCrop((rows, columns))
    cropped = crop(image)
    assert (cropped.height, cropped.width) == (rows, columns)
    x = transforms.PILToTensor()(image)
    np.testing.assert_array_equal(crop(x).array, transforms.PILToTensor()(cropped).array)
    # What is seen of it is all, or begins as far from one side as it ends from the other.
    inner = np.asarray(cropped) if rows <= height and columns <= width else None
    if inner is not None:
        top, left = round((height - rows) / 2), round((width - columns) / 2)
        expected = np.asarray(image)[top : top + rows, left : left + columns]
        np.testing.assert_array_equal(inner, expected)


def test_the_middle_by_hand():
    x = sg.arange(12).reshape(1, 3, 4)
    assert transforms.CenterCrop(2)(x).tolist() == [[[1, 2], [5, 6]]]
    assert transforms.CenterCrop([1])(x).shape == (1, 1, 1)
    assert transforms.CenterCrop((5, 1))(x).tolist() == [[[0], [2], [6], [10], [0]]]
    # What cannot be halved goes behind.
    assert transforms.CenterCrop((4, 1))(x).tolist() == [[[2], [6], [10], [0]]]
    with pytest.raises(ValueError, match="CenterCrop: size is a number or two, not 3"):
        transforms.CenterCrop((1, 2, 3))
    with pytest.raises(TypeError, match="CenterCrop: takes a picture of Pillow or a tensor"):
        transforms.CenterCrop(2)(sg.zeros(3))


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9), st.integers(1, 9))
def test_the_middle_as_in_torchvision(height, width, rows, columns):
    theirs = torchvision("transforms").CenterCrop((rows, columns))
    image = picture(height=height, width=width)
    alike(transforms.CenterCrop((rows, columns))(image), theirs(image))


def test_mirror_images():
    image, x = picture(), sg.arange(4).reshape(1, 2, 2)
    mirrored = transforms.RandomHorizontalFlip(1.0)
    np.testing.assert_array_equal(np.asarray(mirrored(image)), np.asarray(image)[:, ::-1])
    assert mirrored(x).tolist() == [[[1, 0], [3, 2]]]
    assert transforms.RandomHorizontalFlip(0.0)(image) is image
    sg.manual_seed(0)
    flip = transforms.RandomHorizontalFlip()
    count = sum(flip(x) is not x for _ in range(400))
    assert 160 < count < 240  # 200 expected, 10 the deviation
    with pytest.raises(TypeError, match="RandomHorizontalFlip: takes"):
        flip(3)


def test_transforms_are_modules_where_torchvision_has_them():
    model = nn.Sequential(transforms.CenterCrop(2), transforms.Normalize([0.5], [0.5]))
    assert model(sg.ones(1, 4, 4)).tolist() == [[[1, 1], [1, 1]]]
    assert list(model.parameters()) == []
    theirs = {
        "ConvertImageDtype(sg.uint8)": transforms.ConvertImageDtype(sg.uint8),
        "CenterCrop(size=(2, 2))": transforms.CenterCrop(2),
        "RandomHorizontalFlip(p=0.5)": transforms.RandomHorizontalFlip(),
        "Grayscale(num_output_channels=3)": transforms.Grayscale(3),
        "ToPILImage(mode=HSV)": transforms.ToPILImage("HSV"),
        "ToPILImage()": transforms.ToPILImage(),
        "PILToTensor()": transforms.PILToTensor(),
    }
    assert [repr(made) for name, made in theirs.items() if "sg" not in name] == [
        name for name in theirs if "sg" not in name
    ]
