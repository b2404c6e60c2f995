"""One step of the game: who moves, who stays, and that it is the algorithm of the paper."""

import gc
import tracemalloc

import numpy as np
import pytest

import scratchgan as sg
from scratchgan import nn
from scratchgan.gan import OBJECTIVES, PENALTIES, Config, Game
from scratchgan.gan.game import frozen, retake_statistics
from scratchgan.optim import Adam


@pytest.fixture
def float64():
    sg.set_default_dtype(np.float64)
    yield
    sg.set_default_dtype(np.float32)


def make(objective="non-saturating", seed=0, **settings):
    sg.manual_seed(seed)
    return Game(Config.from_recipe("seed", latent_dim=7, objective=objective, **settings))


def real_images(n, seed=1):
    return sg.rand(n, 1, 28, 28, generator=sg.Generator(seed)) * 2 - 1


def noise(n, seed=2):
    return sg.randn(n, 7, generator=sg.Generator(seed))


def weights(module):
    return {name: tensor.numpy().copy() for name, tensor in module.state_dict().items()}


def assert_same(module, before):
    for name, value in weights(module).items():
        np.testing.assert_array_equal(value, before[name], err_msg=name)


def assert_all_changed(module, before):
    for name, value in weights(module).items():
        assert (value != before[name]).any(), name


def test_d_moves_alone():
    gan = make()
    d, g = weights(gan.discriminator), weights(gan.generator)

    gan.discriminator_step(real_images(8), noise(8))

    assert_all_changed(gan.discriminator, d)
    assert_same(gan.generator, g)
    assert all(parameter.grad is None for parameter in gan.generator.parameters())


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_g_moves_alone(objective):
    gan = make(objective)
    d, g = weights(gan.discriminator), weights(gan.generator)

    gan.generator_step(noise(8), real_images(8))

    assert_all_changed(gan.generator, g)
    assert_same(gan.discriminator, d)
    # D costs no gradients here, and can learn again afterwards.
    assert all(parameter.grad is None for parameter in gan.discriminator.parameters())
    assert all(parameter.requires_grad for parameter in gan.discriminator.parameters())


def test_d_can_learn_again_after_a_step_of_g_that_failed():
    gan = make()
    with pytest.raises(ValueError, match="linear"):
        gan.generator_step(sg.randn(8, 6))
    assert all(parameter.requires_grad for parameter in gan.discriminator.parameters())


@pytest.mark.parametrize("objective", ["minimax", "non-saturating"])
def test_steps_are_the_algorithm_written_out(objective, float64):
    """Against the same game with a pass for real, a pass for fake, and nobody held fixed."""
    gan, plain = make(objective), make(objective)
    g, d = plain.generator, plain.discriminator
    d_optimizer = Adam(d.parameters(), lr=2e-4, betas=(0.5, 0.999))
    g_optimizer = Adam(g.parameters(), lr=2e-4, betas=(0.5, 0.999))
    for step in range(5):
        # As many fakes as real images is usual, not needed.
        real, z1, z2 = real_images(8, seed=step), noise(6, seed=10 + step), noise(9, 20 + step)
        move = gan.discriminator_step(real, z1)
        g_loss = gan.generator_step(z2)

        d_real, d_fake = d(real).sigmoid(), d(g(z1).detach()).sigmoid()
        expected = -(d_real.log().mean() + (1 - d_fake).log().mean())
        d_optimizer.zero_grad()
        expected.backward()
        d_optimizer.step()
        assert move.loss.item() == pytest.approx(expected.item(), rel=1e-12)
        assert move.d_real.item() == pytest.approx(d_real.mean().item(), rel=1e-12)
        assert move.d_fake.item() == pytest.approx(d_fake.mean().item(), rel=1e-12)

        score = d(g(z2)).sigmoid()
        expected = (1 - score).log().mean() if objective == "minimax" else -score.log().mean()
        g_optimizer.zero_grad()
        expected.backward()
        g_optimizer.step()
        assert g_loss.item() == pytest.approx(expected.item(), rel=1e-12)

    for mine, theirs in ((gan.generator, g), (gan.discriminator, d)):
        expected = weights(theirs)
        for name, value in weights(mine).items():
            # A few of Adam's steps, of 2e-4 each.
            np.testing.assert_allclose(value, expected[name], rtol=0, atol=1e-9, err_msg=name)


