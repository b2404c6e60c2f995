"""Transforms of values, against torchvision where it is installed."""

import numpy as np
import pytest
from vision.pictures import alike, picture, torchvision

import scratchgan as sg
from scratchgan.vision import transforms


@pytest.mark.parametrize("numbers", [([0.5], [0.25]), ([0.1, 0.2, 0.3], [1.0, 2.0, 4.0])])
@pytest.mark.parametrize("shape", [(3, 2, 2), (5, 3, 2, 2)])
def test_normalize(numbers, shape):
    mean, std = numbers
    x = sg.rand(*shape)
    expected = (x.array - np.reshape(mean, (-1, 1, 1))) / np.reshape(std, (-1, 1, 1))
    before = x.array.copy()
    for given_as in (list, tuple, np.array, sg.tensor):
        y = transforms.Normalize(given_as(mean), given_as(std))(x)
        assert y.dtype == sg.float32
        np.testing.assert_allclose(y.array, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(x.array, before)
    assert transforms.Normalize(mean, std, inplace=True)(x) is x
    np.testing.assert_allclose(x.array, expected, rtol=1e-5, atol=1e-6)


def test_normalize_as_torchvision():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    theirs = torchvision("transforms")
    x = sg.rand(3, 5, 5)
    for numbers in (([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]), (0.5, 0.5), ([0.1], [0.3])):
        ours = transforms.Normalize(*numbers)
        alike(ours(x), theirs.Normalize(*numbers)(torch.from_numpy(x.array)))
        assert repr(ours) == repr(theirs.Normalize(*numbers))


def test_normalize_has_a_gradient():
    x = sg.rand(2, 1, 1, requires_grad=True)
    transforms.Normalize([1, 2], [2, 4])(x).sum().backward()
    assert x.grad.array.ravel().tolist() == [0.5, 0.25]


def test_what_normalize_refuses():
    with pytest.raises(ValueError, match=r"Normalize: std is .*; no number may be 0"):
        transforms.Normalize([0.5, 0.5], [1, 0])
    normalize = transforms.Normalize([0.5, 0.5], [1, 1])
    with pytest.raises(TypeError, match=r"Normalize: takes a tensor .* not uint8; .*ToTensor"):
        normalize(sg.zeros(2, 2, 2, dtype=sg.uint8))
    with pytest.raises(TypeError, match="not Image; put it behind"):
        normalize(picture())
    for shape in ((2, 2), (1, 2, 2), (3, 2, 2)):
        with pytest.raises(ValueError, match="Normalize: 2 means and 2 deviations are not for"):
            normalize(sg.zeros(*shape))


TYPES = ["uint8", "int32", "int64", "float32", "float64"]


@pytest.mark.parametrize("old", TYPES)
@pytest.mark.parametrize("new", TYPES)
def test_types_convert_as_in_torchvision(old, new):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    theirs = torchvision("transforms").ConvertImageDtype(getattr(torch, new))
    rng = np.random.default_rng(0)
    if old.startswith("float"):
        x = np.append(rng.random(50), [0, 1]).astype(old)
    else:
        x = rng.integers(0, np.iinfo(old).max, 50, old, endpoint=True)
    ours = transforms.ConvertImageDtype(new)
    try:
        expected = theirs(torch.from_numpy(x))
    except RuntimeError:
        with pytest.raises(RuntimeError, match=f"{old} does not hold all values of {new}"):
            ours(sg.tensor(x))
    else:
        alike(ours(sg.tensor(x)), expected)


def test_types_convert():
    convert = transforms.ConvertImageDtype
    assert convert(sg.float32)(sg.tensor([0, 51, 255], sg.uint8)).tolist() == [
        0,
        np.float32(0.2),
        1,
    ]
    assert convert(sg.uint8)(sg.tensor([0, 0.5, 0.999, 1])).tolist() == [0, 127, 255, 255]
    with pytest.raises(RuntimeError, match="float32 does not hold all values of int32"):
        convert(sg.int32)(sg.zeros(2))
    with pytest.raises(TypeError, match="ConvertImageDtype: takes a tensor, not Image"):
        convert(sg.float32)(picture())
    x = sg.zeros(2)
    assert convert(sg.float32)(x) is x


@pytest.mark.parametrize("channels", [1, 3])
def test_grey(channels):
    grey = transforms.Grayscale(channels)
    image = grey(picture("RGB"))
    assert image.mode == ("L" if channels == 1 else "RGB")
    expected = np.asarray(picture("RGB").convert("L"))
    np.testing.assert_array_equal(np.asarray(image).reshape(4, 6, -1)[..., -1], expected)

    x = sg.rand(2, 3, 4, 5)
    y = grey(x)
    assert y.shape == (2, channels, 4, 5)
    weighted = np.tensordot(x.array, [0.2989, 0.587, 0.114], axes=(1, 0))
    np.testing.assert_allclose(y.array[:, -1], weighted, rtol=1e-5)
    one = sg.rand(1, 2, 2)
    np.testing.assert_array_equal(grey(one).array[-1], one.array[0])
    assert grey(sg.zeros(3, 2, 2, dtype=sg.uint8)).dtype == sg.uint8


def test_what_grey_refuses():
    with pytest.raises(ValueError, match="Grayscale: num_output_channels is 2"):
        transforms.Grayscale(2)
    for given_to in (3, sg.zeros(2, 4, 4), sg.zeros(4, 4)):
        with pytest.raises(TypeError, match="Grayscale: takes a picture of Pillow or a tensor"):
            transforms.Grayscale()(given_to)
