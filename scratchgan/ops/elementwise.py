# Lambdas name primitives that stand further down, whose types mypy has not inferred yet.
# mypy: disable-error-code="has-type"
"""Primitives that compute each element by itself: arithmetic, functions, activations, a loss.

Their bodies are scalar definitions: arithmetic on single numbers that every backend compiles.
Called, they take and give tensors of shapes that broadcast.
"""

import math
from typing import Any

from scratchgan.autograd.elementwise import elementwise
from scratchgan.autograd.tensor import method

# --- Arithmetic ------------------------------------------------------------------------


@method("__add__", reflected="__radd__")
@elementwise(x=lambda g: g, y=lambda g: g)
def add(x: float, y: float) -> float:
    """``x + y``."""
    return x + y


@method("__sub__", reflected="__rsub__")
@elementwise(x=lambda g: g, y=lambda g: -g)
def sub(x: float, y: float) -> float:
    """``x - y``."""
    return x - y


@method("__mul__", reflected="__rmul__")
@elementwise(x=lambda g, y: g * y, y=lambda g, x: g * x)
def mul(x: float, y: float) -> float:
    """``x * y``."""
    return x * y


@method("__truediv__", reflected="__rtruediv__")
@elementwise(x=lambda g, y: g / y, y=lambda g, y, out: -(g * out / y))
def div(x: float, y: float) -> float:
    """``x / y``; integers give the default floating type."""
    return x / y


@method("__neg__")
@elementwise(x=lambda g: -g)
def neg(x: float) -> float:
    """``-x``."""
    return -x


@method()
@elementwise(x=lambda g, x: g * (2.0 * x))
def square(x: float) -> float:
    """``x * x``."""
    return x * x


@method("abs", "__abs__")
@elementwise(x=lambda g, x: g * sign(x))
def abs(x: float) -> float:
    """``|x|``; the derivative at 0 is taken as 0."""
    return -x if x < 0 else x + 0  # + 0 makes a positive zero of a negative one


@method()
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


@method("__lt__")
@elementwise(result=bool)
def lt(x: float, y: float) -> bool:
    """``x < y``, elementwise."""
    return x < y


@method("__le__")
@elementwise(result=bool)
def le(x: float, y: float) -> bool:
    """``x <= y``, elementwise."""
    return x <= y


@method("__gt__")
@elementwise(result=bool)
def gt(x: float, y: float) -> bool:
    """``x > y``, elementwise."""
    return x > y


@method("__ge__")
@elementwise(result=bool)
def ge(x: float, y: float) -> bool:
    """``x >= y``, elementwise."""
    return x >= y


# --- Functions ------------------------------------------------------------------------


@method()
@elementwise(x=lambda g, out: g * out)
def exp(x: float) -> float:
    """``e ** x``."""
    return math.exp(x)


@method()
@elementwise(x=lambda g, out: g * (out + 1.0))
def expm1(x: float) -> float:
    """``exp(x) - 1``, exact for small ``x``."""
    return math.expm1(x)


@method()
@elementwise(x=lambda g, x: g / x)
def log(x: float) -> float:
    """Natural logarithm."""
    return math.log(x)


@method()
@elementwise(x=lambda g, x: g / (x + 1.0))
def log1p(x: float) -> float:
    """``log(1 + x)``, exact for small ``x``."""
    return math.log1p(x)


@method()
@elementwise(x=lambda g, out: g / (2.0 * out))
def sqrt(x: float) -> float:
    """Square root."""
    return math.sqrt(x)


@method()
@elementwise(x=lambda g, x: g * cos(x))
def sin(x: float) -> float:
    """Sine of ``x`` in radians."""
    return math.sin(x)


@method()
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


@method()
@elementwise(
    x=lambda g, x, y: _split(g, gt(x, y), eq(x, y)),
    y=lambda g, x, y: _split(g, lt(x, y), eq(x, y)),
)
def maximum(x: float, y: float) -> float:
    """The larger of ``x`` and ``y``; nan where either is."""
    return x if x > y or x != x else y


@method()
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


@method("clip", "clamp")
@elementwise(x=lambda g, x, min, max: where(mul(ge(x, min), le(x, max)), g, 0.0))
def clip(x: float, *, min: float = -math.inf, max: float = math.inf) -> float:
    """``x`` kept within ``[min, max]``; the derivative is 1 on the bounds, as in PyTorch."""
    return min if x < min else (max if x > max else x)


# --- Activations ----------------------------------------------------------------------


@method()
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


@method()
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


@method()
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


@method()
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
