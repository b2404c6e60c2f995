"""The printer for Numba: the lines of a fused loop, and the parameters that they name."""

import itertools
import math
from dataclasses import dataclass, field

import numpy as np

from scratchgan.backend.scalar import DEFINITIONS, all_called_by
from scratchgan.jit.lower.loop import Space, walk
from scratchgan.jit.passes.fuse import COPY, FILL, SUM, Loop, Statement
from scratchgan.jit.record import Operand

BOOL = np.dtype(np.bool_)

#: Threads share an axis in pieces of this many elements: a cache line, and some vectors.
UNIT = 16
#: A sum over this many rows or more has this many parts, which threads share. Where they share
#: columns instead, half of what a thread reads was written by the others, as rows.
MANY_ROWS, PARTS = 64, 16
#: Bytes that the parts of sums may take: less than the memory that a thread has for itself.
MOST_TOTALS = 1 << 20


@dataclass
class Parameters:
    """The parameters of a loop, by the names that its lines have for them.

    Attributes:
        operands: Arrays, ``a0``, ``a1``, ...
        integers: Sizes and strides, ``n0``, ...
        numbers: Scalars, ``s0``, ...
        totals: Bytes of the sums that are added up beside the results, ``c0``, ...
        definitions: The scalar definitions that are called.
    """

    operands: list[Operand] = field(default_factory=list)
    integers: list[int] = field(default_factory=list)
    numbers: list[float] = field(default_factory=list)
    totals: list[int] = field(default_factory=list)
    definitions: dict[str, None] = field(default_factory=dict)

    def array(self, operand: Operand) -> str:
        """The name of the array that begins where ``operand`` does."""
        for i, known in enumerate(self.operands):
            if (known.memory, known.offset, known.dtype) == (
                operand.memory,
                operand.offset,
                operand.dtype,
            ):
                return f"a{i}"
        self.operands.append(operand)
        return f"a{len(self.operands) - 1}"

    def integer(self, value: int) -> str:
        """The name of a parameter that is ``value``."""
        self.integers.append(value)
        return f"n{len(self.integers) - 1}"

    def number(self, value: float) -> str:
        """The name of a parameter that is ``value``, in the loop's floating type."""
        self.numbers.append(float(value))
        return f"s{len(self.numbers) - 1}"

    def total(self, nbytes: int) -> str:
        """The name of an array of ``nbytes`` bytes of float64."""
        self.totals.append(nbytes)
        return f"c{len(self.totals) - 1}"


