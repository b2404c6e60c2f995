"""Copies in which a part has other elements, under PyTorch's names."""

import operator
from collections.abc import Sequence
from typing import Any

from scratchgan import dtypes, ops
from scratchgan.autograd.arguments import checked, common_shape
from scratchgan.autograd.tensor import Tensor, method
from scratchgan.functions.arithmetic import clamp
from scratchgan.functions.beside import filled
from scratchgan.functions.indexing import parse_index
from scratchgan.functions.matrices import two_dims
from scratchgan.functions.scans import cumsum
from scratchgan.functions.shapes import flatten, reshape


def _require_shape(name: str, src: Tensor, wanted: tuple[int, ...]) -> None:
    if src.shape != wanted:
        raise ValueError(f"{name}: src has the shape {src.shape}; the part has {wanted}")


def _written(name: str, input: Tensor, src: Tensor, index: tuple[Any, ...]) -> Tensor:
    """A copy of ``input`` with ``src`` at integers and slices."""
    _require_shape(name, src, ops.view(input.detach(), index=index).shape)
    return ops.put(input, src.to(input.dtype), template=index)


@method()
@checked
def select_scatter(input: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    """A copy with ``src`` as the slice ``index`` along ``dim``.

    Raises:
        IndexError: There is no such dimension, or no such slice.
        ValueError: The slice has another shape.
    """
    dim = ops.dim_of("select_scatter", dim, input.ndim)
    if not input.ndim or not -input.shape[dim] <= index < input.shape[dim]:
        raise IndexError(f"select_scatter: no slice {index} along dim {dim} of {input.shape}")
    return _written("select_scatter", input, src, (*[slice(None)] * dim, index))


@method()
@checked
def slice_scatter(
    input: Tensor,
    src: Tensor,
    dim: int = 0,
    start: int | None = None,
    end: int | None = None,
    step: int = 1,
) -> Tensor:
    """A copy with ``src`` as the slices from ``start`` to before ``end`` along ``dim``.

    Raises:
        IndexError: There is no such dimension.
        ValueError: The slices have another shape, or ``step`` is not positive.
    """
    dim = ops.dim_of("slice_scatter", dim, input.ndim)
    if step < 1:
        raise ValueError(f"slice_scatter: step is {step}; it must be 1 or more")
    index = (*[slice(None)] * dim, slice(start, end, step))
    return _written("slice_scatter", input, src, index)


@method()
@checked
def diagonal_scatter(
    input: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1
) -> Tensor:
    """A copy with ``src`` as the diagonal; arguments as of :func:`diagonal`.

    Raises:
        IndexError: There is no such dimension.
        ValueError: The diagonal has another shape, or the dimensions are one.
    """
    dims = two_dims("diagonal_scatter", dim1, dim2, input.ndim)
    offset = operator.index(offset)
    part = ops.diagonal(input.detach(), offset=offset, dims=dims)
    _require_shape("diagonal_scatter", src, part.shape)
    is_written, written = (
        ops.on_diagonal(x, shape=input.shape, offset=offset, dims=dims)
        for x in (filled(input, part.shape, True, dtypes.bool_), src.to(input.dtype))
    )
    return ops.where(is_written, written, input)


@method()
@checked
def take(input: Tensor, index: Tensor) -> Tensor:
    """The elements at places in row-major order, in the shape of ``index``.

    Raises:
        IndexError: There is no such place.
        TypeError: The places are not int64.
    """
    if index.dtype != dtypes.int64:
        raise TypeError(f"take: the index is int64, not {index.dtype}")
    if index.numel() and not input.numel():
        raise IndexError(f"take: no elements in a tensor of shape {input.shape}")
    index = ops.where(ops.lt(index, 0), index + input.numel(), index)
    return ops.gather(flatten(input), index, template=("array",))


@method()
@checked
def put(input: Tensor, index: Tensor, source: Tensor, accumulate: bool = False) -> Tensor:
    """A copy with ``source`` at places in row-major order, or added there.

    Raises:
        IndexError: There is no such place.
        TypeError: The places are not int64, or the types differ.
        ValueError: There are not as many elements as places.
    """
    if index.dtype != dtypes.int64 or source.dtype != input.dtype:
        raise TypeError(
            f"put: index is int64 and source as input, not {index.dtype}, {source.dtype} and "
            f"{input.dtype}"
        )
    if index.numel() != source.numel():
        raise ValueError(f"put: {source.numel()} elements for {index.numel()} places")
    line = index_put(flatten(input), (flatten(index),), flatten(source), accumulate)
    return reshape(line, input.shape)


@method()
@checked
def index_put(
    input: Tensor, indices: Sequence[Tensor], values: Tensor, accumulate: bool = False
) -> Tensor:
    """A copy with ``values`` where ``input[indices]`` is, or added there.

    Args:
        input: Of any shape.
        indices: Integers or masks, one for each of the first dimensions.
        values: What broadcasts to that part.
        accumulate: Whether to add; then places that are named twice get both.

    Raises:
        IndexError: As ``input[indices]`` does.
        TypeError: The types differ.
        ValueError: The values do not broadcast to that part.
    """
    if values.dtype != input.dtype:
        raise TypeError(f"index_put: the types {input.dtype} and {values.dtype} differ")
    _, template, places = parse_index(input, tuple(indices))
    if not accumulate:
        return ops.put(input, values, *places, template=template)
    part = ops.gather(input, *places, template=template)
    try:
        added = values.broadcast_to(part.shape)
    except ValueError:
        raise ValueError(
            f"index_put: values of shape {values.shape} do not broadcast to {part.shape}"
        ) from None
    return input + ops.scatter_add(added, *places, shape=input.shape, template=template)


@method()
@checked
def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """A copy with the first elements of ``source``, in order, where ``mask`` is true.

    Raises:
        TypeError: The mask is not made of booleans, or the types differ.
        ValueError: There are not so many elements, or the shapes do not broadcast together.
    """
    if mask.dtype != dtypes.bool_ or source.dtype != input.dtype:
        raise TypeError(
            f"masked_scatter: mask is bool and source as input, not {mask.dtype}, {source.dtype} "
            f"and {input.dtype}"
        )
    shape = common_shape("masked_scatter", input.shape, mask.shape)
    spread = flatten(mask.broadcast_to(shape))
    count = int(spread.sum().item())
    if source.numel() < count:
        raise ValueError(
            f"masked_scatter: {source.numel()} elements for {count} places that are true"
        )
    if not count:
        return input.broadcast_to(shape).clone()
    places = clamp(cumsum(spread, 0) - 1, min=0)
    taken = ops.gather(flatten(source), places, template=("array",))
    return ops.where(reshape(spread, shape), reshape(taken, shape), input)
