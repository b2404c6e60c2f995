"""The adversarial game: one step of it is some moves of D and a move of G.

Goodfellow et al. 2014, "Generative adversarial nets", algorithm 1, with Adam in the place of
momentum. Nothing here reads a value, so that a step can be recorded and replayed.
"""

import copy
import math
import operator
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from scratchgan import nn, optim
from scratchgan.autograd import no_grad
from scratchgan.autograd.tensor import Tensor
from scratchgan.creation import zeros
from scratchgan.functions import cat, remainder
from scratchgan.gan.config import Config
from scratchgan.gan.files import MOST_BYTES, RunError
from scratchgan.gan.models import MODELS, Players
from scratchgan.gan.objectives import OBJECTIVES
from scratchgan.gan.penalties import PENALTIES

#: Most weights of a player; its file holds four bytes for each.
MOST_WEIGHTS = MOST_BYTES // 4

#: The part of D's loss, in a conditional game, that real images with a wrong label have.
MISMATCHED = 0.1

#: The parts of a game, but for the average.
_PARTS = ("generator", "discriminator", "generator_optimizer", "discriminator_optimizer")


class DiscriminatorMove(NamedTuple):
    """The result of D's move, each a scalar tensor."""

    loss: Tensor
    d_real: Tensor  #: Mean score of real images.
    d_fake: Tensor  #: Mean score of fakes.


class Moves(NamedTuple):
    """The result of a step, each a scalar tensor.

    Scores are probabilities where the objective has them, else logits.
    """

    discriminator_loss: Tensor
    generator_loss: Tensor
    d_real: Tensor
    d_fake: Tensor

    def read(self) -> tuple[float, float, float, float]:
        """The values, in order; this waits for the device that computes them."""
        loss_d, loss_g, d_real, d_fake = map(float, self)
        return loss_d, loss_g, d_real, d_fake


