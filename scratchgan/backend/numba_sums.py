"""Sums of contiguous arrays, each in one pass over memory.

Numba compiles them, each for its type: the loader puts another in the place of ``float32`` below.
"""

from typing import Any

from numba import njit

from scratchgan.backend.float32 import real

compiled = njit(cache=True, error_model="numpy", nogil=True)


@njit(fastmath={"reassoc"})
def accumulate(total: Any, x: Any) -> Any:
    """``total + x``, in any order: so that several elements are added at once."""
    return total + x


@compiled
def sum_all(x: Any, out: Any) -> None:
    """The sum of the flat array ``x``, computed in float64, into ``out`` without dimensions."""
    total = 0.0
    for i in range(x.size):
        total = accumulate(total, x[i])
    out[()] = real(total)


@compiled
def sum_rows(x: Any, out: Any) -> None:
    """The sum of each row of ``x`` (N, C), computed in float64, into ``out`` (N,)."""
    for i in range(x.shape[0]):
        total = 0.0
        for j in range(x.shape[1]):
            total = accumulate(total, x[i, j])
        out[i] = real(total)


@compiled
def sum_columns(x: Any, out: Any) -> None:
    """The sum of each column of ``x`` (N, C), row after row, into ``out`` (C,)."""
    out[:] = real(0)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            out[j] += x[i, j]
