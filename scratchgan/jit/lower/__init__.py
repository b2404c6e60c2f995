"""From fused loops to source: one walk (:mod:`~scratchgan.jit.lower.loop`), two printers.

=======  ===========================================================
cpu      loops as tasks that threads share, which Numba compiles
cuda     loops as CUDA kernels
=======  ===========================================================
"""

import importlib
from types import ModuleType

_LOWERING = {"numba": "cpu", "cupy": "cuda"}


def lowering_of(backend: str) -> ModuleType | None:
    """The module that makes code for a backend; None for one whose calls run one by one."""
    name = _LOWERING.get(backend)
    return None if name is None else importlib.import_module(f"scratchgan.jit.lower.{name}")
