"""Starts the contenders, each in a process of its own, and lets them take turns."""

import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from benchmarks import machine, summary
from benchmarks.measurements import Case, Contender, Measurement

ROOT = Path(__file__).parents[1]

#: Where the workers' scripts are.
PACKAGE = "benchmarks.workers"

#: Seconds between turns, in which the thread pools of the last contender fall asleep.
PAUSE = 0.1

#: Part by which contenders that compute the same may differ.
TOLERANCE = 1e-5

Samples = dict[str, list[dict[str, float]]]
#: Called with one line about what comes now.
Watch = Callable[[str], None]


class WorkerError(Exception):
    """A worker broke off; the message is the last that it wrote to stderr."""


class Worker:
    """A contender's process, warm and waiting for its turn.

    Attributes:
        about: What it says about itself.
        check: What it computed, which all contenders must agree on.
        skipped: Why it cannot compete, if it cannot.
    """

    def __init__(
        self, process: subprocess.Popen[str], errors: IO[str], settings: dict[str, Any]
    ) -> None:
        self._process = process
        self._errors = errors
        answer = self._ask(settings)
        self.about: dict[str, Any] = answer.get("about", {})
        self.check: list[float] | None = answer.get("check")
        self.skipped: str | None = answer.get("skipped")

    def sample(self) -> dict[str, float]:
        """Measure once."""
        return self._ask({})

    def _ask(self, message: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin and self._process.stdout
        try:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            code = self._process.wait()
            self._errors.seek(0)
            lines = self._errors.read().strip().splitlines()
            raise WorkerError(lines[-1] if lines else f"exit code {code}")
        parsed: dict[str, Any] = json.loads(answer)
        return parsed


@contextmanager
def started(contender: Contender, case: Case) -> Iterator[Worker]:
    """Start a worker and wait until it is warm; it ends with the ``with`` block.

    Raises:
        WorkerError: It broke off.
    """
    command = [sys.executable, "-m", f"{PACKAGE}.{contender.script}"]
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=ROOT,
        ) as process,
    ):
        yield Worker(process, errors, {**case.settings, **contender.settings})


def measure(
    measurement: Measurement, repeats: int, watch: Watch = lambda line: None
) -> dict[str, Any]:
    """Run one measurement and give its results as JSON has them."""
    described = machine.describe()
    # Sizes that are compared take turns too; else a case is done before the next one starts.
    groups = [measurement.cases] if measurement.fits_growth else [(c,) for c in measurement.cases]
    about: dict[str, Any] = {}
    cases = [
        case
        for group in groups
        for case in _measure_group(measurement, group, repeats, about, watch)
    ]
    return {
        "title": measurement.title,
        "quantities": measurement.quantities,
        "floor": measurement.floor,
        "repeats": repeats,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": described,
        "about": about,
        "cases": cases,
        "exponents": exponents(measurement, cases) if measurement.fits_growth else {},
    }


@dataclass
class _Turns:
    """The samples of one case so far, by contender."""

    case: Case
    workers: dict[str, Worker] = field(default_factory=dict)
    samples: Samples = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def _measure_group(
    measurement: Measurement,
    cases: Sequence[Case],
    repeats: int,
    about: dict[str, Any],
    watch: Watch,
) -> list[dict[str, Any]]:
    """Start and warm up all contenders, then ask each for a sample in turn, again and again."""
    group = [_Turns(case) for case in cases]
    with ExitStack() as stack:
        for turns in group:
            for contender in measurement.contenders:
                watch(f"{measurement.title}, {turns.case.name}: {contender.name} warms up")
                try:
                    worker = stack.enter_context(started(contender, turns.case))
                except WorkerError as error:
                    turns.failed[contender.name] = str(error)
                    continue
                if worker.skipped is not None:
                    turns.skipped[contender.name] = worker.skipped
                else:
                    turns.workers[contender.name] = worker
                    about[contender.name] = worker.about
            turns.failed |= disagreeing({n: worker.check for n, worker in turns.workers.items()})
        for number in range(repeats):
            for turns in group:
                watch(f"{measurement.title}, {turns.case.name}: round {number + 1} of {repeats}")
                _take_turns(turns)
    return [_case(measurement, turns) for turns in group]


def _take_turns(turns: _Turns) -> None:
    for name, worker in turns.workers.items():
        if name in turns.failed:
            continue
        time.sleep(PAUSE)
        try:
            turns.samples.setdefault(name, []).append(worker.sample())
        except WorkerError as error:
            turns.failed[name] = str(error)
            turns.samples.pop(name, None)


def _case(measurement: Measurement, turns: _Turns) -> dict[str, Any]:
    """The results of one case as JSON has them."""
    return {
        "case": turns.case.name,
        "size": turns.case.size,
        "skipped": turns.skipped,
        "failed": turns.failed,
        "results": {
            quantity: {
                name: _result([sample[quantity] for sample in samples])
                for name, samples in turns.samples.items()
            }
            for quantity in measurement.quantities
        },
        "comparisons": comparisons(measurement, turns.samples),
    }


def _result(values: list[float]) -> dict[str, Any]:
    return {**summary.summary(values)._asdict(), "samples": values}


def disagreeing(checks: dict[str, list[float] | None]) -> dict[str, str]:
    """Contenders that computed something else than most did, with what it was."""
    given = {name: check for name, check in checks.items() if check is not None}
    if not given:
        return {}
    middle = [statistics.median(numbers) for numbers in zip(*given.values(), strict=True)]
    return {
        name: f"computed {check}, where the others have {middle}"
        for name, check in given.items()
        if not all(
            math.isclose(a, b, rel_tol=TOLERANCE) for a, b in zip(check, middle, strict=True)
        )
    }


def comparisons(measurement: Measurement, samples: Samples) -> dict[str, dict[str, Any]]:
    """The ratios of the first quantity, taken within each round, and who was compared."""
    quantity = next(iter(measurement.quantities))
    values = {name: [sample[quantity] for sample in of] for name, of in samples.items()}
    found = {}
    for comparison in measurement.comparisons:
        over, under = (summary.best(values, names) for names in (comparison.over, comparison.under))
        ratio = over and under and summary.ratio(values[over], values[under])
        if ratio:
            found[comparison.name] = {**ratio._asdict(), "over": over, "under": under}
    return found


def exponents(measurement: Measurement, cases: list[dict[str, Any]]) -> dict[str, Any]:
    """The fitted exponent of each quantity for each contender, from the medians."""
    fitted: dict[str, Any] = {}
    for quantity in measurement.quantities:
        fitted[quantity] = {}
        for contender in measurement.contenders:
            points = [
                (case["size"], case["results"][quantity][contender.name]["median"])
                for case in cases
                if contender.name in case["results"][quantity]
            ]
            if points:
                sizes, medians = zip(*points, strict=True)
                fitted[quantity][contender.name] = summary.exponent(sizes, medians)
    return fitted
