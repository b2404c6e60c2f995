"""Parameter: a tensor that is learned."""

from typing import Any

from scratchgan.autograd.tensor import Tensor
from scratchgan.creation import as_tensor


class Parameter(Tensor):
    """A tensor that a module learns: found by its module, and recorded unless told otherwise.

    Args:
        data: The first value, a tensor or an array; its memory is shared. None for no elements.
        requires_grad: Whether operations on it are recorded.
    """

    def __init__(self, data: Any = None, requires_grad: bool = True) -> None:
        value = as_tensor([] if data is None else data)
        super().__init__(value.array, requires_grad)
        self._version = value.version

    def __repr__(self) -> str:
        return "Parameter containing:\n" + super().__repr__()
