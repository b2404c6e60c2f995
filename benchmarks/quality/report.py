"""The trainings as tables and pictures."""

import json
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from benchmarks import machine
from benchmarks.quality.contenders import BASE, Trial
from benchmarks.report import markdown_table

Result = dict[str, Any]  #: "curve", "digits", and the measures of the "first" and "second" judge.


@dataclass(frozen=True)
class Results:
    """All that was measured so far.

    Attributes:
        real: What real digits get.
        trials: Each training, and what came of it.
        paces: The seconds that an image takes, by the names of contenders, in each round.
        about: The machine, the command, and why trainings failed.
    """

    real: Result
    trials: list[tuple[Trial, Result]]
    paces: dict[str, list[float]]
    about: dict[str, Any]

    def of(self, package: str) -> dict[str, list[Result]]:
        """The results of each contender of a package over the seeds, by the recipe."""
        found: dict[str, list[Result]] = {}
        for trial, result in self.trials:
            contender = trial.contender
            if contender.package == package and contender.name in self.paces:
                pace = statistics.median(self.paces[contender.name])
                curve = [{**point, "seconds": point["images"] * pace} for point in result["curve"]]
                found.setdefault(contender.recipe, []).append({**result, "curve": curve})
        return found


def read(folder: Path) -> Result:
    """The result that a training and its judges left in ``folder``."""
    measures: Result = json.loads((folder / "measures.json").read_text())
    curve = json.loads((folder / "curve.json").read_text())
    return {**measures, "curve": curve, "digits": np.load(folder / "digits.npy")}


# --- Tables ---------------------------------------------------------------------------------

Measure = Callable[[Result], float]

MEASURES: dict[str, tuple[Measure, str]] = {
    "Fréchet distance": (lambda r: r["first"]["frechet_distance"], ".3g"),
    "second judge": (lambda r: r["second"]["frechet_distance"], ".3g"),
    "precision": (lambda r: r["first"]["precision"], ".2f"),
    "recall": (lambda r: r["first"]["recall"], ".2f"),
    "rarest digit": (lambda r: min(r["first"]["classes"]), ".1%"),
    "commonest": (lambda r: max(r["first"]["classes"]), ".1%"),
}


def seconds(result: Result) -> float:
    """How long the training takes, without its judges."""
    return float(result["curve"][-1]["seconds"])


def distance_at(result: Result, seconds: float) -> float:
    """The distance after so many seconds, on a line between logarithms of two points."""
    times = [point["seconds"] for point in result["curve"]]
    logs = [math.log(point["distance"]) for point in result["curve"]]
    return math.exp(float(np.interp(seconds, times, logs)))


def shared_seconds(results: Results) -> float:
    """How long each training of this project took at least."""
    return min(seconds(result) for many in results.of("scratchgan").values() for result in many)


def quality(results: Results) -> str:
    """A row for each contender: after the same images, and after the same time."""
    if not (ours := results.of("scratchgan")):
        return ""
    time = shared_seconds(results)
    headings = ["", *MEASURES, "seconds", f"distance after {time:.0f} s"]
    real = [format(measure(results.real), form) for measure, form in MEASURES.values()]
    rows = [["real digits", *real, "", ""]]
    twins = {f"{name}, PyTorch": many for name, many in results.of("torch").items()}
    for name, many in {**ours, **twins}.items():
        columns: list[tuple[Measure, str]] = [*MEASURES.values(), (seconds, ".0f")]
        cells = [mean_and_spread([of(r) for r in many], form) for of, form in columns]
        early = mean_and_spread([distance_at(r, time) for r in many], ".3g")
        rows.append([name, *cells, early])
    return markdown_table(headings, rows)


def parity(results: Results) -> str:
    """The distances of this project and of PyTorch, and whether they differ by more than seeds."""
    ours, theirs = results.of("scratchgan"), results.of("torch")
    measure, form = MEASURES["Fréchet distance"]
    rows = []
    for name in theirs:
        here, there = ([measure(r) for r in of.get(name, [])] for of in (ours, theirs))
        if not here:
            continue
        apart = abs(statistics.mean(here) - statistics.mean(there))
        spread = max(max(x) - min(x) for x in (here, there))
        cells = [mean_and_spread(x, form) for x in (here, there)]
        faster = statistics.median(map(seconds, theirs[name])) / statistics.median(
            map(seconds, ours[name])
        )
        rows.append([name, *cells, format(apart, form), format(spread, form), f"{faster:.2f}"])
    headings = [
        "",
        "scratchgan",
        "PyTorch",
        "apart",
        "spread over seeds",
        "time, PyTorch over ours",
    ]
    return markdown_table(headings, rows) if rows else ""


