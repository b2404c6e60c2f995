"""Source of fused loops for Numba, and their compilation to tasks of a team of threads.

The source depends on what is computed, not on sizes: addresses, sizes, strides and numbers are
arguments, so that the same code serves another batch size, and the cache of compiled code stays
small.
"""

import itertools
import math
import textwrap
from dataclasses import dataclass, field

import numpy as np

from scratchgan.backend import Array, machine_code
from scratchgan.backend.scalar import DEFINITIONS, all_called_by, as_numba
from scratchgan.backend.team import MEMORIES, Task, address_of
from scratchgan.jit.fuse import COPY, FILL, SUM, Loop, Statement, merged
from scratchgan.jit.record import Operand

_BOOL = np.dtype(np.bool_)

_HEADER = """\
from numba import njit
from scratchgan.backend import {dtype} as math
from scratchgan.backend.{dtype} import real
from scratchgan.backend.native import booleans_at, float32_at, float64_at, share, task
from scratchgan.backend.team import SCRATCH

@njit(fastmath={{"reassoc"}})
def accumulate(total, x):
    return total + x  # in any order: so several elements are added at once

{definitions}
@task
def fused(lane, lanes, scratch, arguments, numbers):
{body}
"""

_FINISH = """
@task
def finish(lane, lanes, scratch, arguments, numbers):
{body}
"""

#: Lanes share an axis in pieces of so many elements: a line of the cache, and some vectors.
UNIT = 16
#: A sum over this many rows or more is that of so many parts, which lanes share.
MANY_ROWS, PARTS = 512, 16
#: Bytes of sums on the way: less than the memory that a lane has for itself.
MOST_TOTALS = 1 << 20


@dataclass
class Source:
    """A fused loop: its text, and what it works on.

    The task ``fused`` in it, and ``finish`` where sums have parts, take as arguments the addresses
    of ``operands``, then ``integers``; then come ``numbers``.
    """

    text: str
    operands: list[Operand]
    integers: list[int]
    numbers: list[float]


@dataclass
class _Writer:
    """Collects parameters, and the lines of the body with their levels of indentation."""

    operands: list[Operand] = field(default_factory=list)
    integers: list[int] = field(default_factory=list)
    numbers: list[float] = field(default_factory=list)
    definitions: dict[str, None] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    finish: list[str] = field(default_factory=list)
    totals: list[int] = field(default_factory=list)
    values: int = 0

    def line(self, level: int, text: str) -> None:
        self.lines.append("    " * level + text)

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

    def number(self, value: float) -> str:
        self.numbers.append(float(value))
        return f"s{len(self.numbers) - 1}"

    def integer(self, value: int) -> str:
        self.integers.append(value)
        return f"n{len(self.integers) - 1}"

    def total(self, count: int) -> str:
        """The name of an array of ``count`` numbers in the memory that a lane has for itself."""
        self.totals.append(count)
        return f"c{len(self.totals) - 1}"

    def value(self) -> str:
        self.values += 1
        return f"t{self.values - 1}"


def source_of(loop: Loop, dtype: np.dtype[np.floating]) -> Source:
    """The source of ``loop``, whose arithmetic is in ``dtype``."""
    writer = _Writer()
    _write_loop(loop, writer)
    memories = list(dict.fromkeys(x.memory for x in writer.operands))
    kinds = ["booleans" if x.dtype == _BOOL else dtype.name for x in writer.operands]
    places = [
        f"a{i} = {kind}_at(arguments[{i}], {memories.index(x.memory) % MEMORIES})"
        for i, (x, kind) in enumerate(zip(writer.operands, kinds, strict=True))
    ]
    first = len(places)
    # Parts of sums are where all lanes find them: in the memory of the first.
    base = "scratch - lane * SCRATCH" if writer.finish else "scratch"
    starts = itertools.accumulate(writer.totals, initial=0)
    totals = [
        f"c{i} = float64_at({base} + {writer.integer(start)}, {(len(memories) + i) % MEMORIES})"
        for i, start in zip(range(len(writer.totals)), starts, strict=False)
    ]
    places += [f"n{i} = arguments[{first + i}]" for i in range(len(writer.integers))]
    places += totals
    places += [f"s{i} = real(numbers[{i}])" for i in range(len(writer.numbers))]
    text = _HEADER.format(
        dtype=dtype.name,
        definitions="\n".join(as_numba(DEFINITIONS[name]) + "\n" for name in writer.definitions),
        body=textwrap.indent("\n".join(places + writer.lines), "    "),
    )
    if writer.finish:
        text += _FINISH.format(body=textwrap.indent("\n".join(places + writer.finish), "    "))
    return Source(text, writer.operands, writer.integers, writer.numbers)


