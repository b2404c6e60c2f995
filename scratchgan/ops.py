# Lambdas name primitives that stand further down, whose types mypy has not inferred yet.
# mypy: disable-error-code="has-type"
"""The table of primitives, from simple to complex: each with its forward and its VJPs.

Read :mod:`scratchgan.primitive` for how a row is written. A VJP is the transpose of the forward's
derivative applied to ``g`` (Griewank & Walther 2008, "Evaluating Derivatives", section 3.2). The
gradient of an input that was broadcast is summed back to its shape by the tape, not here.
"""

import builtins
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from scratchgan import dtypes
from scratchgan.autograd import is_grad_enabled
from scratchgan.backend import Array, devices, kernels_for
from scratchgan.dtypes import DType
from scratchgan.primitive import constant, elementwise, primitive

Axis = int | tuple[int, ...] | None
Index = tuple[Any, ...]

# The bodies of elementwise primitives are scalar definitions: arithmetic on single numbers that
# every backend compiles. Called, they take and give tensors.

# --- Arithmetic ------------------------------------------------------------------------


@elementwise(x=lambda g: g, y=lambda g: g)
def add(x: float, y: float) -> float:
    """``x + y``."""
    return x + y


@elementwise(x=lambda g: g, y=lambda g: -g)
def sub(x: float, y: float) -> float:
    """``x - y``."""
    return x - y


@elementwise(x=lambda g, y: g * y, y=lambda g, x: g * x)
def mul(x: float, y: float) -> float:
    """``x * y``."""
    return x * y


@elementwise(x=lambda g, y: g / y, y=lambda g, y, out: -(g * out / y))
def div(x: float, y: float) -> float:
    """``x / y``; integers give the default floating type."""
    return x / y


@elementwise(x=lambda g: -g)
def neg(x: float) -> float:
    """``-x``."""
    return -x


@elementwise(x=lambda g, x: g * (2.0 * x))
def square(x: float) -> float:
    """``x * x``."""
    return x * x


@elementwise(x=lambda g, x: g * sign(x))
def abs(x: float) -> float:
    """``|x|``; the derivative at 0 is taken as 0."""
    return -x if x < 0 else x + 0  # + 0 makes a positive zero of a negative one


@elementwise()
def sign(x: float) -> float:
    """-1, 0 or 1; nan for nan."""
    return 1 if x > 0 else (-1 if x < 0 else x)


# --- Comparisons: no derivative -------------------------------------------------------


@elementwise(result=bool)
def eq(x: float, y: float) -> bool:
    """``x == y``, elementwise."""
    return x == y


@elementwise(result=bool)
def ne(x: float, y: float) -> bool:
    """``x != y``, elementwise."""
    return x != y


@elementwise(result=bool)
def lt(x: float, y: float) -> bool:
    """``x < y``, elementwise."""
    return x < y


@elementwise(result=bool)
def le(x: float, y: float) -> bool:
    """``x <= y``, elementwise."""
    return x <= y


@elementwise(result=bool)
def gt(x: float, y: float) -> bool:
    """``x > y``, elementwise."""
    return x > y


@elementwise(result=bool)
def ge(x: float, y: float) -> bool:
    """``x >= y``, elementwise."""
    return x >= y


# --- Functions ------------------------------------------------------------------------


@elementwise(x=lambda g, out: g * out)
def exp(x: float) -> float:
    """``e ** x``."""
    return math.exp(x)


@elementwise(x=lambda g, out: g * (out + 1.0))
def expm1(x: float) -> float:
    """``exp(x) - 1``, exact for small ``x``."""
    return math.expm1(x)


@elementwise(x=lambda g, x: g / x)
def log(x: float) -> float:
    """Natural logarithm."""
    return math.log(x)


@elementwise(x=lambda g, x: g / (x + 1.0))
def log1p(x: float) -> float:
    """``log(1 + x)``, exact for small ``x``."""
    return math.log1p(x)


@elementwise(x=lambda g, out: g / (2.0 * out))
def sqrt(x: float) -> float:
    """Square root."""
    return math.sqrt(x)


