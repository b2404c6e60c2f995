"""Losses beyond their golden values: numbers as targets, and errors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import scratchgan as sg
from scratchgan import nn
from scratchgan.nn import functional

ELEMENTWISE = [nn.BCELoss, nn.BCEWithLogitsLoss, nn.MSELoss]


@pytest.mark.parametrize("loss", ELEMENTWISE)
@pytest.mark.parametrize("target", [0.0, 1.0, 0.25, 1])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_a_number_is_a_target_for_all(loss, target, reduction):
    p = sg.tensor([[0.2, 0.9], [0.5, 0.7]], requires_grad=True)
    criterion = loss(reduction=reduction)

    for got, expected in zip(
        *[
            (out := criterion(p, t), sg.autograd.grad(out.sum(), p)[0])
            for t in (target, sg.full(p.shape, target, dtype=sg.float32))
        ],
        strict=True,
    ):
        np.testing.assert_array_equal(got.detach(), expected.detach())


@pytest.mark.parametrize("loss", [nn.BCELoss, nn.BCEWithLogitsLoss])
def test_a_target_of_another_shape_is_refused(loss):
    # (2, 1) and (2,) would broadcast to (2, 2).
    with pytest.raises(ValueError, match=r"the target's shape \(2,\) is not the prediction's \(2,"):
        loss()(sg.ones(2, 1), sg.ones(2))


@pytest.mark.parametrize("loss", [nn.MSELoss, nn.L1Loss, nn.SmoothL1Loss, nn.HuberLoss])
def test_a_difference_of_other_shapes_is_taken_with_a_warning(loss):
    with pytest.warns(UserWarning, match=r"the target's shape \(2,\) is not the prediction's \(2,"):
        assert loss(reduction="none")(sg.ones(2, 1), sg.zeros(2)).shape == (2, 2)


@pytest.mark.parametrize("loss", [*ELEMENTWISE, nn.CrossEntropyLoss])
def test_an_unknown_reduction_is_refused_at_once(loss):
    with pytest.raises(ValueError, match=f"{loss.__name__}: there is no reduction 'average'"):
        loss(reduction="average")
    with pytest.raises(ValueError, match="mse_loss: there is no reduction 'average'"):
        functional.mse_loss(sg.ones(1), sg.ones(1), reduction="average")


@given(st.integers(1, 5), st.integers(1, 4), st.sampled_from(["mean", "sum", "none"]))
def test_cross_entropy_is_nll_of_log_softmax(rows, classes, reduction):
    rng = np.random.default_rng(rows)
    logits = sg.tensor(rng.normal(size=(rows, classes)), requires_grad=True)
    target = sg.tensor(rng.integers(0, classes, rows))

    got = functional.cross_entropy(logits, target, reduction=reduction)
    expected = functional.nll_loss(functional.log_softmax(logits, 1), target, reduction=reduction)
    np.testing.assert_array_equal(got.detach(), expected.detach())

    # Its gradient: softmax minus one-hot.
    (gradient,) = sg.autograd.grad(got.sum(), logits)
    one_hot = np.eye(classes)[target.numpy()]
    share = rows if reduction == "mean" else 1
    expected = (functional.softmax(logits, 1).detach().numpy() - one_hot) / share
    np.testing.assert_allclose(gradient, expected, atol=1e-14)


def test_cross_entropy_refuses_what_is_no_class():
    loss, logits = nn.CrossEntropyLoss(), sg.zeros(2, 3)
    with pytest.raises(TypeError, match="cross_entropy: classes are integers, not float32"):
        loss(logits, sg.zeros(2))
    with pytest.raises(IndexError, match="cross_entropy: there is no such class: index 3"):
        loss(logits, sg.tensor([0, 3]))
    for classes in ([0, -1], [-100, -2]):
        with pytest.raises(IndexError, match="cross_entropy: there is no such class"):
            loss(logits, sg.tensor(classes))
    for shape in ((3,), (2, 1), ()):
        with pytest.raises(ValueError, match=r"expected \(N, C\) and \(N,\)"):
            loss(logits, sg.zeros(*shape, dtype=sg.int64))
    with pytest.raises(ValueError, match=r"expected \(N, C\) and \(N,\)"):
        loss(sg.zeros(2, 3, 4), sg.zeros(2, dtype=sg.int64))
