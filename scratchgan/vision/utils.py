"""Grids of images, as tensors and as picture files, under torchvision's names."""

import io
import os
from pathlib import Path
from typing import Any, BinaryIO

from scratchgan.autograd import no_grad
from scratchgan.autograd.tensor import Tensor
from scratchgan.creation import full
from scratchgan.dtypes import uint8
from scratchgan.files import atomic_write
from scratchgan.functions import cat, clamp, stack, unbind
from scratchgan.missing import refuse_others


@no_grad()
def make_grid(
    tensor: Tensor | list[Tensor],
    nrow: int = 8,
    padding: int = 2,
    normalize: bool = False,
    value_range: tuple[float, float] | None = None,
    scale_each: bool = False,
    pad_value: float = 0.0,
) -> Tensor:
    """Images side by side, row by row. Grey ones get three equal channels.

    Args:
        tensor: Images (N, C, H, W), one image (C, H, W) or (H, W), or a list of images of one
            shape.
        nrow: Images in each row.
        padding: Pixels between two images, and around them all.
        normalize: Whether the values are brought to [0, 1], from ``value_range``.
        value_range: The values, of floating type, that become 0 and 1, what is beyond them too; by
            default the smallest and the largest.
        scale_each: Whether these are those of each image, not of all.
        pad_value: The value between the images.

    Returns:
        (C, rows * (H + padding) + padding, columns * (W + padding) + padding), with the type and
        on the device of the images; of one image (C, H, W), without padding.

    Raises:
        TypeError: It is no tensor or list of tensors, ``value_range`` is no tuple, or integers are
            to be normalized.
        ValueError: There are no images, they have no such shape, or ``nrow`` is less than 1.
    """
    images = _as_batch(tensor)
    if nrow < 1:
        raise ValueError(f"make_grid: nrow is {nrow}; it must be 1 or more")
    if normalize:
        images = _normalized(images, value_range, scale_each)
    count, channels, height, width = images.shape
    if count == 1:
        return images[0]
    columns = min(nrow, count)
    rows = -(-count // columns)
    down, across = height + padding, width + padding
    grid = full(
        (channels, rows * down + padding, columns * across + padding),
        pad_value,
        images.dtype,
        device=images.device,
    )
    for i, image in enumerate(unbind(images)):
        top, left = i // columns * down + padding, i % columns * across + padding
        grid[:, top : top + height, left : left + width] = image
    return grid


def _as_batch(tensor: Any) -> Tensor:
    """The images as (N, C, H, W), where C is not 1."""
    parts = tensor if isinstance(tensor, list) else [tensor]
    for part in parts:
        if not isinstance(part, Tensor):
            raise TypeError(
                f"make_grid: images are a tensor or a list of tensors, not {type(part).__name__}"
            )
    if not parts:
        raise ValueError("make_grid: there are no images in the list")
    images: Tensor = stack(tensor) if isinstance(tensor, list) else tensor
    shape = images.shape
    if len(shape) == 2:
        images = images.unsqueeze(0)
    if len(shape) in (2, 3):
        images = images.unsqueeze(0)
    if images.ndim != 4 or not len(images):
        raise ValueError(
            f"make_grid: images have the shape (N, C, H, W), (C, H, W) or (H, W), not {shape}"
        )
    return cat([images] * 3, 1) if images.shape[1] == 1 else images


def _normalized(
    images: Tensor, value_range: tuple[float, float] | None, scale_each: bool
) -> Tensor:
    if images.dtype.kind != "f":
        raise TypeError(
            f"make_grid: normalize is for images of floating type, not {images.dtype}; use float()"
        )
    if scale_each:
        return stack([_normalized(image, value_range, False) for image in unbind(images)])
    if value_range is None:
        value_range = (images.min().item(), images.max().item())
    if not isinstance(value_range, tuple):
        raise TypeError(f"make_grid: value_range is a tuple (min, max), not {value_range!r}")
    low, high = value_range
    return (clamp(images, low, high) - low) / max(high - low, 1e-5)


def save_image(
    tensor: Tensor | list[Tensor],
    fp: str | os.PathLike[str] | BinaryIO,
    format: str | None = None,
    **kwargs: Any,
) -> None:
    """Write images as a picture file, several as a :func:`make_grid`; whole or not at all.

    Args:
        tensor: As there, with values in [0, 1]; what is beyond them becomes 0 or 1.
        fp: The path of the file, or a file that is open for writing bytes.
        format: The format as Pillow names it; by default what the ending of the path says.
        kwargs: More arguments for :func:`make_grid`.

    Raises:
        OSError: The file cannot be written.
        TypeError: The values are integers; else as :func:`make_grid`.
        ValueError: The format is not known; else as :func:`make_grid`.
    """
    from PIL import Image

    grid = make_grid(tensor, **kwargs)
    if grid.dtype.kind != "f":
        raise TypeError(
            f"save_image: values are of floating type, from 0 to 1, not {grid.dtype}; divide by 255"
        )
    pixels = (grid.detach() * 255 + 0.5).clamp(0, 255).permute(1, 2, 0).to(uint8).numpy()
    picture = Image.fromarray(pixels)
    if not isinstance(fp, str | os.PathLike):
        picture.save(fp, format)
        return
    path = Path(fp)
    content = io.BytesIO()
    picture.save(content, format or _format_of(path))
    try:
        with atomic_write(path) as file:
            file.write(content.getbuffer())
    except OSError as fault:  # which names the draft, not the file
        why = f"save_image: the file cannot be written ({fault.strerror})"
        raise OSError(fault.errno, why, str(path)) from None


def _format_of(path: Path) -> str:
    from PIL import Image

    known = Image.registered_extensions()
    if path.suffix.lower() not in known:
        raise ValueError(
            f"save_image: {path} has no ending of a picture that Pillow knows; use .png, say, or "
            "give the format"
        )
    return known[path.suffix.lower()]


refuse_others(__name__)
