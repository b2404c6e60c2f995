"""Products of float32 matrices on the processor's matrix unit, with float32's precision.

The unit multiplies bfloat16 numbers, which are float32 numbers with 8 significant bits instead of
24. So each number is split into three pieces, a = a1 + a2 + a3 exactly, and of the nine products of
pieces the six are added up that are not below a float32's precision (Henry, Tang & Heinecke 2019,
"Leveraging the bfloat16 artificial intelligence datatype for higher-precision computations"). The
unit adds up in float32, in the order of the depth, so that the error is no larger than that of any
other product. But it takes numbers below 2**-126 for zero, pieces too: a number below 2**-102 loses
its last digits. And a number has no pieces if it is not finite, or would not be as a bfloat16:
where that made a product so, :mod:`scratchgan.backend.cpu.gemm.microkernel` computes it again.

All that is done for *blocks* of 32 by 32 numbers. Of the two factors, the one with fewer *lines*
(rows of the left, columns of the right factor) is split first, and *packed*. The other one is
*streamed*: a few steps of a block of lines are split while the unit multiplies the last ones with
all that is packed.
"""

from typing import Any, NamedTuple

import numpy as np

from scratchgan.backend.cpu.codegen.intrinsics import call, integers_at, share, task
from scratchgan.backend.cpu.codegen.intrinsics import float32_at as numbers_at
from scratchgan.backend.cpu.codegen.numba_target import njit
from scratchgan.backend.cpu.codegen.simd import copy_vectors, transpose
from scratchgan.backend.cpu.float32_math import real
from scratchgan.backend.cpu.gemm.amx import instructions
from scratchgan.backend.cpu.gemm.amx.instructions import BLOCK, SQUARE, Matrix, Splitting

NBYTES = real(0).nbytes
#: Numbers along each side of a block; a step is as deep.
SIZE = 2 * SQUARE
BLOCK_OF_NUMBERS = SIZE * SIZE * NBYTES
#: Steps streamed at a time, so that L1 holds their pieces twice and more. Beside few
#: lines, whose sums are soon fetched again, fewer.
STEPS = 4
FEW_LINES, FEW_STEPS = 64, 2
#: The packed operand is replaced after at most this number of steps, since L2 must hold it.
DEPTH = 16
#: The most blocks of vectors that are packed together, and the most bytes of their pieces.
LINES, PACKED = 32, 5 << 18
#: The layout of the scratch memory after what is packed: pieces of the streamed operand, for
#: this iteration and for the next; numbers to be split; sums of blocks; arguments of another task.
STREAMED_AT = PACKED
NUMBERS_AT = STREAMED_AT + 2 * STEPS * BLOCK
SUMS_AT = NUMBERS_AT + STEPS * BLOCK_OF_NUMBERS
ARGUMENTS_AT = SUMS_AT + LINES * BLOCK_OF_NUMBERS
#: For Numba a literal 0 is a type of its own, for which it would compile functions once more.
ZERO: Any = np.intp(0)

split, multiply, is_finite = instructions.split, instructions.multiply, instructions.is_finite
transposed, copy_row = transpose(real, SQUARE), copy_vectors(real, SQUARE, 1)


class Factor(NamedTuple):
    """A factor of a product."""

    is_left: Any
    matrix: Any
    lines: Any
    depth: Any


class PackedBlock(NamedTuple):
    """Packed vectors, from ``first`` on, and the steps of the depth to multiply them for."""

    c: Any
    m: Any
    n: Any
    keeps_left: Any
    first: Any
    lines: Any
    steps: Any
    grows: Any
    scratch: Any


@njit
def _part(matrix: Any, row: Any, column: Any) -> Any:
    """The matrix that begins at this row and column."""
    at = matrix.at + (row * matrix.row + column * matrix.column) * NBYTES
    return Matrix(at, matrix.row, matrix.column)


@njit
def _transposed(matrix: Any) -> Any:
    return Matrix(matrix.at, matrix.column, matrix.row)


@njit
def _copy(source: Any, target: Any, height: Any, width: Any) -> None:
    numbers, places = numbers_at(source.at, 0), numbers_at(target.at, 1)
    is_plain = source.column == target.column == 1
    is_turned = (source.column == target.row == 1) or (source.row == target.column == 1)
    for top in range(0, height, SQUARE):
        for left in range(0, width, SQUARE):
            rows, columns = min(SQUARE, height - top), min(SQUARE, width - left)
            here, there = _part(source, top, left), _part(target, top, left)
            if is_turned and rows == columns == SQUARE:
                # One of the two strides is 1.
                transposed(
                    *(here.at, here.row * here.column, there.at, there.row * there.column, SQUARE)
                )
            elif is_plain and columns == SQUARE:
                for i in range(rows):
                    copy_row(here.at + i * here.row * NBYTES, there.at + i * there.row * NBYTES)
            else:
                for i in range(top, top + rows):
                    for j in range(left, left + columns):
                        number = numbers[i * source.row + j * source.column]
                        places[i * target.row + j * target.column] = number


