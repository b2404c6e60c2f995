"""The page that ``step.explain()`` gives: what was recorded, what became of it, what it costs."""

import re
import textwrap

from scratchgan.jit.executor import Step
from scratchgan.jit.passes.fuse import Fused, Loop
from scratchgan.jit.replay import Replay


def page(name: str, replay: Replay, repeats: int) -> str:
    """The page on ``replay``, with times as medians of ``repeats`` replays."""
    program = replay.program
    plan = program.plan
    with replay.outcome.lock:
        seconds = program.timed(repeats)
    total = sum(seconds) or 1.0
    fused = [step for step in program.steps if step.source is not None]
    lines = [
        f"{name}: {len(plan.recorded)} kernel calls recorded, {len(program.steps)} in a replay "
        f"({len(fused)} of them fused), {total * 1e3:.3f} ms",
        f"Recorded because: {replay.reason}",
        "",
        f"Rests on {len(replay.guards.places)} places, compared before each replay",
        *(f"  {place.name}" for place in replay.guards.places),
        "",
        "Recorded",
        *(_wrapped(f"  {call}", 4) for call in plan.recorded),
        "",
        "Replay",
    ]
    sources: dict[str, int] = {}
    for step, spent in zip(program.steps, seconds, strict=True):
        line = f"  {spent * 1e6:8.1f} us {spent / total:6.1%}  {_title(step, sources)}"
        lines.append(_wrapped(line, 24))
    lines += ["", f"Arena: {plan.arena_bytes:,} bytes"]
    for number, offset in sorted(plan.offsets.items(), key=lambda pair: pair[1]):
        nbytes = plan.memories[number].nbytes
        lines.append(f"  {offset:10,} .. {offset + nbytes:10,}  m{number}")
    kinds = [memory.kind for memory in plan.memories]
    counts = [f"{kinds.count(kind)} {kind}" for kind in ("argument", "captured", "result")]
    lines.append(f"  and memories of their own: {', '.join(counts)}")
    for text, number in sources.items():
        lines += ["", f"Fused function {number}", *(f"  {line}" for line in text.splitlines())]
    return "\n".join(lines)


def _wrapped(line: str, indent: int) -> str:
    """``line`` in lines of at most 100 letters, which after the first begin further in."""
    whole = re.sub(r"\[[^]]*]", lambda shape: shape[0].replace(" ", _FIXED), line)
    filled = textwrap.fill(whole, 100, subsequent_indent=" " * indent, break_long_words=False)
    return filled.replace(_FIXED, " ")


_FIXED = "\N{NO-BREAK SPACE}"


def _title(step: Step, sources: dict[str, int]) -> str:
    item = step.item
    if step.source is None:
        return str(item)
    number = sources.setdefault(step.source, len(sources) + 1)
    loops = item.loops if isinstance(item, Fused) else [item]
    kernels = [s.call.kernel for loop in loops if isinstance(loop, Loop) for s in loop.statements]
    return f"fused {number}: {', '.join(kernels)}"
