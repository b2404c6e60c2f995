"""Calls of a user's own code on arrays: the forward of a primitive, the update of an optimizer.

It may compute with NumPy, of which jit sees nothing. So jit writes such a call down as a whole, and
a replay makes it again.
"""

import functools
from collections.abc import Callable
from contextvars import ContextVar
from types import FunctionType
from typing import Any, Protocol

import numpy as np

from scratchgan.backend import Array, is_own, kernels_for


class Recorder(Protocol):
    """Makes these calls in a context that jit records, and writes them down under their names."""

    def call_new(
        self,
        name: str,
        function: Callable[..., Array],
        inputs: tuple[Any, ...],
        keywords: dict[str, Any],
    ) -> Array:
        """Call a function of arrays and numbers that gives a new array."""

    def call_in_place(
        self,
        name: str,
        function: Callable[..., None],
        outs: tuple[Array, ...],
        keywords: dict[str, Any],
    ) -> None:
        """Call a function that changes the arrays in its keyword ``out``."""


#: The recorder of the current context, or None.
recorder: ContextVar[Recorder | None] = ContextVar("recorder", default=None)


def call_in_place(
    name: str, function: Callable[..., None], outs: tuple[Array, ...], keywords: dict[str, Any]
) -> None:
    """Call ``function``, of a user's, to change ``outs``, which it takes as ``out``."""
    recording = recorder.get()
    if recording is None:
        function(out=outs, **keywords)
    else:
        recording.call_in_place(name, function, outs, keywords)


def forward_of(forward: Callable[..., Array]) -> Callable[..., Array]:
    """The function that a primitive calls for ``forward``: itself, or one that tells a recorder.

    For a user's ``forward`` it gives a new array whatever that gives, NumPy's numbers and views of
    the inputs included, and raises a TypeError where it gives no array.

    Raises:
        TypeError: ``forward`` is not written in Python.
    """
    if not isinstance(forward, FunctionType):
        raise TypeError(
            f"primitive: the forward is a function written in Python, for its parameters become "
            f"the primitive's, not {forward!r}; write one that calls it"
        )
    if is_own(forward):
        return forward
    name = f"{forward.__module__}.{forward.__qualname__}"

    def new_array(*inputs: Any, **keywords: Any) -> Array:
        found = forward(*inputs, **keywords)
        # NumPy gives a number for the sum of all elements.
        array = np.asarray(found) if isinstance(found, np.ndarray | np.generic) else found
        if type(array) is not np.ndarray and type(array) not in kernels_for:
            raise TypeError(
                f"{forward.__name__}: the forward gives an array, not {type(found).__name__}; "
                "make one with numpy.asarray"
            )
        kernels = kernels_for[type(array)]
        memory = kernels.memory(array)[0]
        if any(memory is kernels.memory(x)[0] for x in inputs if type(x) is type(array)):
            out = kernels.empty(array.shape, array.dtype, like=array)
            kernels.copy(array, out=out)
            return out
        return array

    @functools.wraps(forward)
    def call(*inputs: Any, **keywords: Any) -> Array:
        recording = recorder.get()
        if recording is None:
            return new_array(*inputs, **keywords)
        return recording.call_new(name, new_array, inputs, keywords)

    return call
