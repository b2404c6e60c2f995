# Lambdas name primitives that stand further down, whose types mypy has not inferred yet.
# mypy: disable-error-code="has-type"
"""Primitives that reduce axes."""

from math import prod
from typing import Any

from scratchgan import dtypes
from scratchgan.autograd.primitive import primitive
from scratchgan.autograd.tensor import method
from scratchgan.backend import Array, kernels_for
from scratchgan.ops.elementwise import eq, exp
from scratchgan.ops.shape import Axis, axes_of, cast, contiguous, expand, expand_copy, reshape

#: Up to this size, copying a repeated number is faster than making a view that repeats it.
SMALL = 4096


def _sum_vjp(g: Any, x_shape: tuple[int, ...], axis: Axis, keepdims: bool) -> Any:
    """Each element has a part in the sum as it is."""
    repeat = expand_copy if prod(x_shape) <= SMALL else expand
    return repeat(_restore_axes(g, x_shape, axis, keepdims), shape=x_shape)


@method()
@primitive(x=_sum_vjp)
def sum(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """Sum of the elements over ``axis``: all, one or several."""
    dtype = x.dtype
    if dtype.kind in "bu":
        dtype = dtypes.int64
    kernels = kernels_for[type(x)]
    if axis is None and not keepdims:
        out = kernels.empty((), dtype, like=x)
        kernels.sum_all(x, out=out)
        return out
    axes = axes_of("sum", axis, x.ndim)
    out = kernels.empty(_shrunk(x.shape, axes, keepdims), dtype, like=x)
    kernels.sum(x, axis=axes, keepdims=keepdims, out=out)
    return out


def _largest_vjp(g: Any, x: Any, out: Any, axis: Axis, keepdims: bool) -> Any:
    """The gradient goes to the elements that equal the result, in equal parts."""
    chosen = cast(eq(x, _restore_axes(out, x.shape, axis, keepdims)), dtype=g.dtype)
    share = _restore_axes(g, x.shape, axis, keepdims) / sum(chosen, axis=axis, keepdims=True)
    return chosen * share


@method("max", "amax")
@primitive(x=_largest_vjp)
def max(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """Largest element over ``axis``; equal ones share the gradient, as in ``torch.amax``."""
    return _extreme("max", x, axis, keepdims)


@method("min", "amin")
@primitive(x=_largest_vjp)
def min(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """Smallest element over ``axis``; equal ones share the gradient, as in ``torch.amin``."""
    return _extreme("min", x, axis, keepdims)


def _shrunk(shape: tuple[int, ...], axes: tuple[int, ...], keepdims: bool) -> tuple[int, ...]:
    if len(axes) == len(shape) and not keepdims:
        return ()
    if keepdims:
        return tuple([1 if i in axes else n for i, n in enumerate(shape)])
    return tuple([n for i, n in enumerate(shape) if i not in axes])


def _extreme(name: str, x: Array, axis: Axis, keepdims: bool) -> Array:
    axes = axes_of(name, axis, x.ndim)
    if not all(x.shape[one] for one in axes):
        raise ValueError(f"{name}: no elements to reduce over axis {axis} of shape {x.shape}")
    kernels = kernels_for[type(x)]
    out = kernels.empty(_shrunk(x.shape, axes, keepdims), x.dtype, like=x)
    getattr(kernels, name)(x, axis=axes, keepdims=keepdims, out=out)
    return out


def _restore_axes(g: Any, shape: tuple[int, ...], axis: Axis, keepdims: bool) -> Any:
    """``g`` with the axes that a reduction of ``shape`` dropped put back as ones."""
    if keepdims or axis is None:
        return g  # a number broadcasts as it is
    axes = axes_of("sum", axis, len(shape))
    return reshape(contiguous(g), shape=_shrunk(shape, axes, True))


@method()
@primitive(x=lambda g, out, axis: g - exp(out) * sum(g, axis=axis, keepdims=True))
def log_softmax(x: Array, *, axis: int = -1) -> Array:
    """``x - log(sum(exp(x)))`` along ``axis``; never overflows."""
    axes_of("log_softmax", axis, x.ndim)
    kernels = kernels_for[type(x)]
    out = kernels.empty(x.shape, x.dtype, like=x)
    kernels.log_softmax(x, axis=axis, out=out)
    return out
