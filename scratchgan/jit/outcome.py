"""The outcome of a function: what it reads anew, and what it leaves behind.

What it leaves behind is what can be reached from the value that it returns, from ``grad`` of
leaves, and from memory that it changed in place.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from scratchgan.autograd.tensor import Tensor, clock
from scratchgan.backend import Array, kernels_for
from scratchgan.jit.arguments import mapped
from scratchgan.jit.context import unrecorded
from scratchgan.jit.passes.plan import changed_by
from scratchgan.jit.record import Call, Operand, meet


@dataclass
class Input:
    """A tensor that a replay reads anew: an argument, or the gradient of a leaf.

    Attributes:
        stand_in: The tensor in its place. It is the tensor itself where that shares memory with
            what is captured.
        operand: The place of the stand-in in memory; None if it is the tensor itself.
        is_changed: Whether the function changes it in place.
    """

    stand_in: Tensor
    operand: Operand | None = None
    is_changed: bool = False


class Maker:
    """Base class: how to make a tensor that a function leaves behind."""

    def make(self, current: Sequence[Tensor], fresh: "Fresh") -> Tensor:
        """The tensor.

        Args:
            current: The inputs of this time.
            fresh: The copies of memory that were made so far.
        """
        raise NotImplementedError


#: Copies of memories, by the ids of their owners, with the version that what lies there shares.
Fresh = dict[int, tuple[Array, list[int]]]


@dataclass(eq=False)
class Captured(Maker):
    """A tensor from outside."""

    tensor: Tensor

    def make(self, current: Sequence[Tensor], fresh: Fresh) -> Tensor:
        """The tensor itself."""
        return self.tensor


@dataclass(eq=False)
class Given(Maker):
    """One of the inputs."""

    position: int

    def make(self, current: Sequence[Tensor], fresh: Fresh) -> Tensor:
        """The input itself."""
        return current[self.position]


@dataclass(eq=False)
class ViewOfCaptured(Maker):
    """A view of memory from outside."""

    array: Array
    version: list[int]
    requires_grad: bool

    def make(self, current: Sequence[Tensor], fresh: Fresh) -> Tensor:
        """A new tensor on that memory."""
        return _on(self.array, self.version, self.requires_grad)


@dataclass(eq=False)
class ViewOfGiven(Maker):
    """A view of an input's memory; ``start`` is where the stand-in begins in its own."""

    position: int
    operand: Operand
    start: int

    def make(self, current: Sequence[Tensor], fresh: Fresh) -> Tensor:
        """A new tensor on the input's memory."""
        tensor = current[self.position]
        owner, offset = kernels_for[type(tensor.array)].memory(tensor.array)
        return _on(_part(owner, offset - self.start, self.operand), tensor.version, False)


@dataclass(eq=False)
class Copy(Maker):
    """A tensor that was computed.

    Attributes:
        array: Where a replay leaves it, to overwrite it the next time.
        operand: The same, in its memory.
        requires_grad: Whether it is a leaf that requires a gradient.
        gradient: Its own.
        shared: The memory, if another result lies in it too.
    """

    array: Array
    operand: Operand
    requires_grad: bool
    gradient: Maker | None
    shared: Array | None = None

    def make(self, current: Sequence[Tensor], fresh: Fresh) -> Tensor:
        """A new tensor in new memory."""
        if self.shared is None:
            tensor = Tensor(copied(self.array), self.requires_grad)
        else:
            if id(self.shared) not in fresh:
                fresh[id(self.shared)] = copied(self.shared), [0]
            owner, version = fresh[id(self.shared)]
            tensor = _on(_part(owner, 0, self.operand), version, self.requires_grad)
        if self.gradient is not None:
            tensor.grad = self.gradient.make(current, fresh)
        return tensor


def _on(array: Array, version: list[int], requires_grad: bool) -> Tensor:
    """A tensor on memory that others share."""
    tensor = Tensor(array, requires_grad)
    tensor._version = version
    tensor.may_alias = True
    return tensor


