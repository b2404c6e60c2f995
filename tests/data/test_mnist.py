"""MNIST: the embedded files, folders in every spelling, and every way in which one is wrong."""

import gzip
import shutil
import struct
import subprocess
import sys

import numpy as np
import pytest

from scratchgan.data import MNIST, DataError, mnist


def idx(array, type_code=0x08):
    head = struct.pack(f">BBBB{array.ndim}I", 0, 0, type_code, array.ndim, *array.shape)
    return head + array.tobytes()


IMAGES = np.random.default_rng(0).integers(0, 256, (5, 28, 28), np.uint8)
LABELS = np.array([3, 1, 4, 1, 5], np.uint8)


def write_part(folder, images_name, labels_name, images=IMAGES, labels=LABELS):
    for name, array in ((images_name, images), (labels_name, labels)):
        content = idx(array)
        (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)


def refuses(folder, named, fault, train=True):
    """Checks that a folder is refused by one sentence that names a path and the fault."""
    with pytest.raises(DataError) as caught:
        MNIST(folder, train)
    message = str(caught.value)
    assert message.startswith(f"{named}: ")
    assert fault in message
    assert "\n" not in message


def test_embedded_training_part():
    data = MNIST()

    assert len(data) == 60_000
    assert data.images.dtype == np.uint8
    assert data.images.shape == (60_000, *MNIST.image_shape)
    assert data.labels.dtype == np.uint8
    # Class counts and the mean as published; the first digits are well known.
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(data.labels).tolist() == counts
    assert data.images.mean() == pytest.approx(33.318421, abs=1e-6)
    assert data.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert repr(data).startswith("MNIST(60000 training images from ")


def test_embedded_test_part():
    data = MNIST(train=False)

    assert len(data) == 10_000
    assert data.images.shape == (10_000, *MNIST.image_shape)
    counts = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert np.bincount(data.labels).tolist() == counts
    assert data.images.mean() == pytest.approx(33.791224, abs=1e-6)
    assert data.labels[:5].tolist() == [7, 2, 1, 0, 4]
    assert repr(data).startswith("MNIST(10000 test images from ")


@pytest.mark.parametrize("changed", ["t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"])
def test_embedded_files_are_checked(tmp_path, monkeypatch, changed):
    copy = tmp_path / "mnist"
    shutil.copytree(mnist._EMBEDDED, copy)
    monkeypatch.setattr(mnist, "_EMBEDDED", copy)
    assert len(MNIST(train=False)) == 10_000

    content = bytearray(gzip.decompress((copy / changed).read_bytes()))
    content[-1] ^= 1
    (copy / changed).write_bytes(gzip.compress(content, 1))

    with pytest.raises(DataError, match="not the file that this package came with") as caught:
        MNIST(train=False)
    assert str(caught.value).startswith(f"{copy / changed}: ")
    # As a folder that a user names it is fine: only the embedded files are known in advance.
    assert len(MNIST(copy, train=False)) == 10_000


@pytest.mark.parametrize("gz", ["", ".gz"])
@pytest.mark.parametrize("mark", ["-", "."])
@pytest.mark.parametrize(
    ("train", "prefix"),
    [
        (True, "train"),
        (False, "t10k"),
        (True, "emnist-digits-train"),
        (False, "emnist-digits-test"),
    ],
)
def test_spellings(tmp_path, train, prefix, mark, gz):
    images_name = f"{prefix}-images{mark}idx3-ubyte{gz}"
    write_part(tmp_path, images_name, f"{prefix}-labels{mark}idx1-ubyte{gz}")

    data = MNIST(str(tmp_path), train)

    np.testing.assert_array_equal(data.images, IMAGES)
    np.testing.assert_array_equal(data.labels, LABELS)
    assert (data.root, data.train) == (tmp_path, train)
    refuses(tmp_path, tmp_path, "images-idx3-ubyte[.gz]", train=not train)


def test_images_and_labels_are_of_one_data_set(tmp_path):
    write_part(tmp_path, "train-images-idx3-ubyte", "emnist-digits-train-labels-idx1-ubyte")
    refuses(
        tmp_path,
        tmp_path,
        "holds train-images-idx3-ubyte, but no train-labels-idx1-ubyte[.gz]",
    )


def test_missing_folder(tmp_path):
    refuses(tmp_path / "nowhere", tmp_path / "nowhere", "No such file or directory")


def test_a_file_is_no_folder(tmp_path):
    file = tmp_path / "file"
    file.touch()
    refuses(file, file, "Not a directory")


def test_empty_folder(tmp_path):
    refuses(tmp_path, tmp_path, "holds no train-images-idx3-ubyte[.gz]")
    refuses(tmp_path, tmp_path, "holds no t10k-images-idx3-ubyte[.gz]", train=False)


IMAGES_NAME, LABELS_NAME = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


@pytest.mark.parametrize(
    ("images", "fault"),
    [
        (IMAGES[:, :, :27], "holds 5x28x27 elements of uint8, not 28x28 images of uint8"),
        (IMAGES.reshape(5, 784), "holds 5x784 elements of uint8, not 28x28 images"),
        (IMAGES[0], "holds 28x28 elements of uint8, not 28x28 images"),
        (IMAGES[..., np.newaxis], "holds 5x28x28x1 elements of uint8, not 28x28 images"),
    ],
)
def test_images_of_another_shape(tmp_path, images, fault):
    write_part(tmp_path, IMAGES_NAME, LABELS_NAME, images=images)
    refuses(tmp_path, tmp_path / IMAGES_NAME, fault)


def test_images_of_another_type(tmp_path):
    write_part(tmp_path, IMAGES_NAME, LABELS_NAME)
    (tmp_path / IMAGES_NAME).write_bytes(idx(IMAGES, type_code=0x09))
    refuses(tmp_path, tmp_path / IMAGES_NAME, "holds 5x28x28 elements of int8, not 28x28 images")


def test_labels_of_another_shape_or_type(tmp_path):
    write_part(tmp_path, IMAGES_NAME, LABELS_NAME, labels=LABELS[:, np.newaxis])
    refuses(tmp_path, tmp_path / LABELS_NAME, "holds 5x1 elements of uint8, not a list")
    (tmp_path / LABELS_NAME).write_bytes(idx(LABELS, type_code=0x09))
    refuses(tmp_path, tmp_path / LABELS_NAME, "holds 5 elements of int8, not a list")


def test_as_many_labels_as_images(tmp_path):
    write_part(tmp_path, IMAGES_NAME, LABELS_NAME, labels=LABELS[:4])
    refuses(tmp_path, tmp_path / LABELS_NAME, f"4 labels, but {IMAGES_NAME} holds 5 images")


def test_a_broken_file_in_a_folder(tmp_path):
    write_part(tmp_path, IMAGES_NAME, LABELS_NAME)
    (tmp_path / LABELS_NAME).write_bytes(idx(LABELS)[:-1])
    refuses(tmp_path, tmp_path / LABELS_NAME, "ends after 4")


def test_importing_the_data_room_brings_numpy_only():
    heavy = "{'numba', 'cupy', 'matplotlib', 'safetensors', 'typer', 'rich'}"
    code = f"import sys, scratchgan.data; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
