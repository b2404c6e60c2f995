"""Source of fused loops for Numba, and their compilation to tasks of a team of threads.

The source depends on what is computed, not on sizes: addresses, sizes, strides and numbers are
arguments, so that the same code serves another batch size, and the cache of compiled code stays
small.
"""

import itertools
import textwrap
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from scratchgan.backend import Array
from scratchgan.backend.cpu.addresses import address_of, begin_of
from scratchgan.backend.cpu.codegen import machine_code
from scratchgan.backend.cpu.threads.layout import MEMORIES, SCRATCH
from scratchgan.backend.cpu.threads.pace import Pace
from scratchgan.backend.cpu.threads.pool import WORTH_SHARING, Task, Tasks, thread_pool
from scratchgan.backend.scalar import DEFINITIONS, as_numba
from scratchgan.jit.lower.cpu_lines import Lines, Parameters
from scratchgan.jit.passes.fuse import Loop
from scratchgan.jit.record import Operand

_HEADER = """\
from scratchgan.backend.cpu.codegen.numba_target import njit
from scratchgan.backend.cpu import {dtype}_math as math
from scratchgan.backend.cpu.{dtype}_math import real
from scratchgan.backend.cpu.codegen.intrinsics import bytes_at, float32_at, float64_at, share, task
from scratchgan.backend.cpu.compensation import BLOCK, accumulate, completed, lost
from scratchgan.backend.cpu.threads.layout import SCRATCH

{definitions}
@task
def fused(thread, threads, scratch, arguments, numbers):
{body}
"""

_FINISH = """
@task
def finish(thread, threads, scratch, arguments, numbers):
{body}
"""


@dataclass
class Source:
    """A fused loop: its text, and what it works on.

    The task ``fused`` in it, and ``finish`` where sums have parts, take as arguments the addresses
    of ``operands``, then that of ``workspace`` bytes if there are any, then ``integers``; then come
    ``numbers``.
    """

    text: str
    operands: list[Operand]
    workspace: int
    integers: list[int]
    numbers: list[float]


def source_of(loop: Loop, dtype: np.dtype[np.floating]) -> Source:
    """The source of ``loop``, whose arithmetic is in ``dtype``."""
    parameters = Parameters()
    lines = Lines(loop, parameters, dtype)
    operands, integers, numbers = parameters.operands, parameters.integers, parameters.numbers
    memories = list(dict.fromkeys(x.memory for x in operands))
    kinds = [dtype.name if x.dtype == dtype else "bytes" for x in operands]
    places = [
        f"a{i} = {kind}_at(arguments[{i}], {memories.index(x.memory) % MEMORIES})"
        for i, (x, kind) in enumerate(zip(operands, kinds, strict=True))
    ]
    total = sum(parameters.totals)
    workspace = total if total > SCRATCH else 0
    if workspace:
        base = f"arguments[{len(operands)}]"
    else:  # parts of sums are where all threads find them: in the memory of the first
        base = "scratch - thread * SCRATCH" if lines.finish else "scratch"
    starts = itertools.accumulate(parameters.totals, initial=0)
    totals = [
        f"c{i} = float64_at({base} + {parameters.integer(start)}, {(len(memories) + i) % MEMORIES})"
        for i, start in zip(range(len(parameters.totals)), starts, strict=False)
    ]
    first = len(operands) + bool(workspace)
    places += [f"n{i} = arguments[{first + i}]" for i in range(len(integers))]
    places += totals
    places += [f"s{i} = real(numbers[{i}])" for i in range(len(numbers))]
    definitions = [as_numba(DEFINITIONS[name]) + "\n" for name in parameters.definitions]
    text = _HEADER.format(
        dtype=dtype.name,
        definitions="\n".join(definitions),
        body=textwrap.indent("\n".join(places + lines.body), "    "),
    )
    if lines.finish:
        text += _FINISH.format(body=textwrap.indent("\n".join(places + lines.finish), "    "))
    return Source(text, operands, workspace, integers, numbers)


def compiled(source: Source, arrays: list[Array]) -> list[Task]:
    """The tasks that run ``source`` on arrays that begin where its operands do."""
    code = machine_code.load("fused", source.text)
    addresses = [
        address_of(array, operand.shape, operand.dtype)
        for array, operand in zip(arrays, source.operands, strict=True)
    ]
    holds = [*arrays]
    if source.workspace:
        holds.append(np.empty(source.workspace // 8, np.float64))
        addresses.append(begin_of(holds[-1]))
    arguments = np.array([*addresses, *source.integers], np.intp)
    numbers = np.array(source.numbers, np.float64)
    return [Task(function, arguments, numbers, holds) for function in code.values()]


def run_of(tasks: list[Task], work: int) -> Callable[[], None]:
    """The function that has this process's threads do ``tasks``.

    Args:
        tasks: Compiled code, and what it works on.
        work: About how many numbers they compute.
    """
    table = Tasks(tasks)
    pace = Pace() if work >= WORTH_SHARING else None
    return lambda: thread_pool().run(table, pace)
