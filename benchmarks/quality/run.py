"""All trainings, one after another; what was done before is not done again."""

import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import machine, process
from benchmarks.quality import report
from benchmarks.quality.contenders import Contender, Trial, contenders, trials
from scratchgan.data import MNIST

SCRIPTS = {"scratchgan": "with_scratchgan", "torch": "with_torch"}

#: How often the pace of each contender is measured.
ROUNDS = 3

#: The name of real digits, which are judged like those of a generator.
REAL = "real digits"


def run(folder: Path, quick: bool, command: str, say: Callable[[str], None]) -> int:
    """Train and judge all, and write tables and pictures into ``folder``.

    Args:
        folder: Where the trainings of an earlier run are, if there was one.
        quick: One epoch of each with one seed, to see that it works.
        command: What was called, for the record.
        say: Is told what is going on.

    Returns:
        How many trainings failed.
    """
    if find_spec("torch") is None:
        raise RuntimeError("the second judge and the twins need PyTorch: pip install torch")
    folder.mkdir(parents=True, exist_ok=True)
    planned = trials(quick)
    real, results = _real(folder), []
    failures: dict[str, str] = {}
    paces = _paces(folder, contenders(quick), say)
    for number, trial in enumerate(planned, start=1):
        name = f"{trial.contender.name}, seed {trial.seed}"
        say(f"{number} of {len(planned)}: {name}")
        try:
            results.append((trial, _done(folder, trial)))
        except RuntimeError as error:
            failures[name] = str(error).strip().splitlines()[-1]
        about = {
            **{"machine": machine.describe(), "date": date.today().isoformat()},
            **{"command": command, "failures": failures},
        }
        # After each, so that what was measured is there when a later one is interrupted.
        report.write(folder, report.Results(real, results, paces, about))
    return len(failures)


def _done(folder: Path, trial: Trial) -> dict[str, Any]:
    """The result of a trial, made now or before."""
    where, settings = folder / "trainings" / trial.folder, trial.config.to_dict()
    given = where / "settings.json"
    if (where / "measures.json").exists() and json.loads(given.read_text()) == _json(settings):
        return report.read(where)
    shutil.rmtree(where, ignore_errors=True)
    where.mkdir(parents=True)
    given.write_text(json.dumps(settings))
    script = f"benchmarks.quality.{SCRIPTS[trial.contender.package]}"
    process.run("-m", script, json.dumps(settings), str(where))
    _judge(folder, where)
    return report.read(where)


def _paces(folder: Path, of: list[Contender], say: Callable[[str], None]) -> dict[str, list[float]]:
    """The seconds that an image takes each contender, by its name, measured in turns.

    A contender that fails has none: its training will say why.
    """
    path = folder / "paces.json"
    if path.exists():
        found: dict[str, list[float]] = json.loads(path.read_text())
        return found
    paces: dict[str, list[float]] = {}
    for number in range(1, ROUNDS + 1):
        for contender in of:
            say(f"pace, round {number} of {ROUNDS}: {contender.name}")
            with suppress(RuntimeError):
                settings = json.dumps(contender.config.to_dict())
                spent = process.run("-m", "benchmarks.quality.pace", contender.package, settings)
                paces.setdefault(contender.name, []).append(float(spent.output))
    path.write_text(json.dumps(paces))
    return paces


def _real(folder: Path) -> dict[str, Any]:
    """The measures of MNIST's test images: the best that a generator can hope for."""
    where = folder / "trainings" / REAL.replace(" ", "-")
    if not (where / "measures.json").exists():
        where.mkdir(parents=True, exist_ok=True)
        np.save(where / "digits.npy", MNIST(train=False).images)
        (where / "curve.json").write_text("[]")
        _judge(folder, where)
    return report.read(where)


def _judge(folder: Path, where: Path) -> None:
    judge = folder / "second-judge.safetensors"
    process.run("-m", "benchmarks.quality.judges", str(judge), str(where))


def _json(settings: Any) -> Any:
    return json.loads(json.dumps(settings))