@elementwise(x=lambda g, x: g * cos(x))
def sin(x: float) -> float:
    """Sine of ``x`` in radians."""
    return math.sin(x)


@elementwise(x=lambda g, x: -(g * sin(x)))
def cos(x: float) -> float:
    """Cosine of ``x`` in radians."""
    return math.cos(x)


# At x = 0 the plain formulas give 0 * inf; the limit is 0, as in PyTorch.
def _pow_vjp_x(g: Any, x: Any, y: Any) -> Any:
    if isinstance(y, int | float):
        return g * (y * pow(x, y - 1.0)) if y else g * 0.0
    base = where(mul(eq(x, 0), eq(y, 0)), 1.0, x)
    return g * (y * pow(base, y - 1.0))


def _pow_vjp_y(g: Any, x: Any, y: Any, out: Any) -> Any:
    if isinstance(x, int | float):
        return g * (out * math.log(x)) if x else g * 0.0
    zero = eq(x, 0)
    return where(mul(zero, ge(y, 0)), 0.0, g * (out * log(where(zero, 1.0, x))))


@elementwise(x=_pow_vjp_x, y=_pow_vjp_y)
def pow(x: float, y: float) -> float:
    """``x ** y``."""
    return math.pow(x, y)


# Where x equals y the gradient is shared between them, as in PyTorch.
def _split(g: Any, wins: Any, ties: Any) -> Any:
    return where(wins, g, where(ties, 0.5 * g, 0.0))


@elementwise(
    x=lambda g, x, y: _split(g, gt(x, y), eq(x, y)),
    y=lambda g, x, y: _split(g, lt(x, y), eq(x, y)),
)
def maximum(x: float, y: float) -> float:
    """The larger of ``x`` and ``y``; nan where either is."""
    return x if x > y or x != x else y


@elementwise(
    x=lambda g, x, y: _split(g, lt(x, y), eq(x, y)),
    y=lambda g, x, y: _split(g, gt(x, y), eq(x, y)),
)
def minimum(x: float, y: float) -> float:
    """The smaller of ``x`` and ``y``; nan where either is."""
    return x if x < y or x != x else y


@elementwise(
    x=lambda g, condition: where(condition, g, 0.0),
    y=lambda g, condition: where(condition, 0.0, g),
)
def where(condition: float, x: float, y: float) -> float:
    """``x`` where ``condition`` holds, else ``y``."""
    return x if condition else y


@elementwise(x=lambda g, x, min, max: where(mul(ge(x, min), le(x, max)), g, 0.0))
def clip(x: float, *, min: float = -math.inf, max: float = math.inf) -> float:
    """``x`` kept within ``[min, max]``; the derivative is 1 on the bounds, as in PyTorch."""
    return min if x < min else (max if x > max else x)


# --- Activations ----------------------------------------------------------------------


@elementwise(x=lambda g, out: relu_backward(g, out))
def relu(x: float) -> float:
    """``max(x, 0)``; the derivative at 0 is taken as 0."""
    return 0 if x <= 0 else x


@elementwise(gradient=lambda g, y: relu_backward(g, y))
def relu_backward(gradient: float, y: float) -> float:
    """The gradient of ``x`` from that of ``y = relu(x)``."""
    return 0 if y <= 0 else gradient


@elementwise(
    x=lambda g, x, negative_slope: leaky_relu_backward(g, x, negative_slope=negative_slope)
)
def leaky_relu(x: float, *, negative_slope: float = 0.01) -> float:
    """``x`` where it is positive, else ``negative_slope * x`` (Maas et al. 2013, eq. 2)."""
    return x if x > 0 else negative_slope * x


@elementwise(
    gradient=lambda g, x, negative_slope: leaky_relu_backward(g, x, negative_slope=negative_slope)
)
def leaky_relu_backward(gradient: float, x: float, *, negative_slope: float) -> float:
    """The gradient of ``x`` from that of ``leaky_relu(x)``."""
    return gradient if x > 0 else negative_slope * gradient


@elementwise(x=lambda g, out: tanh_backward(g, out))
def tanh(x: float) -> float:
    """Hyperbolic tangent."""
    return math.tanh(x)


