"""Results as pictures."""

import math
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter


def save(folder: Path, key: str, section: dict[str, Any]) -> None:
    """Write the picture of one section, if there is anything to show."""
    figure = _growth(section) if section["exponents"] else _bars(section)
    if any(axes.has_data() for axes in figure.axes):
        for axes in figure.axes:
            axes.grid(axis="y", alpha=0.3)
            axes.set_axisbelow(True)
        figure.suptitle(section["title"])
        figure.set_layout_engine("constrained")
        figure.savefig(folder / f"{key.replace(' ', '-')}.png", dpi=120)


def _bars(section: dict[str, Any]) -> Figure:
    """A group of bars for each case, whiskers to the quartiles; relative to the floor if any."""
    quantity, unit = next(iter(section["quantities"].items()))
    floor = section["floor"]
    cases = [
        case
        for case in section["cases"]
        if case["results"][quantity] and (floor is None or floor in case["results"][quantity])
    ]
    contenders = list(dict.fromkeys(n for case in cases for n in case["results"][quantity]))
    figure = Figure(figsize=(4.5 + 0.3 * len(contenders) * len(cases), 4))
    axes = figure.subplots()
    width = 0.8 / (len(contenders) or 1)
    for row, name in enumerate(contenders):
        for column, case in enumerate(cases):
            results = case["results"][quantity]
            if name not in results:
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
    if floor and cases:
        axes.axhline(1, color="black", linewidth=0.8)
        axes.set_ylabel(f"time / {floor}")
    else:
        medians = [r["median"] for case in cases for r in case["results"][quantity].values()]
        if medians and max(medians) > 20 * min(medians) > 0:
            axes.set_yscale("log")
        axes.yaxis.set_major_formatter(EngFormatter(unit))
    if cases:
        axes.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def _growth(section: dict[str, Any]) -> Figure:
    """A log-log line for each contender and quantity, with its exponent."""
    figure = Figure(figsize=(5 * len(section["quantities"]), 4))
    panels = figure.subplots(1, len(section["quantities"]), squeeze=False)[0]
    for axes, (quantity, unit) in zip(panels, section["quantities"].items(), strict=True):
        for name, slope in section["exponents"][quantity].items():
            points = [
                (case["size"], case["results"][quantity][name]["median"] or math.nan)
                for case in section["cases"]
                if name in case["results"][quantity]
            ]
            label = name if slope is None else f"{name}, exponent {slope:.2f}"
            axes.plot(*zip(*points, strict=True), marker="o", label=label)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xticks(
            [case["size"] for case in section["cases"]],
            [case["case"] for case in section["cases"]],
        )
        axes.minorticks_off()
        axes.yaxis.set_major_formatter(EngFormatter(unit))
        axes.legend(fontsize="small")
    return figure
