"""Data sets of images, transforms and grids, against torchvision where that is installed."""

import gzip
import io
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import scratchgan as sg
from scratchgan import nn
from scratchgan.data import MNIST, DataError
from scratchgan.utils.data import DataLoader
from scratchgan.vision import datasets, transforms
from scratchgan.vision.transforms import InterpolationMode
from scratchgan.vision.utils import make_grid, save_image

MODES = ["L", "RGB", "RGBA", "LA", "1", "I", "F", "I;16"]


def picture(mode="L", height=4, width=6, seed=0):
    rng = np.random.default_rng(seed)
    if mode == "1":
        return Image.fromarray(rng.integers(0, 256, (height, width), np.uint8)).convert("1")
    if mode == "I;16":
        pixels = rng.integers(0, 60_000, (height, width), np.uint16)
        return Image.frombytes(mode, (width, height), pixels.tobytes())
    if mode in "IF":
        numbers = rng.integers(0, 99_999, (height, width)).astype({"I": "i4", "F": "f4"}[mode])
        return Image.fromarray(numbers)
    channels = len(mode)
    pixels = rng.integers(0, 256, (height, width, channels), np.uint8)
    return Image.fromarray(pixels[..., 0] if channels == 1 else pixels)


def torchvision(part):
    """torchvision's module, or this test is skipped."""
    return pytest.importorskip(f"torchvision.{part}", reason="torchvision is not installed")


def alike(ours, theirs):
    """Whether two images are: pictures pixel for pixel, tensors bit for bit."""
    if isinstance(ours, Image.Image):
        assert (ours.mode, ours.size, ours.tobytes()) == (
            theirs.mode,
            theirs.size,
            theirs.tobytes(),
        )
        return
    assert isinstance(ours, sg.Tensor)
    assert ours.dtype == theirs.numpy().dtype
    np.testing.assert_array_equal(ours.array, theirs.numpy())


def read(file):
    with Image.open(file) as picture:
        picture.load()
        return picture


# --- Data sets ------------------------------------------------------------------------------


def test_the_digits():
    data = datasets.MNIST("no/such/folder", train=False, download=True)
    embedded = MNIST(train=False)
    assert len(data) == 10_000
    assert data.data.dtype == sg.uint8 and data.data.shape == (10_000, 28, 28)
    assert data.targets.dtype == sg.int64 and data.targets.shape == (10_000,)
    assert data.classes[::9] == ["0 - zero", "9 - nine"]
    assert data.class_to_idx["3 - three"] == 3
    for index in (0, 77, -1):
        image, label = data[index]
        assert isinstance(image, Image.Image) and image.mode == "L" and type(label) is int
        np.testing.assert_array_equal(np.asarray(image), embedded.images[index])
        assert label == embedded.labels[index]
    with pytest.raises(IndexError):
        data[10_000]
    assert not os.path.exists("no")


def test_the_training_part_is_the_default():
    data = datasets.MNIST("x")
    assert len(data) == 60_000
    assert [label for _, label in (data[i] for i in range(5))] == [5, 0, 4, 1, 9]
    assert repr(data).splitlines() == [
        "Dataset MNIST",
        "    Number of datapoints: 60000",
        "    Root location: x",
        "    Split: Train",
    ]


def test_a_picture_of_a_digit_can_be_drawn_on():
    data = datasets.MNIST("", train=False)
    image, _ = data[0]
    image.putpixel((0, 0), 77)
    assert data.data[0, 0, 0].item() == 0
    assert np.asarray(image)[0, 0] == 77


def test_programs_choose_some_digits():
    """By setting ``data`` and ``targets``, in which a list is as good."""
    data = datasets.MNIST("", train=False)
    chosen = (data.targets == 1).nonzero()[:, 0]
    data.data, data.targets = data.data[chosen], data.targets[chosen]
    assert len(data) == 1135 and data[7][1] == 1
    np.testing.assert_array_equal(np.asarray(data[0][0]), MNIST(train=False).images[2])
    data.targets = [8] * len(data)
    assert data[sg.tensor(7)][1] == 8
    data.data = data.data.transpose(1, 2)
    np.testing.assert_array_equal(np.asarray(data[0][0]), MNIST(train=False).images[2].T)


