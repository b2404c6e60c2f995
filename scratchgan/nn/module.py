"""Module: a computation that holds its parameters, and Parameter: a tensor that is learned.

A module's attributes say what it is made of. An attribute that is a :class:`Parameter` is one of
its parameters, an attribute that is a :class:`Module` one of its children; nothing else has to be
registered, but for buffers: tensors that belong to the state and are not learned.
"""

import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, Self, TypeVar

from numpy.typing import DTypeLike

from scratchgan import dtypes, functions
from scratchgan.autograd import no_grad
from scratchgan.autograd.tensor import Tensor
from scratchgan.backend import devices
from scratchgan.creation import as_tensor

T = TypeVar("T")


class Parameter(Tensor):
    """A tensor that a module learns: found by its module, and recorded unless told otherwise.

    Args:
        data: The first value, a tensor or an array; its memory is shared.
        requires_grad: Whether operations on it are recorded.
    """

    def __init__(self, data: Any, requires_grad: bool = True) -> None:
        value = as_tensor(data)
        super().__init__(value.array, requires_grad)
        self._version = value.version

    def __repr__(self) -> str:
        return "Parameter containing:\n" + super().__repr__()


class LoadedKeys(NamedTuple):
    """The keys that :meth:`Module.load_state_dict` missed, and those that it did not expect."""

    missing_keys: list[str]
    unexpected_keys: list[str]


