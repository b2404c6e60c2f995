"""Functions that make tensors, under PyTorch's names.

``size`` is integers one by one, ``zeros(2, 3)``, or together, ``zeros((2, 3))`` and
``zeros(size=(2, 3))``. ``dtype`` is the type of the elements, ``device`` where they lie (``"cpu"``,
the default, ``"cuda"``, ``"cuda:1"``), and ``requires_grad`` whether operations on them are
recorded. A device that is not there raises a BackendError that says why and what to do.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from scratchgan import dtypes
from scratchgan.autograd.arguments import checked, may_be_named
from scratchgan.autograd.tensor import Tensor, method
from scratchgan.backend import Array, devices, kernels_for


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
        if is_python and array.dtype == np.uint64:
            raise TypeError(f"tensor: {array.max()} is beyond int64; give a dtype")
        dtype = dtypes.get_default_dtype() if is_python and array.dtype.kind == "f" else array.dtype
    return array.astype(dtypes.of("tensor", dtype), copy=False)


def from_numpy(array: np.ndarray[Any, Any]) -> Tensor:
    """A tensor that shares the memory of ``array``.

    Raises:
        TypeError: ``array`` is no NumPy array of real numbers, or not in this machine's byte order.
    """
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf":
        raise TypeError(f"from_numpy: expected a NumPy array of real numbers, got {array!r:.80}")
    if not array.dtype.isnative:
        raise TypeError(
            f"from_numpy: {array.dtype} is not in this machine's byte order; copy it with tensor"
        )
    return _sharing(np.asarray(array))


def as_tensor(data: Any, dtype: DTypeLike | None = None, *, device: str | None = None) -> Tensor:
    """``data`` as a tensor, without a copy where its memory can be shared.

    Arrays of other libraries on a GPU come through ``__cuda_array_interface__``.

    Raises:
        TypeError: As :func:`tensor` does.
    """
    if dtype is not None:
        dtype = dtypes.of("as_tensor", dtype)
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
    """A tensor that shares the memory of another library's array, through DLPack.

    Raises:
        TypeError: Its elements are not real numbers.
    """
    array = devices.from_dlpack(source)
    dtypes.of("from_dlpack", array.dtype)
    return _sharing(array)


def _sharing(array: Array) -> Tensor:
    """A tensor in the memory of an array that someone else has."""
    tensor = Tensor(array)
    tensor.may_alias = True
    return tensor


def _constant(
    values: np.ndarray[Any, Any], dtype: dtypes.DType, requires_grad: bool, device: str | None
) -> Tensor:
    """A tensor of what follows from the caller's arguments alone: under jit a constant."""
    with devices.at(device) as kernels:
        return Tensor(kernels.constant(values, dtype), requires_grad)


def _shape(name: str, shape: tuple[Any, ...]) -> tuple[int, ...]:
    sizes = tuple(shape[0]) if len(shape) == 1 and isinstance(shape[0], Sequence) else shape
    if not all(isinstance(size, int | np.integer) and size >= 0 for size in sizes):
        raise TypeError(f"{name}: a shape is made of integers from 0 on, not {sizes}")
    return sizes


def uninitialized(
    name: str,
    shape: tuple[Any, ...],
    dtype: DTypeLike | None,
    device: str | None,
    kinds: str = "biuf",
) -> Tensor:
    """A tensor whose elements the function ``name`` writes; ``kinds``: as of ``dtypes.of``."""
    wanted = dtypes.of(name, dtype, kinds=kinds)
    with devices.at(device) as kernels:
        return Tensor(kernels.empty(_shape(name, shape), wanted))


def _filled(
    name: str,
    shape: tuple[Any, ...],
    value: float,
    dtype: DTypeLike | None,
    requires_grad: bool,
    device: str | None,
) -> Tensor:
    with devices.at(device) as kernels:
        made = uninitialized(name, shape, dtype, device)
        kernels.fill(dtypes.within(value, made.dtype), out=made.array)
    return made.requires_grad_(requires_grad)


@may_be_named
def zeros(
    *size: Any,
    dtype: DTypeLike | None = None,
    requires_grad: bool = False,
    device: str | None = None,
) -> Tensor:
    """Zeros."""
    return _filled("zeros", size, 0, dtype, requires_grad, device)


