"""MNIST, embedded in the package, and its relatives in a folder of your own."""

import hashlib
import os
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from scratchgan.data.idx import DataError, read_idx

_EMBEDDED = Path(__file__).with_name("mnist")

_SHA256 = {  # of the embedded files, each with .gz
    "train-images-idx3-ubyte": "0b367032e93c5d0cea0925647cfdb18614af8ee15f83e6f2fc2ad904a6835971",
    "train-labels-idx1-ubyte": "1787548bbe0bff1ec2ecdc0ef292b02df999e2d1a6002d27500982c652b17203",
    "t10k-images-idx3-ubyte": "1a1a05eab793c14bb050b398624a11b0ffd1a2953baed553b1b9bd079e2a20be",
    "t10k-labels-idx1-ubyte": "b91679a0acfe4ba0e50a2437a903084cba1f5f92592b016a25a7dfd00455798b",
}

# EMNIST calls its second part "test", where MNIST says "t10k" (the first 10,000).
_TRAIN_PREFIXES = ("train", "emnist-digits-train")
_TEST_PREFIXES = ("t10k", "emnist-digits-test")


class MNIST:
    """The MNIST digits, or any data set of 28x28 grey images that is published like them.

    Without a folder this is the copy inside the package: 60,000 training and 10,000 test images.
    A folder may hold Fashion-MNIST, KMNIST, EMNIST digits or MNIST itself: IDX files, plain or
    gzip, named ``train-images-idx3-ubyte`` or ``train-images.idx3-ubyte`` and so on, with or
    without ``.gz``, EMNIST's with ``emnist-digits-`` in front. Images come as the files store
    them; EMNIST stores each one transposed.

    Args:
        root: The folder of IDX files; None for the embedded MNIST.
        train: The training part (True) or the test part (False).

    Attributes:
        root: The folder that was read.
        train: Which part this is.
        images: uint8 (n, 28, 28), 0 is background and 255 is full ink.
        labels: uint8 (n,), the class of each image.

    Raises:
        DataError: The folder or a file is missing, a file is broken, holds anything but 28x28
            uint8 images or uint8 labels, the counts differ, or an embedded file is not the one
            that this package came with. The message names the file and the fault.
    """

    image_shape: ClassVar[tuple[int, int]] = (28, 28)

    root: Path
    train: bool
    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]

    def __init__(self, root: str | os.PathLike[str] | None = None, train: bool = True) -> None:
        self.root = _EMBEDDED if root is None else Path(root)
        self.train = train

        images_path, labels_path = _find(self.root, train)
        self.images = read_idx(images_path)
        if self.images.dtype != np.uint8 or self.images.shape[1:] != self.image_shape:
            raise DataError(f"{images_path}: {_describe(self.images)}, not 28x28 images of uint8")
        self.labels = read_idx(labels_path)
        if self.labels.dtype != np.uint8 or self.labels.ndim != 1:
            raise DataError(f"{labels_path}: {_describe(self.labels)}, not a list of uint8 labels")
        if len(self.labels) != len(self.images):
            raise DataError(
                f"{labels_path}: {len(self.labels)} labels, but {images_path.name} holds "
                f"{len(self.images)} images"
            )
        if root is None:
            _verify(images_path)
            _verify(labels_path)

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        part = "training" if self.train else "test"
        return f"MNIST({len(self)} {part} images from {self.root})"


def _find(root: Path, train: bool) -> tuple[Path, Path]:
    """The image file and the label file of one part; both have the same prefix."""
    try:
        present = {entry.name for entry in root.iterdir()}
    except OSError as fault:
        raise DataError(f"{root}: cannot be read as a folder ({fault.strerror})") from None

    def spelled(stem: str, ndim: int) -> str | None:
        names = (f"{stem}{mark}idx{ndim}-ubyte{gz}" for mark in "-." for gz in ("", ".gz"))
        return next((name for name in names if name in present), None)

    prefixes = _TRAIN_PREFIXES if train else _TEST_PREFIXES
    for prefix in prefixes:
        if images := spelled(f"{prefix}-images", 3):
            if labels := spelled(f"{prefix}-labels", 1):
                return root / images, root / labels
            raise DataError(f"{root}: holds {images}, but no {prefix}-labels-idx1-ubyte[.gz]")
    raise DataError(f"{root}: holds no {prefixes[0]}-images-idx3-ubyte[.gz]")


def _verify(path: Path) -> None:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != _SHA256.get(path.stem):
        raise DataError(
            f"{path}: not the file that this package came with (its SHA-256 is {digest})"
        )


def _describe(array: NDArray[np.uint8]) -> str:
    return f"holds {'x'.join(map(str, array.shape))} elements of {array.dtype}"
