"""Words of PyTorch's first years, which teaching code still has: Variable, FloatTensor, ..."""

import operator
from typing import Any

from scratchgan import autograd, cuda, dtypes
from scratchgan.autograd.tensor import Tensor
from scratchgan.creation import as_tensor, empty


def Variable(data: Tensor, requires_grad: bool = False) -> Tensor:
    """``data`` itself, of which operations are recorded if ``requires_grad``.

    It is what tensors that require gradients once were.
    """
    return data.requires_grad_() if requires_grad else data


class TensorType:
    """Makes tensors of one type on one device, as ``FloatTensor(2, 3)`` does.

    Args:
        dtype: Of the elements.
        device: Where they lie.
    """

    def __init__(self, dtype: dtypes.DType, device: str = "cpu") -> None:
        self.dtype = dtype
        self.device = device

    def __call__(self, *data: Any) -> Tensor:
        """A tensor of nested lists, an array or a tensor; or, of sizes, with any elements."""
        try:
            sizes = [operator.index(size) for size in data]
        except TypeError:
            (only,) = data
            return as_tensor(only, self.dtype, device=self.device)
        return empty(*sizes or (0,), dtype=self.dtype, device=self.device)


FloatTensor = TensorType(dtypes.float32)
DoubleTensor = TensorType(dtypes.float64)
LongTensor = TensorType(dtypes.int64)
IntTensor = TensorType(dtypes.int32)
ShortTensor = TensorType(dtypes.int16)
CharTensor = TensorType(dtypes.int8)
ByteTensor = TensorType(dtypes.uint8)
BoolTensor = TensorType(dtypes.bool_)


def _attach() -> None:
    """The words where PyTorch has them: ``autograd.Variable``, ``cuda.FloatTensor``, ..."""
    autograd.Variable = Variable  # type: ignore[attr-defined]
    for name, dtype in dtypes.TENSOR_TYPES.items():
        setattr(cuda, name, TensorType(dtype, "cuda"))


_attach()
