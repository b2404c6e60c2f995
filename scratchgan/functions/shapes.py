"""Functions that change shapes and do no arithmetic, under PyTorch's names."""

import math
import operator
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from scratchgan import ops
from scratchgan.autograd.tensor import Tensor, method
from scratchgan.functions.words import numpy_words
from scratchgan.ops import Dims


def sizes_of(name: str, shape: tuple[Any, ...]) -> tuple[int, ...]:
    """The sizes of ``f(2, 3)`` and of ``f((2, 3))``, which mean the same.

    Raises:
        TypeError: They are no integers.
    """
    given = shape
    if len(shape) == 1 and isinstance(shape[0], Sequence):
        given = tuple(shape[0])
    try:
        return tuple([operator.index(size) for size in given])
    except TypeError:
        raise TypeError(f"{name}: a shape is made of integers, not {given}") from None


# --- The same elements under another shape ----------------------------------------------


@method()
def reshape(input: Tensor, *shape: Any) -> Tensor:
    """The elements in row-major order under another shape; one size may be -1, for "the rest".

    Shares memory where that is possible, else copies.

    Raises:
        ValueError: The sizes do not fit.
    """
    wanted = _filled("reshape", input, shape)
    return ops.reshape(input if _can_be_seen_as(input, wanted) else input.clone(), shape=wanted)


@method()
def view(input: Tensor, *shape: Any) -> Tensor:
    """As :func:`reshape`, and it never copies.

    Raises:
        ValueError: The sizes do not fit, or the memory cannot be seen in that shape.
    """
    wanted = _filled("view", input, shape)
    if not _can_be_seen_as(input, wanted):
        raise ValueError(
            f"view: a tensor of shape {input.shape} cannot be seen as {wanted}, since its elements "
            "do not lie in memory in that order; use reshape, which copies"
        )
    return ops.reshape(input, shape=wanted)


@method()
def view_as(input: Tensor, other: Tensor) -> Tensor:
    """``input.view(other.shape)``."""
    return view(input, other.shape)


def _filled(name: str, input: Tensor, shape: tuple[Any, ...]) -> tuple[int, ...]:
    wanted = sizes_of(name, shape)
    filled = _with_rest(wanted, input.numel())
    if filled is None:
        raise ValueError(
            f"{name}: {input.numel()} elements of shape {input.shape} do not fit {wanted}"
        )
    return filled


