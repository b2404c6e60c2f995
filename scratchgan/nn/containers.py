"""Modules made of a list of modules: ModuleList holds them, Sequential runs them in turn."""

import copy
import functools
from collections.abc import Callable, Iterable, Iterator, MutableSequence
from typing import Any, Self, cast, overload

from scratchgan.autograd.tensor import Tensor
from scratchgan.nn.layers import Activation, Linear
from scratchgan.nn.module import Module


class ModuleList(Module, MutableSequence[Module]):
    """A list of modules whose parameters are found, as those of a plain list are not.

    Args:
        modules: What it holds at first; append, insert, replace and delete as in a list.
    """

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        self._modules: list[Module] = []
        self.extend(modules)

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules among the attributes, and those of the list by their positions."""
        yield from super().named_children()
        for position, module in enumerate(self._modules):
            yield str(position), module

    def __len__(self) -> int:
        return len(self._modules)

    @overload
    def __getitem__(self, index: int) -> Module: ...
    @overload
    def __getitem__(self, index: slice) -> Self: ...
    def __getitem__(self, index: int | slice) -> Module | Self:
        if not isinstance(index, slice):
            return self._modules[index]
        part = copy.copy(self)
        part._modules = self._modules[index]
        return part

    @overload
    def __setitem__(self, index: int, value: Module) -> None: ...
    @overload
    def __setitem__(self, index: slice, value: Iterable[Module]) -> None: ...
    def __setitem__(self, index: int | slice, value: Any) -> None:
        if isinstance(index, slice):
            self._modules[index] = [self._checked(module) for module in value]
        else:
            self._modules[index] = self._checked(value)

    def __delitem__(self, index: int | slice) -> None:
        del self._modules[index]

    def insert(self, index: int, value: Module) -> None:
        """Put a module before the one at ``index``."""
        self._modules.insert(index, self._checked(value))

    def _checked(self, module: Any) -> Module:
        if not isinstance(module, Module):
            raise TypeError(
                f"{type(self).__name__}: holds modules, and {module!r:.80} is a "
                f"{type(module).__name__}"
            )
        return module


class Sequential(ModuleList):
    """Modules that run in turn, each on the result of the one before.

    A :class:`Linear` with an :class:`Activation` after it runs as one pass over the output.

    Args:
        modules: In order. They can be appended, replaced and deleted later, as in a list.
    """

    def __init__(self, *modules: Module) -> None:
        super().__init__(modules)
        self._planned: list[Module] = []
        self._steps: list[Callable[[Any], Any]] = []

    def forward(self, x: Any) -> Any:
        """``x`` through all modules; without any, ``x`` itself."""
        if self._planned != self._modules:
            self._planned, self._steps = self._modules.copy(), _steps(self._modules)
        for step in self._steps:
            x = step(x)
        return x


def _steps(modules: list[Module]) -> list[Callable[[Any], Tensor]]:
    """The functions to call in turn: the modules, but a Linear and its activation as one."""
    steps: list[Callable[[Any], Tensor]] = []
    for module in modules:
        # A subclass may compute something else.
        is_activation = getattr(type(module), "forward", None) is Activation.forward
        if is_activation and steps and type(steps[-1]) is Linear:
            steps[-1] = functools.partial(_in_one_pass, steps[-1], cast(Activation, module))
        else:
            steps.append(module)
    return steps


def _in_one_pass(linear: Linear, activation: Activation, x: Any) -> Tensor:
    result: Tensor
    if activation.is_known_by_output():
        result = linear(x, activation.activation, **activation.keywords())
    else:
        result = activation(linear(x))
    return result
