"""Tensors repeated to a larger shape, and summed back to a smaller, under PyTorch's names."""

import itertools
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from scratchgan import dtypes, ops
from scratchgan.autograd.arguments import checked, common_shape, may_be_named, tensors_of
from scratchgan.autograd.tensor import Tensor, method
from scratchgan.functions.beside import filled, from_host, places_beside
from scratchgan.functions.shapes import reshape, sizes_of, transpose

# --- Without a copy ----------------------------------------------------------------------


@method()
@checked
@may_be_named
def broadcast_to(input: Tensor, *size: Any) -> Tensor:
    """``input`` repeated without a copy so that it has a shape.

    Raises:
        ValueError: Its shape does not broadcast to that.
    """
    wanted = sizes_of("broadcast_to", size)
    try:
        fits = min(wanted, default=0) >= 0 and np.broadcast_shapes(input.shape, wanted) == wanted
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"broadcast_to: the shape {input.shape} does not broadcast to {wanted}")
    return ops.expand(input, shape=wanted)


@method()
@checked
@may_be_named
def expand(input: Tensor, *size: Any) -> Tensor:
    """As :func:`broadcast_to`; a size of -1 stays as it is.

    Raises:
        ValueError: The shape does not broadcast to that.
    """
    wanted = sizes_of("expand", size)
    new = len(wanted) - input.ndim
    filled = tuple(
        [input.shape[i - new] if n == -1 and i >= new else n for i, n in enumerate(wanted)]
    )
    try:
        return broadcast_to(input, filled)
    except ValueError:
        raise ValueError(f"expand: the shape {input.shape} does not expand to {wanted}") from None


@method()
@checked
def expand_as(input: Tensor, other: Tensor) -> Tensor:
    """``input.expand(other.shape)``."""
    return expand(input, other.shape)


def broadcast_tensors(*tensors: Tensor) -> tuple[Tensor, ...]:
    """All tensors in the shape that they broadcast to.

    Raises:
        ValueError: They do not broadcast together.
    """
    given = tensors_of("broadcast_tensors", tensors)
    shape = common_shape("broadcast_tensors", *[x.shape for x in given])
    return tuple([x.broadcast_to(shape) for x in given])


def meshgrid(*tensors: Any, indexing: str = "ij") -> tuple[Tensor, ...]:
    """The coordinates of a grid, from those along each of its dimensions.

    Args:
        tensors: Vectors, or one list of them.
        indexing: ``"ij"``, or ``"xy"``, where the first two dimensions change places.

    Raises:
        ValueError: There is no such indexing, or one is no vector.
    """
    if len(tensors) == 1 and isinstance(tensors[0], Sequence):
        tensors = tuple(tensors[0])
    given = tensors_of("meshgrid", tensors)
    if indexing not in ("ij", "xy"):
        raise ValueError(f"meshgrid: indexing is {indexing!r}; choose ij or xy")
    if any(x.ndim > 1 for x in given):
        raise ValueError("meshgrid: takes vectors")
    vectors = [reshape(x, -1) for x in given]
    turned = indexing == "xy" and len(vectors) > 1
    if turned:
        vectors[0], vectors[1] = vectors[1], vectors[0]
    shape = tuple(operator.index(x.numel()) for x in vectors)
    grids = [
        reshape(x, [-1 if k == i else 1 for k in range(len(vectors))]).broadcast_to(shape)
        for i, x in enumerate(vectors)
    ]
    if turned:
        grids = [transpose(x, 0, 1) for x in grids]
        grids[0], grids[1] = grids[1], grids[0]
    return tuple(grids)


def broadcast_shapes(*shapes: Any) -> tuple[int, ...]:
    """The shape that several broadcast to; a number is the shape of a vector.

    Raises:
        ValueError: They do not broadcast together.
    """
    return common_shape("broadcast_shapes", *shapes)


# --- As a copy ---------------------------------------------------------------------------


@method()
@checked
@may_be_named
def repeat(input: Tensor, *repeats: Any) -> Tensor:
    """A copy with each dimension that many times one after another, new ones in front.

    Raises:
        ValueError: There are fewer numbers than dimensions, or one is negative.
    """
    return _repeated("repeat", input, sizes_of("repeat", repeats))


