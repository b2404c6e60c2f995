"""Names of modules and tensors: as one says, or after the variables that hold them."""

import sys
from collections.abc import Mapping

from scratchgan.autograd.tensor import Tensor
from scratchgan.nn import Module

#: A module, after which its parameters are named, or names of modules and tensors.
Names = Mapping[str, Module | Tensor] | Module | None


def by_name(names: Names) -> Mapping[str, Module | Tensor]:
    """Modules and tensors by their names; a module alone has none.

    Raises:
        TypeError: One of them is something else.
    """
    named = {"": names} if isinstance(names, Module) else {} if names is None else names
    if not isinstance(named, Mapping):
        raise TypeError(f"names must be a module, or map names to modules and tensors: {names!r}")
    for name, thing in named.items():
        if not (isinstance(name, str) and isinstance(thing, Module | Tensor)):
            raise TypeError(
                f"names must map names to modules and tensors, not {name!r} to {thing!r}"
            )
    return named


def or_variables(names: Names) -> Names:
    """``names``; if there are none, the variables at the place that called who calls this.

    A module of many parts comes after those of few, which may be its parts: the last name counts.
    """
    if names is not None:
        return names
    # Before Python 3.13 a function that was looked into keeps what it held until it returns.
    frame = sys._getframe(2)
    # By their types: what stands for something else may answer for its class as it likes.
    tensors: dict[str, Module | Tensor] = {}
    modules: dict[str, Module] = {}
    for name, held in {**frame.f_globals, **frame.f_locals}.items():
        if name.startswith("_"):  # as the results that a notebook keeps
            continue
        if issubclass(type(held), Tensor):
            tensors[name] = held
        elif issubclass(type(held), Module):
            modules[name] = held
    sizes = {name: sum(1 for _ in module.modules()) for name, module in modules.items()}
    return {**tensors, **{name: modules[name] for name in sorted(modules, key=sizes.__getitem__)}}
