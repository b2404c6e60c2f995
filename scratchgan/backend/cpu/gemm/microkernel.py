"""Products of matrices: the loops around the tile of :mod:`scratchgan.backend.cpu.codegen.simd`.

A panel of B, as wide as a tile, is copied to where its rows lie one after another; then tiles of C
are computed, each from some rows of A and that panel. The threads of a team share the tiles of C.
How they share them changes nothing in the result: each number of C is one sum over the depth, in
order.
"""

from typing import Any

from scratchgan.backend.cpu.codegen.intrinsics import float32_at as numbers_at
from scratchgan.backend.cpu.codegen.intrinsics import share, task
from scratchgan.backend.cpu.codegen.numba_target import njit
from scratchgan.backend.cpu.codegen.simd import copy_vectors, multiply_tile, tile_of, transpose
from scratchgan.backend.cpu.float32_math import real

TILE = tile_of(real)
LANES, ROWS, COLUMNS = TILE
NBYTES = real(0).nbytes
VECTORS = -(-ROWS // LANES)  # that hold a column of a tile
#: The most steps by which tiles grow at a time: what they read must still be in a cache when the
#: next ones read it. Fewer where rows of A are copied, with their copy beside the panel.
DEPTH, SHALLOW = 1024, 256
#: Bytes of panels, and of rows of A, that are used together: L2 holds both.
PANELS, ROWS_OF_A = 1 << 19, 1 << 18
#: A thread with no more rows than these reads a panel from where it is, if its rows do not have to
#: be transposed: to copy it would take longer than what the tiles gain by it.
UNCOPIED = 20 * ROWS
#: From one tile's copied rows to the next, in numbers: no power of two, where caches collide.
COPY = (SHALLOW + 16) * ROWS

multiply = multiply_tile(real, TILE)
transposed = transpose(real, LANES)
copy_row, copy_column = copy_vectors(real, LANES, 2), copy_vectors(real, LANES, VECTORS)


@njit
def _copy_panel(b: Any, b_row: Any, b_column: Any, depth: Any, width: Any, panel: Any) -> None:
    """Rows of B, ``width`` numbers each, to ``panel``, and zeros beside them.

    Nothing comes of these, but what an earlier task left there would be multiplied too, and that
    takes far longer where it happens to be subnormal numbers: a whole product took twice the time.
    """
    done = 0
    if b_row == 1 and width == COLUMNS:
        done = depth // LANES * LANES
        for i in range(0, done, LANES):
            for j in range(0, COLUMNS, LANES):
                transposed(
                    b + (i + j * b_column) * NBYTES,
                    b_column,
                    panel + (i * COLUMNS + j) * NBYTES,
                    COLUMNS,
                    LANES,
                )
    source, target = numbers_at(b, 0), numbers_at(panel, 1)
    for i in range(done, depth):
        if b_column == 1:
            for j in range(width):
                target[i * COLUMNS + j] = source[i * b_row + j]
        else:
            for j in range(width):
                target[i * COLUMNS + j] = source[i * b_row + j * b_column]
        for j in range(width, COLUMNS):
            target[i * COLUMNS + j] = real(0)


@njit
def _copy_panels(b: Any, b_row: Any, depth: Any, count: Any, panels: Any, size: Any) -> None:
    """Whole panels of B whose columns lie side by side, row after row as they lie in memory."""
    for i in range(depth):
        for panel in range(count):
            place = panels + panel * size + i * COLUMNS * NBYTES
            copy_row(b + (i * b_row + panel * COLUMNS) * NBYTES, place)


@njit
def _copy_tile(
    tile: Any, height: Any, width: Any, c: Any, c_row: Any, c_column: Any, accumulates: Any
) -> None:
    """The part of a tile that C has, where C ends or where it is the transposed result."""
    if c_column != 1 and width == COLUMNS and not accumulates:
        for i in range(0, height, LANES):
            for j in range(0, width, LANES):
                transposed(
                    tile + (i * COLUMNS + j) * NBYTES,
                    COLUMNS,
                    c + (i + j * c_column) * NBYTES,
                    c_column,
                    min(LANES, height - i),
                )
        return
    source, target = numbers_at(tile, 0), numbers_at(c, 1)
    for i in range(height):
        for j in range(width):
            at = i * c_row + j * c_column
            before = target[at] if accumulates else real(0)
            target[at] = before + source[i * COLUMNS + j]


@njit
def _columns_of_threads(m: Any, panels: Any, threads: Any) -> Any:
    """Into how many parts the columns of C are best divided; the rows take what is left over."""
    best, least = 1, -1
    for parts in range(1, threads + 1):
        rows, columns = -(-m // (threads // parts)), -(-panels // parts) * COLUMNS
        # In multiplications of vectors: to fetch a row of A or a column of B takes about as long as
        # to multiply it once.
        cost = rows * columns // COLUMNS + rows + columns
        # Lanes that write to the same rows get in each other's way, and so does what comes next
        # and shares rows: more columns must be worth it.
        if least < 0 or cost * 20 < least * 19:
            best, least = parts, cost
    return best


@njit
def _copy_rows(a: Any, a_row: Any, a_step: Any, depth: Any, rows: Any, copies: Any) -> None:
    """Rows of A to ``copies``: for each tile, the numbers of a step lie together."""
    # Vectors are longer than a tile is high: the next step's overwrite what is too much.
    whole = max(0, (rows - VECTORS * LANES) // ROWS + 1) if a_row == 1 else 0
    for i in range(depth):
        for tile in range(whole):
            at = tile * COPY + i * ROWS
            copy_column(a + (i * a_step + tile * ROWS) * NBYTES, copies + at * NBYTES)
    source, target = numbers_at(a, 0), numbers_at(copies, 1)
    for i in range(depth):
        for row in range(whole * ROWS, rows):
            at = row // ROWS * COPY + i * ROWS + row % ROWS
            target[at] = source[i * a_step + row * a_row]


@njit
def _panel_of_c(
    a: Any,
    a_tile: Any,
    a_row: Any,
    a_step: Any,
    b: Any,
    b_step: Any,
    c: Any,
    c_row: Any,
    c_column: Any,
    rows: Any,
    step: Any,
    width: Any,
    depth: Any,
    accumulates: Any,
    edge: Any,
) -> None:
    """Some rows of a panel of C, ``step`` by ``step``; ``a_tile`` bytes lie between these of A."""
    is_whole = width == COLUMNS and c_column == 1
    for row in range(0, rows, step):
        height = min(step, rows - row)
        here = c + row * c_row * NBYTES
        target, target_row, grows = edge, COLUMNS, False
        if is_whole:
            target, target_row, grows = here, c_row, accumulates
        tile = a + row // step * a_tile
        multiply(height, depth, tile, a_row, a_step, b, b_step, target, target_row, grows)
        if not is_whole:
            _copy_tile(edge, height, width, here, c_row, c_column, accumulates)


@task
def product(thread: Any, threads: Any, scratch: Any, arguments: Any, numbers: Any) -> None:
    """C (m, n) = A (m, k) times B (k, n), the columns of C side by side.

    The arguments are: the address of A and its strides, of B and its strides, of C and the stride
    of its rows; m, n and k. What follows is for others.
    """
    a, a_row, a_step = arguments[0], arguments[1], arguments[2]
    b, b_row, b_column = arguments[3], arguments[4], arguments[5]
    c, c_row, c_column = arguments[6], arguments[7], 1
    m, n, k = arguments[8], arguments[9], arguments[10]
    if b_row == 1 and b_column != 1 and a_step == 1 and 2 * m < n and m % COLUMNS == 0:
        # It takes less time to transpose A and C than B: the forward product of a small batch.
        a, a_row, a_step, b, b_row, b_column = b, b_column, b_row, a, a_step, a_row
        c_row, c_column, m, n = c_column, c_row, n, m
    edge = scratch + PANELS
    copies = edge + VECTORS * LANES * COLUMNS * NBYTES
    panels = -(-n // COLUMNS)
    parts = _columns_of_threads(m, panels, threads)
    if thread >= parts * (threads // parts):
        return
    first_panel, last_panel = share(panels, thread % parts, parts, 1)
    begin, end = share(m, thread // parts, threads // parts, 1)
    # Columns of A are read again for every panel; where they are long, from a copy.
    copies_rows = a_step != 1 and k > SHALLOW // 2 and panels > 2
    copies_panels = b_column != 1 or n < COLUMNS or end - begin > UNCOPIED
    blocks = max(1, -(-k // (SHALLOW if copies_rows else DEPTH)))
    for block in range(blocks):
        first = k * block // blocks
        depth = k * (block + 1) // blocks - first
        a_block, b_block = a + first * a_step * NBYTES, b + first * b_row * NBYTES
        size = depth * COLUMNS * NBYTES + 128  # of a panel, and not a power of two
        group = max(1, PANELS // size)
        chunk = max(1, ROWS_OF_A // (max(1, depth) * NBYTES * ROWS)) * ROWS
        if b_column != 1 and not copies_rows and end - begin <= chunk:
            group = 1  # all rows use a panel as soon as it is copied: from L1
        for left in range(first_panel, last_panel, group):
            right = min(last_panel, left + group)
            whole = left
            if b_column == 1 and copies_panels:
                whole = min(right, n // COLUMNS)
                b_here = b_block + left * COLUMNS * NBYTES
                _copy_panels(b_here, b_row, depth, whole - left, scratch, size)
            for panel in range(whole, right):
                width = min(COLUMNS, n - panel * COLUMNS)
                if copies_panels or width < COLUMNS:
                    b_here = b_block + panel * COLUMNS * b_column * NBYTES
                    place = scratch + (panel - left) * size
                    _copy_panel(b_here, b_row, b_column, depth, width, place)
            for top in range(begin, end, chunk):
                rows = min(end, top + chunk) - top
                a_here = a_block + top * a_row * NBYTES
                step = -(-rows // -(-rows // ROWS))  # no low tile is left over
                a_tile, a_across, a_along = step * a_row * NBYTES, a_row, a_step
                if copies_rows:
                    _copy_rows(a_here, a_row, a_step, depth, rows, copies)
                    a_here, a_tile, a_across, a_along = copies, COPY * NBYTES, 1, ROWS
                    step = ROWS
                for panel in range(left, right):
                    at = panel * COLUMNS
                    width = min(COLUMNS, n - at)
                    b_here, b_step = b_block + at * b_column * NBYTES, b_row
                    if copies_panels or width < COLUMNS:
                        b_here, b_step = scratch + (panel - left) * size, COLUMNS
                    c_here = c + (top * c_row + at * c_column) * NBYTES
                    _panel_of_c(
                        *(a_here, a_tile, a_across, a_along, b_here, b_step, c_here, c_row),
                        *(c_column, rows, step, width, depth, block > 0, edge),
                    )
