"""While jit records: whether the function looks at the arrays of tensors, past the recording."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from scratchgan.autograd.tensor import Tensor, gradient_watch
from scratchgan.jit.context import JitError
from scratchgan.locks import new_lock

_PACKAGE = __name__.partition(".")[0]
_SLOT: Any = vars(Tensor)["array"]
_lock = new_lock()
_watching = 0


class _Watched:
    """Stands in the place of ``Tensor.array``, which is a plain slot for the sake of speed."""

    def __get__(self, tensor: Tensor | None, owner: type) -> Any:
        if tensor is None:
            return self
        _refuse_from_outside()
        return _SLOT.__get__(tensor, owner)

    def __set__(self, tensor: Tensor, array: Any) -> None:
        _refuse_from_outside()
        _SLOT.__set__(tensor, array)


def _refuse_from_outside() -> None:
    """Raise a JitError if other code than this package's is at it, in a context that records."""
    if gradient_watch.get() is None:
        return
    module = sys._getframe(2).f_globals.get("__name__", "")
    if module.partition(".")[0] != _PACKAGE:
        raise JitError(
            "jit: the step uses the array of a tensor: what NumPy reads or changes there is not "
            "recorded. Use functions of tensors, or copy_() within no_grad()"
        )


@contextmanager
def arrays_watched() -> Iterator[None]:
    """Within the ``with`` block a function that jit records may not look at arrays."""
    global _watching
    with _lock:
        _watching += 1
        Tensor.array = _Watched()
    try:
        yield
    finally:
        with _lock:
            _watching -= 1
            if not _watching:
                Tensor.array = _SLOT
