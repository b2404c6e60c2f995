"""Why no GPU can be used here."""

from typing import Any


def cuda_fault() -> str | None:
    """Why no GPU can be used, as a sentence that says what to do; None if one can."""
    try:
        import cupy
    except ModuleNotFoundError as error:
        if error.name != "cupy":
            return f"CuPy cannot be imported ({error}); install it anew"
        return (
            "CuPy is not installed; run pip install 'scratchgan[cuda12]', or 'scratchgan[cuda13]' "
            "if your driver has CUDA 13"
        )
    except Exception as error:  # whatever a broken installation raises
        return f"CuPy cannot be imported ({error}); install it anew"
    runtime = cupy.cuda.runtime
    try:
        if runtime.getDeviceCount() > 0:
            return None
    except runtime.CUDARuntimeError as error:
        if "cudaErrorNoDevice" not in str(error):
            return _driver_fault(cupy, error)
    return "there is no NVIDIA GPU on this machine, or its driver does not see it"


def _driver_fault(cupy: Any, error: Exception) -> str:
    has, needs = cupy.cuda.runtime.driverGetVersion(), cupy.cuda.driver.get_build_version()
    if has == 0:
        return "CuPy is installed, but no NVIDIA driver is; install the driver of your GPU"
    if has // 1000 < needs // 1000:
        return (
            f"the NVIDIA driver is too old: it has CUDA {_version(has)}, and CuPy was built for "
            f"CUDA {_version(needs)}; update the driver, or install the CuPy for CUDA {has // 1000}"
        )
    return f"CUDA does not start ({error}); check that nvidia-smi shows the GPU"


def _version(number: int) -> str:
    return f"{number // 1000}.{number % 1000 // 10}"
