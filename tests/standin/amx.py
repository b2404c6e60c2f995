"""A stand-in for the instructions of Intel's AMX, made of plain ones over memory.

With :func:`instruction` in the place of
:func:`scratchgan.backend.cpu.gemm.amx.instructions.instruction`, the task for the matrix unit runs
on any processor. Registers are memory of the function that uses them. What an instruction computes
is as in Intel's manual ("Intel 64 and IA-32 Architectures Software Developer's Manual", volume 2,
TDPBF16PS): sums of the even and the odd products, each rounded once, and numbers below 2**-126 are
zero on their way in and out.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils

from scratchgan.backend.cpu.gemm.amx.instructions import ROW, SQUARE, TILE

BYTE, INT, INT32 = ir.IntType(8), ir.IntType(64), ir.IntType(32)
FLOATS, BITS = ir.VectorType(ir.FloatType(), SQUARE), ir.VectorType(INT32, SQUARE)
POINTER = BYTE.as_pointer()


def instruction(builder: Any, name: str, *arguments: Any) -> None:
    """What the instruction ``name`` does; integers name tile registers."""
    if name in ("ldtilecfg", "tilerelease"):
        return
    tiles = tiles_of(builder)
    values = [builder.gep(tiles, [INT(x * TILE)]) if isinstance(x, int) else x for x in arguments]
    kind = ir.FunctionType(ir.VoidType(), [x.type for x in values])
    name = f"standin.{name}"
    function = builder.module.globals.get(name)
    if function is None:
        function = ir.Function(builder.module, kind, name)
        function.linkage = "internal"
        body = ir.IRBuilder(function.append_basic_block())
        MEANINGS[name.removeprefix("standin.")](body, *function.args)
        body.ret_void()
    builder.call(function, values)


def tiles_of(builder: Any) -> Any:
    """The eight registers of the function that is being written."""
    if not hasattr(builder.function, "tiles"):
        with builder.goto_entry_block():
            memory = builder.alloca(ir.ArrayType(BYTE, 8 * TILE))
            memory.align = 64
            builder.function.tiles = builder.bitcast(memory, POINTER)
    return builder.function.tiles


def row_of(builder: Any, start: Any, row: Any, stride: Any) -> Any:
    place = builder.gep(start, [builder.mul(row, stride)])
    return builder.bitcast(place, BITS.as_pointer())


def copy(builder: Any, source: Any, source_row: Any, target: Any, target_row: Any) -> None:
    with cgutils.for_range(builder, INT(SQUARE)) as loop:
        row = builder.load(row_of(builder, source, loop.index, source_row), align=1)
        builder.store(row, row_of(builder, target, loop.index, target_row), align=1)


def tilezero(builder: Any, tile: Any) -> None:
    with cgutils.for_range(builder, INT(SQUARE)) as loop:
        builder.store(ir.Constant(BITS, [0] * SQUARE), row_of(builder, tile, loop.index, INT(ROW)))


def flushed(builder: Any, floats: Any) -> Any:
    """Without subnormal numbers."""
    exponent = ir.Constant(BITS, [0x7F800000] * SQUARE)
    zero = ir.Constant(BITS, [0] * SQUARE)
    bits = builder.bitcast(floats, BITS)
    is_small = builder.icmp_unsigned("==", builder.and_(bits, exponent), zero)
    return builder.select(is_small, ir.Constant(FLOATS, [0.0] * SQUARE), floats)


def halves(builder: Any, pairs: Any) -> list[Any]:
    """The bfloat16 numbers of pairs, as float32: the even ones and the odd ones."""
    even = builder.shl(pairs, ir.Constant(BITS, [16] * SQUARE))
    odd = builder.and_(pairs, ir.Constant(BITS, [0xFFFF0000] * SQUARE))
    return [flushed(builder, builder.bitcast(x, FLOATS)) for x in (even, odd)]


def tdpbf16ps(builder: Any, c: Any, a: Any, b: Any) -> None:
    name = f"llvm.fma.v{SQUARE}f32"
    kind = ir.FunctionType(FLOATS, [FLOATS] * 3)
    fma = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
    sums = [builder.alloca(FLOATS) for _ in range(2)]
    with cgutils.for_range(builder, INT(SQUARE)) as rows:
        for total in sums:
            builder.store(ir.Constant(FLOATS, [0.0] * SQUARE), total)
        with cgutils.for_range(builder, INT(SQUARE)) as depth:
            offset = builder.add(
                builder.mul(rows.index, INT(ROW)), builder.mul(depth.index, INT(4))
            )
            place = builder.bitcast(builder.gep(a, [offset]), INT32.as_pointer())
            pair = builder.insert_element(
                ir.Constant(BITS, ir.Undefined), builder.load(place), INT32(0)
            )
            spread = builder.shuffle_vector(pair, pair, ir.Constant(BITS, [0] * SQUARE))
            factors = halves(builder, spread)
            others = halves(builder, builder.load(row_of(builder, b, depth.index, INT(ROW))))
            for total, x, y in zip(sums, factors, others, strict=True):
                grown = builder.call(fma, [x, y, builder.load(total)])
                builder.store(flushed(builder, grown), total)
        place = builder.bitcast(row_of(builder, c, rows.index, INT(ROW)), FLOATS.as_pointer())
        both = flushed(builder, builder.fadd(*map(builder.load, sums)))
        builder.store(flushed(builder, builder.fadd(builder.load(place), both)), place)


MEANINGS: dict[str, Callable[..., None]] = {
    "tilezero": tilezero,
    "tileloadd64": lambda builder, tile, place, stride: copy(
        builder, place, stride, tile, INT(ROW)
    ),
    "tilestored64": lambda builder, tile, place, stride: copy(
        builder, tile, INT(ROW), place, stride
    ),
    "tdpbf16ps": tdpbf16ps,
}
