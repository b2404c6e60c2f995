"""Record: run a function once and write down the kernels that it calls, and on which memory.

For the time of the recording, and in its context alone, ``kernels_for`` leads to a
:class:`RecordingBackend`, which runs each kernel and notes it. Views are not noted: where an array
lies in memory says all about them.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from scratchgan.backend import Array, Backend, kernels_for
from scratchgan.backend.scalar import DEFINITIONS
from scratchgan.backend.specs import spec_of
from scratchgan.dtypes import DType
from scratchgan.jit.context import (
    DynamicScalar,
    JitError,
    RecordingContext,
    current,
)
from scratchgan.locks import new_lock


@dataclass(frozen=True)
class Operand:
    """An array as part of a memory: where it starts (in bytes) and how it strides (in bytes)."""

    memory: int
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: DType

    def __str__(self) -> str:
        return f"m{self.memory}{list(self.shape)}"


def meet(one: Operand, other: Operand) -> bool:
    """Whether two operands have a byte in common."""
    if one.memory != other.memory or 0 in (*one.shape, *other.shape):
        return False
    (begin, end), (other_begin, other_end) = _reach(one), _reach(other)
    return begin < other_end and other_begin < end


def _reach(x: Operand) -> tuple[int, int]:
    steps = [(n - 1) * stride for n, stride in zip(x.shape, x.strides, strict=True)]
    begin = x.offset + sum(step for step in steps if step < 0)
    return begin, x.offset + sum(step for step in steps if step > 0) + x.dtype.itemsize


@dataclass
class Memory:
    """One allocation that the calls work on.

    ``kind`` says whose it is: ``"argument"`` of the step, ``"captured"`` from outside,
    ``"result"`` (made by the step, which leaves it behind) or ``"temporary"``.
    """

    number: int
    kind: str
    owner: Array | None
    nbytes: int


@dataclass(frozen=True)
class Call:
    """One call, of a kernel or of a user's function, which then has its full name.

    ``outs`` are written, and may be read; ``live`` scalars change.
    """

    kernel: str
    inputs: tuple[Operand | float, ...]
    outs: tuple[Operand, ...]
    scalars: dict[str, Any]
    live: dict[str, DynamicScalar] = field(default_factory=dict)
    takes_tuple: bool = False
    #: The user's function.
    function: Callable[..., Any] | None = None

    @property
    def reads(self) -> tuple[Operand, ...]:
        """The arrays among the inputs."""
        return tuple(x for x in self.inputs if isinstance(x, Operand))

    def moved(self, move: Callable[[Operand], Operand]) -> "Call":
        """This call on the operands that ``move`` gives for its own."""
        inputs = tuple(move(x) if isinstance(x, Operand) else x for x in self.inputs)
        return replace(self, inputs=inputs, outs=tuple(map(move, self.outs)))

    def __str__(self) -> str:
        inputs = ", ".join(str(x) for x in self.inputs)
        scalars = "".join(f", {name}={value}" for name, value in self.scalars.items())
        return f"{', '.join(map(str, self.outs))} = {self.kernel}({inputs}{scalars})"


@dataclass
class Recording:
    """The calls of one run of a function, in order, and the memories that they work on."""

    backend: Backend
    #: Runs a call as its replay will, and says whether it did.
    runs: Callable[["Recording", Call], bool]
    calls: list[Call] = field(default_factory=list)
    memories: list[Memory] = field(default_factory=list)
    #: Arrays whose values are the same in each replay.
    constants: list[Array] = field(default_factory=list)
    _numbers: dict[int, int] = field(default_factory=dict)
    #: Where in its memory an owner begins that is only a part of it.
    _starts: dict[int, int] = field(default_factory=dict)
    #: Arrays that were made for the recording; holding them keeps their addresses unique.
    _made: list[Array] = field(default_factory=list)

    def made(self, array: Array) -> None:
        """``array`` is new memory."""
        self._made.append(array)
        self._memory(array, "temporary")

    def arguments(self, memory: Array, arrays: Iterable[Array]) -> list[Operand]:
        """``memory`` holds arguments, which are ``arrays``."""
        number = self._memory(memory, "argument")
        begin = self.backend.address(memory)
        for array in arrays:
            owner = self.backend.memory(array)[0]
            if owner is not memory:
                self._numbers[id(owner)] = number
                self._starts[id(owner)] = self.backend.address(owner) - begin
                self._made.append(owner)
        return [self.operand(array) for array in arrays]

    def operand(self, array: Array) -> Operand:
        """``array`` as part of its memory."""
        owner, offset = self.backend.memory(array)
        number = self._memory(owner, "captured")
        offset += self._starts.get(id(owner), 0)
        return Operand(number, offset, array.shape, array.strides, array.dtype)

    def call(
        self,
        name: str,
        inputs: tuple[Any, ...],
        outs: tuple[Array, ...],
        scalars: dict[str, Any],
        takes_tuple: bool,
    ) -> Call:
        """A call on these arrays."""
        live = {key: x for key, x in scalars.items() if type(x) is DynamicScalar}
        return Call(
            name,
            tuple([self.operand(x) if hasattr(x, "dtype") else x for x in inputs]),
            tuple([self.operand(x) for x in outs]),
            # As they were given: NumPy takes a class of numbers for float64, and float for a
            # weak one.
            scalars | {key: x.origin.values[x.name] for key, x in live.items()},
            live,
            takes_tuple,
        )

    def array(self, operand: Operand) -> Array:
        """The array that ``operand`` stands for."""
        return self.backend.part(
            self.memories[operand.memory].owner,
            offset=operand.offset,
            shape=operand.shape,
            strides=operand.strides,
            dtype=operand.dtype,
        )

    def _memory(self, owner: Array, kind: str) -> int:
        number = self._numbers.get(id(owner))
        if number is None:
            number = self._numbers[id(owner)] = len(self.memories)
            self.memories.append(Memory(number, kind, owner, owner.nbytes))
        return number

    def finish(self, results: Iterable[Operand], known: Collection[int]) -> None:
        """Sort out which of the new memories the step leaves behind; the rest is temporary.

        Args:
            results: What can be reached from the value returned, and from gradients.
            known: The ids of memories from outside to which the step is known to lead.

        Raises:
            JitError: An array that was read is none of those.
        """
        left = {operand.memory for operand in results}
        known = {*known, *[id(self.backend.memory(x)[0]) for x in self.constants]}
        for memory in self.memories:
            if memory.kind == "captured" and id(memory.owner) not in known:
                assert memory.owner is not None
                raise JitError(
                    f"jit: the step reads an array of shape {memory.owner.shape} that would be a "
                    "constant in its replay: it was made inside the step without scratchgan's "
                    "functions, or belongs to a tensor that the step reaches in a way that cannot "
                    "be watched. Pass it as an argument, or keep it in a variable, an attribute, "
                    "a list or a dict"
                )
            if memory.kind == "temporary" and memory.number in left:
                memory.kind = "result"
            elif memory.kind == "temporary":
                memory.owner = None
        self._made.clear()


class RecordingBackend(Backend):
    """Kernels that run, and are written down."""

    def __init__(self, recording: Recording, name: str) -> None:
        self.name = name
        self._recording = recording

    def __getattr__(self, name: str) -> Any:
        spec = spec_of(name)
        if spec.kind == "transfer":
            what, instead = spec.refusal
            raise JitError(
                f"jit: the step {what}; in its replay that would be a constant. Instead, {instead}"
            )
        recorded: Any
        if spec.decomposition is not None:
            recorded = self._composed(spec.decomposition)
        else:
            kernel = getattr(self._recording.backend, name)
            if spec.kind in ("query", "view"):
                recorded = kernel
            elif spec.kind == "allocate":
                recorded = self._allocating(kernel)
            elif spec.kind == "constant":
                recorded = self._copying(kernel)
            else:
                recorded = self._noting(name, kernel)
        setattr(self, name, recorded)
        return recorded

    def _composed(self, definition: Callable[..., None]) -> Callable[..., None]:
        def composite(*inputs: Any, **keywords: Any) -> None:
            definition(self, *inputs, **keywords)

        return composite

    def _allocating(self, kernel: Callable[..., Array]) -> Callable[..., Array]:
        def empty(*arguments: Any, **keywords: Any) -> Array:
            array = kernel(*arguments, **keywords)
            self._recording.made(array)
            return array

        return empty

    def _copying(self, kernel: Callable[..., Array]) -> Callable[..., Array]:
        """The step may change or return a constant: each replay copies it to new memory."""

        def constant(*arguments: Any, **keywords: Any) -> Array:
            made = kernel(*arguments, **keywords)
            self._recording.constants.append(made)
            out = self.empty(made.shape, made.dtype, like=made)
            self.copy(made, out=out)
            return out

        return constant

    def _noting(self, name: str, kernel: Callable[..., Any]) -> Callable[..., Any]:
        recording = self._recording

        def noting(*inputs: Any, out: Any = None, **scalars: Any) -> Any:
            if out is None and name in DEFINITIONS:
                out = self.empty(inputs[0].shape, inputs[0].dtype, like=inputs[0])
            allocates = out is None  # its result itself: gather
            if allocates:
                out = kernel(*inputs, **scalars)
                recording.made(out)
            outs = out if isinstance(out, tuple) else (out,)
            call = recording.call(name, inputs, outs, scalars, isinstance(out, tuple))
            if not allocates and not recording.runs(recording, call):
                kernel(*inputs, out=out, **call.scalars)
            recording.calls.append(call)
            return out

        return noting


class _OtherBackend(Backend):
    """Stands for arrays of another kind than the recorded ones: a replay would pass them over."""

    def __init__(self, name: str, recorded: str) -> None:
        self.name = name
        self._recorded = recorded

    def __getattr__(self, kernel: str) -> Any:
        raise JitError(
            f"jit: the step calls {kernel!r} of the {self.name} backend, but its arguments lie "
            f"where {self._recorded} computes; put all tensors that it uses on one device, and "
            "pass at least one of them as an argument"
        )


class _Switch(Backend):
    """Stands for a backend while something is recorded: each context finds its own kernels."""

    def __init__(self, plain: Backend) -> None:
        self.name = plain.name
        self.plain = plain

    def __getattr__(self, kernel: str) -> Any:
        context = current.get()
        return getattr(self.plain if context is None else context.backends[self.name], kernel)


_switching = new_lock()
_recordings = 0  # that are being made at this moment, in any context


def plain(backend: Backend) -> Backend:
    """The backend itself, whether or not something is being recorded."""
    return backend.plain if isinstance(backend, _Switch) else backend


@contextmanager
def recording_on(array_type: type, recording: Recording) -> Iterator[RecordingContext]:
    """Write down what this context computes on arrays of ``array_type`` in the ``with`` block.

    Raises:
        JitError: The block changed the backend.
    """
    global _recordings
    own = recording.backend.name
    with _switching:
        _recordings += 1
        kernels_for[np.ndarray]
        for kind, backend in list(kernels_for.items()):
            kernels_for[kind] = backend if isinstance(backend, _Switch) else _Switch(backend)
    others = {backend.name for backend in list(kernels_for.values())} - {own}
    backends: dict[str, Backend] = {name: _OtherBackend(name, own) for name in others}
    backends[own] = RecordingBackend(recording, own)
    context = RecordingContext(backends)
    token = current.set(context)
    try:
        yield context
        if not isinstance(kernels_for[array_type], _Switch):
            raise JitError(
                "jit: the backend was changed while a step was recorded; do that outside of it"
            )
    finally:
        current.reset(token)
        with _switching:
            _recordings -= 1
            if not _recordings:
                for kind, backend in list(kernels_for.items()):
                    kernels_for[kind] = plain(backend)
