"""The module around the stand-in's arrays, with what the ``cupy`` backend takes from CuPy.

:func:`install` puts it in the place of CuPy and loads the backend anew.
"""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from standin import arrays, emulator, kernels

_ROOM = "scratchgan.backend.cuda"
_MODULES = ("launch", "blas", "kernels")


class CUDARuntimeError(RuntimeError):
    """What ``cupy.cuda.runtime.CUDARuntimeError`` is."""


class RawModule:
    """``cupy.RawModule``, compiled for the CPU."""

    def __init__(self, *, code: str, options: tuple[str, ...] = ()) -> None:
        assert options == ("--fmad=false",)  # as the emulator's compiler is told
        self._library = emulator.compiled(code)

    def get_function(self, name: str) -> emulator.RawKernel:
        return emulator.RawKernel(self._library, name)


def _matmul(a: Any, b: Any, out: Any) -> None:
    np.matmul(a._host, b._host, out=out._host)


def _add_at(a: Any, indices: Any, b: Any) -> None:
    np.add.at(a._host, a._parts(indices), b._host)


def _at_address(address: int, dtype: Any, rows: int, columns: int, leading: int) -> arrays.Host:
    """A matrix that lies column by column, as cuBLAS takes it; found by its address alone."""
    dtype = np.dtype(dtype)
    count = (leading * (columns - 1) + rows) * dtype.itemsize
    buffer = (np.ctypeslib.ctypes.c_char * count).from_address(address)
    strides = (dtype.itemsize, leading * dtype.itemsize)
    return np.ndarray((rows, columns), dtype, buffer, 0, strides)


def gemm_ex(
    handle: int, trans_a: int, trans_b: int, m: int, n: int, k: int, alpha: int,
    a: int, a_type: str, lda: int, b: int, b_type: str, ldb: int, beta: int,
    c: int, c_type: str, ldc: int, compute_type: str, algorithm: int,
) -> None:  # fmt: skip
    """``cublasGemmEx``: C = alpha op(A) op(B) + beta C, on matrices column by column."""
    if emulator.Stream.captured is not None:
        raise NotImplementedError("calling cuBLAS API during stream capture")
    assert handle == GPU.current + 1 and a_type == b_type == c_type and algorithm == -1
    assert lda >= (k if trans_a else m) and ldb >= (n if trans_b else k) and ldc >= m
    x = _at_address(a, a_type, *((k, m) if trans_a else (m, k)), lda)
    y = _at_address(b, b_type, *((n, k) if trans_b else (k, n)), ldb)
    out = _at_address(c, c_type, m, n, ldc)
    one, zero = (_at_address(scalar, c_type, 1, 1, 1)[0, 0] for scalar in (alpha, beta))
    assert (one, zero) == (1, 0)
    if compute_type == "CUBLAS_COMPUTE_32F_FAST_16F":
        x, y = (part.astype(np.float16).astype(c_type) for part in (x, y))
    out[...] = (x.T if trans_a else x) @ (y.T if trans_b else y)


GPU = arrays.GPU


@contextmanager
def _using_allocator(allocator: Any) -> Iterator[None]:
    arrays.Memory.allocator = staticmethod(allocator)
    try:
        yield
    finally:
        arrays.Memory.allocator = None


def module() -> ModuleType:
    """What ``import cupy`` gives."""
    cupy = ModuleType("cupy")
    runtime = SimpleNamespace(
        CUDARuntimeError=CUDARuntimeError,
        CUDA_R_32F="float32",
        CUDA_R_64F="float64",
        getDevice=lambda: GPU.current,
        getDeviceCount=lambda: arrays.GPUS,
        memGetInfo=lambda: (GPU.memory, GPU.memory),
        driverGetVersion=lambda: 12090,
        getDeviceProperties=lambda gpu: {"name": b"stand-in"},
    )
    cupy.__dict__.update(
        ndarray=arrays.ndarray,
        empty=arrays.ndarray,
        zeros=lambda shape, dtype: arrays.new(np.zeros(shape, dtype)),
        arange=lambda count: arrays.new(np.arange(count)),
        array=arrays.new,
        asarray=lambda x: x.__cuda_array_interface__["owner"],
        asnumpy=arrays.asnumpy,
        broadcast_to=lambda x, shape: x._view(np.broadcast_to(x._host, shape)),
        may_share_memory=lambda a, b: np.may_share_memory(a._host, b._host),
        matmul=_matmul,
        add=SimpleNamespace(at=_add_at),
        RawModule=RawModule,
        cuda=SimpleNamespace(
            Device=GPU,
            Stream=emulator.Stream,
            runtime=runtime,
            memory=SimpleNamespace(OutOfMemoryError=arrays.OutOfMemoryError),
            device=SimpleNamespace(get_cublas_handle=lambda: GPU.current + 1),
            driver=SimpleNamespace(get_build_version=lambda: 12090),
            using_allocator=_using_allocator,
            get_current_stream=lambda: SimpleNamespace(synchronize=lambda: None),
        ),
    )
    return cupy


@contextmanager
def install(emulated: bool) -> Iterator[ModuleType]:
    """Within the ``with`` block ``device="cuda"`` means the stand-in.

    Args:
        emulated: CUDA kernels run in the emulator; else NumPy's kernels do their work.
    """
    from scratchgan import backend

    cupy = module()
    libs = ModuleType("cupy_backends.cuda.libs")
    compute_types = [f"CUBLAS_COMPUTE_{name}" for name in ("32F", "64F", "32F_FAST_TF32")]
    libs.cublas = SimpleNamespace(  # type: ignore[attr-defined]
        gemmEx=gemm_ex,
        CUBLAS_GEMM_DEFAULT=-1,
        **{name: name for name in (*compute_types, "CUBLAS_COMPUTE_32F_FAST_16F")},
    )
    stand_ins = {"cupy": cupy, "cupy_backends.cuda.libs": libs}
    for name in ("cupy_backends", "cupy_backends.cuda"):
        stand_ins[name] = ModuleType(name)
    before = {name: sys.modules.get(name) for name in stand_ins}
    sys.modules.update(stand_ins)
    _forget()
    loaded = importlib.import_module(f"{_ROOM}.kernels")
    kept = backend.kernels_for.pop(arrays.ndarray, None)
    assert kept is None
    backend.kernels_for[arrays.ndarray] = (
        backend.Backend("cupy", loaded)
        if emulated
        else backend.Backend("stand-in", kernels.by_numpy(loaded))
    )
    try:
        yield cupy
    finally:
        del backend.kernels_for[arrays.ndarray]
        _forget()
        for name, real in before.items():
            del sys.modules[name]
            if real is not None:
                sys.modules[name] = real


def _forget() -> None:
    """The backend's modules are imported anew with whatever CuPy there is then."""
    from scratchgan import backend

    room = sys.modules.get(_ROOM)
    for name in _MODULES:
        sys.modules.pop(f"{_ROOM}.{name}", None)
        if hasattr(room, name):
            delattr(room, name)
    backend._load.cache_clear()  # type: ignore[attr-defined]