@njit
def _splitting(
    factor: Any, line: Any, at: Any, steps: Any, ahead: Any, target: Any, place: Any
) -> Any:
    """How to split a block of lines, from ``line`` on, for some steps from ``at`` on.

    Numbers that do not lie as they must are copied to ``place``, with zeros where there are none.
    """
    matrix = factor.matrix
    lines, depth = min(SIZE, factor.lines - line), min(steps * SIZE, factor.depth - at)
    begin = _part(matrix, line, at) if factor.is_left else _part(matrix, at, line)
    row, step = begin.row, SIZE * begin.column if factor.is_left else SIZE * begin.row
    if matrix.column != 1 or lines < SIZE or depth < steps * SIZE:
        for i in range(steps):
            block = Matrix(place + i * BLOCK_OF_NUMBERS, SIZE, 1)
            here = min(SIZE, depth - i * SIZE)
            if lines < SIZE or here < SIZE:
                numbers = numbers_at(block.at, 0)
                for j in range(SIZE * SIZE):
                    numbers[j] = real(0)
            if factor.is_left:
                _copy(_part(begin, 0, i * SIZE), block, lines, here)
            else:
                _copy(_part(begin, i * SIZE, 0), block, here, lines)
        begin, row, step, ahead = Matrix(place, SIZE, 1), SIZE, SIZE * SIZE, 0
    # A tile of the left factor has 16 lines, and of each 32 numbers; one of the right factor the
    # same columns of the rows i and i + 16.
    beside, below = (SQUARE, SQUARE * row) if factor.is_left else (SQUARE * row, SQUARE)
    return Splitting(begin.at, row, beside, below, step, target, ahead)


@njit
def _distance(factor: Any, lines: Any, depth: Any) -> Any:
    """The distance in bytes between numbers of a factor, by lines and depth."""
    if not factor.is_left:
        lines, depth = depth, lines
    return (lines * factor.matrix.row + depth * factor.matrix.column) * NBYTES


@njit
def _multiply_packed(
    packed_block: Any, passed: Any, begin: Any, end: Any, b: Any, splitting: Any, splits: Any
) -> Any:
    """Multiply the packed vectors with those from ``passed`` on, whose pieces lie at ``b``.

    Only the steps from ``begin`` to ``end``; and ``splits`` steps of ``splitting`` beside them.
    Returns whether all numbers are finite, if these are the last steps.
    """
    finite = True
    for line in range(0, packed_block.lines, SIZE):
        block = line // SIZE
        left, right = packed_block.scratch + (block * packed_block.steps + begin) * BLOCK, b
        row, column = packed_block.first + line, passed
        if not packed_block.keeps_left:
            left, right = right, left
            row, column = column, row
        height, width = min(SIZE, packed_block.m - row), min(SIZE, packed_block.n - column)
        target = _part(packed_block.c, row, column)
        # Other threads read and write beside a block of C, so it is written once, when it is done.
        sums = Matrix(packed_block.scratch + SUMS_AT + block * BLOCK_OF_NUMBERS, SIZE, 1)
        is_direct = packed_block.c.column == 1 and height % SQUARE == 0 and width % SQUARE == 0
        before = after = sums
        if begin == 0 and packed_block.grows:
            if is_direct:
                before = target
            else:
                _copy(target, sums, height, width)
        if end == packed_block.steps and is_direct:
            after = target
        high, wide, grows = height > SQUARE, width > SQUARE, packed_block.grows or begin > 0
        half, count = min(block, 1), splits if block < 2 else 0
        multiply(
            *(high, wide, end - begin, left, right, after, grows, before),
            *(splitting, half, count),
        )
        if end == packed_block.steps:
            if not is_direct:
                _copy(sums, target, height, width)
            for i in range(0, height, SQUARE):
                for j in range(0, width, SQUARE):
                    finite &= is_finite(_part(after, i, j))
    return finite


@njit
def _pass(packed_block: Any, streamed: Any, depth: Any) -> Any:
    """Multiply all lines of the other factor, from this depth on; whether the result is finite."""
    finite = True
    line, begin = ZERO, ZERO
    last_line, last_begin, last_steps = ZERO, ZERO, ZERO
    most = FEW_STEPS if packed_block.lines <= FEW_LINES else STEPS
    pieces = packed_block.scratch + STREAMED_AT
    last_pieces = pieces + STEPS * BLOCK
    while line < streamed.lines or last_steps > 0:
        # Split what is for the next iteration, and meanwhile multiply what was split in the last
        # one.
        steps = min(most, packed_block.steps - begin) if line < streamed.lines else 0
        next_line, next_begin = line, begin + most
        if next_begin >= packed_block.steps:
            next_line, next_begin = line + SIZE, ZERO
        ahead = _distance(streamed, next_line - line, (next_begin - begin) * SIZE)
        place, at = packed_block.scratch + NUMBERS_AT, depth + begin * SIZE
        splitting = _splitting(streamed, line, at, steps, ahead, pieces, place)
        splits = min(steps, last_steps)
        if last_steps > 0:
            end = last_begin + last_steps
            finite &= _multiply_packed(
                packed_block, last_line, last_begin, end, last_pieces, splitting, splits
            )
        for half in range(2):
            for step in range(splits if packed_block.lines > half * SIZE else 0, steps):
                split(splitting, half, step)
        last_line, last_begin, last_steps = line, begin, steps
        line, begin = next_line, next_begin
        pieces, last_pieces = last_pieces, pieces
    return finite


