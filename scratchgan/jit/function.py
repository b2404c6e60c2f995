"""The function that the user sees: :func:`jit` and what it returns."""

import functools
import warnings
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, ParamSpec, TypeVar

import numpy as np

from scratchgan import autograd
from scratchgan.autograd.observe import is_observed, observe
from scratchgan.autograd.tape import Effects, Mode, mode
from scratchgan.autograd.tensor import Tensor, clock
from scratchgan.backend import Array, MachineCodeError, kernels_for
from scratchgan.jit import context
from scratchgan.jit.context import JitError

if TYPE_CHECKING:
    from scratchgan.jit.executor import Program

# What records and plans is imported by the first call of a jitted function.

P = ParamSpec("P")
R = TypeVar("R")

#: How many recordings one function keeps, the latest; beyond it jit warns once.
MOST_RECORDINGS = 8


class Replay(NamedTuple):
    """A recording made ready: how to fill in the arguments, run, and leave the world behind."""

    program: "Program"
    buffers: list[Tensor]
    result: Any
    versions: list[list[int]]
    gradients: list[tuple[Tensor, Tensor | None]]
    guards: list[tuple[weakref.ref[Any], str, Any]]

    def holds(self) -> bool:
        """Whether everything that the recording rests on is still as it was."""
        return all(getattr(owner(), name, None) == value for owner, name, value in self.guards)

    def __call__(self, arguments: list[Tensor]) -> Any:
        """Run on ``arguments``, tensors like those of the recording."""
        for buffer, argument in zip(self.buffers, arguments, strict=True):
            _copy(argument.array, buffer.array)
        self.program()
        for version in self.versions:
            version[0] = next(clock)
        for leaf, gradient in self.gradients:
            leaf.grad = gradient
        _hand_over(self.buffers, arguments)
        return _map(_copied, self.result)


def _guard(owner: object, name: str) -> tuple[weakref.ref[Any], str, Any]:
    return weakref.ref(owner), name, getattr(owner, name)


