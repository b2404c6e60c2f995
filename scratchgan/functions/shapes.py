"""Functions that change shapes and do no arithmetic, under PyTorch's names."""

import math
import operator
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from scratchgan import ops
from scratchgan.autograd.arguments import checked, may_be_named, tensors_of
from scratchgan.autograd.tensor import Tensor, method
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
        raise TypeError(f"{name}: sizes and dims are integers, not {given}") from None


# --- The same elements under another shape -----------------------------------------------


@method()
@checked
@may_be_named
def reshape(input: Tensor, *shape: Any) -> Tensor:
    """The elements in row-major order under another shape; one size may be -1, for "the rest".

    Shares memory where that is possible, else copies.

    Raises:
        ValueError: The sizes do not fit.
    """
    wanted = _filled("reshape", input, shape)
    return ops.reshape(input if _can_be_seen_as(input, wanted) else input.clone(), shape=wanted)


@method()
@checked
@may_be_named
def view(input: Tensor, *size: Any) -> Tensor:
    """As :func:`reshape`, and it never copies.

    Raises:
        ValueError: The sizes do not fit, or the memory cannot be seen in that shape.
    """
    wanted = _filled("view", input, size)
    if not _can_be_seen_as(input, wanted):
        raise ValueError(
            f"view: a tensor of shape {input.shape} cannot be seen as {wanted}, since its elements "
            "do not lie in memory in that order; use reshape, which copies"
        )
    return ops.reshape(input, shape=wanted)


@method()
@checked
def view_as(input: Tensor, other: Tensor) -> Tensor:
    """``input.view(other.shape)``."""
    return view(input, other.shape)


@method()
@checked
def reshape_as(input: Tensor, other: Tensor) -> Tensor:
    """``input.reshape(other.shape)``."""
    return reshape(input, other.shape)


@method()
@checked
def ravel(input: Tensor) -> Tensor:
    """All elements as a vector, in row-major order; a copy where they lie otherwise."""
    return reshape(ops.contiguous(input), -1)


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
    if sizes.count(-1) == 1 and known:
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
@checked
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
    if start == end:
        return input
    return reshape(input, *shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :])


@method()
@checked
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
@checked
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
@checked
def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """With a new dimension of size 1 at ``dim``; the same memory.

    Raises:
        IndexError: ``dim`` is beyond the last place.
    """
    dim = ops.dim_of("unsqueeze", dim, input.ndim + 1)
    return ops.view(input, index=(*[slice(None)] * dim, None))


def _each(name: str, one: Any, tensors: tuple[Any, ...]) -> Any:
    """``one`` of a tensor; or of each, where there are several or a sequence of them."""
    if len(tensors) == 1 and isinstance(tensors[0], Tensor):
        return one(tensors[0])
    given = tensors[0] if len(tensors) == 1 else tensors
    return tuple([one(x) for x in tensors_of(name, given)])


def atleast_1d(*tensors: Any) -> Any:
    """A number as a vector; others as they are. Of several tensors, or a list, a tuple."""
    return _each("atleast_1d", lambda x: x if x.ndim else reshape(x, 1), tensors)


def atleast_2d(*tensors: Any) -> Any:
    """A number or a vector as a matrix of one row; as :func:`atleast_1d`."""
    return _each("atleast_2d", lambda x: x if x.ndim > 1 else reshape(x, 1, x.numel()), tensors)


def atleast_3d(*tensors: Any) -> Any:
    """A number or a vector as (1, n, 1), a matrix as (m, n, 1); as :func:`atleast_1d`."""
    return _each(
        "atleast_3d",
        lambda x: (
            reshape(x, 1, x.numel(), 1) if x.ndim < 2 else unsqueeze(x, 2) if x.ndim == 2 else x
        ),
        tensors,
    )


# --- Dimensions in another order ---------------------------------------------------------


@method()
@checked
@may_be_named
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


@method("transpose", "swapdims")
@checked
def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two dimensions exchanged; the same memory.

    Raises:
        IndexError: There is no such dimension.
    """
    return _exchanged("transpose", input, dim0, dim1)


@method()
@checked
def swapaxes(input: Tensor, axis0: int, axis1: int) -> Tensor:
    """As :func:`transpose`."""
    return _exchanged("swapaxes", input, axis0, axis1)


def _exchanged(name: str, input: Tensor, *dims: int) -> Tensor:
    first, second = (ops.dim_of(name, dim, input.ndim) for dim in dims)
    order = list(range(input.ndim))
    if order:
        order[first], order[second] = order[second], order[first]
    return ops.permute(input, dims=tuple(order))


@method()
@checked
def t(input: Tensor) -> Tensor:
    """A matrix transposed; what has fewer dimensions as it is.

    Raises:
        ValueError: It has more than two dimensions.
    """
    if input.ndim > 2:
        raise ValueError(f"t: of a matrix, not of shape {input.shape}; use transpose or mT")
    return ops.permute(input, dims=tuple(reversed(range(input.ndim))))


@method("movedim", "moveaxis")
@checked
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