def _repeated(name: str, input: Tensor, times: tuple[int, ...]) -> Tensor:
    new = len(times) - input.ndim
    if new < 0 or min(times, default=0) < 0:
        raise ValueError(f"{name}: {times} does not say how often to repeat {input.ndim} dims")
    shape = (*[1] * new, *input.shape)
    apart = reshape(input, *[size for n in shape for size in (1, n)])
    wide = ops.expand_copy(
        apart, shape=tuple([size for n, k in zip(shape, times, strict=True) for size in (k, n)])
    )
    return reshape(wide, *[n * k for n, k in zip(shape, times, strict=True)])


@method()
@checked
@may_be_named
def tile(input: Tensor, *dims: Any) -> Tensor:
    """As :func:`repeat`; dimensions that no number is given for are not repeated."""
    times = sizes_of("tile", dims)
    return _repeated("tile", input, (*[1] * (input.ndim - len(times)), *times))


@method()
@checked
def repeat_interleave(
    input: Tensor, repeats: Any, dim: int | None = None, *, output_size: int | None = None
) -> Tensor:
    """Each slice along ``dim`` that many times, one after another.

    Args:
        input: Of any shape.
        repeats: A number, or one for each slice.
        dim: None for all elements, in row-major order.
        output_size: Nothing: in PyTorch it saves counting.

    Raises:
        IndexError: There is no such dimension.
        ValueError: A number is negative, or there are not as many as slices.
    """
    if dim is None:
        return repeat_interleave(reshape(input, -1), repeats, 0)
    dim = ops.dim_of("repeat_interleave", dim, input.ndim)
    x = input if input.ndim else reshape(input, 1)
    counts = np.asarray(repeats.tolist() if isinstance(repeats, Tensor) else repeats)
    if counts.dtype.kind not in "iu" or (counts < 0).any():
        raise ValueError("repeat_interleave: repeats must be integers from 0 on")
    if counts.ndim and counts.size not in (1, x.shape[dim]):
        raise ValueError(f"repeat_interleave: {counts.size} repeats for {x.shape[dim]} slices")
    places = np.repeat(np.arange(x.shape[dim]), counts.reshape(-1))
    # Many numbers may be data, of which jit must know.
    index = from_host(x, places, dtypes.int64) if counts.ndim else places_beside(x, places)
    return ops.gather(x, index, template=(*[slice(None)] * dim, "array"))


def cartesian_prod(*tensors: Tensor) -> Tensor:
    """All choices of one element of each vector, as rows; of one vector it is that.

    Raises:
        ValueError: One is no vector.
    """
    vectors = tensors_of("cartesian_prod", tensors)
    for x in vectors:
        if x.ndim != 1:
            raise ValueError(f"cartesian_prod: takes vectors, not the shape {x.shape}")
    if len(vectors) == 1:
        return vectors[0]
    columns = [reshape(x, -1, 1) for x in meshgrid(*vectors)]
    return ops.cat(*columns, dim=1)


@method()
@checked
def combinations(input: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    """All choices of ``r`` elements of a vector in their order, as rows.

    Args:
        input: A vector.
        r: How many.
        with_replacement: Whether one may be taken again.

    Raises:
        ValueError: No vector, or ``r`` is negative.
    """
    if input.ndim != 1 or r < 0:
        raise ValueError(f"combinations: of a vector, not of shape {input.shape}; r is {r}")
    if not r:
        return filled(input, (0,), 0)
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    places = np.array([*choose(range(input.numel()), r)], np.int64).reshape(-1, r)
    return ops.gather(input, places_beside(input, places), template=("array",))


# --- Summed back -------------------------------------------------------------------------


@method()
@checked
@may_be_named
def sum_to_size(input: Tensor, *size: Any) -> Tensor:
    """Summed over the dimensions that a shape lacks or has as 1: broadcast_to transposed.

    Raises:
        ValueError: It is not that shape broadcast.
    """
    wanted = sizes_of("sum_to_size", size)
    extra = input.ndim - len(wanted)
    if extra < 0 or any(n not in (1, m) for n, m in zip(wanted, input.shape[extra:], strict=True)):
        raise ValueError(f"sum_to_size: the shape {input.shape} is not {wanted} broadcast")
    dims = tuple(range(extra)) + tuple(
        [i + extra for i, n in enumerate(wanted) if n == 1 and input.shape[i + extra] != 1]
    )
    if not wanted:
        return ops.sum(input, dim=None, keepdim=False)
    total: Tensor = ops.sum(input, dim=dims, keepdim=False) if dims else input
    return total if total.shape == wanted else reshape(total, wanted)