@njit
def _multiply(a: Any, b: Any, c: Any, m: Any, n: Any, k: Any, scratch: Any) -> Any:
    """C = A B; whether all of C is finite."""
    finite = True
    packed, streamed = Factor(True, a, m, k), Factor(False, b, n, k)
    if m > n:
        packed, streamed = streamed, packed
    steps_of_all = -(-k // SIZE)
    blocks = -(-steps_of_all // DEPTH)
    for number in range(blocks):
        begin, end = share(steps_of_all, number, blocks, 1)
        steps = end - begin
        together = min(LINES, PACKED // (steps * BLOCK)) * SIZE
        for first in range(0, packed.lines, together):
            lines = min(together, packed.lines - first)
            for line in range(0, lines, SIZE):
                for some in range(0, steps, STEPS):
                    count, at = min(STEPS, steps - some), (begin + some) * SIZE
                    ahead = _distance(packed, 0, count * SIZE)
                    pieces = scratch + (line // SIZE * steps + some) * BLOCK
                    place = scratch + NUMBERS_AT
                    splitting = _splitting(packed, first + line, at, count, ahead, pieces, place)
                    for step in range(count):
                        for half in range(2):
                            split(splitting, half, step)
            packed_block = PackedBlock(
                c, m, n, packed.is_left, first, lines, steps, number > 0, scratch
            )
            finite &= _pass(packed_block, streamed, begin * SIZE)
    return finite


@njit
def _recompute_non_finite(
    a: Any, b: Any, c: Any, m: Any, n: Any, k: Any, plain: Any, scratch: Any
) -> None:
    """Compute squares of C that are not finite again, by the task ``plain``."""
    numbers, arguments = numbers_at(c.at, 0), integers_at(scratch + ARGUMENTS_AT, 1)
    for top in range(0, m, SQUARE):
        for left in range(0, n, SQUARE):
            height, width = min(SQUARE, m - top), min(SQUARE, n - left)
            finite = True
            for i in range(top, top + height):
                for j in range(left, left + width):
                    number = numbers[i * c.row + j * c.column]
                    finite &= number - number == real(0)
            if finite:
                continue
            rows, columns, square = _part(a, top, 0), _part(b, 0, left), _part(c, top, left)
            if c.column != 1:  # C is the transposed result
                rows, columns = _transposed(columns), _transposed(rows)
                square, height, width = _transposed(square), width, height
            values = (
                *(rows.at, rows.row, rows.column, columns.at, columns.row, columns.column),
                *(square.at, square.row, height, width, k),
            )
            for i in range(len(values)):
                arguments[i] = values[i]
            call(plain, 0, 1, scratch, scratch + ARGUMENTS_AT, 0)


@njit
def _columns_of_threads(m: Any, n: Any, k: Any, threads: Any) -> Any:
    """Into how many parts the columns of C are best divided; the rows take what is left over."""
    best, least = 1, -1
    for parts in range(1, threads + 1):
        rows, columns = -(-m // (threads // parts)), -(-n // parts)
        # In the time that it takes to split a number, measured.
        cost = k * (rows * columns // 48 + rows + columns)
        if parts > 1:  # threads that write to the same rows get in each other's way
            cost += 800 * rows
        if least < 0 or cost < least:
            best, least = parts, cost
    return best


@task
def product(thread: Any, threads: Any, scratch: Any, arguments: Any, numbers: Any) -> None:
    """C (m, n) = A (m, k) times B (k, n).

    Its arguments are those of :mod:`scratchgan.backend.cpu.gemm.microkernel`, and the address of
    the task there.
    """
    a = Matrix(arguments[0], arguments[1], arguments[2])
    b = Matrix(arguments[3], arguments[4], arguments[5])
    c = Matrix(arguments[6], arguments[7], 1)
    m, n, k = arguments[8], arguments[9], arguments[10]
    parts = _columns_of_threads(m, n, k, threads)
    if thread >= parts * (threads // parts):
        return
    left, right = share(n, thread % parts, parts, SQUARE)
    top, bottom = share(m, thread // parts, threads // parts, SQUARE)
    a, b, c = _part(a, top, 0), _part(b, 0, left), _part(c, top, left)
    height, width = bottom - top, right - left
    if a.column == 1 and b.row == 1 and 2 * n > m:
        # It takes less time to transpose A and C than B.
        a, b, c = _transposed(b), _transposed(a), _transposed(c)
        height, width = width, height
    instructions.configure()
    finite = _multiply(a, b, c, height, width, k, scratch)
    instructions.release()
    if not finite:
        _recompute_non_finite(a, b, c, height, width, k, arguments[11], scratch)