class Lines:
    """The lines of source of a loop.

    Sums are computed in float64. Those of float32 lose nothing that float32 could tell. Those of
    float64 keep what rounding takes from them (:mod:`scratchgan.backend.cpu.compensation`), so that
    their error does not grow with how many elements there are.

    Attributes:
        body: The lines of a thread's part of the loop.
        finish: Those that add the parts of sums up afterwards; none where no sum has parts.
    """

    def __init__(self, loop: Loop, parameters: Parameters, dtype: np.dtype[np.floating]) -> None:
        self._parameters = parameters
        self._keeps_what_is_lost = dtype == np.float64
        self._space = space = Space(loop)
        self._axes = space.axes
        self._sizes = space.sizes
        self._depth = len(self._sizes)
        self._names = [parameters.integer(size) for size in self._sizes]
        #: By axis: where its loop begins and ends.
        self._bounds = [("0", name) for name in self._names]
        sums = [self._axes(s.out) for s in loop.statements if s.call.kernel == SUM]
        totals = sum(math.prod(self._sizes[axis] for axis in axes) for axes in sums)
        self._has_parts = (
            self._depth > 0
            and self._sizes[0] >= MANY_ROWS
            and any(0 not in axes for axes in sums)
            and PARTS * totals * (16 if self._keeps_what_is_lost else 8) <= MOST_TOTALS
        )
        self._numbers_of_totals = itertools.count()
        #: By level: what comes before the next loop is entered, and after it is left.
        self._before: list[list[str]] = [[] for _ in range(self._depth + 1)]
        self._after: list[list[str]] = [[] for _ in range(self._depth + 1)]
        self._innermost: list[str] = []
        #: Lines before a block of the innermost loop, and after it; none where it has none.
        self._before_block: list[str] = []
        self._after_block: list[str] = []
        self.finish: list[str] = []

        opening = self._opening(sums)
        walk(loop, self)
        self.body = opening + self._nest()

    # --- How threads share the loop, and its levels ----------------------------------------

    def _opening(self, sums: list[tuple[int, ...]]) -> list[str]:
        """The lines that find the thread's part, to which the loop that is shared is bound."""
        names = self._names
        if self._has_parts:
            begin, end = (f"{names[0]} * {part} // {PARTS}" for part in ("part", "(part + 1)"))
            self._bounds[0] = begin, end
            return [
                f"first, last = share({PARTS}, thread, threads, 1)",
                "for part in range(first, last):",
            ]
        shared = next((i for i in range(self._depth) if all(i in axes for axes in sums)), None)
        if shared is None:  # one total of all that there is
            return ["if thread > 0:", "    return"]
        self._bounds[shared] = "begin", "end"
        return [f"begin, end = share({names[shared]}, thread, threads, {UNIT})"]

    def _nest(self) -> list[str]:
        """All levels, one in another."""
        self._before[-1] += self._innermost
        base = int(self._has_parts)
        lines = []
        for level in range(self._depth):
            lines += _indented(base + level, self._before[level])
            begin, end = self._bounds[level]
            if level == self._depth - 1 and self._before_block:
                lines += _indented(base + level, [f"for start in range({begin}, {end}, BLOCK):"])
                base += 1
                lines += _indented(base + level, self._before_block)
                begin, end = "start", f"min(start + BLOCK, {end})"
            lines += _indented(base + level, [_header(level, begin, end)])
        lines += _indented(base + self._depth, self._before[-1])
        if self._before_block:
            lines += _indented(base + self._depth - 1, self._after_block)
            base -= 1
        for level in reversed(range(self._depth)):
            lines += _indented(base + level, self._after[level])
        return lines

    def _nested(self, axes: tuple[int, ...], lines: list[str]) -> list[str]:
        """``lines`` in loops over ``axes``."""
        return _below([_header(axis, *self._bounds[axis]) for axis in axes], lines)

    # --- Where operands lie --------------------------------------------------------------

    def _element(self, x: Operand) -> str:
        """The element of ``x`` where the loops are."""
        name = self._parameters.array(x)
        terms = []
        for axis, stride in enumerate(self._space.strides(x)):
            dense = math.prod(self._sizes[axis + 1 :])
            if stride and stride == dense:  # told by sizes, which vary together
                terms.append(" * ".join([f"i{axis}", *self._names[axis + 1 :]]))
            elif stride:
                terms.append(f"i{axis} * {self._parameters.integer(stride)}")
        return f"{name}[{' + '.join(terms) or '0'}]"

    def _position(self, axes: tuple[int, ...]) -> str:
        """Of an element among those of ``axes``."""
        at = ""
        for axis in axes:
            at = f"({at}) * {self._names[axis]} + i{axis}" if at else f"i{axis}"
        return at or "0"

    # --- Statements ----------------------------------------------------------------------

    def number(self, value: float) -> str:
        """The name of a parameter that is ``value``."""
        return self._parameters.number(value)

    def read(self, name: str, x: Operand) -> None:
        """Read the element of ``x`` as soon as its loops have been entered."""
        axes = self._axes(x)
        level = len(axes) if axes == tuple(range(len(axes))) else self._depth
        truth = " != 0" if x.dtype == BOOL else ""
        self._before[level].append(f"{name} = {self._element(x)}{truth}")

    def compute(self, name: str, statement: Statement, inputs: list[str]) -> None:
        """Compute a statement in the innermost loop."""
        self._innermost.append(f"{name} = {_expression(statement, inputs, self._parameters)}")

    def store(self, x: Operand, name: str) -> None:
        """Store a value in the innermost loop."""
        self._innermost.append(f"{self._element(x)} = {name}")

    def add_up(self, name: str, total: Operand) -> None:
        """Add a value up: in a number, or in memory of the loop's own."""
        axes = self._axes(total)
        if axes == tuple(range(self._depth)):  # nothing to sum over
            self.store(total, name)
        elif axes == tuple(range(len(axes))):
            self._sum_in_a_number(name, total, axes)
        else:
            self._sum_in_memory(name, total, axes)

    def _sum_in_a_number(self, x: str, out: Operand, axes: tuple[int, ...]) -> None:
        """Each sum is complete before the next one starts."""
        number, level = next(self._numbers_of_totals), len(axes)
        total = whole = f"u{number}"
        self._before[level].append(f"{total} = 0.0")
        if self._keeps_what_is_lost:
            block, missing = f"b{number}", f"m{number}"
            self._before[level].append(f"{missing} = 0.0")
            self._before_block.append(f"{block} = 0.0")
            self._innermost.append(f"{block} = accumulate({block}, {x})")
            self._after_block += _added(total, missing, block)
            whole = f"completed({total}, {missing})"
        else:
            self._innermost.append(f"{total} = accumulate({total}, {x})")
        if axes or not self._has_parts:
            self._after[level].append(f"{self._element(out)} = real({whole})")
        else:
            parts = self._parameters.total(PARTS * 8)
            self._after[level].append(f"{parts}[part] = {whole}")
            self._finish(f"{parts}[part]", out)

    def _sum_in_memory(self, x: str, out: Operand, axes: tuple[int, ...]) -> None:
        """Rows are added up beside the result.

        At the border of two threads' columns both would want the same line of the cache, in every
        row.
        """
        has_parts = self._has_parts and 0 not in axes
        count = math.prod(self._sizes[axis] for axis in axes)
        at = self._position(axes)
        if has_parts:
            at = f"part * {self._parameters.integer(count)} + {at}"
        nbytes = count * 8 * (PARTS if has_parts else 1)
        total = whole = f"{self._parameters.total(nbytes)}[{at}]"
        starts = [f"{total} = 0.0"]
        if self._keeps_what_is_lost:
            missing = f"{self._parameters.total(nbytes)}[{at}]"
            starts.append(f"{missing} = 0.0")
            self._innermost += _added(total, missing, x)
            whole = f"completed({total}, {missing})"
        else:
            self._innermost.append(f"{total} += {x}")
        self._before[0] += self._nested(axes, starts)
        if has_parts:
            self._finish(whole, out)
        else:
            self._after[0] += self._nested(axes, [f"{self._element(out)} = real({whole})"])

    def _finish(self, of_part: str, out: Operand) -> None:
        """Have the parts of a sum added up, in order."""
        lines = [
            "whole = 0.0",
            f"for part in range({PARTS}):",
            f"    whole += {of_part}",
            f"{self._element(out)} = real(whole)",
        ]
        heads = ["if thread == 0:"]
        if axes := self._axes(out):
            self.finish.append(
                f"begin, end = share({self._names[axes[0]]}, thread, threads, {UNIT})"
            )
            heads = [_header(axis, "0", self._names[axis]) for axis in axes]
            heads[0] = _header(axes[0], "begin", "end")
        self.finish += _below(heads, lines)


