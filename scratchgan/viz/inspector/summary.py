"""An array on a page: its shape, numbers that describe it, a histogram, a picture."""

import base64
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Bars of a histogram.
BARS = 24
#: Most images of a batch that are shown, and most pixels of a picture in each direction.
IMAGES, SIDE = 16, 64
#: Numbers that are shown one by one.
FEW = 12

Shape = tuple[int, int]


def summary(array: NDArray[Any], image: Shape | None = None) -> dict[str, Any]:
    """The summary of an array, as JSON takes it.

    Args:
        array: Of any shape and type.
        image: Height and width of images, as which rows of that length are shown.
    """
    found: dict[str, Any] = {"shape": list(array.shape), "dtype": str(array.dtype)}
    numbers = array.astype(np.float64)
    finite = numbers[np.isfinite(numbers)]
    found["bad"] = int(numbers.size - finite.size)
    if numbers.size <= FEW:
        found["numbers"] = [x if math.isfinite(x) else str(x) for x in numbers.ravel().tolist()]
    if not finite.size:
        return found
    found |= statistics(finite)
    # No difference or sum of what is drawn may overflow.
    exponent = _exponent(finite)
    scaled = np.ldexp(finite, -exponent)
    low, high = float(scaled.min()), float(scaled.max())
    if numbers.size > 1:
        found["bars"] = _bars(scaled, low, high)
    if array.ndim and numbers.size > 1:
        found["picture"] = _picture(np.ldexp(numbers, -exponent), image, low, high)
    return found


def statistics(finite: NDArray[np.float64]) -> dict[str, float]:
    """Least, greatest and mean element, standard deviation and root of the mean square.

    Args:
        finite: One element or more, all finite; squares and sums of them may be beyond float64.
    """
    exponent = _exponent(finite)
    scaled = np.ldexp(finite, -exponent)  # by a power of two, which rounds nothing
    found = {"mean": scaled.mean(), "std": scaled.std(), "rms": np.sqrt(np.square(scaled).mean())}
    ends = {"min": float(finite.min()), "max": float(finite.max())}
    return {**ends, **{name: float(np.ldexp(x, exponent)) for name, x in found.items()}}


def _exponent(finite: NDArray[np.float64]) -> int:
    """Of the power of two by which the greatest size is brought to [0.25, 0.5)."""
    return int(np.frexp(np.abs(finite).max())[1]) + 1


def _bars(finite: NDArray[np.float64], low: float, high: float) -> list[int]:
    """How many elements lie in each of equal parts of the range."""
    if low == high:
        return [int(finite.size)]
    places = np.minimum((finite - low) / (high - low) * BARS, BARS - 1).astype(int)
    return [int(count) for count in np.bincount(places, minlength=BARS)]


def _picture(
    array: NDArray[np.float64], image: Shape | None, low: float, high: float
) -> dict[str, Any]:
    """The array as bytes of a picture: 0 is the lowest element, 255 the highest.

    Rows that are images stand side by side; a matrix that is too large is averaged in blocks.
    """
    plane = _as_images(array, image)
    is_images = plane is not None
    if plane is None:
        plane = _shrunk(array.reshape(-1, array.shape[-1]) if array.ndim > 1 else array[None])
    span = (high - low) or 1.0
    levels = np.nan_to_num((plane - low) / span * 255, nan=0.0, posinf=255.0, neginf=0.0)
    pixels = np.rint(np.clip(levels, 0, 255)).astype(np.uint8)
    height, width = pixels.shape
    return {
        **{"height": height, "width": width, "images": is_images},
        "pixels": base64.b64encode(pixels.tobytes()).decode(),
    }


def _as_images(array: NDArray[np.float64], image: Shape | None) -> NDArray[np.float64] | None:
    """The first images of a batch as one plane, or None if its rows are none."""
    if image is None:
        return None
    height, width = image
    if array.ndim == 2 and array.shape[1] == height * width:
        images = array[:IMAGES].reshape(-1, height, width)
    elif array.ndim == 1 and array.shape[0] == height * width:
        images = array.reshape(1, height, width)
    elif array.ndim >= 3 and array.shape[-2:] == (height, width):
        images = array.reshape(-1, height, width)[:IMAGES]
    else:
        return None
    columns = math.isqrt(len(images) - 1) + 1
    rows = -(-len(images) // columns)
    padded = np.full((rows * columns, height, width), array.min())
    padded[: len(images)] = images
    grid = padded.reshape(rows, columns, height, width).swapaxes(1, 2)
    return grid.reshape(rows * height, columns * width)


def _shrunk(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean of each block, of which there are at most :data:`SIDE` in each direction."""
    for axis in (0, 1):
        size = plane.shape[axis]
        if size > SIDE:
            starts = np.arange(SIDE) * size // SIDE
            counts = np.diff(np.append(starts, size))
            sums = np.add.reduceat(plane, starts, axis=axis)
            plane = sums / np.expand_dims(counts, 1 - axis)
    return plane
