"""Results as pictures."""

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

_LABELS = {"s": "seconds", "B": "bytes", "": "count"}


def save(folder: Path, key: str, section: dict[str, Any]) -> Path:
    """Write the picture of one section and give its path."""
    figure = _growth(section) if section["exponents"] else _bars(section)
    path = folder / f"{key.replace(' ', '-')}.png"
    figure.savefig(path, dpi=120)
    return path


def _bars(section: dict[str, Any]) -> Figure:
    """A group of bars for each case, whiskers to the quartiles; relative to the floor if any."""
    quantity, unit = next(iter(section["quantities"].items()))
    cases = [case for case in section["cases"] if case["results"][quantity]]
    floor = section["floor"]
    contenders = list(dict.fromkeys(n for case in cases for n in case["results"][quantity]))
    figure = Figure(figsize=(2.5 + 0.35 * len(contenders) * max(1, len(cases)), 4))
    axes = figure.subplots()
    width = 0.8 / max(1, len(contenders))
    for row, name in enumerate(contenders):
        for column, case in enumerate(cases):
            results = case["results"][quantity]
            if name not in results or (floor and floor not in results):
                continue
            scale = results[floor]["median"] if floor else 1.0
            low, middle, high = (results[name][at] / scale for at in ("low", "median", "high"))
            axes.bar(
                column + (row - (len(contenders) - 1) / 2) * width,
                middle,
                width,
                yerr=[[middle - low], [high - middle]],
                color=f"C{row}",
                label=name if column == 0 else None,
            )
    axes.set_xticks(range(len(cases)), [case["case"] for case in cases])
    if floor:
        axes.axhline(1, color="black", linewidth=0.8)
        axes.set_ylabel(f"time / {floor}")
    else:
        medians = [r["median"] for case in cases for r in case["results"][quantity].values()]
        if medians and max(medians) > 20 * min(medians) > 0:
            axes.set_yscale("log")
        axes.set_ylabel(_LABELS[unit])
    return _finished(figure, axes, section)


def _growth(section: dict[str, Any]) -> Figure:
    """A log-log line for each contender and quantity, with its exponent."""
    figure = Figure(figsize=(5 * len(section["quantities"]), 4))
    panels = figure.subplots(1, len(section["quantities"]), squeeze=False)[0]
    for axes, (quantity, unit) in zip(panels, section["quantities"].items(), strict=True):
        for name, slope in section["exponents"][quantity].items():
            points = [
                (case["size"], case["results"][quantity][name]["median"])
                for case in section["cases"]
                if name in case["results"][quantity]
            ]
            label = name if slope is None else f"{name}, exponent {slope:.2f}"
            axes.plot(*zip(*points, strict=True), marker="o", label=label)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_ylabel(_LABELS[unit])
        _finished(figure, axes, section)
    return figure


def _finished(figure: Figure, axes: Axes, section: dict[str, Any]) -> Figure:
    figure.suptitle(section["title"])
    axes.grid(axis="y", alpha=0.3)
    axes.set_axisbelow(True)
    axes.legend(fontsize="small")
    figure.set_layout_engine("constrained")
    return figure
