"""Makers: how to make each tensor that a function leaves behind, again in each replay."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from scratchgan.autograd.tensor import Tensor
from scratchgan.backend import Array, kernels_for
from scratchgan.jit.arguments import CONSTANTS, leaves_of, mapped
from scratchgan.jit.context import JitError
from scratchgan.jit.record import Operand, Recording
from scratchgan.jit.scope import Scope


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
    """A tensor's description without its elements.

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
        tensor._requires_grad, tensor.node = self.requires_grad, self.node
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


class Makers:
    """Makers for what one call of a function leaves behind.

    Args:
        name: Of the function, for messages.
        recording: The call.
        scope: What the function can reach.
        inputs: Gives the inputs that were read by now.

    Attributes:
        copies: Those that copy out of memory of the recording.
    """

    def __init__(
        self,
        name: str,
        recording: Recording,
        scope: Scope,
        inputs: Callable[[], Sequence[Input]],
    ) -> None:
        self.copies: list[Copy] = []
        self._name = name
        self._recording = recording
        self._scope = scope
        self._inputs = inputs
        self._known: dict[int, tuple[Tensor, Maker]] = {}

    def of_value(self, value: Any) -> Any:
        """``value``, as it is returned, with a maker in the place of each tensor.

        Raises:
            JitError: There is something in it of which a replay could make no new one.
        """
        for leaf in leaves_of(value):
            is_fine = isinstance(leaf, (Tensor, *CONSTANTS)) or self._scope.reaches(leaf)
            if leaf is not None and not is_fine:
                raise JitError(
                    f"jit: {self._name} returns a {type(leaf).__name__}, of which a replay could "
                    "make no new one; return tensors in tuples, lists, dicts or dataclasses"
                )
        return mapped(
            value,
            lambda x: isinstance(x, Tensor) or self._scope.reaches(x),
            lambda x: self(x) if isinstance(x, Tensor) else Kept(x),
        )

    def __call__(self, tensor: Tensor) -> Maker:
        """How to make what ``tensor`` is after the call; the same for the same tensor.

        Raises:
            JitError: It is on the tape.
        """
        known = self._known.get(id(tensor))
        if known is None:
            known = self._known[id(tensor)] = tensor, self._new(tensor)
        return known[1]

    def _new(self, tensor: Tensor) -> Maker:
        if id(tensor) in self._scope.tensors:
            return Captured(tensor)
        inputs = self._inputs()
        for position, given in enumerate(inputs):
            if tensor is given.stand_in:
                return Given(position)
        if tensor.node is not None and not tensor.node.is_freed:
            raise JitError(
                f"jit: {self._name} returns a tensor of shape {tensor.shape} that is still on the "
                "tape, which a replay does not have; call backward inside, or return its detach()"
            )
        operand = self._recording.operand(tensor.array)
        kind = self._recording.memories[operand.memory].kind
        if kind == "argument":
            position, place = next(
                (i, x.operand)
                for i, x in enumerate(inputs)
                if x.operand is not None and x.operand.memory == operand.memory
            )
            return ViewOfGiven(position, operand, place.offset, self._facts(tensor))
        if kind == "captured":
            return ViewOfCaptured(tensor.array, tensor.version, self._facts(tensor))
        made = Copy(tensor.array, operand, self._facts(tensor))
        self.copies.append(made)
        return made

    def _facts(self, tensor: Tensor) -> Facts:
        gradient = tensor._gradient()
        return Facts(
            kind=type(tensor),
            requires_grad=tensor.requires_grad,
            node=tensor.node,
            gradient=None if gradient is None else self(gradient),
            hooks=tensor.hooks,
            attributes=mapped(vars(tensor), Tensor, self),
        )

    def operands(self) -> list[Operand]:
        """Where a replay leaves what is copied."""
        return [made.operand for made in self.copies]

    def find_shared(self) -> None:
        """Have results that lie in one memory lie in one again; the recording is finished."""
        operands = self.operands()
        for made in self.copies:
            if sum(operand.memory == made.operand.memory for operand in operands) > 1:
                made.shared = self._recording.memories[made.operand.memory].owner


def copy(source: Array, target: Array) -> None:
    """The elements of ``source`` into ``target``."""
    kernels_for[type(target)].copy(source, out=target)


def copied(array: Array) -> Array:
    """A copy in new memory."""
    kernels = kernels_for[type(array)]
    out = kernels.empty(array.shape, array.dtype, like=array)
    kernels.copy(array, out=out)
    return out
