"""The commands that use a trained generator: draw, judge, go between images, repair them."""

import dataclasses
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from scratchgan import gan
from scratchgan.cli.app import app
from scratchgan.progress import compilation_shown, print_table


@app.command()
def generate(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    out: Annotated[
        Path,
        typer.Option(help="*.npz for an array 'images', uint8 (n, 28, 28); *.png for a grid."),
    ],
    n: Annotated[int, typer.Option(help="How many images.")] = 64,
    seed: Annotated[int, typer.Option(help="Of the noise.")] = 0,
    digit: Annotated[
        str | None,
        typer.Option(help="Which one, 7 or a name, if the run is conditional; else all in turn."),
    ] = None,
) -> None:
    """Make images with the generator of a run."""
    from scratchgan.gan import sampling

    sampling.check_name(out, n)
    with compilation_shown():
        images = sampling.generate(gan.Run.open(run), n, seed, digit)
    sampling.save(out, images)
    typer.echo(f"{out}: {n:,} images")


@app.command()
def evaluate(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    n: Annotated[int, typer.Option(help="How many images; figures depend on it.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Of the noise.")] = 0,
) -> None:
    """Measure how good the digits of a run are, beside real ones.

    A classifier that comes with this package judges them. Distances are 0 at best; precision is the
    share of digits that could be real, recall the share of real ones that could be made.
    """
    from rich.table import Table

    from scratchgan.gan import evaluation, sampling

    opened = gan.Run.open(run)
    evaluation.require_digits(opened.subject, f"{run} is to be judged")
    with compilation_shown():
        found = evaluation.evaluate(
            gan.generate(opened, n, seed), sampling.labels_in_turn(opened, n)
        )
        real = evaluation.of_real_digits(n)
    table = Table("measure", title=f"{n:,} digits of {run}")
    table.add_column("samples", justify="right")
    equally_many = real.n == found.n
    heading = "real digits" if equally_many else f"{real.n:,} real digits"
    table.add_column(heading, justify="right")
    of_real = dataclasses.asdict(real)
    for name, value in dataclasses.asdict(found).items():
        if isinstance(value, float):
            table.add_row(name.replace("_", " "), f"{value:.3f}", f"{of_real[name]:.3f}")
    for digit, (share, real_share) in enumerate(zip(found.classes, real.classes, strict=True)):
        table.add_row(f"share of digit {digit}", f"{share:.1%}", f"{real_share:.1%}")
    print_table(table)


@app.command()
def interpolate(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    out: Annotated[Path, typer.Option(help="*.png for rows of images, *.gif for a film.")],
    seeds: Annotated[
        str, typer.Option(help="Of the noise vectors that the way leads through, as in 1,2,3.")
    ] = "0,1",
    digits: Annotated[
        str | None,
        typer.Option(
            help="The class at each of them, as in 3,8, if it is conditional; else all in turn."
        ),
    ] = None,
    steps: Annotated[int, typer.Option(help="Images from one vector to the next.")] = 16,
) -> None:
    """Draw images on the way from one noise vector to another, along an arc."""
    from scratchgan.gan import latent, sampling

    sampling.check_name(out, 1, kinds=(".png", ".gif"))
    try:
        numbers = [int(seed) for seed in seeds.split(",")]
    except ValueError:
        raise typer.BadParameter(f"seeds is {seeds!r}; it must be integers, as in 1,2,3") from None
    names = [name.strip() for name in digits.split(",")] if digits is not None else None
    with compilation_shown():
        images = latent.interpolate(gan.Run.open(run), numbers, steps, names)
    sampling.save(out, images, columns=steps)
    typer.echo(f"{out}: {len(images)} images")


@app.command()
def project(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    image: Annotated[Path, typer.Option(help="The picture that is to be drawn.")],
    out: Annotated[Path, typer.Option(help="*.png: the picture, and what the generator draws.")],
    steps: Annotated[int, typer.Option(help="Of the search.")] = 300,
    seed: Annotated[int, typer.Option(help="Of the noise that it begins with.")] = 0,
) -> None:
    """Find the noise that draws a given picture."""
    from scratchgan.gan import latent, sampling

    sampling.check_name(out, 1, kinds=(".png",))
    opened = gan.Run.open(run)
    pixels = _picture(image, opened)
    with compilation_shown():
        found = latent.project(opened, pixels, steps, seed)
    sampling.save(out, np.stack([pixels, found.image]), columns=2)
    typer.echo(f"{out}: the picture, and what comes nearest (mean squared error {found.error:.4f})")


@app.command()
def inpaint(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    image: Annotated[Path, typer.Option(help="The damaged picture.")],
    mask: Annotated[
        Path, typer.Option(help="A picture of its size, white where pixels are to be drawn anew.")
    ],
    out: Annotated[Path, typer.Option(help="*.png: the picture, what is known of it, the repair.")],
    steps: Annotated[int, typer.Option(help="Of the search.")] = 300,
    seed: Annotated[int, typer.Option(help="Of the noise that it begins with.")] = 0,
) -> None:
    """Repair a picture: the generator draws what the mask hides, and the rest stays."""
    from scratchgan.data import read_picture
    from scratchgan.gan import latent, sampling

    sampling.check_name(out, 1, kinds=(".png",))
    opened = gan.Run.open(run)
    sizes = [read_picture(path, grey=True).shape for path in (image, mask)]
    if sizes[0] != sizes[1]:
        (height, width), (mask_height, mask_width) = sizes
        raise typer.BadParameter(
            f"{mask} has {mask_width}x{mask_height} pixels, but {image} has {width}x{height}; a "
            "mask has the size of its picture"
        )
    pixels, hidden = _picture(image, opened), _picture(mask, opened) > 127
    with compilation_shown():
        repaired, found = latent.inpaint(opened, pixels, ~hidden, steps, seed)
    known = np.where(hidden, np.uint8(127), pixels)
    sampling.save(out, np.stack([pixels, known, repaired]), columns=3)
    typer.echo(
        f"{out}: the picture, its {int((~hidden).sum())} known pixels, and the repair "
        f"(mean squared error of what is known {found.error:.4f})"
    )


@app.command()
def neighbours(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    out: Annotated[Path, typer.Option(help="*.png: a row for each image and its neighbours.")],
    n: Annotated[int, typer.Option(help="How many images.")] = 8,
    k: Annotated[int, typer.Option(help="How many neighbours of each.")] = 7,
    seed: Annotated[int, typer.Option(help="Of the noise.")] = 0,
) -> None:
    """Show the training images that are nearest to what the generator draws: does it copy?"""
    from scratchgan.gan import latent, sampling

    sampling.check_name(out, n * (k + 1), kinds=(".png",))
    with compilation_shown():
        rows, distances = latent.neighbours(gan.Run.open(run), n, k, seed)
    sampling.save(out, rows.reshape(-1, *rows.shape[2:]), columns=k + 1)
    typer.echo(
        f"{out}: {n} images, and the {k} training images nearest to each (distances "
        f"{distances.min():.2f} to {distances.max():.2f}, pixels from 0 to 1)"
    )


def _picture(path: Path, run: "gan.Run") -> NDArray[np.uint8]:
    """A picture of the size that a generator draws; what was done to it is said."""
    from scratchgan.data.pictures import fitted_picture

    pixels, done = fitted_picture(path, run.subject.shape, grey=True)
    if done:
        typer.echo(f"{path}: {done}")
    return pixels
