"""Replay: a plan bound to memory is a list of functions to call, one after another."""

import functools
import itertools
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
    items: list[Call | Fused]
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
        self.steps = [
            self._bound(list(items))
            for _, items in itertools.groupby(plan.items, functools.partial(_key, backend))
        ]
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

    def _bound(self, items: list[Call | Fused]) -> Step:
        first = items[0]
        if isinstance(first, Fused):
            source = CODE[self._backend.name].source_of(first)
            arrays = [self.array(operand) for operand in source.operands]
            function, arguments = CODE[self._backend.name].compiled(source, arrays)
            return Step(functools.partial(function, *arguments), items, source.text)
        calls = []
        for call in items:
            assert isinstance(call, Call)
            outs = tuple(self.array(x) for x in call.outs)
            inputs = tuple(self.array(x) if isinstance(x, Operand) else x for x in call.inputs)
            calls.append((inputs, outs if call.takes_tuple else outs[0]))
        run = self._prepared(first.kernel, calls)
        if first.live is None:
            return Step(functools.partial(run, **first.scalars) if first.scalars else run, items)
        live = first.live
        fixed = _fixed(first)
        return Step(lambda: run(**fixed, **live.values), items)

    def _prepared(self, kernel: str, calls: list[Any]) -> Callable[..., Any]:
        """A function of the scalars alone that runs ``kernel`` for each of ``calls``."""
        prepare = getattr(self._backend, "PREPARED", {}).get(kernel)
        run: Callable[..., Any] | None = prepare(calls) if prepare else None
        if run is not None:
            return run
        function = getattr(self._backend, kernel)
        runs = [functools.partial(function, *inputs, out=out) for inputs, out in calls]
        if len(runs) == 1:
            return runs[0]

        def one_after_another(**scalars: Any) -> None:
            for run in runs:
                run(**scalars)

        return one_after_another

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


def _fixed(call: Call) -> dict[str, Any]:
    """The scalars that stay as they are."""
    live = call.live.values if call.live else ()
    return {name: x for name, x in call.scalars.items() if name not in live}


def _key(backend: Backend, item: Call | Fused) -> object:
    """Equal for items that run as one step."""
    if isinstance(item, Fused) or item.kernel not in getattr(backend, "TOGETHER", ()):
        return object()
    return item.kernel, item.outs[0].dtype, id(item.live), sorted(_fixed(item).items())


def _copied(array: Array) -> Array:
    kernels = kernels_for[type(array)]
    out = kernels.empty(array.shape, array.dtype, like=array)
    kernels.copy(array, out=out)
    return out