def test_batches_of_digits():
    transform = transforms.Compose(
        [transforms.Resize(28), transforms.ToTensor(), transforms.Normalize([0.5], [0.5])]
    )
    data = datasets.MNIST("", train=False, transform=transform, target_transform=lambda y: y + 0.5)
    x, y = next(iter(DataLoader(data, batch_size=64)))
    pixels = MNIST(train=False).images[:64, None]
    assert x.dtype == sg.float32 and y.dtype == sg.float64
    np.testing.assert_allclose(x.array, pixels / 127.5 - 1, atol=1e-6)
    np.testing.assert_array_equal(y.array, MNIST(train=False).labels[:64] + 0.5)


def write_idx(folder, name, array):
    head = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    (folder / name).write_bytes(gzip.compress(head + array.tobytes()))


@pytest.mark.parametrize("where", ["FashionMNIST/raw", "."])
def test_clothes(tmp_path, where):
    folder = tmp_path / where
    folder.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 256, (3, 28, 28), np.uint8)
    write_idx(folder, "t10k-images-idx3-ubyte.gz", pixels)
    write_idx(folder, "t10k-labels-idx1-ubyte.gz", np.array([9, 0, 3], np.uint8))

    data = datasets.FashionMNIST(str(tmp_path), train=False)
    assert [data.classes[label] for _, label in (data[i] for i in range(3))] == [
        *("Ankle boot", "T-shirt/top", "Dress"),
    ]
    np.testing.assert_array_equal(np.asarray(data[1][0]), pixels[1])
    with pytest.raises(DataError, match=r"holds no train-images-idx3-ubyte.*nothing is downloaded"):
        datasets.FashionMNIST(tmp_path, download=True)


def test_clothes_that_are_not_there(tmp_path):
    with pytest.raises(DataError) as caught:
        datasets.FashionMNIST(tmp_path / "x")
    assert str(caught.value).startswith(f"FashionMNIST: {tmp_path / 'x'}: cannot be read")
    assert str(tmp_path / "x" / "FashionMNIST" / "raw") in str(caught.value)


@pytest.fixture
def animals(tmp_path):
    """Five dogs, three of them deeper, and a cat; and files that are no pictures."""
    dogs = [("dog/c/b.png", 5), ("dog/b.png", 1), ("dog/a/z.PNG", 2)]
    for name, value in [*dogs, ("dog/d/b.png", 6), ("dog/a.jpg", 4), ("cat/x.bmp", 3)]:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (3, 2), value).save(path)
    (tmp_path / "dog" / "notes.txt").write_text("wuff")
    (tmp_path / "loose.png").write_bytes(b"")
    return tmp_path


def test_a_folder_of_pictures(animals):
    data = datasets.ImageFolder(str(animals))
    assert data.classes == ["cat", "dog"] and data.class_to_idx == {"cat": 0, "dog": 1}
    names = [os.path.relpath(path, animals) for path, _ in data.samples]
    assert names == ["cat/x.bmp", "dog/a.jpg", "dog/b.png", "dog/a/z.PNG", *names[4:]]
    assert names[4:] == ["dog/c/b.png", "dog/d/b.png"]
    assert data.targets == [0, 1, 1, 1, 1, 1] and data.imgs is data.samples and len(data) == 6
    image, target = data[3]
    assert image.mode == "RGB" and image.size == (3, 2) and target == 1
    assert image.getpixel((0, 0)) == (2, 2, 2)


def test_a_folder_of_pictures_is_that_of_torchvision(animals):
    theirs = torchvision("datasets").ImageFolder(str(animals))
    ours = datasets.ImageFolder(str(animals))
    assert (ours.samples, ours.classes, repr(ours)) == (
        theirs.samples,
        theirs.classes,
        repr(theirs),
    )
    alike(ours[3][0], theirs[3][0])


def test_a_folder_of_anything(animals):
    data = datasets.ImageFolder(
        animals,
        transform=str.upper,
        target_transform=lambda y: -y,
        loader=lambda path: Path(path).read_text(),
        is_valid_file=lambda path: path.endswith(".txt"),
        allow_empty=True,
    )
    assert len(data) == 1 and data[0] == ("WUFF", -1)