def _header(axis: int, begin: str, end: str) -> str:
    return f"for i{axis} in range({begin}, {end}):"


def _added(total: str, missing: str, x: str) -> list[str]:
    """The lines that add ``x`` to ``total``, and to ``missing`` what that loses."""
    return [f"{missing} += lost({total}, {x})", f"{total} += {x}"]


def _indented(level: int, lines: list[str]) -> list[str]:
    return ["    " * level + line for line in lines]


def _below(heads: list[str], lines: list[str]) -> list[str]:
    """``lines`` under ``heads``, each of which stands under the one before."""
    nested = [line for level, head in enumerate(heads) for line in _indented(level, [head])]
    return nested + _indented(len(heads), lines)


def _expression(statement: Statement, inputs: list[str], parameters: Parameters) -> str:
    """The statement's result from the names of its inputs."""
    call = statement.call
    reals = [
        f"real({value})" if isinstance(x, Operand) and x.dtype.kind != "f" else value
        for x, value in zip(statement.inputs, inputs, strict=True)
    ]
    if call.kernel in (COPY, FILL):
        expression = reals[0]
    else:
        definition = DEFINITIONS[call.kernel]
        parameters.definitions.update(dict.fromkeys(all_called_by(definition)))
        parameters.definitions[call.kernel] = None
        scalars = [parameters.number(call.scalars[name]) for name in definition.scalars]
        if call.kernel == "where":
            reals[0] = inputs[0]
        expression = f"{call.kernel}({', '.join(reals + scalars)})"
    return f"bool({expression})" if statement.out.dtype == BOOL else expression
