"""Sweeps: many trainings with different settings, each in a process of its own.

A sweep is a TOML file::

    recipe = "default"       # what all begin from
    search = "grid"          # every combination; or "random"
    trials = 20              # how many, of a random search
    seed = 0                 # of a random search

    [settings]               # the same for all
    epochs = 10

    [vary]                   # a list of values each; or a range, of a random search
    objective = ["hinge", "relativistic"]
    lr = { low = 1e-4, high = 1e-2, log = true }

A trial that fails is told and stops nothing. What was done is not done again: a sweep that was
interrupted goes on when it is run again into the same folder.
"""

import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from scratchgan.files import drafts_in
from scratchgan.gan.config import Config
from scratchgan.gan.evaluation import evaluate, require_digits
from scratchgan.gan.files import RunError, read, whole
from scratchgan.gan.recipes import read_toml
from scratchgan.gan.runs import LOCK, Run, locked
from scratchgan.gan.sampling import generate, labels_in_turn
from scratchgan.gan.trainer import load_images
from scratchgan.gan.training import train
from scratchgan.messages import one_line, shown

#: Most trials of a grid; more are a mistake.
_MOST = 10_000
#: The entries of a sweep file, and the kind of each.
_PARTS: dict[str, type] = {
    **{"recipe": str, "search": str, "trials": int, "seed": int},
    **{"settings": dict, "vary": dict},
}
_KINDS = {str: "a text", int: "an integer", dict: "a table"}
_CHILD = "from scratchgan.gan.sweep import _main; _main()"

Values = dict[str, Any]


@dataclass(frozen=True)
class Trial:
    """One training of a sweep.

    Attributes:
        name: Of its folder: its number, and what is varied.
        varied: The settings that are varied, by name.
        config: All settings.
    """

    name: str
    varied: Values
    config: Config


@dataclass(frozen=True)
class Result:
    """How a trial ended.

    Attributes:
        trial: Which.
        measures: Of its digits, by name; None if it failed.
        fault: Why it failed.
    """

    trial: Trial
    measures: Values | None
    fault: str | None = None


def read_sweep(path: str | os.PathLike[str]) -> list[Trial]:
    """The trials of a sweep file.

    Raises:
        RunError: It cannot be read, or something in it is not as it must be.
    """
    path = Path(path)
    plan = read_toml(path)
    try:
        for name, kind in _PARTS.items():
            if not isinstance(plan.get(name, kind()), kind) or isinstance(plan.get(name), bool):
                raise RunError(f"{name} is {shown(plan[name])}; it must be {_KINDS[kind]}")
        for name in plan:
            if name not in _PARTS:
                raise RunError(f"there is no {shown(name)} in a sweep; it has {', '.join(_PARTS)}")
        return _planned(**plan)
    except RunError as fault:
        raise RunError(f"{path}: {fault}") from None


def _planned(
    recipe: str = "default",
    search: str = "grid",
    trials: int = 20,
    seed: int = 0,
    settings: Values | None = None,
    vary: Values | None = None,
) -> list[Trial]:
    if not isinstance(vary, dict) or not vary:
        raise RunError("nothing is varied; give a table [vary]")
    if search == "grid":
        chosen = _grid(vary)
    elif search == "random":
        if type(trials) is not int or not 1 <= trials <= _MOST:
            raise RunError(f"trials is {shown(trials)}; it must be an integer from 1 to {_MOST}")
        chosen = list(_random(vary, trials, seed))
    else:
        raise RunError(f"search is {shown(search)}; it must be grid or random")
    found = []
    for number, varied in enumerate(chosen, start=1):
        config = Config.from_recipe(recipe, **{**(settings or {}), **varied})
        what = "-".join(f"{name}={_short(value)}" for name, value in varied.items())
        found.append(Trial(f"{number:03d}-{what}"[:100], varied, config))
    return found


def _grid(vary: Values) -> list[Values]:
    for name, values in vary.items():
        if not isinstance(values, list) or not values:
            raise RunError(
                f"vary.{one_line(name)} is {shown(values)}; a grid takes a list of values"
            )
    count = math.prod(map(len, vary.values()))
    if count > _MOST:
        raise RunError(f"the grid has {count:,} trials; it may have {_MOST:,}")
    return [dict(zip(vary, values, strict=True)) for values in product(*vary.values())]


