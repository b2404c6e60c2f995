"""Counter-based noise: number ``i`` of a stream is a function of the stream's key and ``i``.

So a stream can be cut, resumed or computed in parallel, and every backend draws the same numbers
(to the bit: only exactly rounded operations are used). The hash is the finalizer of SplitMix64
(Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators", fig. 17); normal
numbers come from uniform ones through the inverse distribution function (Wichura 1988,
algorithm AS 241, PPND16, relative error 1e-16).
"""

from typing import Any

import numpy as np

# Any: mypy would ask for the type of every scalar operation here.
Array = Any

GAMMA = 0x9E3779B97F4A7C15
MIX1 = 0xBF58476D1CE4E5B9
MIX2 = 0x94D049BB133111EB

# Numerator and denominator of AS 241, highest power first: the middle, and the two tails.
MIDDLE = (
    (2.5090809287301226727e3, 3.3430575583588128105e4, 6.7265770927008700853e4)
    + (4.5921953931549871457e4, 1.3731693765509461125e4, 1.9715909503065514427e3)
    + (1.3314166789178437745e2, 3.3871328727963666080e0),
    (5.2264952788528545610e3, 2.8729085735721942674e4, 3.9307895800092710610e4)
    + (2.1213794301586595867e4, 5.3941960214247511077e3, 6.8718700749205790830e2)
    + (4.2313330701600911252e1, 1.0),
)
TAIL = (
    (7.74545014278341407640e-4, 2.27238449892691845833e-2, 2.41780725177450611770e-1)
    + (1.27045825245236838258e0, 3.64784832476320460504e0, 5.76949722146069140550e0)
    + (4.63033784615654529590e0, 1.42343711074968357734e0),
    (1.05075007164441684324e-9, 5.47593808499534494600e-4, 1.51986665636164571966e-2)
    + (1.48103976427480074590e-1, 6.89767334985100004550e-1, 1.67638483018380384940e0)
    + (2.05319162663775882187e0, 1.0),
)
FAR_TAIL = (
    (2.01033439929228813265e-7, 2.71155556874348757815e-5, 1.24266094738807843860e-3)
    + (2.65321895265761230930e-2, 2.96560571828504891230e-1, 1.78482653991729133580e0)
    + (5.46378491116411436990e0, 6.65790464350110377720e0),
    (2.04426310338993978564e-15, 1.42151175831644588870e-7, 1.84631831751005468180e-5)
    + (7.86869131145613259100e-4, 1.48753612908506148525e-2, 1.36929880922735805310e-1)
    + (5.99832206555887937690e-1, 1.0),
)
LN2 = 0.6931471805599453
SQRT_HALF = 0.7071067811865476
#: log((1 + s) / (1 - s)) = 2 (s + s^3/3 + s^5/5 + ...), highest power of s^2 first.
LOG_SERIES = tuple(2 / k for k in range(23, 0, -2))


def splitmix64(z: int) -> int:
    """SplitMix64's finalizer on one 64-bit number: the key of a stream from a seed."""
    z = ((z ^ (z >> 30)) * MIX1) & 0xFFFFFFFFFFFFFFFF
    z = ((z ^ (z >> 27)) * MIX2) & 0xFFFFFFFFFFFFFFFF
    return z ^ (z >> 31)


def uniform(state: Array, n: int) -> Array:
    """The next ``n`` uniform float64 numbers in [0, 1), with 53 random bits each.

    Args:
        state: uint64 array ``[key, position]``; the position moves on by ``n``.
        n: How many.
    """
    key, position = state
    with np.errstate(over="ignore"):
        z = key + (np.arange(n, dtype=np.uint64) + (position + np.uint64(1))) * np.uint64(GAMMA)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(MIX1)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(MIX2)
        z = z ^ (z >> np.uint64(31))
    state[1] += np.uint64(n)
    return (z >> np.uint64(11)).astype(np.float64) * 2.0**-53


def normal(state: Array, n: int) -> Array:
    """The next ``n`` standard normal float64 numbers; arguments as in :func:`uniform`."""
    p = uniform(state, n) + 2.0**-54  # in (0, 1), symmetric about one half
    q = p - 0.5
    r = 0.180625 - q * q
    z = q * _ratio(MIDDLE, r)
    tail = np.flatnonzero(r < 0)
    r = np.sqrt(-log(np.where(q[tail] < 0, p[tail], 1 - p[tail])))
    value: Array = np.where(r <= 5, _ratio(TAIL, r - 1.6), _ratio(FAR_TAIL, r - 5))
    z[tail] = np.where(q[tail] < 0, -value, value)
    return z


def log(x: Array) -> Any:
    """Natural logarithm from exactly rounded operations alone: the same everywhere."""
    fraction, power = np.frexp(x)
    mantissa: Array = fraction
    exponent: Array = power
    small = mantissa < SQRT_HALF
    mantissa = np.where(small, 2 * mantissa, mantissa)
    exponent = exponent - small
    s = (mantissa - 1) / (mantissa + 1)
    return s * _polynomial(LOG_SERIES, s * s) + exponent * LN2


def _polynomial(coefficients: tuple[float, ...], x: Array) -> Array:
    """Horner's rule, highest power first."""
    total = np.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        total = total * x + coefficient
    return total


def _ratio(of: tuple[tuple[float, ...], tuple[float, ...]], x: Array) -> Array:
    numerator, denominator = of
    return _polynomial(numerator, x) / _polynomial(denominator, x)
