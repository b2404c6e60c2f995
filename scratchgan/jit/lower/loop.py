"""The walk over a fused loop, in any language: each value is read or computed once, and named."""

import itertools
from typing import Protocol

from scratchgan.jit.passes.fuse import SUM, Loop, Statement, merged
from scratchgan.jit.record import Operand


class Space:
    """The axes of a loop, of which those that all operands walk alike are merged.

    Attributes:
        sizes: Of the merged axes.
    """

    def __init__(self, loop: Loop) -> None:
        self.sizes, self._groups = merged(loop)

    def strides(self, x: Operand) -> list[int]:
        """Along the merged axes, in elements."""
        return [x.strides[group[-1]] // x.dtype.itemsize for group in self._groups]

    def axes(self, x: Operand) -> tuple[int, ...]:
        """The axes along which ``x`` does not stay in place."""
        return tuple([axis for axis, stride in enumerate(self.strides(x)) if stride])


class Printer(Protocol):
    """The language that a loop is written in."""

    def number(self, value: float) -> str:
        """The text of a number."""

    def read(self, name: str, x: Operand) -> None:
        """Read the element of ``x`` and call it ``name``."""

    def compute(self, name: str, statement: Statement, inputs: list[str]) -> None:
        """Compute a statement from its inputs' names and call the result ``name``."""

    def store(self, x: Operand, name: str) -> None:
        """Store a value as the element of ``x``."""

    def add_up(self, name: str, total: Operand) -> None:
        """Add a value to the element of ``total``, which is 0 at first."""


def walk(loop: Loop, printer: Printer) -> None:
    """Have ``printer`` write the statements of ``loop``, in order."""
    names = map("t{}".format, itertools.count())
    known: dict[Operand, str] = {}

    def value_of(x: Operand | float) -> str:
        if not isinstance(x, Operand):
            return printer.number(x)
        if x not in known:
            known[x] = next(names)
            printer.read(known[x], x)
        return known[x]

    for statement in loop.statements:
        inputs = [value_of(x) for x in statement.inputs]
        out = statement.out
        if statement.call.kernel == SUM:
            printer.add_up(inputs[0], out)
            continue
        known[out] = next(names)
        printer.compute(known[out], statement, inputs)
        if statement.is_stored:
            printer.store(out, known[out])
