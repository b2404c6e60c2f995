"""Arithmetic composed of primitives, and Python's operators where they are not one alone."""

import math
from typing import Any

import numpy as np

from scratchgan import dtypes, ops
from scratchgan.autograd.arguments import checked
from scratchgan.autograd.tensor import Tensor, method


@method("pow", "__pow__", reflected="__rpow__")
def power(input: Any, exponent: Any) -> Tensor:
    """``input ** exponent``."""
    if isinstance(exponent, Tensor) and exponent.dtype.kind == "i":
        base_kind = input.dtype.kind if isinstance(input, Tensor) else type(input).__name__[0]
        if base_kind in "biu":
            return _whole_power(input, exponent)
    # A product is exact and many times faster than a power.
    if type(exponent) is int and exponent == 2 and isinstance(input, Tensor):
        return square(input)
    if type(exponent) is float and exponent == 2 and input.array.dtype.kind == "f":
        return ops.square(input)
    return ops.pow(input, exponent)


def _whole_power(base: Any, exponent: Tensor) -> Tensor:
    """A power of integers: with an exponent below 0 it is 1 over it, rounded towards 0."""
    is_below = ops.lt(exponent, 0)
    found = ops.pow(base, ops.where(is_below, 0, exponent))
    if not isinstance(base, Tensor):
        base = ops.add(ops.mul(exponent, 0), base)
    is_odd = ops.ne(ops.bitwise_and(exponent, 1), 0)
    minus = ops.where(is_odd, -1, 1)
    inverse = ops.where(ops.eq(base, 1), 1, ops.where(ops.eq(base, -1), minus, 0))
    return ops.where(is_below, inverse, found).to(found.dtype)


@method()
@checked
def square(input: Tensor) -> Tensor:
    """``input * input``; of booleans integers."""
    return ops.square(input.to(dtypes.int64) if input.dtype == dtypes.bool_ else input)


@method("clamp", "clip")
@checked
def clamp(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """``input`` kept within ``[min, max]``; the derivative is 1 on the bounds, as in PyTorch.

    Args:
        input: Real numbers.
        min: A number or a tensor; None for no bound.
        max: A number or a tensor, which wins where it is below ``min``; None for no bound.

    Raises:
        ValueError: Neither bound is given.
    """
    if min is None and max is None:
        raise ValueError("clamp: neither min nor max is given")
    if isinstance(min, Tensor):
        above = ops.where(ops.ge(input, min), input, ops.maximum(input, min))
        return above if max is None else clamp(above, max=max)
    if isinstance(max, Tensor):
        x = input if min is None else clamp(input, min=min)
        return ops.where(ops.le(x, max), x, ops.minimum(x, max))
    if input.dtype.kind != "f" and any(type(bound) is float for bound in (min, max)):
        input = input.to(dtypes.get_default_dtype())
    elif input.dtype == dtypes.bool_:
        input = input.to(dtypes.int64)
    lowest, highest = _limits_of(input.dtype)
    least, most = lowest if min is None else min, highest if max is None else max
    return ops.clip(input, min=least, max=most)


def _limits_of(dtype: dtypes.DType) -> tuple[float, float]:
    """The smallest and the largest element of a type."""
    if dtype.kind == "f":
        return -math.inf, math.inf
    limits = np.iinfo(dtype)
    return int(limits.min), int(limits.max)


@method()
@checked
def clamp_min(input: Tensor, min: Any) -> Tensor:
    """``input`` where it is above ``min``, else that."""
    return clamp(input, min=min)


@method()
@checked
def clamp_max(input: Tensor, max: Any) -> Tensor:
    """``input`` where it is below ``max``, else that."""
    return clamp(input, max=max)


@method("bitwise_not", "__invert__")
@checked
def bitwise_not(input: Tensor) -> Tensor:
    """Every bit of an integer turned, ``-1 - x``; of a boolean, whether it is false.

    Raises:
        TypeError: The elements are neither integers nor booleans.
    """
    if input.dtype == dtypes.bool_:
        return ops.eq(input, False)
    return ops.bits_turned(input)


@method()
@checked
def isnan(input: Tensor) -> Tensor:
    """True where an element is nan."""
    return ops.ne(input, input)


@method()
@checked
def isinf(input: Tensor) -> Tensor:
    """True where an element is infinite."""
    return ops.eq(ops.abs(input), math.inf) if input.dtype.kind == "f" else ops.ne(input, input)


@method()
@checked
def isfinite(input: Tensor) -> Tensor:
    """True where an element is neither infinite nor nan."""
    return ops.lt(ops.abs(input), math.inf) if input.dtype.kind == "f" else ops.eq(input, input)


# --- Python's operators -------------------------------------------------------------------


@method("__eq__")
def equals(x: Tensor, y: object) -> Any:
    """``x == y``, elementwise; no tensor is None."""
    return False if y is None else ops.eq(x, y)


@method("__ne__")
def differs(x: Tensor, y: object) -> Any:
    """``x != y``, elementwise; no tensor is None."""
    return True if y is None else ops.ne(x, y)