def test_folders_that_hold_no_pictures(animals):
    with pytest.raises(FileNotFoundError, match=r"ImageFolder: .*none is no folder"):
        datasets.ImageFolder(animals / "none")
    with pytest.raises(FileNotFoundError, match=r"ImageFolder: .*cat holds no folders"):
        datasets.ImageFolder(animals / "cat")
    (animals / "eel").mkdir()
    with pytest.raises(FileNotFoundError, match=r"eel holds no pictures \(.jpg, .*allow_empty"):
        datasets.ImageFolder(animals)
    assert datasets.ImageFolder(animals, allow_empty=True).classes == ["cat", "dog", "eel"]


def test_an_own_data_set():
    class Own(datasets.VisionDataset):
        def __len__(self):
            return 2

        def extra_repr(self):
            return "of mine"

    with pytest.raises(ValueError, match="Own: transforms changes an image and its target"):
        Own("x", transforms=max, transform=abs)
    assert Own("x", transforms=lambda image, target: (target, image)).transforms(1, 2) == (2, 1)
    assert Own(transform=lambda x: -x).transforms(1, 2) == (-1, 2)
    assert Own(target_transform=lambda x: -x).transforms(1, 2) == (1, -2)
    assert Own().transforms is None
    assert repr(Own("~/x", target_transform=transforms.ToTensor())).splitlines() == [
        "Dataset Own",
        "    Number of datapoints: 2",
        f"    Root location: {os.path.expanduser('~/x')}",
        "    of mine",
        "    StandardTransform",
        "    Target transform: ToTensor()",
    ]
    with pytest.raises(NotImplementedError, match="VisionDataset has no __len__"):
        len(datasets.VisionDataset())


def test_pillow_comes_when_first_used():
    code = "import sys; import scratchgan.vision; sys.exit(any('PIL' in m for m in sys.modules))"
    subprocess.run([sys.executable, "-c", code], check=True)


# --- From pictures to tensors, and back -------------------------------------------------------


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


# --- Values ---------------------------------------------------------------------------------


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


# --- Sizes ----------------------------------------------------------------------------------


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


# --- Grids ------------------------------------------------------------------------------------


@given(
    st.integers(2, 9), st.integers(1, 3), st.integers(1, 5), st.integers(0, 3), st.integers(1, 10)
)
def test_every_image_has_its_place(count, channels, size, padding, nrow):
    images = sg.rand(count, channels, size, size + 1) + 1
    grid = make_grid(images, nrow, padding, pad_value=0.5)
    columns, colours = min(nrow, count), 3 if channels == 1 else channels
    rows = -(-count // columns)
    height, width = size + padding, size + 1 + padding
    assert grid.shape == (colours, rows * height + padding, columns * width + padding)
    rest = grid.array.copy()
    for i, image in enumerate(images.array):
        top, left = i // columns * height + padding, i % columns * width + padding
        cell = rest[:, top : top + size, left : left + size + 1]
        np.testing.assert_array_equal(cell, np.broadcast_to(image, cell.shape))
        cell[:] = 0.5
    assert (rest == 0.5).all()


@pytest.mark.parametrize("shape", [(5, 1, 2, 3), (5, 3, 2, 3), (1, 3, 2, 2), (3, 4, 4), (2, 2)])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"nrow": 2, "padding": 1, "pad_value": 0.3},
        {"normalize": True},
        {"normalize": True, "value_range": (0.2, 0.7)},
        {"normalize": True, "scale_each": True},
        {"scale_each": True},
    ],
    ids=str,
)
def test_a_grid_is_that_of_torchvision(shape, options, tmp_path):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    theirs = torchvision("utils")
    x = sg.randn(*shape)
    other = torch.from_numpy(x.array.copy())
    expected = theirs.make_grid(other, **options)
    alike(make_grid(x, **options), expected)
    save_image(x, tmp_path / "ours.png", **options)
    theirs.save_image(other, tmp_path / "theirs.png", **options)
    alike(read(tmp_path / "ours.png"), read(tmp_path / "theirs.png"))


