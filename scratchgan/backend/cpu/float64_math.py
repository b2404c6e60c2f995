"""The functions of scalar definitions in float64, for Numba's loops: the mathematical library's."""

from math import cos, exp, expm1, log, log1p, pow, sin, sqrt, tanh
from typing import Any

import numpy as np

from scratchgan.backend.cpu.codegen.numba_target import njit

real = np.float64


@njit
def floor(x: Any) -> Any:
    """The largest integer that is not larger, as a float64."""
    return np.floor(x)


@njit
def round_down(u: Any) -> Any:
    """``u`` itself: see :mod:`scratchgan.backend.cpu.float32_math`."""
    return u


__all__ = [
    "cos",
    "exp",
    "expm1",
    "floor",
    "log",
    "log1p",
    "pow",
    "real",
    "round_down",
    "sin",
    "sqrt",
    "tanh",
]
