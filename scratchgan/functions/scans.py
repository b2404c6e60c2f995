"""Functions of all elements before one, and in order of size, under PyTorch's names.

A running sum is computed in a logarithmic number of steps on whole tensors: step k adds what stands
2**k places before (Hillis & Steele 1986, "Data parallel algorithms", section 2). Every step is a
primitive, so that derivatives of any order are exact, also where a factor is 0.
"""

import math
from collections.abc import Callable
from typing import Any

from scratchgan import dtypes, ops
from scratchgan.autograd.arguments import checked
from scratchgan.autograd.tensor import Tensor, method
from scratchgan.backend import kernels_for
from scratchgan.functions.beside import converted
from scratchgan.functions.elementwise import logaddexp
from scratchgan.functions.gather_scatter import gather
from scratchgan.functions.joining import cat, flip, narrow
from scratchgan.functions.reductions import Extremes
from scratchgan.functions.shapes import flatten, reshape, squeeze
from scratchgan.ops import Dims


def _scanned(
    parts: tuple[Tensor, ...],
    dim: int,
    combine: Callable[[tuple[Tensor, ...], tuple[Tensor, ...]], tuple[Tensor, ...]],
) -> tuple[Tensor, ...]:
    """``parts`` combined with all that stands before, along ``dim``; ``combine`` is associative."""
    length, step = parts[0].shape[dim], 1
    while step < length:
        before = tuple(narrow(x, dim, 0, length - step) for x in parts)
        after = tuple(narrow(x, dim, step, length - step) for x in parts)
        done = tuple(narrow(x, dim, 0, step) for x in parts)
        both = combine(before, after)
        parts = tuple(ops.cat(x, y, dim=dim) for x, y in zip(done, both, strict=True))
        step *= 2
    return parts


def _scan(name: str, input: Tensor, dim: int, combine: Callable[[Any, Any], Tensor]) -> Tensor:
    dim = ops.dim_of(name, dim, input.ndim)
    if _has_nothing_to_scan(input, dim):
        return input.clone()
    (found,) = _scanned((input,), dim, lambda x, y: (combine(x[0], y[0]),))
    return found


def _has_nothing_to_scan(x: Tensor, dim: int) -> bool:
    """Whether there is nothing before any element of ``x`` along ``dim``."""
    return not x.ndim or not x.numel() or x.shape[dim] == 1


def _counted(name: str, input: Tensor, dtype: Any) -> Tensor:
    """In the type that is asked for; integers and booleans in int64."""
    if dtype is None and input.dtype.kind in "biu":
        dtype = dtypes.int64
    return converted(name, input, dtype)


