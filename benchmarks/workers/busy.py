"""A whole training beside busy processes: this project or PyTorch."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from benchmarks import machine
from benchmarks.worker import Ready, Skip, serve
from benchmarks.workers import training

IMAGES = 60_000


@contextmanager
def busy_processes(count: int) -> Iterator[None]:
    """Within the ``with`` block so many processes want a core all the time."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in others:
            process.kill()
            process.wait()


def prepare(package: str, epochs: int, others: int) -> Ready:
    if find_spec(package) is None:
        raise Skip(f"{package} is not installed")
    cores = machine.cores()
    fair = (cores + others) / cores  # of all threads that want a core, each gets the same

    def seconds() -> float:
        with tempfile.TemporaryDirectory() as folder:
            return training.run(package, epochs, 64, os.path.join(folder, "run")).seconds

    def sample() -> dict[str, float]:
        alone = seconds()
        with busy_processes(others):
            spent = seconds() if others else alone
        return {
            "images per second": epochs * IMAGES / spent,
            "time over that alone": spent / alone,
            "time over that of fair shares": spent / alone / fair,
        }

    training.warm_up(package, 64)
    return Ready(sample, {})


if __name__ == "__main__":
    serve(prepare)