def test_each_move_is_one_towards_its_goal():
    gan = make()
    real, z = real_images(16), noise(16)

    before = gan.discriminator_step(real, z)
    after = gan.discriminator_step(real, z)
    assert after.loss.item() < before.loss.item()
    assert after.d_real.item() > before.d_real.item()
    assert after.d_fake.item() < before.d_fake.item()

    before = gan.generator_step(z)
    assert gan.generator_step(z).item() < before.item()


def test_no_value_is_read_in_a_step(monkeypatch):
    gan = make()

    def read(*_, **__):
        raise AssertionError("a value was read in the middle of a step")

    for name in ("item", "numpy", "tolist", "__bool__", "__float__", "__array__"):
        monkeypatch.setattr(sg.Tensor, name, read)
    move = gan.discriminator_step(real_images(4), noise(4))
    loss = gan.generator_step(noise(4))
    monkeypatch.undo()

    results = (*move, loss)
    assert all(result.shape == () and not result.requires_grad for result in results)


@pytest.mark.parametrize("wrap", [lambda step: step, sg.jit], ids=["eager", "jit"])
def test_a_thousand_steps_without_the_garbage_collector_do_not_grow(wrap):
    gan = Game(Config.from_recipe("seed", latent_dim=3))
    step = wrap(gan.step)
    real, d_noise, g_noise = real_images(2), sg.randn(2, 3), sg.randn(2, 3)
    for _ in range(5):
        step(real, d_noise, g_noise)
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        for _ in range(500):  # meanwhile Python's free lists of tuples fill up
            step(real, d_noise, g_noise)
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(1_000):
            step(real, d_noise, g_noise)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.enable()
    # A leaked bias gradient in each step would make half a million bytes.
    assert after - before < 50_000


# --- What the settings change -----------------------------------------------------------

RICH = {
    "generator_widths": (16, 12),
    "discriminator_widths": (12, 8),
    "negative_slope": 0.2,
    "batch_norm": True,
    "dropout": 0.3,
    "spectral_norm": True,
    "label_smoothing": 0.1,
    "ema_decay": 0.9,
    "discriminator_steps": 2,
}


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_replayed_step_is_the_eager_one(objective, penalty, float64):
    """With everything on, for every objective and penalty; half of the games are conditional."""
    conditional = (list(OBJECTIVES).index(objective) + list(PENALTIES).index(penalty)) % 2 == 1
    settings = {**RICH, "penalty": penalty, "conditional": conditional, "weight_clip": 0.05}
    games = [make(objective, **settings) for _ in range(2)]
    steps = [games[0].step, sg.jit(games[1].step)]
    for number in range(4):
        labels = sg.tensor(np.arange(8) % 10) if conditional else None
        moves = []
        for step in steps:
            sg.manual_seed(number)
            moves.append(step(real_images(8, number), noise(8), noise(4), labels).read())
        np.testing.assert_allclose(moves[1], moves[0], rtol=1e-8)
    for name in ("generator", "discriminator", "average"):
        eager, replayed = (weights(getattr(game, name)) for game in games)
        for key, value in replayed.items():
            np.testing.assert_allclose(value, eager[key], rtol=1e-6, atol=1e-8, err_msg=key)


@pytest.mark.parametrize("objective", ["non-saturating", "relativistic"])
def test_d_moves_as_often_as_it_is_told(objective, float64):
    """Each time on other images, and G once, against those of D's last move."""
    real, d_noise, g_noise = real_images(8), noise(8), noise(4, seed=3)
    one, two = make(objective, discriminator_steps=2), make(objective)
    one.step(real, d_noise, g_noise)
    two.discriminator_step(real[:4], d_noise[:4])
    two.discriminator_step(real[4:], d_noise[4:])
    two.generator_step(g_noise, real[4:])
    for name in ("generator", "discriminator"):
        assert_same(getattr(one, name), weights(getattr(two, name)))