@elementwise(
    gradient=lambda g, y: tanh_backward(g, y),
    y=lambda g, gradient, y: g * gradient * (-2.0 * y),
)
def tanh_backward(gradient: float, y: float) -> float:
    """The gradient of ``x`` from that of ``y = tanh(x)``."""
    return gradient * (1 - y * y)


@elementwise(x=lambda g, out: sigmoid_backward(g, out))
def sigmoid(x: float) -> float:
    """``1 / (1 + exp(-x))``; never overflows."""
    e = math.exp(-abs(x))
    return (e if x < 0 else 1) / (1 + e)


@elementwise(
    gradient=lambda g, y: sigmoid_backward(g, y),
    y=lambda g, gradient, y: g * (gradient * (1.0 - 2.0 * y)),
)
def sigmoid_backward(gradient: float, y: float) -> float:
    """The gradient of ``x`` from that of ``y = sigmoid(x)``."""
    return gradient * (y * (1 - y))


@elementwise(x=lambda g, x: g * sigmoid(x))
def softplus(x: float) -> float:
    """``log(1 + exp(x))``; never overflows."""
    return (0 if x <= 0 else x) + math.log1p(math.exp(-abs(x)))


# --- Binary cross-entropy -------------------------------------------------------------

#: Below this ``p (1 - p)`` is held in the derivative of binary_cross_entropy, as in PyTorch.
SMALLEST_VARIANCE = 1e-12


@elementwise(
    p=lambda g, p, target: binary_cross_entropy_backward(g, p, target),
    target=lambda g, p: g * (_clamped_log(1.0 - p) - _clamped_log(p)),
)
def binary_cross_entropy(p: float, target: float) -> float:
    """``-target log p - (1 - target) log(1 - p)``, each logarithm held above -100."""
    log_p = math.log(p)
    log_q = math.log1p(-p)
    return (target - 1) * (-100 if log_q < -100 else log_q) - target * (
        -100 if log_p < -100 else log_p
    )


def _clamped_log(p: Any) -> Any:
    return clip(log(p), min=-100.0)


# d/dp of (p - t) / (p (1 - p)); beyond SMALLEST_VARIANCE the denominator is a constant.
@elementwise(
    gradient=lambda g, p, target: binary_cross_entropy_backward(g, p, target),
    p=lambda g, gradient, p, target: g * gradient * _cross_entropy_curvature(p, target),
    target=lambda g, gradient, p: -(g * (gradient / _variance(p))),
)
def binary_cross_entropy_backward(gradient: float, p: float, target: float) -> float:
    """The gradient of ``p`` from that of ``binary_cross_entropy(p, target)``."""
    variance = p * (1 - p)
    return gradient * (p - target) / (1e-12 if variance < 1e-12 else variance)


def _variance(p: Any) -> Any:
    return clip(p * (1.0 - p), min=SMALLEST_VARIANCE)


def _cross_entropy_curvature(p: Any, target: Any) -> Any:
    variance = _variance(p)
    bent = where(le(variance, SMALLEST_VARIANCE), 0.0, 1.0 - 2.0 * p)
    return (1.0 - (p - target) * bent / variance) / variance


@elementwise(
    x=lambda g, x, target: g * (sigmoid(x) - target),
    target=lambda g, x: -(g * x),
)
def binary_cross_entropy_with_logits(x: float, target: float) -> float:
    """:func:`binary_cross_entropy` of ``sigmoid(x)``; never overflows."""
    return (-x * target if x <= 0 else x * (1 - target)) + math.log1p(math.exp(-abs(x)))


# --- Other types and copies -----------------------------------------------------------


@primitive(x=lambda g: g)
def cast(x: Array, *, dtype: DType) -> Array:
    """A copy of ``x`` with elements of type ``dtype``; the tape casts the gradient back."""
    kernels = kernels_for[type(x)]
    out = kernels.empty(x.shape, dtype, like=x)
    kernels.copy(x, out=out)
    return out


@primitive(x=lambda g: g)
def clone(x: Array) -> Array:
    """A contiguous copy of ``x``."""
    kernels = kernels_for[type(x)]
    out = kernels.empty(x.shape, x.dtype, like=x)
    kernels.copy(x, out=out)
    return out


