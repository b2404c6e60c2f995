"""The vital signs of a game: their definitions, that a collapse shows, that nothing else does."""

import copy
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import scratchgan as sg
from scratchgan import nn
from scratchgan.data import MNIST, Images
from scratchgan.gan import Config, Run, Trainer
from scratchgan.gan.classifier import digit_classifier
from scratchgan.gan.measures import effective_classes, mean_distance
from scratchgan.gan.models import AsImages
from scratchgan.gan.vitals import (
    VitalSigns,
    accuracies,
    dead_units,
    gradient_norms,
    layers_before_and_after,
    of_players,
    step_of_a_copy,
)

#: 48 images of 3 by 2 pixels.
IMAGES = Images(
    np.random.default_rng(0).integers(0, 256, (48, 3, 2), np.uint8),
    (np.arange(48) % 3).astype(np.uint8),
    ("a", "b", "c"),
)
SMALL = Config.from_recipe(
    "seed",
    **{"data": "own", "epochs": 1, "batch_size": 4, "latent_dim": 2},
    **{"generator_widths": (5,), "discriminator_widths": (4,)},
)
CHOICES = [
    {},
    {"conditional": True, "spectral_norm": True},
    {"objective": "relativistic", "penalty": "r1-r2", "batch_norm": True, "dropout": 0.4},
    {"objective": "wasserstein", "discriminator_steps": 3, "ema_decay": 0.9},
]

# --- Definitions --------------------------------------------------------------------


@given(st.integers(2, 40), st.integers(1, 5), st.floats(-1e4, 1e4))
def test_mean_distance_by_its_definition(n, d, offset):
    x = np.random.default_rng(n).normal(offset, 1, (n, d))
    pairs = [np.linalg.norm(x[i] - x[j]) for i in range(n) for j in range(n) if i != j]
    assert mean_distance(x) == pytest.approx(np.mean(pairs), rel=1e-6)
    assert mean_distance(np.repeat(x[:1], 9, 0)) == pytest.approx(0, abs=1e-9)


@given(st.lists(st.integers(0, 50), min_size=2, max_size=10).filter(any))
def test_effective_classes_are_between_one_and_all(counts):
    shares = np.array(counts) / sum(counts)
    found = effective_classes(shares)
    assert 1 - 1e-9 <= found <= np.count_nonzero(shares) + 1e-9
    assert found == pytest.approx(math.prod((1 / p) ** p for p in shares if p))


@pytest.mark.parametrize("k", [1, 3, 10])
def test_equal_classes_count_as_many_as_they_are(k):
    assert effective_classes(np.array([1 / k] * k + [0.0] * (10 - k))) == pytest.approx(k)


def test_accuracies():
    real, fake = np.array([2.0, 0.4, -1.0, 3.0]), np.array([-2.0, 0.6])
    assert accuracies(real, fake, 0.0) == (0.75, 0.5)
    assert accuracies(real, fake, 0.5) == (0.5, 0.5)
    # Only differences count: the same whatever is added to all.
    for offset in (-7.0, 0.0, 100.0):
        assert accuracies(real + offset, fake + offset, None) == (0.75, 0.5)


def test_dead_units():
    output = np.array([[0, 1, -0.1, 0.0], [0, 0, -0.2, 5.0]])
    assert dead_units(output) == 0.5


# --- A collapse shows -----------------------------------------------------------------


class Draws(nn.Module):
    """A generator that draws given images, by turns."""

    def __init__(self, images):
        self.images = images

    def forward(self, noise):
        turns = np.arange(len(noise)) % len(self.images)
        pixels = self.images[turns].astype(np.float32)[:, None]
        return sg.as_tensor(pixels / np.float32(127.5) - np.float32(1))


def signs_of(images, tmp_path):
    """The numbers of a game whose generator draws these digits, and whose D sees through them."""
    widths = {"generator_widths": (3,), "discriminator_widths": (8,)}
    config = Config.from_recipe("seed", epochs=1, **widths)
    digits = MNIST()
    trainer = Trainer(
        config, Images(digits.images[:3000], digits.labels[:3000], tuple("0123456789"))
    )
    trainer.game.average = Draws(images)
    trainer.step = trainer.steps_per_epoch
    trainer.row = {"step": trainer.step, "epoch": 1}
    VitalSigns(Run.create(tmp_path / "run", config)).on_epoch_end(trainer)
    (row,) = trainer.rows
    return row


@pytest.fixture(scope="module")
def held_back():
    """Digits that :func:`signs_of` takes no real ones from, and the classifier's verdicts."""
    digits = MNIST().images[-3000:]
    return digits, digit_classifier().judge(digits)[1]


def test_real_digits_are_as_diverse_as_real_digits(held_back, tmp_path):
    row = signs_of(held_back[0], tmp_path)
    assert 0.95 < row["diversity"] < 1.05
    assert row["effective_classes"] > 9.7
    assert all(0.05 < row[f"sample_share_of_{digit}"] < 0.16 for digit in range(10))


@pytest.mark.parametrize("digit", [1, 8])
def test_a_generator_that_draws_one_digit_shows(digit, held_back, tmp_path):
    digits, classes = held_back
    row = signs_of(digits[classes == digit], tmp_path)
    assert row["diversity"] < 0.6
    assert row["effective_classes"] == pytest.approx(1)
    assert row[f"sample_share_of_{digit}"] == 1


def test_a_generator_that_draws_one_image_shows(held_back, tmp_path):
    row = signs_of(held_back[0][:1], tmp_path)
    assert row["diversity"] == pytest.approx(0, abs=1e-6)
    assert row["effective_classes"] == pytest.approx(1)


