"""The objectives against their formulas, and their gradients against those worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import scratchgan as sg
from scratchgan.gan.objectives import OBJECTIVES, discriminator_loss

# Scores before the sigmoid, away from where BCE clamps its logarithms.
scores = arrays(np.float64, st.integers(1, 6).map(lambda n: (n, 1)), elements=st.floats(-8, 8))


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def loss_and_gradient(objective, a):
    """The value of an objective of D(G(z)) = sigmoid(a), and its gradient with respect to ``a``."""
    a = sg.tensor(a, requires_grad=True)
    loss = objective(a.sigmoid())
    loss.backward()
    return loss.item(), a.grad.numpy()


@given(scores)
def test_minimax(a):
    loss, gradient = loss_and_gradient(OBJECTIVES["minimax"], a)

    assert loss == pytest.approx(np.log(1 - sigmoid(a)).mean())
    np.testing.assert_allclose(gradient, -sigmoid(a) / len(a), rtol=1e-9)


@given(scores)
def test_non_saturating(a):
    loss, gradient = loss_and_gradient(OBJECTIVES["non-saturating"], a)

    assert loss == pytest.approx(-np.log(sigmoid(a)).mean())
    np.testing.assert_allclose(gradient, (sigmoid(a) - 1) / len(a), rtol=1e-9)


def test_both_pull_the_score_up_and_only_minimax_fades_where_d_sees_through_g():
    a = np.full((1, 1), -6.0)
    _, minimax = loss_and_gradient(OBJECTIVES["minimax"], a)
    _, non_saturating = loss_and_gradient(OBJECTIVES["non-saturating"], a)

    assert -0.01 < minimax.item() < 0
    assert -1 < non_saturating.item() < -0.99


@given(scores, scores)
def test_discriminator_loss(real, fake):
    a, b = (sg.tensor(x, requires_grad=True) for x in (real, fake))
    loss = discriminator_loss(a.sigmoid(), b.sigmoid())
    loss.backward()

    value = np.log(sigmoid(real)).mean() + np.log(1 - sigmoid(fake)).mean()
    assert loss.item() == pytest.approx(-value)
    np.testing.assert_allclose(a.grad.numpy(), (sigmoid(real) - 1) / len(real), rtol=1e-9)
    np.testing.assert_allclose(b.grad.numpy(), sigmoid(fake) / len(fake), rtol=1e-9)
