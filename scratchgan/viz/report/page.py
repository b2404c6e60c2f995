"""The pages: templates beside this file, filled with what is known of trainings."""

import base64
import html
import io
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np

from scratchgan.data import DataError, read_picture
from scratchgan.viz.figures import in_16_greys
from scratchgan.viz.report.weights import DrawingNetwork, as_text

_FOLDER = Path(__file__).parent

_Item = TypeVar("_Item")

#: A row of numbers by name.
Row = Mapping[str, float]

#: Most pictures, rows of metrics and histograms in a page; where there are more, some are left out.
_MOST_PICTURES, _MOST_ROWS, _MOST_HISTOGRAMS = 60, 1500, 60

#: Bytes that the pictures of a page may take, and pixels that a side of one may have.
_MOST_BYTES, _MOST_PIXELS = 1_200_000, 640


@dataclass(frozen=True)
class Story:
    """All data of a training's report.

    Attributes:
        title: What it is called.
        state: How far it is, in a sentence.
        settings: By name.
        classes: The names of the classes of its images.
        rows: Metrics: ``step`` and ``epoch`` in all, the rest where it was measured.
        samples: Epoch, step and the file of each sample grid.
        histograms: ``{"epoch": n, "step": n, "layers": {...}}``, see :mod:`gan.vitals`.
        network: The trained generator, if it can be shown.
        seconds: The step and the time of each measurement of time.
        images_per_step: How many images D learns from in a step.
    """

    title: str
    state: str
    settings: Mapping[str, Any]
    classes: Sequence[str]
    rows: Sequence[Row]
    samples: Sequence[tuple[int, int, Path]]
    histograms: Sequence[Mapping[str, Any]]
    network: DrawingNetwork | None
    seconds: Sequence[tuple[int, float]]
    images_per_step: int


@dataclass(frozen=True)
class Contender:
    """One of the trainings that a comparison puts side by side.

    Attributes:
        title: What it is called.
        settings: By name.
        rows: Metrics, as of a :class:`Story`.
        sample: Epoch, step and the file of its last sample grid, if there is one.
        measures: How good its images are, where that was measured.
        images_per_step: How many images D learns from in a step.
    """

    title: str
    settings: Mapping[str, Any]
    rows: Sequence[Row]
    sample: tuple[int, int, Path] | None
    measures: Mapping[str, float]
    images_per_step: int


def save_report(file: BinaryIO, story: Story) -> None:
    """Write the report of a training, a page below 5 MB.

    What was timed stands in a script of its own, so that the rest is a function of the training.

    Args:
        file: Open for writing bytes.
        story: What it tells.
    """
    histograms = _some(story.histograms, _MOST_HISTOGRAMS)
    data = {
        **{"title": story.title, "state": story.state, "settings": dict(story.settings)},
        **{"classes": list(story.classes), "columns": _columns(_kept(story.rows))},
        **{"samples": _pictures(story.samples), "histograms": list(histograms)},
        "shapes": {
            name: layer["shape"] for each in histograms for name, layer in each["layers"].items()
        },
        "generator": None if story.network is None else as_text(story.network),
    }
    timed = _some(story.seconds, _MOST_ROWS)
    timings = {
        **{"images_per_step": story.images_per_step, "steps": [step for step, _ in timed]},
        "seconds": [seconds for _, seconds in timed],
    }
    parts = {
        **{"title": html.escape(f"{story.title}: a training"), "script": _file("report.js")},
        **{"data": _json(data), "timings": _json(timings), "generator": _file("generator.js")},
    }
    file.write(_filled("report.html", parts))


def save_comparison(file: BinaryIO, contenders: Sequence[Contender]) -> None:
    """Write a page with trainings side by side.

    Args:
        file: Open for writing bytes.
        contenders: Two or more.
    """
    runs = [
        {
            **{"title": each.title, "settings": dict(each.settings)},
            **{"columns": _columns(_kept(each.rows)), "measures": dict(each.measures)},
            "sample": next(iter(_pictures([each.sample] if each.sample else [])), None),
            "images_per_step": each.images_per_step,
        }
        for each in contenders
    ]
    title = html.escape(", ".join(each.title for each in contenders))
    parts = {"title": title, "data": _json({"runs": runs}), "script": _file("compare.js")}
    file.write(_filled("compare.html", parts))


def _filled(template: str, parts: Mapping[str, str]) -> bytes:
    """A template with its parts, and with the style and the charts that all pages have.

    The name of a folder may hold what has no code in UTF-8: in a title that is a reference.
    """
    parts = {"style": _file("page.css"), "charts": _file("charts.js"), **parts}
    text = re.sub(r"\{\{(\w+)\}\}", lambda hole: parts[hole[1]], _file(template))
    return text.encode(errors="xmlcharrefreplace")


def _file(name: str) -> str:
    return (_FOLDER / name).read_text("utf-8")


def _json(data: Any) -> str:
    """JSON that may stand in a script of a page, which no text in it can end."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c")


def _some(items: Sequence[_Item], most: int) -> Sequence[_Item]:
    """All items, or ``most`` of them: the first, the last, and what is evenly between."""
    if len(items) <= most:
        return items
    return [items[i * (len(items) - 1) // (most - 1)] for i in range(most)]


def _kept(rows: Sequence[Row]) -> list[Row]:
    """Rows that a page can hold: of those with vital signs, and of the others, some."""
    full = _some([row for row in rows if "diversity" in row], _MOST_ROWS)
    plain = _some([row for row in rows if "diversity" not in row], _MOST_ROWS)
    return sorted([*full, *plain], key=lambda row: row["step"])


def _columns(rows: Sequence[Row]) -> dict[str, list[float | None]]:
    names = {name: None for row in rows for name in row} | {"step": None, "epoch": None}
    return {name: [_finite(row.get(name)) for row in rows] for name in names}


def _finite(x: float | None) -> float | None:
    """``x``, or None where JSON has no such number."""
    return x if x is not None and math.isfinite(x) else None


def _pictures(samples: Sequence[tuple[int, int, Path]]) -> list[dict[str, Any]]:
    """Sample grids as a page shows them; as many as it can hold, and none that is damaged."""
    most = _MOST_PICTURES
    while True:
        chosen = _some(samples, most)
        found = [(epoch, step, picture) for epoch, step, path in chosen for picture in _png(path)]
        if most < 3 or sum(len(picture) for *_, picture in found) <= _MOST_BYTES:
            break
        most = most * 2 // 3
    return [
        {"epoch": epoch, "step": step, "png": f"data:image/png;base64,{_base64(picture)}"}
        for epoch, step, picture in found
    ]


def _png(path: Path) -> Iterable[bytes]:
    """A grid in which an image's pixel is one pixel, not four, in 16 greys; or nothing."""
    from PIL import Image

    try:
        grey = Image.fromarray(read_picture(path, grey=True))
    except DataError:
        return
    grey = grey.resize((grey.width // 2, grey.height // 2), Image.Resampling.NEAREST)
    grey.thumbnail((_MOST_PIXELS, _MOST_PIXELS))
    # Four bits for a pixel, 0 is black and 15 is white.
    numbered = Image.fromarray(in_16_greys(np.asarray(grey)) // 17)
    numbered.putpalette([x * 17 for x in range(16) for _ in range(3)])
    file = io.BytesIO()
    numbered.save(file, "png", bits=4, optimize=True)
    yield file.getvalue()


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