def _part(owner: Array, begin: int, place: Operand) -> Array:
    part = kernels_for[type(owner)].part
    return part(
        owner,
        offset=begin + place.offset,
        shape=place.shape,
        strides=place.strides,
        dtype=place.dtype,
    )


@dataclass
class Gradient:
    """``grad`` of a leaf: what the function found there, and what it leaves.

    Attributes:
        name: The leaf's.
        leaf: The leaf, or the position of the argument that is one.
        found: Whether there was a gradient; None if the function did not look.
        input: The gradient, if there was one and the function looked.
        is_left: Whether the function leaves another, or none.
        maker: Makes the one that it leaves.
    """

    name: str
    leaf: Tensor | int
    found: bool | None = None
    input: Input | None = None
    is_left: bool = False
    maker: Maker | None = None

    def of(self, arguments: Sequence[Tensor]) -> Tensor:
        """The leaf."""
        return arguments[self.leaf] if isinstance(self.leaf, int) else self.leaf


@dataclass
class Outcome:
    """What a function reads anew, and leaves behind.

    Attributes:
        inputs: The tensors among the arguments.
        gradients: Those that it reads or leaves.
        versions: Of the tensors from outside that it changes in place.
        result: The value returned, with a :class:`Maker` in the place of each tensor.
        lock: Held while a replay runs, or its memory is read: callers from several threads take
            turns.
    """

    inputs: list[Input]
    gradients: list[Gradient]
    versions: list[list[int]]
    result: Any
    lock: Any = field(default_factory=threading.RLock)

    def all_inputs(self) -> list[Input]:
        """The arguments, and the gradients that are read."""
        return [*self.inputs, *[x.input for x in self.gradients if x.input is not None]]

    def current(self, arguments: Sequence[Tensor]) -> list[Tensor]:
        """The tensors of this time, for :meth:`all_inputs`."""
        read: list[Any] = [x.of(arguments)._gradient() for x in self.gradients if x.input]
        return [*arguments, *read]

    def settle(self, calls: Sequence[Call]) -> None:
        """Find out which inputs ``calls`` change."""
        for given in self.all_inputs():
            given.is_changed = given.operand is not None and any(
                meet(out, given.operand) for call in calls for out in changed_by(call)
            )

    def leave(self, arguments: Sequence[Tensor], current: list[Tensor]) -> Any:
        """Do to the world what the function does, and give what it returns.

        Args:
            arguments: The tensors among the arguments.
            current: Those and the gradients that were read.
        """
        for version in self.versions:
            version[0] = next(clock)
        for given, tensor in zip(self.all_inputs(), current, strict=True):
            if given.is_changed and given.operand is not None:
                copy(given.stand_in.array, tensor.array)
                tensor.mark_changed()
        for gradient in self.gradients:
            if gradient.is_left:
                leaf = gradient.of(arguments)
                maker = gradient.maker
                leaf._grad = None if maker is None else self._gradient(maker, current)
        made: dict[Maker, Tensor] = {}  # what is returned twice is one tensor
        fresh: Fresh = {}

        def make(maker: Maker) -> Tensor:
            if maker not in made:
                made[maker] = maker.make(current, fresh)
            return made[maker]

        return mapped(self.result, Maker, make)

    def _gradient(self, maker: Maker, current: list[Tensor]) -> Any:
        """A gradient; one in memory of the replay is copied when somebody asks for it."""
        if not isinstance(maker, Copy):
            return maker.make(current, {})

        def gradient() -> Tensor:
            with self.lock, unrecorded():
                made = maker.make((), {})
            made.may_alias = True
            return made

        return gradient


def copy(source: Array, target: Array) -> None:
    """The elements of ``source`` into ``target``."""
    kernels_for[type(target)].copy(source, out=target)


def copied(array: Array) -> Array:
    """A copy in new memory."""
    kernels = kernels_for[type(array)]
    out = kernels.empty(array.shape, array.dtype, like=array)
    kernels.copy(array, out=out)
    return out
