"""Batches in an order that (seed, epoch) decides, as the floats that the networks take."""

from collections.abc import Iterator
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from scratchgan.autograd.tensor import Tensor
from scratchgan.creation import tensor
from scratchgan.dtypes import float32


@overload
def batches(
    images: NDArray[np.uint8], batch_size: int, *, seed: int, epoch: int, start: int = 0
) -> Iterator[NDArray[np.float32]]: ...
@overload
def batches(
    images: Tensor, batch_size: int, *, seed: int, epoch: int, start: int = 0
) -> Iterator[Tensor]: ...
def batches(
    images: NDArray[np.uint8] | Tensor, batch_size: int, *, seed: int, epoch: int, start: int = 0
) -> Iterator[NDArray[np.float32]] | Iterator[Tensor]:
    """Go once through the images, shuffled, in batches of one size.

    The images that are left over when ``batch_size`` does not divide their number are dropped;
    each epoch drops others. Only the batch that is taken becomes floats.

    Args:
        images: uint8 (n, height, width). The images of a tensor are taken where it lies, so that
            one on a GPU is copied there but once.
        batch_size: Images per batch, 1 to n.
        seed: Of the run, 0 to 2**64 - 1.
        epoch: Which pass through the images, 0 to 2**64 - 1. Each (seed, epoch) has its own order.
        start: The first batch to yield; a run that stopped after k batches goes on with k.

    Yields:
        float32 (batch_size, 1, height, width) in [-1, 1], a new array each time.

    Raises:
        ValueError: An argument is outside its range; raised at once, not at the first batch.
    """
    taken: Iterator[Any] = pixels_in_batches(
        images, batch_size, seed=seed, epoch=epoch, start=start
    )
    # A generator expression, not a generator: the checks must run when they are called.
    return (to_float(pixels)[:, None] for pixels in taken)


@overload
def pixels_in_batches(
    images: NDArray[np.uint8], batch_size: int, *, seed: int, epoch: int, start: int = 0
) -> Iterator[NDArray[np.uint8]]: ...
@overload
def pixels_in_batches(
    images: Tensor, batch_size: int, *, seed: int, epoch: int, start: int = 0
) -> Iterator[Tensor]: ...
def pixels_in_batches(
    images: NDArray[np.uint8] | Tensor, batch_size: int, *, seed: int, epoch: int, start: int = 0
) -> Iterator[NDArray[np.uint8]] | Iterator[Tensor]:
    """The bytes that :func:`batches` makes floats of; arguments and errors as there.

    A recorded step takes a quarter of the memory so, and makes the floats where it reads them.

    Yields:
        uint8 (batch_size, height, width), a new array each time.
    """
    if not 1 <= batch_size <= len(images):
        raise ValueError(f"batch_size is {batch_size}; it must be 1 to {len(images)}, the images")
    count = len(images) // batch_size
    if not 0 <= start <= count:
        raise ValueError(f"start is {start}; it must be 0 to {count}, the batches of an epoch")
    order = shuffled(len(images), seed=seed, epoch=epoch)[: count * batch_size]
    rows = order.reshape(count, batch_size)[start:]
    if isinstance(images, Tensor):
        places = tensor(rows, device=images.device)
        return (images[places[k]] for k in range(len(rows)))
    return (images[row] for row in rows)


def shuffled(count: int, *, seed: int, epoch: int) -> NDArray[np.intp]:
    """The order of one epoch: a random permutation of 0 ... count - 1, intp (count,).

    It sorts random keys, because NumPy promises that a bit generator's numbers stay the same in
    every version, and does not promise it of ``Generator.permutation``.

    Args:
        count: How many elements to order.
        seed: Of the run, 0 to 2**64 - 1.
        epoch: 0 to 2**64 - 1.

    Raises:
        ValueError: The seed or the epoch is outside its range.

    Source:
        J. K. Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011 (Philox).
    """
    for name, value in (("seed", seed), ("epoch", epoch)):
        if not 0 <= value < 1 << 64:
            raise ValueError(f"{name} is {value}; it must be 0 to 2**64 - 1")
    keys = np.random.Philox(key=np.array([seed, epoch], np.uint64)).random_raw(count)
    return np.argsort(keys, kind="stable")  # equal keys keep their order on every processor


@overload
def to_float(images: NDArray[np.uint8]) -> NDArray[np.float32]: ...
@overload
def to_float(images: Tensor) -> Tensor: ...
def to_float(images: NDArray[np.uint8] | Tensor) -> NDArray[np.float32] | Tensor:
    """Map the bytes 0 ... 255 to floats in [-1, 1], the range of tanh: x / 127.5 - 1.

    Args:
        images: uint8, any shape.

    Returns:
        float32, the same shape.
    """
    # In place on one array; a table of the 256 values takes three times as long (np.take turns
    # its indices into 64-bit integers first).
    if isinstance(images, Tensor):
        return images.to(float32).div_(127.5).sub_(1)
    floats = images.astype(np.float32)
    floats /= np.float32(127.5)
    floats -= np.float32(1)
    return floats
