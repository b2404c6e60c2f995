"""Vital signs of a game: what shows that it collapses while it does, at the end of an epoch.

They are measured on copies of the players, with random numbers of their own, so that the training
goes on as if nothing had been measured. ``docs/gan.md`` says how to read them.
"""

import copy
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scratchgan import nn
from scratchgan.autograd import no_grad
from scratchgan.autograd.tensor import Tensor
from scratchgan.creation import as_tensor
from scratchgan.data import Subject
from scratchgan.data.batches import to_float
from scratchgan.functions import cat
from scratchgan.gan.classifier import digit_classifier
from scratchgan.gan.files import RunError, whole
from scratchgan.gan.game import Game
from scratchgan.gan.measures import class_shares, effective_classes, mean_distance
from scratchgan.gan.runs import Run
from scratchgan.gan.sampling import Stream, class_labels, noise
from scratchgan.gan.trainer import LOG_EVERY, Callback, Row, Trainer
from scratchgan.random import default_generator, randn

#: Samples, and real images, that are looked at.
SAMPLES = 500

#: Bars of a histogram.
BARS = 32

_PLAYERS = ("generator", "discriminator")


class VitalSigns(Callback):
    """Measures the game at the end of an epoch, but at most once in :data:`LOG_EVERY` steps.

    The numbers, by their columns in metrics.csv:

    * ``d_accuracy_real``, ``d_accuracy_fake``: :func:`accuracies`.
    * ``diversity``: how far two samples lie apart, over how far two real images do
      (:func:`gan.measures.mean_distance`): 1 if G draws as many different things, 0 if it draws
      one. Of MNIST's digits it is the distance of the classifier's features, in which a digit that
      is moved by a pixel is the same; of other images that of their pixels from 0 to 1.
    * ``effective_classes``, ``sample_share_of_0`` and so on: what the classifier takes the samples
      for (:func:`gan.measures.effective_classes`); of MNIST's digits alone.
    * ``dead.`` and the name of a layer: :func:`dead_units`.
    * ``gradient_norm.`` and the name of a layer: the Euclidean norm of the gradients of all its
      parameters in the step that would come next.

    Args:
        run: Gets ``histograms/epoch-0001.json`` and so on, see :func:`layers_before_and_after`.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self._of_real: float | None = None  # the distance of two real images, once it is known

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Measure, if the epoch is a whole one and it is time to."""
        before = trainer.step - trainer.steps_per_epoch
        is_due = trainer.step // LOG_EVERY > before // LOG_EVERY
        if trainer.is_within_epoch or not (is_due or trainer.epoch == trainer.config.epochs):
            return
        numbers = {**self._of_samples(trainer), **of_players(trainer)}
        game, found = step_of_a_copy(trainer)
        numbers |= gradient_norms(game)
        # What overflows in a copy is left out: rows of metrics are finite.
        add_to_row(trainer, {name: x for name, x in numbers.items() if math.isfinite(x)})
        self._write({"epoch": trainer.epoch, "step": trainer.step, "layers": found})

    def _of_samples(self, trainer: Trainer) -> Row:
        """How different the samples are from each other, and which digits."""
        samples = trainer.generate(SAMPLES, Stream.GENERATE)
        # Other images may have the size and the names of digits, as Fashion-MNIST has.
        are_digits = trainer.config.data is None and trainer.images.subject == Subject()
        if self._of_real is None:
            pixels = trainer.images.pixels[_spread(trainer, SAMPLES)]
            self._of_real = mean_distance(_seen(pixels, are_digits)[0])
        features, classes = _seen(samples, are_digits)
        # Real images that are all the same have no distance, and neither have samples like them.
        found = {"diversity": mean_distance(features) / (self._of_real or 1.0)}
        if classes is not None:
            shares = class_shares(classes)
            found["effective_classes"] = effective_classes(shares)
            found |= {f"sample_share_of_{digit}": float(x) for digit, x in enumerate(shares)}
        return found

    def _write(self, found: dict[str, Any]) -> None:
        path = self.run.histograms_path(found["epoch"])
        try:
            path.parent.mkdir(exist_ok=True)
        except OSError as fault:
            raise RunError(f"{path.parent}: cannot be made ({fault.strerror})") from None
        with whole(path) as file:
            file.write(json.dumps(found, separators=(",", ":"), allow_nan=False).encode())


