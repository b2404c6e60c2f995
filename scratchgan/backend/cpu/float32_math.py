"""The functions of scalar definitions in float32, for Numba's loops.

The mathematical library's functions are called once for each element; these are plain arithmetic,
which LLVM turns into vector instructions. Errors are in units in the last place (ulp) against the
exact value, as ``tests/backend/test_float32.py`` measures them.
"""

import math
from typing import Any

import numpy as np

from scratchgan.backend.cpu.codegen.numba_target import njit

# Typed constants: a bare literal would promote the arithmetic to float64.
f32 = real = np.float32
i32 = np.int32

LOG2_E = f32(1.44269504088896341)
# log(2) in two parts, the first with few bits, so that n * LN2_HIGH is exact.
LN2_HIGH = f32(0.693359375)
LN2_LOW = f32(-2.12194440e-4)
#: Adding and subtracting it rounds to the nearest integer: 1.5 * 2**23 leaves no fraction bits.
ROUND = f32(12582912)
SMALLEST_NORMAL = f32(1.17549435e-38)
SQRT_HALF = f32(0.70710678118654752)
INFINITY = f32(np.inf)
#: Beyond it tanh is 1 in float32.
TANH_IS_ONE = f32(9.011)

#: A polynomial's ``p * x + c`` as one instruction, which rounds once: half the time.
fused_multiply_add = njit(fastmath={"contract"})


@njit
def _power_of_two(n: Any) -> Any:
    """2**n for -126 <= n <= 127, from the bits of its exponent."""
    return i32((n + i32(127)) << i32(23)).view(np.float32)


@fused_multiply_add
def exp(x: Any) -> Any:
    """``e ** x`` within 1.02 ulp; polynomial of Cephes' expf (Moshier 1989)."""
    inside = f32(89) if x > f32(89) else (f32(-104) if x < f32(-104) else x)
    n = (inside * LOG2_E + ROUND) - ROUND
    r = (inside - n * LN2_HIGH) - n * LN2_LOW
    p = f32(1.9875691500e-4)
    p = p * r + f32(1.3981999507e-3)
    p = p * r + f32(8.3334519073e-3)
    p = p * r + f32(4.1665795894e-2)
    p = p * r + f32(1.6666665459e-1)
    p = p * r + f32(5.0000001201e-1)
    p = p * (r * r) + r + f32(1)
    # Two steps: 2**n itself leaves the range of float32 before the result does.
    k = i32(n)
    half = k >> i32(1)
    return p * _power_of_two(half) * _power_of_two(k - half)


@fused_multiply_add
def log(x: Any) -> Any:
    """Natural logarithm within 1 ulp; polynomial of Cephes' logf (Moshier 1989)."""
    tiny = x < SMALLEST_NORMAL
    scaled = x * f32(8388608) if tiny else x
    bits = f32(scaled).view(np.int32)
    e = f32((bits >> i32(23)) - i32(126)) - (f32(23) if tiny else f32(0))
    mantissa = i32((bits & i32(0x007FFFFF)) | i32(0x3F000000)).view(np.float32)
    small = mantissa < SQRT_HALF
    e = e - f32(1) if small else e
    m = (mantissa + mantissa if small else mantissa) - f32(1)
    p = f32(7.0376836292e-2)
    p = p * m - f32(1.1514610310e-1)
    p = p * m + f32(1.1676998740e-1)
    p = p * m - f32(1.2420140846e-1)
    p = p * m + f32(1.4249322787e-1)
    p = p * m - f32(1.6668057665e-1)
    p = p * m + f32(2.0000714765e-1)
    p = p * m - f32(2.4999993993e-1)
    p = p * m + f32(3.3333331174e-1)
    s = m * m
    y = p * m * s + e * LN2_LOW - f32(0.5) * s
    y = (m + y) + e * LN2_HIGH
    y = y if x < INFINITY else x  # also nan
    return (-INFINITY if x == f32(0) else f32(np.nan)) if x <= f32(0) else y


@njit
def log1p(x: Any) -> Any:
    """``log(1 + x)`` within 3 ulp: the rounding of 1 + x is divided out (Goldberg 1991, thm. 4)."""
    u = f32(1) + x
    d = u - f32(1)
    return x if d == f32(0) or u == INFINITY else log(u) * (x / d)


@fused_multiply_add
def tanh(x: Any) -> Any:
    """Hyperbolic tangent within 7 ulp, or 5 where products and sums are rounded together.

    It is a rational minimax function, clamped where the result is 1.
    """
    inside = f32(7.90531110763549805) if x > f32(7.90531110763549805) else x
    inside = f32(-7.90531110763549805) if inside < f32(-7.90531110763549805) else inside
    s = inside * inside
    p = f32(-2.76076847742355e-16)
    p = p * s + f32(2.00018790482477e-13)
    p = p * s + f32(-8.60467152213735e-11)
    p = p * s + f32(5.12229709037114e-08)
    p = p * s + f32(1.48572235717979e-05)
    p = p * s + f32(6.37261928875436e-04)
    p = p * s + f32(4.89352455891786e-03)
    q = f32(1.19825839466702e-06)
    q = q * s + f32(1.18534705686654e-04)
    q = q * s + f32(2.26843463243900e-03)
    q = q * s + f32(4.89352518554385e-03)
    y = inside * p / q
    y = x if abs(x) < f32(4e-4) else y
    y = f32(1) if x > TANH_IS_ONE else y
    return f32(-1) if x < -TANH_IS_ONE else y


@njit
def round_down(u: Any) -> Any:
    """A number of [0, 1) with the bits that float32 holds; rounding could give 1."""
    return f32(np.floor(u * 16777216.0) / 16777216.0)


# No faster form is worth its lines for the rest.


@njit
def expm1(x: Any) -> Any:
    """``exp(x) - 1``, exact for small ``x``."""
    return f32(np.expm1(x))


@njit
def sqrt(x: Any) -> Any:
    """Square root, exactly rounded."""
    return np.sqrt(x)


@njit
def sin(x: Any) -> Any:
    """Sine."""
    return np.sin(x)


@njit
def cos(x: Any) -> Any:
    """Cosine."""
    return np.cos(x)


@njit
def pow(x: Any, y: Any) -> Any:
    """``x ** y``."""
    return f32(math.pow(x, y))


@njit
def floor(x: Any) -> Any:
    """The largest integer that is not larger."""
    return np.floor(x)
