"""Transforms from pictures to tensors and back, against torchvision where it is installed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from vision.pictures import MODES, alike, picture, torchvision

import scratchgan as sg
from scratchgan.vision import transforms


def test_to_tensor():
    x = transforms.ToTensor()(picture("RGB"))
    assert x.shape == (3, 4, 6) and x.dtype == sg.float32 and x.array.flags.c_contiguous
    expected = np.asarray(picture("RGB")).transpose(2, 0, 1) / np.float32(255)
    np.testing.assert_array_equal(x.array, expected)
    numbers = np.ones((1, 2))
    transforms.ToTensor()(numbers).zero_()  # in memory of its own
    assert numbers.tolist() == [[1, 1]]

    (x,) = transforms.ToTensor()(np.array([[0, 51, 255]], np.uint8))
    assert x.tolist() == [[0, np.float32(0.2), 1]]
    assert transforms.ToTensor()(np.array([[2.5]])).dtype == sg.float64  # not scaled
    assert set(transforms.ToTensor()(picture("1")).array.ravel()) == {0, 1}
    sg.set_default_dtype(sg.float64)
    try:
        assert transforms.ToTensor()(picture()).dtype == sg.float64
    finally:
        sg.set_default_dtype(sg.float32)


@pytest.mark.parametrize("given", [3, "x", np.zeros(3), np.zeros((1, 1, 1, 1)), sg.zeros(1, 1)])
def test_what_is_no_picture(given):
    with pytest.raises(TypeError, match="ToTensor: takes a picture of Pillow or an array"):
        transforms.ToTensor()(given)
    with pytest.raises(TypeError, match="PILToTensor: takes a picture of Pillow, not"):
        transforms.PILToTensor()(given)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["ToTensor", "PILToTensor"])
def test_tensors_are_those_of_torchvision(name, mode):
    theirs = torchvision("transforms")
    image = picture(mode)
    alike(getattr(transforms, name)()(image), getattr(theirs, name)()(image))


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "I"])
def test_a_picture_there_and_back(mode):
    image = picture(mode)
    alike(transforms.ToPILImage()(transforms.PILToTensor()(image)), image)
    alike(transforms.ToPILImage()(np.asarray(image)), image)


def test_numbers_with_fractions_become_bytes_or_stay():
    x = sg.tensor([[0.0, 0.5, 1.0]])
    assert np.asarray(transforms.ToPILImage()(x)).tolist() == [[0, 127, 255]]
    kept = transforms.ToPILImage("F")(x)
    assert kept.mode == "F" and np.asarray(kept).tolist() == [[0, 0.5, 1]]


@given(st.integers(0, 255))
def test_a_byte_there_and_back(value):
    image = Image.new("L", (1, 1), value)
    alike(transforms.ToPILImage()(transforms.ToTensor()(image)), image)


@pytest.mark.parametrize(
    ("array", "mode"),
    [
        (np.full((2, 3), 7, np.uint8), None),
        (np.full((2, 3, 1), 7, np.uint8), "L"),
        (np.full((2, 3), 0.3, np.float32), None),
        (np.full((2, 3), 0.3, np.float32), "F"),
        (np.full((2, 3), 0.3, np.float64), None),
        (np.full((2, 3), -7, np.int32), None),
        (np.full((2, 3), 7, np.int16), None),
        (np.full((2, 3, 3), 9, np.uint8), "HSV"),
        (np.full((2, 3, 3), 0.5, np.float32), "YCbCr"),
        (np.full((2, 3, 4), 9, np.uint8), "CMYK"),
        (np.full((2, 3, 2), 9, np.uint8), None),
    ],
)
def test_pictures_are_those_of_torchvision(array, mode):
    theirs = torchvision("transforms").ToPILImage(mode)
    alike(transforms.ToPILImage(mode)(array), theirs(array))


def test_what_cannot_become_a_picture():
    to_picture = transforms.ToPILImage()
    with pytest.raises(TypeError, match=r"ToPILImage: takes .* not Tensor of shape \(3,\)"):
        to_picture(sg.zeros(3))
    with pytest.raises(TypeError, match=r"ToPILImage: takes .* not str"):
        to_picture("x")
    with pytest.raises(ValueError, match="ToPILImage: a picture has 1 to 4 channels, not 5"):
        to_picture(sg.zeros(5, 2, 2))
    with pytest.raises(TypeError, match="Pillow has no picture of 3 channels of int64; use uint8"):
        to_picture(np.zeros((2, 2, 3), np.int64))
    with pytest.raises(ValueError, match="the mode of 3 channels of uint8 is RGB or YCbCr or HSV"):
        transforms.ToPILImage("L")(sg.zeros(3, 2, 2))


def test_composition():
    double = transforms.Lambda(lambda x: 2 * x)
    both = transforms.Compose([double, transforms.ToTensor(), abs])
    assert transforms.Compose([double, abs])(-3) == 6
    assert repr(both) == "Compose(\n    Lambda()\n    ToTensor()\n    <built-in function abs>\n)"
    with pytest.raises(TypeError, match="Lambda: takes a function, not int"):
        transforms.Lambda(3)
