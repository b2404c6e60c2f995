"""Batches in an order that (seed, epoch) decides, as the floats that the networks take."""

from collections.abc import Iterator
from typing import overload

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
    places = index_batches(len(images), batch_size, seed=seed, epoch=epoch, start=start)
    # A generator expression, not a generator: the checks must run when they are called.
    if isinstance(images, Tensor):
        device = images.device
        return (to_float(images[tensor(rows, device=device)]).unsqueeze(1) for rows in places)
    return (to_float(images[rows])[:, None] for rows in places)


def index_batches(
    count: int, batch_size: int, *, seed: int, epoch: int, start: int = 0
) -> Iterator[NDArray[np.intp]]:
    """The places of the images in each batch that :func:`batches` yields; errors as there.

    Args:
        count: How many images there are.
        batch_size: Images per batch, 1 to ``count``.
        seed: As there.
        epoch: As there.
        start: As there.

    Yields:
        intp (batch_size,).
    """
    if not 1 <= batch_size <= count:
        raise ValueError(f"batch_size is {batch_size}; it must be 1 to {count}, the images")
    whole = count // batch_size
    if not 0 <= start <= whole:
        raise ValueError(f"start is {start}; it must be 0 to {whole}, the batches of an epoch")
    order = shuffled(count, seed=seed, epoch=epoch)[: whole * batch_size]
    return iter(order.reshape(whole, batch_size)[start:])


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
