"""Functions that make tensors, under PyTorch's names.

In all of them ``dtype`` is the type of the elements, ``device`` where they lie (``"cpu"``, the
default, ``"cuda"``, ``"cuda:1"``), and ``requires_grad`` whether operations on them are recorded.
A device that is not there raises a BackendError that says why and what to do.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from scratchgan import dtypes
from scratchgan.autograd.tensor import Tensor, method
from scratchgan.backend import Array, devices, kernels_for
from scratchgan.random import Generator, default_generator


def tensor(
    data: Any,
    dtype: DTypeLike | None = None,
    requires_grad: bool = False,
    *,
    device: str | None = None,
) -> Tensor:
    """A tensor that holds a copy of ``data``: numbers, nested lists, an array or a tensor.

    Python floats become the default floating type, integers int64; arrays keep their type.

    It lies where ``data`` does, unless ``device`` says otherwise.

    Raises:
        TypeError: ``data`` is ragged, or its elements are not numbers.
    """
    data = data.array if isinstance(data, Tensor) else data
    on_gpu = devices.shared(data)
    if on_gpu is not None:
        target = devices.device_of(on_gpu) if device is None else devices.full_name(device)
        copy = Tensor(devices.moved(on_gpu, target))
        return (copy if dtype is None else copy.to(dtype)).requires_grad_(requires_grad)
    if type(data) in kernels_for and dtype is None:
        dtype = data.dtype
    with devices.at(device) as kernels:
        return Tensor(kernels.from_host(_as_host(data, dtype)), requires_grad)


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
    return _sharing(np.asarray(array))


def as_tensor(data: Any, dtype: DTypeLike | None = None, *, device: str | None = None) -> Tensor:
    """``data`` as a tensor, without a copy where its memory can be shared.

    Arrays of other libraries on a GPU come through ``__cuda_array_interface__``.
    """
    on_gpu = None if isinstance(data, Tensor) else devices.shared(data)
    if isinstance(data, Tensor):
        result = data
    elif on_gpu is not None:
        result = _sharing(on_gpu)
    elif isinstance(data, np.ndarray):
        result = from_numpy(data)
    else:
        return tensor(data, dtype, device=device)
    return result.to(dtype=dtype, device=device)


def from_dlpack(source: Any) -> Tensor:
    """A tensor that shares the memory of another library's array, through DLPack."""
    return _sharing(devices.from_dlpack(source))


def _sharing(array: Array) -> Tensor:
    """A tensor in the memory of an array that someone else has."""
    tensor = Tensor(array)
    tensor.may_alias = True
    return tensor


def _shape(name: str, shape: tuple[Any, ...]) -> tuple[int, ...]:
    sizes = tuple(shape[0]) if len(shape) == 1 and isinstance(shape[0], Sequence) else shape
    if not all(isinstance(size, int | np.integer) and size >= 0 for size in sizes):
        raise TypeError(f"{name}: a shape is made of integers from 0 on, not {sizes}")
    return sizes


def _filled(
    name: str,
    shape: tuple[Any, ...],
    value: float,
    dtype: DTypeLike | None,
    requires_grad: bool,
    device: str | None,
) -> Tensor:
    with devices.at(device) as kernels:
        out = kernels.empty(_shape(name, shape), dtype or dtypes.get_default_dtype())
        kernels.fill(value, out=out)
    return Tensor(out, requires_grad)


def zeros(
    *shape: Any,
    dtype: DTypeLike | None = None,
    requires_grad: bool = False,
    device: str | None = None,
) -> Tensor:
    """Zeros."""
    return _filled("zeros", shape, 0, dtype, requires_grad, device)


def ones(
    *shape: Any,
    dtype: DTypeLike | None = None,
    requires_grad: bool = False,
    device: str | None = None,
) -> Tensor:
    """Ones."""
    return _filled("ones", shape, 1, dtype, requires_grad, device)


