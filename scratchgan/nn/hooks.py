"""Hooks of modules: functions that see, and may replace, what goes into a module and comes out."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from scratchgan.autograd.hooks import HookHandle
from scratchgan.autograd.tensor import clock


class Registered(NamedTuple):
    """A hook, and whether it is called with the keywords of the call too."""

    function: Callable[..., Any]
    with_kwargs: bool


#: When a hook is called: before a module's forward or after it, when the gradients of its outputs
#: are known ("backward_pre"), or those of its inputs too.
Kind = Literal["forward_pre", "forward", "backward_pre", "backward"]

#: The hooks of a module by their keys, in the order in which they are called.
Hooks = OrderedDict[int, Registered]


def register(
    hooks: Hooks, function: Callable[..., Any], prepend: bool, with_kwargs: bool
) -> HookHandle:
    """Add a hook, in front of the others or behind them; the result takes it away again."""
    key = next(clock)
    hooks[key] = Registered(function, with_kwargs)
    if prepend:
        hooks.move_to_end(key, last=False)
    return HookHandle(hooks, key)  # type: ignore[arg-type]


def before_forward(
    module: Any, hooks: Hooks, inputs: tuple[Any, ...], keywords: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a call as the hooks before it leave them.

    Raises:
        TypeError: A hook that sees the keywords returned something else than both.
    """
    for hook in list(hooks.values()):
        if not hook.with_kwargs:
            found = hook.function(module, inputs)
            if found is not None:
                inputs = found if isinstance(found, tuple) else (found,)
            continue
        found = hook.function(module, inputs, keywords)
        if found is None:
            continue
        if not isinstance(found, tuple) or len(found) != 2:
            raise TypeError(
                "register_forward_pre_hook: with with_kwargs a hook returns None or a tuple of the "
                f"new arguments and the new keywords, not {type(found).__name__}"
            )
        inputs, keywords = found
    return inputs, keywords


def after_forward(
    module: Any, hooks: Hooks, inputs: tuple[Any, ...], keywords: dict[str, Any], result: Any
) -> Any:
    """The result of a call as the hooks after it leave it."""
    for hook in list(hooks.values()):
        given = (inputs, keywords) if hook.with_kwargs else (inputs,)
        found = hook.function(module, *given, result)
        if found is not None:
            result = found
    return result
