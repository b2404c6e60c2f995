"""Backward hooks of a module: functions that see the gradients of what went in and what came out.

What goes into the module passes through a Function that gives it on as it is, and so does what
comes out. The backward pass comes to the outputs' Function first, which keeps their gradients, and
to that of the inputs when all of the module's is done: then both are known.
"""

import warnings
from collections.abc import Callable, Iterable
from typing import Any

from scratchgan.autograd import Function, is_grad_enabled
from scratchgan.autograd.tensor import Tensor
from scratchgan.backend import devices
from scratchgan.nn.hooks import Hooks

Gradients = tuple[Tensor | None, ...]


class BackwardHooks(Function):
    """Tensors as they are; ``seen`` gets their gradients, and gives what takes their places.

    Where there is no gradient, it is zero for an input of the module and None for an output, as in
    PyTorch.
    """

    @staticmethod
    def forward(
        ctx: Any, seen: Callable[[Gradients], Gradients], are_inputs: bool, *tensors: Tensor
    ) -> Any:
        """The tensors."""
        ctx.seen = seen
        ctx.set_materialize_grads(are_inputs)
        ctx.mark_non_differentiable(*[x for x in tensors if not x.requires_grad])
        return tensors

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        """The gradients that the hooks returned."""
        return None, None, *ctx.seen(gradients)


class Passage:
    """One call of a module that has backward hooks.

    Args:
        module: The module.
        hooks: Those that see the gradients of inputs and outputs.
        pre_hooks: Those that see the gradients of the outputs, before they go back.
    """

    def __init__(self, module: Any, hooks: Hooks | None, pre_hooks: Hooks | None) -> None:
        self.module = module
        self.hooks = [hook.function for hook in (hooks or {}).values()]
        self.pre_hooks = [hook.function for hook in (pre_hooks or {}).values()]
        self.grad_outputs: Gradients | None = None  # between the outputs and the inputs
        self.input_count = 0
        self.tensors_in: list[int] | None = None
        self.output_count = 0
        self.tensors_out: list[int] | None = None

    def enter(self, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        """The module's inputs by position, for its ``forward``."""
        self.input_count = len(inputs)
        inputs, self.tensors_in = _passed(inputs, self._at_the_inputs, True)
        return inputs

    def leave(self, result: Any) -> Any:
        """The module's result, for its caller."""
        if not isinstance(result, Tensor | tuple):
            warnings.warn(
                f"{type(self.module).__name__}: backward hooks are called where a module returns a "
                f"tensor or a tuple, not {type(result).__name__}",
                stacklevel=3,
            )
            return result
        outputs = result if isinstance(result, tuple) else (result,)
        self.output_count = len(outputs)
        passed, self.tensors_out = _passed(outputs, self._at_the_outputs, False)
        return passed if isinstance(result, tuple) else passed[0]

    def _at_the_outputs(self, gradients: Gradients) -> Gradients:
        assert self.tensors_out is not None
        known = _in_their_places(self.tensors_out, gradients, self.output_count)
        for hook in self.pre_hooks:
            known = self._replaced(hook, known, hook(self.module, known))
        self.grad_outputs = known
        if self.tensors_in is None:  # no gradient will come to the inputs
            self._at_the_inputs(())
        return tuple([known[position] for position in self.tensors_out])

    def _at_the_inputs(self, gradients: Gradients) -> Gradients:
        # In a second derivative gradients come to the inputs past the outputs.
        if self.grad_outputs is None:
            return gradients
        positions = self.tensors_in or []
        known = _in_their_places(positions, gradients, self.input_count)
        for hook in self.hooks:
            known = self._replaced(hook, known, hook(self.module, known, self.grad_outputs))
        self.grad_outputs = None
        return tuple([known[position] for position in positions])

    def _replaced(self, hook: Callable[..., Any], known: Gradients, found: Any) -> Gradients:
        """The gradients after a hook that returned ``found``."""
        if found is None:
            return known
        gradients: Gradients = (found,) if isinstance(found, Tensor) else tuple(found)
        name = getattr(hook, "__qualname__", type(hook).__name__)
        of = f"{type(self.module).__name__}: the backward hook {name}"
        if len(gradients) != len(known):
            raise RuntimeError(
                f"{of} returned {len(gradients)} gradients in the place of {len(known)}; return "
                "one for each, or None"
            )
        for position, (before, after) in enumerate(zip(known, gradients, strict=True)):
            if (before is None) != (after is None):
                raise RuntimeError(
                    f"{of} returned {'a gradient' if before is None else 'None'} at {position}, "
                    f"where there is {'none' if before is None else 'one'}"
                )
            if before is None or after is None:
                continue
            difference = devices.difference(before.array, after.array)
            if difference:
                raise RuntimeError(
                    f"{of} must return gradients like those that it was given, but at {position} "
                    f"returned {difference}"
                )
        return gradients


def _passed(
    values: tuple[Any, ...], seen: Callable[[Gradients], Gradients], are_inputs: bool
) -> tuple[tuple[Any, ...], list[int] | None]:
    """The values, and where tensors are among them; None if no gradient will come to them."""
    positions = [i for i, x in enumerate(values) if isinstance(x, Tensor)]
    tensors = [values[i] for i in positions]
    if not (is_grad_enabled() and any(x.requires_grad for x in tensors)):
        return values, None
    passed = list(values)
    for position, x in zip(positions, BackwardHooks.apply(seen, are_inputs, *tensors), strict=True):
        passed[position] = x
    return tuple(passed), positions


def _in_their_places(positions: Iterable[int], gradients: Gradients, count: int) -> Gradients:
    """Gradients of tensors, with None for each value that is no tensor."""
    found: list[Tensor | None] = [None] * count
    for position, gradient in zip(positions, gradients, strict=True):
        found[position] = gradient
    return tuple(found)
