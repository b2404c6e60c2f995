"""Tensors to Python's numbers, to text, and to other libraries."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from scratchgan import dtypes
from scratchgan.autograd.tensor import Tensor, method
from scratchgan.backend import Array, devices, kernels_for

# --- Python -----------------------------------------------------------------------------


@method("__repr__")
def to_text(x: Tensor) -> str:
    """The elements, and what else distinguishes the tensor, unless they tell it themselves."""
    values = np.array2string(numpy(x, force=True), separator=", ", prefix="tensor(")
    extra = "" if x.numel() or x.ndim < 2 else f", size={x.shape}"
    evident = (dtypes.int64, dtypes.bool_) if x.numel() else ()
    if x.dtype not in (dtypes.get_default_dtype(), *evident):
        extra += f", dtype={x.dtype}"
    if x.device != devices.CPU:
        extra += f", device={str(x.device)!r}"
    if x.node is not None:
        extra += f", node={x.node.name}"
    elif x.requires_grad:
        extra += ", requires_grad=True"
    return f"tensor({values}{extra})"


@method()
def item(x: Tensor) -> Any:
    """The only element as a Python number.

    Raises:
        ValueError: There is more or less than one element.
    """
    if x.numel() != 1:
        raise ValueError(f"item: a tensor of shape {x.shape} has {x.numel()} elements")
    return kernels_for[type(x.array)].to_host(x.array).item()


@method("__format__")
def formatted(x: Tensor, specification: str) -> str:
    """The only element in a format, as Python's numbers have it; any tensor without a format.

    Raises:
        TypeError: A format is given for more or less than one element.
    """
    if not specification:
        return to_text(x)
    if x.numel() != 1:
        raise TypeError(
            f"format: {specification!r} is for one number, not for a tensor of shape {x.shape}"
        )
    return format(item(x), specification)


@method("__float__")
def to_float(x: Tensor) -> float:
    """The only element as a float."""
    return float(item(x))


@method("__int__")
def to_int(x: Tensor) -> int:
    """The only element as an int, rounded towards zero."""
    return int(item(x))


@method("__bool__")
def to_bool(x: Tensor) -> bool:
    """Whether the only element is not zero."""
    if x.numel() != 1:
        raise ValueError(
            f"bool: a tensor of shape {x.shape} is neither true nor false; "
            "compare with .all() or .any()"
        )
    return bool(item(x))


@method("__index__")
def to_index(x: Tensor) -> int:
    """The only element, an integer, where Python needs an index."""
    if x.dtype.kind not in "iu" or x.numel() != 1:
        raise TypeError(f"index: a tensor of type {x.dtype} and shape {x.shape} is none")
    return int(item(x))


@method()
def tolist(x: Tensor) -> Any:
    """The elements as nested lists of Python numbers."""
    return numpy(x, force=True).tolist()


# --- Other libraries --------------------------------------------------------------------


@method()
def numpy(x: Tensor, force: bool = False) -> np.ndarray[Any, Any]:
    """The elements as a NumPy array that shares memory where that is possible.

    Raises:
        RuntimeError: The tensor requires a gradient, which NumPy would lose, and ``force``
            is False.
    """
    if x.requires_grad and not force:
        raise RuntimeError(
            "numpy: NumPy does not know gradients, and this tensor requires one; use "
            "tensor.detach().numpy()"
        )
    host: np.ndarray[Any, Any] = kernels_for[type(x.array)].to_host(x.array)
    return host


@method("__array__")
def to_array(x: Tensor, dtype: DTypeLike | None = None, copy: bool | None = None) -> Array:
    """The protocol of NumPy's ``asarray``."""
    return np.array(numpy(x), dtype=dtype, copy=copy)


@method("__dlpack__")
def to_dlpack(x: Tensor, **options: Any) -> Any:
    """The protocol of ``from_dlpack``."""
    if x.requires_grad:
        raise BufferError("dlpack: a tensor that requires a gradient; pass its detach()")
    return x.array.__dlpack__(**options)


@method("__dlpack_device__")
def to_dlpack_device(x: Tensor) -> Any:
    """Where DLPack finds the memory."""
    return x.array.__dlpack_device__()


def cuda_array_interface(x: Tensor) -> Any:
    """How other libraries see a tensor on a GPU; one on the CPU does not have it."""
    if x.requires_grad:
        raise AttributeError("a tensor that requires a gradient; pass its detach()")
    return x.array.__cuda_array_interface__


method("__cuda_array_interface__")(property(cuda_array_interface))
