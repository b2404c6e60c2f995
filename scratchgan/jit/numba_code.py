"""Source of a fused function for Numba, and its compilation.

The source depends on what is computed, not on sizes: arrays and numbers are parameters, so that
the same function serves another batch size, and the cache of compiled code stays small.
"""

import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from scratchgan.backend import Array, cache
from scratchgan.backend.scalar import DEFINITIONS, all_called_by, as_numba
from scratchgan.jit.fuse import COPY, FILL, SUM, Fused, Loop, Statement, merged
from scratchgan.jit.record import Operand

_BOOL = np.dtype(np.bool_)

_HEADER = """\
from numba import njit
from scratchgan.backend import {dtype} as math
from scratchgan.backend.{dtype} import real

@njit(fastmath={{"reassoc"}})
def accumulate(total, x):
    return total + x  # in any order: so several elements are added at once

{definitions}
@njit(cache=True, error_model="numpy", nogil=True)
def fused({parameters}):
{body}
"""


@dataclass
class Source:
    """A fused function: its text, and what to pass for its parameters, in order."""

    text: str
    operands: list[Operand]
    numbers: list[float]


@dataclass
class _Writer:
    """Collects parameters, and the lines of the body with their levels of indentation."""

    operands: list[Operand] = field(default_factory=list)
    numbers: list[float] = field(default_factory=list)
    definitions: dict[str, None] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    values: int = 0

    def line(self, level: int, text: str) -> None:
        self.lines.append("    " * level + text)

    def array(self, operand: Operand) -> str:
        if operand not in self.operands:
            self.operands.append(operand)
        return f"a{self.operands.index(operand)}"

    def number(self, value: float) -> str:
        self.numbers.append(float(value))
        return f"real(s{len(self.numbers) - 1})"

    def size(self, value: int) -> str:
        self.numbers.append(float(value))
        return f"int(s{len(self.numbers) - 1})"

    def value(self) -> str:
        self.values += 1
        return f"t{self.values - 1}"


def source_of(fused: Fused) -> Source:
    """The source of ``fused`` as a function of its arrays and numbers."""
    writer = _Writer()
    for loop in fused.loops:
        _write_loop(loop, writer)
    arrays = [f"a{i}" for i in range(len(writer.operands))]
    numbers = [f"s{i}" for i in range(len(writer.numbers))]
    text = _HEADER.format(
        dtype=fused.dtype.name,
        definitions="\n".join(as_numba(DEFINITIONS[name]) + "\n" for name in writer.definitions),
        parameters=", ".join(arrays + numbers),
        body=textwrap.indent("\n".join(writer.lines), "    "),
    )
    return Source(text, writer.operands, writer.numbers)


def _write_loop(loop: Loop, writer: _Writer) -> None:
    sizes, groups = merged(loop)
    depth = len(sizes)

    def packed(x: Operand) -> tuple[Operand, tuple[int, ...]]:
        """``x`` without the axes along which it stays in place, and the axes that it has."""
        strides = [x.strides[group[-1]] for group in groups]
        used = tuple(axis for axis in range(depth) if strides[axis])
        array = Operand(
            x.memory,
            x.offset,
            tuple(sizes[axis] for axis in used),
            tuple(strides[axis] for axis in used),
            x.dtype,
        )
        return array, used

    def element(x: Operand) -> str:
        array, used = packed(x)
        index = ", ".join(f"i{axis}" for axis in used) or "()"
        return f"{writer.array(array)}[{index}]"

    def level_of(x: Operand) -> int:
        """How many loops must have been entered before ``x`` can be read or its sum started."""
        _, used = packed(x)
        return len(used) if used == tuple(range(len(used))) else depth

    at_level: list[list[str]] = [[] for _ in range(depth + 1)]
    after_level: list[list[str]] = [[] for _ in range(depth + 1)]
    at_hand: dict[Operand, str] = {}

    def value_of(x: Operand | float) -> str:
        if not isinstance(x, Operand):
            return writer.number(x)
        if x not in at_hand:
            at_hand[x] = writer.value()
            at_level[level_of(x)].append(f"{at_hand[x]} = {element(x)}")
        return at_hand[x]

    body: list[str] = []
    for statement in loop.statements:
        if statement.call.kernel == SUM:
            level = level_of(statement.out)
            x = value_of(statement.inputs[0])
            used = packed(statement.out)[1]
            if used == tuple(range(depth)):  # nothing to sum over
                body.append(f"{element(statement.out)} = {x}")
            elif used == tuple(range(level)):
                total = writer.value()
                at_level[level].append(f"{total} = 0.0")
                body.append(f"{total} = accumulate({total}, {x})")
                after_level[level].append(f"{element(statement.out)} = real({total})")
            else:
                at_level[0].append(f"{writer.array(packed(statement.out)[0])}[...] = real(0)")
                body.append(f"{element(statement.out)} += {x}")
            continue
        inputs = [value_of(x) for x in statement.inputs]
        result = writer.value()
        body.append(f"{result} = {_expression(statement, inputs, writer)}")
        at_hand[statement.out] = result
        if statement.is_stored:
            body.append(f"{element(statement.out)} = {result}")
    at_level[depth] += body
    for level in range(depth + 1):
        for line in at_level[level]:
            writer.line(level, line)
        if level < depth:
            writer.line(level, f"for i{level} in range({_length(level, packed, loop, writer)}):")
    for level in reversed(range(depth)):
        for line in after_level[level]:
            writer.line(level, line)


def _length(axis: int, packed: Callable[..., Any], loop: Loop, writer: _Writer) -> str:
    """The size of an axis, as that of an array that has it."""
    for x in loop.operands():
        array, used = packed(x)
        if axis in used and array in writer.operands:
            return f"{writer.array(array)}.shape[{used.index(axis)}]"
    # All of them stay in place along it, as after an expand, or there is nothing in them.
    return writer.size(merged(loop)[0][axis])


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


def compiled(source: Source, arrays: list[Array]) -> tuple[Callable[..., None], tuple[Any, ...]]:
    """The machine code of ``source`` for ``arrays``, and the arguments to call it with."""
    from scratchgan.backend.numba_kernels import entry_point

    arguments = (*arrays, *source.numbers)
    return entry_point(cache.load("fused", source.text).fused, arguments), arguments