def test_weights_are_clipped_after_d_has_moved():
    game = make("wasserstein", weight_clip=0.01)
    game.discriminator_step(real_images(8), noise(8))
    values = np.concatenate([x.numpy(force=True).ravel() for x in game.discriminator.parameters()])
    assert np.abs(values).max() == pytest.approx(0.01)
    assert (np.abs(values) < 0.0099).any()


def test_a_weight_of_the_penalty_takes_the_place_of_its_papers(float64):
    losses = {}
    for weight in (None, 0.0, 1.0, 10.0):
        game = make("wasserstein", penalty="gradient", penalty_weight=weight)
        sg.manual_seed(1)
        losses[weight] = game.discriminator_step(real_images(8), noise(8)).loss.item()
    assert losses[None] == losses[10.0]
    assert losses[10.0] - losses[0.0] == pytest.approx(10 * (losses[1.0] - losses[0.0]))
    assert losses[1.0] > losses[0.0]


def test_the_average_is_the_mean_at_first_and_moves_slowly_then(float64):
    game = make(ema_decay=0.75)
    seen, expected = [], None
    for number in range(1, 9):
        game.generator_step(noise(8, number))
        weight = next(game.generator.parameters()).numpy(force=True).copy()
        seen.append(weight)
        expected = np.mean(seen, axis=0) if number <= 4 else 0.75 * expected + 0.25 * weight
        average = next(game.average.parameters()).numpy(force=True)
        np.testing.assert_allclose(average, expected, rtol=1e-12)


def test_without_an_average_g_draws_itself():
    game = make()
    assert game.average is game.generator


def test_scores_are_probabilities_where_they_can_be():
    for name, objective in OBJECTIVES.items():
        game = make(name)
        with sg.no_grad():
            for parameter in game.discriminator.parameters():
                parameter.mul_(100)
        move = game.discriminator_step(real_images(8), noise(8))
        is_between = all(0 <= x.item() <= 1 for x in (move.d_real, move.d_fake))
        assert is_between == objective.is_probability, name


def test_statistics_are_those_of_the_inputs():
    g = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))
    z = sg.randn(500, 3)
    g.eval()
    retake_statistics(g, z)
    hidden = g[0](z).detach().numpy()
    np.testing.assert_allclose(g[1].running_mean.numpy(), hidden.mean(0), atol=1e-6)
    np.testing.assert_allclose(g[1].running_var.numpy(), hidden.var(0, ddof=1), rtol=1e-5)
    assert not g.training
    assert g[1].momentum == 0.1


def test_frozen_keeps_what_was_frozen():
    a, b = sg.zeros(1, requires_grad=True), sg.zeros(1)
    with frozen([a, b]):
        assert not a.requires_grad
    assert a.requires_grad
    assert not b.requires_grad


@pytest.mark.parametrize("classes", [1, 2, 10])
def test_d_learns_that_a_label_belongs_to_its_image(classes, float64):
    """Against the loss written out, with a wrong label for each image."""
    sg.manual_seed(0)
    settings = {"latent_dim": 7, "conditional": True}
    game = Game(Config.from_recipe("seed", **settings), classes=classes)
    real, z = real_images(30), noise(30)
    labels = sg.tensor(np.arange(30) * 7 % classes)
    other = game._other(labels).numpy() if classes > 1 else labels.numpy()
    assert ((other >= 0) & (other < classes)).all()
    assert (other != labels.numpy()).all() or classes == 1

    d = game.discriminator
    fake = game.generator(z, labels).detach()
    expected = -d(real, labels).sigmoid().log().mean()
    for_fake = -(1 - d(fake, labels).sigmoid()).log().mean()
    for_wrong = -(1 - d(real, sg.tensor(other)).sigmoid()).log().mean()
    expected = expected + (for_fake if classes == 1 else 0.9 * for_fake + 0.1 * for_wrong)
    move = game.discriminator_step(real, z, labels)
    assert move.loss.item() == pytest.approx(expected.item(), rel=1e-12)


def test_every_other_label_comes():
    game = make(conditional=True)
    labels = np.random.default_rng(0).integers(10, size=18_000)
    pairs = np.zeros((10, 10))
    np.add.at(pairs, (labels, game._other(sg.tensor(labels)).numpy()), 1)
    assert (pairs.diagonal() == 0).all()
    assert pairs[~np.eye(10, dtype=bool)].min() > 100
