# Lambdas name primitives that stand further down, whose types mypy has not inferred yet.
# mypy: disable-error-code="has-type"
"""Elementwise primitives: arithmetic and functions.

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


@method("neg", "negative", "__neg__")
@elementwise(takes="iuf", x=lambda g: -g)
def neg(x: float) -> float:
    """``-x``."""
    return -x


@elementwise(x=lambda g, x: g * (2.0 * x))
def square(x: float) -> float:
    """``x * x``."""
    return x * x


@method("abs", "absolute", "__abs__")
@elementwise(x=lambda g, x: g * sign(x))
def abs(x: float) -> float:
    """``|x|``; the derivative at 0 is taken as 0."""
    return -x if x < 0 else x + 0  # + 0 makes a positive zero of a negative one


@elementwise(x=lambda g: mul(g, 0.0))
def sign(x: float) -> float:
    """-1, 0 or 1; nan for nan."""
    return 1 if x > 0 else (-1 if x < 0 else x)


# --- Comparisons: no derivative -------------------------------------------------------


@method("eq")
@elementwise(result=bool, tensors=("x",))
def eq(x: float, y: float) -> bool:
    """``x == y``, elementwise."""
    return x == y


@method("ne", "not_equal")
@elementwise(result=bool, tensors=("x",))
def ne(x: float, y: float) -> bool:
    """``x != y``, elementwise."""
    return x != y


@method("__lt__", "lt", "less")
@elementwise(result=bool, tensors=("x",))
def lt(x: float, y: float) -> bool:
    """``x < y``, elementwise."""
    return x < y


@method("__le__", "le", "less_equal")
@elementwise(result=bool, tensors=("x",))
def le(x: float, y: float) -> bool:
    """``x <= y``, elementwise."""
    return x <= y


@method("__gt__", "gt", "greater")
@elementwise(result=bool, tensors=("x",))
def gt(x: float, y: float) -> bool:
    """``x > y``, elementwise."""
    return x > y


@method("__ge__", "ge", "greater_equal")
@elementwise(result=bool, tensors=("x",))
def ge(x: float, y: float) -> bool:
    """``x >= y``, elementwise."""
    return x >= y


# --- Bits of integers: no derivative --------------------------------------------------


@method("bitwise_and", "__and__", reflected="__rand__")
@elementwise(takes="biu")
def bitwise_and(x: int, y: int) -> int:
    """The bits that both have; of booleans, whether both are true."""
    return x & y


@method("bitwise_or", "__or__", reflected="__ror__")
@elementwise(takes="biu")
def bitwise_or(x: int, y: int) -> int:
    """The bits that either has; of booleans, whether one is true."""
    return x | y


@method("bitwise_xor", "__xor__", reflected="__rxor__")
@elementwise(takes="biu")
def bitwise_xor(x: int, y: int) -> int:
    """The bits that just one has; of booleans, whether they differ."""
    return x ^ y


@method("bitwise_left_shift", "__lshift__", reflected="__rlshift__")
@elementwise(takes="iu")
def bitwise_left_shift(x: int, y: int) -> int:
    """The bits moved up by ``y`` places: ``x * 2**y``."""
    return x << y


@method("bitwise_right_shift", "__rshift__", reflected="__rrshift__")
@elementwise(takes="iu")
def bitwise_right_shift(x: int, y: int) -> int:
    """The bits moved down by ``y`` places, the sign kept: ``floor(x / 2**y)``."""
    return x >> y


@elementwise(takes="iu")
def bits_turned(x: int) -> int:
    """Every bit turned: ``-1 - x``."""
    return ~x


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
        if x > 0:
            return g * (out * math.log(x))
        return where(ge(y, 0), 0.0, g * (out * -math.inf)) if x == 0 else g * (out * math.nan)
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
    tensors=("x", "y"),
    x=lambda g, x, y: _split(g, gt(x, y), eq(x, y)),
    y=lambda g, x, y: _split(g, lt(x, y), eq(x, y)),
)
def maximum(x: float, y: float) -> float:
    """The larger of ``x`` and ``y``; nan where either is."""
    return x if x > y or x != x else y


@method()
@elementwise(
    tensors=("x", "y"),
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
