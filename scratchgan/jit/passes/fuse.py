"""Fuse: runs of elementwise calls, and sums of their results, become loops of one function.

Between two products or other kernels that stay calls, all elementwise calls make up one
:class:`Fused` function. Inside it, calls over the same shape share a :class:`Loop` as long as each
reads only what the loop has computed for the same element.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from scratchgan.backend.scalar import DEFINITIONS
from scratchgan.jit.record import Call, Memory, Operand

_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
_BOOL, _BYTE = np.dtype(np.bool_), np.dtype(np.uint8)
#: Fused calls that have no scalar definition.
COPY, FILL, SUM = "copy", "fill", "sum"


@dataclass
class Statement:
    """One call inside a loop; its operands are broadcast to the loop's shape."""

    call: Call
    inputs: tuple[Operand | float, ...]
    out: Operand
    #: False where only later statements of this loop use the result.
    is_stored: bool = True

    def operands(self) -> Iterator[Operand]:
        """The operands that are read, and those that are written."""
        yield from (x for x in self.inputs if isinstance(x, Operand))
        yield self.out

    def moved(self, move: Callable[[Operand], Operand]) -> "Statement":
        """This statement on the operands that ``move`` gives for its own."""
        inputs = tuple(move(x) if isinstance(x, Operand) else x for x in self.inputs)
        return Statement(self.call.moved(move), inputs, move(self.out), self.is_stored)


@dataclass
class Loop:
    """Statements that run together for each element of ``shape``."""

    shape: tuple[int, ...]
    statements: list[Statement] = field(default_factory=list)

    def operands(self) -> Iterator[Operand]:
        """The operands, broadcast to the loop's shape."""
        for statement in self.statements:
            yield from statement.operands()


@dataclass
class Fused:
    """Loops that run one after another as one function."""

    dtype: np.dtype[np.floating]
    loops: list[Loop]

    @property
    def reads(self) -> list[Operand]:
        """The operands that the loops read from memory."""
        found = []
        for loop in self.loops:
            at_hand: set[Operand] = set()
            for statement in loop.statements:
                found += [
                    x for x in statement.inputs if isinstance(x, Operand) and x not in at_hand
                ]
                at_hand.add(statement.out)
        return found

    @property
    def outs(self) -> list[Operand]:
        """The operands that the loops store to memory."""
        return [s.out for loop in self.loops for s in loop.statements if s.is_stored]


def fuse(calls: list[Call], memories: list[Memory]) -> list[Call | Fused]:
    """``calls`` with every run of fusable ones as a :class:`Fused`."""
    items: list[Call | Fused] = []
    for call in calls:
        dtype = _fusable(call)
        if dtype is None:
            items.append(call)
            continue
        last = items[-1] if items else None
        if not isinstance(last, Fused) or last.dtype != dtype:
            last = Fused(dtype, [])
            items.append(last)
        _put(call, last.loops)
    _drop_stores(items, memories)
    return items


def alone(call: Call) -> Fused | None:
    """``call`` as a loop of its own; None if it cannot stand in a loop."""
    dtype = _fusable(call)
    if dtype is None:
        return None
    loops: list[Loop] = []
    _put(call, loops)
    return Fused(dtype, loops)


def _fusable(call: Call) -> np.dtype[np.floating] | None:
    """The floating type of a call that can stand in a loop; None for one that cannot."""
    if call.kernel not in (COPY, FILL, SUM) and call.kernel not in DEFINITIONS:
        return None
    types = {x.dtype for x in (*call.reads, *call.outs)} - {_BOOL}
    if call.kernel == COPY and call.outs[0].dtype in _FLOATS:
        types -= {_BYTE}  # pixels become floats as they are read
    if len(types) != 1 or call.live or len(call.outs) != 1:
        return None
    dtype = types.pop()
    if dtype not in _FLOATS or (call.kernel == SUM and call.reads[0].dtype != dtype):
        return None
    if any(_shifted(x, call.outs[0]) for x in call.reads):
        return None
    return dtype


def _shifted(x: Operand, out: Operand) -> bool:
    """Whether writing ``out`` changes elements of ``x`` that are read later: ``x -= x[0]``."""
    return _overlap(x, out) and _spread(x, out.shape) != _spread(out, out.shape)


def _put(call: Call, loops: list[Loop]) -> None:
    """Into the first loop that it can join without passing one that it depends on."""
    shape = call.reads[0].shape if call.kernel == SUM else call.outs[0].shape
    inputs = tuple(_spread(x, shape) if isinstance(x, Operand) else x for x in call.inputs)
    out = _spread(_reduced(call) if call.kernel == SUM else call.outs[0], shape)
    statement = Statement(call, inputs, out)
    shape = tuple(n for n in shape if n != 1)
    home = None
    for loop in reversed(loops):
        if loop.shape == shape and _may_join(statement, loop):
            home = loop
        if _depends(statement, loop):
            break
    if home is None:
        home = Loop(shape)
        loops.append(home)
    home.statements.append(statement)


