"""New tensors, constant to the tape, that lie where another lies."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from scratchgan import dtypes
from scratchgan.autograd.arguments import checked
from scratchgan.autograd.tensor import Tensor
from scratchgan.backend import kernels_for
from scratchgan.dtypes import DType


@checked
def converted(name: str, x: Tensor, dtype: Any, kinds: str = "biuf") -> Tensor:
    """``x`` with elements of the type that the caller of ``name`` asks for; of None, itself.

    ``kinds``: as of :func:`scratchgan.dtypes.of`.
    """
    result: Tensor = x if dtype is None else x.to(dtypes.of(name, dtype, kinds=kinds))
    return result


def filled(like: Tensor, shape: Sequence[int], value: float, dtype: DType | None = None) -> Tensor:
    """``value`` in every place of a shape, of the type of ``like`` unless another is given."""
    kernels = kernels_for[type(like.array)]
    out = kernels.empty(tuple(shape), dtype or like.dtype, like=like.array)
    kernels.fill(value, out=out)
    return Tensor(out)


@checked
def from_host(like: Tensor, values: Any, dtype: DType | None = None) -> Tensor:
    """A number, lists or an array of NumPy's, of the type of ``like`` unless another is given."""
    if isinstance(values, int | float):
        return filled(like, (), values, dtype)
    kernels = kernels_for[type(like.array)]
    return Tensor(kernels.from_host(values, dtype or like.dtype, like=like.array))


def places_beside(like: Tensor, places: np.ndarray[Any, Any]) -> Tensor:
    """Integers to index with, which follow from shapes and numbers alone: under jit a constant."""
    kernels = kernels_for[type(like.array)]
    return Tensor(kernels.constant(places, dtypes.int64, like=like.array))