def test_grids_by_hand():
    assert make_grid(sg.ones(2, 2)).tolist() == [[[1, 1], [1, 1]]] * 3
    x = sg.tensor([[[[1.0]], [[2.0]]], [[[3.0]], [[5.0]]]])
    grid = make_grid([x[0], x[1]], padding=1, pad_value=9)
    assert grid.tolist() == [
        [[9, 9, 9, 9, 9], [9, 1, 9, 3, 9], [9, 9, 9, 9, 9]],
        [[9, 9, 9, 9, 9], [9, 2, 9, 5, 9], [9, 9, 9, 9, 9]],
    ]
    scaled = make_grid(x, padding=0, normalize=True)
    assert scaled.tolist() == [[[0, 0.5]], [[0.25, 1]]]
    each = make_grid(x, padding=0, normalize=True, scale_each=True)
    assert each.tolist() == [[[0, 0]], [[1, 1]]]
    limited = make_grid(x, padding=0, normalize=True, value_range=(2, 4))
    assert limited.tolist() == [[[0, 0.5]], [[0, 1]]]
    narrow = make_grid(x, padding=0, normalize=True, value_range=(0, 1e-7))  # less than 1e-5
    np.testing.assert_allclose(narrow.array, 0.01, rtol=1e-5)
    assert x[0, 0].item() == 1  # as it was
    assert make_grid(sg.ones(2, 1, 1, 1, dtype=sg.uint8)).dtype == sg.uint8


def test_a_grid_is_off_the_tape():
    assert not make_grid(sg.zeros(2, 3, 2, 2, requires_grad=True)).requires_grad


def test_what_a_grid_refuses():
    for given_to in (3, np.zeros((2, 2)), [np.zeros((2, 2))], (sg.zeros(2, 2),)):
        with pytest.raises(TypeError, match="make_grid: images are a tensor or a list of tensors"):
            make_grid(given_to)
    with pytest.raises(ValueError, match="make_grid: there are no images"):
        make_grid([])
    for shape in ((3,), (0, 3, 2, 2), (1, 1, 1, 2, 2)):
        with pytest.raises(ValueError, match="make_grid: images have the shape"):
            make_grid(sg.zeros(*shape))
    with pytest.raises(ValueError, match="make_grid: nrow is 0"):
        make_grid(sg.zeros(2, 2), nrow=0)
    with pytest.raises(TypeError, match=r"make_grid: value_range is a tuple"):
        make_grid(sg.zeros(2, 2), normalize=True, value_range=[0, 1])
    with pytest.raises(TypeError, match="make_grid: normalize is for images of floating type"):
        make_grid(sg.zeros(2, 2, dtype=sg.uint8), normalize=True)


def test_an_image_as_a_file(tmp_path):
    x = sg.tensor([[[0.0, 0.5]], [[1.0, 2.0]], [[-1.0, 0.25]]], requires_grad=True)
    for file in (tmp_path / "x.png", str(tmp_path / "y.PNG")):
        save_image(x, file)
        assert read(file).format == "PNG"
        assert np.asarray(read(file)).tolist() == [[[0, 255, 0], [128, 255, 64]]]
    save_image(x, tmp_path / "z.xyz", format="bmp")
    save_image(x, stream := io.BytesIO(), "png")
    assert read(stream).size == read(tmp_path / "z.xyz").size == (2, 1)
    save_image(sg.zeros(3, 1, 4, 4), tmp_path / "grid.png", nrow=2, padding=1)
    assert read(tmp_path / "grid.png").size == (11, 11)


def test_a_file_appears_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "x.png"
    path.write_bytes(b"before")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(
        OSError, match=r"save_image: the file cannot be written .No space"
    ) as caught:
        save_image(sg.zeros(2, 2), path)
    assert caught.value.filename == str(path)
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_saved(tmp_path):
    with pytest.raises(TypeError, match=r"save_image: values are .* not uint8; divide by 255"):
        save_image(sg.zeros(2, 2, dtype=sg.uint8), tmp_path / "x.png")
    with pytest.raises(ValueError, match=r"save_image: .*x.xyz has no ending .*give the format"):
        save_image(sg.zeros(2, 2), tmp_path / "x.xyz")
    with pytest.raises(FileNotFoundError, match="save_image: the file cannot be written"):
        save_image(sg.zeros(2, 2), tmp_path / "none" / "x.png")
    assert not list(tmp_path.iterdir())
