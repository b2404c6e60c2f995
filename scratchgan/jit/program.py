"""Replay: a plan bound to memory is a list of functions to call, one after another."""

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from scratchgan.backend import Array, Backend, kernels_for
from scratchgan.jit import cuda_code, numba_code
from scratchgan.jit.fuse import Fused
from scratchgan.jit.plan import Plan
from scratchgan.jit.record import Call, Operand
from scratchgan.jit.tracing import LiveScalars

#: How a backend's fused functions are written; one without an entry runs its calls one by one.
CODE = {"numba": numba_code, "cupy": cuda_code}


@dataclass
class Step:
    """One function of a replay: what to call, and what it stands for."""

    run: Callable[[], Any]
    item: Call | Fused
    source: str | None = None


class Program:
    """A plan with its arena, which lies beside ``like``, ready to run again and again."""

    def __init__(
        self, plan: Plan, backend: Backend, live: list[LiveScalars], like: Array | None
    ) -> None:
        self.plan = plan
        self._backend = backend
        self._live = live
        self._arena = backend.allocate(plan.arena_bytes, like=like)
        self._buffers: dict[int, Array] = {}
        self.steps = [self._bound(item) for item in plan.items]
        self._runs = [step.run for step in self.steps]

    def __call__(self) -> None:
        """Run all steps."""
        for live in self._live:
            live.refresh()
        for run in self._runs:
            run()

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

    def _bound(self, item: Call | Fused) -> Step:
        if isinstance(item, Fused):
            source = CODE[self._backend.name].source_of(item)
            arrays = [self.array(operand) for operand in source.operands]
            function, arguments = CODE[self._backend.name].compiled(source, arrays)
            return Step(functools.partial(function, *arguments), item, source.text)
        inputs = [self.array(x) if isinstance(x, Operand) else x for x in item.inputs]
        outs = tuple(self.array(x) for x in item.outs)
        out = outs if item.takes_tuple else outs[0]
        prepare = getattr(self._backend, "PREPARED", {}).get(item.kernel)
        if prepare is not None:
            kernel = prepare(*inputs, out=out)
        else:
            kernel = functools.partial(getattr(self._backend, item.kernel), *inputs, out=out)
        if item.live is None:
            return Step(functools.partial(kernel, **item.scalars) if item.scalars else kernel, item)
        live = item.live
        fixed = {name: x for name, x in item.scalars.items() if name not in live.values}

        def run() -> None:
            kernel(**fixed, **live.values)

        return Step(run, item)

    def timed(self, repeats: int) -> list[float]:
        """Median seconds of each step over ``repeats`` replays, which leave no trace."""
        state = [m.owner for m in self.plan.memories if m.owner is not None]
        before = [_copied(owner) for owner in state]
        seconds = np.empty((repeats, len(self.steps)))
        for row in seconds:
            for live in self._live:
                live.refresh()
            for position, run in enumerate(self._runs):
                begin = time.perf_counter()
                run()
                self._backend.wait()
                row[position] = time.perf_counter() - begin
        for owner, saved in zip(state, before, strict=True):
            kernels_for[type(owner)].copy(saved, out=owner)
        return [float(x) for x in np.median(seconds, axis=0)]


def _copied(array: Array) -> Array:
    kernels = kernels_for[type(array)]
    out = kernels.empty(array.shape, array.dtype, like=array)
    kernels.copy(array, out=out)
    return out
