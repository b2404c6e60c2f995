"""From the start of a process to the end of an import, of --help, or of a training's first step."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks import process
from benchmarks.worker import Ready, serve

IMPORT = """
import time
begin = time.perf_counter()
import {}
print(time.perf_counter() - begin)
"""


def import_of(package: str) -> float:
    """Seconds that the import itself takes, without the start of Python."""
    return float(process.run("-c", IMPORT.format(package)).output)


def first_step(cache: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        run = str(Path(folder) / "run")
        program = (
            "-m",
            "benchmarks.programs.first_step",
            "train",
            "--recipe",
            "seed",
            "--out",
            run,
        )
        return process.run(*program, SCRATCHGAN_CACHE_DIR=cache).seconds


def cold_first_step() -> float:
    with tempfile.TemporaryDirectory() as cache:
        return first_step(cache)


def prepare(what: str) -> Ready:
    cache = tempfile.TemporaryDirectory()
    measures: dict[str, Callable[[], float]] = {
        "import numpy": lambda: import_of("numpy"),
        "import scratchgan": lambda: import_of("scratchgan"),
        "help": lambda: process.run(*process.SCRATCHGAN, "--help").seconds,
        "cold": cold_first_step,
        "warm": lambda: first_step(cache.name),
    }
    measure = measures[what]
    if what != "cold":
        measure()  # fills the caches: files, bytecode, and the compiled kernels
    return Ready(lambda: {"seconds": measure()}, {})


if __name__ == "__main__":
    serve(prepare)