def add_to_row(trainer: Trainer, found: Row) -> None:
    """Put numbers into the row of metrics of this step, which comes to be if there is none."""
    if trainer.rows and trainer.rows[-1]["step"] == trainer.step:
        trainer.rows[-1] = {**trainer.rows[-1], **found}
    else:
        trainer.rows.append({**trainer.row, **found})


def of_players(trainer: Trainer) -> Row:
    """The accuracies of D, and the dead units of both players, on 500 real images and fakes."""
    config, device = trainer.config, trainer.config.device
    generator, discriminator = (copy.deepcopy(getattr(trainer.game, x)) for x in _PLAYERS)
    places = _spread(trainer, SAMPLES)
    real, labels = _real(trainer, places)
    given = noise(len(places), config.latent_dim, config.seed, Stream.GENERATE, device=device)
    drawn = class_labels(len(places), trainer.classes, device) if config.conditional else None
    with no_grad(), _activations(generator, discriminator.eval()) as outputs:
        fake = generator(given, *([] if drawn is None else [drawn]))  # as D sees it in a step
        both = [] if labels is None or drawn is None else [cat([labels, drawn])]
        logits = discriminator(cat([real, fake]), *both).numpy(force=True)[:, 0]
    real_right, fake_right = accuracies(
        logits[: len(places)], logits[len(places) :], trainer.game.objective.boundary
    )
    found = {"d_accuracy_real": real_right, "d_accuracy_fake": fake_right}
    for player, of_player in zip(_PLAYERS, outputs, strict=True):
        for name, output in of_player.items():
            found[f"dead.{player}.{name}"] = dead_units(output)
    return found


def accuracies(
    real: NDArray[np.floating], fake: NDArray[np.floating], boundary: float | None
) -> tuple[float, float]:
    """The share of real images that D takes for real, and the share of fakes that it sees through.

    Args:
        real: D's logits (n,) of real images.
        fake: D's logits (m,) of fakes.
        boundary: The logit above which D says "real". If it is None, only differences of logits
            mean something, and the middle between the two mean logits takes its place.
    """
    if boundary is None:
        boundary = (float(real.mean(dtype=np.float64)) + float(fake.mean(dtype=np.float64))) / 2
    return float((real > boundary).mean()), float((fake <= boundary).mean())


def dead_units(output: NDArray[np.floating]) -> float:
    """The share of units that are off for a whole batch, of the output (n, units) of a ReLU.

    A ReLU that is off passes no gradient: if it is for every image, its unit learns nothing more.
    Behind a LeakyReLU "off" means that the output is not above 0; such a unit still learns, but
    computes nothing that is not linear.
    """
    return float((output <= 0).all(axis=0).mean())


def step_of_a_copy(trainer: Trainer) -> tuple[Game, dict[str, Any]]:
    """A copy of the game after another step, without jit, and its :func:`layers_before_and_after`.

    The gradients of D are those of its last move, as the parameters of the copy hold them.
    """
    config = trainer.config
    game = copy.deepcopy(trainer.game)
    # A stream of the run that no step draws from: dropout takes its numbers there too.
    default_generator.manual_seed(config.seed, Stream.VITALS, trainer.step)
    real, labels = _real(trainer, _spread(trainer, config.batch_size * config.discriminator_steps))
    d_noise = randn(len(real), config.latent_dim, device=config.device)
    g_noise = randn(config.batch_size, config.latent_dim, device=config.device)
    with np.errstate(all="ignore"):
        game.step(real, d_noise, g_noise, labels)
        return game, layers_before_and_after(trainer.game, game)


def gradient_norms(game: Game) -> Row:
    """The Euclidean norm of the gradients of each layer, its weights and its bias together."""
    found: Row = {}
    for name, layer in _layers(game).items():
        gradients = [x.grad for x in layer.parameters() if x.grad is not None]
        squares = [np.square(x.numpy(force=True), dtype=np.float64).sum() for x in gradients]
        found[f"gradient_norm.{name}"] = math.sqrt(sum(squares))
    return found