def test_a_discriminator_that_sees_through_one_image_shows():
    """G draws black, and D takes ink for real: it is right of all."""
    config = Config.from_recipe("seed", generator_widths=(3,), discriminator_widths=())
    digits = MNIST().images[:500]
    trainer = Trainer(config, Images(digits, np.zeros(500, np.uint8), ("0",)))
    game = trainer.game
    game.generator = Draws(np.zeros((1, 28, 28), np.uint8))
    score = game.discriminator.state_dict()
    score["1.weight"].fill_(1.0)
    score["1.bias"].fill_(784 - 1.0)
    row = of_players(trainer)
    assert (row["d_accuracy_real"], row["d_accuracy_fake"]) == (1, 1)
    score["1.bias"].fill_(785.0)
    row = of_players(trainer)
    assert (row["d_accuracy_real"], row["d_accuracy_fake"]) == (1, 0)


def test_dead_units_are_counted_where_they_are():
    trainer = Trainer(SMALL, IMAGES)
    trainer.game.generator.state_dict()["0.bias"][:2].fill_(-1e6)
    trainer.game.discriminator.state_dict()["1.bias"].fill_(-1e6)
    row = of_players(trainer)
    assert row["dead.discriminator.2"] == 1
    assert row["dead.generator.1"] >= 2 / 5


# --- Gradients and updates --------------------------------------------------------------


@pytest.mark.parametrize("chosen", CHOICES)
def test_norms_and_updates_are_those_of_a_step(chosen):
    trainer = Trainer(replace(SMALL, **chosen), IMAGES)
    game, found = step_of_a_copy(trainer)
    norms = gradient_norms(game)
    assert {f"gradient_norm.{name}" for name in found} == norms.keys()
    for player in ("generator", "discriminator"):
        before, after = (dict(getattr(x, player).named_parameters()) for x in (trainer.game, game))
        for name, weights in before.items():
            layer, _, _ = f"{player}.{name}".rpartition(".")
            if weights.ndim == 2:
                updates = (after[name].detach() - weights.detach()).numpy().astype(float)
                assert found[layer]["shape"] == list(weights.shape)
                assert sum(found[layer]["updates"]["counts"]) == weights.numel()
                assert found[layer]["updates"]["rms"] == pytest.approx(
                    np.sqrt(np.square(updates).mean()), rel=1e-4
                )
                of_layer = [
                    x.grad
                    for key, x in after.items()
                    if f"{player}.{key}".rpartition(".")[0] == layer
                ]
                squares = sum(float(x.square().sum()) for x in of_layer)
                assert norms[f"gradient_norm.{layer}"] == pytest.approx(
                    math.sqrt(squares), rel=1e-5
                )


def test_histograms_hold_every_weight():
    one, other = (Trainer(replace(SMALL, seed=seed), IMAGES).game for seed in (1, 2))
    for name, layer in layers_before_and_after(one, other).items():
        weights = one.generator if name.startswith("generator") else one.discriminator
        matrix = weights.state_dict()[f"{name.split('.', 1)[1]}.weight"].numpy()
        h = layer["weights"]
        assert (h["low"], h["high"]) == pytest.approx((matrix.min(), matrix.max()), rel=1e-5)
        edges = np.linspace(matrix.min(), matrix.max(), len(h["counts"]) + 1)
        expected = np.histogram(matrix.astype(float), edges)[0]
        assert np.abs(np.cumsum(h["counts"]) - np.cumsum(expected)).max() <= 1  # an edge's rounding


# --- What is measured changes nothing ---------------------------------------------------


@pytest.mark.parametrize("chosen", CHOICES)
def test_the_training_goes_on_as_if_nothing_had_been_measured(chosen, tmp_path):
    config = replace(SMALL, epochs=2, **chosen)
    ends = []
    for watches in (False, True):
        trainer = Trainer(config, IMAGES)
        signs = VitalSigns(Run.create(tmp_path / f"{watches}", config, IMAGES.subject))
        trainer.run([signs] if watches else [])
        ends.append(copy.deepcopy(trainer.game.state_dict()))
        assert len(trainer.rows) == watches

    def same(one, other):
        if isinstance(one, dict):
            assert one.keys() == other.keys()
            for name, value in one.items():
                same(value, other[name])
        elif isinstance(one, sg.Tensor):
            np.testing.assert_array_equal(one.numpy(), other.numpy())

    same(*ends)


def test_they_are_measured_at_the_end_of_epochs_and_every_100_steps_at_most(tmp_path):
    config = replace(SMALL, epochs=20, jit=False)  # of 12 steps
    trainer = Trainer(config, IMAGES)
    run = Run.create(tmp_path / "run", config, IMAGES.subject)
    trainer.run([VitalSigns(run)])
    measured = [row["step"] for row in trainer.rows if "diversity" in row]
    assert measured == [108, 204, 240]
    assert "effective_classes" not in trainer.rows[-1]  # these are no digits
    found = [json.loads(run.histograms_path(step // 12).read_text()) for step in measured]
    assert [(each["epoch"], each["step"]) for each in found] == [(9, 108), (17, 204), (20, 240)]


def test_images_that_are_all_the_same(tmp_path):
    images = Images(np.full((48, 3, 2), 9, np.uint8), IMAGES.labels, IMAGES.names)
    trainer = Trainer(SMALL, images)
    trainer.run([VitalSigns(Run.create(tmp_path / "run", SMALL, images.subject))])
    assert math.isfinite(trainer.rows[-1]["diversity"])


def test_as_images_is_no_layer():
    """The names of layers are those of state_dict, which AsImages is not in."""
    _, found = step_of_a_copy(Trainer(SMALL, IMAGES))
    assert isinstance(Trainer(SMALL, IMAGES).game.generator[-1], AsImages)
    assert list(found) == ["generator.0", "generator.2", "discriminator.1", "discriminator.3"]
