"""Objectives and penalties: PyTorch's values and gradients, and what is known of them by hand."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import scratchgan as sg
from scratchgan import nn
from scratchgan.gan.objectives import OBJECTIVES
from scratchgan.gan.penalties import PENALTIES, squared_slopes
from scratchgan.testing import gradgradcheck

GOLDEN = dict(np.load(Path(__file__).parents[1] / "golden" / "gan.npz"))
LABEL = 0.9  # of real images, as in golden/make_gan.py

wraps = pytest.mark.parametrize("wrap", [lambda f: f, sg.jit], ids=["eager", "jit"])


@pytest.fixture(autouse=True)
def float64():
    sg.set_default_dtype(np.float64)
    yield
    sg.set_default_dtype(np.float32)


@pytest.fixture
def discriminator():
    d = nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.LeakyReLU(0.2), nn.Linear(5, 1))
    for parameter, name in zip(d.parameters(), ("w1", "b1", "w2", "b2"), strict=True):
        parameter.array[...] = GOLDEN[name]
    return d


def images():
    return sg.tensor(GOLDEN["real"]), sg.tensor(GOLDEN["fake"])


def assert_golden(name, loss, gradients):
    np.testing.assert_allclose(loss.numpy(force=True), GOLDEN[f"{name} loss"], rtol=1e-10)
    for number, gradient in enumerate(gradients):
        expected = GOLDEN[f"{name} {number}"]
        got = np.zeros_like(expected) if gradient is None else gradient.numpy(force=True)
        np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-13, err_msg=f"{number}")


def test_every_one_has_golden_values():
    assert {key.removesuffix(" loss") for key in GOLDEN if key.endswith("loss")} == {
        *(f"{player} {name}" for player in "DG" for name in OBJECTIVES),
        *(f"penalty {name}" for name in PENALTIES if name != "none"),
    }


@wraps
@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_loss_of_d_is_that_of_pytorch(name, wrap, discriminator):
    parameters = list(discriminator.parameters())

    def move(real, fake):
        loss = OBJECTIVES[name].discriminator(discriminator(real), discriminator(fake), LABEL)
        return loss, sg.autograd.grad(loss, parameters, allow_unused=True)

    move = wrap(move)
    for _ in range(3):
        assert_golden(f"D {name}", *move(*images()))


@wraps
@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_loss_of_g_is_that_of_pytorch(name, wrap, discriminator):
    objective = OBJECTIVES[name]

    def move(real, fake):
        fake = fake.detach()
        fake.requires_grad = True
        logits = [discriminator(x) for x in ([real] if objective.is_relative else []) + [fake]]
        loss = objective.generator(*logits)
        return loss, sg.autograd.grad(loss, [fake])

    move = wrap(move)
    for _ in range(3):
        assert_golden(f"G {name}", *move(*images()))


@wraps
@pytest.mark.parametrize("name", [name for name in PENALTIES if name != "none"])
def test_second_derivatives_of_a_penalty_are_those_of_pytorch(
    name, wrap, discriminator, monkeypatch
):
    parameters = list(discriminator.parameters())
    shares = sg.tensor(GOLDEN["shares"])
    monkeypatch.setattr("scratchgan.gan.penalties.rand", lambda *shape, device: shares)

    def move(real, fake):
        loss = PENALTIES[name].of(discriminator, real, fake)
        return loss, sg.autograd.grad(loss, parameters, allow_unused=True)

    move = wrap(move)
    for _ in range(3):
        assert_golden(f"penalty {name}", *move(*images()))


@pytest.mark.parametrize("name", [name for name in PENALTIES if name != "none"])
def test_a_penalty_can_be_differentiated_twice_more(name):
    """On a smooth D, against differences."""
    real, fake = (sg.tensor(GOLDEN[key][:2]) for key in ("real", "fake"))

    def penalty(weight):
        sg.manual_seed(0)
        return PENALTIES[name].of(lambda x: (x.flatten(1) @ weight).tanh(), real, fake)

    gradgradcheck(penalty, [sg.tensor(GOLDEN["w1"][:1].T, requires_grad=True)])


def test_the_slopes_of_a_linear_d_are_its_weights(discriminator):
    w = sg.tensor(GOLDEN["w1"][:1].T)
    real, _ = images()
    slopes = squared_slopes(lambda x: x.flatten(1) @ w, real)
    np.testing.assert_allclose(slopes.numpy(), np.full(len(real), (GOLDEN["w1"][0] ** 2).sum()))


def test_the_gradient_penalty_is_taken_between_real_images_and_fakes():
    """d = x² / 2 has the slope x: the penalty tells where it was taken."""
    places = []

    def d(x):
        places.append(x.detach().numpy())
        return (x.square() / 2).flatten(1).sum(1, keepdims=True)

    real, fake = sg.zeros(1000, 1, 1, 1), sg.full((1000, 1, 1, 1), 4.0)
    sg.manual_seed(0)
    got = PENALTIES["gradient"].of(d, real, fake)
    (between,) = places
    assert between.min() >= 0
    assert between.max() <= 4
    np.testing.assert_allclose(np.histogram(between, 4, (0, 4))[0], 250, atol=60)
    assert got.item() == pytest.approx(((between - 1) ** 2).mean())


def test_a_d_that_is_flat_has_finite_gradients():
    w = sg.zeros(12, 1, requires_grad=True)
    for name in ("gradient", "r1", "r1-r2"):
        w.grad = None
        PENALTIES[name].of(lambda x: x.flatten(1) @ w, *images()).backward()
        assert np.isfinite(w.grad.numpy()).all()


# --- By hand ----------------------------------------------------------------------------

logits = arrays(np.float64, st.integers(1, 6).map(lambda n: (n, 1)), elements=st.floats(-8, 8))


def loss_and_gradient(objective, a):
    a = sg.tensor(a, requires_grad=True)
    loss = objective.generator(a)
    loss.backward()
    return loss.item(), a.grad.numpy()


@given(logits)
def test_minimax_fades_where_d_sees_through_g_and_non_saturating_does_not(a):
    p = 1 / (1 + np.exp(-a))
    loss, gradient = loss_and_gradient(OBJECTIVES["minimax"], a)
    assert loss == pytest.approx(np.log(1 - p).mean())
    np.testing.assert_allclose(gradient, -p / len(a), rtol=1e-9)
    loss, gradient = loss_and_gradient(OBJECTIVES["non-saturating"], a)
    assert loss == pytest.approx(-np.log(p).mean())
    np.testing.assert_allclose(gradient, (p - 1) / len(a), rtol=1e-9)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_g_is_pulled_to_where_d_finds_it_more_real(name):
    """And D is pulled the other way, wherever it is not beyond the margin of its objective."""
    objective = OBJECTIVES[name]
    real, fake = (sg.tensor([[x]], requires_grad=True) for x in (0.5, -0.5))
    objective.generator(*([real, fake] if objective.is_relative else [fake])).backward()
    assert fake.grad.item() < 0
    real.grad = fake.grad = None
    fake = sg.tensor([[0.25]], requires_grad=True)
    objective.discriminator(real, fake, 1.0).backward()
    assert real.grad.item() < 0 < fake.grad.item()


@given(st.sampled_from(list(OBJECTIVES)), st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_losses_are_finite_however_sure_d_is(name, a, b):
    objective = OBJECTIVES[name]
    real, fake = (sg.tensor([[x]], requires_grad=True) for x in (a, b))
    loss = objective.discriminator(real, fake, LABEL)
    loss = loss + objective.generator(*([real, fake] if objective.is_relative else [fake]))
    loss.backward()
    for x in (loss, real.grad, fake.grad):
        assert np.isfinite(x.numpy(force=True)).all()


def test_smoothed_labels_matter_where_there_are_labels():
    real, fake = sg.tensor([[2.0]]), sg.tensor([[-1.0]])
    for objective in OBJECTIVES.values():
        losses = {objective.discriminator(real, fake, label).item() for label in (1.0, LABEL)}
        assert len(losses) == (2 if objective.has_labels else 1)
