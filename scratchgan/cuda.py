"""GPUs: whether there are any, and how they multiply. PyTorch's names where it has them.

Importing this imports nothing; a GPU is looked for when one of its functions is called.
"""

from typing import Any

from scratchgan import random
from scratchgan.backend import BackendError, devices
from scratchgan.backend.cuda.fault import cuda_fault


def is_available() -> bool:
    """Whether a GPU can be used; where not, any use of ``device="cuda"`` says why."""
    return cuda_fault() is None


def device_count() -> int:
    """How many GPUs can be used; 0 where none can."""
    return int(_cupy().cuda.runtime.getDeviceCount()) if is_available() else 0


def get_device_name(device: str = "cuda") -> str:
    """The name that the maker gives to a GPU.

    Raises:
        BackendError: There is no such GPU; the message says why and what to do.
    """
    gpu = devices.gpu_of(device)
    if gpu is None:
        raise BackendError(f"{device!r} is no GPU")
    name: bytes = _cupy().cuda.runtime.getDeviceProperties(gpu)["name"]
    return name.decode()


def synchronize(device: str = "cuda") -> None:
    """Return when a GPU has done all that it was given, as one who measures time must.

    Raises:
        BackendError: There is no such GPU; the message says why and what to do.
    """
    gpu = devices.gpu_of(device)
    if gpu is not None:
        _cupy().cuda.Device(gpu).synchronize()


def manual_seed(seed: int) -> None:
    """Seed the default stream, which is the same for every device."""
    random.manual_seed(seed)


manual_seed_all = manual_seed


def empty_cache() -> None:
    """Give memory that CuPy keeps back to the GPU; nothing where there is none."""
    if is_available():
        _cupy().get_default_memory_pool().free_all_blocks()


def set_matmul_precision(precision: str) -> None:
    """Choose in what float32 matrices are multiplied on GPUs from now on.

    Results stay float32, and sums are float32. float64 products are not touched.

    Args:
        precision: ``"float32"``, the default; ``"tf32"``, with 10 bits after the point instead of
            23; ``"float16"``, with the same 10 bits and numbers up to 65504 only. Both run on the
            GPU's tensor cores.

    Raises:
        BackendError: No GPU can be used; the message says why and what to do.
        ValueError: There is no such precision.
    """
    devices.gpu_of("cuda")
    from scratchgan.backend.cuda import blas

    if precision not in blas.COMPUTE_TYPES:
        known = ", ".join(blas.COMPUTE_TYPES)
        raise ValueError(f"set_matmul_precision: there is no {precision!r}; choose one of {known}")
    blas.matmul_precision = precision


def _cupy() -> Any:
    import cupy

    return cupy
