"""In place: a loop writes its result over an operand that nobody reads any more.

A result in memory of its own would take the place of other numbers in the processor's caches, which
also have to fetch what is there before they let it be overwritten.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace

from scratchgan.jit.passes.fuse import SUM, Fused, Loop, Statement
from scratchgan.jit.record import Call, Memory, Operand

#: Position of an item, of a loop in it, and of a statement in that.
Time = tuple[int, ...]


def write_in_place(
    items: list[Call | Fused], memories: list[Memory], pinned: Collection[int]
) -> list[Call | Fused]:
    """``items`` on fewer memories: results of loops lie where operands of the same loops were.

    Args:
        items: Calls and fused loops, in order.
        memories: All that they work on.
        pinned: The numbers of memories that stay what they are, like all that are not temporary.
    """
    free = {m.number for m in memories if m.kind == "temporary"}.difference(pinned)
    first: dict[int, Time] = {}
    last: dict[int, Time] = {}
    for time, operands in _touches(items):
        for x in operands:
            first.setdefault(x.memory, time)
            last[x.memory] = time
    taken: dict[int, int] = {}  # which memory a result took instead of its own

    def moved(x: Operand) -> Operand:
        return replace(x, memory=taken[x.memory]) if x.memory in taken else x

    for time, loop, statement in _stores(items):
        own = statement.out.memory
        if own not in free or first[own] < time:
            continue
        parts: dict[int, set[Operand]] = {}
        for x in map(moved, loop.operands()):
            parts.setdefault(x.memory, set()).add(x)
        for memory, seen in parts.items():
            was_there = first[memory] < time[:2]
            # Each element is read where it is overwritten, and nowhere else.
            lies_alike = seen == {replace(statement.out, memory=memory)}
            is_as_large = memories[memory].nbytes == memories[own].nbytes
            if memory in free and was_there and last[memory] <= time and lies_alike and is_as_large:
                taken[own] = memory
                last[memory] = last[own]
                break
    return [_moved(item, moved) for item in items]


def _touches(items: list[Call | Fused]) -> Iterator[tuple[Time, list[Operand]]]:
    """The operands that are read and written, each with its time."""
    for i, item in enumerate(items):
        if isinstance(item, Call):
            yield (i,), [*item.reads, *item.outs]
            continue
        for j, loop in enumerate(item.loops):
            for k, statement in enumerate(loop.statements):
                yield (i, j, k), list(statement.operands())


def _stores(items: list[Call | Fused]) -> Iterator[tuple[Time, Loop, Statement]]:
    """The statements that store an element for each element of their loop."""
    for i, item in enumerate(items):
        for j, loop in enumerate(item.loops if isinstance(item, Fused) else ()):
            for k, statement in enumerate(loop.statements):
                if statement.is_stored and statement.call.kernel != SUM:
                    yield (i, j, k), loop, statement


def _moved(item: Call | Fused, move: Callable[[Operand], Operand]) -> Call | Fused:
    if isinstance(item, Call):
        return item.moved(move)
    loops = [Loop(loop.shape, [s.moved(move) for s in loop.statements]) for loop in item.loops]
    return Fused(item.dtype, loops)
