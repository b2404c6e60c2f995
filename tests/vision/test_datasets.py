"""Data sets of images."""

import gzip
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from vision.pictures import alike, torchvision

import scratchgan as sg
from scratchgan.data import MNIST, DataError
from scratchgan.utils.data import DataLoader
from scratchgan.vision import datasets, transforms


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