class Game:
    """Two players, what each plays for, and an optimizer for each.

    The first weights are drawn from the default stream, which :func:`scratchgan.manual_seed` seeds.

    Args:
        config: The settings; those of the model, of the objective and of the optimizers count here.
        shape: Height and width of an image.
        classes: How many labels there are, for a conditional game.

    Attributes:
        generator: G.
        discriminator: D.
        average: The moving average of G, which draws better than G itself (Yazıcı et al. 2019,
            "The unusual effectiveness of averaging in GAN training"); G where there is none.
        generator_optimizer: Adam, of G.
        discriminator_optimizer: Adam, of D.
    """

    def __init__(
        self, config: Config, shape: tuple[int, int] = (28, 28), classes: int = 10
    ) -> None:
        self.config = config
        self.classes = classes
        players = new_players(config, shape, classes)
        self.generator = players.generator.to(config.device)
        self.discriminator = players.discriminator.to(config.device)
        self.average = copy.deepcopy(self.generator) if config.ema_decay else self.generator
        betas = (config.beta1, config.beta2)
        self.generator_optimizer = optim.Adam(self.generator.parameters(), config.lr, betas)
        self.discriminator_optimizer = optim.Adam(self.discriminator.parameters(), config.lr, betas)
        self.objective = OBJECTIVES[config.objective]
        self.penalty = PENALTIES[config.penalty]
        # Kept as lists: to find them anew in every step would take longer than to use them.
        self._discriminator_parameters = list(self.discriminator.parameters())
        self._averages = list(
            zip(self.average.parameters(), self.generator.parameters(), strict=True)
        )
        self._steps = zeros((), device=config.device)  # that the average has seen

    def step(
        self, real: Tensor, d_noise: Tensor, g_noise: Tensor, labels: Tensor | None = None
    ) -> Moves:
        """One step of the game: D moves as often as the settings say, then G.

        Args:
            real: Images (N, 1, height, width) for each move of D, one after another.
            d_noise: (M, latent_dim), for the fakes that D sees in each move; M is N if there are
                labels.
            g_noise: (N, latent_dim), for the fakes that G learns from.
            labels: Of ``real``, and of the fakes, if the game is conditional.
        """
        turns = self.config.discriminator_steps
        size = len(real) // turns
        for real_part, noise_part, labels_part in zip(
            real.chunk(turns),
            d_noise.chunk(turns),
            [None] * turns if labels is None else labels.chunk(turns),
            strict=True,
        ):
            loss, d_real, d_fake = self.discriminator_step(real_part, noise_part, labels_part)
        last = None if labels is None else labels[-size:]
        return Moves(loss, self.generator_step(g_noise, real[-size:], last), d_real, d_fake)

    def discriminator_step(
        self, real: Tensor, noise: Tensor, labels: Tensor | None = None
    ) -> DiscriminatorMove:
        """D learns to tell real images from fakes; G stays as it is.

        In a conditional game D learns as well to tell real images with their label from the same
        with another one, so that it cares for the label from the first step on (Reed et al. 2016,
        "Generative adversarial text to image synthesis", algorithm 1).

        Args:
            real: Images (N, 1, height, width).
            noise: (M, latent_dim), from which G makes the fakes.
            labels: (N,), of both, if the game is conditional.

        Returns:
            The loss and the mean scores before the update.
        """
        config = self.config
        seen = () if labels is None else (labels,)
        with no_grad():
            fake = self.generator(noise, *seen)
        logits_real, logits_fake = self._logits(real, fake, labels)
        smoothed = 1.0 - config.label_smoothing
        loss = self.objective.discriminator(logits_real, logits_fake, smoothed)
        if labels is not None and self.classes > 1:
            logits_wrong = self.discriminator(real, self._other(labels))
            wrong = self.objective.discriminator(logits_real, logits_wrong, smoothed)
            loss = (1 - MISMATCHED) * loss + MISMATCHED * wrong
        if self.penalty is not None:
            weight = self.penalty.weight if config.penalty_weight is None else config.penalty_weight
            loss = loss + weight * self.penalty.of(self._scorer(labels), real, fake)
        self.discriminator_optimizer.zero_grad()
        loss.backward()
        self.discriminator_optimizer.step()
        if config.weight_clip:
            with no_grad():
                for parameter in self._discriminator_parameters:
                    parameter.copy_(parameter.clip(-config.weight_clip, config.weight_clip))
        scores = [self._score(logits.detach()) for logits in (logits_real, logits_fake)]
        return DiscriminatorMove(loss.detach(), *scores)

    def generator_step(
        self, noise: Tensor, real: Tensor | None = None, labels: Tensor | None = None
    ) -> Tensor:
        """G learns to pass its fakes for real; D stays as it is.

        Args:
            noise: (N, latent_dim), from which G makes the fakes.
            real: Images (N, 1, height, width), for an objective that compares them with fakes.
            labels: (N,), of both, if the game is conditional.

        Returns:
            The loss before the update, a scalar.
        """
        seen = () if labels is None else (labels,)
        with frozen(self._discriminator_parameters):
            logits = [self.discriminator(self.generator(noise, *seen), *seen)]
            if self.objective.is_relative:
                with no_grad():
                    logits = [self.discriminator(real, *seen), *logits]
            loss = self.objective.generator(*logits)
        self.generator_optimizer.zero_grad()
        loss.backward()
        self.generator_optimizer.step()
        if self.average is not self.generator:
            self._move_average()
        return loss.detach()

    def state_dict(self) -> dict[str, Any]:
        """All that later steps depend on: dicts of tensors, which share memory with the game."""
        state = {name: getattr(self, name).state_dict() for name in _PARTS}
        if self.average is not self.generator:
            state |= {"average": self.average.state_dict(), "average_steps": self._steps}
        return state

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from what :meth:`state_dict` gave; tensors are copied into those here.

        Raises:
            KeyError: A part is missing.
            RuntimeError, ValueError: A part does not fit; see ``load_state_dict`` of modules and
                optimizers. The game is as it was then.
        """
        before = copy.deepcopy(self.state_dict())
        try:
            self._load(state_dict)
        except BaseException:
            self._load(before)
            raise

    def _load(self, state_dict: Mapping[str, Any]) -> None:
        for name in _PARTS:
            getattr(self, name).load_state_dict(state_dict[name])
        if self.average is not self.generator:
            self.average.load_state_dict(state_dict["average"])
            self._steps.copy_(state_dict["average_steps"])

    def _logits(self, real: Tensor, fake: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
        """D's logits of both, in one pass: the same as from two, in fewer and larger products."""
        images = cat([real, fake])
        logits_real, logits_fake = self._scorer(labels)(images).split([len(real), len(fake)])
        return logits_real, logits_fake

    def _scorer(self, labels: Tensor | None) -> Any:
        """D as a function of images alone, as many as there are labels or twice as many."""
        if labels is None:
            return self.discriminator
        both = cat([labels, labels])
        return lambda images: self.discriminator(images, both[: len(images)])

    def _other(self, labels: Tensor) -> Tensor:
        """For each label another one, which the label before it chooses."""
        steps = remainder(labels.roll(1), self.classes - 1) + 1
        return remainder(labels + steps, self.classes)

    def _score(self, logits: Tensor) -> Tensor:
        return (logits.sigmoid() if self.objective.is_probability else logits).mean()

    def _move_average(self) -> None:
        """Move each parameter of the average towards G's.

        At first it is the mean of all that G has been, until a share of ``1 - ema_decay`` for the
        newest is more than that.
        """
        with no_grad():
            self._steps.add_(1)
            share = (1 / self._steps).clamp(min=1 - self.config.ema_decay)
            for average, parameter in self._averages:
                average.add_((parameter - average) * share)


