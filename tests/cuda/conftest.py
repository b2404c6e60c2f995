"""Every test here runs twice: on a GPU, where there is one, and on the stand-in for one.

On the stand-in the CUDA kernels are compiled for the CPU and run there (tests/standin), so that
their arithmetic, indices and launches are tested on any machine with g++; what a GPU does by
itself (cuBLAS, CuPy's own kernels, streams, speed) is not.
"""

from collections.abc import Iterator

import pytest
from standin import cupy, emulator

from scratchgan.backend.cuda import fault as cuda

WAYS = ("emulated", pytest.param("real", marks=pytest.mark.gpu))


@pytest.fixture(scope="module", params=WAYS, autouse=True)
def way(request: pytest.FixtureRequest) -> Iterator[str]:
    """How device="cuda" is computed on."""
    if request.param == "real":
        fault = cuda.cuda_fault()
        if fault is not None:
            pytest.skip(fault)
        yield "real"
        return
    if emulator.COMPILER is None:
        pytest.skip("g++ is not installed, which compiles the CUDA kernels for the CPU")
    emulator.folder = request.config.cache.mkdir("emulated-kernels")
    with cupy.install(emulated=True):
        yield "emulated"
