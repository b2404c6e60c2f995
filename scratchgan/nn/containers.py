"""Modules made of a list of modules: ModuleList holds them, Sequential runs them in turn."""

import copy
from collections.abc import Callable, Iterable, Iterator, MutableSequence
from typing import Any, Self, overload

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

    def forward(self, x: Any) -> Any:
        """``x`` through all modules; without any, ``x`` itself."""
        waiting: Linear | None = None  # for an activation to go with
        for module in self._modules:
            if waiting is not None:
                if (
                    isinstance(module, Activation)
                    and _is_plain(module, Activation.forward)
                    and module.is_known_by_output()
                ):
                    x = waiting(x, module.activation, **module.keywords())
                    waiting = None
                    continue
                x, waiting = waiting(x), None
            if isinstance(module, Linear) and _is_plain(module, Linear.forward):
                waiting = module
            else:
                x = module(x)
        return x if waiting is None else waiting(x)


def _is_plain(module: Module, forward: Callable[..., Any]) -> bool:
    """Whether to call ``module`` is to call ``forward``: neither class nor object has its own."""
    cls = type(module)
    has_own = "forward" in vars(module)
    return cls.forward is forward and cls.__call__ is Module.__call__ and not has_own
