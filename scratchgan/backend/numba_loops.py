"""Loops that compute a layer, its backward or an optimizer's step in one pass over memory.

Numba compiles them, each for its type: the loader puts ``float64`` in the place of ``float32``
below. They run on one thread, since a second pool of threads would fight the one of the matrix
products for the cores.
"""

import math
from typing import Any

import numpy as np
from numba import njit

from scratchgan.backend import noise
from scratchgan.backend.float32 import exp, real, sqrt, tanh, truncated

loop = njit(cache=True, error_model="numpy", nogil=True)


@njit(fastmath={"reassoc"})
def accumulate(total: Any, x: Any) -> Any:
    """``total + x``, in any order: so that several elements are added at once."""
    return total + x


@loop
def bias_none(out: Any, bias: Any) -> None:
    """``out += bias`` for ``out`` (N, C) and ``bias`` (C,)."""
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] += bias[j]


@loop
def bias_relu(out: Any, bias: Any) -> None:
    """``out = relu(out + bias)``."""
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            x = out[i, j] + bias[j]
            out[i, j] = real(0) if x <= real(0) else x


@loop
def bias_tanh(out: Any, bias: Any) -> None:
    """``out = tanh(out + bias)``."""
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = tanh(out[i, j] + bias[j])


@loop
def bias_sigmoid(out: Any, bias: Any) -> None:
    """``out = sigmoid(out + bias)``."""
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            x = out[i, j] + bias[j]
            e = exp(-abs(x))
            out[i, j] = (e if x < real(0) else real(1)) / (real(1) + e)


@loop
def backward_none(g: Any, y: Any, before: Any, bias: Any) -> None:
    """``before = g`` and ``bias`` its sum over rows."""
    bias[:] = real(0)
    for i in range(g.shape[0]):
        for j in range(g.shape[1]):
            before[i, j] = g[i, j]
            bias[j] += g[i, j]


@loop
def backward_relu(g: Any, y: Any, before: Any, bias: Any) -> None:
    """``before`` is the gradient of x where ``y = relu(x)``, and ``bias`` its sum over rows."""
    bias[:] = real(0)
    for i in range(g.shape[0]):
        for j in range(g.shape[1]):
            d = real(0) if y[i, j] <= real(0) else g[i, j]
            before[i, j] = d
            bias[j] += d


@loop
def backward_tanh(g: Any, y: Any, before: Any, bias: Any) -> None:
    """``before`` is the gradient of x where ``y = tanh(x)``, and ``bias`` its sum over rows."""
    bias[:] = real(0)
    for i in range(g.shape[0]):
        for j in range(g.shape[1]):
            d = g[i, j] * (real(1) - y[i, j] * y[i, j])
            before[i, j] = d
            bias[j] += d


@loop
def backward_sigmoid(g: Any, y: Any, before: Any, bias: Any) -> None:
    """``before`` is the gradient of x where ``y = sigmoid(x)``, and ``bias`` its sum over rows."""
    bias[:] = real(0)
    for i in range(g.shape[0]):
        for j in range(g.shape[1]):
            d = g[i, j] * (y[i, j] * (real(1) - y[i, j]))
            before[i, j] = d
            bias[j] += d


@loop
def sum_all(x: Any, out: Any) -> None:
    """The sum of the flat array ``x``, computed in float64, into ``out`` without dimensions."""
    total = 0.0
    for i in range(x.size):
        total = accumulate(total, x[i])
    out[()] = real(total)


@loop
def sum_rows(x: Any, out: Any) -> None:
    """The sum of each row of ``x`` (N, C), computed in float64, into ``out`` (N,)."""
    for i in range(x.shape[0]):
        total = 0.0
        for j in range(x.shape[1]):
            total = accumulate(total, x[i, j])
        out[i] = real(total)


@loop
def sum_columns(x: Any, out: Any) -> None:
    """The sum of each column of ``x`` (N, C), row after row, into ``out`` (C,)."""
    out[:] = real(0)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            out[j] += x[i, j]


