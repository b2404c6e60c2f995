"""Noise for the generator, and images from it."""

import os
from collections.abc import Sequence
from enum import IntEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scratchgan import nn, viz
from scratchgan.autograd import no_grad
from scratchgan.autograd.tensor import Tensor
from scratchgan.creation import as_tensor
from scratchgan.gan.config import SEEDS
from scratchgan.gan.files import RunError, whole
from scratchgan.gan.runs import Run
from scratchgan.random import Generator, randn

#: Most images that are made at once; they take 784 MB.
MAX_IMAGES = 1_000_000

#: Rows and columns of a grid of samples; for a conditional generator the columns.
GRID_ROWS = 8

#: Images that go through the generator at once; the memory that takes is independent of n.
_AT_ONCE = 1000


class Stream(IntEnum):
    """The uses of noise; each has random numbers of its own."""

    STEP = 1  #: All that a step of a training draws.
    STATISTICS = 2  #: The noise on which batch norm takes its statistics before G draws.
    SAMPLE = 3  #: The grid that is drawn after each epoch.
    GENERATE = 4
    VITALS = 5  #: The step that is taken with a copy of the game, to see how it goes.


def noise(
    n: int, latent_dim: int, seed: int, stream: Stream, step: int = 0, device: str = "cpu"
) -> Tensor:
    """Standard normal noise (n, latent_dim), the same numbers on every device."""
    return randn(n, latent_dim, generator=Generator(seed, stream, step), device=device)


def to_bytes(images: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Map floats in [-1, 1] to the nearest bytes 0 ... 255: the reverse of ``data.to_float``."""
    bytes_: NDArray[np.uint8] = np.rint((images + 1) * 127.5).astype(np.uint8)
    return bytes_


def class_labels(n: int, classes: int, device: str = "cpu") -> Tensor:
    """Labels (n,) in equal parts, those of a class side by side."""
    return as_tensor(np.arange(n) * classes // n, device=device)


def draw(generator: nn.Module, noise: Tensor, labels: Tensor | None = None) -> NDArray[np.uint8]:
    """The images that ``generator`` makes of ``noise`` (n, latent_dim): uint8 (n, height, width).

    They go through it some at a time, so that the memory which that takes is independent of n.

    Args:
        generator: In the mode for use (``eval()``).
        noise: (n, latent_dim).
        labels: (n,), or mixtures of classes (n, classes), if the generator is conditional.

    Raises:
        RunError: A pixel is nan.
    """
    seen = [noise] if labels is None else [noise, labels]
    parts = []
    with no_grad(), np.errstate(over="ignore", invalid="ignore"):  # it is seen below
        for start in range(0, len(noise), _AT_ONCE):
            images = generator(*[x[start : start + _AT_ONCE] for x in seen]).numpy(force=True)
            if not np.isfinite(images).all():
                raise RunError("the generator draws pixels that are nan; its weights are too large")
            parts.append(to_bytes(images)[:, 0])
    return np.concatenate(parts)


def check_seed(seed: int) -> None:
    """Raise a RunError unless ``seed`` is from 0 to 2**64 - 1."""
    if not 0 <= seed < SEEDS:
        raise RunError(f"seed is {seed}; it must be an integer from 0 to {SEEDS - 1}")


def label_of(run: Run, name: str) -> int:
    """The number of the class that is named so.

    Raises:
        RunError: The generator of ``run`` draws what it likes, or has no such class.
    """
    names = run.subject.names
    if not run.config.conditional:
        raise RunError(
            f"{run.folder}: its generator draws what it likes; train one with --conditional"
        )
    if name not in names:
        raise RunError(f"there is no class {name!r}; choose one of {', '.join(names)}")
    return names.index(name)


def labels_in_turn(run: Run, n: int, start: int = 0) -> NDArray[np.intp] | None:
    """The classes (n,) of the images from ``start`` on that :func:`generate` draws in turn.

    None if the run's generator is not conditional.
    """
    if not run.config.conditional:
        return None
    return np.arange(start, start + n) % len(run.subject.names)


def generate(run: Run, n: int, seed: int, digit: str | None = None) -> NDArray[np.uint8]:
    """Images from the trained generator of a run.

    With the same seed, fewer images are the first of more.

    Args:
        run: With a generator.
        n: How many, 1 to 1,000,000.
        seed: Of the noise, 0 to 2**64 - 1.
        digit: The name of a class; a conditional generator draws all in turn if it is None.

    Returns:
        uint8 (n, height, width), 0 is background and 255 is full ink.

    Raises:
        RunError: The generator cannot be loaded, a number is outside its range, or a digit is asked
            for that the generator does not know.
    """
    if not 1 <= n <= MAX_IMAGES:
        raise RunError(f"n is {n}; it must be an integer from 1 to {MAX_IMAGES}")
    check_seed(seed)
    label = None if digit is None else label_of(run, digit)
    generator = run.load_generator()
    stream = Generator(seed, Stream.GENERATE)
    parts = []
    for start in range(0, n, _AT_ONCE):
        size = min(_AT_ONCE, n - start)
        z = randn(size, run.config.latent_dim, generator=stream)
        labels = labels_in_turn(run, size, start) if label is None else np.full(size, label)
        parts.append(draw(generator, z, None if labels is None else as_tensor(labels)))
    return np.concatenate(parts)


def save(
    path: str | os.PathLike[str], images: NDArray[np.uint8], columns: int | None = None
) -> None:
    """Write images (n, height, width) as an array, as a picture or as a film.

    Args:
        path: ``*.npz`` for an archive with the array ``images``, ``*.png`` for a grid, ``*.gif``
            for a film of 15 images a second.
        images: uint8 (n, height, width).
        columns: Of a grid; by default as many as rows.

    Raises:
        RunError: The name ends otherwise, the grid would be too large, or the file cannot be
            written.
    """
    path = Path(path)
    check_name(path, len(images), kinds=(".npz", ".png", ".gif"))
    with whole(path) as file:
        if path.suffix.lower() == ".npz":
            np.savez(file, images=images)
        elif path.suffix.lower() == ".gif":
            viz.save_film(file, images)
        else:
            viz.save_grid(file, images, columns)


_KINDS = {".npz": "an array", ".png": "a grid", ".gif": "a film"}


def check_name(path: Path, n: int, kinds: Sequence[str] = (".npz", ".png")) -> None:
    """Raise the RunError that :func:`save` would, before there are any images.

    Args:
        path: Where they are to go.
        n: How many there will be.
        kinds: The endings that are allowed.
    """
    if path.suffix.lower() not in kinds:
        allowed = [f"{kind} ({_KINDS[kind]})" for kind in kinds]
        neither = "neither in " if len(kinds) > 1 else "not in "
        raise RunError(f"{path}: ends {neither}{' nor in '.join(allowed)}")
    if path.suffix.lower() == ".png" and n > viz.MAX_GRID:
        other = "; use .npz" if ".npz" in kinds else ""
        raise RunError(f"{path}: a grid holds at most {viz.MAX_GRID} images, not {n}{other}")
