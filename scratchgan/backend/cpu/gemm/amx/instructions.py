"""LLVM instructions for products on the processor's matrix unit.

Intel's AMX (Advanced Matrix Extensions) multiplies tiles of bfloat16 numbers and adds the products
up in float32. A float32 number is split into *pieces* that are bfloat16. Addresses are integers, in
bytes; strides count numbers.
"""

import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from llvmlite import ir
from numba import types

from scratchgan.backend.cpu.codegen.intrinsics import intrinsic, prefetch

#: Rows of a tile; each holds the same number of float32, or twice that number of bfloat16.
SQUARE = 16
#: Bytes of a row, of a tile, and of a pair: two tiles, one after the other.
ROW = 4 * SQUARE
TILE = SQUARE * ROW
PAIR = 2 * TILE
#: The number of pieces that add up to a float32. All of 32 rows of 32 numbers, or columns, take
#: three pairs.
PIECES = 3
BLOCK = PIECES * PAIR
#: Which pieces are multiplied: those whose product is not below a float32's precision, in an order
#: in which each shares one with the next, so that few tiles are loaded.
PRODUCTS = ((0, 2), (0, 1), (1, 1), (1, 0), (0, 0), (2, 0))

_BYTE, _INT, _INT32 = ir.IntType(8), ir.IntType(64), ir.IntType(32)
_FLOATS, _BITS = ir.VectorType(ir.FloatType(), SQUARE), ir.VectorType(_INT32, SQUARE)


class Matrix(NamedTuple):
    """The address of the first number, and the strides."""

    at: Any
    row: Any
    column: Any


class Splitting(NamedTuple):
    """How to split the numbers of a block, step after step, into pieces.

    A row of a tile comes from 16 numbers and the 16 that lie ``beside`` them, the next row from
    those a ``row`` further; that is the first tile of a pair. The second one's begin ``below``, and
    those of the next step a ``step`` further. The pieces go to the address ``target``. Numbers
    that lie ``ahead``, in bytes, are fetched into the cache.
    """

    at: Any
    row: Any
    beside: Any
    below: Any
    step: Any
    target: Any
    ahead: Any


def instruction(builder: Any, name: str, *arguments: Any) -> None:
    """Write an instruction of AMX; integers name tile registers."""
    values = [_BYTE(x) if isinstance(x, int) else x for x in arguments]
    kind = ir.FunctionType(ir.VoidType(), [x.type for x in values])
    name = f"llvm.x86.{name}"
    module = builder.module
    builder.call(module.globals.get(name) or ir.Function(module, kind, name), values)


def _pointer(builder: Any, kind: Any, address: Any, offset: int = 0) -> Any:
    return builder.inttoptr(builder.add(address, _INT(offset)), kind.as_pointer())


def _unpacked(builder: Any, values: Any) -> list[Any]:
    """The values of a named tuple."""
    return [builder.extract_value(values, i) for i in range(len(values.type))]


