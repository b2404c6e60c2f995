"""Hooks: functions that see a gradient when it arrives, and may replace it."""

import weakref

from scratchgan.autograd.tape import Node, TapeError, edge_of
from scratchgan.autograd.tensor import Hook, Tensor, clock, method
from scratchgan.backend import devices


def call_hooks(hooks: dict[int, Hook], gradient: Tensor) -> Tensor:
    """The gradient that ``hooks`` make of ``gradient``, in their order; it is kept as it is then.

    Raises:
        TypeError: A hook returned neither a tensor nor None.
        TapeError: It returned a gradient of another shape, type or device.
    """
    for hook in sorted(hooks.values(), key=lambda hook: isinstance(hook, Retained)):
        changed = hook(gradient)
        if changed is None:
            continue
        name = getattr(hook, "__qualname__", type(hook).__name__)
        if not isinstance(changed, Tensor):
            raise TypeError(
                f"backward: the hook {name} returned {type(changed).__name__}; a hook returns a "
                "gradient like the one that it was given, or None"
            )
        difference = devices.difference(gradient.array, changed.array)
        if difference:
            raise TapeError(
                f"backward: the hook {name} must return a gradient like the one that it was given, "
                f"but returned {difference}"
            )
        gradient = changed
    return gradient


class HookHandle:
    """Returned by :func:`register_hook`; :meth:`remove` takes the hook away again."""

    def __init__(self, hooks: dict[int, Hook], key: int) -> None:
        self._hooks = hooks
        self._key = key

    def remove(self) -> None:
        """Take the hook away; a second call does nothing."""
        self._hooks.pop(self._key, None)


@method()
def register_hook(tensor: Tensor, hook: Hook) -> HookHandle:
    """Call ``hook(gradient)`` whenever the gradient of ``tensor`` is known.

    What the hook returns, if anything, replaces the gradient.

    Raises:
        TapeError: ``tensor`` requires no gradient.
    """
    edge = edge_of(tensor)
    if edge is None:
        raise TapeError("register_hook: the tensor does not require a gradient")
    hooks = edge.hooks = {} if edge.hooks is None else edge.hooks
    key = next(clock)
    hooks[key] = hook
    return HookHandle(hooks, key)


class Retained:
    """The hook of a tensor that has its gradient kept."""

    def __init__(self, tensor: "weakref.ref[Tensor]") -> None:
        self._tensor = tensor  # the node must not keep its own result alive

    def __call__(self, gradient: Tensor) -> None:
        """Add what came to what is kept."""
        kept = self._tensor()
        if kept is not None:
            kept.grad = gradient.clone() if kept.grad is None else kept.grad + gradient


@method()
def retain_grad(tensor: Tensor) -> None:
    """Keep the gradient in ``grad`` in each backward, though the tensor is no leaf.

    It is what hooks have made of it, also those that are registered later.

    Raises:
        TapeError: The tensor does not require a gradient.
    """
    if not tensor.requires_grad:
        raise TapeError("retain_grad: the tensor does not require a gradient")
    if tensor.node is None:
        return
    stop_retaining(tensor.node)
    register_hook(tensor, Retained(weakref.ref(tensor)))


def stop_retaining(node: Node) -> bool:
    """Keep the gradient that comes to ``node`` no more; whether it would have been."""
    hooks = node.hooks or {}
    retained = [key for key, hook in hooks.items() if isinstance(hook, Retained)]
    for key in retained:
        del hooks[key]
    return bool(retained)