def _random(vary: Values, trials: int, seed: int) -> Iterator[Values]:
    if type(seed) is not int or seed < 0:
        raise RunError(f"seed is {shown(seed)}; it must be an integer from 0 on")
    rng = np.random.Generator(np.random.Philox(seed))
    for _ in range(trials):
        yield {name: _drawn(name, of, rng) for name, of in vary.items()}


def _drawn(name: str, of: Any, rng: np.random.Generator) -> Any:
    """One of a list, or a number of a range."""
    name = f"vary.{one_line(name)}"
    if isinstance(of, list) and of:
        return of[int(rng.integers(len(of)))]
    numbers = (int, float)
    if not isinstance(of, dict) or not {"low", "high"} <= set(of) <= {"low", "high", "log"}:
        raise RunError(f"{name} is {shown(of)}; give a list, or low and high and perhaps log")
    low, high, log = of["low"], of["high"], of.get("log", False)
    is_range = type(low) in numbers and type(high) in numbers and low < high
    if not is_range or max(abs(low), abs(high)) >= 1 << 63:
        ends_of = f"from {shown(low)} to {shown(high)}"
        raise RunError(f"{name} goes {ends_of}; it must be a range of numbers")
    if log and low <= 0:
        raise RunError(f"{name} begins at {low!r}; on a log scale it must be above 0")
    if type(low) is int and type(high) is int and not log:
        return int(rng.integers(low, high + 1))
    ends = (math.log(low), math.log(high)) if log else (low, high)
    x = rng.uniform(*ends)
    drawn = math.exp(x) if log else x
    return round(drawn) if type(low) is int and type(high) is int else float(f"{drawn:.4g}")


def _short(value: Any) -> str:
    text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    return text.replace(os.sep, "_")


# --- Running ----------------------------------------------------------------------------


def run_sweep(
    trials: list[Trial], folder: Path, workers: int = 0, scheduler: str | None = None
) -> Iterator[Result]:
    """Run the trials, each in a process of its own; yields how each ended, as it ends.

    Args:
        trials: Which.
        folder: Where each has its run folder.
        workers: How many run at once on this machine; 0 for one on each pair of cores.
        scheduler: Address of a Dask scheduler, whose workers see the same folder; then they run
            there.

    Raises:
        RunInUse: Another process runs a sweep there.
        RunError: The folder cannot be made or held, or there is no such scheduler.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise RunError(f"{folder}: cannot be made ({fault.strerror})") from None
    with locked(folder, "runs a sweep there"):
        if scheduler is not None:
            yield from _on_dask(trials, folder, scheduler)
        else:
            yield from _on_this_machine(trials, folder, workers)


def _on_this_machine(trials: list[Trial], folder: Path, workers: int) -> Iterator[Result]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    cores = cores or 1
    workers = workers or max(1, cores // 2)
    threads = max(1, cores // workers)
    children = _Children()
    with ThreadPoolExecutor(workers) as pool:
        waiting: list[Future[Result]] = []
        try:
            for trial in trials:
                waiting.append(pool.submit(run_trial, trial, folder, threads, children))
            for done in as_completed(waiting):
                yield done.result()
        finally:  # also of one that is interrupted
            for future in waiting:
                future.cancel()
            children.end()


class _Children:
    """The processes of a sweep: when it ends, they do, and none begins after that."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self._is_over = False

    def run(self, arguments: list[str], environment: dict[str, str]) -> tuple[int, str]:
        """Run a command to its end: its exit code, and what it said on stderr."""
        with self._lock:
            if self._is_over:
                return -signal.SIGTERM, ""
            process = subprocess.Popen(
                arguments,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                errors="backslashreplace",
                env=environment,
            )
            self._running.add(process)
        _, errors = process.communicate()
        with self._lock:  # its number may be another's from now on
            self._running.discard(process)
        return process.returncode, errors

    def end(self) -> None:
        """End all of them."""
        with self._lock:
            self._is_over = True
            for process in self._running:
                process.kill()


