# Lambdas name primitives that stand further down, whose types mypy has not inferred yet.
# A definition that calls another gives a number, where mypy sees a tensor.
# mypy: disable-error-code="has-type,return-value"
"""Elementwise primitives beyond plain arithmetic: trigonometry, rounding, the error function."""

import math

from scratchgan.autograd.elementwise import elementwise
from scratchgan.autograd.tensor import method
from scratchgan.ops.elementwise import abs, exp, mul, sqrt

_TWO_OVER_ROOT_PI = 2 / math.sqrt(math.pi)

# --- Trigonometry -------------------------------------------------------------------------


@method()
@elementwise(x=lambda g, out: g * (1.0 + out * out))
def tan(x: float) -> float:
    """Tangent of ``x`` in radians."""
    return math.sin(x) / math.cos(x)


@method("atan", "arctan")
@elementwise(x=lambda g, x: g / (1.0 + x * x))
def atan(x: float) -> float:
    """Arc tangent, in radians (Moshier 1989, "Cephes mathematical library", atan.c)."""
    y = abs(x)
    is_far = y > 2.414213562373095
    is_middle = y > 0.66
    u = -1 / y if is_far else ((y - 1) / (y + 1) if is_middle else y)
    z = u * u
    top = -0.8750608600031904 * z - 16.157537187333652
    top = (top * z - 75.00855792314705) * z - 122.88666844901361
    top = top * z - 64.85021904942025
    bottom = (z + 24.858464901423062) * z + 165.02700983169885
    bottom = ((bottom * z + 432.88106049129027) * z + 485.3903996359137) * z + 194.5506571482614
    start = 1.5707963267948966 if is_far else (0.7853981633974483 if is_middle else 0)
    angle = start + (u * (z * top / bottom) + u)
    return -angle if x < 0 else angle


@method("asin", "arcsin")
@elementwise(x=lambda g, x: g / sqrt((1.0 - x) * (1.0 + x)))
def asin(x: float) -> float:
    """Arc sine, in radians; nan beyond [-1, 1]."""
    return atan(x / math.sqrt((1 - x) * (1 + x)))


@method("acos", "arccos")
@elementwise(x=lambda g, x: -(g / sqrt((1.0 - x) * (1.0 + x))))
def acos(x: float) -> float:
    """Arc cosine, in radians; nan beyond [-1, 1]."""
    return 2 * atan(math.sqrt((1 - x) / (1 + x)))


@method("atan2", "arctan2")
@elementwise(
    tensors=("x", "y"),
    x=lambda g, x, y: g * (y / (x * x + y * y)),
    y=lambda g, x, y: -(g * (x / (x * x + y * y))),
)
def atan2(x: float, y: float) -> float:
    """The angle of the point (``y``, ``x``) with the first axis, in radians from -π to π."""
    angle = atan(x / y)
    half = 1.5707963267948966 if x > 0 else -1.5707963267948966
    beyond = angle + (-3.141592653589793 if x < 0 else 3.141592653589793)
    on_axis = half if x != 0 else y + x
    return (angle if y > 0 else beyond) if y != 0 else on_axis


@method()
@elementwise(x=lambda g, x: g * cosh(x))
def sinh(x: float) -> float:
    """Hyperbolic sine."""
    e = math.expm1(abs(x))
    y = (e + e / (e + 1)) / 2 if e < 1e300 else e
    return -y if x < 0 else y


@method()
@elementwise(x=lambda g, x: g * sinh(x))
def cosh(x: float) -> float:
    """Hyperbolic cosine."""
    e = math.exp(abs(x))
    return (e + 1 / e) / 2


@method("asinh", "arcsinh")
@elementwise(x=lambda g, x: g / sqrt(x * x + 1.0))
def asinh(x: float) -> float:
    """The reverse of :func:`sinh`."""
    y = abs(x)
    # From 1e9 on it is log(2 y) in all digits of float64, and a square overflows in float32.
    near = math.log1p(y + y * y / (1 + math.sqrt(y * y + 1)))
    z = math.log(y) + 0.6931471805599453 if y > 1e9 else near
    return -z if x < 0 else z


@method("acosh", "arccosh")
@elementwise(x=lambda g, x: g / sqrt((x - 1.0) * (x + 1.0)))
def acosh(x: float) -> float:
    """The reverse of :func:`cosh` from 1 on; nan below."""
    t = x - 1
    near = math.log1p(t + math.sqrt(t) * math.sqrt(t + 2))  # of two roots each is nan below 1
    return math.log(x) + 0.6931471805599453 if x > 1e9 else near


@method("atanh", "arctanh")
@elementwise(x=lambda g, x: g / ((1.0 - x) * (1.0 + x)))
def atanh(x: float) -> float:
    """The reverse of :func:`tanh` within (-1, 1); nan beyond."""
    return math.log1p(2 * x / (1 - x)) / 2


# --- Powers and logarithms --------------------------------------------------------------


@method()
@elementwise(x=lambda g, out: -(g * (out * out)))
def reciprocal(x: float) -> float:
    """``1 / x``."""
    return 1 / x


@method()
@elementwise(x=lambda g, out: g * (-0.5 * (out * out * out)))
def rsqrt(x: float) -> float:
    """``1 / sqrt(x)``."""
    return 1 / math.sqrt(x)


