"""Tensors joined and split, flipped and rolled, under PyTorch's names."""

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from scratchgan import ops
from scratchgan.autograd.tensor import Tensor, method
from scratchgan.functions.shapes import flatten, reshape, sizes_of, unsqueeze
from scratchgan.functions.words import numpy_words

# --- Joined ------------------------------------------------------------------------------


@numpy_words
def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """The tensors one after another along ``dim``; their other sizes are equal.

    Raises:
        IndexError: There is no such dimension.
        ValueError: There are no tensors, or their shapes do not fit together.
    """
    shapes = [x.shape for x in tensors]
    if (0,) in shapes and any(len(shape) != 1 for shape in shapes):
        tensors = [x for x in tensors if x.shape != (0,)]  # nothing, of any shape
    return ops.concatenate(*tensors, dim=dim)


@numpy_words
def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """The tensors, all of one shape, one after another along a new ``dim``.

    Raises:
        IndexError: ``dim`` is beyond the last place.
        ValueError: There are no tensors, or their shapes differ.
    """
    shapes = {x.shape for x in tensors}
    if len(shapes) > 1:
        raise ValueError(f"stack: the shapes differ: {', '.join(map(str, sorted(shapes)))}")
    return cat([unsqueeze(x, dim) for x in tensors], dim)


def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """The tensors side by side: along dim 1, or dim 0 of vectors."""
    tensors = [reshape(x, 1) if not x.ndim else x for x in tensors]
    return cat(tensors, 0 if tensors and tensors[0].ndim == 1 else 1)


def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """The tensors one below another; vectors are rows."""
    return cat([reshape(x, 1, x.numel()) if x.ndim < 2 else x for x in tensors], 0)


# --- Split -------------------------------------------------------------------------------


@method()
@numpy_words
def split(
    tensor: Tensor, split_size_or_sections: int | Sequence[int], dim: int = 0
) -> tuple[Tensor, ...]:
    """Views along ``dim``: of that many slices each (the last the rest), or of given sizes.

    Raises:
        IndexError: There is no such dimension.
        ValueError: A size is negative, or they do not add up to the length.
    """
    dim = ops.dim_of("split", dim, tensor.ndim)
    length = _length("split", tensor, dim)
    if isinstance(split_size_or_sections, Sequence):
        sizes = list(sizes_of("split", (tuple(split_size_or_sections),)))
    else:
        size = operator.index(split_size_or_sections)
        if size < 0 or (size == 0 and length):
            raise ValueError(f"split: pieces of {size} slices do not make {length}")
        starts = range(0, length, size) if length else range(1)
        sizes = [min(size, length - start) for start in starts]
    if sum(sizes) != length or min(sizes, default=0) < 0:
        raise ValueError(f"split: the sizes {sizes} do not add up to {length}")
    ends = list(np.cumsum(sizes).tolist())
    before = (slice(None),) * dim
    return tuple(
        ops.view(tensor, index=(*before, slice(end - size, end)))
        for size, end in zip(sizes, ends, strict=True)
    )


@method()
@numpy_words
def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most ``chunks`` views of equal size along ``dim`` (the last may be shorter).

    Raises:
        IndexError: There is no such dimension.
        ValueError: ``chunks`` is less than 1.
    """
    dim = ops.dim_of("chunk", dim, input.ndim)
    length = _length("chunk", input, dim)
    if operator.index(chunks) < 1:
        raise ValueError(f"chunk: chunks is {chunks}; it must be 1 or more")
    if not length:
        return split(input, [0] * chunks, dim)
    return split(input, -(-length // chunks), dim)


@method()
@numpy_words
def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """The slices along ``dim``, as views without it.

    Raises:
        IndexError: There is no such dimension.
    """
    dim = ops.dim_of("unbind", dim, input.ndim)
    before = (slice(None),) * dim
    length = _length("unbind", input, dim)
    return tuple(ops.view(input, index=(*before, i)) for i in range(length))


@method()
@numpy_words
def select(input: Tensor, dim: int, index: int) -> Tensor:
    """The slice at ``index`` along ``dim``, as a view without it.

    Raises:
        IndexError: There is no such dimension, or no such slice.
    """
    dim = ops.dim_of("select", dim, input.ndim)
    return ops.view(input, index=(*[slice(None)] * dim, operator.index(index)))


@method()
@numpy_words
def narrow(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    """``length`` slices from ``start`` on along ``dim``, as a view.

    Raises:
        IndexError: There is no such dimension.
        ValueError: There are not so many slices.
    """
    dim = ops.dim_of("narrow", dim, input.ndim)
    size = _length("narrow", input, dim)
    begin = start + size if start < 0 else start
    if not 0 <= begin <= begin + length <= size:
        raise ValueError(f"narrow: there are no {length} slices from {start} on among {size}")
    return ops.view(input, index=(*[slice(None)] * dim, slice(begin, begin + length)))


def _length(name: str, x: Tensor, dim: int) -> int:
    if not x.ndim:
        raise ValueError(f"{name}: a tensor without dimensions cannot be taken apart")
    return x.shape[dim]


# --- Flipped and rolled ------------------------------------------------------------------


@method()
def flip(input: Tensor, *along: Any, dims: Any = ()) -> Tensor:
    """A copy whose elements stand in reverse along ``dims``, which may be given by position.

    Raises:
        IndexError: There is no such dimension.
    """
    named = sizes_of("flip", along or (dims,) if isinstance(dims, int) else along or (tuple(dims),))
    turned = set(ops.dims_of("flip", named, input.ndim)) if named else set()
    if not input.ndim:
        return input.clone()
    backwards = [slice(None, None, -1 if i in turned else 1) for i in range(input.ndim)]
    return ops.view(input, index=tuple(backwards)).clone()


@method()
def roll(input: Tensor, shifts: Any, dims: Any = None) -> Tensor:
    """A copy moved on by ``shifts`` along ``dims``; what falls off comes in at the other end.

    Args:
        input: Of any shape.
        shifts: One number, or one for each of ``dims``.
        dims: One, or several; without them the elements move in row-major order.

    Raises:
        IndexError: There is no such dimension.
        ValueError: There are not as many shifts as dimensions.
    """
    if dims is None:
        return reshape(roll(flatten(input), shifts, 0), input.shape)
    moves, along = (
        list(x) if isinstance(x, Sequence) else [operator.index(x)] for x in (shifts, dims)
    )
    if len(moves) != len(along):
        raise ValueError(f"roll: {len(moves)} shifts for {len(along)} dims")
    rolled = input
    for shift, dim in zip(moves, along, strict=True):
        if not input.ndim:
            raise IndexError(f"roll: dim {dim} of a tensor that has none; leave dims out")
        dim = ops.dim_of("roll", dim, input.ndim)
        if input.numel():
            cut = -shift % input.shape[dim]
            rolled = cat(split(rolled, [cut, input.shape[dim] - cut], dim)[::-1], dim)
    return rolled.clone() if rolled is input else rolled