@loop
def adam(
    gradient: Any,
    parameter: Any,
    m: Any,
    v: Any,
    step: Any,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
) -> None:
    """One step of Adam (Kingma & Ba 2015, algorithm 1) on flat arrays, in place."""
    step[()] += 1
    t = step[()]
    step_size = real(lr / (1.0 - beta1**t))
    correction = real(1.0 / math.sqrt(1.0 - beta2**t))
    first, second = real(1.0 - beta1), real(1.0 - beta2)
    decay, keep, small = real(weight_decay), real(beta2), real(eps)
    for i in range(parameter.size):
        g = gradient[i] + decay * parameter[i]
        m[i] += first * (g - m[i])
        v[i] = keep * v[i] + second * g * g
        parameter[i] -= step_size * m[i] / (sqrt(v[i]) * correction + small)


@loop
def adam_all(
    gradients: Any,
    parameters: Any,
    ms: Any,
    vs: Any,
    steps: Any,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
) -> None:
    """:func:`adam` of several parameters, each argument a tuple of arrays."""
    for i in range(len(parameters)):
        adam(
            gradients[i],
            parameters[i],
            ms[i],
            vs[i],
            steps[i],
            lr,
            beta1,
            beta2,
            eps,
            weight_decay,
        )


@njit
def _uniform(key: Any, position: Any) -> Any:
    """Number ``position`` of the stream, as :func:`scratchgan.backend.noise.uniform` defines it."""
    z = key + (position + np.uint64(1)) * np.uint64(noise.GAMMA)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(noise.MIX1)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(noise.MIX2)
    z = z ^ (z >> np.uint64(31))
    return np.float64(z >> np.uint64(11)) * 2.0**-53


@loop
def uniform(state: Any, out: Any) -> None:
    """Uniform numbers into the flat array ``out``; the stream's position moves on."""
    key, position = state[0], state[1]
    for i in range(out.size):
        out[i] = truncated(_uniform(key, position + np.uint64(i)))
    state[1] = position + np.uint64(out.size)


@njit
def _log(x: Any) -> Any:
    """As :func:`scratchgan.backend.noise.log`."""
    mantissa, exponent = math.frexp(x)
    if mantissa < noise.SQRT_HALF:
        mantissa, exponent = 2 * mantissa, exponent - 1
    s = (mantissa - 1) / (mantissa + 1)
    return s * _polynomial(noise.LOG_SERIES, s * s) + exponent * noise.LN2


@njit
def _polynomial(coefficients: Any, x: Any) -> Any:
    """Horner's rule, highest power first."""
    total = coefficients[0]
    for k in range(1, len(coefficients)):
        total = total * x + coefficients[k]
    return total


@njit
def _unrolled(c: Any, x: Any) -> Any:
    """:func:`_polynomial` of degree 7, in the form that LLVM turns into vector instructions."""
    y = ((c[0] * x + c[1]) * x + c[2]) * x + c[3]
    return (((y * x + c[4]) * x + c[5]) * x + c[6]) * x + c[7]


@njit
def _tail(p: Any) -> Any:
    """The normal number for ``p`` in one of the tails, where AS 241 needs a logarithm."""
    r = math.sqrt(-_log(p if p < 0.5 else 1 - p))
    if r <= 5:
        z = _polynomial(noise.TAIL[0], r - 1.6) / _polynomial(noise.TAIL[1], r - 1.6)
    else:
        z = _polynomial(noise.FAR_TAIL[0], r - 5) / _polynomial(noise.FAR_TAIL[1], r - 5)
    return -z if p < 0.5 else z


@loop
def normal(state: Any, out: Any) -> None:
    """Standard normal numbers into the flat array ``out``; the stream's position moves on."""
    key, position = state[0], state[1]
    # Two passes: the formula of the middle, for all, is computed on several elements at once.
    for i in range(out.size):
        q = _uniform(key, position + np.uint64(i)) + 2.0**-54 - 0.5
        r = 0.180625 - q * q
        out[i] = real(q * (_unrolled(noise.MIDDLE[0], r) / _unrolled(noise.MIDDLE[1], r)))
    for i in range(out.size):
        p = _uniform(key, position + np.uint64(i)) + 2.0**-54
        if 0.180625 - (p - 0.5) * (p - 0.5) < 0:
            out[i] = real(_tail(p))
    state[1] = position + np.uint64(out.size)
