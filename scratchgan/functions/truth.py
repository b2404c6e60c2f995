"""Truths of elements, and of whole tensors, under PyTorch's names."""

import math

from scratchgan import dtypes, ops
from scratchgan.autograd.arguments import checked
from scratchgan.autograd.tensor import Tensor, method
from scratchgan.functions.beside import filled


@method()
@checked
def logical_not(input: Tensor) -> Tensor:
    """Whether an element is 0."""
    return ops.eq(input, 0)


@method()
@checked
def logical_and(input: Tensor, other: Tensor) -> Tensor:
    """Whether neither is 0."""
    return ops.bitwise_and(ops.ne(input, 0), ops.ne(other, 0))


@method()
@checked
def logical_or(input: Tensor, other: Tensor) -> Tensor:
    """Whether one is not 0."""
    return ops.bitwise_or(ops.ne(input, 0), ops.ne(other, 0))


@method()
@checked
def logical_xor(input: Tensor, other: Tensor) -> Tensor:
    """Whether just one is 0."""
    return ops.bitwise_xor(ops.ne(input, 0), ops.ne(other, 0))


@method()
@checked
def isclose(
    input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Tensor:
    """Where ``|input - other| <= atol + rtol * |other|``.

    Raises:
        ValueError: A tolerance is negative.
        TypeError: The types differ.
    """
    if rtol < 0 or atol < 0:
        raise ValueError(f"isclose: rtol is {rtol} and atol {atol}; they must not be negative")
    if input.dtype != other.dtype:
        raise TypeError(f"isclose: the types {input.dtype} and {other.dtype} differ")
    x, y = input.detach(), other.detach()
    found: Tensor = ops.eq(x, y)
    if x.dtype.kind == "b":
        return found
    x, y = (z.to(dtypes.float64) for z in (x, y))
    apart = ops.abs(ops.sub(x, y))
    near = ops.le(apart, ops.add(ops.mul(ops.abs(y), rtol), atol))
    found = ops.bitwise_or(found, ops.bitwise_and(near, ops.lt(apart, math.inf)))
    if equal_nan:
        found = ops.bitwise_or(found, ops.bitwise_and(ops.ne(x, x), ops.ne(y, y)))
    return found


@method()
@checked
def allclose(
    input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> bool:
    """Whether all elements are close: a boolean; errors as :func:`isclose`."""
    return bool(isclose(input, other, rtol, atol, equal_nan).all().item())


@method()
@checked
def equal(input: Tensor, other: Tensor) -> bool:
    """Whether both have the same shape and elements: a boolean."""
    if input.shape != other.shape:
        return False
    return bool(ops.eq(input, other).all().item())


@method()
@checked
def isneginf(input: Tensor) -> Tensor:
    """True where an element is minus infinity."""
    return ops.eq(input, -math.inf) if input.dtype.kind == "f" else ops.ne(input, input)


@method()
@checked
def isposinf(input: Tensor) -> Tensor:
    """True where an element is infinity."""
    return ops.eq(input, math.inf) if input.dtype.kind == "f" else ops.ne(input, input)


@method()
@checked
def isreal(input: Tensor) -> Tensor:
    """True everywhere: there are no complex numbers."""
    return filled(input, input.shape, True, dtypes.bool_)


@method()
@checked
def is_nonzero(input: Tensor) -> bool:
    """Whether the only element is not 0.

    Raises:
        ValueError: There is not just one.
    """
    if input.numel() != 1:
        raise ValueError(f"is_nonzero: of one element, not of the shape {input.shape}")
    return bool(input)
