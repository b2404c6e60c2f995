"""How a tensor shows in a notebook: a small table, and its picture if it is one."""

import base64
import html
import io

import numpy as np
from numpy.typing import NDArray

from scratchgan.autograd.tensor import Tensor, method
from scratchgan.backend import kernels_for

#: The sizes of an image's height and width, and how many of a batch are shown.
_LEAST, _MOST, _IMAGES = 8, 256, 16


@method()
def _repr_html_(x: Tensor) -> str:
    """The tensor as IPython shows it."""
    facts = {
        **{"shape": tuple(x.shape), "dtype": x.dtype, "device": x.device},
        "requires_grad": x.requires_grad,
    }
    if x.node is not None:
        facts["made by"] = x.node.name
    names = "".join(f"<th>{name}</th>" for name in facts)
    cells = "".join(f"<td>{html.escape(str(fact))}</td>" for fact in facts.values())
    table = f"<table><tr>{names}</tr><tr>{cells}</tr></table>"
    picture = _picture(x)
    if not picture:
        return f"{table}<pre>{html.escape(repr(x))}</pre>"
    image = f"<img alt='the tensor as a picture' src='data:image/png;base64,{picture}'>"
    is_part = len(x.shape) == 4 and x.shape[0] > _IMAGES
    return table + image + (f"<p>The first {_IMAGES} of {x.shape[0]}.</p>" if is_part else "")


def _picture(x: Tensor) -> str:
    """Grey images (height, width), (1, height, width) or (N, 1, height, width) as base64 of a PNG.

    Empty if ``x`` is none: its numbers are not all in [-1, 1] or in 0 ... 255, or its sizes are not
    those of images.
    """
    shape = x.shape
    is_batch = len(shape) == 4 and shape[1] == 1
    if not (is_batch or len(shape) == 2 or (len(shape) == 3 and shape[0] == 1)):
        return ""
    if not all(_LEAST <= size <= _MOST for size in shape[-2:]) or not x.array.size:
        return ""
    if x.dtype.kind not in "fu":
        return ""
    images = kernels_for[type(x.array)].to_host(x.array).reshape(-1, *shape[-2:])[:_IMAGES]
    pixels = _bytes(images)
    if pixels is None:
        return ""
    from PIL import Image  # when it is first needed

    plane = np.concatenate(list(pixels), axis=1)
    file = io.BytesIO()
    larger = max(1, 112 // shape[-2])
    picture = Image.fromarray(plane)
    picture.resize((plane.shape[1] * larger, plane.shape[0] * larger), 0).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def _bytes(images: NDArray[np.generic]) -> NDArray[np.uint8] | None:
    """The images as bytes, if their numbers are those of images."""
    if images.dtype == np.uint8:
        return np.asarray(images, np.uint8)
    numbers = images.astype(np.float64)
    if not np.isfinite(numbers).all() or np.abs(numbers).max() > 1:
        return None
    low = -1.0 if numbers.min() < 0 else 0.0
    return np.rint((numbers - low) / (1 - low) * 255).astype(np.uint8)
