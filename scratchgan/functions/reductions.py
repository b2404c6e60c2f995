"""Functions that reduce dimensions, under PyTorch's names."""

import math
from typing import Any, NamedTuple

import numpy as np

from scratchgan import dtypes, ops
from scratchgan.autograd.arguments import checked
from scratchgan.autograd.tensor import Tensor, method
from scratchgan.backend import kernels_for
from scratchgan.functions.arithmetic import bitwise_not
from scratchgan.functions.beside import converted
from scratchgan.functions.gather_scatter import gather
from scratchgan.functions.shapes import flatten, squeeze
from scratchgan.ops import Dims


class Extremes(NamedTuple):
    """The largest or smallest elements along a dimension, and where they were found."""

    values: Tensor
    indices: Tensor


# --- Variance -------------------------------------------------------------------------


def _count(name: str, input: Tensor, dim: Dims) -> int:
    """How many elements become one."""
    array = input.array
    if dim is None:
        return int(array.size)
    return math.prod([array.shape[one] for one in ops.dims_of(name, dim, array.ndim)])


def _require_floats(name: str, input: Tensor) -> None:
    if input.array.dtype.kind not in "fc":
        raise TypeError(f"{name}: takes floating point elements, not {input.dtype}")


@method()
@checked
def var(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> Tensor:
    """Variance over ``dim``: squared deviations summed, over their number less ``correction``.

    Args:
        input: Floating point elements.
        dim: All dimensions (None), one or several. As in PyTorch, a boolean here is ``unbiased``.
        unbiased: Whether ``correction`` is 1, or else 0.
        keepdim: Whether the reduced dimensions stay, of size 1.
        correction: 1 if nothing is said.
    """
    return variance_of("var", input, dim, unbiased, keepdim, correction)


@checked
def variance_of(
    name: str,
    input: Tensor,
    dim: Any,
    unbiased: bool | None,
    keepdim: bool,
    correction: float | None,
) -> Tensor:
    """As :func:`var`; ``name`` is the function's that errors are about."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    if unbiased is not None and correction is not None:
        raise TypeError(f"{name}: unbiased and correction say the same; give one of them")
    _require_floats(name, input)
    less = correction if correction is not None else (1 if unbiased in (None, True) else 0)
    count = _count(name, input, dim)
    deviations = input - ops.mean(input, dim=dim, keepdim=True)
    total = ops.sum(ops.square(deviations), dim=dim, keepdim=keepdim)
    if count > less:
        return ops.mul(total, 1.0 / (count - less))
    return ops.mul(total, math.inf if count > 1 else math.nan)


@method()
@checked
def std(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> Tensor:
    """Standard deviation over ``dim``, the square root of :func:`var`; arguments as there.

    Where all elements are equal the derivative is taken as 0, as in PyTorch.
    """
    return root_of_variance(variance_of("std", input, dim, unbiased, keepdim, correction))


@checked
def root_of_variance(variance: Tensor) -> Tensor:
    """Its square root, whose derivative is taken as 0 at 0."""
    is_flat = ops.eq(variance, 0)
    return ops.where(is_flat, 0.0, ops.sqrt(ops.where(is_flat, 1.0, variance)))


# --- Largest and smallest -------------------------------------------------------------------


@method()
@checked
def argmax(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Index of the first largest element, along ``dim`` or of all elements; int64.

    Raises:
        IndexError: There is no such dimension, or no element along it.
    """
    return _place(input.detach(), "argmax", dim, keepdim)


@method()
@checked
def argmin(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Index of the first smallest element, along ``dim`` or of all elements; errors as there."""
    input = input.detach()
    # Of integers the reverse that never overflows is -1 - x, which turns every bit.
    opposite = ops.neg(input) if input.dtype.kind == "f" else bitwise_not(input)
    return _place(opposite, "argmin", dim, keepdim)


def _place(input: Tensor, name: str, dim: int | None, keepdim: bool) -> Tensor:
    shape = input.shape
    if dim is None:
        input, axis, kept = flatten(input), 0, (1,) * len(shape)
    else:
        axis = ops.dim_of(name, dim, input.ndim)
        kept = (*shape[:axis], 1, *shape[axis + 1 :]) if shape else ()
        input = input if shape else flatten(input)
    if not input.shape[axis]:
        raise IndexError(f"{name}: no elements along dim {dim} of a tensor of shape {shape}")
    kernels = kernels_for[type(input.array)]
    left = input.shape[:axis] + input.shape[axis + 1 :]
    out = kernels.empty(left, dtypes.int64, like=input.array)
    kernels.argmax(input.array, axis=axis, out=out)
    return Tensor(out).reshape(kept) if keepdim else Tensor(out)


@method()
@checked
def max(input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
    """The largest element; or along ``dim`` the largest ones and where; or elementwise of two.

    Args:
        input: Real numbers.
        dim: None for all elements, whose equal largest ones share the gradient; a dimension, along
            which the first largest ones are taken, :class:`Extremes`; or a tensor, as ``other``.
        keepdim: Whether ``dim`` stays, of size 1.
        other: A tensor: as :func:`scratchgan.maximum`.

    Raises:
        IndexError: There is no such dimension, or no element along it.
    """
    return _extreme("max", input, dim, keepdim, other)


@method()
@checked
def min(input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
    """The smallest element; or along ``dim`` the smallest ones and where; as :func:`max`."""
    return _extreme("min", input, dim, keepdim, other)


_EXTREMES = {
    "max": (ops.amax, ops.maximum, argmax),
    "min": (ops.amin, ops.minimum, argmin),
}


def _extreme(name: str, input: Tensor, dim: Any, keepdim: bool, other: Any) -> Any:
    of_all, of_two, place_of = _EXTREMES[name]
    if isinstance(dim, Tensor):
        dim, other = None, dim
    if other is not None:
        return of_two(input, other)
    if dim is None:
        if not input.numel():
            raise ValueError(f"{name}: of no elements there is none; give a dim")
        return of_all(input, dim=None, keepdim=keepdim)
    if not input.ndim:
        ops.dim_of(name, dim, 0)
        return Extremes(input.clone(), place_of(input))
    dim = ops.dim_of(name, dim, input.ndim)
    indices = place_of(input, dim, True)
    values = gather(input, dim, indices)
    if keepdim:
        return Extremes(values, indices)
    return Extremes(squeeze(values, dim), squeeze(indices, dim))


@method()
@checked
def all(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Whether every element over ``dim`` is true or not zero: a boolean tensor; so of none."""
    wrong = _counted("all", ops.eq(input, 0), dim, keepdim)
    return _truth(ops.eq(wrong, 0), input)


@method()
@checked
def any(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Whether an element over ``dim`` is true or not zero: a boolean tensor; not so of none."""
    right = _counted("any", ops.ne(input, 0), dim, keepdim)
    return _truth(ops.ne(right, 0), input)


def _counted(name: str, truths: Tensor, dim: Dims, keepdim: bool) -> Tensor:
    """How many are true over ``dim``; if it is empty each by itself, as in PyTorch."""
    if isinstance(dim, tuple | list) and not dim:
        return truths
    dims = ops.dims_of(name, dim, truths.ndim)
    return ops.sum(truths, dim=dims or None, keepdim=keepdim)


def _truth(found: Tensor, input: Tensor) -> Tensor:
    """Booleans; of bytes bytes, as in PyTorch."""
    return found.to(dtypes.uint8) if input.dtype == dtypes.uint8 else found


# --- Exponentials ---------------------------------------------------------------------------


@method()
@checked
def softmax(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """``exp(x) / sum(exp(x))`` along ``dim``, converted to ``dtype`` before; never overflows."""
    input = converted("softmax", input, dtype)
    _require_floats("softmax", input)
    return ops.exp(ops.log_softmax(input, dim=ops.dim_of("softmax", dim, input.ndim)))


@method()
@checked
def logsumexp(input: Tensor, dim: Dims, keepdim: bool = False) -> Tensor:
    """``log(sum(exp(x)))`` over ``dim``; never overflows."""
    if input.dtype.kind != "f":
        input = input.to(dtypes.get_default_dtype())
    dims = ops.dims_of("logsumexp", dim, input.ndim)
    highest = ops.amax(input, dim=dims or None, keepdim=True).detach() if input.numel() else 0.0
    # An infinite maximum would give inf - inf.
    if input.numel():
        most = float(np.finfo(input.dtype).max)
        highest = ops.clip(highest, min=-most, max=most)
    total = ops.log(ops.sum(ops.exp(input - highest), dim=dims or None, keepdim=True)) + highest
    return total if keepdim else squeeze(total, dims)


# --- Lengths -----------------------------------------------------------------------------


@method()
@checked
def norm(
    input: Tensor, p: Any = "fro", dim: Dims = None, keepdim: bool = False, dtype: Any = None
) -> Tensor:
    """The length of vectors, ``(Σ |x|**p) ** (1/p)``, over all elements or over ``dim``.

    Where a length is 0 its derivative is taken as 0.

    Args:
        input: Floating point elements.
        p: A number, ``inf``, ``-inf``, or ``"fro"``, which is 2.
        dim: The dimensions of a vector; all, if None.
        keepdim: Whether they stay, of size 1.
        dtype: Of the result.

    Raises:
        TypeError: The elements are not floating point.
        ValueError: There is no such ``p``, or nothing has that length: a vector without elements
            with ``p`` below 0 or infinite.
    """
    if input.dtype.kind != "f" and dtype is None:
        raise TypeError(f"norm: takes floating point elements, not {input.dtype}")
    x = converted("norm", input, dtype)
    power = 2.0 if p in ("fro", None) else p
    if not isinstance(power, int | float):
        raise ValueError(f"norm: p is {p!r}; it must be a number or 'fro'")
    vector = [x.shape[k] for k in ops.dims_of("norm", dim, x.ndim)]
    if (power < 0 or power == math.inf) and 0 in vector:
        raise ValueError(
            f"norm: a vector without elements has no length with p = {power}; the shape is "
            f"{x.shape}, dim {dim}"
        )
    size = ops.abs(x)
    if power == math.inf:
        return ops.amax(size, dim=dim, keepdim=keepdim)
    if power == -math.inf:
        return ops.amin(size, dim=dim, keepdim=keepdim)
    if power == 0:
        return ops.sum(ops.square(ops.sign(x)), dim=dim, keepdim=keepdim)
    if power == 1:
        return ops.sum(size, dim=dim, keepdim=keepdim)
    if power == 2:
        total = ops.sum(ops.square(x), dim=dim, keepdim=keepdim)
    else:
        total = ops.sum(_powers(size, power), dim=dim, keepdim=keepdim)
    is_zero = ops.eq(total, 0)
    safe = ops.where(is_zero, 1.0, total)
    root = ops.sqrt(safe) if power == 2 else ops.pow(safe, 1.0 / power)
    return ops.where(is_zero, 0.0 if power > 0 else root, root)


@method()
@checked
def dist(input: Tensor, other: Tensor, p: float = 2) -> Tensor:
    """The length of ``input - other``; ``p`` as in :func:`norm`."""
    return norm(ops.sub(input, other), p)


def _powers(size: Tensor, power: float) -> Tensor:
    """``size ** power`` with the derivative 0 where ``size`` is 0."""
    is_zero = ops.eq(size, 0)
    raised = ops.pow(ops.where(is_zero, 1.0, size), power)
    return ops.where(is_zero, 0.0 if power > 0 else math.inf, raised)