def count_of_weights(config: Config, shape: tuple[int, int], classes: int, player: str) -> int:
    """The elements of all matrices of a player, ``"generator"`` or ``"discriminator"``."""
    noise = config.latent_dim + (classes if config.conditional else 0)
    pixels = math.prod(shape)
    if player == "generator":
        sizes = (noise, *config.generator_widths, pixels)
    else:
        sizes = (pixels, *config.discriminator_widths, 1)
    return sum(map(operator.mul, sizes, sizes[1:]))


def new_players(config: Config, shape: tuple[int, int], classes: int) -> Players:
    """The players that ``config`` names, with first weights from the default stream.

    Raises:
        RunError: One of them would have more weights than a file of a run holds.
    """
    for player in Players._fields:
        count = count_of_weights(config, shape, classes, player)
        if count > MOST_WEIGHTS:
            raise RunError(
                f"the {player} would have {count:,} weights; it may have {MOST_WEIGHTS:,}, so take "
                "fewer or smaller layers"
            )
    return MODELS[config.model](
        shape,
        config.latent_dim,
        generator_widths=config.generator_widths,
        discriminator_widths=config.discriminator_widths,
        negative_slope=config.negative_slope,
        batch_norm=config.batch_norm,
        dropout=config.dropout,
        spectral_norm=config.spectral_norm,
        classes=classes if config.conditional else 0,
    )


def retake_statistics(generator: nn.Module, *inputs: Tensor) -> None:
    """Have every batch norm of ``generator`` use the statistics of these inputs from now on.

    The running averages lag behind weights that change, and an average of weights has none.
    """
    norms = [module for module in generator.modules() if isinstance(module, nn.BatchNorm1d)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    was_training = generator.training
    for norm in norms:
        norm.momentum = 1.0
    try:
        with no_grad():
            generator.train()(*inputs)
    finally:
        generator.train(was_training)
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum


@contextmanager
def frozen(parameters: Sequence[Tensor]) -> Iterator[None]:
    """Within the ``with`` block ``parameters`` count as constants, and cost no gradients.

    Gradients still pass through the module that they belong to, to its input.
    """
    before = [parameter.requires_grad for parameter in parameters]
    for parameter in parameters:
        parameter.requires_grad = False
    try:
        yield
    finally:
        for parameter, requires_grad in zip(parameters, before, strict=True):
            parameter.requires_grad = requires_grad
