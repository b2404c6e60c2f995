"""Tensors of another type, or on another device."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from scratchgan import dtypes, ops
from scratchgan.autograd.arguments import checked
from scratchgan.autograd.tensor import Tensor, method
from scratchgan.backend import devices


@method()
@checked
def to(
    x: Tensor,
    *targets: Any,
    device: str | None = None,
    dtype: DTypeLike | None = None,
    non_blocking: bool = False,
    copy: bool = False,
) -> Tensor:
    """``x`` on another device, or with elements of another type; itself where it is so already.

    Args:
        x: Where it is and what it is now.
        targets: In any order a device (``"cpu"``, ``"cuda"``, ``"cuda:1"``), a type, or a tensor
            that has both; behind them ``non_blocking`` and ``copy``.
        device: The device, by keyword.
        dtype: The type, by keyword.
        non_blocking: PyTorch's; has no effect.
        copy: Whether the result has memory of its own in any case.

    Raises:
        BackendError: There is no such device; the message says why and what to do.
    """
    flags = [target for target in targets if isinstance(target, bool)]
    copy = copy or flags[1:2] == [True]
    places = [target for target in targets if not isinstance(target, bool)]
    kinds = "biuf" + x.array.dtype.kind  # the complex-step check's tensors are complex
    device, wanted = destination(places, device, dtype, kinds)
    given = x
    if wanted is not None and x.array.dtype != wanted:
        x = ops.cast(x, dtype=wanted)
    if device is not None:
        source = devices.device_of(x.array)
        if source != device:
            x = ops.to_device(x, device=device, source=source)
    return ops.clone(x) if copy and x is given else x


def destination(
    targets: Sequence[Any], device: str | None, dtype: DTypeLike | None, kinds: str = "biuf"
) -> tuple[str | None, dtypes.DType | None]:
    """The device, by its full name, and the type that the arguments of :func:`to` name.

    ``kinds``: as of :func:`scratchgan.dtypes.of`.
    """
    for target in targets:
        if isinstance(target, Tensor):
            device, dtype = devices.device_of(target.array), target.dtype
        elif devices.is_device(target):
            device = target
        else:
            dtype = target
    try:
        named = None if dtype is None else np.dtype(dtype)
    except TypeError as error:
        raise TypeError(
            f"to: {dtype!r} is neither a device ('cpu', 'cuda', 'cuda:1') nor a type"
        ) from error
    wanted = None if named is None else dtypes.of("to", named, kinds=kinds)
    return device and devices.full_name(device), wanted


@method()
@checked
def cpu(x: Tensor) -> Tensor:
    """``x`` in the memory of the CPU."""
    return to(x, devices.CPU)


@method()
@checked
def cuda(x: Tensor, device: int | str | None = None) -> Tensor:
    """``x`` on a GPU: its number or name, or the current one where neither is given."""
    return to(x, devices.gpu(device))


def _to_type(name: str, dtype: dtypes.DType) -> Callable[[Tensor], Tensor]:
    """Attach ``x.name()``: ``x`` with elements of a type."""

    def converted(input: Tensor) -> Tensor:
        return to(input, dtype)

    converted.__name__ = converted.__qualname__ = name
    converted.__doc__ = f"``input`` as {dtype}."
    return method()(converted)


for _name, _dtype in dtypes.BY_NAME.items():
    if _name.isalpha():  # float, long, ...: x.float32() is not PyTorch's
        _to_type(_name, _dtype)


@method("type")
@checked
def of_type(input: Tensor, dtype: Any = None) -> Any:
    """``input`` as another type; without one the name of its own, ``"torch.FloatTensor"`` say."""
    if dtype is None:
        names = {d: n for n, d in dtypes.TENSOR_TYPES.items()}
        name = names.get(input.dtype, str(input.dtype))
        return f"torch.{'cuda.' if input.is_cuda else ''}{name}"
    if isinstance(dtype, str):
        name = dtype.removeprefix("torch.").removeprefix("cuda.")
        dtype = dtypes.TENSOR_TYPES.get(name, dtype)
    return to(input, getattr(dtype, "dtype", dtype))


@method()
@checked
def type_as(input: Tensor, other: Tensor) -> Tensor:
    """``input`` with elements of the type of ``other``, where that lies."""
    return to(input, other)


# --- What a tensor is -----------------------------------------------------------------------


@method()
@checked
def is_floating_point(input: Tensor) -> bool:
    """Whether the elements are floating point numbers."""
    return bool(input.dtype.kind == "f")


@method()
@checked
def is_complex(input: Tensor) -> bool:
    """False: there are no complex numbers."""
    return False


@method()
@checked
def is_signed(input: Tensor) -> bool:
    """Whether the type of the elements has negative numbers."""
    return bool(input.dtype.kind in "if")


@method()
@checked
def is_contiguous(input: Tensor) -> bool:
    """Whether the elements lie in memory in row-major order without gaps."""
    return bool(input.array.flags.c_contiguous)


@method()
@checked
def is_same_size(input: Tensor, other: Tensor) -> bool:
    """Whether both have the same shape."""
    return input.shape == other.shape


def is_tensor(obj: object) -> bool:
    """Whether it is a tensor."""
    return isinstance(obj, Tensor)


@method()
@checked
def element_size(input: Tensor) -> int:
    """Bytes of an element."""
    return int(input.array.itemsize)


@checked
def detach(input: Tensor) -> Tensor:
    """The same memory without its place on the tape."""
    return input.detach()


@checked
def numel(input: Tensor) -> int:
    """How many elements there are."""
    return input.numel()


def result_type(tensor1: Any, tensor2: Any) -> dtypes.DType:
    """The type that an operation on both, tensors or numbers, has."""
    return dtypes.promote([x.array if isinstance(x, Tensor) else x for x in (tensor1, tensor2)])


method("ndimension")(Tensor.dim)
method("nbytes")(property(lambda x: int(x.array.nbytes)))
method("itemsize")(property(element_size))
