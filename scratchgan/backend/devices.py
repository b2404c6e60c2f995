"""Devices: where an array lies, and what is needed to put one there.

A device has a name: ``"cpu"``, or ``"cuda:0"``, ``"cuda:1"``, ... for the GPUs. Where
one is asked for, ``"cuda"`` means the current GPU.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from scratchgan.backend import Array, Backend, BackendError, kernels_for
from scratchgan.backend.cuda.fault import cuda_fault

CPU = "cpu"


class Device(str):
    """The name of a device, as PyTorch's ``torch.device`` has its parts.

    Args:
        type: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, or a device.
        index: Number of the GPU, where ``type`` does not say it.

    Raises:
        ValueError: There are no devices of this kind, or the number is said twice.
    """

    def __new__(cls, type: str, index: int | None = None) -> "Device":  # noqa: D102, above
        kind, colon, number = str(type).partition(":")
        if kind not in (CPU, "cuda") or (colon and not number.isdecimal()):
            raise ValueError(f"there is no device {type!r}; choose 'cpu', 'cuda' or 'cuda:0', ...")
        if index is not None and colon:
            raise ValueError(f"device {type!r} has a number; another, {index}, was given")
        if kind == CPU and (index or number.strip("0")):
            raise ValueError(f"there is one CPU, 'cpu'; not {type!r} with the number {index}")
        if kind == CPU:
            return super().__new__(cls, CPU)
        return super().__new__(
            cls, kind if index is None and not colon else f"{kind}:{number or index}"
        )

    @property
    def type(self) -> str:
        """``"cpu"`` or ``"cuda"``."""
        return str(self).partition(":")[0]

    @property
    def index(self) -> int | None:  # type: ignore[override]
        """Number of the GPU; None for the CPU, and for the current GPU."""
        number = str(self).partition(":")[2]
        return int(number) if number else None

    def __repr__(self) -> str:
        number = "" if self.index is None else f", index={self.index}"
        return f"device(type={self.type!r}{number})"


def device_of(x: Array) -> str:
    """The name of the device on which ``x`` lies."""
    return CPU if isinstance(x, np.ndarray) else f"cuda:{x.device.id}"


def different_devices(name: str, arrays: Iterable[Array]) -> TypeError | None:
    """The error for an operation on arrays of several devices; None where they share one."""
    devices = list(dict.fromkeys(device_of(x) for x in arrays))
    if len(devices) < 2:
        return None
    return TypeError(
        f"{name}: its inputs lie on different devices, {' and '.join(devices)}; move one with "
        f".to({devices[0]!r})"
    )


def gpu(device: int | str | None) -> str:
    """The name of a GPU that is given by its number or name; the current one for None.

    Raises:
        BackendError: The name is that of another device.
    """
    if device is None:
        return "cuda"
    if isinstance(device, int):
        return f"cuda:{device}"
    if not device.startswith("cuda"):
        raise BackendError(f"cuda: {device!r} is no GPU; choose 'cuda', 'cuda:0', ...")
    return device


@contextmanager
def at(device: str | None) -> Iterator[Backend]:
    """Within the ``with`` block, the kernels it gives make arrays on ``device`` (None: the CPU).

    Raises:
        BackendError: There is no such device; the message says why and what to do.
    """
    gpu = gpu_of(device)
    if gpu is None:
        yield kernels_for[np.ndarray]
        return
    cupy = _cupy()
    with cupy.cuda.Device(gpu):
        yield kernels_for[cupy.ndarray]


def moved(x: Array, device: str) -> Array:
    """A copy of ``x`` on ``device``, by its full name."""
    kernels = kernels_for[type(x)]
    if device_of(x) == device:
        out = kernels.empty(x.shape, x.dtype, like=x)
        kernels.copy(x, out=out)
        return out
    with at(device) as there:
        if device == CPU or isinstance(x, np.ndarray):
            return there.from_host(kernels.to_host(x))
        return _cupy().array(x)


def shared(source: Any) -> Array | None:
    """The array on a GPU that ``source`` is, without a copy; None if it lies on the CPU.

    Args:
        source: Anything; other libraries' arrays on a GPU have ``__cuda_array_interface__``.
    """
    if isinstance(source, np.ndarray) or not hasattr(source, "__cuda_array_interface__"):
        return None
    gpu_of("cuda")
    return _cupy().asarray(source)


def from_dlpack(source: Any) -> Array:
    """The array, on whatever device, whose memory another library offers through DLPack."""
    kind, _ = source.__dlpack_device__()
    if kind != _CUDA_IN_DLPACK:
        return np.from_dlpack(source)
    gpu_of("cuda")
    return _cupy().from_dlpack(source)


_CUDA_IN_DLPACK = 2


def _cupy() -> Any:
    import cupy

    return cupy


def is_device(name: object) -> bool:
    """Whether ``name`` is meant as the name of a device."""
    return isinstance(name, str) and (name == CPU or name.partition(":")[0] == "cuda")


def full_name(device: str) -> str:
    """``device`` with the number of its GPU, as :func:`device_of` gives it."""
    gpu = gpu_of(device)
    return CPU if gpu is None else f"cuda:{gpu}"


def gpu_of(device: str | None) -> int | None:
    """The number of the GPU that ``device`` names; None for the CPU.

    Raises:
        BackendError: As :func:`at`.
    """
    if device is None or device == CPU:
        return None
    kind, colon, number = device.partition(":") if isinstance(device, str) else ("", "", "")
    if kind != "cuda" or (colon and not number.isdecimal()):
        raise BackendError(f"there is no device {device!r}; choose 'cpu', 'cuda' or 'cuda:0', ...")
    fault = cuda_fault()
    if fault is not None:
        raise BackendError(f"device {device!r} cannot be used: {fault}")
    cupy = _cupy()
    if not colon:
        return int(cupy.cuda.runtime.getDevice())
    count = cupy.cuda.runtime.getDeviceCount()
    if int(number) >= count:
        gpus = ", ".join(f"cuda:{gpu}" for gpu in range(count))
        raise BackendError(f"there is no GPU {device!r} on this machine; it has {gpus}")
    return int(number)


def difference(expected: Array, given: Array) -> str | None:
    """How ``given`` differs from ``expected`` in shape, type or device; None if it does not."""
    if type(given) is type(expected) and given.shape == expected.shape:
        is_on_cpu = type(given) is np.ndarray
        if given.dtype == expected.dtype and (is_on_cpu or device_of(given) == device_of(expected)):
            return None
    facts = (
        ("shape", given.shape, expected.shape),
        ("type", given.dtype, expected.dtype),
        ("device", device_of(given), device_of(expected)),
    )
    return " and ".join(
        f"one of {name} {found}, not {wanted}" for name, found, wanted in facts if found != wanted
    )