def _with_rest(sizes: tuple[int, ...], count: int) -> tuple[int, ...] | None:
    """The sizes of ``count`` elements, of which one may be -1, for "the rest"; or None."""
    known = math.prod([size for size in sizes if size != -1])
    if -1 in sizes and known:
        sizes = tuple([count // known if size == -1 else size for size in sizes])
    fits = math.prod(sizes) == count and min(sizes, default=0) >= 0
    return sizes if fits else None


def _can_be_seen_as(x: Tensor, wanted: tuple[int, ...]) -> bool:
    """Whether the memory of ``x``, of the same size, holds ``wanted`` at regular distances."""
    array = x.array
    if array.flags.c_contiguous or not array.size:
        return True
    old = [(n, step) for n, step in zip(array.shape, array.strides, strict=True) if n != 1]
    new = [n for n in wanted if n != 1]
    while old:
        # The fewest old and new dimensions that hold equally many elements.
        taken, rows, count = 1, 1, new[0]
        elements = old[0][0]
        while elements != count:
            if elements < count:
                elements *= old[taken][0]
                taken += 1
            else:
                count *= new[rows]
                rows += 1
        if any(step != after * n for (_, step), (n, after) in pairwise(old[:taken])):
            return False
        old, new = old[taken:], new[rows:]
    return True


@method()
def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """The dimensions from ``start_dim`` to ``end_dim`` as one.

    Raises:
        IndexError: There is no such dimension.
        ValueError: The first comes after the last.
    """
    start, end = (ops.dim_of("flatten", dim, input.ndim) for dim in (start_dim, end_dim))
    if start > end:
        raise ValueError(f"flatten: start_dim {start_dim} comes after end_dim {end_dim}")
    shape = input.shape
    if not shape:
        return reshape(input, 1)
    return reshape(input, *shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :])


@method()
def unflatten(input: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """The dimension ``dim`` as several, of ``sizes``; one may be -1, for "the rest".

    Raises:
        IndexError: There is no such dimension.
        ValueError: The sizes do not fit.
    """
    dim = ops.dim_of("unflatten", dim, input.ndim)
    shape = input.shape or (1,)
    part = _with_rest(sizes_of("unflatten", (sizes,)), shape[dim])
    if part is None:
        raise ValueError(f"unflatten: {shape[dim]} elements along dim {dim} do not fit {sizes}")
    return reshape(input, *shape[:dim], *part, *shape[dim + 1 :])


@method()
@numpy_words
def squeeze(input: Tensor, dim: Dims = None) -> Tensor:
    """Without those of ``dim`` (all, if None) that have size 1; the same memory.

    Raises:
        IndexError: There is no such dimension.
    """
    is_none = isinstance(dim, tuple | list) and not dim
    dims = () if is_none else ops.dims_of("squeeze", dim, input.ndim)
    gone = [i in dims and n == 1 for i, n in enumerate(input.shape)]
    return ops.view(input, index=tuple([0 if one else slice(None) for one in gone]))


@method()
@numpy_words
def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """With a new dimension of size 1 at ``dim``; the same memory.

    Raises:
        IndexError: ``dim`` is beyond the last place.
    """
    dim = ops.dim_of("unsqueeze", dim, input.ndim + 1)
    return ops.view(input, index=(*[slice(None)] * dim, None))


# --- Dimensions in another order --------------------------------------------------------


@method()
def permute(input: Tensor, *dims: Any) -> Tensor:
    """The dimensions in another order, which names each once; the same memory.

    Raises:
        ValueError: One is missing, or stands twice.
    """
    order = sizes_of("permute", dims)
    wanted = tuple([dim + input.ndim if -input.ndim <= dim < 0 else dim for dim in order])
    if sorted(wanted) != list(range(input.ndim)):
        raise ValueError(f"permute: {order} does not name each of the {input.ndim} dims once")
    return ops.permute(input, dims=wanted)


@method("transpose", "swapaxes", "swapdims")
def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two dimensions exchanged; the same memory.

    Raises:
        IndexError: There is no such dimension.
    """
    first, second = (ops.dim_of("transpose", dim, input.ndim) for dim in (dim0, dim1))
    order = list(range(input.ndim))
    if order:
        order[first], order[second] = order[second], order[first]
    return ops.permute(input, dims=tuple(order))


@method()
def t(input: Tensor) -> Tensor:
    """A matrix transposed; what has fewer dimensions as it is.

    Raises:
        ValueError: It has more than two dimensions.
    """
    if input.ndim > 2:
        raise ValueError(f"t: of a matrix, not of shape {input.shape}; use transpose or mT")
    return ops.permute(input, dims=tuple(reversed(range(input.ndim))))


@method()
def movedim(input: Tensor, source: Any, destination: Any) -> Tensor:
    """The dimensions ``source`` (one or several) at the places ``destination``; the same memory.

    Raises:
        IndexError: There is no such dimension.
        ValueError: They are not equally many, or one stands twice.
    """
    given = [list(x) if isinstance(x, Sequence) else [x] for x in (source, destination)]
    froms, tos = ([ops.dim_of("movedim", d, input.ndim) for d in dims] for dims in given)
    if len(froms) != len(tos) or len(set(froms)) < len(froms) or len(set(tos)) < len(tos):
        raise ValueError(f"movedim: {source} cannot go to {destination}")
    rest = iter([dim for dim in range(input.ndim) if dim not in froms])
    places = dict(zip(tos, froms, strict=True))
    order = [places[i] if i in places else next(rest) for i in range(input.ndim)]
    return ops.permute(input, dims=tuple(order))


method("T")(property(lambda x: ops.permute(x, dims=tuple(reversed(range(x.ndim))))))
method("mT")(property(lambda x: transpose(x, -2, -1)))


# --- Repeated, and summed back ----------------------------------------------------------


@method()
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
def expand_as(input: Tensor, other: Tensor) -> Tensor:
    """``input.expand(other.shape)``."""
    return expand(input, other.shape)


@method()
def repeat(input: Tensor, *repeats: Any) -> Tensor:
    """A copy with each dimension that many times one after another, new ones in front.

    Raises:
        ValueError: There are fewer numbers than dimensions, or one is negative.
    """
    times = sizes_of("repeat", repeats)
    new = len(times) - input.ndim
    if new < 0 or min(times, default=0) < 0:
        raise ValueError(f"repeat: {times} does not say how often to repeat {input.ndim} dims")
    shape = (*[1] * new, *input.shape)
    apart = reshape(input, *[size for n in shape for size in (1, n)])
    wide = ops.expand_copy(
        apart, shape=tuple([size for n, k in zip(shape, times, strict=True) for size in (k, n)])
    )
    return reshape(wide, *[n * k for n, k in zip(shape, times, strict=True)])


@method()
def tile(input: Tensor, *dims: Any) -> Tensor:
    """As :func:`repeat`; dimensions that no number is given for are not repeated."""
    times = sizes_of("tile", dims)
    return repeat(input, *[1] * (input.ndim - len(times)), *times)


@method()
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


# --- Together, and apart ------------------------------------------------------------------


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


def _length(name: str, x: Tensor, dim: int) -> int:
    if not x.ndim:
        raise ValueError(f"{name}: a tensor without dimensions cannot be taken apart")
    return x.shape[dim]


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


# --- Turned and moved ---------------------------------------------------------------------


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
        dim = ops.dim_of("roll", dim, input.ndim)
        if input.numel() and input.ndim:
            cut = -shift % input.shape[dim]
            rolled = cat(split(rolled, [cut, input.shape[dim] - cut], dim)[::-1], dim)
    return rolled.clone() if rolled is input else rolled
