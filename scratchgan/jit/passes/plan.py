"""Plan: drop what nobody reads, fuse what can be one loop, and lay the rest out in one arena."""

import math
from dataclasses import dataclass, replace

from scratchgan.backend.specs import spec_of
from scratchgan.jit.passes.fuse import FILL, SUM, Fused, fuse
from scratchgan.jit.passes.reuse_buffers import write_in_place
from scratchgan.jit.record import Call, Memory, Operand, Recording

ALIGNMENT = 64

Item = Call | Fused


@dataclass
class Plan:
    """The items that a replay runs, in order, and each temporary memory's offset in the arena.

    ``inside`` says which memories of arguments are part of another: (memory, offset in bytes).
    """

    recorded: list[Call]
    items: list[Item]
    memories: list[Memory]
    inside: dict[int, tuple[int, int]]
    offsets: dict[int, int]
    arena_bytes: int


def make_plan(recording: Recording, results: list[Operand], fuses: bool) -> Plan:
    """The plan for a finished recording; with ``fuses`` False its calls run one by one.

    ``results`` are read after a replay, as are arguments that the calls change.
    """
    memories = recording.memories
    read_after = {x.memory for x in results}.union(
        operand.memory for call in recording.calls for operand in changed_by(call)
    )
    alive = drop_dead(without_empty(recording.calls), memories)
    calls, inside = join_concatenations(alive, memories)
    items: list[Item] = list(calls)
    if fuses:
        wholes = {whole for whole, _ in inside.values()}
        items = write_in_place(fuse(calls, memories), memories, wholes)
    offsets, size = lay_out(items, memories, inside, read_after)
    return Plan(recording.calls, items, memories, inside, offsets, size)


def changed_by(call: Call) -> tuple[Operand, ...]:
    """The operands that a call changes: its outputs, and the state of a stream of noise."""
    return call.outs + (call.reads if spec_of(call.kernel).changes_inputs else ())


def drop_dead(calls: list[Call], memories: list[Memory]) -> list[Call]:
    """Without calls whose results nobody reads, neither a later call nor the world outside.

    Calls of a user's function stay: it may raise an error, or do something else.
    """
    needed = {memory.number for memory in memories if memory.kind != "temporary"}
    alive = []
    for call in reversed(calls):
        if call.function or any(operand.memory in needed for operand in changed_by(call)):
            alive.append(call)
            needed.update(operand.memory for operand in (*call.reads, *call.outs))
    return alive[::-1]


def without_empty(calls: list[Call]) -> list[Call]:
    """Only calls that write elements, and those of a user's function; a sum of none is a zero."""
    written = [
        call for call in calls if call.function or any(math.prod(out.shape) for out in call.outs)
    ]
    return [
        Call(FILL, (0.0,), call.outs, {})
        if call.kernel == SUM and not any(math.prod(x.shape) for x in call.reads)
        else call
        for call in written
    ]


def join_concatenations(
    calls: list[Call], memories: list[Memory]
) -> tuple[list[Call], dict[int, tuple[int, int]]]:
    """Have the parts of a concatenation computed where they will lie, so that nothing is copied.

    Returns:
        The calls, and for each memory that became part of another: which, and where in bytes.
    """
    inside: dict[int, tuple[int, int]] = {}
    position = 0
    while position < len(calls):
        call = calls[position]
        if call.kernel == "concatenate":
            copies = []
            for number in range(len(call.reads)):
                part, place = _places(calls[position])[number]  # the part may have moved just now
                if _can_lie_inside(part, place, calls, position, memories):
                    for other, (whole, offset) in inside.items():
                        if whole == part.memory:  # a concatenation of concatenations
                            inside[other] = (place.memory, place.offset + offset)
                    inside[part.memory] = (place.memory, place.offset)
                    calls = [_moved(c, part.memory, place) for c in calls]
                else:
                    copies.append(Call("copy", (part,), (place,), {}))
            calls = [*calls[:position], *copies, *calls[position + 1 :]]
            position += len(copies)
        else:
            position += 1
    return calls, inside


def _places(call: Call) -> list[tuple[Operand, Operand]]:
    """Each part of a concatenation, and where it lies in the result."""
    (out,) = call.outs
    axis = call.scalars["axis"]
    places = []
    offset = out.offset
    for part in call.reads:
        places.append((part, replace(out, offset=offset, shape=part.shape)))
        offset += part.shape[axis] * out.strides[axis]
    return places


def _can_lie_inside(
    part: Operand, place: Operand, calls: list[Call], position: int, memories: list[Memory]
) -> bool:
    """Whether ``part`` is a memory of its own like ``place``, and neither is changed afterwards."""
    own = memories[part.memory]
    return (
        own.kind in ("temporary", "argument")
        and memories[place.memory].kind == "temporary"
        and part.memory != place.memory
        and (part.dtype, part.strides) == (place.dtype, place.strides)
        and own.nbytes == part.dtype.itemsize * math.prod(part.shape)
        and not any(
            operand.memory in (part.memory, place.memory)
            for call in calls[position + 1 :]
            for operand in changed_by(call)
        )
    )


def _moved(call: Call, memory: int, place: Operand) -> Call:
    """``call`` with the operands of ``memory`` where ``place`` is."""

    def move(x: Operand) -> Operand:
        if x.memory != memory:
            return x
        return replace(x, memory=place.memory, offset=x.offset + place.offset)

    return call.moved(move)


def lay_out(
    items: list[Item],
    memories: list[Memory],
    inside: dict[int, tuple[int, int]],
    read_after: set[int],
) -> tuple[dict[int, int], int]:
    """Offsets in one arena such that memories in use at the same time do not overlap.

    Largest first, each at the lowest offset that is free for its whole life (Pisarchyk & Lee
    2020, "Efficient memory management for deep neural net inference", greedy by size).

    Returns:
        The offset of each memory that lies in the arena, and the arena's size, in bytes.
    """
    # The memories of arguments are filled before the first item.
    first_use = {
        whole: -1 for part, (whole, _) in inside.items() if memories[part].kind == "argument"
    }
    last_use: dict[int, int] = {}
    for position, item in enumerate(items):
        for operand in (*item.reads, *item.outs):
            first_use.setdefault(operand.memory, position)
            last_use[operand.memory] = position
    for part, (whole, _) in inside.items():
        if memories[part].kind == "argument" and part in read_after:
            last_use[whole] = len(items)
    temporary = [m for m in memories if m.kind == "temporary" and m.number in last_use]
    offsets: dict[int, int] = {}
    for memory in sorted(temporary, key=lambda memory: -memory.nbytes):
        number = memory.number
        offset = 0
        for other in sorted(offsets, key=offsets.__getitem__):
            if first_use[number] <= last_use[other] and first_use[other] <= last_use[number]:
                if offset + memory.nbytes <= offsets[other]:
                    break
                end = offsets[other] + memories[other].nbytes
                offset = max(offset, -(-end // ALIGNMENT) * ALIGNMENT)
        offsets[number] = offset
    size = max((offset + memories[number].nbytes for number, offset in offsets.items()), default=0)
    return offsets, size
