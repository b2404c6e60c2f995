"""One step of the game: who moves, who stays, and that it is the algorithm of the paper."""

import gc
import tracemalloc

import numpy as np
import pytest

import scratchgan as sg
from scratchgan.gan import GAN, OBJECTIVES
from scratchgan.gan.adversary import BETAS
from scratchgan.nn.functional import binary_cross_entropy
from scratchgan.optim import Adam


@pytest.fixture
def float64():
    sg.set_default_dtype(np.float64)
    yield
    sg.set_default_dtype(np.float32)


def make(objective="non-saturating", seed=0):
    sg.manual_seed(seed)
    return GAN(latent_dim=7, objective=objective)


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

    gan.generator_step(noise(8))

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


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_steps_are_the_algorithm_written_out(objective, float64):
    """Against the same game with a pass for real, a pass for fake, and nobody held fixed."""
    gan, plain = make(objective), make(objective)
    g, d = plain.generator, plain.discriminator
    d_optimizer = Adam(d.parameters(), lr=2e-4, betas=(0.5, 0.999))
    g_optimizer = Adam(g.parameters(), lr=2e-4, betas=(0.5, 0.999))
    assert BETAS == (0.5, 0.999)

    for step in range(5):
        # As many fakes as real images is usual, not needed.
        real, z1, z2 = real_images(8, seed=step), noise(6, seed=10 + step), noise(9, 20 + step)
        move = gan.discriminator_step(real, z1)
        g_loss = gan.generator_step(z2)

        d_real, d_fake = d(real), d(g(z1).detach())
        expected = -(d_real.log().mean() + (1 - d_fake).log().mean())
        d_optimizer.zero_grad()
        expected.backward()
        d_optimizer.step()
        assert move.loss.item() == pytest.approx(expected.item(), rel=1e-12)
        assert move.d_real.item() == pytest.approx(d_real.mean().item(), rel=1e-12)
        assert move.d_fake.item() == pytest.approx(d_fake.mean().item(), rel=1e-12)

        score = d(g(z2))
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


def test_losses_at_the_clamp_are_finite():
    """Where D is sure and wrong, BCE holds the logarithm at -100, and nothing becomes nan."""
    sure = sg.tensor([[0.0], [1.0]], requires_grad=True)
    for objective in OBJECTIVES.values():
        sure.grad = None
        loss = objective(sure)
        loss.backward()
        assert np.isfinite(loss.item())
        assert np.isfinite(sure.grad.numpy()).all()
    assert binary_cross_entropy(sure, 0.0).item() == pytest.approx(50)


@pytest.mark.parametrize("wrap", [lambda step: step, sg.jit], ids=["eager", "jit"])
def test_a_thousand_steps_without_the_garbage_collector_do_not_grow(wrap):
    gan = GAN(latent_dim=3)
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
