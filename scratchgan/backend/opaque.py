"""Functions on arrays that are no kernels: of primitives and optimizers outside of this package.

They may do anything with arrays, of which jit sees nothing. So it writes a call of one down as a
whole, and a replay makes that call again.
"""

import functools
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import numpy as np

from scratchgan.backend import Array, kernels_for

_PACKAGE = __name__.partition(".")[0]

#: Has the arguments of :func:`call`, which it makes in the current context and writes down.
Recorder = Callable[
    [str, Callable[..., Any], tuple[Any, ...], tuple[Array, ...], dict[str, Any]], Any
]

#: The recorder of the current context, or None.
recorder: ContextVar[Recorder | None] = ContextVar("recorder", default=None)


def is_own(function: Callable[..., Any]) -> bool:
    """Whether a function is of this package, and computes by kernels alone."""
    return function.__module__.partition(".")[0] == _PACKAGE


def call(
    name: str,
    function: Callable[..., Any],
    inputs: tuple[Any, ...],
    outs: tuple[Array, ...],
    keywords: dict[str, Any],
) -> Any:
    """Call a function that is not of this package.

    Args:
        name: Its name, in full.
        function: Gives a new array, or changes those of its keyword ``out``.
        inputs: Arrays, and numbers.
        outs: The arrays that are changed; none for a function that gives a new one.
        keywords: All others.
    """
    record = recorder.get()
    if record is not None:
        return record(name, function, inputs, outs, keywords)
    return function(*inputs, out=outs, **keywords) if outs else function(*inputs, **keywords)


def forward_of(forward: Callable[..., Array]) -> Callable[..., Array]:
    """The forward of a primitive as it is called: one of other code as a whole.

    Raises:
        TypeError: Later, in a call: it gives something else than an array.
    """
    if is_own(forward):
        return forward
    name = f"{forward.__module__}.{forward.__qualname__}"

    def array_of(*inputs: Any, **keywords: Any) -> Array:
        array = forward(*inputs, **keywords)
        if isinstance(array, np.ndarray | np.generic):  # NumPy's sum of all elements is a number
            return np.asarray(array)
        if type(array) in kernels_for:
            return array
        raise TypeError(
            f"{forward.__name__}: the forward gives an array, not {type(array).__name__}; "
            "make one with numpy.asarray"
        )

    @functools.wraps(forward)
    def computed(*inputs: Any, **keywords: Any) -> Array:
        return call(name, array_of, inputs, (), keywords)

    return computed
