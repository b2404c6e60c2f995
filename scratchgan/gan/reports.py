"""Run folders gathered for pages: the report of one run, the comparison of several."""

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scratchgan import nn
from scratchgan.gan.files import RunError, read, whole
from scratchgan.gan.models import AsImages, WithLabel
from scratchgan.gan.runs import Run
from scratchgan.gan.tables import read_table
from scratchgan.gan.trainer import Row
from scratchgan.viz.report import (
    Contender,
    Dense,
    DrawingNetwork,
    Story,
    save_comparison,
    save_report,
)

#: The measures that metrics.csv has where digits were judged.
_MEASURES = (
    *("frechet_distance", "kernel_distance", "precision", "recall", "density", "coverage"),
    *("imbalance", "nearest", "label_accuracy"),
)

#: More than any histograms of an epoch, or measures, in bytes.
_MOST_BYTES = 1 << 20


def write_report(run: Run) -> None:
    """Write report.html of a run, from what its folder holds.

    Raises:
        RunError: Something in the folder cannot be read, or the page cannot be written.
    """
    story = story_of(run)
    with whole(run.folder / "report.html") as file:
        save_report(file, story)


def compare(runs: Sequence[Run], path: Path) -> None:
    """Write a page with runs side by side: settings that differ, samples, measures, curves.

    Args:
        runs: Two or more.
        path: Of the page, ``*.html``.

    Raises:
        RunError: There are fewer, something in a folder cannot be read, or the page cannot be
            written.
    """
    if len(runs) < 2:
        raise RunError(f"{len(runs)} run cannot be compared with itself; name two or more")
    if path.suffix.lower() not in (".html", ".htm"):
        raise RunError(f"{path}: does not end in .html, as a page does")
    contenders = [contender_of(run) for run in runs]
    with whole(path) as file:
        save_comparison(file, contenders)


def story_of(run: Run) -> Story:
    """All data of a run's report.

    Raises:
        RunError: A table of the run is damaged, or its generator is.
    """
    config, rows = run.config, _rows(run)
    samples = _samples(run, rows)
    epoch, step = (int(max((row[name] for row in rows), default=0)) for name in ("epoch", "step"))
    network = drawing_network(run.load_generator(), run) if run.is_trained() else None
    timings = [
        (int(row["step"]), row["seconds"])
        for row in read_table(run.folder / "timings.csv")
        if math.isfinite(row.get("seconds", math.nan))
    ]
    return Story(
        title=f"{'MNIST' if config.data is None else Path(config.data).stem}, seed {config.seed}",
        state=f"{config.objective}, {step:,} steps, epoch {epoch} of {config.epochs}",
        settings=config.to_dict(),
        classes=run.subject.names,
        rows=rows,
        samples=samples,
        histograms=_histograms(run),
        network=network,
        seconds=timings,
        images_per_step=config.batch_size * config.discriminator_steps,
    )


def contender_of(run: Run) -> Contender:
    """The data of one run in a comparison.

    Raises:
        RunError: A table of the run is damaged.
    """
    config, rows = run.config, _rows(run)
    samples = _samples(run, rows)
    return Contender(
        title=str(run.folder),
        settings=config.to_dict(),
        rows=rows,
        sample=samples[-1] if samples else None,
        measures=_measures(run, rows),
        images_per_step=config.batch_size * config.discriminator_steps,
    )


def drawing_network(generator: nn.Module, run: Run) -> DrawingNetwork | None:
    """A generator in the mode for use as a chain of products and activations.

    A batch norm that uses its statistics is a scale and a shift, which the product before it can do
    as well: W x + b becomes s (W x + b) + t.

    Returns:
        None if it has a layer of another kind.
    """
    body, classes = generator, 0
    if isinstance(generator, WithLabel):
        body, classes = generator.body, len(run.subject.names)
    layers: list[Dense] = []
    for module in body.children():
        if isinstance(module, nn.Linear):
            bias = (
                np.zeros(module.out_features)
                if module.bias is None
                else module.bias.numpy(force=True)
            )
            layers.append(Dense(module.weight.numpy(force=True), bias, "none"))
        elif isinstance(module, nn.BatchNorm1d) and layers:
            layers[-1] = _normalized(layers[-1], module)
        elif isinstance(module, nn.LeakyReLU | nn.ReLU) and layers:
            slope = module.negative_slope if isinstance(module, nn.LeakyReLU) else 0.0
            layers[-1] = layers[-1]._replace(activation="leaky_relu", slope=slope)
        elif isinstance(module, nn.Tanh) and layers:
            layers[-1] = layers[-1]._replace(activation="tanh")
        elif not isinstance(module, AsImages):
            return None
    return DrawingNetwork(layers, run.config.latent_dim, classes, run.subject.shape)