def full(
    shape: Sequence[int],
    value: float,
    dtype: DTypeLike | None = None,
    requires_grad: bool = False,
    device: str | None = None,
) -> Tensor:
    """A tensor with every element ``value``; its type is that of the number."""
    dtype = dtype or dtypes.of_number(value)
    return _filled("full", tuple(shape), value, dtype, requires_grad, device)


def empty(
    *shape: Any,
    dtype: DTypeLike | None = None,
    requires_grad: bool = False,
    device: str | None = None,
) -> Tensor:
    """A tensor whose elements are whatever its memory held before."""
    with devices.at(device) as kernels:
        out = kernels.empty(_shape("empty", shape), dtype or dtypes.get_default_dtype())
    return Tensor(out, requires_grad)


def zeros_like(x: Tensor, dtype: DTypeLike | None = None) -> Tensor:
    """Zeros of the shape and type of ``x``."""
    return full_like(x, 0, dtype)


@method()
def ones_like(x: Tensor, dtype: DTypeLike | None = None) -> Tensor:
    """Ones of the shape and type of ``x``."""
    return full_like(x, 1, dtype)


def full_like(x: Tensor, value: float, dtype: DTypeLike | None = None) -> Tensor:
    """A tensor of the shape and type of ``x`` with every element ``value``."""
    kernels = kernels_for[type(x.array)]
    out = kernels.empty(x.shape, dtype or x.dtype, like=x.array)
    kernels.fill(value, out=out)
    return Tensor(out)


def arange(
    start: float,
    stop: float | None = None,
    step: float = 1,
    dtype: DTypeLike | None = None,
    device: str | None = None,
) -> Tensor:
    """``start, start + step, ...`` up to but without ``stop``; ``arange(n)`` counts from 0.

    int64 if all three are integers, else the default floating type.
    """
    first, end = (0, start) if stop is None else (start, stop)
    numbers = np.arange(first, end, step)
    own = dtypes.int64 if numbers.dtype.kind == "i" else dtypes.get_default_dtype()
    return tensor(numbers, dtype or own, device=device)


def linspace(
    start: float,
    stop: float,
    steps: int,
    dtype: DTypeLike | None = None,
    device: str | None = None,
) -> Tensor:
    """``steps`` numbers evenly spaced from ``start`` to ``stop``, both included."""
    numbers = np.linspace(start, stop, steps)
    return tensor(numbers, dtype or dtypes.get_default_dtype(), device=device)


def eye(
    n: int, m: int | None = None, dtype: DTypeLike | None = None, device: str | None = None
) -> Tensor:
    """Ones on the diagonal of an (n, m) matrix of zeros; square by default."""
    return tensor(np.eye(n, m), dtype or dtypes.get_default_dtype(), device=device)


def rand(
    *shape: Any,
    dtype: DTypeLike | None = None,
    requires_grad: bool = False,
    generator: Generator | None = None,
    device: str | None = None,
) -> Tensor:
    """Uniform random numbers in [0, 1), the same on every device."""
    return _drawn("uniform", shape, dtype, requires_grad, generator, device)


def randn(
    *shape: Any,
    dtype: DTypeLike | None = None,
    requires_grad: bool = False,
    generator: Generator | None = None,
    device: str | None = None,
) -> Tensor:
    """Standard normal random numbers, the same on every device."""
    return _drawn("normal", shape, dtype, requires_grad, generator, device)


def _drawn(
    kernel: str,
    shape: tuple[Any, ...],
    dtype: DTypeLike | None,
    requires_grad: bool,
    generator: Generator | None,
    device: str | None,
) -> Tensor:
    out = empty(*shape, dtype=dtype, device=device)
    draw = getattr(kernels_for[type(out.array)], kernel)
    draw((generator or default_generator).state, out=out.array)
    return out.requires_grad_(requires_grad)


def randint(
    low: int,
    high: int,
    shape: Sequence[int],
    generator: Generator | None = None,
    device: str | None = None,
) -> Tensor:
    """Uniform random integers ``low <= n < high``, int64."""
    draws = rand(*shape, dtype=dtypes.float64, generator=generator, device=device)
    return (draws * (high - low)).to(dtypes.int64) + low
