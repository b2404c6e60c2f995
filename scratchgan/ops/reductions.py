# Lambdas name primitives that stand further down, whose types mypy has not inferred yet.
# mypy: disable-error-code="has-type"
"""Primitives that reduce axes."""

from math import nan, prod
from typing import Any

from scratchgan import dtypes
from scratchgan.autograd.primitive import primitive
from scratchgan.autograd.tensor import method
from scratchgan.backend import Array, kernels_for
from scratchgan.ops.elementwise import eq, exp
from scratchgan.ops.shape import (
    Dims,
    cast,
    contiguous,
    dim_of,
    dims_of,
    expand,
    expand_copy,
    reshape,
)

#: Up to this size, copying a repeated number is faster than making a view that repeats it.
SMALL = 4096


def _converted(name: str, x: Array, dtype: Any) -> Array:
    """A copy of ``x`` with elements of the type that the caller of ``name`` asks for."""
    kernels = kernels_for[type(x)]
    out = kernels.empty(x.shape, dtypes.of(name, dtype), like=x)
    kernels.copy(x, out=out)
    return out


def _sum_vjp(g: Any, x_shape: tuple[int, ...], dim: Dims, keepdim: bool) -> Any:
    """Each element has a part in the sum as it is."""
    repeat = expand_copy if prod(x_shape) <= SMALL else expand
    return repeat(_restore_axes(g, x_shape, dim, keepdim), shape=x_shape)


@method()
@primitive(x=_sum_vjp)
def sum(x: Array, *, dim: Dims = None, keepdim: bool = False, dtype: Any = None) -> Array:
    """Sum of the elements over ``dim``: all, one or several; ``dtype`` converts them before."""
    if dtype is not None:
        x = _converted("sum", x, dtype)
        dtype = x.dtype
    elif x.dtype.kind in "biu":
        dtype = dtypes.int64
    else:
        dtype = x.dtype
    return _summed("sum", x, dim, keepdim, dtype)


def _summed(name: str, x: Array, dim: Dims, keepdim: bool, dtype: Any) -> Array:
    """The sum over ``dim`` in a type that ``x`` may be summed in; ``name`` is for messages."""
    kernels = kernels_for[type(x)]
    if dim is None and not keepdim:
        out = kernels.empty((), dtype, like=x)
        kernels.sum_all(x, out=out)
        return out
    axes = dims_of(name, dim, x.ndim)
    out = kernels.empty(_shrunk(x.shape, axes, keepdim), dtype, like=x)
    kernels.sum(x, axis=axes, keepdims=keepdim, out=out)
    return out


def _mean_vjp(g: Any, x_shape: tuple[int, ...], dim: Dims, keepdim: bool) -> Any:
    return _sum_vjp(g * _share(prod(x_shape), prod(g.shape)), x_shape, dim, keepdim)


@method()
@primitive(x=_mean_vjp)
def mean(x: Array, *, dim: Dims = None, keepdim: bool = False, dtype: Any = None) -> Array:
    """Arithmetic mean over ``dim``: all dimensions, one or several; nan of no elements.

    ``dtype`` converts the elements before.
    """
    x = x if dtype is None else _converted("mean", x, dtype)
    if x.dtype.kind not in "fc":
        raise TypeError(f"mean: takes floating point elements, not {x.dtype}")
    total = _summed("mean", x, dim, keepdim, x.dtype)
    kernels = kernels_for[type(x)]
    out = kernels.empty(total.shape, x.dtype, like=x)
    kernels.mul(total, _share(x.size, out.size), out=out)
    return out


def _share(size: int, means: int) -> float:
    """The part that each of ``size`` elements has in its mean, where there are ``means`` means."""
    return means / size if size else nan


def _largest_vjp(g: Any, x: Any, out: Any, dim: Dims, keepdim: bool) -> Any:
    """The gradient goes to the elements that equal the result, in equal parts."""
    chosen = cast(eq(x, _restore_axes(out, x.shape, dim, keepdim)), dtype=g.dtype)
    share = _restore_axes(g, x.shape, dim, keepdim) / sum(chosen, dim=dim, keepdim=True)
    return chosen * share


@method()
@primitive(x=_largest_vjp)
def amax(x: Array, *, dim: Dims = None, keepdim: bool = False) -> Array:
    """Largest element over ``dim``; equal ones share the gradient."""
    return _extreme("max", x, dim, keepdim)


@method()
@primitive(x=_largest_vjp)
def amin(x: Array, *, dim: Dims = None, keepdim: bool = False) -> Array:
    """Smallest element over ``dim``; equal ones share the gradient."""
    return _extreme("min", x, dim, keepdim)


def _shrunk(shape: tuple[int, ...], axes: tuple[int, ...], keepdim: bool) -> tuple[int, ...]:
    if len(axes) == len(shape) and not keepdim:
        return ()
    if keepdim:
        return tuple([1 if i in axes else n for i, n in enumerate(shape)])
    return tuple([n for i, n in enumerate(shape) if i not in axes])


def _extreme(name: str, x: Array, dim: Dims, keepdim: bool) -> Array:
    axes = dims_of(f"a{name}", dim, x.ndim)
    if not all(x.shape[one] for one in axes):
        raise ValueError(f"a{name}: no elements to reduce over dim {dim} of shape {x.shape}")
    kernels = kernels_for[type(x)]
    out = kernels.empty(_shrunk(x.shape, axes, keepdim), x.dtype, like=x)
    getattr(kernels, name)(x, axis=axes, keepdims=keepdim, out=out)
    return out


def _restore_axes(g: Any, shape: tuple[int, ...], dim: Dims, keepdim: bool) -> Any:
    """``g`` with the axes that a reduction of ``shape`` dropped put back as ones."""
    if keepdim or dim is None:
        return g  # a number broadcasts as it is
    axes = dims_of("sum", dim, len(shape))
    return reshape(contiguous(g), shape=_shrunk(shape, axes, True))


@method()
@primitive(x=lambda g, out, dim: g - exp(out) * sum(g, dim=dim, keepdim=True))
def log_softmax(x: Array, *, dim: int, dtype: Any = None) -> Array:
    """``x - log(sum(exp(x)))`` along ``dim``, converted to ``dtype`` before; never overflows."""
    x = x if dtype is None else _converted("log_softmax", x, dtype)
    dim = dim_of("log_softmax", dim, x.ndim)
    if x.dtype.kind not in "fc":
        raise TypeError(f"log_softmax: takes floating point elements, not {x.dtype}; convert first")
    kernels = kernels_for[type(x)]
    out = kernels.empty(x.shape, x.dtype, like=x)
    if not x.ndim:  # one number: its share is all
        kernels.sub(x, x, out=out)
    elif out.size:
        kernels.log_softmax(x, axis=dim, out=out)
    return out