@may_be_named
def ones(
    *size: Any,
    dtype: DTypeLike | None = None,
    requires_grad: bool = False,
    device: str | None = None,
) -> Tensor:
    """Ones."""
    return _filled("ones", size, 1, dtype, requires_grad, device)


def full(
    size: Sequence[int],
    fill_value: float,
    dtype: DTypeLike | None = None,
    requires_grad: bool = False,
    device: str | None = None,
) -> Tensor:
    """A tensor with every element ``fill_value``; its type is that of the number."""
    if isinstance(fill_value, Tensor):
        fill_value = fill_value.item()
    dtype = dtype or dtypes.of_number(fill_value)
    return _filled("full", tuple(size), fill_value, dtype, requires_grad, device)


@may_be_named
def empty(
    *size: Any,
    dtype: DTypeLike | None = None,
    requires_grad: bool = False,
    device: str | None = None,
) -> Tensor:
    """A tensor whose elements are whatever its memory held before."""
    return uninitialized("empty", size, dtype, device).requires_grad_(requires_grad)


# --- Like another tensor --------------------------------------------------------------------


def uninitialized_like(
    name: str, input: Tensor, dtype: DTypeLike | None, device: str | None, kinds: str = "biuf"
) -> Tensor:
    """As :func:`uninitialized`, of the shape and type of ``input`` and where that lies."""
    wanted = dtypes.of(name, dtype, input.array.dtype, kinds)
    if device is not None and devices.full_name(device) != devices.device_of(input.array):
        return uninitialized(name, input.shape, wanted, device, kinds)
    kernels = kernels_for[type(input.array)]
    return Tensor(kernels.empty(input.array.shape, wanted, like=input.array))


