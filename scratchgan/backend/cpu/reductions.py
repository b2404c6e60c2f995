"""Sums of contiguous arrays as tasks, each in one pass over memory, computed in float64.

Their arguments are the addresses of the numbers and of the sums, and the sizes.
"""

from typing import Any

from scratchgan.backend.cpu.codegen.intrinsics import float32_at as numbers_at
from scratchgan.backend.cpu.codegen.intrinsics import float64_at, share, task
from scratchgan.backend.cpu.codegen.numba_target import njit
from scratchgan.backend.cpu.float32_math import real
from scratchgan.backend.cpu.threads.layout import SCRATCH

#: Columns that a thread adds up at a time, in memory of its own.
COLUMNS = SCRATCH // 8


@njit(fastmath={"reassoc"})
def accumulate(total: Any, x: Any) -> Any:
    """``total + x``, in any order: so that several elements are added at once."""
    return total + x


@task
def sum_rows(thread: Any, threads: Any, scratch: Any, arguments: Any, numbers: Any) -> None:
    """The sum of each row of an array, by its rows and columns."""
    x, out = numbers_at(arguments[0], 0), numbers_at(arguments[1], 1)
    rows, columns = arguments[2], arguments[3]
    begin, end = share(rows, thread, threads, 16)
    for i in range(begin, end):
        total = 0.0
        for j in range(columns):
            total = accumulate(total, x[i * columns + j])
        out[i] = real(total)


@task
def sum_columns(thread: Any, threads: Any, scratch: Any, arguments: Any, numbers: Any) -> None:
    """The sum of each column of an array, by its rows and columns, row after row."""
    x, out, totals = (
        numbers_at(arguments[0], 0),
        numbers_at(arguments[1], 1),
        float64_at(scratch, 2),
    )
    rows, columns = arguments[2], arguments[3]
    begin, end = share(columns, thread, threads, 16)
    for left in range(begin, end, COLUMNS):
        count = min(COLUMNS, end - left)
        for j in range(count):
            totals[j] = 0.0
        for i in range(rows):
            for j in range(count):
                totals[j] += x[i * columns + left + j]
        for j in range(count):
            out[left + j] = real(totals[j])