@primitive(x=lambda g, device, source: to_device(g, device=source, source=device))
def to_device(x: Array, *, device: str, source: str) -> Array:
    """A copy of ``x``, which lies on the device ``source``, on ``device``."""
    return devices.moved(x, device)


# --- Shape: the same elements, seen otherwise -----------------------------------------


@primitive(is_view=True, x=lambda g, x_shape: reshape(contiguous(g), shape=x_shape))
def reshape(x: Array, *, shape: tuple[int, ...]) -> Array:
    """The contiguous tensor ``x`` under another shape of the same size."""
    return kernels_for[type(x)].reshape(x, shape=shape)


def contiguous(x: Any) -> Any:
    """``x`` itself where its elements lie in row-major order, else a copy that does."""
    return x if kernels_for[type(x.data)].is_contiguous(x.data) else clone(x)


@primitive(is_view=True, x=lambda g, axes: permute(g, axes=_inverse(axes)))
def permute(x: Array, *, axes: tuple[int, ...]) -> Array:
    """``x`` with its axes in the order ``axes``."""
    return kernels_for[type(x)].permute(x, axes=axes)


def _inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(range(len(axes)), key=axes.__getitem__))


@primitive(is_view=True, x=lambda g: g)
def expand(x: Array, *, shape: tuple[int, ...]) -> Array:
    """``x`` broadcast to ``shape``; its repeated elements share memory."""
    return kernels_for[type(x)].expand(x, shape=shape)


@primitive(is_view=True, x=lambda g, x_shape, index: scatter(g, shape=x_shape, index=index))
def view(x: Array, *, index: Index) -> Array:
    """``x[index]`` for integers, slices, ``None`` and ``...``."""
    return kernels_for[type(x)].view(x, index=index)


@primitive(x=lambda g, index: view(g, index=index))
def scatter(x: Array, *, shape: tuple[int, ...], index: Index) -> Array:
    """Zeros of ``shape``, but for ``x`` at ``index``: the transpose of :func:`view`."""
    kernels = kernels_for[type(x)]
    out = kernels.empty(shape, x.dtype, like=x)
    kernels.scatter(x, index=index, out=out)
    return out


@primitive(
    x=lambda g, indices, x_shape, template: scatter_add(
        g, *indices, shape=x_shape, template=template
    )
)
def gather(x: Array, *indices: Array, template: Index) -> Array:
    """``x[template]``, each ``"array"`` in the template standing for the next of ``indices``."""
    return kernels_for[type(x)].gather(x, *indices, template=template)


@primitive(x=lambda g, indices, template: gather(g, *indices, template=template))
def scatter_add(x: Array, *indices: Array, shape: tuple[int, ...], template: Index) -> Array:
    """Zeros of ``shape``, to which ``x`` is added at the index: the transpose of :func:`gather`."""
    kernels = kernels_for[type(x)]
    out = kernels.empty(shape, x.dtype, like=x)
    kernels.scatter_add(x, *indices, template=template, out=out)
    return out


@primitive(
    tensors=lambda g, tensors_shapes, position, axis: view(
        g, index=_slab(tensors_shapes, position, axis)
    )
)
def concatenate(*tensors: Array, axis: int = 0) -> Array:
    """The tensors one after another along ``axis``."""
    if not tensors:
        raise ValueError("concatenate: no tensors were given")
    first = tensors[0]
    axis = _axes("concatenate", axis, first.ndim)[0]
    for x in tensors[1:]:
        if _without(x.shape, axis) != _without(first.shape, axis):
            raise ValueError(
                f"concatenate: the shapes {first.shape} and {x.shape} differ beside axis {axis}"
            )
    length = builtins.sum(x.shape[axis] for x in tensors)
    shape = (*first.shape[:axis], length, *first.shape[axis + 1 :])
    kernels = kernels_for[type(first)]
    out = kernels.empty(shape, dtypes.promote(tensors), like=first)
    kernels.concatenate(*tensors, axis=axis, out=out)
    return out


