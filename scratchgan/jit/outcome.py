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

    def make(self, current: Sequence[Tensor], make: "Make") -> Tensor:
        """The tensor.

        Args:
            current: The inputs of this time.
            make: Gives those of other makers.
        """
        raise NotImplementedError


@dataclass(eq=False)
class Captured(Maker):
    """A tensor from outside."""

    tensor: Tensor

    def make(self, current: Sequence[Tensor], make: "Make") -> Tensor:
        """The tensor itself."""
        return self.tensor


@dataclass(eq=False)
class Kept(Maker):
    """A list or dict from outside, or another object."""

    value: Any

    def make(self, current: Sequence[Tensor], make: "Make") -> Any:
        """The object itself."""
        return self.value


@dataclass(eq=False)
class Given(Maker):
    """One of the inputs."""

    position: int

    def make(self, current: Sequence[Tensor], make: "Make") -> Tensor:
        """The input itself."""
        return current[self.position]


@dataclass(eq=False)
class Facts:
    """What a tensor is besides its elements.

    Attributes:
        kind: Its class.
        requires_grad: Whether it does.
        node: Where it came from; a backward pass has freed that.
        gradient: Its ``grad``.
        hooks: Its hooks.
        attributes: Those that somebody gave it, with a :class:`Maker` for each tensor in them.
    """

    kind: type[Tensor]
    requires_grad: bool
    node: Any
    gradient: Maker | None
    hooks: Any
    attributes: dict[str, Any]

    def tensor(self, array: Array, make: "Make") -> Tensor:
        """A new tensor of this kind."""
        tensor = self.kind.__new__(self.kind)
        Tensor.__init__(tensor, array)
        tensor.requires_grad, tensor.node = self.requires_grad, self.node
        tensor.hooks = self.hooks and dict(self.hooks)
        if self.gradient is not None:
            tensor._grad = make(self.gradient)
        if self.attributes:
            tensor.__dict__.update(mapped(self.attributes, Maker, make))
        return tensor


@dataclass(eq=False)
class ViewOfCaptured(Maker):
    """A view of memory from outside."""

    array: Array
    version: list[int]
    facts: Facts

    def make(self, current: Sequence[Tensor], make: "Make") -> Tensor:
        """A new tensor on that memory."""
        return _sharing(self.facts.tensor(self.array, make), self.version)


@dataclass(eq=False)
class ViewOfGiven(Maker):
    """A view of an input's memory; ``start`` is where the stand-in begins in its own."""

    position: int
    operand: Operand
    start: int
    facts: Facts

    def make(self, current: Sequence[Tensor], make: "Make") -> Tensor:
        """A new tensor on the input's memory."""
        tensor = current[self.position]
        owner, offset = kernels_for[type(tensor.array)].memory(tensor.array)
        view = _part(owner, offset - self.start, self.operand)
        return _sharing(self.facts.tensor(view, make), tensor.version)


@dataclass(eq=False)
class Copy(Maker):
    """A tensor that was computed.

    Attributes:
        array: Where a replay leaves it, to overwrite it the next time.
        operand: The same, in its memory.
        facts: What it is besides.
        shared: The memory, if another result lies in it too.
    """

    array: Array
    operand: Operand
    facts: Facts
    shared: Array | None = None

    def make(self, current: Sequence[Tensor], make: "Make") -> Tensor:
        """A new tensor in new memory."""
        if self.shared is None:
            return self.facts.tensor(copied(self.array), make)
        owner, version = make.copy_of(self.shared)
        return _sharing(self.facts.tensor(_part(owner, 0, self.operand), make), version)


class Make:
    """Makes all that one call leaves behind: of each maker one tensor, of each memory one copy.

    Args:
        current: The inputs of this time.
    """

    def __init__(self, current: Sequence[Tensor]) -> None:
        self._current = current
        self.made: dict[Maker, Tensor] = {}
        self._copies: dict[int, tuple[Array, list[int]]] = {}

    def __call__(self, maker: Maker) -> Tensor:
        """The tensor of ``maker``."""
        if maker not in self.made:
            self.made[maker] = maker.make(self._current, self)
        return self.made[maker]

    def copy_of(self, memory: Array) -> tuple[Array, list[int]]:
        """A copy of ``memory``, and the version that all tensors in it share."""
        if id(memory) not in self._copies:
            self._copies[id(memory)] = copied(memory), [0]
        return self._copies[id(memory)]


def _sharing(tensor: Tensor, version: list[int]) -> Tensor:
    """``tensor``, on memory that others share."""
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
        make = Make(current)
        result = mapped(self.result, Maker, make)
        for gradient in self.gradients:
            if gradient.is_left:
                gradient.of(arguments)._grad = self._gradient(gradient, make)
        return result

    def _gradient(self, gradient: Gradient, make: Make) -> Any:
        """What a leaf gets as its gradient.

        One of a captured leaf lies in memory that the next replay overwrites together with the
        leaf's gradient, so that it need not be copied before somebody asks for it.
        """
        maker = gradient.maker
        if maker is None:
            return None
        is_own = isinstance(maker, Copy) and maker.shared is None and maker not in make.made
        if not is_own or isinstance(gradient.leaf, int):
            return make(maker)

        def when_asked() -> Tensor:
            with self.lock, unrecorded():
                made = Make(())(maker)
            made.may_alias = True
            return made

        return when_asked


def copy(source: Array, target: Array) -> None:
    """The elements of ``source`` into ``target``."""
    kernels_for[type(target)].copy(source, out=target)


def copied(array: Array) -> Array:
    """A copy in new memory."""
    kernels = kernels_for[type(array)]
    out = kernels.empty(array.shape, array.dtype, like=array)
    kernels.copy(array, out=out)
    return out