def _normalized(layer: Dense, norm: nn.BatchNorm1d) -> Dense:
    state = {name: x.numpy(force=True).astype(np.float64) for name, x in norm.state_dict().items()}
    scale = state["weight"] / np.sqrt(state["running_var"] + norm.eps)
    shift = state["bias"] - state["running_mean"] * scale
    return layer._replace(weight=scale[:, None] * layer.weight, bias=scale * layer.bias + shift)


def _rows(run: Run) -> list[Row]:
    rows = read_table(run.folder / "metrics.csv")
    if not all(math.isfinite(row.get("epoch", math.nan)) for row in rows):
        raise RunError(f"{run.folder / 'metrics.csv'}: is no table of metrics, a row has no epoch")
    return rows


def _samples(run: Run, rows: Sequence[Row]) -> list[tuple[int, int, Path]]:
    """Epoch, step and file of each sample grid, in this order."""
    last_steps: dict[int, int] = {}
    for row in rows:
        last_steps[int(row["epoch"])] = int(row["step"])
    found = []
    for path in (run.folder / "samples").glob("epoch-*.png"):
        number = path.stem.removeprefix("epoch-")
        if number.isascii() and number.isdecimal():
            epoch = int(number[:9])
            found.append((epoch, last_steps.get(epoch, 0), path))
    return sorted(found)


def _histograms(run: Run) -> list[dict[str, Any]]:
    """The histograms of all epochs; what was damaged is left out."""
    found = []
    for path in sorted(
        (run.folder / "histograms").glob("epoch-*.json"), key=lambda path: path.stem
    ):
        each = _json(path)
        if each is not None and _are_histograms(each):
            found.append(each)
    return sorted(found, key=lambda each: each["epoch"])


def _are_histograms(each: Any) -> bool:
    try:
        return (
            all(type(each[name]) is int and 0 <= each[name] < 1 << 53 for name in ("epoch", "step"))
            and all(_is_shape(layer["shape"]) for layer in each["layers"].values())
            and all(
                _is_histogram(layer[kind])
                for layer in each["layers"].values()
                for kind in ("weights", "updates")
            )
        )
    except (KeyError, TypeError, AttributeError):
        return False


def _is_shape(shape: Any) -> bool:
    return type(shape) is list and len(shape) == 2 and all(type(x) is int for x in shape)


def _is_histogram(found: Any) -> bool:
    numbers = [found[name] for name in ("low", "high", "rms")]
    counts = found["counts"]
    return (
        all(_is_number(x) for x in numbers)
        and type(counts) is list
        and 0 < len(counts) <= 1000
        and all(type(x) is int and 0 <= x < 1 << 53 for x in counts)
    )


def _is_number(x: Any) -> bool:
    """Whether ``x`` is a number that a float can be; JSON may hold integers of any length."""
    return type(x) in (int, float) and abs(x) <= sys.float_info.max


def _measures(run: Run, rows: Sequence[Row]) -> dict[str, float]:
    """How good the images of a run are, if that was measured: by a sweep, or while it trained."""
    found = _json(run.folder / "evaluation.json")
    if isinstance(found, dict):
        return {name: x for name, x in found.items() if _is_number(x)}
    judged = next((row for row in reversed(rows) if "frechet_distance" in row), {})
    return {name: judged[name] for name in _MEASURES if _is_number(judged.get(name))}


def _json(path: Path) -> Any:
    """The content of a file of JSON, or None if there is none, or none that can be read."""
    try:
        return json.loads(read(path, "", _MOST_BYTES))
    except (ValueError, RecursionError):
        return None
