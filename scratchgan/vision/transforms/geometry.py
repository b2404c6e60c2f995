"""Transforms of the size of an image, and of where things are in it."""

from collections.abc import Sequence
from enum import Enum
from typing import Any

from scratchgan.autograd.tensor import Tensor
from scratchgan.creation import full
from scratchgan.functions import flip
from scratchgan.nn.module import Module
from scratchgan.random import rand
from scratchgan.vision.transforms.images import is_picture, size_of


class InterpolationMode(Enum):
    """How pixels are made from their neighbours."""

    NEAREST = "nearest"
    NEAREST_EXACT = "nearest-exact"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    BOX = "box"
    HAMMING = "hamming"
    LANCZOS = "lanczos"


#: By Pillow's numbers, which programs may give in their place.
_BY_NUMBER = {
    0: InterpolationMode.NEAREST,
    1: InterpolationMode.LANCZOS,
    2: InterpolationMode.BILINEAR,
    3: InterpolationMode.BICUBIC,
    4: InterpolationMode.BOX,
    5: InterpolationMode.HAMMING,
}
_NUMBERS = {mode: number for number, mode in _BY_NUMBER.items()} | {
    InterpolationMode.NEAREST_EXACT: 0
}


class Resize(Module):
    """A picture in another size, as Pillow resizes; an image that has the size as it is.

    Args:
        size: Height and width; or one number for the shorter side, the other in proportion to it.
        interpolation: How, an :class:`InterpolationMode` or Pillow's number for one.
        max_size: With one number, the most for the longer side, which then decides.
        antialias: Of no effect: Pillow always smooths what gets smaller.

    Raises:
        TypeError: The size, or the interpolation, is none.
        ValueError: The size is not one number or two, or ``max_size`` is not above it.
    """

    def __init__(
        self,
        size: int | Sequence[int],
        interpolation: InterpolationMode | int = InterpolationMode.BILINEAR,
        max_size: int | None = None,
        antialias: bool | None = True,
    ) -> None:
        if not isinstance(size, int | Sequence):
            raise TypeError(f"Resize: size is a number or two, not {type(size).__name__}")
        sizes = [size] if isinstance(size, int) else list(size)
        if len(sizes) not in (1, 2):
            raise ValueError(f"Resize: size is a number or two, not {len(sizes)}")
        if max_size is not None and (len(sizes) == 2 or max_size <= sizes[0]):
            raise ValueError(
                f"Resize: max_size is {max_size} for the size {size}; it goes with one number, for "
                "the shorter side, and is larger"
            )
        if not isinstance(interpolation, InterpolationMode):
            if interpolation not in _BY_NUMBER:
                raise TypeError(
                    f"Resize: interpolation is an InterpolationMode, not {interpolation!r}"
                )
            interpolation = _BY_NUMBER[interpolation]
        self.size = size
        self.interpolation = interpolation
        self.max_size = max_size
        self.antialias = antialias
        self._sizes = sizes

    def forward(self, img: Any) -> Any:
        """The image in that size.

        Raises:
            TypeError: It is no picture of Pillow, and has another size.
        """
        height, width = size_of("Resize", img)
        wanted = self._wanted(height, width)
        if wanted == (height, width):
            return img
        if isinstance(img, Tensor):
            raise TypeError(
                f"Resize: a tensor of shape {img.shape} cannot be resized, only a picture of "
                "Pillow; put Resize before ToTensor()"
            )
        return img.resize(wanted[::-1], _NUMBERS[self.interpolation])

    def _wanted(self, height: int, width: int) -> tuple[int, int]:
        if len(self._sizes) == 2:
            return self._sizes[0], self._sizes[1]
        (short,) = self._sizes
        long = int(short * max(height, width) / min(height, width))
        if self.max_size is not None and long > self.max_size:
            short, long = int(self.max_size * short / long), self.max_size
        return (long, short) if width <= height else (short, long)

    def __repr__(self) -> str:
        return (
            f"Resize(size={self.size}, interpolation={self.interpolation.value}, "
            f"max_size={self.max_size}, antialias={self.antialias})"
        )


class CenterCrop(Module):
    """The middle of an image; what it lacks in size is black, or 0, on both sides.

    Args:
        size: Height and width, or one number for both.

    Raises:
        ValueError: It is not one number or two.
    """

    def __init__(self, size: int | Sequence[int]) -> None:
        sizes = tuple(size) if isinstance(size, Sequence) else (int(size),)
        if len(sizes) not in (1, 2):
            raise ValueError(f"CenterCrop: size is a number or two, not {len(sizes)}")
        self.size = sizes if len(sizes) == 2 else sizes * 2

    def forward(self, img: Any) -> Any:
        """The middle of the image.

        Raises:
            TypeError: It is neither a picture nor a tensor (..., H, W).
        """
        height, width = self.size
        lengths = size_of("CenterCrop", img)
        top, left = (_start(n, wanted) for n, wanted in zip(lengths, self.size, strict=True))
        if is_picture(img):
            return img.crop((left, top, left + width, top + height))
        seen = img[..., max(top, 0) : top + height, max(left, 0) : left + width]
        if seen.shape[-2:] == self.size:
            return seen
        whole = full((*img.shape[:-2], height, width), 0, img.dtype, device=img.device)
        rows, columns = (
            slice(max(-start, 0), max(-start, 0) + n)
            for start, n in zip((top, left), seen.shape[-2:], strict=True)
        )
        whole[..., rows, columns] = seen
        return whole

    def __repr__(self) -> str:
        return f"CenterCrop(size={self.size})"


def _start(length: int, wanted: int) -> int:
    """Where the middle begins; before 0 if more is wanted than there is."""
    return round((length - wanted) / 2) if length >= wanted else -((wanted - length) // 2)


class RandomHorizontalFlip(Module):
    """An image, or with a probability its mirror image, left for right.

    Args:
        p: The probability; the default stream decides (:func:`scratchgan.manual_seed`).
    """

    def __init__(self, p: float = 0.5) -> None:
        self.p = p

    def forward(self, img: Any) -> Any:
        """The image or its mirror image.

        Raises:
            TypeError: It is neither a picture nor a tensor (..., H, W).
        """
        size_of("RandomHorizontalFlip", img)
        if rand(1).item() >= self.p:
            return img
        if isinstance(img, Tensor):
            return flip(img, (-1,))
        from PIL.Image import Transpose

        return img.transpose(Transpose.FLIP_LEFT_RIGHT)

    def __repr__(self) -> str:
        return f"RandomHorizontalFlip(p={self.p})"
