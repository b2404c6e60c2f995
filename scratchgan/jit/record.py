"""Record: run a function once and write down the kernels that it calls, and on which memory.

For the time of the recording, ``kernels_for`` hands out a :class:`RecordingBackend`, which runs
each kernel and notes it. Views are not noted: where an array lies in memory says all about them.
"""

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from scratchgan.backend import Array, Backend, kernels_for
from scratchgan.backend.scalar import DEFINITIONS
from scratchgan.backend.specs import spec_of
from scratchgan.dtypes import DType
from scratchgan.jit.context import DynamicScalar, DynamicScalars, JitError


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


@dataclass
class Memory:
    """One allocation that the calls work on.

    ``kind`` says whose it is: ``"argument"`` of the step, ``"captured"`` from outside,
    ``"result"`` (made by the step and still in use after it) or ``"temporary"``.
    """

    number: int
    kind: str
    owner: Array | None
    nbytes: int


@dataclass(frozen=True)
class Call:
    """One kernel call. ``outs`` are written, and may be read; ``live`` scalars change."""

    kernel: str
    inputs: tuple[Operand | float, ...]
    outs: tuple[Operand, ...]
    scalars: dict[str, Any]
    live: DynamicScalars | None = None
    takes_tuple: bool = False

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
    _numbers: dict[int, int] = field(default_factory=dict)
    #: Arrays that were allocated while recording; holding them keeps their addresses unique.
    _made: list[Array] = field(default_factory=list)

    def made(self, array: Array) -> None:
        """``array`` is new memory."""
        self._made.append(array)
        self._memory(array, "temporary")

    def argument(self, array: Array) -> Operand:
        """``array`` is the buffer of an argument."""
        self._memory(array, "argument")
        return self.operand(array)

    def operand(self, array: Array) -> Operand:
        """``array`` as part of its memory."""
        owner, offset = self.backend.memory(array)
        number = self._memory(owner, "captured")
        return Operand(number, offset, array.shape, array.strides, array.dtype)

    def array(self, operand: Operand) -> Array:
        """The array that ``operand`` stands for."""
        return self.backend.part(
            self.memories[operand.memory].owner,
            offset=operand.offset,
            shape=operand.shape,
            strides=operand.strides,
            dtype=operand.dtype,
        )

    def is_captured(self, array: Array) -> bool:
        """Whether ``array`` was there before the step, and is no argument."""
        return self.memories[self.operand(array).memory].kind == "captured"

    def _memory(self, owner: Array, kind: str) -> int:
        number = self._numbers.get(id(owner))
        if number is None:
            number = self._numbers[id(owner)] = len(self.memories)
            self.memories.append(Memory(number, kind, owner, owner.nbytes))
        return number

    def finish(self) -> None:
        """Sort out which of the new memories outlive the step; those are its results.

        Raises:
            JitError: A captured array is used by nobody else, so that it was made inside the step
                by something that is no kernel, or was replaced by the step.
        """
        self._made.clear()
        gc.collect()  # what only reference cycles hold is not in use
        for memory in self.memories:
            in_use = memory.owner is not None and sys.getrefcount(memory.owner) > 2
            if memory.kind == "temporary":
                memory.kind = "result" if in_use else "temporary"
                memory.owner = memory.owner if in_use else None
            elif memory.kind == "captured" and not in_use:
                assert memory.owner is not None
                raise JitError(
                    f"jit: the step reads an array of shape {memory.owner.shape} that nobody "
                    "holds after it, which would be a constant in its replay: either it was made "
                    "inside the step without scratchgan's functions, or the step replaces a tensor "
                    "from outside (change that in place, as with copy_(); call zero_grad() "
                    "inside the step before backward)"
                )


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

    def _noting(self, name: str, kernel: Callable[..., Any]) -> Callable[..., Any]:
        recording = self._recording

        def noting(*inputs: Any, out: Any = None, **scalars: Any) -> Any:
            if out is None and name in DEFINITIONS:
                out = self.empty(inputs[0].shape, inputs[0].dtype, like=inputs[0])
            allocates = out is None  # its result itself: gather
            if allocates:
                out = kernel(*inputs, **scalars)
                recording.made(out)
            live = [value for value in scalars.values() if type(value) is DynamicScalar]
            outs = out if isinstance(out, tuple) else (out,)
            call = Call(
                name,
                tuple([recording.operand(x) if hasattr(x, "dtype") else x for x in inputs]),
                tuple([recording.operand(x) for x in outs]),
                scalars,
                live[0].source if live else None,
                isinstance(out, tuple),
            )
            if not allocates and not recording.runs(recording, call):
                kernel(*inputs, out=out, **scalars)
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


@contextmanager
def recording_on(array_type: type, recording: Recording) -> Iterator[None]:
    """Write down what is computed on arrays of ``array_type`` within the ``with`` block."""
    before = dict(kernels_for)
    for other, backend in before.items():
        kernels_for[other] = _OtherBackend(backend.name, recording.backend.name)
    kernels_for[array_type] = RecordingBackend(recording, recording.backend.name)
    try:
        yield
    finally:
        for other, backend in before.items():
            kernels_for[other] = backend