class Jitted(Generic[P, R]):
    """A function that is recorded when its arguments are of new shapes, and else replayed."""

    __name__: str

    def __init__(self, function: Callable[P, R]) -> None:
        functools.update_wrapper(self, function)
        self._function = function
        self._replays: dict[Any, list[Replay]] = {}
        self._recorded = 0
        self._latest: Replay | None = None

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """As a method: each instance has recordings of its own."""
        if instance is None:
            return self
        bound = Jitted(self._function.__get__(instance, owner))
        instance.__dict__[self._function.__name__] = bound
        return bound

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Replay the function for arguments of these shapes, or run and record it.

        Where someone watches primitives, as ``detect_anomaly`` does, it runs as it is.
        """
        is_recording = mode.get().effects is not None  # which watches primitives itself
        if is_observed() and not is_recording:
            return self._function(*args, **kwargs)
        tensors: list[Tensor] = []
        key = (
            _signature(args, tensors),
            _signature(kwargs, tensors),
            autograd.is_grad_enabled(),
        )
        for replay in self._replays.get(key, ()):
            if replay.holds():
                self._latest = replay
                result: R = replay(tensors)
                return result
        return self._record(key, tensors, args, kwargs)

    def _record(self, key: Any, tensors: list[Tensor], args: Any, kwargs: Any) -> R:
        from scratchgan.jit.executor import Program, run_compiled
        from scratchgan.jit.lower import lowering_of
        from scratchgan.jit.passes.plan import make_plan
        from scratchgan.jit.record import Recording, RecordingBackend, recording_on

        self._recorded += 1
        if self._recorded == MOST_RECORDINGS + 1:
            warnings.warn(
                f"jit: {self.__name__} has been recorded {MOST_RECORDINGS} times, each for other "
                "shapes or settings; recording is slow. Pass numbers that change as tensors, and "
                "keep shapes the same (drop the last, smaller batch)",
                stacklevel=3,
            )
        while sum(map(len, self._replays.values())) >= MOST_RECORDINGS:
            oldest = next(iter(self._replays))
            self._replays[oldest].pop(0)
            if not self._replays[oldest]:
                del self._replays[oldest]
        like = tensors[0].array if tensors else None
        array_type = np.ndarray if like is None else type(like)
        backend = kernels_for[array_type]
        if isinstance(backend, RecordingBackend):
            raise JitError(
                f"jit: {self.__name__} was called while another function is being recorded"
            )
        recording = Recording(backend, run_compiled)
        buffers = [_buffer(tensor) for tensor in tensors]
        places = [recording.argument(buffer.array) for buffer in buffers]
        inputs = iter(buffers)
        args, kwargs = _map(lambda _: next(inputs), (args, kwargs))
        notes = context.begin()
        leaves: dict[int, Tensor] = {}  # that primitives took as inputs

        def watch(_primitive: Any, inputs: Any, _keywords: Any, _result: Any) -> None:
            leaves.update((id(x), x) for x in inputs if isinstance(x, Tensor) and x.node is None)

        effects = Effects()
        before = mode.get()
        mode.set(Mode(before.is_recording, before.watchers, effects))
        try:
            with recording_on(array_type, recording), observe(watch):
                value = self._function(*args, **kwargs)
        finally:
            context.end()
            mode.set(before)
        _check_result(self.__name__, value)
        result = _map(_detached, value)
        del value, args, kwargs
        guards = [_guard(owner, name) for owner, name in notes.read]
        guards += [
            _guard(leaf, "requires_grad")
            for leaf in leaves.values()
            if recording.is_captured(leaf.array)
        ]
        gradients = [(leaf, leaf.grad) for leaf in effects.graded.values()]
        versions = effects.versions
        leaves.clear()
        del effects, notes.read
        results: list[Any] = []
        _map(lambda tensor: results.append(recording.operand(tensor.array)), result)
        recording.finish()
        # What was made inside and is gone by now cannot change.
        guards = [guard for guard in guards if guard[0]() is not None]
        _hand_over(buffers, tensors)
        outcome: R = _map(_copied, result)
        try:
            plan = make_plan(recording, results, fuses=lowering_of(backend.name) is not None)
            program = Program(plan, backend, notes.live, like)
        except MachineCodeError:
            plan = make_plan(recording, results, fuses=False)
            program = Program(plan, backend, notes.live, like)
        for buffer, operand in zip(buffers, places, strict=True):
            buffer.array = program.array(operand)  # it may have become part of another array
        operands = iter(results)
        result = _map(lambda _: Tensor(program.array(next(operands))), result)
        replay = Replay(program, buffers, result, versions, gradients, guards)
        self._replays.setdefault(key, []).append(replay)
        self._latest = replay
        return outcome

    def explain(self, repeats: int = 100) -> str:
        """A page on the latest recording: calls, fused functions with source, arena, time shares.

        The time of each part is its median in ``repeats`` further replays, which change
        parameters and state as steps do; they are put back afterwards.

        Raises:
            JitError: Nothing has been recorded yet.
        """
        if self._latest is None:
            raise JitError("explain: nothing has been recorded yet; call the function first")
        from scratchgan.jit import explain

        return explain.page(self.__name__, self._latest.program, repeats)


def jit(function: Callable[P, R]) -> Jitted[P, R]:
    """Record ``function`` at its first call, and replay it without Python's tape from then on.

    ``function`` takes and returns tensors, in tuples, lists and dicts if need be, and may run
    backward and optimizer steps; other arguments are hashable constants, each value of which is a
    recording of its own. Recorded again are also other shapes and types, and a change of a
    module's ``training`` or of a tensor's ``requires_grad``.

    What cannot be replayed raises a :class:`JitError` at the first call: reading a value,
    booleans as an index, NumPy in the middle. Python itself runs only at the first call: what it
    prints or counts is not repeated.

        @sg.jit
        def step(x, y):
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(x), y)
            loss.backward()
            optimizer.step()
            return loss
    """
    return Jitted(function)


def _signature(value: Any, tensors: list[Tensor]) -> Any:
    """The key of an argument for finding a recording; tensors are appended to ``tensors``."""
    if isinstance(value, Tensor):
        tensors.append(value)
        return (value.shape, value.dtype, type(value.array), value.requires_grad)
    if isinstance(value, tuple | list):
        return (type(value), *[_signature(x, tensors) for x in value])
    if isinstance(value, dict):
        return tuple((name, _signature(x, tensors)) for name, x in value.items())
    try:
        hash(value)
    except TypeError as error:
        raise JitError(
            f"jit: an argument of type {type(value).__name__} is neither a tensor nor hashable; "
            "pass arrays as tensors"
        ) from error
    return (type(value), value)


def _map(function: Callable[[Tensor], Any], value: Any) -> Any:
    """``value`` with ``function`` applied to every tensor in it."""
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*[_map(function, x) for x in value])
    if isinstance(value, tuple | list):
        return type(value)([_map(function, x) for x in value])
    if isinstance(value, dict):
        return {name: _map(function, x) for name, x in value.items()}
    return value


def _check_result(name: str, value: Any) -> None:
    def check(tensor: Tensor) -> None:
        if tensor.node is not None and not tensor.node.is_freed:
            raise JitError(
                f"jit: {name} returns a tensor of shape {tensor.shape} that is still on the tape, "
                "which a replay does not have; call backward inside, or return its detach()"
            )

    _map(check, value)


def _buffer(tensor: Tensor) -> Tensor:
    if tensor.node is not None:
        raise JitError(
            f"jit: an argument of shape {tensor.shape} is the result of a recorded operation; the "
            "gradient would end here. Pass its detach(), or do that operation inside"
        )
    kernels = kernels_for[type(tensor.array)]
    data = kernels.empty(tensor.shape, tensor.dtype, like=tensor.array)
    kernels.copy(tensor.array, out=data)
    return Tensor(data, tensor.requires_grad)


def _hand_over(buffers: list[Tensor], arguments: list[Tensor]) -> None:
    """Gradients, and changes in place, from the buffers to the arguments themselves."""
    for buffer, argument in zip(buffers, arguments, strict=True):
        if buffer.grad is not None:
            gradient = _copied(buffer.grad)
            argument.grad = gradient if argument.grad is None else argument.grad + gradient
            buffer.grad = None
        if buffer._version is not None and buffer._version[0]:
            buffer._version[0] = 0
            _copy(buffer.array, argument.array)
            argument.mark_changed()


def _copy(source: Array, target: Array) -> None:
    kernels_for[type(target)].copy(source, out=target)


def _detached(tensor: Tensor) -> Tensor:
    return Tensor(tensor.array)


def _copied(tensor: Tensor) -> Tensor:
    kernels = kernels_for[type(tensor.array)]
    data = kernels.empty(tensor.shape, tensor.dtype, like=tensor.array)
    kernels.copy(tensor.array, out=data)
    return Tensor(data)
