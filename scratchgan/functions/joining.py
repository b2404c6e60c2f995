"""Tensors joined and split, flipped and rolled, under PyTorch's names."""

import itertools
import operator
from collections.abc import Sequence
from typing import Any

from scratchgan import ops
from scratchgan.autograd.arguments import checked, may_be_named, tensors_of
from scratchgan.autograd.tensor import Tensor, method
from scratchgan.functions.beside import filled
from scratchgan.functions.shapes import (
    atleast_1d,
    atleast_2d,
    atleast_3d,
    flatten,
    reshape,
    sizes_of,
    transpose,
)

# --- Joined ------------------------------------------------------------------------------


@checked
def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """The tensors one after another along ``dim``; their other sizes are equal.

    Raises:
        IndexError: There is no such dimension.
        ValueError: There are no tensors, or their shapes do not fit together.
    """
    tensors = tensors_of("cat", tensors)
    shapes = [x.shape for x in tensors]
    if (0,) in shapes and any(len(shape) != 1 for shape in shapes):
        tensors = [x for x in tensors if x.shape != (0,)]  # nothing, of any shape
    return ops.cat(*tensors, dim=dim)


@checked
def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """The tensors, all of one shape, one after another along a new ``dim``.

    Raises:
        IndexError: ``dim`` is beyond the last place.
        ValueError: There are no tensors, or their shapes differ.
    """
    tensors = tensors_of("stack", tensors)
    shapes = {x.shape for x in tensors}
    if len(shapes) > 1:
        raise ValueError(f"stack: the shapes differ: {', '.join(map(str, sorted(shapes)))}")
    if not shapes:
        raise ValueError("stack: there are no tensors")
    (shape,) = shapes
    place = ops.dim_of("stack", dim, len(shape) + 1)
    if place == len(shape):
        return ops.cat(*[ops.reshape(x, shape=(*shape, 1)) for x in tensors], dim=place)
    # One after another along the dimension that comes to stand behind the new one.
    joined = ops.cat(*tensors, dim=place)
    return ops.reshape(joined, shape=(*shape[:place], len(tensors), *shape[place:]))


def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """The tensors side by side: along dim 1, or dim 0 of vectors."""
    tensors = [atleast_1d(x) for x in tensors_of("hstack", tensors)]
    return cat(tensors, 0 if tensors and tensors[0].ndim == 1 else 1)


def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """The tensors one below another; vectors are rows."""
    return cat([atleast_2d(x) for x in tensors_of("vstack", tensors)], 0)


row_stack = vstack


def dstack(tensors: Sequence[Tensor]) -> Tensor:
    """The tensors one behind another: along dim 2, of matrices a new one."""
    return cat([atleast_3d(x) for x in tensors_of("dstack", tensors)], 2)


def column_stack(tensors: Sequence[Tensor]) -> Tensor:
    """The tensors side by side; vectors are columns."""
    columns = tensors_of("column_stack", tensors)
    return cat([reshape(x, x.numel(), 1) if x.ndim < 2 else x for x in columns], 1)


def block_diag(*tensors: Tensor) -> Tensor:
    """Matrices along the diagonal of one, which is 0 elsewhere; vectors are rows.

    Raises:
        ValueError: One has more than two dimensions.
    """
    blocks = [atleast_2d(x) for x in tensors_of("block_diag", tensors)]
    if any(x.ndim > 2 for x in blocks):
        raise ValueError(f"block_diag: takes matrices, not {[x.shape for x in blocks]}")
    width, left, rows = sum(x.shape[1] for x in blocks), 0, []
    for x in blocks:
        before, after = (filled(x, (x.shape[0], n), 0) for n in (left, width - left - x.shape[1]))
        rows.append(cat([before, x, after], 1))
        left += x.shape[1]
    return cat(rows, 0)


# --- Split -------------------------------------------------------------------------------


@method()
@checked
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
    ends = itertools.accumulate(sizes)
    before = (slice(None),) * dim
    return tuple(
        [
            ops.view(tensor, index=(*before, slice(end - size, end)))
            for size, end in zip(sizes, ends, strict=True)
        ]
    )


@method()
@checked
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
@checked
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
@checked
def select(input: Tensor, dim: int, index: int) -> Tensor:
    """The slice at ``index`` along ``dim``, as a view without it.

    Raises:
        IndexError: There is no such dimension, or no such slice.
    """
    dim = ops.dim_of("select", dim, input.ndim)
    return ops.view(input, index=(*[slice(None)] * dim, operator.index(index)))


@method()
@checked
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


