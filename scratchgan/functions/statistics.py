"""Statistics of elements, whole or along dimensions, under PyTorch's names."""

import math
from typing import Any, NamedTuple

from scratchgan import dtypes, ops
from scratchgan.autograd.arguments import checked
from scratchgan.autograd.tensor import Tensor, method
from scratchgan.functions.arithmetic import clamp
from scratchgan.functions.beside import converted, filled
from scratchgan.functions.elementwise import floor_divide, lerp
from scratchgan.functions.gather_scatter import gather
from scratchgan.functions.joining import narrow, select
from scratchgan.functions.matrices import diagonal
from scratchgan.functions.reductions import Extremes, root_of_variance, variance_of
from scratchgan.functions.scans import cummax, cumsum, diff, places_along, sort
from scratchgan.functions.shapes import flatten, movedim, reshape, squeeze, unsqueeze
from scratchgan.ops import Dims


class Bounds(NamedTuple):
    """The smallest and the largest elements."""

    min: Tensor
    max: Tensor


@method()
@checked
def aminmax(input: Tensor, *, dim: int | None = None, keepdim: bool = False) -> Bounds:
    """The smallest and the largest elements, of all or along ``dim``.

    Raises:
        IndexError: There is no such dimension, or no element along it.
    """
    dim = None if dim is None else ops.dim_of("aminmax", dim, input.ndim)
    both = (find(input, dim=dim, keepdim=keepdim) for find in (ops.amin, ops.amax))
    return Bounds(*both)