class Module:
    """Base class of everything with parameters; a subclass writes :meth:`forward`.

    Attributes:
        training: Whether layers such as Dropout behave as in training; see :meth:`train`.
    """

    training: bool = True
    _buffers: tuple[str, ...] = ()

    def forward(self, *inputs: Any, **keywords: Any) -> Any:
        """The computation; called as ``module(...)``."""
        raise NotImplementedError(f"{type(self).__name__} has no forward method; write one")

    def __call__(self, *inputs: Any, **keywords: Any) -> Any:
        """Call :meth:`forward`."""
        return self.forward(*inputs, **keywords)

    def __setattr__(self, name: str, value: Any) -> None:
        is_lost = isinstance(vars(self).get(name), Parameter) and not (
            value is None or isinstance(value, Parameter)
        )
        if is_lost:
            raise TypeError(
                f"{type(self).__name__}: {name!r} is a parameter and cannot become a "
                f"{type(value).__name__}; assign a Parameter or None, or change it in place with "
                "copy_ within no_grad()"
            )
        super().__setattr__(name, value)

    def register_buffer(self, name: str, tensor: Tensor) -> None:
        """Make ``tensor`` the attribute ``name``, which is saved and cast with the parameters."""
        if name not in self._buffers:
            self._buffers = (*self._buffers, name)
        setattr(self, name, tensor)

    # --- What it is made of -------------------------------------------------------------

    def named_children(self) -> Iterator[tuple[str, "Module"]]:
        """The modules among the attributes, with their names."""
        for name, value in vars(self).items():
            if isinstance(value, Module):
                yield name, value

    def children(self) -> Iterator["Module"]:
        """The modules among the attributes, each once."""
        return (child for _, child in _once(self.named_children()))

    def named_modules(self) -> Iterator[tuple[str, "Module"]]:
        """This module under the name ``""`` and every module below it, each once."""
        return _once(self._walk())

    def modules(self) -> Iterator["Module"]:
        """This module and every module below it, each once."""
        return (module for _, module in self.named_modules())

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """The parameters here and below, such as ``"0.weight"``, each once."""
        return _once(
            (name, tensor) for name, tensor in self._state() if isinstance(tensor, Parameter)
        )

    def parameters(self) -> Iterator[Parameter]:
        """The parameters here and below, each once."""
        return (parameter for _, parameter in self.named_parameters())

    def named_buffers(self) -> Iterator[tuple[str, Tensor]]:
        """The buffers here and below, such as ``"1.running_mean"``, each once."""
        return _once(
            (name, tensor) for name, tensor in self._state() if not isinstance(tensor, Parameter)
        )

    def buffers(self) -> Iterator[Tensor]:
        """The buffers here and below, each once."""
        return (buffer for _, buffer in self.named_buffers())

    def _walk(self, prefix: str = "") -> Iterator[tuple[str, "Module"]]:
        """All modules, a shared one under each of its names."""
        yield prefix.removesuffix("."), self
        for name, child in self.named_children():
            yield from child._walk(f"{prefix}{name}.")

    def _state(self) -> Iterator[tuple[str, Tensor]]:
        """All parameters and buffers in PyTorch's order, a shared one under each of its names."""
        for path, module in self._walk():
            prefix = path and path + "."
            for name, value in vars(module).items():
                if isinstance(value, Parameter):
                    yield prefix + name, value
            for name in module._buffers:
                yield prefix + name, getattr(module, name)

    # --- Saving and loading --------------------------------------------------------------

    def state_dict(self) -> dict[str, Tensor]:
        """Parameters and buffers by name, in order; the tensors share memory with the module."""
        return {name: tensor.detach() for name, tensor in self._state()}

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> LoadedKeys:
        """Copy the tensors or arrays of ``state_dict`` into the parameters and buffers.

        Args:
            state_dict: Values by the names of :meth:`state_dict`; converted to the type here.
            strict: Whether every name here must be there, and the other way round.

        Returns:
            The names that were missing and that were not expected; both empty if ``strict``.

        Raises:
            RuntimeError: A shape is wrong, or with ``strict`` a name. All faults are listed, and
                nothing was copied.
        """
        own = dict(self._state())
        missing = [name for name in own if name not in state_dict]
        unexpected = [name for name in state_dict if name not in own]
        faults = [
            f"the shape of {name!r} is {tuple(state_dict[name].shape)}, expected {tensor.shape}"
            for name, tensor in own.items()
            if name in state_dict and tuple(state_dict[name].shape) != tensor.shape
        ]
        if strict:
            faults += [f"{name!r} is missing" for name in missing]
            faults += [f"{name!r} is not expected" for name in unexpected]
        if faults:
            raise RuntimeError(
                f"load_state_dict: the state does not fit {type(self).__name__}:\n  "
                + "\n  ".join(faults)
            )
        with no_grad():
            for name, tensor in own.items():
                if name in state_dict:
                    tensor.copy_(state_dict[name])
        return LoadedKeys(missing, unexpected)

    # --- Changing everything at once ------------------------------------------------------

    def train(self, mode: bool = True) -> Self:
        """Behave as in training from now on, here and below; see Dropout and BatchNorm1d."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Behave as in use from now on: ``train(False)``."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Record operations on all parameters from now on, or no more (to hold them fixed)."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for parameter in self.parameters():
            parameter.grad = None

    def apply(self, function: Callable[["Module"], object]) -> Self:
        """Call ``function(module)`` for every module below, then for this one."""
        for child in self.children():
            child.apply(function)
        function(self)
        return self

    def to(self, *targets: Any, device: str | None = None, dtype: DTypeLike | None = None) -> Self:
        """Move everything to another device, or convert floating parameters and buffers, in place.

        Gradients go along. An optimizer that was made before keeps what it has: make it afterwards.

        Args:
            targets: As in :func:`scratchgan.functions.to`: ``"cuda"``, ``sg.float64``, a tensor.
            device: The device, by keyword.
            dtype: The floating type, by keyword.

        Raises:
            TypeError: The type is not a floating one.
            BackendError: There is no such device; the message says why and what to do.
        """
        device, wanted = functions.destination(targets, device, dtype)
        if wanted is not None and wanted.kind != "f":
            raise TypeError(f"to: parameters are of floating types, not {wanted}")
        with no_grad():
            for _, tensor in _once(self._state()):
                own = wanted if tensor.dtype.kind == "f" else None
                moved = tensor.to(device=device, dtype=own)
                if moved is not tensor:
                    tensor.array = moved.array
                    tensor.mark_changed()
                    if tensor.grad is not None:
                        tensor.grad = tensor.grad.to(device=device, dtype=own)
        return self

    def cpu(self) -> Self:
        """Move everything to the memory of the CPU, in place."""
        return self.to("cpu")

    def cuda(self, device: int | str | None = None) -> Self:
        """Move everything to a GPU: its number or name, or else the current one."""
        return self.to(devices.gpu(device))

    def float(self) -> Self:
        """Convert to float32, in place."""
        return self.to(dtypes.float32)

    def double(self) -> Self:
        """Convert to float64, in place."""
        return self.to(dtypes.float64)

    # --- Showing it -----------------------------------------------------------------------

    def extra_repr(self) -> str:
        """The text between the parentheses of the representation; subclasses write it."""
        return ""

    def __repr__(self) -> str:
        lines = [f"({name}): {child!r}" for name, child in self.named_children()]
        extra = self.extra_repr()
        if not lines:
            return f"{type(self).__name__}({extra})"
        body = textwrap.indent("\n".join(([extra] if extra else []) + lines), "  ")
        return f"{type(self).__name__}(\n{body}\n)"


def _once(pairs: Iterable[tuple[str, T]]) -> Iterator[tuple[str, T]]:
    """The pairs whose second part did not come before."""
    seen: set[int] = set()
    for name, thing in pairs:
        if id(thing) not in seen:
            seen.add(id(thing))
            yield name, thing
