"""Functions that make tensors, under PyTorch's names."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from scratchgan import dtypes
from scratchgan.autograd import Taped
from scratchgan.backend import Array, Backend, kernels_for
from scratchgan.random import Generator, default_generator
from scratchgan.tensor import Tensor


def _host() -> Backend:
    return kernels_for[np.ndarray]


def tensor(data: Any, dtype: DTypeLike | None = None, requires_grad: bool = False) -> Tensor:
    """A tensor that holds a copy of ``data``: numbers, nested lists, an array or a tensor.

    Python floats become the default floating type, integers int64; arrays keep their type.

    Raises:
        TypeError: ``data`` is ragged, or its elements are not numbers.
    """
    if isinstance(data, Taped):
        data = data.data
    if type(data) in kernels_for and dtype is None:
        dtype = data.dtype
    return Tensor(_host().from_host(_as_host(data, dtype)), requires_grad)


def _as_host(data: Any, dtype: DTypeLike | None) -> Array:
    try:
        array = np.asarray(data)
    except ValueError as error:
        raise TypeError(f"tensor: the nested lists are ragged: {error}") from error
    if array.dtype.kind not in "biuf":
        raise TypeError(f"tensor: elements of type {array.dtype} are not real numbers")
    if dtype is None:
        is_python = not isinstance(data, np.ndarray | np.generic)
        dtype = dtypes.get_default_dtype() if is_python and array.dtype.kind == "f" else array.dtype
    return array.astype(dtype, copy=False)


def from_numpy(array: np.ndarray[Any, Any]) -> Tensor:
    """A tensor that shares the memory of ``array``.

    Raises:
        TypeError: ``array`` is no NumPy array of real numbers.
    """
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf":
        raise TypeError(f"from_numpy: expected a NumPy array of real numbers, got {array!r:.80}")
    return Tensor(np.asarray(array))


def as_tensor(data: Any, dtype: DTypeLike | None = None) -> Tensor:
    """``data`` as a tensor, without a copy where its memory can be shared."""
    if isinstance(data, Tensor):
        return data if dtype is None else data.to(dtype)
    if isinstance(data, np.ndarray) and dtype in (None, data.dtype):
        return from_numpy(data)
    return tensor(data, dtype)


def from_dlpack(source: Any) -> Tensor:
    """A tensor that shares the memory of another library's array, through DLPack."""
    return Tensor(np.from_dlpack(source))


def _shape(name: str, shape: tuple[Any, ...]) -> tuple[int, ...]:
    sizes = tuple(shape[0]) if len(shape) == 1 and isinstance(shape[0], Sequence) else shape
    if not all(isinstance(size, int | np.integer) and size >= 0 for size in sizes):
        raise TypeError(f"{name}: a shape is made of integers from 0 on, not {sizes}")
    return sizes


def _filled(
    name: str, shape: tuple[Any, ...], value: float, dtype: DTypeLike | None, requires_grad: bool
) -> Tensor:
    out = _host().empty(_shape(name, shape), dtype or dtypes.get_default_dtype())
    _host().fill(value, out=out)
    return Tensor(out, requires_grad)


def zeros(*shape: Any, dtype: DTypeLike | None = None, requires_grad: bool = False) -> Tensor:
    """Zeros."""
    return _filled("zeros", shape, 0, dtype, requires_grad)


def ones(*shape: Any, dtype: DTypeLike | None = None, requires_grad: bool = False) -> Tensor:
    """Ones."""
    return _filled("ones", shape, 1, dtype, requires_grad)


def full(
    shape: Sequence[int], value: float, dtype: DTypeLike | None = None, requires_grad: bool = False
) -> Tensor:
    """A tensor with every element ``value``; its type is that of the number."""
    return _filled("full", tuple(shape), value, dtype or dtypes.of_number(value), requires_grad)


def empty(*shape: Any, dtype: DTypeLike | None = None, requires_grad: bool = False) -> Tensor:
    """A tensor whose elements are whatever its memory held before."""
    out = _host().empty(_shape("empty", shape), dtype or dtypes.get_default_dtype())
    return Tensor(out, requires_grad)


def zeros_like(x: Tensor, dtype: DTypeLike | None = None) -> Tensor:
    """Zeros of the shape and type of ``x``."""
    return full_like(x, 0, dtype)


def ones_like(x: Tensor, dtype: DTypeLike | None = None) -> Tensor:
    """Ones of the shape and type of ``x``."""
    return full_like(x, 1, dtype)


def full_like(x: Tensor, value: float, dtype: DTypeLike | None = None) -> Tensor:
    """A tensor of the shape and type of ``x`` with every element ``value``."""
    kernels = kernels_for[type(x.data)]
    out = kernels.empty(x.shape, dtype or x.dtype, like=x.data)
    kernels.fill(value, out=out)
    return Tensor(out)


def arange(
    start: float, stop: float | None = None, step: float = 1, dtype: DTypeLike | None = None
) -> Tensor:
    """``start, start + step, ...`` up to but without ``stop``; ``arange(n)`` counts from 0.

    int64 if all three are integers, else the default floating type.
    """
    first, end = (0, start) if stop is None else (start, stop)
    numbers = np.arange(first, end, step)
    own = dtypes.int64 if numbers.dtype.kind == "i" else dtypes.get_default_dtype()
    return tensor(numbers, dtype or own)


def linspace(start: float, stop: float, steps: int, dtype: DTypeLike | None = None) -> Tensor:
    """``steps`` numbers evenly spaced from ``start`` to ``stop``, both included."""
    return tensor(np.linspace(start, stop, steps), dtype or dtypes.get_default_dtype())


def eye(n: int, m: int | None = None, dtype: DTypeLike | None = None) -> Tensor:
    """Ones on the diagonal of an (n, m) matrix of zeros; square by default."""
    return tensor(np.eye(n, m), dtype or dtypes.get_default_dtype())


def rand(
    *shape: Any,
    dtype: DTypeLike | None = None,
    requires_grad: bool = False,
    generator: Generator | None = None,
) -> Tensor:
    """Uniform random numbers in [0, 1)."""
    out = empty(*shape, dtype=dtype)
    _host().uniform((generator or default_generator).state, out=out.data)
    return out.requires_grad_(requires_grad)


def randn(
    *shape: Any,
    dtype: DTypeLike | None = None,
    requires_grad: bool = False,
    generator: Generator | None = None,
) -> Tensor:
    """Standard normal random numbers."""
    out = empty(*shape, dtype=dtype)
    _host().normal((generator or default_generator).state, out=out.data)
    return out.requires_grad_(requires_grad)


def randint(
    low: int, high: int, shape: Sequence[int], generator: Generator | None = None
) -> Tensor:
    """Uniform random integers ``low <= n < high``, int64."""
    draws = rand(*shape, dtype=dtypes.float64, generator=generator)
    return (draws * (high - low)).to(dtypes.int64) + low
