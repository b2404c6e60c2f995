"""Module: a computation that holds its parameters.

A module's attributes say what it is made of. An attribute that is a :class:`Parameter` is one of
its parameters, an attribute that is a :class:`Module` one of its children; nothing else has to be
registered, but for buffers: tensors that belong to the state and are not learned.
"""

import textwrap
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import DTypeLike

from scratchgan import dtypes, functions
from scratchgan.autograd import no_grad
from scratchgan.autograd.hooks import HookHandle
from scratchgan.autograd.tensor import Tensor
from scratchgan.backend import devices
from scratchgan.creation import as_tensor
from scratchgan.nn import hooks
from scratchgan.nn.backward_hooks import Passage
from scratchgan.nn.holder import Holder, once
from scratchgan.nn.parameter import Parameter


class LoadedKeys(NamedTuple):
    """The keys that :meth:`Module.load_state_dict` missed, and those that it did not expect."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return (
            f"LoadedKeys(missing_keys={self.missing_keys}, unexpected_keys={self.unexpected_keys})"
        )


class Module(Holder):
    """Base class of everything with parameters; a subclass writes :meth:`forward`.

    A subclass may call ``super().__init__()``, as PyTorch demands, and need not.

    Attributes:
        training: Whether layers such as Dropout behave as in training; see :meth:`train`.
    """

    training: bool = True
    _hooks_by_kind: dict[hooks.Kind, hooks.Hooks] | None = None

    def forward(self, *inputs: Any, **keywords: Any) -> Any:
        """The computation; called as ``module(...)``."""
        raise NotImplementedError(f"{type(self).__name__} has no forward method; write one")

    def __call__(self, *inputs: Any, **keywords: Any) -> Any:
        """Call :meth:`forward`, and the hooks before and after it."""
        if not self._hooks_by_kind:
            return self.forward(*inputs, **keywords)
        own = self._hooks_by_kind
        passage: Passage | None = None
        if "forward_pre" in own:
            inputs, keywords = hooks.before_forward(self, own["forward_pre"], inputs, keywords)
        if own.get("backward") or own.get("backward_pre"):
            passage = Passage(self, own.get("backward"), own.get("backward_pre"))
            inputs = passage.enter(inputs)
        result = self.forward(*inputs, **keywords)
        if "forward" in own:
            result = hooks.after_forward(self, own["forward"], inputs, keywords, result)
        return result if passage is None else passage.leave(result)

    def _hooks_of(self, kind: hooks.Kind) -> hooks.Hooks:
        """The hooks of a kind, to add another."""
        self._hooks_by_kind = self._hooks_by_kind or {}
        return self._hooks_by_kind.setdefault(kind, OrderedDict())

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> HookHandle:
        """Call ``hook(module, args)`` before each call of :meth:`forward`.

        What it returns, if anything, replaces the arguments.

        Args:
            hook: The function.
            prepend: Whether it is called before the hooks that are there.
            with_kwargs: Whether it is ``hook(module, args, kwargs)``, which returns both or None.
        """
        return hooks.register(self._hooks_of("forward_pre"), hook, prepend, with_kwargs)

    def register_forward_hook(
        self,
        hook: Callable[..., Any],
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> HookHandle:
        """Call ``hook(module, args, output)`` after each call of :meth:`forward`.

        What it returns, if anything, replaces the output.

        Args:
            hook: The function.
            prepend: Whether it is called before the hooks that are there.
            with_kwargs: Whether it is ``hook(module, args, kwargs, output)``.
            always_call: Not supported: after an error no hook is called.

        Raises:
            NotImplementedError: ``always_call`` is True.
        """
        if always_call:
            raise NotImplementedError(
                "register_forward_hook: always_call is not supported; catch the error around the "
                "call instead"
            )
        return hooks.register(self._hooks_of("forward"), hook, prepend, with_kwargs)

    def register_full_backward_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> HookHandle:
        """Call ``hook(module, grad_input, grad_output)`` when the inputs' gradients are known.

        Both are tuples, with a gradient for each input by position and each output, and None in the
        place of what is no tensor. What the hook returns, if anything, replaces ``grad_input``.
        Where no input requires a gradient it is called when those of the outputs are known, with
        None for each input.

        Inputs and outputs of a module with hooks cannot be changed in place, and two backward
        passes from several outputs need ``retain_graph`` in the first. Outputs in anything but a
        tuple are not seen, of which there is a warning.

        Args:
            hook: The function.
            prepend: Whether it is called before the hooks that are there.

        Raises:
            RuntimeError: In a backward: the hook returned gradients unlike those it was given.
        """
        return hooks.register(self._hooks_of("backward"), hook, prepend, with_kwargs=False)

    def register_full_backward_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> HookHandle:
        """Call ``hook(module, grad_output)`` when the outputs' gradients are known.

        What it returns, if anything, replaces them, before they go through the module.

        Args:
            hook: The function.
            prepend: Whether it is called before the hooks that are there.

        Raises:
            RuntimeError: In a backward: the hook returned gradients unlike those it was given.
        """
        return hooks.register(self._hooks_of("backward_pre"), hook, prepend, with_kwargs=False)

    # --- Saving and loading --------------------------------------------------------------

    def state_dict(
        self,
        *,
        destination: dict[str, Any] | None = None,
        prefix: str = "",
        keep_vars: bool = False,
    ) -> dict[str, Any]:
        """Parameters and buffers by name, in order; the tensors share memory with the module.

        Args:
            destination: A dict to add them to, and to return; a new one if None.
            prefix: In front of each name, with its dot.
            keep_vars: Whether they are the parameters themselves, or else off the tape.
        """
        found: dict[str, Any] = OrderedDict() if destination is None else destination
        for name, tensor in self._state(only_saved=True):
            found[prefix + name] = tensor if keep_vars else tensor.detach()
        return found

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> LoadedKeys:
        """Copy the tensors or arrays of ``state_dict`` into the parameters and buffers.

        Args:
            state_dict: Values by the names of :meth:`state_dict`; converted to the type here.
            strict: Whether every name here must be there, and the other way round.
            assign: Whether they take the places of the parameters and buffers, with their own
                memory and types, instead of being copied.

        Returns:
            The names that were missing and that were not expected; both empty if ``strict``.

        Raises:
            TypeError: ``state_dict`` is no dict.
            RuntimeError: A shape is wrong, a value is no array, or with ``strict`` a name. All
                faults are listed, and nothing was copied.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(
                f"load_state_dict: takes a dict of tensors by their names, not "
                f"{type(state_dict).__name__}"
            )
        own = dict(self._state(only_saved=True))
        missing = [name for name in own if name not in state_dict]
        unexpected = [name for name in state_dict if name not in own]
        faults = [
            fault
            for name, tensor in own.items()
            if name in state_dict and (fault := _fault(name, tensor, state_dict[name]))
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
                if name not in state_dict:
                    continue
                if assign:
                    self._assign(name, tensor, state_dict[name])
                else:
                    tensor.copy_(state_dict[name])
        return LoadedKeys(missing, unexpected)

    def _assign(self, path: str, tensor: Tensor, value: Any) -> None:
        owner, _, name = path.rpartition(".")
        if isinstance(tensor, Parameter):
            value = Parameter(value, tensor.requires_grad)
        elif not isinstance(value, Tensor):
            value = as_tensor(value)
        setattr(self.get_submodule(owner), name, value)

    # --- Changing everything at once ------------------------------------------------------

    def train(self, mode: bool = True) -> Self:
        """Behave as in training from now on, here and below; see Dropout and BatchNorm1d.

        Raises:
            TypeError: ``mode`` is not a boolean.
        """
        if not isinstance(mode, bool | np.bool_):
            raise TypeError(f"train: mode is a boolean, not {mode!r:.80}")
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

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or with ``set_to_none=False`` make them zero."""
        for parameter in self.parameters():
            if set_to_none:
                parameter.grad = None
            elif parameter.grad is not None:
                if parameter.grad.node is not None:
                    parameter.grad = parameter.grad.detach()
                parameter.grad.zero_()

    def apply(self, fn: Callable[["Module"], object]) -> Self:
        """Call ``fn(module)`` for every module below, then for this one."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def to(
        self,
        *targets: Any,
        device: str | None = None,
        dtype: DTypeLike | None = None,
        non_blocking: bool = False,
    ) -> Self:
        """Move everything to another device, or convert floating parameters and buffers, in place.

        Gradients go along. An optimizer that was made before keeps what it has: make it afterwards.

        Args:
            targets: As in :func:`scratchgan.functions.to`: ``"cuda"``, ``sg.float64``, a tensor.
            device: The device, by keyword.
            dtype: The floating type, by keyword.
            non_blocking: PyTorch's; has no effect.

        Raises:
            TypeError: The type is not a floating one.
            BackendError: There is no such device; the message says why and what to do.
        """
        device, wanted = functions.destination(targets, device, dtype)
        if wanted is not None and wanted.kind != "f":
            raise TypeError(f"to: parameters are of floating types, not {wanted}")
        return self._convert(
            lambda x: x.to(device=device, dtype=wanted if x.dtype.kind == "f" else None)
        )

    def _convert(self, function: Callable[[Tensor], Tensor]) -> Self:
        """Give all parameters and buffers, and gradients, the memory of what they become."""
        with no_grad():
            for _, tensor in once(self._state()):
                moved = function(tensor)
                if moved is not tensor:
                    tensor.array = moved.array
                    tensor.mark_changed()
                    if tensor.grad is not None:
                        tensor.grad = function(tensor.grad)
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

    def type(self, dst_type: Any) -> Self:
        """Convert all parameters and buffers, those of integers too, in place."""
        return self._convert(lambda x: x.type(dst_type))

    # --- Showing it -----------------------------------------------------------------------

    def extra_repr(self) -> str:
        """The text between the parentheses of the representation; subclasses write it."""
        return ""

    def _get_name(self) -> str:
        return self.__class__.__name__

    def __repr__(self) -> str:
        lines = [f"({name}): {child!r}" for name, child in self.named_children()]
        extra = self.extra_repr()
        if not lines:
            return f"{self._get_name()}({extra})"
        body = textwrap.indent("\n".join(([extra] if extra else []) + lines), "  ")
        return f"{self._get_name()}(\n{body}\n)"


def _fault(name: str, tensor: Tensor, value: Any) -> str:
    """The fault of ``value`` in the place of ``tensor``, in words; empty if it fits."""
    if not hasattr(value, "shape"):
        return f"{name!r} is a {type(value).__name__}, expected a tensor or an array"
    if tuple(value.shape) != tensor.shape:
        return f"the shape of {name!r} is {tuple(value.shape)}, expected {tensor.shape}"
    return ""