@checked
def empty_like(
    input: Tensor,
    dtype: DTypeLike | None = None,
    device: str | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """A tensor of the shape and type of ``input``, whose elements are whatever was there before."""
    made = uninitialized_like("empty_like", input, dtype, device)
    return made.requires_grad_(requires_grad)


@checked
def full_like(
    input: Tensor,
    fill_value: float,
    dtype: DTypeLike | None = None,
    device: str | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """A tensor of the shape and type of ``input`` with every element ``fill_value``."""
    return _filled_like("full_like", input, fill_value, dtype, device, requires_grad)


def _filled_like(
    name: str,
    input: Tensor,
    value: float,
    dtype: DTypeLike | None,
    device: str | None,
    requires_grad: bool,
) -> Tensor:
    made = uninitialized_like(name, input, dtype, device)
    kernels_for[type(made.array)].fill(dtypes.within(value, made.dtype), out=made.array)
    return made.requires_grad_(requires_grad)


@checked
def zeros_like(
    input: Tensor,
    dtype: DTypeLike | None = None,
    device: str | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Zeros of the shape and type of ``input``."""
    return _filled_like("zeros_like", input, 0, dtype, device, requires_grad)


@method()
@checked
def ones_like(
    input: Tensor,
    dtype: DTypeLike | None = None,
    device: str | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Ones of the shape and type of ``input``."""
    return _filled_like("ones_like", input, 1, dtype, device, requires_grad)


def _new(name: str, make: Callable[..., Tensor]) -> None:
    """Attach ``x.new_name(...)``: of the type of ``x``, and where that lies."""

    def new(
        input: Tensor, *arguments: Any, dtype: Any = None, device: Any = None, **options: Any
    ) -> Tensor:
        kind = {"dtype": dtype or input.dtype, "device": device or input.device}
        return make(*arguments, **kind, **options)

    new.__name__ = new.__qualname__ = f"new_{name}"
    new.__doc__ = f"As :func:`scratchgan.{name}`, of the type of ``input`` and where that lies."
    method()(new)


for _name, _function in (
    ("tensor", tensor),
    ("zeros", zeros),
    ("ones", ones),
    ("full", full),
    ("empty", empty),
):
    _new(_name, _function)

# --- In a row -------------------------------------------------------------------------------


def arange(
    start: Any = None,
    end: Any = None,
    step: Any = 1,
    dtype: DTypeLike | None = None,
    device: str | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """``start, start + step, ...`` up to but without ``end``; ``arange(n)`` counts from 0.

    int64 if all three are integers, else the default floating type.

    Raises:
        ValueError: ``step`` is 0, or leads away from ``end``.
    """
    if start is None:
        start = 0
    elif end is None:
        start, end = 0, start
    first, last, by = (x.item() if isinstance(x, Tensor) else x for x in (start, end, step))
    are_whole = all(isinstance(x, int | np.integer) for x in (first, last, by))
    made = dtypes.of("arange", dtype, dtypes.int64 if are_whole else None)
    if dtype is not None and made == dtypes.int64:
        first, last, by = int(first), int(last), int(by)
    if by == 0 or (last - first) * by < 0:
        raise ValueError(f"arange: from {first} to {last} in steps of {by} leads nowhere")
    numbers = np.arange(first, last, by)
    if made.kind in "iu":  # counted with fractions, and then without
        numbers = int(first) + int(by) * np.arange(len(numbers))
    return _constant(numbers, made, requires_grad, device)


def linspace(
    start: Any,
    end: Any,
    steps: int,
    dtype: DTypeLike | None = None,
    device: str | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """``steps`` numbers evenly spaced from ``start`` to ``end``, both included.

    Raises:
        ValueError: ``steps`` is negative, or an end has dimensions.
    """
    made = dtypes.of("linspace", dtype)
    return _constant(_evenly_spaced(start, end, steps, made), made, requires_grad, device)


def _evenly_spaced(start: Any, end: Any, steps: int, dtype: dtypes.DType) -> np.ndarray[Any, Any]:
    """The numbers of :func:`linspace`, in float64; for integers the ends are cut off to some."""
    if steps < 0:
        raise ValueError(f"linspace: steps is {steps}; it must be 0 or more")
    for x in (start, end):
        if isinstance(x, Tensor) and x.ndim:
            raise ValueError(f"linspace: an end has the shape {x.shape}; it must be a number")
    first, last = float(start), float(end)
    if dtype.kind in "iu":
        first, last = float(int(first)), float(int(last))
    return np.linspace(first, last, steps)


def eye(
    n: int,
    m: int | None = None,
    dtype: DTypeLike | None = None,
    device: str | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Ones on the diagonal of an (n, m) matrix of zeros; square by default.

    Raises:
        ValueError: A size is negative.
    """
    if n < 0 or (m or 0) < 0:
        raise ValueError(f"eye: the sizes are {n} and {m}; they must be 0 or more")
    return _constant(np.eye(n, m), dtypes.of("eye", dtype), requires_grad, device)


def logspace(
    start: Any,
    end: Any,
    steps: int,
    base: float = 10.0,
    dtype: DTypeLike | None = None,
    device: str | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """``base`` to the power of ``steps`` numbers evenly spaced from ``start`` to ``end``.

    Raises:
        ValueError: As :func:`linspace` does.
    """
    made = dtypes.of("logspace", dtype)
    exponents = _evenly_spaced(start, end, steps, made)
    return _constant(float(base) ** exponents, made, requires_grad, device)


def tril_indices(
    row: int, col: int, offset: int = 0, dtype: DTypeLike = dtypes.int64, device: str | None = None
) -> Tensor:
    """The places on and below a diagonal of a (row, col) matrix: (2, count), row after row."""
    places = np.stack(np.tril_indices(row, offset, col))
    return _constant(places, dtypes.of("tril_indices", dtype), False, device)


def triu_indices(
    row: int, col: int, offset: int = 0, dtype: DTypeLike = dtypes.int64, device: str | None = None
) -> Tensor:
    """The places on and above a diagonal of a (row, col) matrix: (2, count), row after row."""
    places = np.stack(np.triu_indices(row, offset, col))
    return _constant(places, dtypes.of("triu_indices", dtype), False, device)


def scalar_tensor(
    s: float, dtype: DTypeLike | None = None, device: str | None = None, requires_grad: bool = False
) -> Tensor:
    """A tensor without dimensions of the number ``s``, in the default floating type."""
    return tensor(s, dtypes.of("scalar_tensor", dtype), requires_grad, device=device)
