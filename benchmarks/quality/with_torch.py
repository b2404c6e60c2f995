"""The same training with PyTorch; the arguments are its settings as JSON, and a folder.

The networks, the objectives, the penalties and the order of images are those of
:mod:`scratchgan.gan`; weights and noise are drawn by PyTorch, from the same distributions.
"""

import copy
import json
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, softplus

from benchmarks.quality.record import DIGITS, Record
from scratchgan.data import MNIST
from scratchgan.data.batches import index_batches
from scratchgan.gan import Config
from scratchgan.gan.config import SCHEDULES
from scratchgan.gan.game import MISMATCHED
from scratchgan.gan.objectives import OBJECTIVES
from scratchgan.gan.penalties import PENALTIES

#: Noise vectors on which the statistics of batch norm are taken before G draws.
STATISTICS = 4096

CLASSES = 10

Player = Callable[[Tensor], Tensor]


class WithLabel(nn.Module):
    """A generator that sees its label as a row of zeros with a one in it, after the noise."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.register_buffer("one_hot", torch.eye(CLASSES))

    def forward(self, noise: Tensor, labels: Tensor) -> Tensor:
        return self.body(torch.cat([noise, self.one_hot[labels]], 1))


class Projection(nn.Module):
    """A discriminator that adds to its logit how well the features go with the label's vector."""

    def __init__(self, body: nn.Module, score: nn.Module, features: int) -> None:
        super().__init__()
        self.body, self.score = body, score
        self.of_class = nn.Embedding(CLASSES, features)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        features = self.body(images)
        return (self.of_class(labels) * features).sum(1, keepdim=True) + self.score(features)


def networks(config: Config) -> tuple[nn.Module, nn.Module]:
    """G and D; if they are conditional, each takes labels too."""

    def linear(inputs: int, outputs: int) -> nn.Module:
        layer = nn.Linear(inputs, outputs)
        return nn.utils.spectral_norm(layer) if config.spectral_norm else layer

    slope = config.negative_slope
    activation = (lambda: nn.LeakyReLU(slope)) if slope else nn.ReLU
    layers: list[nn.Module] = []
    size = config.latent_dim + CLASSES * config.conditional
    for width in config.generator_widths:
        norm = [nn.BatchNorm1d(width)] if config.batch_norm else []
        layers += [nn.Linear(size, width), *norm, activation()]
        size = width
    generator: nn.Module = nn.Sequential(*layers, nn.Linear(size, 784), nn.Tanh())
    layers, size = [nn.Flatten()], 784
    for width in config.discriminator_widths:
        dropout = [nn.Dropout(config.dropout)] if config.dropout else []
        layers += [linear(size, width), activation(), *dropout]
        size = width
    score = linear(size, 1)
    if not config.conditional:
        return generator, nn.Sequential(*layers, score)
    return WithLabel(generator), Projection(nn.Sequential(*layers), score, size)


# --- Objectives and penalties, of logits ---------------------------------------------------


def cross_entropy(logits: Tensor, target: float) -> Tensor:
    return binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))


def tell_apart(real: Tensor, fake: Tensor, label: float) -> Tensor:
    return cross_entropy(real, label) + cross_entropy(fake, 0.0)


D_LOSSES: dict[str, Callable[[Tensor, Tensor, float], Tensor]] = {
    "minimax": tell_apart,
    "non-saturating": tell_apart,
    "boundary-seeking": tell_apart,
    "least-squares": lambda r, f, label: ((r - label).square().mean() + f.square().mean()) / 2,
    "hinge": lambda r, f, label: (1 - r).relu().mean() + (1 + f).relu().mean(),
    "wasserstein": lambda r, f, label: f.mean() - r.mean(),
    "relativistic": lambda r, f, label: softplus(f - r).mean(),
}
G_LOSSES: dict[str, Callable[..., Tensor]] = {
    "minimax": lambda f: -cross_entropy(f, 0.0),
    "non-saturating": lambda f: cross_entropy(f, 1.0),
    "boundary-seeking": lambda f: f.square().mean() / 2,
    "least-squares": lambda f: (f - 1).square().mean() / 2,
    "hinge": lambda f: -f.mean(),
    "wasserstein": lambda f: -f.mean(),
    "relativistic": lambda r, f: softplus(r - f).mean(),
}


def squared_slopes(discriminator: Player, images: Tensor) -> Tensor:
    images = images.detach().requires_grad_()
    (slopes,) = torch.autograd.grad(discriminator(images).sum(), images, create_graph=True)
    return slopes.square().sum(1)


def one_slope(discriminator: Player, real: Tensor, fake: Tensor) -> Tensor:
    between = real + torch.rand(len(real), 1) * (fake - real)
    return ((squared_slopes(discriminator, between) + 1e-12).sqrt() - 1).square().mean()


def flat_at_real(discriminator: Player, real: Tensor, fake: Tensor) -> Tensor:
    return squared_slopes(discriminator, real).mean() / 2


def flat_at_both(discriminator: Player, real: Tensor, fake: Tensor) -> Tensor:
    return squared_slopes(discriminator, torch.cat([real, fake])).mean()


PENALTY_TERMS = {"gradient": one_slope, "r1": flat_at_real, "r1-r2": flat_at_both}


# --- The training ---------------------------------------------------------------------------


