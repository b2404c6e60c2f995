"""The side of a measurement that runs in a process of its own.

A worker reads the settings as one line of JSON and answers with a line about itself once it is
warm: versions and threads, or why it cannot compete. Each further line asks for one sample.
"""

import itertools
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

#: A turn is timed in blocks of this many seconds; the median block speaks for the turn.
BLOCK = 0.05


class Skip(Exception):
    """This contender cannot be measured here; the message says why."""


class Ready(NamedTuple):
    """A contender that has warmed up."""

    sample: Callable[[], dict[str, float]]  #: Measures once: numbers by the name of the quantity.
    about: dict[str, Any]  #: Versions, threads and the like, for the record.
    check: list[float] | None = None  #: What it computed, which all contenders must agree on.


def serve(prepare: Callable[..., Ready]) -> None:
    """Talk with the runner until it hangs up; ``prepare`` takes the settings as keywords."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print must not mix with the answers
    sys.stdout.reconfigure(line_buffering=True)  # nor come after an error's traceback

    def answer(message: dict[str, Any]) -> None:
        answers.write(json.dumps(message) + "\n")

    settings = json.loads(sys.stdin.readline())
    try:
        ready = prepare(**settings)
    except ModuleNotFoundError as error:
        answer({"skipped": f"{error.name} is not installed"})
    except Skip as error:
        answer({"skipped": str(error)})
    else:
        answer({"about": ready.about, "check": ready.check})
        for _ in sys.stdin:
            answer(ready.sample())


def timed(
    run: Callable[[], object],
    seconds: float,
    finish: Callable[[], object] = lambda: None,
    block_seconds: float = BLOCK,
) -> Callable[[], dict[str, float]]:
    """Warm ``run`` up and give a function that samples the seconds one call takes.

    Args:
        run: What is timed.
        seconds: How long a sample, and the warm-up, take at least.
        finish: Waits until the results of all runs are there; called after each block.
        block_seconds: About how long a block takes. What comes seldom, as Python's garbage
            collector does, counts only where a block is long enough to hold its share of it.
    """

    def block(count: int) -> float:
        begin = time.perf_counter()
        for _ in itertools.repeat(None, count):
            run()
        finish()
        return time.perf_counter() - begin

    block(2)  # the first compiles, the second may do so once more
    spent, count = block(1), 1
    while spent < seconds:
        count *= 2
        spent = block(count)
    count = max(1, round(block_seconds * count / spent))

    def sample() -> dict[str, float]:
        blocks: list[float] = []
        while sum(blocks) < seconds:
            blocks.append(block(count))
        return {"seconds": statistics.median(blocks) / count}

    return sample


# --- What a worker says about itself ----------------------------------------------------


def versions(*packages: str) -> dict[str, str]:
    """Versions of installed packages by name."""
    return {name: version(name) for name in packages}


def blas_threads() -> int:
    """How many threads NumPy's matrix products use."""
    from threadpoolctl import threadpool_info

    return max(
        (pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"), default=1
    )


# --- Memory -------------------------------------------------------------------------------


def resident() -> int:
    """Bytes of this process that lie in memory now."""
    return _status("VmRSS")


def peak_resident() -> int:
    """The most bytes of this process that have lain in memory."""
    return _status("VmHWM")


def _status(field: str) -> int:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        raise Skip("memory is read from /proc, which only Linux has") from None
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field + ":"))