@method()
@elementwise(x=lambda g, x: g / (x * math.log(2)))
def log2(x: float) -> float:
    """Logarithm to base 2."""
    return math.log(x) / 0.6931471805599453


@method()
@elementwise(x=lambda g, x: g / (x * math.log(10)))
def log10(x: float) -> float:
    """Logarithm to base 10."""
    return math.log(x) / 2.302585092994046


@method()
@elementwise(x=lambda g, out: g * (out * math.log(2)))
def exp2(x: float) -> float:
    """``2 ** x``."""
    return math.exp(x * 0.6931471805599453)


# --- Rounding: the derivative is 0 --------------------------------------------------------


@method()
@elementwise(takes="iuf", x=lambda g: mul(g, 0.0))
def floor(x: float) -> float:
    """The largest integer that is not larger."""
    return math.floor(x)


@method()
@elementwise(takes="iuf", x=lambda g: mul(g, 0.0))
def ceil(x: float) -> float:
    """The smallest integer that is not smaller."""
    return -math.floor(-x)


@method("trunc", "fix")
@elementwise(takes="iuf", x=lambda g: mul(g, 0.0))
def trunc(x: float) -> float:
    """The integer part: rounded towards 0."""
    return -math.floor(-x) if x < 0 else math.floor(x)


@elementwise(takes="iuf", x=lambda g: mul(g, 0.0))
def to_nearest(x: float) -> float:
    """The nearest integer, and of two the even one."""
    low = math.floor(x)
    up = x - low
    is_odd = low - 2 * math.floor(low / 2) != 0
    return low + (1 if up > 0.5 or (up == 0.5 and is_odd) else 0)


@elementwise()
def floored_quotient(x: float, y: float) -> float:
    """``floor(x / y)``, of integers an integer; the derivative is taken as 0."""
    return x // y


@elementwise(x=lambda g: g, y=lambda g, x, y: -(g * floored_quotient(x, y)))
def remainder(x: float, y: float) -> float:
    """``x - y * floor(x / y)``, exactly: it has the sign of ``y``."""
    return x % y


# --- The error function -------------------------------------------------------------------


@method()
@elementwise(x=lambda g, x: g * (_TWO_OVER_ROOT_PI * exp(-(x * x))))
def erf(x: float) -> float:
    """The error function, 2/√π ∫₀ˣ exp(−t²) dt (Cody 1969, "Rational Chebyshev approximations").

    Abramowitz & Stegun 1964, eq. 7.1.1.
    """
    z = x * x
    top = 0.18577770618460315 * z + 3.1611237438705656
    top = ((top * z + 113.86415415105016) * z + 377.485237685302) * z + 3209.3775891384695
    bottom = (z + 23.601290952344122) * z + 244.02463793444417
    bottom = (bottom * z + 1282.6165260773723) * z + 2844.236833439171
    rest = 1 - erfc_of_positive(abs(x))
    return x * top / bottom if abs(x) <= 0.46875 else (-rest if x < 0 else rest)


@method()
@elementwise(x=lambda g, x: -(g * (_TWO_OVER_ROOT_PI * exp(-(x * x)))))
def erfc(x: float) -> float:
    """``1 - erf(x)``, exact where that is small."""
    tail = erfc_of_positive(abs(x))
    return 1 - erf(x) if abs(x) <= 0.46875 else (2 - tail if x < 0 else tail)


@elementwise(x=lambda g, x: -(g * (_TWO_OVER_ROOT_PI * exp(-(x * x)))))
def erfc_of_positive(x: float) -> float:
    """``1 - erf(x)`` from 0.46875 on, as in Cody 1969: the two outer intervals."""
    y = x if x <= 4 else 4
    top = 2.1531153547440383e-08 * y + 0.5641884969886701
    top = ((top * y + 8.883149794388377) * y + 66.11919063714163) * y + 298.6351381974001
    top = ((top * y + 881.952221241769) * y + 1712.0476126340707) * y + 2051.0783778260716
    top = top * y + 1230.3393547979972
    bottom = (y + 15.744926110709835) * y + 117.6939508913125
    bottom = ((bottom * y + 537.1811018620099) * y + 1621.3895745666903) * y + 3290.7992357334597
    bottom = ((bottom * y + 4362.619090143247) * y + 3439.3676741437216) * y + 1230.3393548037495
    w = x if x > 4 else 4
    z = 1 / (w * w)
    far = 0.016315387137302097 * z + 0.30532663496123236
    far = ((far * z + 0.36034489994980445) * z + 0.12578172611122926) * z + 0.016083785148742275
    far = far * z + 0.0006587491615298378
    near = (z + 2.568520192289822) * z + 1.8729528499234673
    near = ((near * z + 0.5279051029514285) * z + 0.06051834131244132) * z + 0.0023352049762686918
    beyond = (0.5641895835477563 - z * far / near) / w
    whole = math.floor(x * 16) / 16
    part = (x - whole) * (x + whole)
    scale = math.exp(-whole * whole) * math.exp(-part)
    # The way round that a nan takes the long side, and stays one.
    return 0 if x >= 40 else scale * (top / bottom if x <= 4 else beyond)