class Twin:
    """The players, and a step of the game between them."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.generator, self.discriminator = networks(config)
        self.average = copy.deepcopy(self.generator) if config.ema_decay else self.generator
        betas = (config.beta1, config.beta2)
        self.g_adam, self.d_adam = (
            torch.optim.Adam(player.parameters(), config.lr, betas, fused=True)
            for player in (self.generator, self.discriminator)
        )
        self.d_parameters = list(self.discriminator.parameters())
        self.steps = 0

    def step(
        self, real: Tensor, d_noise: Tensor, g_noise: Tensor, labels: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Some moves of D and one of G, as :meth:`scratchgan.gan.Game.step`; the losses of both."""
        turns = self.config.discriminator_steps
        for part in zip(real.chunk(turns), d_noise.chunk(turns), labels.chunk(turns), strict=True):
            d_loss = self.move_discriminator(*part)
        last_real, _, last_labels = part
        return d_loss, self.move_generator(last_real, g_noise, last_labels)

    def move_discriminator(self, real: Tensor, noise: Tensor, labels: Tensor) -> Tensor:
        config = self.config
        with torch.no_grad():
            fake = self.draws(labels)(noise)
        scorer = self.scores(torch.cat([labels, labels]))
        logits = scorer(torch.cat([real, fake])).split(len(real))
        loss_of, smoothed = D_LOSSES[config.objective], 1.0 - config.label_smoothing
        loss = loss_of(*logits, smoothed)
        if config.conditional:
            other = (labels + labels.roll(1) % (CLASSES - 1) + 1) % CLASSES
            wrong = loss_of(logits[0], self.scores(other)(real), smoothed)
            loss = (1 - MISMATCHED) * loss + MISMATCHED * wrong
        if (penalty := PENALTIES[config.penalty]) is not None:
            weight = penalty.weight if config.penalty_weight is None else config.penalty_weight
            term = PENALTY_TERMS[config.penalty](scorer, real, fake)
            loss = loss + weight * term
        self.d_adam.zero_grad()
        loss.backward()
        self.d_adam.step()
        if config.weight_clip:
            with torch.no_grad():
                for parameter in self.d_parameters:
                    parameter.clamp_(-config.weight_clip, config.weight_clip)
        return loss.detach()

    def move_generator(self, real: Tensor, noise: Tensor, labels: Tensor) -> Tensor:
        objective = self.config.objective
        for parameter in self.d_parameters:
            parameter.requires_grad = False
        scorer = self.scores(labels)
        logits = [scorer(self.draws(labels)(noise))]
        if OBJECTIVES[objective].is_relative:
            with torch.no_grad():
                logits = [scorer(real), *logits]
        loss = G_LOSSES[objective](*logits)
        for parameter in self.d_parameters:
            parameter.requires_grad = True
        self.g_adam.zero_grad()
        loss.backward()
        self.g_adam.step()
        if self.average is not self.generator:
            self.steps += 1
            share = max(1 / self.steps, 1 - self.config.ema_decay)
            with torch.no_grad():
                torch._foreach_lerp_(
                    list(self.average.parameters()), list(self.generator.parameters()), share
                )
        return loss.detach()

    def draws(self, labels: Tensor) -> Player:
        """G as a function of noise alone, with these labels if it is conditional."""
        return partial(self.generator, labels=labels) if self.config.conditional else self.generator

    def scores(self, labels: Tensor) -> Player:
        """D as a function of images alone, the first so many of which have these labels."""
        if not self.config.conditional:
            return self.discriminator
        return lambda images: self.discriminator(images, labels[: len(images)])

    def draw(self, noise: Tensor) -> NDArray[np.uint8]:
        """The digits (n, 28, 28) that the average makes of noise (n, latent_dim)."""
        statistics = torch.randn(STATISTICS, self.config.latent_dim)
        inputs = [
            (x, torch.arange(len(x)) * CLASSES // len(x)) if self.config.conditional else (x,)
            for x in (statistics, noise)
        ]
        norms = [m for m in self.average.modules() if isinstance(m, nn.BatchNorm1d)]
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.momentum = 1.0
        with torch.no_grad():
            self.average.train()(*inputs[0])
            pixels = self.average.eval()(*inputs[1])
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        self.average.train()
        return ((pixels + 1) * 127.5).round().to(torch.uint8).view(-1, 28, 28).numpy()


def steps(twin: Twin) -> Iterator[int]:
    """Train to the end; yields after each step how many images were seen."""
    config = twin.config
    data = MNIST()
    pixels = torch.from_numpy(data.images.reshape(-1, 784))
    labels = torch.from_numpy(data.labels.astype(np.int64))
    size = config.batch_size * config.discriminator_steps
    total = config.epochs * (len(pixels) // size)
    done = 0
    for epoch in range(1, config.epochs + 1):
        for places in index_batches(len(pixels), size, seed=config.seed, epoch=epoch):
            lr = config.lr * SCHEDULES[config.lr_schedule](done / total)
            for adam in (twin.g_adam, twin.d_adam):
                for group in adam.param_groups:
                    group["lr"] = lr
            chosen = torch.from_numpy(places)
            real = pixels[chosen].float().div_(127.5).sub_(1)
            d_noise = torch.randn(size, config.latent_dim)
            g_noise = torch.randn(config.batch_size, config.latent_dim)
            twin.step(real, d_noise, g_noise, labels[chosen])
            done += 1
            yield done * size


def train(config: Config, record: Record) -> NDArray[np.uint8]:
    """Train to the end; the digits that the generator draws then."""
    torch.manual_seed(config.seed)
    same_noise = torch.randn(DIGITS, config.latent_dim)
    twin = Twin(config)
    per_epoch = 60_000 // (config.batch_size * config.discriminator_steps)
    for number, images in enumerate(steps(twin), start=1):
        if number % per_epoch == 0:
            digits = twin.draw(same_noise)
            record.add(images, digits)
    return digits


def main() -> None:
    settings, folder = sys.argv[1:]
    record = Record()
    record.write(Path(folder), train(Config.from_dict(json.loads(settings)), record))


if __name__ == "__main__":
    main()
