"""The outcome of a function: what it reads anew, and what it leaves behind.

What it leaves behind is what can be reached from the value that it returns, from ``grad`` of
leaves, and from memory that it changed in place.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from scratchgan.autograd.tensor import Tensor, clock
from scratchgan.jit.arguments import mapped
from scratchgan.jit.context import unrecorded
from scratchgan.jit.makers import Copy, Input, Make, Maker, copy
from scratchgan.jit.passes.plan import changed_by
from scratchgan.jit.record import Call, meet
from scratchgan.locks import new_rlock


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
    """The values that a function reads anew, and the changes that it leaves behind.

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
    lock: Any = field(default_factory=new_rlock)

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
        """The gradient that a leaf gets.

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
