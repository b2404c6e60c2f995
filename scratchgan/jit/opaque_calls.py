"""Calls of a user's own code on arrays, as a recording takes them: each as a whole."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from scratchgan.backend import Array, Backend, opaque
from scratchgan.jit.context import JitError, unrecorded
from scratchgan.jit.record import Recording

#: Values of keywords that may be others later.
_CHANGEABLE = (list, dict, set, bytearray, np.ndarray)


@contextmanager
def opaque_calls_on(recording: Recording) -> Iterator[None]:
    """Within the ``with`` block, such calls of this context are written down."""
    token = opaque.recorder.set(_OpaqueCalls(recording))
    try:
        yield
    finally:
        opaque.recorder.reset(token)


class _OpaqueCalls:
    """The :class:`opaque.Recorder` of a recording."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording

    def call_new(
        self,
        name: str,
        function: Callable[..., Array],
        inputs: tuple[Any, ...],
        keywords: dict[str, Any],
    ) -> Array:
        """See :class:`opaque.Recorder`.

        Raises:
            JitError: It changes an input.
        """
        recording, kernels = self._recording, self._recording.backend
        keywords = {  # as they are now: the step may change a list that it gave
            key: copy.deepcopy(x) if isinstance(x, _CHANGEABLE) else x
            for key, x in keywords.items()
        }
        arrays = [x for x in inputs if hasattr(x, "dtype")]
        before = [kernels.to_host(x).tobytes() for x in arrays]
        with _whole(name):
            result = function(*inputs, **keywords)
        if before != [kernels.to_host(x).tobytes() for x in arrays]:
            raise JitError(
                f"jit: {name} changes its input, which a primitive must not; let it change a copy"
            )
        array = kernels.empty(result.shape, result.dtype, like=result)
        kernels.copy(result, out=array)
        recording.made(array)
        call = recording.call(name, inputs, (array,), keywords, takes_tuple=False)
        recording.calls.append(replace(call, function=_into_out(name, function, kernels)))
        return array

    def call_in_place(
        self,
        name: str,
        function: Callable[..., None],
        outs: tuple[Array, ...],
        keywords: dict[str, Any],
    ) -> None:
        """See :class:`opaque.Recorder`."""
        call = self._recording.call(name, (), outs, keywords, takes_tuple=True)
        with _whole(name):
            function(out=outs, **call.scalars)
        self._recording.calls.append(replace(call, function=function))


@contextmanager
def _whole(name: str) -> Iterator[None]:
    """Write down nothing in the ``with`` block, and refuse to be replayed if it fails."""
    try:
        with unrecorded():
            yield
    except Exception as error:
        # It is not raised, but noted in the context: the step may catch the error.
        JitError(
            f"jit: the step goes on after an error of {name}, which a replay cannot: {error!r}"
        )
        raise


def _into_out(name: str, function: Callable[..., Array], kernels: Backend) -> Callable[..., None]:
    """A function that gives a new array, as one that writes it into ``out``."""

    def into_out(*inputs: Any, out: Array, **keywords: Any) -> None:
        array = function(*inputs, **keywords)
        if (array.shape, array.dtype) != (out.shape, out.dtype):
            raise JitError(
                f"jit: {name} gives an array of shape {array.shape} and type {array.dtype}; when "
                f"it was recorded, it gave one of shape {out.shape} and type {out.dtype}. A "
                "primitive's shape and type follow from those of its inputs"
            )
        kernels.copy(array, out=out)

    return into_out
