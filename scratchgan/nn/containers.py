"""Modules made of modules: ModuleList and ModuleDict hold them, Sequential runs them in turn."""

import copy
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, MutableSequence
from typing import Any, Self, cast, overload

from scratchgan.nn.activations import Activation
from scratchgan.nn.layers import Linear
from scratchgan.nn.module import Module


class _Container(Module):
    """Holds modules in the order in which they came; those that become attributes too.

    ``_names`` and ``_modules`` are two lists that belong together.
    """

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules with their names: positions in a list, or what they were called."""
        yield from zip(*self._lists(), strict=True)

    def _lists(self) -> tuple[list[str], list[Module]]:
        own = vars(self)
        return own.setdefault("_names", []), own.setdefault("_modules", [])

    def __getattr__(self, name: str) -> Any:
        names, modules = self._lists()
        if name in ("_names", "_modules"):  # just made
            return vars(self)[name]
        if name in names:
            return modules[names.index(name)]
        return super().__getattribute__(name)  # which raises the error

    def __setattr__(self, name: str, value: Any) -> None:
        names, modules = self._lists()
        if name in names and (value is None or not isinstance(value, Module)):
            if value is not None:
                raise TypeError(
                    f"{type(self).__name__}: {name!r} is a module and cannot become a "
                    f"{type(value).__name__}; assign a Module or None"
                )
            self.__delattr__(name)
        if isinstance(value, Module):
            vars(self).pop(name, None)
            if name in names:
                modules[names.index(name)] = value
            else:
                names.append(name)
                modules.append(value)
        else:
            super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        names, modules = self._lists()
        if name in names:
            position = names.index(name)
            del names[position], modules[position]
        else:
            super().__delattr__(name)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *[name for name in self._names if name.isidentifier()]]

    def _checked(self, module: Any) -> Module:
        if not isinstance(module, Module):
            raise TypeError(
                f"{type(self).__name__}: holds modules, and {module!r:.80} is a "
                f"{type(module).__name__}"
            )
        return module

    def __len__(self) -> int:
        return len(self._modules)


class ModuleList(_Container, MutableSequence[Module]):
    """A list of modules whose parameters are found, as those of a plain list are not.

    Args:
        modules: What it holds at first; append, insert, replace and delete as in a list.
    """

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        self.extend(modules or ())

    @overload
    def __getitem__(self, index: int) -> Module: ...
    @overload
    def __getitem__(self, index: slice) -> Self: ...
    def __getitem__(self, index: int | slice) -> Module | Self:
        if not isinstance(index, slice):
            return cast(Module, self._modules[index])
        part = copy.copy(self)
        vars(part)["_modules"] = self._modules[index]
        vars(part)["_names"] = self._names[index]
        part._name_a_slice()
        return part

    def _name_a_slice(self) -> None:
        self._number()

    def _number(self) -> None:
        """Name the modules by their positions."""
        self._names[:] = map(str, range(len(self._modules)))

    @overload
    def __setitem__(self, index: int, value: Module) -> None: ...
    @overload
    def __setitem__(self, index: slice, value: Iterable[Module]) -> None: ...
    def __setitem__(self, index: int | slice, value: Any) -> None:
        if isinstance(index, slice):
            self._modules[index] = [self._checked(module) for module in value]
            self._number()
        else:
            self._modules[index] = self._checked(value)

    def __delitem__(self, index: int | slice) -> None:
        del self._modules[index]
        self._number()

    def append(self, value: Module) -> Self:  # type: ignore[override]
        """Add a module at the end; returns the list, as PyTorch's does."""
        _, modules = self._lists()
        self.add_module(str(len(modules)), self._checked(value))
        return self

    def extend(self, values: Iterable[Module]) -> Self:  # type: ignore[override]
        """Add modules at the end; returns the list, as PyTorch's does."""
        for module in list(values):
            self.append(module)
        return self

    def insert(self, index: int, value: Module) -> None:
        """Put a module before the one at ``index``."""
        self._modules.insert(index, self._checked(value))
        self._number()

    def __add__(self, other: Iterable[Module]) -> Self:
        return self[:].extend(other)


class Sequential(ModuleList):
    """Modules that run in turn, each on the result of the one before.

    A :class:`Linear` with an :class:`Activation` after it runs as one pass over the output.

    Args:
        modules: In order, or one OrderedDict of modules by their names. They can be appended,
            replaced and deleted later, as in a list.
    """

    def __init__(self, *modules: Any) -> None:
        super().__init__()
        if len(modules) == 1 and isinstance(modules[0], OrderedDict):
            for name, module in modules[0].items():
                self.add_module(name, self._checked(module))
        else:
            self.extend(modules)

    def _name_a_slice(self) -> None:
        """They keep their names, as in PyTorch."""

    def forward(self, input: Any) -> Any:
        """``input`` through all modules; without any, ``input`` itself."""
        x = input
        modules = iter(self._modules)
        following = next(modules, None)
        while following is not None:
            module, following = following, next(modules, None)
            if (
                isinstance(module, Linear)
                and isinstance(following, Activation)
                and _run_in_one_pass(module, following)
            ):
                x = module.forward(x, following.activation, **following.keywords())
                following = next(modules, None)
            else:
                x = module(x)
        return x


def _run_in_one_pass(linear: Linear, activation: Activation) -> bool:
    """Whether one pass computes what two calls would: no other ``forward``, and no hooks."""
    for module, forward in ((linear, Linear.forward), (activation, Activation.forward)):
        cls, hooks = type(module), module._hooks_by_kind
        is_plain = cls.forward is forward and cls.__call__ is Module.__call__
        if not is_plain or "forward" in vars(module) or (hooks and any(hooks.values())):
            return False
    return activation.is_known_by_output()


class ModuleDict(_Container):
    """Modules by names of one's own, whose parameters are found.

    Args:
        modules: A dict, or pairs of name and module; set, look up and delete as in a dict.
    """

    def __init__(
        self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]] | None = None
    ) -> None:
        self.update(modules or {})

    def __getitem__(self, key: str) -> Module:
        if key not in self:
            raise KeyError(key)
        names, modules = self._lists()
        return modules[names.index(key)]

    def __setitem__(self, key: str, module: Module) -> None:
        self.add_module(key, self._checked(module))

    def __delitem__(self, key: str) -> None:
        if key not in self:
            raise KeyError(key)
        self.__delattr__(key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._lists()[0])

    def __contains__(self, key: object) -> bool:
        return key in self._lists()[0]

    def keys(self) -> Iterable[str]:
        """The names."""
        return dict(self.named_children()).keys()

    def values(self) -> Iterable[Module]:
        """The modules."""
        return dict(self.named_children()).values()

    def items(self) -> Iterable[tuple[str, Module]]:
        """Pairs of name and module."""
        return dict(self.named_children()).items()

    def update(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]]) -> None:
        """Add modules by their names, in the place of those that have the same."""
        for name, module in dict(modules).items():
            self[name] = module

    def pop(self, key: str) -> Module:
        """Take a module out, and give it."""
        module = self[key]
        del self[key]
        return module

    def clear(self) -> None:
        """Take all modules out."""
        for key in list(self):
            del self[key]
