"""Data sets of images, under torchvision's names. Nothing is downloaded."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from scratchgan.autograd.tensor import Tensor
from scratchgan.creation import from_numpy
from scratchgan.data import MNIST as IdxImages
from scratchgan.data import DataError
from scratchgan.data.pictures import opened
from scratchgan.missing import refuse_others
from scratchgan.utils.data import Dataset

if TYPE_CHECKING:
    from PIL.Image import Image

#: A function of one argument, which changes an image or its class.
Transform = Callable[[Any], Any]

#: The endings of files that an ImageFolder takes for pictures.
IMG_EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")


class VisionDataset(Dataset[Any]):
    """Base class of data sets of images; a subclass writes ``__getitem__`` and ``__len__``.

    Args:
        root: The folder of the files.
        transforms: Takes an image and its target, and gives both changed.
        transform: Changes an image.
        target_transform: Changes a target.

    Raises:
        ValueError: ``transforms`` is given beside one of the other two.
    """

    def __init__(
        self,
        root: str | Path | None = None,
        transforms: Callable[[Any, Any], tuple[Any, Any]] | None = None,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
    ) -> None:
        is_separate = transform is not None or target_transform is not None
        if transforms is not None and is_separate:
            raise ValueError(
                f"{type(self).__name__}: transforms changes an image and its target; give it, or "
                "transform and target_transform, not both"
            )
        self.root = os.path.expanduser(root) if isinstance(root, str) else root
        self.transform = transform
        self.target_transform = target_transform
        self.transforms = self._changed if is_separate else transforms

    def _changed(self, image: Any, target: Any) -> tuple[Any, Any]:
        if self.transform is not None:
            image = self.transform(image)
        if self.target_transform is not None:
            target = self.target_transform(target)
        return image, target

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} has no __len__ method; write one")

    def __repr__(self) -> str:
        lines = [f"Dataset {type(self).__name__}", f"Number of datapoints: {len(self)}"]
        if self.root is not None:
            lines.append(f"Root location: {self.root}")
        lines += self.extra_repr().splitlines()
        if self.transforms is not None and self.transforms != self._changed:
            lines.append(repr(self.transforms))
        elif self.transforms is not None:
            lines.append("StandardTransform")
            lines += _under("Transform: ", self.transform)
            lines += _under("Target transform: ", self.target_transform)
        return "\n    ".join(lines)

    def extra_repr(self) -> str:
        """More lines for the text of the data set."""
        return ""


def _under(head: str, transform: Transform | None) -> list[str]:
    """The text of a transform, its first line behind ``head``; nothing if there is none."""
    lines = [] if transform is None else repr(transform).splitlines()
    return [(head if i == 0 else " " * len(head)) + line for i, line in enumerate(lines)]


class MNIST(VisionDataset):
    """The MNIST digits that come with this package: (picture, class) for each index.

    Args:
        root: Not looked at, since nothing is read there nor downloaded; programs for PyTorch give
            a folder.
        train: The 60,000 for training, or the 10,000 for tests.
        transform: Changes the picture, a grey one of 28x28 of Pillow.
        target_transform: Changes the class, an int.
        download: Not looked at.

    Attributes:
        data: uint8 tensor (n, 28, 28).
        targets: int64 tensor (n,).
        classes: The names of the ten classes.

    Raises:
        DataError: A file of the package is damaged.
    """

    classes: ClassVar[list[str]] = [
        *("0 - zero", "1 - one", "2 - two", "3 - three", "4 - four"),
        *("5 - five", "6 - six", "7 - seven", "8 - eight", "9 - nine"),
    ]

    data: Tensor
    targets: Tensor

    def __init__(
        self,
        root: str | Path,
        train: bool = True,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        download: bool = False,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.train = train
        read = self._read(train)
        self.data = from_numpy(read.images)
        self.targets = from_numpy(read.labels.astype(np.int64))

    def _read(self, train: bool) -> IdxImages:
        return IdxImages(train=train)

    @property
    def class_to_idx(self) -> dict[str, int]:
        """The number of each class by its name."""
        return {name: i for i, name in enumerate(self.classes)}

    def __getitem__(self, index: Any) -> tuple[Any, Any]:
        from PIL import Image

        # From the arrays, since tensors of the two take as long to make as the picture.
        pixels = np.ascontiguousarray(self.data.array[index])
        # As fromarray, which takes twice as long.
        image = Image.frombuffer("L", pixels.shape[::-1], pixels, "raw", "L", 0, 1)
        # Programs set ``targets``, to a list too.
        target = getattr(self.targets, "array", self.targets)[index]
        return self._changed(image, int(target))

    def __len__(self) -> int:
        return len(self.data)

    def extra_repr(self) -> str:
        """Which part it is."""
        return f"Split: {'Train' if self.train else 'Test'}"


class FashionMNIST(MNIST):
    """Pictures of clothes, from IDX files; all else as in :class:`MNIST`.

    Args:
        root: The folder that holds ``FashionMNIST/raw`` with the files, where torchvision has put
            them; or the folder of the files themselves.
        train: The 60,000 for training, or the 10,000 for tests.
        transform: Changes the picture, a grey one of 28x28 of Pillow.
        target_transform: Changes the class, an int.
        download: Not looked at, since nothing is downloaded.

    Raises:
        DataError: A file is missing or broken; the message names it.

    Source:
        H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking
        Machine Learning Algorithms", 2017, table 2 for the classes.
    """

    classes: ClassVar[list[str]] = [
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    ]

    def _read(self, train: bool) -> IdxImages:
        root = Path(self.root or ".")
        raw = root / "FashionMNIST" / "raw"
        try:
            return IdxImages(raw if raw.is_dir() else root, train)
        except DataError as fault:
            raise DataError(
                f"FashionMNIST: {fault}; nothing is downloaded: put the files of "
                f"github.com/zalandoresearch/fashion-mnist into {raw}"
            ) from None


def default_loader(path: str) -> "Image":
    """The picture in a file, with three colours.

    Raises:
        DataError: It is no picture, or a damaged one.
    """
    return opened(Path(path)).convert("RGB")


class ImageFolder(VisionDataset):
    """Pictures in one folder for each class, ``root/dog/x.png``, at any depth below it.

    Args:
        root: The folder of the folders.
        transform: Changes the picture.
        target_transform: Changes the class, an int.
        loader: Reads a file; by default a picture of Pillow with three colours.
        is_valid_file: Says of a path whether it is taken; by default its ending does.
        allow_empty: Whether a folder may hold nothing that is taken.

    Attributes:
        classes: The names of the folders, sorted.
        class_to_idx: The number of each class by its name.
        samples: The path and the class of each picture; ``imgs`` is the same list.
        targets: The class of each picture.

    Raises:
        FileNotFoundError: The folder is missing, holds no folders, or one of them holds nothing
            that is taken.
    """

    def __init__(
        self,
        root: str | Path,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        loader: Callable[[str], Any] = default_loader,
        is_valid_file: Callable[[str], bool] | None = None,
        allow_empty: bool = False,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.loader = loader
        folder = Path(self.root or ".")
        if not folder.is_dir():
            raise FileNotFoundError(f"ImageFolder: {folder} is no folder")
        self.classes = sorted(entry.name for entry in folder.iterdir() if entry.is_dir())
        if not self.classes:
            raise FileNotFoundError(
                f"ImageFolder: {folder} holds no folders; put the pictures of each class into one"
            )
        self.class_to_idx = {name: i for i, name in enumerate(self.classes)}
        self.samples: list[tuple[str, int]] = []
        for name, number in self.class_to_idx.items():
            found = [
                path for path in _files_in(folder / name) if (is_valid_file or _is_image)(path)
            ]
            if not found and not allow_empty:
                kinds = "" if is_valid_file else f" ({', '.join(IMG_EXTENSIONS)})"
                raise FileNotFoundError(
                    f"ImageFolder: {folder / name} holds no pictures{kinds}; remove it, or pass "
                    "allow_empty=True"
                )
            self.samples += [(path, number) for path in found]
        self.imgs = self.samples
        self.targets = [number for _, number in self.samples]

    def __getitem__(self, index: Any) -> tuple[Any, Any]:
        path, target = self.samples[index]
        return self._changed(self.loader(path), target)

    def __len__(self) -> int:
        return len(self.samples)


def _is_image(path: str) -> bool:
    return path.lower().endswith(IMG_EXTENSIONS)


def _files_in(folder: Path) -> list[str]:
    """All files at any depth, in the order of their folders and then of their names.

    Where links lead into a folder on more ways than one, it is walked once: there may be more ways
    than can be walked, or one that never ends.
    """
    walked, seen = [], {os.path.realpath(folder)}
    for where, inner, names in os.walk(folder, followlinks=True):
        walked.append((where, names))
        for name in sorted(inner):
            real = os.path.realpath(os.path.join(where, name))
            if real in seen:
                inner.remove(name)
            seen.add(real)
    walked.sort()
    return [os.path.join(where, name) for where, names in walked for name in sorted(names)]


refuse_others(__name__)
