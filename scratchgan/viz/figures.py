"""Pictures as PNG files: a grid of images, and the curves of a training."""

import logging
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Most images in a grid: 100 by 100, 6,400 pixels wide.
MAX_GRID = 10_000

_GAP = 4  # between two images, and half of it around them all
_SCALE = 2  # screen pixels for one pixel of an image

# The colours of Okabe and Ito, which the colour-blind tell apart too.
_COLOURS = {"D": "#0072b2", "G": "#d55e00"}


def grid(images: NDArray[np.uint8], columns: int | None = None) -> NDArray[np.uint8]:
    """Images side by side on black, row by row.

    Args:
        images: uint8 (n, height, width).
        columns: By default as many as rows, or one more.

    Returns:
        uint8 (rows * (height + 4), columns * (width + 4)).
    """
    columns = columns or math.ceil(math.sqrt(len(images)))
    rows = -(-len(images) // columns)
    padded = np.zeros((rows * columns, *images.shape[1:]), np.uint8)
    padded[: len(images)] = images
    margin = _GAP // 2
    cells = np.pad(padded, ((0, 0), (margin, margin), (margin, margin)))
    _, height, width = cells.shape
    lines = cells.reshape(rows, columns, height, width).swapaxes(1, 2)
    return lines.reshape(rows * height, columns * width)


def save_grid(file: BinaryIO, images: NDArray[np.uint8], columns: int | None = None) -> None:
    """Write the :func:`grid` of ``images`` as a PNG, each pixel as a square of four.

    Args:
        file: Open for writing bytes.
        images: uint8 (n, height, width), 1 to 10,000 of them, 0 is black and 255 is white.
        columns: As of :func:`grid`.
    """
    from PIL import Image  # a tenth of the memory and time that Matplotlib takes to start

    pixels = grid(images, columns).repeat(_SCALE, axis=0).repeat(_SCALE, axis=1)
    Image.fromarray(pixels).save(file, format="png")


def save_film(
    file: BinaryIO, images: Iterable[NDArray[np.uint8]], scale: int = 8, rest: float = 1 / 15
) -> None:
    """Write images one after another as a GIF that begins again at its end, 15 a second.

    Args:
        file: Open for writing bytes.
        images: uint8 (height, width), one or more.
        scale: Each pixel becomes a square of so many by so many.
        rest: Seconds for which the last image stays.
    """
    from PIL import Image

    frames = [
        Image.fromarray(image.repeat(scale, axis=0).repeat(scale, axis=1)) for image in images
    ]
    durations = [1000 / 15] * (len(frames) - 1) + [1000 * rest]
    frames[0].save(file, "gif", save_all=True, append_images=frames[1:], duration=durations, loop=0)


def in_16_greys(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The nearest of 16 greys from 0 to 255 for each pixel; a file holds them in half the bytes."""
    greys: NDArray[np.uint8] = ((image.astype(np.uint16) + 8) // 17 * 17).astype(np.uint8)
    return greys


def save_losses(file: BinaryIO, metrics: Sequence[Mapping[str, float]]) -> None:
    """Write the :func:`losses_figure` of a training as a PNG.

    Args:
        file: Open for writing bytes.
        metrics: As there.

    Raises:
        ImportError: Matplotlib cannot be imported.
    """
    with _own_matplotlib():
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        figure = losses_figure(metrics)
        FigureCanvasAgg(figure)  # the figure's from now on, whatever the user's would be
        figure.savefig(file, format="png", dpi=120)


@contextmanager
def _own_matplotlib() -> Iterator[None]:
    """Within the ``with`` block, draw with Matplotlib's defaults, whatever a user has chosen.

    ``MPLBACKEND`` may name a notebook's backend, which Matplotlib cannot even be imported with
    where there is no notebook; and a matplotlibrc may ask for LaTeX. What Matplotlib logs is of
    such settings, or of a folder of its own that cannot be written: nothing that matters here.
    """
    log = logging.getLogger("matplotlib")
    level = log.level
    log.setLevel(logging.CRITICAL)
    chosen = os.environ.pop("MPLBACKEND", None)
    try:
        try:
            import matplotlib
        except Exception as fault:  # of many kinds where a matplotlibrc is damaged
            raise ImportError(f"Matplotlib cannot be imported: {fault}") from fault
        finally:
            if chosen is not None:
                os.environ["MPLBACKEND"] = chosen
        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            yield
    finally:
        log.setLevel(level)


def losses_figure(metrics: Sequence[Mapping[str, float]]) -> "Figure":
    """The curves of a training: the losses, what D thinks, whether G collapses, how good it is.

    Args:
        metrics: Rows of numbers by name: ``step`` in all; ``discriminator_loss``,
            ``generator_loss``, ``d_real`` and ``d_fake`` in most; ``diversity``,
            ``d_accuracy_real``, ``d_accuracy_fake`` and perhaps ``effective_classes`` of ten at the
            end of epochs; and ``frechet_distance``, ``precision`` and ``recall`` where digits were
            judged. Without rows of the last two kinds their parts are left out.
    """
    from matplotlib.figure import Figure

    is_watched = any("diversity" in row for row in metrics)
    is_judged = any("frechet_distance" in row for row in metrics)
    count = 2 + is_watched + is_judged
    figure = Figure(figsize=(9, 3 * count), layout="constrained")
    losses, scores, *others = figure.subplots(count, sharex=True)
    watched, judged = others[:is_watched], others[is_watched:]

    def plot(axes: Any, name: str, **style: Any) -> None:
        points = [(row["step"], row[name]) for row in metrics if name in row]
        axes.plot(*zip(*points, strict=True) if points else ([], []), **style)

    plot(losses, "discriminator_loss", color=_COLOURS["D"], label="D")
    plot(losses, "generator_loss", color=_COLOURS["G"], label="G")
    losses.set_ylabel("loss")

    plot(scores, "d_real", color=_COLOURS["D"], label="D(x), real images")
    plot(scores, "d_fake", color=_COLOURS["G"], label="D(G(z)), fakes")
    means = [row[name] for row in metrics for name in ("d_real", "d_fake") if name in row]
    if all(0 <= mean <= 1 for mean in means):
        scores.axhline(0.5, color="grey", linewidth=0.8, linestyle=":")
        scores.set_ylim(0, 1)
        scores.set_ylabel("probability of being real")
    else:
        scores.set_ylabel("score")

    for axes in watched:
        plot(axes, "d_accuracy_real", color=_COLOURS["D"], label="accuracy of D, real images")
        plot(axes, "d_accuracy_fake", color=_COLOURS["G"], label="of D, fakes")
        plot(axes, "diversity", color="black", linestyle="--", label="diversity")
        axes.set_ylim(bottom=0)
        axes.set_ylabel("share")
        if any("effective_classes" in row for row in metrics):
            classes = axes.twinx()
            plot(classes, "effective_classes", color="grey", linestyle=":", label="classes drawn")
            classes.set_ylim(0, 10)
            classes.set_ylabel("of ten classes")
            classes.legend(loc="lower right", bbox_to_anchor=(1, 1), frameon=False)

    for axes in judged:
        plot(axes, "frechet_distance", color="black", marker="o", label="Fréchet distance")
        axes.set_yscale("log")
        axes.set_ylabel("distance from real digits")
        shares = axes.twinx()
        plot(shares, "precision", color=_COLOURS["D"], marker="o", label="precision")
        plot(shares, "recall", color=_COLOURS["G"], marker="o", label="recall")
        shares.set_ylim(0, 1)
        shares.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False)

    for axes in (losses, scores, *others):
        axes.grid(alpha=0.3)
        # Above the curves, which may be anywhere within.
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False)
    (others or [scores])[-1].set_xlabel("step")
    return figure