@method()
@checked
def split_with_sizes(input: Tensor, split_sizes: Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """:func:`split` into pieces of given sizes."""
    return split(input, list(split_sizes), ops.dim_of("split_with_sizes", dim, input.ndim))


@method()
@checked
def tensor_split(
    input: Tensor, indices_or_sections: int | Sequence[int] | Tensor, dim: int = 0
) -> tuple[Tensor, ...]:
    """Views along ``dim``: so many, as equal as may be; or cut before the given places.

    Raises:
        IndexError: There is no such dimension.
        ValueError: There are less than 1.
    """
    dim = ops.dim_of("tensor_split", dim, input.ndim)
    length = _length("tensor_split", input, dim)
    given = indices_or_sections
    if isinstance(given, Tensor):
        given = given.tolist()
    if isinstance(given, Sequence):
        cuts = [range(length)[:place].stop for place in given]
    else:
        count = operator.index(given)
        if count < 1:
            raise ValueError(f"tensor_split: {count} pieces; there must be 1 or more")
        small, more = divmod(length, count)
        cuts = [i * small + min(i, more) for i in range(1, count)]
    before = (slice(None),) * dim
    return tuple(
        ops.view(input, index=(*before, slice(start, max(start, end))))
        for start, end in itertools.pairwise([0, *cuts, length])
    )


def _split_along(name: str, input: Tensor, given: Any, dim: int) -> tuple[Tensor, ...]:
    if isinstance(given, int) and (given < 1 or input.shape[dim] % given):
        raise ValueError(f"{name}: {given} equal pieces do not make {input.shape[dim]}")
    return tensor_split(input, given, dim)


@method()
@checked
def hsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """:func:`tensor_split` into equal pieces, or at places, along dim 1, or dim 0 of a vector.

    Raises:
        ValueError: It has no dimension, or there are no equal pieces.
    """
    if not input.ndim:
        raise ValueError("hsplit: a tensor without dimensions cannot be taken apart")
    return _split_along("hsplit", input, indices_or_sections, min(input.ndim - 1, 1))


@method()
@checked
def vsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """:func:`tensor_split` into equal pieces, or at places, along dim 0; errors as hsplit."""
    if input.ndim < 2:
        raise ValueError(f"vsplit: takes 2 dimensions or more, not the shape {input.shape}")
    return _split_along("vsplit", input, indices_or_sections, 0)


@method()
@checked
def dsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """:func:`tensor_split` into equal pieces, or at places, along dim 2; errors as hsplit."""
    if input.ndim < 3:
        raise ValueError(f"dsplit: takes 3 dimensions or more, not the shape {input.shape}")
    return _split_along("dsplit", input, indices_or_sections, 2)


# --- Flipped and rolled ------------------------------------------------------------------


@method()
@checked
@may_be_named
def flip(input: Tensor, *dims: Any) -> Tensor:
    """A copy whose elements stand in reverse along ``dims``.

    Raises:
        IndexError: There is no such dimension.
    """
    named = sizes_of("flip", dims)
    turned = set(ops.dims_of("flip", named, input.ndim)) if named else set()
    if not input.ndim:
        return input.clone()
    backwards = [slice(None, None, -1 if i in turned else 1) for i in range(input.ndim)]
    return ops.view(input, index=tuple(backwards)).clone()


@method()
@checked
def fliplr(input: Tensor) -> Tensor:
    """A copy whose columns stand in reverse.

    Raises:
        ValueError: It has less than two dimensions.
    """
    if input.ndim < 2:
        raise ValueError(f"fliplr: takes 2 dimensions or more, not the shape {input.shape}")
    return flip(input, 1)


@method()
@checked
def flipud(input: Tensor) -> Tensor:
    """A copy whose rows stand in reverse.

    Raises:
        ValueError: It has no dimension.
    """
    if not input.ndim:
        raise ValueError("flipud: takes 1 dimension or more, not a number")
    return flip(input, 0)


@method()
@checked
def rot90(input: Tensor, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """A copy turned ``k`` times by 90 degrees, from the first of two ``dims`` to the second.

    Raises:
        IndexError: There is no such dimension.
        ValueError: There are not two different ones.
    """
    (k,), dims = sizes_of("rot90", (k,)), sizes_of("rot90", (dims,))
    if len(dims) != 2 or input.ndim < 2:
        raise ValueError(f"rot90: turns two dims, not {dims} of the shape {input.shape}")
    first, second = (ops.dim_of("rot90", dim, input.ndim) for dim in dims)
    if first == second:
        raise ValueError(f"rot90: the dims {dims} are one")
    if k % 4 == 2:
        return flip(input, first, second)
    if k % 4 == 1:
        return transpose(flip(input, second), first, second).clone()
    return transpose(flip(input, first), first, second).clone() if k % 4 else input.clone()


@method()
@checked
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
