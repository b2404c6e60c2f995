"""The outcome of a function: what it reads anew, and what it leaves behind.

What it leaves behind is what can be reached from the value that it returns, from ``grad`` of
leaves, and from memory that it changed in place.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
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


class Outcome:
    """The values that a function reads anew, and the changes that it leaves behind.

    Args:
        inputs: The tensors among the arguments.
        gradients: Those that it reads or leaves.
        versions: Of the tensors from outside that it changes in place.
        result: The value returned, with a :class:`Maker` in the place of each tensor.

    Attributes:
        all_inputs: The tensors among the arguments, and the gradients that are read.
        lock: Held while a replay runs, or its memory is read: callers from several threads take
            turns.
    """

    def __init__(
        self,
        inputs: list[Input],
        gradients: list[Gradient],
        versions: list[list[int]],
        result: Any,
    ) -> None:
        self.gradients = gradients
        self._read = [x for x in gradients if x.input is not None]
        self.all_inputs = [*inputs, *[x.input for x in gradients if x.input is not None]]
        self._versions = versions
        self._result = result
        self.lock = new_rlock()

    def current(self, arguments: Sequence[Tensor]) -> list[Tensor]:
        """The tensors of this time, for :attr:`all_inputs`."""
        read: list[Any] = [x.of(arguments)._gradient() for x in self._read]
        return [*arguments, *read]

    def settle(self, calls: Sequence[Call]) -> None:
        """Find out which inputs ``calls`` change, and which gradients need no copy in each replay.

        A gradient of a captured leaf lies in memory that the next replay overwrites together with
        the leaf's gradient, so that it need not be copied before somebody asks for it.
        """
        for given in self.all_inputs:
            given.is_changed = given.operand is not None and any(
                meet(out, given.operand) for call in calls for out in changed_by(call)
            )
        self._changed = [(i, x.stand_in) for i, x in enumerate(self.all_inputs) if x.is_changed]
        left = [x for x in self.gradients if x.is_left]
        self._postponed = [
            (x.leaf, x.maker, functools.partial(self._made_later, x.maker))
            for x in left
            if isinstance(x.leaf, Tensor) and isinstance(x.maker, Copy) and x.maker.shared is None
        ]
        postponed = {id(leaf) for leaf, _, _ in self._postponed}
        self._left = [x for x in left if id(x.leaf) not in postponed]

    def leave(self, arguments: Sequence[Tensor], current: list[Tensor]) -> Any:
        """Do to the world what the function does, and give what it returns.

        Args:
            arguments: The tensors among the arguments.
            current: Those and the gradients that were read.
        """
        for version in self._versions:
            version[0] = next(clock)
        for position, stand_in in self._changed:
            copy(stand_in.array, current[position].array)
            current[position].mark_changed()
        make = Make(current)
        result = mapped(self._result, Maker, make)
        for gradient in self._left:
            gradient.of(arguments)._grad = None if gradient.maker is None else make(gradient.maker)
        for leaf, maker, when_asked in self._postponed:
            leaf._grad = make.made.get(maker, when_asked)
        return result

    def _made_later(self, maker: Maker) -> Tensor:
        with self.lock, unrecorded():
            made = Make(())(maker)
        made.may_alias = True
        return made