def _slab(shapes: list[tuple[int, ...]], position: int, axis: int) -> Index:
    """Where the tensor at ``position`` lies in the concatenation along ``axis``."""
    axis = axis % len(shapes[position])
    start = builtins.sum(shape[axis] for shape in shapes[:position])
    return (*[slice(None)] * axis, slice(start, start + shapes[position][axis]))


def _without(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return shape[:axis] + shape[axis + 1 :]


# --- Reductions -----------------------------------------------------------------------


@primitive(
    x=lambda g, x_shape, axis, keepdims: expand(_kept(g, x_shape, axis, keepdims), shape=x_shape)
)
def sum(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """Sum of the elements over ``axis``: all, one or several."""
    return _reduced("sum", x, axis, keepdims)


def _largest_vjp(g: Any, x: Any, out: Any, axis: Axis, keepdims: bool) -> Any:
    """The gradient goes to the elements that equal the result, in equal parts."""
    chosen = cast(eq(x, _kept(out, x.shape, axis, keepdims)), dtype=g.dtype)
    share = _kept(g, x.shape, axis, keepdims) / sum(chosen, axis=axis, keepdims=True)
    return chosen * share


@primitive(x=_largest_vjp)
def max(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """Largest element over ``axis``; equal ones share the gradient, as in ``torch.amax``."""
    return _reduced("max", x, axis, keepdims)


@primitive(x=_largest_vjp)
def min(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """Smallest element over ``axis``; equal ones share the gradient, as in ``torch.amin``."""
    return _reduced("min", x, axis, keepdims)


def _axes(name: str, axis: Axis, ndim: int) -> tuple[int, ...]:
    """``axis`` as a sorted tuple of axes from 0 on."""
    if axis is None:
        return tuple(range(ndim))
    axes = (axis,) if isinstance(axis, int) else axis
    for one in axes:
        if not -ndim <= one < builtins.max(ndim, 1):
            raise ValueError(f"{name}: axis {one} is out of range for {ndim} dimensions")
    found = tuple(sorted({one % ndim for one in axes} if ndim else ()))
    if ndim and len(found) != len(axes):
        raise ValueError(f"{name}: an axis stands twice in {axis}")
    return found


def _shrunk(shape: tuple[int, ...], axes: tuple[int, ...], keepdims: bool) -> tuple[int, ...]:
    if len(axes) == len(shape) and not keepdims:
        return ()
    if keepdims:
        return tuple([1 if i in axes else n for i, n in enumerate(shape)])
    return tuple([n for i, n in enumerate(shape) if i not in axes])


def _reduced(name: str, x: Array, axis: Axis, keepdims: bool) -> Array:
    axes = _axes(name, axis, x.ndim)
    if name != "sum" and not all(x.shape[one] for one in axes):
        raise ValueError(f"{name}: no elements to reduce over axis {axis} of shape {x.shape}")
    counts = name == "sum" and x.dtype.kind in "bu"
    kernels = kernels_for[type(x)]
    dtype = dtypes.int64 if counts else x.dtype
    out = kernels.empty(_shrunk(x.shape, axes, keepdims), dtype, like=x)
    getattr(kernels, name)(x, axis=axes, keepdims=keepdims, out=out)
    return out


def _kept(g: Any, shape: tuple[int, ...], axis: Axis, keepdims: bool) -> Any:
    """``g`` with the axes that a reduction of ``shape`` dropped put back as ones."""
    if keepdims or not shape or g.data.ndim == len(shape):
        return g
    axes = _axes("sum", axis, len(shape))
    if len(axes) == len(shape):
        return g  # a scalar broadcasts as it is
    return reshape(contiguous(g), shape=_shrunk(shape, axes, True))


@primitive(x=lambda g, out, axis: g - exp(out) * sum(g, axis=axis, keepdims=True))
def log_softmax(x: Array, *, axis: int = -1) -> Array:
    """``x - log(sum(exp(x)))`` along ``axis``; never overflows."""
    _axes("log_softmax", axis, x.ndim)
    kernels = kernels_for[type(x)]
    out = kernels.empty(x.shape, x.dtype, like=x)
    kernels.log_softmax(x, axis=axis, out=out)
    return out


# --- Products -------------------------------------------------------------------------


def _transposed(x: Any) -> Any:
    """The last two axes exchanged."""
    axes = range(x.data.ndim)
    return permute(x, axes=(*axes[:-2], axes[-1], axes[-2]))


@primitive(
    x=lambda g, y: matmul(g, _transposed(y)),
    y=lambda g, x: matmul(_transposed(x), g),
)
def matmul(x: Array, y: Array) -> Array:
    """Matrix product of the last two axes; those before broadcast. Both have at least two axes."""
    if x.ndim < 2 or y.ndim < 2 or x.shape[-1] != y.shape[-2]:
        raise ValueError(
            f"matmul: cannot multiply the shapes {x.shape} and {y.shape}; the last axis of the "
            "first and the second-to-last of the second must be equal"
        )
    shape: tuple[int, ...] = (x.shape[-2], y.shape[-1])
    if x.ndim > 2 or y.ndim > 2:
        try:
            shape = np.broadcast_shapes(x.shape[:-2], y.shape[:-2]) + shape
        except ValueError as error:
            raise ValueError(
                f"matmul: the leading axes of {x.shape} and {y.shape} do not broadcast"
            ) from error
    dtype = x.dtype if x.dtype is y.dtype else dtypes.promote((x, y))
    kernels = kernels_for[type(x)]
    out = kernels.empty(shape, dtype, like=x)
    kernels.matmul(x, y, out=out)
    return out


# A layer computes its activation in the same pass: these are the ones that it can undo from
# its output alone.
ACTIVATION_BACKWARD: dict[str, Callable[[Any, Any], Any]] = {
    "none": lambda g, y: g,
    "relu": relu_backward,
    "tanh": tanh_backward,
    "sigmoid": sigmoid_backward,
}


def _linear_backward(g: Any, out: Any, activation: str) -> tuple[Any, Any]:
    """The gradient before the activation, and its sum over rows, which is the bias's."""
    if is_grad_enabled():  # each on the tape by itself, so that it can be differentiated again
        before = ACTIVATION_BACKWARD[activation](g, out)
        return before, sum(before, axis=0)
    kernels = kernels_for[type(g.data)]
    before = kernels.empty(g.shape, g.dtype, like=g.data)
    bias = kernels.empty(g.shape[1:], g.dtype, like=g.data)
    kernels.linear_backward(g.data, out.data, activation=activation, out=(before, bias))
    return constant(before), constant(bias)


@primitive(
    common={"before": _linear_backward},
    x=lambda before, weight: matmul(before[0], weight),
    weight=lambda before, x: matmul(_transposed(before[0]), x),
    bias=lambda before: before[1],
)
def linear(x: Array, weight: Array, bias: Array, *, activation: str = "none") -> Array:
    """``activation(x @ weight.T + bias)``: a layer in one pass over its output.

    Args:
        x: (N, in_features).
        weight: (out_features, in_features).
        bias: (out_features,).
        activation: ``"none"``, ``"relu"``, ``"tanh"`` or ``"sigmoid"``.

    Returns:
        (N, out_features).
    """
    if x.ndim != 2 or weight.ndim != 2 or x.shape[1] != weight.shape[1]:
        raise ValueError(
            f"linear: an input of shape {x.shape} does not fit a weight of shape {weight.shape}; "
            "expected (N, in_features) and (out_features, in_features)"
        )
    if bias.shape != weight.shape[:1]:
        raise ValueError(
            f"linear: a bias of shape {bias.shape} does not fit a weight of shape {weight.shape}"
        )
    if activation not in ACTIVATION_BACKWARD:
        raise ValueError(
            f"linear: no activation {activation!r}; choose one of {', '.join(ACTIVATION_BACKWARD)}"
        )
    dtype = x.dtype
    if weight.dtype is not dtype or bias.dtype is not dtype:
        dtype = dtypes.promote((x, weight, bias))
    kernels = kernels_for[type(x)]
    out = kernels.empty((x.shape[0], weight.shape[0]), dtype, like=x)
    kernels.linear(x, weight, bias, activation=activation, out=out)
    return out