def layers_before_and_after(before: Game, after: Game) -> dict[str, Any]:
    """Histograms of the weights of each layer, and of their updates from one game to the other.

    Returns:
        By the name of the layer ``{"shape": [out, in], "weights": h, "updates": h}``, with ``h`` as
        ``{"low": x, "high": x, "rms": x, "counts": [...]}``: equal bars from ``low`` to ``high``,
        and the root of the mean square. A layer with numbers that are not finite is left out.
    """
    found: dict[str, Any] = {}
    old, new = _layers(before), _layers(after)
    for name, layer in old.items():
        (weights, shape), (moved, _) = (_matrix(x) for x in (layer, new[name]))
        updates = moved - weights
        if np.isfinite(weights).all() and np.isfinite(updates).all():
            parts = {"weights": _histogram(weights), "updates": _histogram(updates)}
            found[name] = {"shape": list(shape), **parts}
    return found


def _histogram(values: NDArray[np.float64]) -> dict[str, Any]:
    low, high = float(values.min()), float(values.max())
    # Where all are equal, or nearly, NumPy would have to cut nothing into bars.
    if not high - low > 1e-12 * max(abs(low), abs(high)):
        counts = [values.size]
    else:
        counts = np.histogram(values, BARS, (low, high))[0].tolist()
    rms = float(f"{math.sqrt(np.square(values).mean()):.6g}")
    return {"low": float(f"{low:.6g}"), "high": float(f"{high:.6g}"), "rms": rms, "counts": counts}


def _layers(game: Game) -> dict[str, nn.Module]:
    """The modules with a matrix of weights, by the player's name and their own."""
    return {
        name: module
        for player in _PLAYERS
        for name, module in getattr(game, player).named_modules(prefix=player)
        if any(x.ndim == 2 for x in module.parameters(recurse=False))
    }


def _matrix(layer: nn.Module) -> tuple[NDArray[np.float64], tuple[int, ...]]:
    """The elements of a layer's matrix, and its shape."""
    matrix = next(x for x in layer.parameters(recurse=False) if x.ndim == 2)
    return matrix.numpy(force=True).astype(np.float64).ravel(), matrix.shape


@contextmanager
def _activations(*players: nn.Module) -> Iterator[list[dict[str, NDArray[np.floating]]]]:
    """Within the ``with`` block, what the ReLUs of each player give, by their names."""
    found: list[dict[str, NDArray[np.floating]]] = [{} for _ in players]
    handles = []
    for player, outputs in zip(players, found, strict=True):
        for name, module in player.named_modules():
            if isinstance(module, nn.ReLU | nn.LeakyReLU):

                def note(
                    _module: nn.Module,
                    _inputs: tuple[Any, ...],
                    output: Tensor,
                    name: str = name,
                    outputs: dict[str, NDArray[np.floating]] = outputs,
                ) -> None:
                    outputs[name] = output.numpy(force=True)

                handles.append(module.register_forward_hook(note))
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def _spread(trainer: Trainer, n: int) -> NDArray[np.intp]:
    """The places of up to ``n`` images, from all of the data: files may be sorted by class."""
    count = len(trainer.images.pixels)
    return np.arange(min(n, count)) * count // min(n, count)


def _real(trainer: Trainer, places: NDArray[np.intp]) -> tuple[Tensor, Tensor | None]:
    """The images at these places as a step takes them, and their labels if it does."""
    pixels, labels, _ = trainer.images
    device = trainer.config.device
    real = to_float(as_tensor(pixels[places], device=device)).unsqueeze(1)
    if not trainer.config.conditional:
        return real, None
    return real, as_tensor(labels[places].astype(np.int64), device=device)


def _seen(
    images: NDArray[np.uint8], are_digits: bool
) -> tuple[NDArray[np.float32], NDArray[np.intp] | None]:
    """Features of images, uint8 (n, height, width), and the classes if they are digits."""
    if are_digits:
        return digit_classifier().judge(images)
    return images.reshape(len(images), -1).astype(np.float32) / np.float32(255), None
