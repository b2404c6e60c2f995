"""Labelled images from whatever one has: the embedded MNIST, IDX files, pictures, npz, CSV."""

import hashlib
import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scratchgan.data import npz
from scratchgan.data.idx import DataError, read_idx
from scratchgan.data.mnist import MNIST
from scratchgan.data.pictures import ENDINGS, fitted_picture
from scratchgan.messages import one_line

DIGITS = tuple("0123456789")
#: The classes of Fashion-MNIST (Xiao et al. 2017, table 2).
CLOTHES = (
    *("t-shirt", "trouser", "pullover", "dress", "coat"),
    *("sandal", "shirt", "sneaker", "bag", "ankle-boot"),
)
#: MD5 of its files of training labels, as published and expanded.
_LABELS_OF_CLOTHES = ("25c81989df183df01b3e8a0aad5dffbe",)

#: Most of an image's height, or width.
MOST_PIXELS = 1024

_KINDS = "IDX files, a folder of pictures, or a file *.npz, *.csv or *-idx3-ubyte[.gz]"


class Subject(NamedTuple):
    """The subject of images: their shape, and the names of their classes.

    Attributes:
        shape: Height and width of each.
        names: Of the classes.
    """

    shape: tuple[int, int] = (28, 28)
    names: tuple[str, ...] = DIGITS


