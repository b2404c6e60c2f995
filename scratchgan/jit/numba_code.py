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

from scratchgan.backend import Array, cache
from scratchgan.backend.scalar import DEFINITIONS, all_called_by, as_numba
from scratchgan.backend.team import Task
from scratchgan.jit.fuse import COPY, FILL, SUM, Loop, Statement, merged
from scratchgan.jit.record import Operand

_BOOL = np.dtype(np.bool_)

_HEADER = """\
from numba import njit
from scratchgan.backend import {dtype} as math
from scratchgan.backend.{dtype} import real
from scratchgan.backend.native import booleans_at, {dtype}_at, share, task

@njit(fastmath={{"reassoc"}})
def accumulate(total, x):
    return total + x  # in any order: so several elements are added at once

{definitions}
@task
def fused(lane, lanes, scratch, arguments, numbers):
{body}
"""

#: Lanes share an axis in pieces of so many elements: a line of the cache, and some vectors.
UNIT = 16


@dataclass
class Source:
    """A fused loop: its text, and what it works on.

    Its arguments are the addresses of ``operands``, then ``integers``; then come ``numbers``.
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
    places = [
        f"a{i} = {'booleans' if x.dtype == _BOOL else dtype.name}_at(arguments[{i}], "
        f"{memories.index(x.memory)})"
        for i, x in enumerate(writer.operands)
    ]
    totals = []
    if writer.totals:
        for i, count in enumerate(itertools.accumulate([0, *writer.totals[:-1]])):
            start = writer.integer(count * dtype.itemsize)
            totals.append(f"c{i} = {dtype.name}_at(scratch + {start}, {len(memories) + i})")
    first = len(writer.operands)
    places += [f"n{i} = arguments[{first + i}]" for i in range(len(writer.integers))]
    places += totals
    places += [f"s{i} = real(numbers[{i}])" for i in range(len(writer.numbers))]
    text = _HEADER.format(
        dtype=dtype.name,
        definitions="\n".join(as_numba(DEFINITIONS[name]) + "\n" for name in writer.definitions),
        body=textwrap.indent("\n".join(places + writer.lines), "    "),
    )
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
            if stride == dense:  # told by sizes, which vary together
                terms.append(" * ".join([f"i{axis}", *names[axis + 1 :]]))
            elif stride:
                terms.append(f"i{axis} * {writer.integer(stride)}")
        return f"{name}[{' + '.join(terms) or '0'}]"

    def level_of(x: Operand) -> int:
        """How many loops must have been entered before ``x`` can be read or its sum started."""
        axes = used(x)
        return len(axes) if axes == tuple(range(len(axes))) else depth

    outs = [used(s.out) for s in loop.statements if s.call.kernel == SUM]
    shared = next((i for i in range(depth) if all(i in axes for axes in outs)), None)
    if shared is None:
        writer.line(0, "if lane > 0:")  # one total of all that there is
        writer.line(1, "return")
    else:
        writer.line(0, f"begin, end = share({names[shared]}, lane, lanes, {UNIT})")
    headers = [
        f"for i{axis} in range({'begin, end' if axis == shared else names[axis]}):"
        for axis in range(depth)
    ]

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
            if used(out) == tuple(range(depth)):  # nothing to sum over
                body.append(f"{element(out)} = {x}")
            elif used(out) == tuple(range(level)):
                total = writer.value()
                at_level[level].append(f"{total} = 0.0")
                body.append(f"{total} = accumulate({total}, {x})")
                after_level[level].append(f"{element(out)} = real({total})")
            else:
                # Rows are added up in the lane's own memory: at the border of two lanes' columns
                # both would want the same line of the cache, in every row.
                total = writer.total(math.prod(sizes[axis] for axis in used(out)))
                at = "0"
                for axis in used(out):
                    at = f"i{axis}" if at == "0" else f"({at}) * {names[axis]} + i{axis}"
                nest = ["    " * n + headers[axis] for n, axis in enumerate(used(out))]
                inside = "    " * len(nest)
                at_level[0] += [*nest, f"{inside}{total}[{at}] = real(0)"]
                body.append(f"{total}[{at}] += {x}")
                after_level[0] += [*nest, f"{inside}{element(out)} = {total}[{at}]"]
            continue
        inputs = [value_of(x) for x in statement.inputs]
        result = writer.value()
        body.append(f"{result} = {_expression(statement, inputs, writer)}")
        at_hand[out] = result
        if statement.is_stored:
            body.append(f"{element(out)} = {result}")
    at_level[depth] += body
    for level in range(depth + 1):
        for line in at_level[level]:
            writer.line(level, line)
        if level < depth:
            writer.line(level, headers[level])
    for level in reversed(range(depth)):
        for line in after_level[level]:
            writer.line(level, line)


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


def compiled(source: Source, arrays: list[Array]) -> Task:
    """The task that runs ``source`` on ``arrays``, its operands."""
    function = cache.load("fused", source.text).fused
    addresses = [array.ctypes.data for array in arrays]
    return Task(
        function.address,
        np.array([*addresses, *source.integers], np.intp),
        np.array(source.numbers, np.float64),
        arrays,
    )
