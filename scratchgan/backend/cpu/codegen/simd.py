"""Vectors of numbers as LLVM instructions, for matrix products.

A product spends its time in one loop: a *tile* of the result stays in the processor's vector
registers while a column of A times a row of B is added to it, again and again (Goto and van de
Geijn 2008, "Anatomy of high-performance matrix multiplication", section 6). LLVM does not make that
loop of plain Numba code, so it stands here in LLVM's own language. Addresses are integers, in
bytes; strides count numbers.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from llvmlite import ir
from numba import types

from scratchgan.backend.cpu.codegen.intrinsics import intrinsic, prefetch
from scratchgan.backend.cpu.processor import target

#: Bytes that a cache fetches together.
LINE = 64

_INT, _INT32 = ir.IntType(64), ir.IntType(32)


class Tile(NamedTuple):
    """The numbers that the vector registers hold; ``lanes`` is the length of a vector."""

    lanes: int
    rows: int
    columns: int


def tile_of(real: Any) -> Tile:
    """The tile for numbers of type ``real``, ``np.float32`` or ``np.float64``.

    It is two vectors wide, so that each number of A that is read serves two multiplications. Its
    height leaves some registers for what is read: of 32, or of the 16 that AVX2 has.
    """
    lanes = target().vector_bytes // real(0).nbytes
    return Tile(lanes, 14 if target().vector_registers == 32 else 6, 2 * lanes)


class _Vectors:
    """Writes instructions on vectors of ``lanes`` numbers of type ``real``."""

    def __init__(self, builder: Any, real: Any, lanes: int) -> None:
        self.builder = builder
        self.nbytes = real(0).nbytes
        self.lanes = lanes
        self.number = ir.FloatType() if self.nbytes == 4 else ir.DoubleType()
        self.vector = ir.VectorType(self.number, self.lanes)
        self.zero = ir.Constant(self.vector, [0.0] * self.lanes)

    def pointer(self, address: Any) -> Any:
        return self.builder.inttoptr(address, self.number.as_pointer())

    def load(self, pointer: Any) -> Any:
        loaded = self.builder.load(self.builder.bitcast(pointer, self.vector.as_pointer()))
        loaded.align = self.nbytes
        return loaded

    def store(self, vector: Any, pointer: Any) -> None:
        place = self.builder.bitcast(pointer, self.vector.as_pointer())
        self.builder.store(vector, place).align = self.nbytes

    def store_first(self, count: Any, vector: Any, pointer: Any) -> None:
        """Store the first ``count`` numbers of ``vector``."""
        kind = ir.VectorType(_INT, self.lanes)
        counts = self.builder.insert_element(ir.Constant(kind, ir.Undefined), count, _INT32(0))
        zeros = ir.Constant(ir.VectorType(_INT32, self.lanes), [0] * self.lanes)
        counts = self.builder.shuffle_vector(counts, counts, zeros)
        numbers = ir.Constant(kind, list(range(self.lanes)))
        mask = self.builder.icmp_signed("<", numbers, counts)
        place = self.builder.bitcast(pointer, self.vector.as_pointer())
        name = f"llvm.masked.store.v{self.lanes}f{8 * self.nbytes}.p0"
        function_type = ir.FunctionType(ir.VoidType(), [self.vector, place.type, _INT32, mask.type])
        module: Any = self.builder.module
        function = module.globals.get(name) or ir.Function(module, function_type, name)
        self.builder.call(function, [vector, place, _INT32(self.nbytes), mask])

    def shuffled(self, a: Any, b: Any, lanes: list[int]) -> Any:
        mask = ir.Constant(ir.VectorType(_INT32, self.lanes), lanes)
        return self.builder.shuffle_vector(a, b, mask)

    def broadcast(self, number: Any) -> Any:
        """A vector of copies of ``number``."""
        undefined = ir.Constant(self.vector, ir.Undefined)
        first = self.builder.insert_element(undefined, number, ir.Constant(_INT32, 0))
        return self.shuffled(first, undefined, [0] * self.lanes)

    def multiply_add(self, a: Any, b: Any, c: Any) -> Any:
        """``a * b + c``, rounded once where the processor has such an instruction."""
        name = f"llvm.fmuladd.v{self.lanes}f{8 * self.nbytes}"
        kind = ir.FunctionType(self.vector, [self.vector] * 3)
        module: Any = self.builder.module
        function = module.globals.get(name) or ir.Function(module, kind, name)
        return self.builder.call(function, [a, b, c])


def multiply_tile(real: Any, tile: Tile) -> Callable[..., None]:
    """For Numba: ``f(rows, depth, a, a_row, a_step, b, b_step, c, c_row, accumulates)``.

    C (rows, tile's columns) becomes A (rows, depth) times B (depth, tile's columns), or with
    ``accumulates`` grows by it. The columns of B and C lie side by side.
    """

    @intrinsic
    def multiply(
        context: Any,
        rows: Any,
        depth: Any,
        a: Any,
        a_row: Any,
        a_step: Any,
        b: Any,
        b_step: Any,
        c: Any,
        c_row: Any,
        accumulates: Any,
    ) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            count, *others = arguments
            done = builder.append_basic_block("multiplied")
            # Each height is a loop of its own: the tile's place in the registers must be fixed.
            choice = builder.switch(count, done)
            for height in range(1, tile.rows + 1):
                block = builder.append_basic_block(f"rows{height}")
                choice.add_case(ir.Constant(_INT, height), block)
                builder.position_at_end(block)
                _multiply(_Vectors(builder, real, tile.lanes), height, others)
                builder.branch(done)
            builder.position_at_end(done)
            return context.get_dummy_value()

        return types.void(*[types.intp] * 9, types.boolean), generate

    return multiply  # type: ignore[no-any-return]


def _multiply(vectors: _Vectors, rows: int, arguments: list[Any]) -> None:
    """The instructions of :func:`multiply_tile` for one height; the arguments are what follows."""
    depth, a, a_row, a_step, b, b_step, c, c_row, accumulates = arguments
    builder = vectors.builder
    a, b, c = map(vectors.pointer, (a, b, c))
    row_offsets = [builder.mul(a_row, ir.Constant(_INT, row)) for row in range(rows)]
    places = [(row, column) for row in range(rows) for column in (0, vectors.lanes)]
    zero = ir.Constant(_INT, 0)

    before = builder.block
    loop, done = map(builder.append_basic_block, ("loop", "done"))
    builder.cbranch(builder.icmp_signed(">", depth, zero), loop, done)

    builder.position_at_end(loop)
    position, a_here, b_here = (builder.phi(x.type) for x in (zero, a, b))
    totals = {place: builder.phi(vectors.vector) for place in places}
    b_row = {
        column: vectors.load(builder.gep(b_here, [ir.Constant(_INT, column)]))
        for column in (0, vectors.lanes)
    }
    if vectors.lanes * vectors.nbytes == LINE:  # lower tiles leave no time for it
        # The panel to the right is next where panels are read from where they are. There every row
        # is on another page, and no processor sees that coming by itself.
        for column in b_row:
            ahead = builder.gep(b_here, [ir.Constant(_INT, 2 * vectors.lanes + column)])
            prefetch(builder, builder.ptrtoint(ahead, _INT), writes=False)
    grown = {}
    for row, offset in enumerate(row_offsets):
        number = vectors.broadcast(builder.load(builder.gep(a_here, [offset])))
        for column in (0, vectors.lanes):
            total = totals[row, column]
            grown[row, column] = vectors.multiply_add(number, b_row[column], total)
    following = (
        builder.add(position, ir.Constant(_INT, 1)),
        builder.gep(a_here, [a_step]),
        builder.gep(b_here, [b_step]),
    )
    for here, start, then in zip((position, a_here, b_here), (zero, a, b), following, strict=True):
        here.add_incoming(start, before)
        here.add_incoming(then, loop)
    builder.cbranch(builder.icmp_signed("<", following[0], depth), loop, done)

    builder.position_at_end(done)
    results = {place: builder.phi(vectors.vector) for place in places}
    for place in places:
        totals[place].add_incoming(vectors.zero, before)
        totals[place].add_incoming(grown[place], loop)
        results[place].add_incoming(vectors.zero, before)
        results[place].add_incoming(grown[place], loop)
    with builder.if_else(accumulates) as (adding, writing):
        for branch, adds in ((adding, True), (writing, False)):
            with branch:
                for (row, column), result in results.items():
                    offset = builder.mul(c_row, ir.Constant(_INT, row))
                    offset = builder.add(offset, ir.Constant(_INT, column))
                    pointer = builder.gep(c, [offset])
                    if adds:
                        result = builder.fadd(vectors.load(pointer), result)
                    vectors.store(result, pointer)


def transpose(real: Any, lanes: int) -> Callable[..., None]:
    """For Numba: ``f(source, source_row, target, target_row, count)``.

    A square of ``lanes`` vectors of ``lanes`` numbers is transposed; of each row of that the first
    ``count`` numbers are written.
    """

    @intrinsic
    def transposing(
        context: Any, source: Any, source_row: Any, target: Any, target_row: Any, count: Any
    ) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            source, source_row, target, target_row, count = arguments
            vectors = _Vectors(builder, real, lanes)
            rows = [vectors.load(place) for place in _rows(vectors, source, source_row)]
            places = range(lanes)
            # Exchange the off-diagonal halves of squares of 2, then 4, ... until all is exchanged.
            size = 1
            while size < lanes:
                # Where each lane comes from; numbers from `lanes` on mean the second row.
                upper = [n if not n & size else lanes + n - size for n in places]
                lower = [n + size if not n & size else lanes + n for n in places]
                for i in places:
                    if not i & size:
                        pair = rows[i], rows[i + size]
                        rows[i] = vectors.shuffled(*pair, upper)
                        rows[i + size] = vectors.shuffled(*pair, lower)
                size *= 2
            for row, place in zip(rows, _rows(vectors, target, target_row), strict=True):
                vectors.store_first(count, row, place)
            return context.get_dummy_value()

        return types.void(*[types.intp] * 5), generate

    return transposing  # type: ignore[no-any-return]


def _rows(vectors: _Vectors, address: Any, stride: Any) -> Iterator[Any]:
    """Pointers to one row for each lane of a vector."""
    builder = vectors.builder
    first = vectors.pointer(address)
    for row in range(vectors.lanes):
        yield builder.gep(first, [builder.mul(stride, ir.Constant(_INT, row))])


def copy_vectors(real: Any, lanes: int, count: int) -> Callable[..., None]:
    """For Numba: ``f(source, target)`` copies ``count`` vectors of ``lanes`` numbers."""

    @intrinsic
    def copying(context: Any, source: Any, target: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            vectors = _Vectors(builder, real, lanes)
            source, target = map(vectors.pointer, arguments)
            for i in range(count):
                offset = [ir.Constant(_INT, i * vectors.lanes)]
                vectors.store(
                    vectors.load(builder.gep(source, offset)), builder.gep(target, offset)
                )
            return context.get_dummy_value()

        return types.void(types.intp, types.intp), generate

    return copying  # type: ignore[no-any-return]