@checked
def var_mean(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> tuple[Tensor, Tensor]:
    """:func:`var` and :func:`mean` over ``dim``; arguments as of the first."""
    variance = variance_of("var_mean", input, dim, unbiased, keepdim, correction)
    dims = None if isinstance(dim, bool) else dim
    return variance, ops.mean(input, dim=dims, keepdim=keepdim)


@checked
def std_mean(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> tuple[Tensor, Tensor]:
    """:func:`std` and :func:`mean` over ``dim``; arguments as of the first."""
    variance = variance_of("std_mean", input, dim, unbiased, keepdim, correction)
    dims = None if isinstance(dim, bool) else dim
    return root_of_variance(variance), ops.mean(input, dim=dims, keepdim=keepdim)


# --- Without what is no number --------------------------------------------------------------


@method()
@checked
def nansum(input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The sum over ``dim`` of the elements that are not nan."""
    dims = ops.dims_of("nansum", dim, input.ndim)
    numbers = ops.where(ops.eq(input, input), input, 0) if input.dtype.kind == "f" else input
    made = None if dtype is None else dtypes.of("nansum", dtype)
    return ops.sum(numbers, dim=dims or None, keepdim=keepdim, dtype=made)


@method()
@checked
def nanmean(input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The mean over ``dim`` of the elements that are not nan; nan where there are none.

    Raises:
        TypeError: The elements are not floating point.
    """
    if input.dtype.kind != "f":
        raise TypeError(f"nanmean: takes floating point elements, not {input.dtype}")
    dims = ops.dims_of("nanmean", dim, input.ndim) or None
    total = nansum(converted("nanmean", input, dtype, "f"), dims, keepdim)
    count = ops.sum(ops.eq(input, input), dim=dims, keepdim=keepdim)
    return ops.div(total, ops.where(ops.eq(count, 0), math.nan, count.to(total.dtype)))


@method()
@checked
def nanmedian(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """The lower of the middle elements that are not nan: of all, or along ``dim`` with its place.

    Raises:
        IndexError: There is no such dimension, or no element.
    """
    if dim is None:
        x = flatten(input)
        return _nanmedian(x, 0, False).values if x.numel() else ops.sum(x) * math.nan
    return _nanmedian(input, ops.dim_of("nanmedian", dim, input.ndim), keepdim)


def _nanmedian(x: Tensor, dim: int, keepdim: bool) -> Extremes:
    ordered = sort(x, dim)  # nan comes last
    if not x.ndim:
        return ordered
    if not x.shape[dim]:
        raise IndexError(f"nanmedian: no elements along dim {dim} of a tensor of shape {x.shape}")
    count = ops.sum(ops.eq(x, x), dim=dim, keepdim=True)
    middle = clamp(floor_divide(count - 1, 2), min=0)
    found = (gather(part, dim, middle) for part in ordered)
    return Extremes(*(part if keepdim else squeeze(part, dim) for part in found))


# --- In order of size and of frequency ------------------------------------------------------

_INTERPOLATIONS = ("linear", "lower", "higher", "midpoint", "nearest")


@method()
@checked
def quantile(
    input: Tensor,
    q: Any,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
) -> Tensor:
    """The value below which a share ``q`` of the elements lies, of all or along ``dim``.

    Args:
        input: Floating point elements; where one is nan the result is.
        q: A number in [0, 1], or a vector of them; then they come along a new first dimension.
        dim: Along which.
        keepdim: Whether ``dim`` stays, of size 1.
        interpolation: Between two elements: ``"linear"``, ``"lower"``, ``"higher"``,
            ``"midpoint"`` or ``"nearest"``.

    Raises:
        IndexError: There is no such dimension.
        TypeError: The elements are not floating point, or ``q`` is of another type than they are.
        ValueError: There are no elements, no such interpolation, or ``q`` is beyond [0, 1].
    """
    return _quantile("quantile", input, q, dim, keepdim, interpolation)


@method()
@checked
def nanquantile(
    input: Tensor,
    q: Any,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
) -> Tensor:
    """:func:`quantile` of the elements that are not nan; nan where there are none."""
    return _quantile("nanquantile", input, q, dim, keepdim, interpolation)


def _quantile(
    name: str, input: Tensor, q: Any, dim: int | None, keepdim: bool, interpolation: str
) -> Tensor:
    if input.dtype.kind != "f":
        raise TypeError(f"{name}: takes floating point elements, not {input.dtype}")
    number = None if isinstance(q, Tensor) else float(q)
    if number is not None:
        q = filled(input, (), number)
    if q.dtype != input.dtype or q.ndim > 1:
        raise TypeError(
            f"{name}: q is a number or a vector of {input.dtype}, not of {q.dtype} and of shape "
            f"{q.shape}"
        )
    if interpolation not in _INTERPOLATIONS:
        raise ValueError(
            f"{name}: interpolation is {interpolation!r}; choose one of "
            f"{', '.join(_INTERPOLATIONS)}"
        )
    if dim is None or not input.ndim:
        ops.dim_of(name, dim or 0, input.ndim and 1)
        rows = flatten(input)
    else:
        dim = ops.dim_of(name, dim, input.ndim)
        rows = movedim(input, dim, -1)
    if not rows.shape[-1]:
        raise ValueError(f"{name}: of no elements there is none; the shape is {input.shape}")
    are_shares = bool(((q >= 0) & (q <= 1)).all()) if number is None else 0 <= number <= 1
    if not are_shares:
        raise ValueError(
            f"{name}: q is {q.tolist() if number is None else number}; it must lie in [0, 1]"
        )
    found = _at_ranks(rows, reshape(q, -1), interpolation, skips_nan=name == "nanquantile")
    result = movedim(found, -1, 0)
    if keepdim:
        sizes = [1] * input.ndim
        if dim is not None and input.ndim:
            sizes = [1 if i == dim else n for i, n in enumerate(input.shape)]
        result = reshape(result, q.numel(), *sizes)
    return result if q.ndim else select(result, 0, 0)


def _at_ranks(rows: Tensor, q: Tensor, interpolation: str, skips_nan: bool) -> Tensor:
    """Of the elements along the last dimension, in order of size, those at ``q`` of the way."""
    ordered, last = sort(rows, -1).values, rows.shape[-1] - 1  # nan comes last
    are_numbers = ops.eq(rows, rows).detach()
    if skips_nan:
        count = ops.sum(are_numbers, dim=-1, keepdim=True)
        ranks = ops.mul(q, clamp(count - 1, min=0).to(q.dtype))
    else:
        all_are = ops.eq(ops.sum(are_numbers, dim=-1, keepdim=True), last + 1)
        ranks = ops.where(all_are, ops.mul(q, float(last)), float(last))
    if interpolation == "nearest":
        return gather(ordered, -1, ops.to_nearest(ranks).to(dtypes.int64))
    if interpolation == "higher":
        return gather(ordered, -1, ops.ceil(ranks).to(dtypes.int64))
    below = gather(ordered, -1, ops.floor(ranks).to(dtypes.int64))
    if interpolation == "lower":
        return below
    above = gather(ordered, -1, ops.ceil(ranks).to(dtypes.int64))
    weight = 0.5 if interpolation == "midpoint" else ops.sub(ranks, ops.floor(ranks))
    return lerp(below, above, weight)


@method()
@checked
def mode(input: Tensor, dim: int = -1, keepdim: bool = False) -> Extremes:
    """The most frequent element along ``dim``, of several the smallest, and one of its places.

    Raises:
        IndexError: There is no such dimension, or no element along it.
    """
    dim = ops.dim_of("mode", dim, input.ndim)
    ordered = sort(input, dim)
    if not input.ndim:
        return ordered
    length = input.shape[dim]
    if not length:
        raise IndexError(f"mode: no elements along dim {dim} of a tensor of shape {input.shape}")
    x = ordered.values.detach()
    places = places_along(x, dim)
    later, earlier = narrow(x, dim, 1, length - 1), narrow(x, dim, 0, length - 1)
    is_new = ops.cat(ops.eq(narrow(places, dim, 0, 1), 0), ops.ne(later, earlier), dim=dim)
    run = places - cummax(ops.where(is_new, places, 0), dim).values  # how many equal ones before
    longest = run.argmax(dim, keepdim=True)
    found = (gather(part, dim, longest) for part in ordered)
    return Extremes(*(part if keepdim else squeeze(part, dim) for part in found))


# --- Of several variables -------------------------------------------------------------------


@method()
@checked
def cov(
    input: Tensor,
    *,
    correction: float = 1,
    fweights: Tensor | None = None,
    aweights: Tensor | None = None,
) -> Tensor:
    """The covariances of variables, which are the rows: (variables, variables), or of one a number.

    Args:
        input: (variables, observations), or the observations of one variable.
        correction: What is subtracted from the number of observations.
        fweights: How often each observation occurred: integers.
        aweights: How much each counts.

    Raises:
        TypeError: Booleans, or weights of another kind.
        ValueError: More than two dimensions, or weights that do not fit.
    """
    if input.ndim > 2:
        raise ValueError(f"cov: takes (variables, observations), not the shape {input.shape}")
    if input.dtype == dtypes.bool_:
        raise TypeError("cov: takes numbers, not booleans")
    x = reshape(input, 1, -1) if input.ndim < 2 else input
    x = x if x.dtype.kind == "f" else x.to(dtypes.get_default_dtype())
    _require_weights("fweights", fweights, x.shape[1], "iu")
    _require_weights("aweights", aweights, x.shape[1], "f")
    given = [w for w in (fweights, aweights) if w is not None]
    weights = given[0] if given else filled(x, x.shape[1:], 1)
    if len(given) > 1:
        weights = given[0] * given[1]
    total = weights.sum()
    center = ops.sum(x * weights, dim=1, keepdim=True) / total
    less: Any = correction
    if correction and aweights is not None:
        less = (weights * given[-1]).sum() / total * correction
    deviations = x - center
    products = ops.matmul(deviations * weights, deviations.transpose(0, 1))
    return squeeze(products / clamp(total - less, min=0))


def _require_weights(name: str, weights: Tensor | None, count: int, kinds: str) -> None:
    if weights is None:
        return
    if weights.dtype.kind not in kinds:
        kind = "integers" if kinds == "iu" else "floating point elements"
        raise TypeError(f"cov: {name} are {kind}, not {weights.dtype}")
    if weights.shape != (count,):
        raise ValueError(f"cov: {name} have the shape {weights.shape}, not {(count,)}")
    if bool((weights < 0).any()):
        raise ValueError(f"cov: {name} are {weights.tolist()}; none may be negative")


@method()
@checked
def corrcoef(input: Tensor) -> Tensor:
    """The correlations of variables, which are the rows; shapes and errors as :func:`cov`."""
    c = cov(input)
    if not c.ndim:
        return c / c
    deviation = ops.sqrt(diagonal(c))
    return clamp(c / unsqueeze(deviation, 1) / deviation, min=-1.0, max=1.0)


# --- Integrals ------------------------------------------------------------------------------


@checked
def trapezoid(y: Tensor, x: Tensor | None = None, *, dx: Any = None, dim: int = -1) -> Tensor:
    """The area below points that straight lines connect, along ``dim``.

    Args:
        y: Heights.
        x: Where the points lie: of the same shape, or a vector along ``dim``.
        dx: How far apart they lie, if ``x`` is not given; 1 by default.
        dim: Along which.

    Raises:
        IndexError: There is no such dimension.
        TypeError: Booleans; or both ``x`` and ``dx``.
        ValueError: ``x`` does not fit.
    """
    return ops.sum(_twice_the_areas("trapezoid", y, x, dx, dim), dim=dim) / 2


trapz = trapezoid


@checked
def cumulative_trapezoid(
    y: Tensor, x: Tensor | None = None, *, dx: Any = None, dim: int = -1
) -> Tensor:
    """The areas up to each point but the first; arguments and errors as :func:`trapezoid`."""
    return cumsum(_twice_the_areas("cumulative_trapezoid", y, x, dx, dim), dim) / 2


def _twice_the_areas(name: str, y: Tensor, x: Tensor | None, dx: Any, dim: int) -> Tensor:
    """Between each point and the next."""
    if not y.ndim:
        raise IndexError(f"{name}: takes points along a dimension, not one number")
    dim = ops.dim_of(name, dim, y.ndim)
    if x is not None and dx is not None:
        raise TypeError(f"{name}: x and dx say the same; give one of them")
    for word, one in (("y", y), ("x", x)):
        if one is not None and one.dtype == dtypes.bool_:
            raise TypeError(f"{name}: {word} is made of numbers, not of booleans")
    apart = 1.0 if dx is None else dx
    if x is not None:
        if x.ndim == 1 and x.shape[0] != y.shape[dim]:
            raise ValueError(f"{name}: x has {x.shape[0]} points; y has {y.shape[dim]}")
        if x.ndim == 1:
            apart = reshape(diff(x), [-1 if i == dim else 1 for i in range(y.ndim)])
        else:
            apart = diff(x, dim=dim - y.ndim)
    length = max(y.shape[dim] - 1, 0)
    later, earlier = narrow(y, dim, y.shape[dim] - length, length), narrow(y, dim, 0, length)
    return (later + earlier) * apart