@method()
@checked
def cumsum(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """The sums of all elements up to each along ``dim``; integers in int64.

    Raises:
        IndexError: There is no such dimension.
    """
    return _scan("cumsum", _counted("cumsum", input, dtype), dim, ops.add)


@method()
@checked
def cumprod(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """The products of all elements up to each along ``dim``; errors as :func:`cumsum`."""
    return _scan("cumprod", _counted("cumprod", input, dtype), dim, ops.mul)


@method()
@checked
def logcumsumexp(input: Tensor, dim: int) -> Tensor:
    """``log(cumsum(exp(input)))``, which never overflows; errors as :func:`cumsum`."""
    return _scan("logcumsumexp", input, dim, logaddexp)


@method()
@checked
def cummax(input: Tensor, dim: int) -> Extremes:
    """The largest elements up to each along ``dim``, and where the last of those stands."""
    return _running_extreme("cummax", input, dim, ops.ge)


@method()
@checked
def cummin(input: Tensor, dim: int) -> Extremes:
    """The smallest elements up to each along ``dim``, and where the last of those stands."""
    return _running_extreme("cummin", input, dim, ops.le)


def _running_extreme(
    name: str, input: Tensor, dim: int, wins: Callable[[Tensor, Tensor], Tensor]
) -> Extremes:
    dim = ops.dim_of(name, dim, input.ndim)
    places = places_along(input, dim)
    if _has_nothing_to_scan(input, dim):
        return Extremes(input.clone(), places)

    def later_or_before(
        before: tuple[Tensor, ...], after: tuple[Tensor, ...]
    ) -> tuple[Tensor, ...]:
        # nan goes before all numbers.
        chosen = ops.bitwise_or(wins(after[0], before[0]), ops.ne(after[0], after[0]))
        is_number = ops.eq(before[0], before[0])
        chosen = ops.bitwise_and(chosen, ops.bitwise_or(is_number, ops.ne(after[0], after[0])))
        pairs = zip(after, before, strict=True)
        return tuple(ops.where(chosen, x, y) for x, y in pairs)

    _, found = _scanned((input.detach(), places), dim, later_or_before)
    return Extremes(gather(input, dim, found), found)


@checked
def places_along(input: Tensor, dim: int) -> Tensor:
    """0, 1, 2, ... along ``dim``, in the shape of ``input``."""
    kernels = kernels_for[type(input.array)]
    shape = input.shape or (1,)
    places = kernels.empty((shape[dim],), dtypes.int64, like=input.array)
    kernels.arange(out=places)
    along = Tensor(places).reshape([-1 if i == dim else 1 for i in range(len(shape))])
    return reshape(along.broadcast_to(shape).clone(), input.shape)


@method()
@checked
def prod(
    input: Tensor, dim: int | None = None, keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """Product of all elements, or along ``dim``; 1 of no elements; integers in int64.

    Raises:
        IndexError: There is no such dimension.
    """
    x = _counted("prod", input, dtype)
    if dim is None:
        return _product(flatten(x), 0, False)
    place = ops.dim_of("prod", dim, x.ndim)
    return _product(x, place, keepdim) if x.ndim else x.clone()


def _product(x: Tensor, dim: int, keepdim: bool) -> Tensor:
    """By halves, so that the derivative is right where factors are 0."""
    length = x.shape[dim]
    if length == 1:
        x = x.clone()
    while length > 1:
        half = length // 2
        found = ops.mul(narrow(x, dim, 0, half), narrow(x, dim, half, half))
        rest = [narrow(x, dim, length - 1, 1)] if length % 2 else []
        x = ops.cat(found, *rest, dim=dim)
        length = x.shape[dim]
    if not length:
        shape = [1 if i == dim else n for i, n in enumerate(x.shape)]
        x = ops.sum(x, dim=dim, keepdim=True).reshape(shape) + 1
    return x if keepdim else squeeze(x, dim)


# --- In order of size ---------------------------------------------------------------------


@method()
@checked
def argsort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Tensor:
    """The places of the elements in order of size, along ``dim``; equal ones keep their order.

    Raises:
        IndexError: There is no such dimension.
    """
    dim = ops.dim_of("argsort", dim, input.ndim)
    x = input.detach()
    kernels = kernels_for[type(x.array)]
    out = kernels.empty(x.shape, dtypes.int64, like=x.array)
    if not x.ndim:
        kernels.fill(0, out=out)
        return Tensor(out)
    if not descending:
        kernels.argsort(x.array, axis=dim, out=out)
        return Tensor(out)
    # From the end and backwards, equal ones keep their order.
    turned = flip(x, dim)
    kernels.argsort(turned.array, axis=dim, out=out)
    return flip(ops.sub(x.shape[dim] - 1, Tensor(out)), dim)


@method()
@checked
def sort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Extremes:
    """The elements in order of size along ``dim``, and their places; errors as :func:`argsort`."""
    dim = ops.dim_of("sort", dim, input.ndim)
    indices = argsort(input, dim, descending)
    if not input.ndim:
        return Extremes(input.clone(), indices)
    return Extremes(gather(input, dim, indices), indices)


@method()
@checked
def msort(input: Tensor) -> Tensor:
    """The elements in order of size along the first dimension."""
    return sort(input, 0).values


@method()
@checked
def topk(
    input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True
) -> Extremes:
    """The ``k`` largest (or smallest) elements along ``dim``, in order, and their places.

    Raises:
        IndexError: There is no such dimension.
        ValueError: There are not ``k`` elements.
    """
    place = ops.dim_of("topk", dim, input.ndim)
    length = input.shape[place] if input.ndim else 1
    if not 0 <= k <= length:
        raise ValueError(f"topk: k is {k}; there are {length} elements along dim {dim}")
    values, indices = sort(input, place, largest)
    if not input.ndim:
        return Extremes(values, indices)
    return Extremes(narrow(values, place, 0, k), narrow(indices, place, 0, k))


@method()
@checked
def kthvalue(input: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> Extremes:
    """The ``k``-th smallest element along ``dim``, from 1 on, and its place; errors as topk."""
    place = ops.dim_of("kthvalue", dim, input.ndim)
    length = input.shape[place] if input.ndim else 1
    if not 1 <= k <= length:
        raise ValueError(f"kthvalue: k is {k}; there are {length} elements along dim {dim}")
    values, indices = sort(input, place)
    if not input.ndim:
        return Extremes(values, indices)
    found = (narrow(x, place, k - 1, 1) for x in (values, indices))
    return Extremes(*(x if keepdim else squeeze(x, place) for x in found))


@method()
@checked
def median(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """The lower of the middle elements: of all, or along ``dim`` with its place.

    Raises:
        IndexError: There is no such dimension, or no element.
    """
    if dim is None:
        x = flatten(input)
        if not x.numel():
            return ops.mul(ops.sum(x, dim=None, keepdim=False), math.nan)
        return _median(x, 0, False).values
    return _median(input, ops.dim_of("median", dim, input.ndim), keepdim)


def _median(x: Tensor, dim: int, keepdim: bool) -> Extremes:
    length = x.shape[dim] if x.ndim else 1
    if not length:
        raise IndexError(f"median: no elements along dim {dim} of a tensor of shape {x.shape}")
    middle = kthvalue(x, (length + 1) // 2, dim, keepdim)
    if x.dtype.kind != "f":
        return middle
    last = kthvalue(x, length, dim, keepdim)  # where nan stands
    is_nan = ops.ne(last.values, last.values)
    return Extremes(
        ops.where(is_nan, last.values, middle.values),
        ops.where(is_nan, last.indices, middle.indices),
    )


@method()
@checked
def diff(
    input: Tensor,
    n: int = 1,
    dim: int = -1,
    prepend: Tensor | None = None,
    append: Tensor | None = None,
) -> Tensor:
    """Each element less the one before along ``dim``, ``n`` times over.

    Args:
        input: Of one dimension or more.
        n: How often.
        dim: Along which.
        prepend: What is put before, first.
        append: What is put after, first.

    Raises:
        IndexError: There is no such dimension.
        ValueError: A tensor without dimensions, or ``n`` is negative.
    """
    if not input.ndim or n < 0:
        raise ValueError(f"diff: n is {n}, of a tensor of {input.ndim} dims; it needs 1 or more")
    dim = ops.dim_of("diff", dim, input.ndim)
    if not n:
        return input.clone()
    x = cat([part for part in (prepend, input, append) if part is not None], dim)
    for _ in range(n):
        length = max(x.shape[dim] - 1, 0)
        later, earlier = narrow(x, dim, x.shape[dim] - length, length), narrow(x, dim, 0, length)
        is_boolean = x.dtype == dtypes.bool_
        x = ops.bitwise_xor(later, earlier) if is_boolean else ops.sub(later, earlier)
    return x


@method()
@checked
def count_nonzero(input: Tensor, dim: Dims = None) -> Tensor:
    """How many elements are not 0, over ``dim``."""
    truths = ops.ne(input, 0)
    dims = ops.dims_of("count_nonzero", dim, truths.ndim)
    return ops.sum(truths, dim=dims or None, keepdim=False)