@intrinsic
def configure(context: Any) -> Any:
    """Give this thread eight tile registers, until :func:`release`."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        # Palette 1; from byte 16 on the bytes of a row, from byte 48 on the rows, of each tile.
        content = [1] + [0] * 15 + [ROW, 0] * 8 + [0] * 16 + [SQUARE] * 8 + [0] * 8
        kind = ir.ArrayType(_BYTE, len(content))
        place = builder.alloca(kind)
        builder.store(ir.Constant(kind, content), place)
        instruction(builder, "ldtilecfg", builder.bitcast(place, _BYTE.as_pointer()))
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def release(context: Any) -> Any:
    """Give the tile registers back, so that whoever switches threads need not save them."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        instruction(builder, "tilerelease")
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def split(context: Any, splitting: Any, half: Any, step: Any) -> Any:
    """The pieces of a step: the first tiles of its pairs, or the second ones if ``half`` is 1."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        splitting, half, step = values
        for write_row in _rows(builder, _unpacked(builder, splitting), half, step):
            write_row()
        return context.get_dummy_value()

    return types.void(splitting, types.intp, types.intp), generate


def _rows(builder: Any, splitting: list[Any], half: Any, step: Any) -> Iterator[Callable[[], None]]:
    """For each row of a tile, a function that writes the instructions to split it."""
    at, row, beside, below, stride, target, ahead = splitting
    row, beside, below, stride = (builder.mul(x, _INT(4)) for x in (row, beside, below, stride))
    begin = builder.add(at, builder.add(builder.mul(half, below), builder.mul(step, stride)))
    target = builder.add(target, builder.mul(half, _INT(TILE)))
    target = builder.add(target, builder.mul(step, _INT(BLOCK)))

    def write_row(i: int) -> None:
        first = builder.add(begin, builder.mul(row, _INT(i)))
        second = builder.add(first, beside)
        for here in (first, second):
            prefetch(builder, builder.add(here, ahead), writes=False)
        _split(builder, first, second, target, i * ROW)

    for i in range(SQUARE):
        yield functools.partial(write_row, i)


def _split(builder: Any, first: Any, second: Any, target: Any, offset: int) -> None:
    """Two times 16 numbers: their first pieces in turns, a pair further the second ones, ..."""

    def all_of(number: int) -> Any:
        return ir.Constant(_BITS, [number] * SQUARE)

    rests = [builder.load(_pointer(builder, _FLOATS, x), align=4) for x in (first, second)]
    for piece in range(PIECES):
        tops = [builder.bitcast(rest, _BITS) for rest in rests]
        if piece == 0:  # rounded: the sign of the rest then has nothing to do with the number's
            tops = [builder.add(top, all_of(0x8000)) for top in tops]
        tops[1] = builder.and_(tops[1], all_of(0xFFFF0000))
        pairs = builder.or_(builder.lshr(tops[0], all_of(16)), tops[1])
        builder.store(pairs, _pointer(builder, _BITS, target, offset + piece * PAIR), align=64)
        if piece < PIECES - 1:
            tops[0] = builder.and_(tops[0], all_of(0xFFFF0000))
            rests = [
                builder.fsub(rest, builder.bitcast(top, _FLOATS))
                for rest, top in zip(rests, tops, strict=True)
            ]


@intrinsic
def multiply(
    context: Any,
    high: Any,
    wide: Any,
    steps: Any,
    a: Any,
    b: Any,
    c: Any,
    grows: Any,
    before: Any,
    splitting: Any,
    half: Any,
    splits: Any,
) -> Any:
    """One or two tiles on top of each other times one or two side by side, over some depth.

    Args:
        context: Numba's.
        high: Whether there are two on top of each other.
        wide: Whether there are two side by side.
        steps: The depth, in tiles.
        a: The address of the pieces of the left factor, a BLOCK for each step.
        b: The same for the right factor.
        c: The :class:`Matrix` that the product goes to, with its columns side by side.
        grows: Whether it is added to what is in ``before``.
        before: Such a matrix.
        splitting: What to split meanwhile, because the unit leaves time for it.
        half: Which tiles of it.
        splits: How many steps of it, not more than ``steps``.
    """

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        high, wide, steps, a, b, c, grows, before, splitting, half, splits = values
        c, before, splitting = (_unpacked(builder, x) for x in (c, before, splitting))
        with builder.if_else(high) as heights:
            for rows, height in zip((2, 1), heights, strict=True):
                with height, builder.if_else(wide) as widths:
                    for columns, width in zip((2, 1), widths, strict=True):
                        with width:
                            tiles = _Tiles(builder, rows, columns)
                            tiles.begin(grows, before)
                            tiles.multiply(steps, a, b, (splitting, half, splits))
                            tiles.move("tilestored64", c)
        return context.get_dummy_value()

    truth, integer = types.boolean, types.intp
    kinds = truth, truth, *[integer] * 3, c, truth, before, splitting, integer, integer
    return types.void(*kinds), generate


class _Tiles:
    """Tiles of C in the registers 0 to 3. Those of A pass through 4 and 5, of B through 6 and 7."""

    def __init__(self, builder: Any, rows: int, columns: int) -> None:
        self.builder = builder
        self.rows, self.columns = rows, columns
        self.places = [(2 * i + j, i, j) for i in range(rows) for j in range(columns)]

    def move(self, name: str, matrix: list[Any]) -> None:
        """Load or store them."""
        builder = self.builder
        at, row, _ = matrix
        row = builder.mul(row, _INT(4))
        below = builder.add(at, builder.mul(row, _INT(SQUARE)))
        for register, i, j in self.places:
            place = _pointer(builder, _BYTE, below if i else at, j * ROW)
            instruction(builder, name, register, place, row)

    def begin(self, grows: Any, before: list[Any]) -> None:
        with self.builder.if_else(grows) as (going_on, starting):
            with going_on:
                self.move("tileloadd64", before)
            with starting:
                for register, _, _ in self.places:
                    instruction(self.builder, "tilezero", register)

    def multiply(self, steps: Any, a: Any, b: Any, beside: tuple[Any, Any, Any]) -> None:
        """Add the product over ``steps`` steps, and call ``beside`` in between to split some."""
        builder = self.builder
        splitting, half, splits = beside
        entry = builder.block
        loop, done = map(builder.append_basic_block, ("loop", "done"))
        builder.branch(loop)

        builder.position_at_end(loop)
        step = builder.phi(_INT)
        offset = builder.mul(step, _INT(BLOCK))
        a_here, b_here = builder.add(a, offset), builder.add(b, offset)
        with builder.if_else(builder.icmp_signed("<", step, splits)) as (splitting_too, alone):
            with splitting_too:
                self.step(a_here, b_here, list(_rows(builder, splitting, half, step)))
            with alone:
                self.step(a_here, b_here, [])
        following = builder.add(step, _INT(1))
        step.add_incoming(_INT(0), entry)
        step.add_incoming(following, builder.block)
        builder.cbranch(builder.icmp_signed("<", following, steps), loop, done)
        builder.position_at_end(done)

    def step(self, a: Any, b: Any, others: list[Callable[[], None]]) -> None:
        """The products of a step, and between them the instructions of ``others``.

        Behind the unit's own, others would wait: the processor does not look so far ahead.
        """
        builder = self.builder

        def load(register: int, pieces: Any, piece: int, half: int) -> None:
            here = _pointer(builder, _BYTE, pieces, piece * PAIR + half * TILE)
            instruction(builder, "tileloadd64", register, here, _INT(ROW))

        count = len(PRODUCTS) * len(self.places)
        due: list[list[Callable[[], None]]] = [[] for _ in range(count)]
        for number, write in enumerate(others):
            due[number * count // len(others)].append(write)
        turns, in_registers = iter(due), (-1, -1)
        for a_piece, b_piece in PRODUCTS:
            for _, i, j in self.places:
                if j == 0 and a_piece != in_registers[0]:
                    load(4 + i, a, a_piece, i)
                if i == 0 and b_piece != in_registers[1]:
                    load(6 + j, b, b_piece, j)
                instruction(builder, "tdpbf16ps", 2 * i + j, 4 + i, 6 + j)
                for write in next(turns):
                    write()
            in_registers = a_piece, b_piece


@intrinsic
def is_finite(context: Any, square: Any) -> Any:
    """Whether no number of a square is infinite or no number at all; it has rows in memory."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        at, row, _ = _unpacked(builder, values[0])
        row = builder.mul(row, _INT(4))
        name = f"llvm.fma.v{SQUARE}f32"
        kind = ir.FunctionType(_FLOATS, [_FLOATS] * 3)
        fma = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
        zero = ir.Constant(_FLOATS, [0.0] * SQUARE)
        # Zero times such a number is not zero. Four sums, that need not wait for each other.
        sums = [zero] * 4
        for i in range(SQUARE):
            here = _pointer(builder, _FLOATS, builder.add(at, builder.mul(row, _INT(i))))
            sums[i % 4] = builder.call(fma, [builder.load(here, align=4), zero, sums[i % 4]])
        total = builder.fadd(builder.fadd(*sums[:2]), builder.fadd(*sums[2:]))
        are_zero = builder.bitcast(builder.fcmp_ordered("==", total, zero), ir.IntType(SQUARE))
        return builder.icmp_unsigned("==", are_zero, ir.IntType(SQUARE)(-1))

    return types.boolean(square), generate
