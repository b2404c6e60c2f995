"""Replay: a plan bound to memory is a list of functions to call, one after another."""

import functools
import itertools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from scratchgan.backend import Array, Backend, MachineCodeError, kernels_for
from scratchgan.backend.specs import spec_of
from scratchgan.dtypes import DType
from scratchgan.jit.context import DynamicScalars
from scratchgan.jit.lower import lowering_of
from scratchgan.jit.passes.fuse import Fused, Loop, alone
from scratchgan.jit.passes.plan import Plan
from scratchgan.jit.record import Call, Operand, Recording


@dataclass
class Step:
    """A part of a replay: what to run, and what it stands for.

    Attributes:
        run: Runs it.
        item: What of the plan it stands for.
        source: Generated source, if any.
        tasks: What ``run`` has a team of threads do, if it is that.
    """

    run: Callable[[], Any]
    item: Call | Fused | Loop
    source: str | None = None
    tasks: list[Any] | None = None


class Program:
    """A plan with its arena, which lies beside ``like``, ready to run again and again.

    Raises:
        MachineCodeError: A loop of several calls cannot be compiled; the calls alone can be run.
    """

    def __init__(
        self, plan: Plan, backend: Backend, live: list[DynamicScalars], like: Array | None
    ) -> None:
        self.plan = plan
        self._backend = backend
        lowering: Any = lowering_of(backend.name)
        self._lowering = lowering
        self._live = live
        self._refreshed: list[Callable[[], None]] = []
        self._arena = backend.allocate(plan.arena_bytes, like=like)
        self.steps = [step for item in plan.items for step in self._bound(item)]
        self._runs: list[Callable[[], Any]] = []
        work = sum(map(_work, plan.items))
        for has_tasks, steps in itertools.groupby(self.steps, lambda step: step.tasks is not None):
            if has_tasks:
                tasks = [task for step in steps for task in step.tasks or ()]
                self._runs.append(lowering.run_of(tasks, work))
            else:
                self._runs += [step.run for step in steps]

    def __call__(self) -> None:
        """Run all steps."""
        self._refresh()
        for run in self._runs:
            run()

    def _refresh(self) -> None:
        """Read anew what may have changed since the last replay."""
        for live in self._live:
            live.refresh()
        for refresh in self._refreshed:
            refresh()

    def array(self, operand: Operand) -> Array:
        """The array that ``operand`` stands for."""
        memory, offset = operand.memory, operand.offset
        if memory in self.plan.inside:
            memory, start = self.plan.inside[memory]
            offset += start
        if memory in self.plan.offsets:
            owner, offset = self._arena, offset + self.plan.offsets[memory]
        else:
            owner = self.plan.memories[memory].owner
        return self._backend.part(
            owner, offset=offset, shape=operand.shape, strides=operand.strides, dtype=operand.dtype
        )

    def _bound(self, item: Call | Fused) -> list[Step]:
        if isinstance(item, Call):
            outs = tuple(self.array(x) for x in item.outs)
            inputs = tuple(self.array(x) if isinstance(x, Operand) else x for x in item.inputs)
            out = outs if item.takes_tuple else outs[0]
            return [self._shared(item, inputs, out) or self._called(item, inputs, out)]
        if self._backend.name == "cupy":
            return [self._launched(item)]
        return [self._looped(loop, item.dtype) for loop in item.loops]

    def _launched(self, fused: Fused) -> Step:
        """Loops as kernels of a GPU."""
        source = self._lowering.source_of(fused)
        arrays = [self.array(operand) for operand in source.operands]
        function, arguments = self._lowering.compiled(source, arrays)
        return Step(functools.partial(function, *arguments), fused, source.text)

    def _looped(self, loop: Loop, dtype: DType) -> Step:
        """A loop as a task."""
        source = self._lowering.source_of(loop, dtype)
        tasks = self._lowering.compiled(source, [self.array(x) for x in source.operands])
        return Step(self._lowering.run_of(tasks, _work(loop)), loop, source.text, tasks)

    def _shared(self, call: Call, inputs: tuple[Any, ...], out: Any) -> Step | None:
        """A call of a kernel as tasks, if its backend has it as such."""
        make_tasks = getattr(self._backend, "TASKS", {}).get(call.kernel)
        try:
            tasks = make_tasks(inputs, out) if make_tasks else None
        except MachineCodeError:
            tasks = None
        if tasks is None:
            return None
        names = spec_of(call.kernel).scalars

        def refresh() -> None:
            scalars = _scalars_now(call)
            tasks[-1].numbers[:] = [scalars[name] for name in names]

        refresh()
        if call.live:
            self._refreshed.append(refresh)
        return Step(self._lowering.run_of(tasks, _work(call)), call, tasks=tasks)

    def _called(self, call: Call, inputs: tuple[Any, ...], out: Any) -> Step:
        """A call of a kernel as it was recorded."""
        kernel = call.function or getattr(self._backend, call.kernel)
        function = functools.partial(kernel, *inputs, out=out)
        if call.live:
            return Step(lambda: function(**_scalars_now(call)), call)
        return Step(functools.partial(function, **call.scalars), call)

    def timed(self, repeats: int) -> list[float]:
        """Median seconds of each step over ``repeats`` replays, which leave no trace in arrays."""
        state = [m.owner for m in self.plan.memories if m.owner is not None]
        before = [_copied(owner) for owner in state]
        seconds = np.empty((repeats, len(self.steps)))
        try:
            for row in seconds:
                self._refresh()
                for position, step in enumerate(self.steps):
                    begin = time.perf_counter()
                    step.run()
                    self._backend.wait()
                    row[position] = time.perf_counter() - begin
        finally:
            for owner, saved in zip(state, before, strict=True):
                kernels_for[type(owner)].copy(saved, out=owner)
        return [float(x) for x in np.median(seconds, axis=0)]


def run_compiled(recording: Recording, call: Call) -> bool:
    """Run a call that must be compiled as the task that it would be alone in a replay.

    Then a start whose tasks are in the cache needs no compiler, not even for its first step.
    """
    is_compiled = getattr(recording.backend, "is_compiled", None)
    fused = alone(call) if is_compiled and is_compiled(call.kernel) else None
    if fused is None:
        return False
    lowering: Any = lowering_of(recording.backend.name)
    try:
        for loop in fused.loops:
            source = lowering.source_of(loop, fused.dtype)
            tasks = lowering.compiled(source, [recording.array(x) for x in source.operands])
            lowering.run_of(tasks, _work(fused))()
    except MachineCodeError:
        return False
    return True


def _scalars_now(call: Call) -> dict[str, Any]:
    """The keywords of a call, those that change as they are at this moment."""
    return call.scalars | {key: x.origin.values[x.name] for key, x in call.live.items()}


def _work(item: Call | Fused | Loop) -> int:
    """About how many numbers it computes; 32 multiplications of a product count as one."""
    if isinstance(item, Fused):
        return sum(map(_work, item.loops))
    if isinstance(item, Loop):
        return math.prod(item.shape) * len(item.statements)
    numbers = sum(math.prod(x.shape) for x in item.outs)
    return numbers * item.reads[0].shape[-1] // 32 if item.kernel == "matmul" else numbers


def _copied(array: Array) -> Array:
    kernels = kernels_for[type(array)]
    out = kernels.empty(array.shape, array.dtype, like=array)
    kernels.copy(array, out=out)
    return out
