"""Gradients under jit: which ``grad`` of a leaf a function looks at, and what it leaves there."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from scratchgan.autograd.tensor import Tensor
from scratchgan.jit.context import JitError
from scratchgan.jit.makers import Input, Maker
from scratchgan.jit.outcome import Gradient


@dataclass
class _Watched:
    """A leaf, or the stand-in for one.

    Attributes:
        gradient: What is known by now.
        tensor: The leaf or its stand-in.
        before: Its ``grad`` before the call.
        is_set: Whether the function assigned to it.
    """

    gradient: Gradient
    tensor: Tensor
    before: Any
    is_set: bool = False


class GradientWatch:
    """Is told when ``grad`` of a tensor is read or set in the context of a recording.

    Args:
        input_for: Gives the input for a gradient from before the call, when it is first read.
        takes: Called with the name of a Function and its inputs when one is applied: gradients go
            through it to them, though no primitive that records has taken them.
    """

    def __init__(
        self,
        input_for: Callable[[Tensor], Input],
        takes: Callable[[str, tuple[Any, ...]], None],
    ) -> None:
        self._input_for = input_for
        self.takes = takes
        self._watched: dict[int, _Watched] = {}

    def add(self, name: str, leaf: Tensor | int, tensor: Tensor) -> None:
        """Watch ``tensor``, which is ``leaf``, or stands for the argument at that position."""
        self._watched[id(tensor)] = _Watched(Gradient(name, leaf), tensor, tensor._grad)

    def read(self, tensor: Tensor) -> Tensor | None:
        """``tensor.grad`` for the function."""
        watched = self._watched.get(id(tensor))
        if watched is None or watched.is_set:
            return tensor._gradient()
        gradient = watched.gradient
        if gradient.found is None:
            watched.before = tensor._gradient()
            gradient.found = watched.before is not None
            gradient.input = self._input_for(watched.before) if gradient.found else None
        return None if gradient.input is None else gradient.input.stand_in

    def refuse_other_memory(self) -> None:
        """The function gives a tensor another memory, which a replay could not."""
        raise JitError(
            "jit: the step assigns to the data of a tensor; use copy_() within no_grad(), which "
            "changes its elements"
        )

    def set(self, tensor: Tensor) -> None:
        """The function assigns to ``tensor.grad``."""
        if id(tensor) in self._watched:
            self._watched[id(tensor)].is_set = True

    def is_set(self, tensor: Tensor) -> bool:
        """Whether the function assigned to ``tensor.grad``."""
        return id(tensor) in self._watched and self._watched[id(tensor)].is_set

    def inputs(self) -> list[tuple[Input, Tensor]]:
        """The gradients that were read, as inputs, and themselves."""
        return [
            (x.gradient.input, x.before)
            for x in self._watched.values()
            if x.gradient.input is not None
        ]

    def outcome(self, maker_of: Callable[[Tensor], Maker]) -> list[Gradient]:
        """The gradients that the function read and left; to be asked for after the call."""
        found = []
        for watched in self._watched.values():
            gradient = watched.gradient
            if watched.is_set:
                now = watched.tensor._gradient()
                if now is None:
                    gradient.is_left = gradient.found is not False
                elif gradient.input is not None and now is gradient.input.stand_in:
                    watched.tensor._grad = watched.before  # p.grad = p.grad
                else:
                    gradient.is_left = True
                    gradient.maker = maker_of(now)
            if gradient.is_left or gradient.found is not None:
                found.append(gradient)
        return found
