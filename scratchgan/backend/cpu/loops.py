"""Copies, an optimizer's step and noise, as tasks that threads share.

Numba compiles them, each for its type: the loader puts another in the place of ``float32`` below.
"""

import math
from typing import Any

import numpy as np

from scratchgan.backend import counter_rng
from scratchgan.backend.cpu.codegen.intrinsics import float32_at as numbers_at
from scratchgan.backend.cpu.codegen.intrinsics import integers_at, prefetch_to_write, share, task
from scratchgan.backend.cpu.codegen.numba_target import njit
from scratchgan.backend.cpu.float32_math import real, round_down, sqrt

NBYTES = real(0).nbytes
#: Bytes of a line of the cache, and how far ahead an optimizer asks for lines that it will change.
#: By itself the processor would ask to read them, and a step of a training takes 4 % longer.
LINE, AHEAD = 64, 2048


@task
def copy(thread: Any, threads: Any, scratch: Any, arguments: Any, numbers: Any) -> None:
    """Copy numbers. The arguments are the address they come from, where they go, and how many."""
    source, target = numbers_at(arguments[0], 0), numbers_at(arguments[1], 1)
    begin, end = share(arguments[2], thread, threads, 64)
    for i in range(begin, end):
        target[i] = source[i]


@task
def adam(thread: Any, threads: Any, scratch: Any, arguments: Any, numbers: Any) -> None:
    """A step of Adam (Kingma & Ba 2015, algorithm 1); :func:`count` comes next.

    The arguments are how many parameters, then for each the addresses of its gradient, itself, its
    averages and its count of steps, and its size. The numbers are lr, beta1, beta2, eps and
    weight_decay.
    """
    lr, beta1, beta2 = numbers[0], numbers[1], numbers[2]
    first, second = real(1.0 - beta1), real(1.0 - beta2)
    small, decay, keep = real(numbers[3]), real(numbers[4]), real(beta2)
    for k in range(arguments[0]):
        gradient = numbers_at(arguments[6 * k + 1], 0)
        parameter = numbers_at(arguments[6 * k + 2], 1)
        m, v = numbers_at(arguments[6 * k + 3], 2), numbers_at(arguments[6 * k + 4], 3)
        t = integers_at(arguments[6 * k + 5], 4)[0] + 1
        step_size = real(lr / (1.0 - beta1**t))
        correction = real(1.0 / math.sqrt(1.0 - beta2**t))
        begin, end = share(arguments[6 * k + 6], thread, threads, 64)
        for start in range(begin, end, 64):
            for array in range(2, 5):  # those that change
                for at in range(start * NBYTES, (start + 64) * NBYTES, LINE):
                    prefetch_to_write(arguments[6 * k + array] + at + AHEAD)
            for i in range(start, min(end, start + 64)):
                g = gradient[i] + decay * parameter[i]
                m[i] += first * (g - m[i])
                v[i] = keep * v[i] + second * g * g
                parameter[i] -= step_size * m[i] / (sqrt(v[i]) * correction + small)


@task
def count(thread: Any, threads: Any, scratch: Any, arguments: Any, numbers: Any) -> None:
    """Count the step of :func:`adam`, when all threads have read how many there were before."""
    if thread == 0:
        for k in range(arguments[0]):
            integers_at(arguments[6 * k + 5], 0)[0] += 1


@njit
def _uniform(key: Any, position: Any) -> Any:
    """Number ``position`` of the stream: see :func:`scratchgan.backend.counter_rng.uniform`."""
    z = key + (position + np.uint64(1)) * np.uint64(counter_rng.GAMMA)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(counter_rng.MIX1)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(counter_rng.MIX2)
    z = z ^ (z >> np.uint64(31))
    return np.float64(z >> np.uint64(11)) * 2.0**-53


@task
def uniform(thread: Any, threads: Any, scratch: Any, arguments: Any, numbers: Any) -> None:
    """Uniform numbers. The arguments are the address of the stream, of the numbers, and how many.

    The stream stays as it is, since other threads read it; :func:`advance_stream` comes next.
    """
    state, out = integers_at(arguments[0], 0), numbers_at(arguments[1], 1)
    key, position = np.uint64(state[0]), np.uint64(state[1])
    begin, end = share(arguments[2], thread, threads, 64)
    for i in range(begin, end):
        out[i] = round_down(_uniform(key, position + np.uint64(i)))


@task
def advance_stream(thread: Any, threads: Any, scratch: Any, arguments: Any, numbers: Any) -> None:
    """Move the stream past the numbers drawn; the arguments are those of the drawing."""
    if thread == 0:
        integers_at(arguments[0], 0)[1] += arguments[2]


@njit
def _log(x: Any) -> Any:
    """As :func:`scratchgan.backend.counter_rng.log`, for a number that is not subnormal."""
    bits = np.float64(x).view(np.int64)
    exponent = (bits >> np.int64(52)) - np.int64(1022)
    of_mantissa = (bits & np.int64(0xFFFFFFFFFFFFF)) | np.int64(0x3FE0000000000000)
    mantissa = np.int64(of_mantissa).view(np.float64)
    if mantissa < counter_rng.SQRT_HALF:
        mantissa, exponent = 2 * mantissa, exponent - 1
    s = (mantissa - 1) / (mantissa + 1)
    return s * _polynomial(counter_rng.LOG_SERIES, s * s) + exponent * counter_rng.LN2


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
        z = _polynomial(counter_rng.TAIL[0], r - 1.6) / _polynomial(counter_rng.TAIL[1], r - 1.6)
    else:
        z = _polynomial(counter_rng.FAR_TAIL[0], r - 5) / _polynomial(
            counter_rng.FAR_TAIL[1], r - 5
        )
    return -z if p < 0.5 else z


@task
def normal(thread: Any, threads: Any, scratch: Any, arguments: Any, numbers: Any) -> None:
    """Standard normal numbers, with the arguments of :func:`uniform`."""
    state, out = integers_at(arguments[0], 0), numbers_at(arguments[1], 1)
    key, position = np.uint64(state[0]), np.uint64(state[1])
    begin, end = share(arguments[2], thread, threads, 64)
    # Two passes: the formula of the middle, for all, is computed on several elements at once.
    for i in range(begin, end):
        q = _uniform(key, position + np.uint64(i)) + 2.0**-54 - 0.5
        r = 0.180625 - q * q
        out[i] = real(
            q * (_unrolled(counter_rng.MIDDLE[0], r) / _unrolled(counter_rng.MIDDLE[1], r))
        )
    for i in range(begin, end):
        p = _uniform(key, position + np.uint64(i)) + 2.0**-54
        if 0.180625 - (p - 0.5) * (p - 0.5) < 0:
            out[i] = real(_tail(p))
