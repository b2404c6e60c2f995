"""Holder: an object whose parameters, buffers and modules are found by their names."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from scratchgan.autograd.tensor import Tensor
from scratchgan.missing import lacking
from scratchgan.nn.parameter import Parameter

T = TypeVar("T")


@lacking(["bfloat16", "half", "register_backward_hook"])
class Holder:
    """The attributes of a :class:`scratchgan.nn.Module`, and the modules below it."""

    _buffer_names: tuple[str, ...] = ()
    _unsaved: frozenset[str] = frozenset()  # names of buffers that are no part of the state dict

    # --- Attributes -----------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        before = vars(self).get(name)
        expected: tuple[type, str, str] | None = None
        if isinstance(before, Parameter):
            expected = Parameter, "parameter", "a Parameter"
        elif isinstance(before, Holder):
            expected = Holder, "module", "a Module"
        elif name in self._buffer_names:
            expected = Tensor, "buffer", "a tensor"
        if expected and not (value is None or isinstance(value, (*expected[:1], Parameter))):
            _, kind, wanted = expected
            raise TypeError(
                f"{type(self).__name__}: {name!r} is a {kind} and cannot become a "
                f"{type(value).__name__}; assign {wanted} or None"
                + (", or change it in place with copy_ within no_grad()" * (kind == "parameter"))
            )
        if name in self._buffer_names and isinstance(value, Parameter):
            self._forget_buffer(name)
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        self._forget_buffer(name)

    def _forget_buffer(self, name: str) -> None:
        if name in self._buffer_names:
            self._buffer_names = tuple([one for one in self._buffer_names if one != name])
            self._unsaved -= {name}

    def _require_new(self, method: str, name: str) -> None:
        if not isinstance(name, str):
            raise TypeError(f"{method}: a name is a string, not {type(name).__name__}")
        if not name or "." in name:
            raise KeyError(f"{method}: a name is not empty and has no dot in it, unlike {name!r}")

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Make ``tensor`` the attribute ``name``, which is cast and moved with the parameters.

        Args:
            name: Of the attribute.
            tensor: Its value; None for a buffer that is not there, or not yet.
            persistent: Whether it is part of the state dict.

        Raises:
            KeyError: The name is empty, has a dot in it, or is that of another attribute.
            TypeError: ``tensor`` is neither a tensor nor None.
        """
        self._require_new("register_buffer", name)
        if name not in self._buffer_names and hasattr(self, name):
            raise KeyError(f"register_buffer: {type(self).__name__} has an attribute {name!r}")
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"register_buffer: {name!r} is a tensor or None, not {type(tensor).__name__}"
            )
        if name not in self._buffer_names:
            self._buffer_names = (*self._buffer_names, name)
        self._unsaved = self._unsaved - {name} if persistent else self._unsaved | {name}
        setattr(self, name, tensor)

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Make ``param`` the attribute ``name``: ``self.name = param``, with a computed name.

        Raises:
            KeyError: The name is empty, has a dot in it, or is that of another attribute.
            TypeError: ``param`` is neither a Parameter nor None.
        """
        self._require_new("register_parameter", name)
        before = vars(self).get(name)
        is_free = before is None and (name in vars(self) or not hasattr(self, name))
        if not is_free and not isinstance(before, Parameter):
            raise KeyError(f"register_parameter: {type(self).__name__} has an attribute {name!r}")
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"register_parameter: {name!r} is a Parameter or None, not "
                f"{type(param).__name__}; make one with nn.Parameter"
            )
        setattr(self, name, param)

    def add_module(self, name: str, module: Any) -> None:
        """Make ``module`` the attribute ``name``: ``self.name = module``, with a computed name.

        Raises:
            KeyError: The name is empty, has a dot in it, or is that of another attribute.
            TypeError: ``module`` is neither a Module nor None.
        """
        self._require_new("add_module", name)
        if module is not None and not isinstance(module, Holder):
            raise TypeError(
                f"add_module: {name!r} is a Module or None, not {type(module).__name__}"
            )
        before = dict(self.named_children()).get(name)
        if before is None and getattr(self, name, None) is not None:
            raise KeyError(f"add_module: {type(self).__name__} has an attribute {name!r}")
        setattr(self, name, module)

    register_module = add_module

    # --- What it is made of -------------------------------------------------------------

    def named_children(self) -> Iterator[tuple[str, Any]]:
        """The modules among the attributes, with their names."""
        for name, value in vars(self).items():
            if isinstance(value, Holder):
                yield name, value

    def children(self) -> Iterator[Any]:
        """The modules among the attributes, each once."""
        return (child for _, child in once(self.named_children()))

    def named_modules(
        self, memo: set[Any] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Any]]:
        """This module under the name ``prefix`` and every module below it.

        Args:
            memo: Modules to pass over; those that are given are added.
            prefix: In front of each name.
            remove_duplicate: Whether a module that is shared is given once.
        """
        memo = set() if memo is None else memo
        for path, module in self._walk(prefix and prefix + "."):
            if not remove_duplicate or module not in memo:
                memo.add(module)
                yield path, module

    def modules(self) -> Iterator[Any]:
        """This module and every module below it, each once."""
        return (module for _, module in self.named_modules())

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """The parameters here and below, such as ``"0.weight"``, each once.

        Args:
            prefix: In front of each name.
            recurse: Whether those of the modules below are given too.
            remove_duplicate: Whether a parameter that is shared is given once.
        """
        pairs = (
            (name, tensor)
            for name, tensor in self._state(prefix, recurse)
            if isinstance(tensor, Parameter)
        )
        return once(pairs) if remove_duplicate else pairs

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """The parameters here and, unless ``recurse`` is False, below, each once."""
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """The buffers here and below, such as ``"1.running_mean"``; as :meth:`named_parameters`."""
        pairs = (
            (name, tensor)
            for name, tensor in self._state(prefix, recurse)
            if not isinstance(tensor, Parameter)
        )
        return once(pairs) if remove_duplicate else pairs

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """The buffers here and, unless ``recurse`` is False, below, each once."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def get_submodule(self, target: str) -> Any:
        """The module below at a path such as ``"body.0"``; this one at ``""``.

        Raises:
            AttributeError: There is none.
        """
        module: Any = self
        for name in target.split(".") if target else ():
            found = dict(module.named_children()).get(name)
            if found is None:
                raise AttributeError(
                    f"get_submodule: {type(module).__name__} has no module {name!r}; the path is "
                    f"{target!r}"
                )
            module = found
        return module

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at a path such as ``"body.0.weight"``.

        Raises:
            AttributeError: There is none.
        """
        return self._at("get_parameter", target, self.named_parameters)

    def get_buffer(self, target: str) -> Tensor:
        """The buffer at a path such as ``"body.1.running_mean"``.

        Raises:
            AttributeError: There is none.
        """
        return self._at("get_buffer", target, self.named_buffers)

    def _at(self, method: str, target: str, pairs: Callable[..., Iterator[tuple[str, T]]]) -> T:
        found = dict(pairs(remove_duplicate=False))
        if target not in found:
            raise AttributeError(f"{method}: {type(self).__name__} has none at {target!r}")
        return found[target]

    def _walk(self, prefix: str = "") -> Iterator[tuple[str, Any]]:
        """All modules, a shared one under each of its names."""
        yield prefix.removesuffix("."), self
        for name, child in self.named_children():
            yield from child._walk(f"{prefix}{name}.")

    def _own_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """The parameters here, with their names."""
        for name, value in vars(self).items():
            if isinstance(value, Parameter):
                yield name, value

    def _state(
        self, prefix: str = "", recurse: bool = True, only_saved: bool = False
    ) -> Iterator[tuple[str, Tensor]]:
        """All parameters and buffers in PyTorch's order, a shared one under each of its names."""
        prefix = prefix and prefix.removesuffix(".") + "."
        for path, module in self._walk(prefix) if recurse else [(prefix[:-1], self)]:
            start = path and path + "."
            for name, value in module._own_parameters():
                yield start + name, value
            for name in module._buffer_names:
                buffer = vars(module).get(name)
                if buffer is not None and not (only_saved and name in module._unsaved):
                    yield start + name, buffer


def once(pairs: Iterable[tuple[str, T]]) -> Iterator[tuple[str, T]]:
    """The pairs whose second part did not come before."""
    seen: set[int] = set()
    for name, thing in pairs:
        if id(thing) not in seen:
            seen.add(id(thing))
            yield name, thing
