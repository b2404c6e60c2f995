"""Noise, images from it, and the files that they go to."""

import numpy as np
import pytest
from matplotlib.image import imread

from scratchgan.data.batches import to_float
from scratchgan.gan import Config, Game, Run, RunError, generate
from scratchgan.gan.sampling import Stream, labels_in_turn, noise, save, to_bytes


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    config = Config.from_recipe("seed", latent_dim=7)
    run = Run.create(tmp_path_factory.mktemp("sampling") / "run", config)
    game = Game(config)
    run.save_weights(game.average, game.discriminator)
    return run


@pytest.fixture(scope="module")
def conditional(tmp_path_factory):
    config = Config.from_recipe("seed", latent_dim=7, conditional=True, batch_norm=True)
    run = Run.create(tmp_path_factory.mktemp("sampling") / "conditional", config)
    game = Game(config)
    run.save_weights(game.average, game.discriminator)
    return run


def test_noise_is_decided_by_its_arguments():
    z = noise(3, 7, 5, Stream.SAMPLE, 11).numpy()
    assert z.shape == (3, 7)
    np.testing.assert_array_equal(z, noise(3, 7, 5, Stream.SAMPLE, 11).numpy())
    for other in (
        noise(3, 7, 6, Stream.SAMPLE, 11),
        noise(3, 7, 5, Stream.GENERATE, 11),
        noise(3, 7, 5, Stream.SAMPLE, 12),
    ):
        assert not np.isin(other.numpy(), z).any()


def test_every_byte_survives_becoming_a_float():
    every = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(to_bytes(to_float(every)), every)


def test_generate(run):
    images = generate(run, 1001, seed=3)  # more than go through the generator at once

    assert images.shape == (1001, 28, 28)
    assert images.dtype == np.uint8
    assert images.std() > 0
    assert len(np.unique(images.reshape(1001, -1), axis=0)) == 1001
    np.testing.assert_array_equal(images, generate(run, 1001, seed=3))
    assert (images != generate(run, 1001, seed=4)).any(axis=(1, 2)).all()


def test_fewer_images_are_the_first_of_more(run):
    # A product of other sizes may round otherwise.
    few, more = (generate(run, n, seed=3).astype(int) for n in (10, 1001))
    assert np.abs(few - more[:10]).max() <= 1


def test_a_digit_that_is_asked_for(conditional):
    every = generate(conditional, 30, seed=3)
    for digit in (0, 9):
        images = generate(conditional, 30, seed=3, digit=str(digit)).astype(int)
        is_it = np.abs(images - every).max((1, 2)) <= 1  # a product of other sizes rounds otherwise
        np.testing.assert_array_equal(np.flatnonzero(is_it), np.arange(digit, 30, 10))


def test_the_digits_that_come_in_turn(run, conditional):
    assert labels_in_turn(run, 5) is None
    labels = labels_in_turn(conditional, 12)
    assert labels.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
    every = generate(conditional, 12, seed=3).astype(int)
    for place, label in enumerate(labels):
        asked = generate(conditional, 12, seed=3, digit=str(label)).astype(int)
        assert np.abs(asked[place] - every[place]).max() <= 1


def test_digits_that_cannot_be_asked_for(run, conditional):
    with pytest.raises(RunError, match="its generator draws what it likes; train one with --cond"):
        generate(run, 1, seed=0, digit="3")
    for digit in ("-1", "10", "seven"):
        with pytest.raises(RunError, match=f"there is no class '{digit}'; choose one of 0, 1, 2"):
            generate(conditional, 1, seed=0, digit=digit)


@pytest.mark.parametrize(
    ("n", "seed", "fault"),
    [
        (0, 0, "n is 0"),
        (10**6 + 1, 0, "n is 1000001"),
        (1, -1, "seed is -1"),
        (1, 2**64, "seed is 184467"),
    ],
)
def test_numbers_out_of_range(run, n, seed, fault):
    with pytest.raises(RunError, match=fault):
        generate(run, n, seed)


def test_an_array(run, tmp_path):
    images = generate(run, 5, seed=0)
    save(tmp_path / "a.npz", images)
    save(tmp_path / "b.npz", images)
    with np.load(tmp_path / "a.npz") as archive:
        assert list(archive) == ["images"]
        np.testing.assert_array_equal(archive["images"], images)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_a_grid(run, tmp_path):
    save(tmp_path / "grid.png", generate(run, 5, seed=0))
    assert imread(tmp_path / "grid.png").shape == (2 * 2 * 32, 3 * 2 * 32)


@pytest.mark.parametrize(
    ("name", "n", "fault"),
    [
        ("a.jpg", 1, r"a\.jpg: ends neither in \.npz \(an array\) nor in \.png \(a grid\)"),
        ("npz", 1, "npz: ends neither"),
        ("a.png", 10_001, "a grid holds at most 10000 images, not 10001"),
    ],
)
def test_files_that_are_refused(tmp_path, name, n, fault):
    with pytest.raises(RunError, match=fault):
        save(tmp_path / name, np.zeros((n, 1, 1), np.uint8))
    assert not list(tmp_path.iterdir())