def _write_loop(loop: Loop, writer: _Writer) -> None:
    sizes, groups = merged(loop)
    depth = len(sizes)
    names = [writer.integer(size) for size in sizes]

    def strides(x: Operand) -> list[int]:
        """Along the merged axes, in elements."""
        return [x.strides[group[-1]] // x.dtype.itemsize for group in groups]

    def used(x: Operand) -> tuple[int, ...]:
        """The axes along which ``x`` does not stay in place."""
        return tuple(axis for axis, stride in enumerate(strides(x)) if stride)

    def element(x: Operand) -> str:
        name = writer.array(x)
        terms = []
        for axis, stride in enumerate(strides(x)):
            dense = math.prod(sizes[axis + 1 :])
            if stride and stride == dense:  # told by sizes, which vary together
                terms.append(" * ".join([f"i{axis}", *names[axis + 1 :]]))
            elif stride:
                terms.append(f"i{axis} * {writer.integer(stride)}")
        return f"{name}[{' + '.join(terms) or '0'}]"

    def level_of(x: Operand) -> int:
        """How many loops must have been entered before ``x`` can be read or its sum started."""
        axes = used(x)
        return len(axes) if axes == tuple(range(len(axes))) else depth

    outs = [used(s.out) for s in loop.statements if s.call.kernel == SUM]
    nbytes = 8 * sum(math.prod(sizes[axis] for axis in axes) for axes in outs)
    has_parts = (
        depth > 0
        and sizes[0] >= MANY_ROWS
        and any(0 not in axes for axes in outs)
        and PARTS * nbytes <= MOST_TOTALS
    )
    shared = next((i for i in range(depth) if all(i in axes for axes in outs)), None)
    headers = [f"for i{axis} in range({name}):" for axis, name in enumerate(names)]
    if has_parts:
        writer.line(0, f"first, last = share({PARTS}, lane, lanes, 1)")
        writer.line(0, "for part in range(first, last):")
        begin, end = (f"{names[0]} * {part} // {PARTS}" for part in ("part", "(part + 1)"))
        headers[0] = f"for i0 in range({begin}, {end}):"
    elif shared is None:
        writer.line(0, "if lane > 0:")  # one total of all that there is
        writer.line(1, "return")
    else:
        writer.line(0, f"begin, end = share({names[shared]}, lane, lanes, {UNIT})")
        headers[shared] = f"for i{shared} in range(begin, end):"

    def nested(axes: tuple[int, ...], line: str) -> list[str]:
        """``line`` in loops over ``axes``."""
        heads = ["    " * n + headers[axis] for n, axis in enumerate(axes)]
        return [*heads, "    " * len(axes) + line]

    def position(axes: tuple[int, ...]) -> str:
        """Of an element among those of ``axes``."""
        at = ""
        for axis in axes:
            at = f"({at}) * {names[axis]} + i{axis}" if at else f"i{axis}"
        return at or "0"

    def finish(total: str, at: str, count: str, out: Operand) -> None:
        """Have the parts of a sum added up, in order."""
        lines = ["whole = 0.0", f"for part in range({PARTS}):"]
        lines += [f"    whole += {total}[part * {count} + {at}]", f"{element(out)} = real(whole)"]
        axes = used(out)
        if axes:
            writer.finish.append(f"begin, end = share({names[axes[0]]}, lane, lanes, {UNIT})")
            headers_then = [f"for i{axes[0]} in range(begin, end):"]
            headers_then += [f"for i{axis} in range({names[axis]}):" for axis in axes[1:]]
        else:
            headers_then = ["if lane == 0:"]
        writer.finish += ["    " * n + head for n, head in enumerate(headers_then)]
        writer.finish += ["    " * len(headers_then) + line for line in lines]

    at_level: list[list[str]] = [[] for _ in range(depth + 1)]
    after_level: list[list[str]] = [[] for _ in range(depth + 1)]
    at_hand: dict[Operand, str] = {}

    def value_of(x: Operand | float) -> str:
        if not isinstance(x, Operand):
            return writer.number(x)
        if x not in at_hand:
            at_hand[x] = writer.value()
            at_level[level_of(x)].append(f"{at_hand[x]} = {element(x)}{_truth(x)}")
        return at_hand[x]

    body: list[str] = []
    for statement in loop.statements:
        out = statement.out
        if statement.call.kernel == SUM:
            x = value_of(statement.inputs[0])
            level = level_of(out)
            axes = used(out)
            count = math.prod(sizes[axis] for axis in axes)
            if axes == tuple(range(depth)):  # nothing to sum over
                body.append(f"{element(out)} = {x}")
            elif axes == tuple(range(level)):
                total = writer.value()
                at_level[level].append(f"{total} = 0.0")
                body.append(f"{total} = accumulate({total}, {x})")
                if axes or not has_parts:
                    after_level[level].append(f"{element(out)} = real({total})")
                else:
                    parts = writer.total(PARTS * 8)
                    after_level[level].append(f"{parts}[part] = {total}")
                    finish(parts, "0", "1", out)
            elif nbytes <= MOST_TOTALS:
                # Rows are added up in memory that is the lane's own: at the border of two lanes'
                # columns both would want the same line of the cache, in every row.
                has = has_parts and 0 not in axes
                total = writer.total(count * 8 * (PARTS if has else 1))
                size = writer.integer(count)
                at = position(axes)
                place = f"{total}[part * {size} + {at}]" if has else f"{total}[{at}]"
                at_level[0] += nested(axes, f"{place} = 0.0")
                body.append(f"{place} += {x}")
                if has:
                    finish(total, at, size, out)
                else:
                    after_level[0] += nested(axes, f"{element(out)} = real({place})")
            else:
                at_level[0] += nested(axes, f"{element(out)} = real(0)")
                body.append(f"{element(out)} += {x}")
            continue
        inputs = [value_of(x) for x in statement.inputs]
        result = writer.value()
        body.append(f"{result} = {_expression(statement, inputs, writer)}")
        at_hand[out] = result
        if statement.is_stored:
            body.append(f"{element(out)} = {result}")
    at_level[depth] += body
    base = int(has_parts)
    for level in range(depth + 1):
        for line in at_level[level]:
            writer.line(base + level, line)
        if level < depth:
            writer.line(base + level, headers[level])
    for level in reversed(range(depth)):
        for line in after_level[level]:
            writer.line(base + level, line)


def _truth(x: Operand) -> str:
    """What makes the byte of a boolean true or false."""
    return " != 0" if x.dtype == _BOOL else ""


def _expression(statement: Statement, inputs: list[str], writer: _Writer) -> str:
    """The statement's result from the names of its inputs."""
    call = statement.call
    reals = [
        f"real({value})" if isinstance(x, Operand) and x.dtype == _BOOL else value
        for x, value in zip(statement.inputs, inputs, strict=True)
    ]
    if call.kernel in (COPY, FILL):
        expression = reals[0]
    else:
        definition = DEFINITIONS[call.kernel]
        writer.definitions.update(dict.fromkeys(all_called_by(definition)))
        writer.definitions[call.kernel] = None
        scalars = [writer.number(call.scalars[name]) for name in definition.scalars]
        if call.kernel == "where":
            reals[0] = inputs[0]
        expression = f"{call.kernel}({', '.join(reals + scalars)})"
    return f"bool({expression})" if statement.out.dtype == _BOOL else expression


def compiled(source: Source, arrays: list[Array]) -> list[Task]:
    """The tasks that run ``source`` on arrays that begin where its operands do."""
    code = machine_code.load("fused", source.text)
    addresses = map(address_of, arrays)
    arguments = np.array([*addresses, *source.integers], np.intp)
    numbers = np.array(source.numbers, np.float64)
    return [Task(function, arguments, numbers, arrays) for function in code.values()]