def mean_and_spread(values: Sequence[float], form: str) -> str:
    """The mean, and how far the values lie from it at most."""
    mean = statistics.mean(values)
    text = format(mean, form)
    if len(values) == 1:
        return text
    off = max(abs(value - mean) for value in values)
    return f"{text.removesuffix('%')} ± {format(off, form)}"


def conditions(results: Results) -> str:
    """The machine, the length of each training, and the command."""
    described = results.about["machine"]
    images = max((r["curve"][-1]["images"] for _, r in results.trials), default=0)
    parts = [
        machine.in_words(described),
        *machine.circumstances(described),
        f"{images:,} images each, mean of {len({trial.seed for trial, _ in results.trials})} seeds",
        results.about["date"],
    ]
    return f"{'; '.join(parts)}: `{results.about['command']}`"


def markdown(results: Results) -> str:
    """Both tables, and what they were measured on."""
    failed = [f"{name} failed: {why}.\n" for name, why in results.about["failures"].items()]
    return "\n".join(
        [
            "## Quality of digits\n",
            f"{conditions(results)}\n",
            quality(results),
            "## The same networks with PyTorch\n",
            parity(results),
            *failed,
        ]
    )


# --- Pictures -------------------------------------------------------------------------------


def curves(results: Results) -> Figure:
    """The distance over images and over seconds: objectives above, recipes below."""
    figure = Figure(figsize=(12, 9))
    panels = figure.subplots(2, 2, sharey="row", squeeze=False)
    ours, theirs = results.of("scratchgan"), results.of("torch")
    objectives = {n: many for n, many in ours.items() if n == BASE or n.startswith(f"{BASE}:")}
    recipes = {n: many for n, many in ours.items() if ":" not in n}
    for row, (title, group) in enumerate({"Objectives": objectives, "Recipes": recipes}.items()):
        for axes, axis in zip(panels[row], ("images", "seconds"), strict=True):
            for number, (name, many) in enumerate(group.items()):
                colour = f"C{number}"
                _curve(axes, axis, many, color=colour, label=name)
                if row and name in theirs:
                    _curve(axes, axis, theirs[name], color=colour, linestyle=":")
            axes.set_yscale("log")
            axes.set_xlabel(axis)
            axes.grid(alpha=0.3)
        panels[row][0].set_title(title if not row else f"{title}; dotted: PyTorch")
        panels[row][0].set_ylabel("Fréchet distance")
        if group:
            panels[row][1].legend(fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
    figure.set_layout_engine("constrained")
    return figure


def _curve(axes: Any, axis: str, many: list[Result], **style: Any) -> None:
    """The geometric mean over the seeds."""
    points = [[(point[axis], point["distance"]) for point in r["curve"]] for r in many]
    means = np.exp(np.log(np.array(points)).mean(0))
    axes.plot(means[:, 0], means[:, 1], marker=".", **style)


def digits(results: Results) -> Figure:
    """A row of digits of each contender, of the first seed."""
    ours = {name: many[0] for name, many in results.of("scratchgan").items()}
    theirs = {f"{name}, PyTorch": many[0] for name, many in results.of("torch").items()}
    rows = {"real digits": results.real, **ours, **theirs}
    figure = Figure(figsize=(12, 0.45 * len(rows)))
    for axes, (name, result) in zip(
        figure.subplots(len(rows), squeeze=False)[:, 0], rows.items(), strict=True
    ):
        axes.imshow(np.hstack(result["digits"]), cmap="gray")
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_ylabel(name, rotation=0, ha="right", va="center")
    figure.set_layout_engine("constrained")
    return figure


def write(folder: Path, results: Results) -> None:
    """Write ``quality.md``, ``curves.png`` and ``digits.png``."""
    (folder / "quality.md").write_text(markdown(results))
    if results.of("scratchgan"):
        curves(results).savefig(folder / "curves.png", dpi=100)
        digits(results).savefig(folder / "digits.png", dpi=100, bbox_inches="tight")