class Images(NamedTuple):
    """Grey images and their classes.

    Attributes:
        pixels: uint8 (n, height, width), 0 is black and 255 is white.
        labels: uint8 (n,), the class of each.
        names: Of the classes.
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    names: tuple[str, ...]

    @property
    def subject(self) -> Subject:
        """Their subject."""
        _, height, width = self.pixels.shape
        return Subject((height, width), self.names)


def load_images(
    source: str | os.PathLike[str] | None = None, size: int = 0, grey: bool = False
) -> Images:
    """Read training images.

    Args:
        source: None for the embedded MNIST; a folder of IDX files in MNIST's naming; a folder of
            pictures, in one subfolder for each class if there are classes; or a file: ``*.npz``
            with an array ``images`` (n, height, width) of uint8 and perhaps ``labels`` (n,), or
            ``x_train`` and ``y_train`` as Keras has it; ``*.csv`` with a line for each image, the
            label first if its heading says ``label``, as Kaggle has it; or one IDX file of images.
        size: Height and width that pictures are brought to; 0 if they all have one size.
        grey: Whether pictures with colours are turned to grey.

    Raises:
        DataError: It cannot be read, holds nothing, or is not like that. The message names the file
            and the fault.
    """
    if source is None:
        data = MNIST()
        found = Images(data.images, data.labels, DIGITS)
    else:
        path = Path(source)
        try:
            found = _read(path, size, grey)
        except OSError as fault:  # a folder that may not be looked into, a name that is too long
            raise DataError(
                f"{fault.filename or path}: cannot be read ({fault.strerror or fault})"
            ) from None
    if size and found.pixels.shape[1:] != (size, size):
        raise DataError(
            f"{source or 'MNIST'}: holds images of {found.pixels.shape[2]}x{found.pixels.shape[1]} "
            f"pixels; only pictures are brought to another size ({size})"
        )
    return found


def _read(path: Path, size: int, grey: bool) -> Images:
    if path.is_dir():
        if any("idx3-ubyte" in entry.name for entry in path.iterdir()):
            data = MNIST(path)
            names = _names_of_idx(path)
            fits = int(data.labels.max(initial=0)) < len(names)
            return _checked(path, data.images, data.labels, names if fits else None)
        return _from_folder(path, size, grey)
    if not path.exists():
        raise DataError(f"{path}: no such file or folder; give {_KINDS}")
    if not path.is_file():  # a pipe would be waited for
        raise DataError(f"{path}: is neither a file nor a folder; give {_KINDS}")
    return _reader_of(path)(path)


def _reader_of(path: Path) -> Callable[[Path], Images]:
    if path.suffix.lower() == ".npz":
        return _from_npz
    if path.suffix.lower() == ".csv":
        return _from_csv
    if "idx3-ubyte" in path.name:
        return _from_idx
    raise DataError(f"{path}: is nothing to learn from; give {_KINDS}")


def _names_of_idx(folder: Path) -> tuple[str, ...]:
    """Fashion-MNIST is published under the same names of files as MNIST."""
    if "fashion" in folder.resolve().name.lower():
        return CLOTHES
    for path in folder.glob("train-labels*"):
        if not path.is_file():  # a pipe would be waited for
            continue
        if hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() in _LABELS_OF_CLOTHES:
            return CLOTHES
    return DIGITS


def _from_folder(folder: Path, size: int, grey: bool) -> Images:
    """The pictures of a folder: of its subfolders, each a class, or its own if it has none."""
    classes = sorted(path for path in _seen_in(folder) if path.is_dir() and _pictures_in(path))
    if classes and (loose := _pictures_in(folder)):
        raise DataError(
            f"{folder}: holds pictures ({loose[0].name}) beside folders of pictures "
            f"({classes[0].name}); put each into the folder of its class"
        )
    pixels: list[NDArray[np.uint8]] = []
    labels: list[int] = []
    for label, where in enumerate(classes or [folder]):
        for path in _pictures_in(where):
            found, _ = fitted_picture(path, (size, size) if size else None, grey)
            if pixels and found.shape != pixels[0].shape:
                raise DataError(
                    f"{path}: has {found.shape[1]}x{found.shape[0]} pixels, and those before it "
                    f"have {pixels[0].shape[1]}x{pixels[0].shape[0]}; ask for one size (image_size)"
                )
            pixels.append(found)
            labels.append(label)
    if not pixels:
        raise DataError(f"{folder}: holds no pictures and no IDX files; give {_KINDS}")
    names = [path.name for path in classes] or [folder.name]
    return _checked(folder, np.stack(pixels), np.array(labels), names)


def _pictures_in(folder: Path) -> list[Path]:
    return sorted(path for path in _seen_in(folder) if path.suffix.lower() in ENDINGS)


def _seen_in(folder: Path) -> list[Path]:
    """The files and folders in a folder that are not hidden."""
    return [path for path in folder.iterdir() if not path.name.startswith(".")]


def _from_npz(path: Path) -> Images:
    try:
        found = npz.read(path, (("images", "labels"), ("x_train", "y_train")))
    except DataError as fault:
        raise DataError(f"{path}: {fault}") from None
    pixels, *labels = found
    return _checked(path, pixels, labels[0] if labels else None)


def _from_csv(path: Path) -> Images:
    try:
        with path.open(encoding="utf-8-sig") as file, warnings.catch_warnings():
            headings = file.readline().strip().lower().replace('"', "").split(",")
            if headings[0].isdigit():
                raise DataError(f"{path}: has no line of headings (label,pixel0,pixel1,...)")
            warnings.simplefilter("ignore", UserWarning)  # that there are no lines; said below
            table = np.loadtxt(file, np.int32, delimiter=",", quotechar='"', ndmin=2)
    except (OSError, ValueError) as fault:
        if isinstance(fault, DataError):
            raise
        raise DataError(f"{path}: cannot be read as CSV ({one_line(fault)})") from None
    if not table.size:
        raise DataError(f"{path}: holds no images")
    has_labels = headings[0] == "label"
    labels, pixels = (table[:, 0], table[:, 1:]) if has_labels else (None, table)
    if not pixels.size:
        raise DataError(f"{path}: holds no pixels beside the labels")
    side = round(pixels.shape[1] ** 0.5)
    if side * side != pixels.shape[1]:
        raise DataError(f"{path}: has {pixels.shape[1]} pixels in a line; no square has so many")
    if pixels.min() < 0 or pixels.max() > 255:
        raise DataError(f"{path}: has pixels outside of 0 to 255")
    return _checked(path, pixels.astype(np.uint8).reshape(-1, side, side), labels)


def _from_idx(path: Path) -> Images:
    return _checked(path, read_idx(path), None)


def _checked(path: Path, pixels: Any, labels: Any, names: Sequence[str] | None = None) -> Images:
    """The images, if they are some; without labels they are all of class 0."""
    if pixels.dtype != np.uint8 or pixels.ndim != 3:
        shape = "x".join(map(str, pixels.shape)) or "no array but one of the"
        raise DataError(
            f"{path}: holds {shape} elements of {pixels.dtype}, not grey images (n, height, width) "
            "of uint8"
        )
    if not pixels.size:
        raise DataError(f"{path}: holds no images")
    if max(pixels.shape[1:]) > MOST_PIXELS:
        raise DataError(
            f"{path}: holds images of {pixels.shape[2]}x{pixels.shape[1]} pixels; at most "
            f"{MOST_PIXELS}x{MOST_PIXELS} can be learned"
        )
    if pixels.min() == pixels.max():
        raise DataError(
            f"{path}: every pixel of every image is {pixels.min()}; there is nothing to learn"
        )
    if labels is None:
        return Images(pixels, np.zeros(len(pixels), np.uint8), ("image",))
    if labels.shape != (len(pixels),) or labels.dtype.kind not in "iu":
        shape = "x".join(map(str, labels.shape))
        raise DataError(
            f"{path}: holds {shape} labels of {labels.dtype} for {len(pixels)} images; it must be "
            "an integer for each"
        )
    if labels.min() < 0 or labels.max() > 255:
        raise DataError(f"{path}: has labels outside of 0 to 255")
    names = names or [str(label) for label in range(int(labels.max()) + 1)]
    return Images(pixels, labels.astype(np.uint8), tuple(names))
