"""Generated loops that run as Python.

That is slow for large arrays, but those of random programs are tiny, and hundreds of different
functions would take minutes to compile. test_replay.py compiles them.
"""

import ctypes
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from scratchgan.backend.cpu import compensation
from scratchgan.backend.cpu import float64_math as float64
from scratchgan.backend.cpu.codegen import intrinsics as native
from scratchgan.backend.cpu.threads.pool import SCRATCH, Task
from scratchgan.jit.lower import cpu

MATH = SimpleNamespace(**{name: getattr(x, "py_func", x) for name, x in vars(float64).items()})


CODE = ctypes.CFUNCTYPE(
    None,
    *[ctypes.c_ssize_t] * 3,
    ctypes.POINTER(ctypes.c_ssize_t),
    ctypes.POINTER(ctypes.c_double),
)


def interpreted(source: cpu.Source, arrays: list[Any]) -> list[Task]:
    """The generated tasks as they stand, without Numba."""

    def njit(*functions: Any, **_: Any) -> Any:
        return functions[0] if functions else lambda function: function

    def numbers_at(element: type) -> Any:
        return lambda address, _: ctypes.cast(address, ctypes.POINTER(element))

    namespace = {
        **{name: getattr(x, "py_func", x) for name, x in vars(compensation).items()},
        "njit": njit,
        "math": MATH,
        "real": np.float64,
        "share": native.share.py_func,
        "task": CODE,
        "SCRATCH": SCRATCH,
        "bytes_at": numbers_at(ctypes.c_uint8),
        "float32_at": numbers_at(ctypes.c_float),
        "float64_at": numbers_at(ctypes.c_double),
    }
    lines = [line for line in source.text.splitlines() if not line.startswith("from ")]
    exec("\n".join(lines), namespace)
    workspace = [np.empty(source.workspace // 8)] if source.workspace else []
    addresses = [x.ctypes.data for x in (*arrays, *workspace)]
    arguments = np.array(addresses + source.integers, np.intp)
    numbers = np.array(source.numbers, float)
    tasks = []
    for name in ("fused", "finish"):
        if name in namespace:
            address = ctypes.cast(namespace[name], ctypes.c_void_p).value
            assert address is not None
            tasks.append(Task(address, arguments, numbers, (namespace, arrays, workspace)))
    return tasks


@pytest.fixture
def interpreted_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within the test, loops that jit generates run as Python."""
    monkeypatch.setattr(cpu, "compiled", interpreted)
