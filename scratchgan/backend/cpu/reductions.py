"""Sums of contiguous arrays as tasks, each in one pass over memory, computed in float64.

Their arguments are the addresses of the numbers and of the sums, and the sizes.
"""

from typing import Any

from scratchgan.backend.cpu.codegen.intrinsics import float32_at as numbers_at
from scratchgan.backend.cpu.codegen.intrinsics import float64_at, share, task
from scratchgan.backend.cpu.compensation import BLOCK, accumulate, completed, lost
from scratchgan.backend.cpu.float32_math import real
from scratchgan.backend.cpu.threads.layout import SCRATCH

#: Columns that a thread adds up at a time, in memory of its own: three numbers for each.
COLUMNS = SCRATCH // 24


@task
def sum_rows(thread: Any, threads: Any, scratch: Any, arguments: Any, numbers: Any) -> None:
    """The sum of each row of an array, by its rows and columns."""
    x, out = numbers_at(arguments[0], 0), numbers_at(arguments[1], 1)
    rows, columns = arguments[2], arguments[3]
    begin, end = share(rows, thread, threads, 16)
    for i in range(begin, end):
        total, missing = 0.0, 0.0
        for start in range(0, columns, BLOCK):
            block = 0.0
            for j in range(start, min(start + BLOCK, columns)):
                block = accumulate(block, x[i * columns + j])
            missing += lost(total, block)
            total += block
        out[i] = real(completed(total, missing))


@task
def sum_columns(thread: Any, threads: Any, scratch: Any, arguments: Any, numbers: Any) -> None:
    """The sum of each column of an array, by its rows and columns, row after row."""
    x, out = numbers_at(arguments[0], 0), numbers_at(arguments[1], 1)
    totals, block, missing = (
        float64_at(scratch, 2),
        float64_at(scratch + 8 * COLUMNS, 2),
        float64_at(scratch + 16 * COLUMNS, 2),
    )
    rows, columns = arguments[2], arguments[3]
    begin, end = share(columns, thread, threads, 16)
    for left in range(begin, end, COLUMNS):
        count = min(COLUMNS, end - left)
        for j in range(count):
            totals[j] = missing[j] = 0.0
        for start in range(0, rows, BLOCK):
            for j in range(count):
                block[j] = 0.0
            for i in range(start, min(start + BLOCK, rows)):
                for j in range(count):
                    block[j] += x[i * columns + left + j]
            for j in range(count):
                missing[j] += lost(totals[j], block[j])
                totals[j] += block[j]
        for j in range(count):
            out[left + j] = real(completed(totals[j], missing[j]))
