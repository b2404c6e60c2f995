"""Inputs of transforms: pictures of Pillow, which is not imported for it, and tensors."""

import sys
from typing import Any

from scratchgan.autograd.tensor import Tensor


def is_picture(x: Any) -> bool:
    """Whether it is a picture of Pillow, which need not be imported to find that out."""
    pillow = sys.modules.get("PIL.Image")
    return pillow is not None and isinstance(x, pillow.Image)


def size_of(name: str, image: Any) -> tuple[int, int]:
    """Height and width of what the transform ``name`` was given.

    Raises:
        TypeError: It is neither a picture nor a tensor (..., H, W).
    """
    if isinstance(image, Tensor) and image.ndim >= 2:
        height, width = image.shape[-2:]
        return height, width
    if is_picture(image):
        return image.height, image.width
    raise not_for(name, "a picture of Pillow or a tensor (..., H, W)", image)


def not_for(name: str, what: str, given: Any) -> TypeError:
    """The error that the transform ``name`` takes ``what``, and was given something else."""
    shape = getattr(given, "shape", None)
    kind = type(given).__name__ + ("" if shape is None else f" of shape {tuple(shape)}")
    return TypeError(f"{name}: takes {what}, not {kind}")