def _spread(x: Operand, shape: tuple[int, ...]) -> Operand:
    """``x`` broadcast to ``shape``, without the axes of size 1."""
    strides = (0,) * (len(shape) - len(x.shape)) + tuple(
        0 if n == 1 else stride for n, stride in zip(x.shape, x.strides, strict=True)
    )
    kept = [i for i, n in enumerate(shape) if n != 1]
    return replace(x, shape=tuple(shape[i] for i in kept), strides=tuple(strides[i] for i in kept))


def _reduced(call: Call) -> Operand:
    """The result of a sum as an operand that stays in place along the axes summed over."""
    (x,), (out,) = call.reads, call.outs
    axes = call.scalars["axis"]
    strides = list(out.strides)
    if not call.scalars["keepdims"]:
        for axis in sorted(axes):
            strides.insert(axis, 0)
    return replace(
        out, shape=x.shape, strides=tuple(0 if i in axes else s for i, s in enumerate(strides))
    )


def _may_join(statement: Statement, loop: Loop) -> bool:
    """Whether each element of ``statement`` needs of the loop only what is computed by then."""
    for other in loop.statements:
        sums = SUM in (other.call.kernel, statement.call.kernel)
        for x in statement.inputs:
            if not isinstance(x, Operand) or not _overlap(x, other.out):
                continue
            if x != other.out or other.call.kernel == SUM:
                return False
        if _overlap(statement.out, other.out) and (statement.out != other.out or sums):
            return False
        for x in other.inputs:
            if not isinstance(x, Operand) or not _overlap(x, statement.out):
                continue
            if x != statement.out or statement.call.kernel == SUM:
                return False
    return True


def _depends(statement: Statement, loop: Loop) -> bool:
    """Whether ``statement`` cannot come before ``loop``."""
    return any(
        any(isinstance(x, Operand) and _overlap(x, other.out) for x in statement.inputs)
        or any(
            isinstance(x, Operand) and _overlap(x, statement.out)
            for x in (*other.inputs, other.out)
        )
        for other in loop.statements
    )


def _overlap(a: Operand, b: Operand) -> bool:
    """Whether two operands may share an element; by their extents, so sometimes too cautious."""
    if a.memory != b.memory:
        return False
    (a_begin, a_end), (b_begin, b_end) = _extent(a), _extent(b)
    return a_begin < b_end and b_begin < a_end


def _extent(x: Operand) -> tuple[int, int]:
    steps = [stride * (n - 1) for n, stride in zip(x.shape, x.strides, strict=True)]
    begin = x.offset + sum(step for step in steps if step < 0)
    end = x.offset + sum(step for step in steps if step > 0) + x.dtype.itemsize
    return begin, end


def _drop_stores(items: list[Call | Fused], memories: list[Memory]) -> None:
    """Store nothing that only later statements of the same loop use."""
    touched = _touched(items)
    for item in items:
        for loop in item.loops if isinstance(item, Fused) else ():
            for position, statement in enumerate(loop.statements):
                if statement.call.kernel == SUM:
                    continue
                memory = statement.out.memory
                is_private = memories[memory].kind == "temporary" and touched[memory] == {id(loop)}
                is_replaced = any(
                    later.out == statement.out and later.call.kernel != SUM
                    for later in loop.statements[position + 1 :]
                )
                statement.is_stored = not (is_private or is_replaced)


def _touched(items: Iterable[Call | Fused]) -> dict[int, set[int]]:
    """For each memory the calls and loops that touch it, by id."""
    touched: dict[int, set[int]] = {}
    for item in items:
        if isinstance(item, Fused):
            for loop in item.loops:
                for x in loop.operands():
                    touched.setdefault(x.memory, set()).add(id(loop))
        else:
            for x in (*item.reads, *item.outs):
                touched.setdefault(x.memory, set()).add(id(item))
    return touched


def merged(loop: Loop) -> tuple[tuple[int, ...], list[tuple[int, ...]]]:
    """The loop's shape with axes merged that every operand walks as one.

    Returns:
        The sizes, and for each new axis the old ones that it stands for.
    """
    operands = list(loop.operands())
    groups: list[tuple[int, ...]] = []
    for axis, size in enumerate(loop.shape):
        if groups and all(x.strides[axis - 1] == x.strides[axis] * size for x in operands):
            groups[-1] += (axis,)
        else:
            groups.append((axis,))
    return tuple(math.prod(loop.shape[i] for i in group) for group in groups), groups
