"""Elementwise functions composed of primitives, under PyTorch's names."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from scratchgan import dtypes, ops
from scratchgan.autograd.arguments import checked, require_tensors
from scratchgan.autograd.tensor import Tensor, method
from scratchgan.functions.beside import filled

# --- Arithmetic with options --------------------------------------------------------------


def _scaled(name: str, input: Any, other: Any, alpha: float) -> Any:
    """``alpha * other``, which must not be a fraction where both are integers."""
    if alpha == 1:
        return other
    kinds = {x.dtype.kind if isinstance(x, Tensor) else "" for x in (input, other)}
    if (
        "f" not in kinds
        and isinstance(alpha, float)
        and not any(isinstance(x, float) for x in (input, other))
    ):
        raise TypeError(f"{name}: alpha is {alpha}; for integers it must be an integer")
    return ops.mul(other, alpha) if isinstance(other, Tensor) else other * alpha


@method()
def add(input: Any, other: Any, *, alpha: float = 1) -> Tensor:
    """``input + alpha * other``."""
    return ops.add(input, _scaled("add", input, other, alpha))


@method("sub", "subtract")
def sub(input: Any, other: Any, *, alpha: float = 1) -> Tensor:
    """``input - alpha * other``."""
    return ops.sub(input, _scaled("sub", input, other, alpha))


@checked
def rsub(input: Tensor, other: Any, *, alpha: float = 1) -> Tensor:
    """``other - alpha * input``."""
    return ops.sub(other, _scaled("rsub", other, input, alpha))


method("mul", "multiply")(ops.mul)


@method("div", "divide")
def div(input: Any, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """``input / other``; with ``rounding_mode`` ``"floor"`` or ``"trunc"`` a whole number.

    Raises:
        ValueError: There is no such rounding mode.
    """
    if rounding_mode is None:
        return ops.div(input, other)
    if rounding_mode == "floor":
        return floor_divide(input, other)
    if rounding_mode != "trunc":
        raise ValueError(f"div: rounding_mode is {rounding_mode!r}; choose floor or trunc")
    if _are_whole(input, other):
        down = floor_divide(input, other)
        is_cut = ops.bitwise_and(ops.lt(down, 0), ops.ne(ops.mul(down, other), input))
        return ops.add(down, is_cut.to(down.dtype))
    return ops.trunc(ops.div(input, other))


@method()
def true_divide(input: Any, other: Any) -> Tensor:
    """``input / other``."""
    return ops.div(input, other)


def _are_whole(*inputs: Any) -> bool:
    """Whether none has fractions."""
    return all(
        x.dtype.kind in "biu" if isinstance(x, Tensor) else not isinstance(x, float) for x in inputs
    )


def _require_divisor(name: str, other: Any) -> None:
    if isinstance(other, int) and other == 0:
        raise ZeroDivisionError(f"{name}: integers cannot be divided by 0")


@method("floor_divide", "__floordiv__", reflected="__rfloordiv__")
def floor_divide(input: Any, other: Any) -> Tensor:
    """``floor(input / other)``; its derivative is taken as 0.

    Raises:
        ZeroDivisionError: Integers, and ``other`` is 0.
    """
    if _are_whole(input, other):
        _require_divisor("floor_divide", other)
    return ops.floored_quotient(input, other)


@method("remainder", "__mod__", reflected="__rmod__")
def remainder(input: Any, other: Any) -> Tensor:
    """``input - other * floor(input / other)``, which has the sign of ``other``.

    Raises:
        ZeroDivisionError: Integers, and ``other`` is 0.
    """
    if _are_whole(input, other):
        _require_divisor("remainder", other)
    return ops.remainder(input, other)


@method()
def fmod(input: Any, other: Any) -> Tensor:
    """``input - other * trunc(input / other)``, which has the sign of ``input``.

    Raises:
        ZeroDivisionError: Integers, and ``other`` is 0.
    """
    rest = remainder(input, other)
    is_other_side = ops.bitwise_and(ops.ne(rest, 0), ops.ne(ops.lt(rest, 0), ops.lt(input, 0)))
    back = ops.sub(rest, other)  # nan where other is infinite: nothing of it is in the input
    return ops.where(is_other_side, ops.where(ops.eq(back, back), back, input), rest)


@method()
def float_power(input: Any, exponent: Any) -> Tensor:
    """``input ** exponent`` in float64."""
    both = [x.to(dtypes.float64) if isinstance(x, Tensor) else float(x) for x in (input, exponent)]
    return ops.pow(*both)


# --- Rounding and parts --------------------------------------------------------------------


@method()
@checked
def round(input: Tensor, *, decimals: int = 0) -> Tensor:
    """The nearest number with so many decimals, and of two the even one."""
    if input.dtype.kind in "iu":
        return input.clone()
    if not decimals:
        return ops.to_nearest(input)
    scale = 10.0 ** abs(decimals)
    if decimals < 0:
        return ops.mul(ops.to_nearest(ops.div(input, scale)), scale)
    return ops.div(ops.to_nearest(ops.mul(input, scale)), scale)


@method()
@checked
def frac(input: Tensor) -> Tensor:
    """The part behind the point: ``input - trunc(input)``."""
    return ops.sub(input, ops.trunc(input))


@method("sign", "sgn")
@checked
def sign(input: Tensor) -> Tensor:
    """-1, 0 or 1; nan for nan; booleans as they are. The derivative is 0."""
    return input.clone() if input.dtype == dtypes.bool_ else ops.sign(input)


sgn = sign


@method("positive", "__pos__")
@checked
def positive(input: Tensor) -> Tensor:
    """``input`` itself.

    Raises:
        TypeError: It is made of booleans.
    """
    if input.dtype == dtypes.bool_:
        raise TypeError("positive: booleans have no sign")
    return input


@method()
@checked
def signbit(input: Tensor) -> Tensor:
    """Whether an element has a minus sign, as -0.0 has."""
    below: Tensor = ops.lt(input, 0)
    if input.dtype.kind != "f":
        return below
    is_minus_zero = ops.bitwise_and(ops.eq(input, 0), ops.lt(ops.reciprocal(input.detach()), 0))
    return ops.bitwise_or(below, is_minus_zero)


@method()
@checked
def copysign(input: Tensor, other: Any) -> Tensor:
    """The size of ``input`` with the sign of ``other``."""
    size = ops.abs(_as_float(input))
    if not isinstance(other, Tensor):
        return ops.mul(size, math.copysign(1.0, other))
    return ops.where(signbit(other), ops.neg(size), size)


@method()
@checked
def heaviside(input: Tensor, values: Tensor) -> Tensor:
    """0 below 0, 1 above, ``values`` at 0."""
    return ops.where(ops.eq(input, 0), values, ops.gt(input, 0).to(input.dtype))


def _as_float(x: Tensor, dtype: dtypes.DType | None = None) -> Tensor:
    """``x`` as ``dtype``, by default its own; of integers the default floating type."""
    dtype = dtype or x.dtype
    return x.to(dtype if dtype.kind == "f" else dtypes.get_default_dtype())


# --- Functions -----------------------------------------------------------------------------


@method()
@checked
def logit(input: Tensor, eps: float | None = None) -> Tensor:
    """``log(x / (1 - x))``, of ``x`` kept within [``eps``, 1 - ``eps``]."""
    x = _as_float(input)
    if eps is not None:
        x = ops.clip(x, min=eps, max=1 - eps)
    return ops.sub(ops.log(x), ops.log1p(ops.neg(x)))


@method()
def xlogy(input: Any, other: Any) -> Tensor:
    """``input * log(other)``; 0 where ``input`` is 0."""
    if not isinstance(other, Tensor):
        require_tensors("xlogy", input=input)
    like = _as_float(input if isinstance(input, Tensor) else other)
    x, y = (z if isinstance(z, Tensor) else filled(like, (), z) for z in (input, other))
    has_no_log = ops.bitwise_or(ops.le(y, 0), ops.eq(y, math.inf))
    is_none = ops.bitwise_and(ops.eq(x, 0), has_no_log)
    log = ops.log(ops.where(is_none, 1.0, y))
    return ops.where(is_none, 0.0, ops.mul(x, log))


@method()
@checked
def logaddexp(input: Tensor, other: Tensor) -> Tensor:
    """``log(exp(input) + exp(other))``; never overflows."""
    return _log_of_sum(input, other, ops.exp, ops.log)


@method()
@checked
def logaddexp2(input: Tensor, other: Tensor) -> Tensor:
    """``log2(2**input + 2**other)``; never overflows."""
    return _log_of_sum(input, other, ops.exp2, ops.log2)


def _log_of_sum(
    input: Tensor,
    other: Tensor,
    exp: Callable[[Tensor], Tensor],
    log: Callable[[Tensor], Tensor],
) -> Tensor:
    larger = ops.maximum(input, other)
    is_infinite = ops.eq(ops.abs(larger), math.inf)
    x, y, shift = (ops.where(is_infinite, 0.0, z) for z in (input, other, larger.detach()))
    total = ops.add(exp(ops.sub(x, shift)), exp(ops.sub(y, shift)))
    return ops.where(is_infinite, larger, ops.add(log(total), shift))


@method()
@checked
def hypot(input: Tensor, other: Tensor) -> Tensor:
    """``sqrt(input**2 + other**2)``; the squares never overflow."""
    dtype = dtypes.promote((input.array, other.array))
    x, y = _as_float(input, dtype), _as_float(other, dtype)
    one, two = ops.abs(x).detach(), ops.abs(y).detach()
    is_infinite = ops.bitwise_or(ops.eq(one, math.inf), ops.eq(two, math.inf))
    x, y = ops.where(is_infinite, 0.0, x), ops.where(is_infinite, 0.0, y)
    larger = ops.maximum(one, two)
    scale = ops.where(ops.bitwise_or(is_infinite, ops.eq(larger, 0)), 1.0, larger)
    squares = ops.add(ops.square(ops.div(x, scale)), ops.square(ops.div(y, scale)))
    return ops.where(is_infinite, math.inf, ops.mul(scale, ops.sqrt(squares)))


@method()
@checked
def sinc(input: Tensor) -> Tensor:
    """``sin(πx) / (πx)``; 1 at 0."""
    x = ops.mul(_as_float(input), math.pi)
    is_zero = ops.eq(x, 0)
    safe = ops.where(is_zero, 1.0, x)
    # At 0 the series, so that the derivatives are right there too.
    return ops.where(is_zero, 1.0 - ops.square(x) / 6.0, ops.sin(safe) / safe)


@method()
@checked
def deg2rad(input: Tensor) -> Tensor:
    """Degrees to radians."""
    return ops.mul(input, math.pi / 180)


@method()
@checked
def rad2deg(input: Tensor) -> Tensor:
    """Radians to degrees."""
    return ops.mul(input, 180 / math.pi)


@method()
@checked
def nan_to_num(
    input: Tensor, nan: float | None = 0.0, posinf: float | None = None, neginf: float | None = None
) -> Tensor:
    """Numbers in the place of nan (0), and of infinities (the largest there are)."""
    if input.dtype.kind != "f":
        return input.clone()
    most = float(np.finfo(input.dtype).max)
    x = ops.where(ops.ne(input, input), 0.0 if nan is None else nan, input)
    x = ops.where(ops.eq(input, math.inf), most if posinf is None else posinf, x)
    return ops.where(ops.eq(input, -math.inf), -most if neginf is None else neginf, x)


@method()
@checked
def ldexp(input: Tensor, other: Tensor) -> Tensor:
    """``input * 2**other``; the power may be beyond what a number can be."""
    half = ops.floor(ops.mul(other, 0.5)).detach()
    return ops.mul(ops.mul(input, ops.exp2(half)), ops.exp2(ops.sub(other, half)))


# --- Of several tensors ---------------------------------------------------------------------


@method()
@checked
def fmax(input: Tensor, other: Tensor) -> Tensor:
    """The larger of both, and of nan and a number the number; of equal ones the first."""
    return _first_if(ops.ge(input, other), input, other)


@method()
@checked
def fmin(input: Tensor, other: Tensor) -> Tensor:
    """The smaller of both, and of nan and a number the number; of equal ones the first."""
    return _first_if(ops.le(input, other), input, other)


def _first_if(wins: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return ops.where(ops.bitwise_or(wins, ops.ne(y, y)), x, y)


@method()
@checked
def lerp(input: Tensor, end: Tensor, weight: Any) -> Tensor:
    """``input + weight * (end - input)``, computed from the nearer of both."""
    way = ops.sub(end, input)
    near_input = ops.add(input, ops.mul(way, weight))
    near_end = ops.sub(end, ops.mul(way, 1.0 - weight))
    if not isinstance(weight, Tensor):
        return near_input if weight < 0.5 else near_end
    return ops.where(ops.lt(weight, 0.5), near_input, near_end)


@method()
@checked
def addcmul(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
    """``input + value * tensor1 * tensor2``."""
    product = ops.mul(tensor1, tensor2)
    return ops.add(input, product if value == 1 else ops.mul(product, value))


@method()
@checked
def addcdiv(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
    """``input + value * tensor1 / tensor2``.

    Raises:
        TypeError: Both are integers.
    """
    if _are_whole(tensor1, tensor2):
        raise TypeError("addcdiv: of integers; convert one to a floating type")
    return ops.add(input, ops.mul(ops.div(tensor1, tensor2), value))
