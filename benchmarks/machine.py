"""The machine that the figures are of."""

import os
import platform
from pathlib import Path
from typing import Any

#: Variables that change how many threads, or which instructions of the processor, a contender uses.
VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "OPENBLAS_CORETYPE",
    "MKL_NUM_THREADS",
    "MKL_ENABLE_INSTRUCTIONS",
    "ONEDNN_MAX_CPU_ISA",
    "XLA_FLAGS",
    "NUMBA_CPU_NAME",
    "NUMBA_CPU_FEATURES",
)

#: Processes that wanted a core in the minute before this run; later they are its own.
LOAD_BEFORE = os.getloadavg()[0]


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def describe() -> dict[str, Any]:
    """Processor, cores, memory, system, Python, and the variables that are set."""
    return {
        "processor": _processor(),
        "cores": cores(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "load_before": LOAD_BEFORE,
        "variables": {name: os.environ[name] for name in VARIABLES if name in os.environ},
    }


def in_words(described: dict[str, Any]) -> str:
    """Processor, cores, memory, system and Python, on one line."""
    return (
        f"{described['processor']}, {described['cores']} cores, "
        f"{described['memory_bytes'] / 2**30:.0f} GiB, {described['system']}, "
        f"Python {described['python']}"
    )


def circumstances(described: dict[str, Any]) -> list[str]:
    """Other things that bear on the figures: variables that are set, and other work."""
    variables = [f"{name}={value}" for name, value in described.get("variables", {}).items()]
    return [*variables, *["the machine was busy with other work"] * is_busy(described)]


def is_busy(described: dict[str, Any]) -> bool:
    """Whether other work was under way that may spoil the figures."""
    busy: bool = described["load_before"] > described["cores"] / 2
    return busy


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