def _on_dask(trials: list[Trial], folder: Path, scheduler: str) -> Iterator[Result]:
    try:
        from distributed import Client, as_completed
    except ImportError as fault:
        why = f"Dask cannot be imported ({fault}); pip install 'scratchgan[dask]'"
        raise RunError(why) from None
    try:
        client = Client(scheduler, timeout=10)
    except (OSError, ValueError) as fault:
        raise RunError(f"{scheduler}: no Dask scheduler answers there ({fault})") from None
    with client:
        where = folder.resolve()
        waiting = [client.submit(run_trial, trial, where, pure=False) for trial in trials]
        for done in as_completed(waiting):
            yield done.result()


def run_trial(
    trial: Trial, folder: Path, threads: int | None = None, children: _Children | None = None
) -> Result:
    """Run one trial in a process of its own, unless that was done before.

    Args:
        trial: Which.
        folder: Where its run folder lies, or will.
        threads: How many it may use; by default as many as it likes.
        children: Of whom the process is one, so that it can be ended from elsewhere.
    """
    where = folder / trial.name
    if (known := _measures_in(where, trial.config)) is not None:
        return Result(trial, known)
    if where.exists():
        if not _is_cut_short(where):
            why = f"{where} holds something else than this trial; choose another folder"
            return Result(trial, None, why)
        try:
            with locked(where, "trains this run"):
                pass
            shutil.rmtree(where)  # afterwards, since Windows removes no file that is held
        except RunError as fault:
            return Result(trial, None, str(fault))
        except OSError as fault:
            return Result(trial, None, f"{where}: cannot be removed ({fault.strerror})")
    environment = {**os.environ}
    if threads is not None:
        environment["OMP_NUM_THREADS"] = str(threads)
    arguments = [sys.executable, "-c", _CHILD, json.dumps(trial.config.to_dict()), str(where)]
    try:
        code, errors = (children or _Children()).run(arguments, environment)
    except OSError as fault:
        return Result(trial, None, f"its process cannot be started ({fault.strerror})")
    known = _measures_in(where, trial.config) if code == 0 else None
    if known is not None:
        return Result(trial, known)
    said = errors.strip().splitlines() or [f"it ended with code {code}"]
    return Result(trial, None, re.sub(r"^scratchgan(\.\w+)+: ", "", said[-1]))


def _is_cut_short(where: Path) -> bool:
    """Whether a folder holds a run that did not come to its end, or nothing."""
    if not where.is_dir() or (where / "evaluation.json").exists():
        return False
    if (where / "config.json").exists():
        return True
    # A process may have been killed before it had written that.
    return {*where.iterdir()} <= {where / LOCK, *drafts_in(where)}


def _measures_in(where: Path, config: Config) -> Values | None:
    """The result of an earlier run of the same trial, if it came to its end."""
    try:
        if Run.open(where).config != config:
            return None
        found: Values = json.loads(read(where / "evaluation.json", "it did not come to its end"))
        return found if _are_measures(found) else None
    except (TypeError, ValueError, RecursionError):
        return None


def _are_measures(found: Any) -> bool:
    """Whether what ``evaluation.json`` holds are numbers by name, and lists of them."""
    if not isinstance(found, dict) or "frechet_distance" not in found:
        return False
    numbers = [x for value in found.values() for x in (value if type(value) is list else [value])]
    return all(type(x) in (int, float) for x in numbers)


def _main() -> None:
    """A trial, in its own process; its settings and its folder are the arguments."""
    settings, folder = sys.argv[1:]
    config = Config.from_dict(json.loads(settings))
    images = load_images(config)
    require_digits(images.subject, "a sweep judges what its trainings draw")
    run = Run.create(folder, config, images.subject)
    train(run, images)
    found = asdict(evaluate(generate(run, 10_000, 0), labels_in_turn(run, 10_000)))
    found = {name: value for name, value in found.items() if value is not None}
    with whole(run.folder / "evaluation.json") as file:
        file.write(json.dumps(found, indent=2).encode() + b"\n")


def best(results: Iterable[Result], key: Callable[[Values], float]) -> Result | None:
    """The result with the least ``key`` of its measures, if any trial came to its end."""
    done = [result for result in results if result.measures is not None]
    return min(done, key=lambda result: key(result.measures or {}), default=None)
