"""Layers beyond their golden values: shapes, modes, randomness, errors."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import scratchgan as sg
from scratchgan import nn, ops
from scratchgan.nn import functional
from scratchgan.testing import gradcheck, gradgradcheck

# --- Linear -----------------------------------------------------------------------------------


@given(
    leading=st.lists(st.integers(0, 3), max_size=3),
    sizes=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    bias=st.booleans(),
    activation=st.sampled_from(["none", *ops.ACTIVATIONS]),
)
def test_linear_acts_on_the_last_axis(leading, sizes, bias, activation):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(*leading, sizes[0]))
    weight, shift = rng.normal(size=sizes[::-1]), rng.normal(size=sizes[1])
    expected = x @ weight.T + (shift if bias else 0)
    expected = {
        "none": lambda y: y,
        "relu": lambda y: np.maximum(y, 0),
        "tanh": np.tanh,
        "sigmoid": lambda y: 1 / (1 + np.exp(-y)),
        "leaky_relu": lambda y: np.where(y > 0, y, 0.01 * y),
        "softplus": lambda y: np.log1p(np.exp(y)),
    }[activation](expected)

    got = functional.linear(
        sg.tensor(x), sg.tensor(weight), sg.tensor(shift) if bias else None, activation
    )

    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("bias", [True, False])
def test_linear_refuses_what_does_not_fit(bias):
    layer = nn.Linear(3, 2, bias=bias)
    for shape in ((4, 2), (2, 4, 2), (2,), ()):
        with pytest.raises(ValueError, match=r"linear|matmul"):
            layer(sg.zeros(*shape))
    with pytest.raises(ValueError, match="no activation 'gelu'"):
        layer(sg.zeros(1, 3), "gelu")


# --- Dropout ----------------------------------------------------------------------------------


@given(p=st.floats(0.05, 0.95), seed=st.integers(0, 2**64 - 1))
def test_dropout_zeroes_and_scales_and_its_gradient_does_the_same(p, seed):
    n = 20_000
    x = sg.randn(n, dtype=sg.float64, requires_grad=True)
    sg.manual_seed(seed)

    out = functional.dropout(x, p)
    out.backward(sg.ones(n, dtype=sg.float64))

    kept = x.grad.numpy() != 0
    # 5.5 standard deviations: one in 20 million draws lies outside.
    assert abs(kept.mean() - (1 - p)) < 5.5 * math.sqrt(p * (1 - p) / n)
    np.testing.assert_array_equal(x.grad.numpy(), np.where(kept, 1 / (1 - p), 0))
    np.testing.assert_array_equal(out.detach(), x.detach().numpy() * x.grad.numpy())
    sg.manual_seed(seed)
    np.testing.assert_array_equal(functional.dropout(x, p).detach(), out.detach())
    assert (functional.dropout(x, p).detach() != out.detach()).any()


def test_dropout_is_nothing_outside_of_training():
    layer, x = nn.Dropout(0.9), sg.ones(100)
    assert layer.eval()(x) is x
    assert (layer.train()(x) == 0).any()
    assert nn.Dropout(0.0)(x) is x
    assert not nn.Dropout(1.0)(x).any()
    for p in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match=f"dropout: p is {p}"):
            nn.Dropout(p)
        with pytest.raises(ValueError, match=f"dropout: p is {p}"):
            functional.dropout(x, p, training=False)


# --- BatchNorm1d ------------------------------------------------------------------------------


@given(shape=st.sampled_from([(2, 3), (5, 1), (4, 3, 2), (1, 2, 6)]), momentum=st.floats(0, 1))
def test_batch_norm_normalizes_and_keeps_averages(shape, momentum):
    layer = nn.BatchNorm1d(shape[1], eps=0.0, momentum=momentum).double()
    x = np.random.default_rng(0).normal(3, 2, shape)
    axes = (0, *range(2, len(shape)))

    out = layer(sg.tensor(x, requires_grad=True))
    layer(sg.tensor(x))

    assert out.requires_grad
    np.testing.assert_allclose(out.detach().numpy().mean(axes), 0, atol=1e-12)
    np.testing.assert_allclose(out.detach().numpy().var(axes), 1, rtol=1e-12)
    left = (1 - momentum) ** 2
    mean, variance = x.mean(axes), x.var(axes, ddof=1)
    np.testing.assert_allclose(layer.running_mean, (1 - left) * mean, atol=1e-12)
    np.testing.assert_allclose(layer.running_var, left + (1 - left) * variance, atol=1e-12)
    assert layer.num_batches_tracked.item() == 2
    assert not layer.running_mean.requires_grad

    layer.eval()
    before = {name: buffer.tolist() for name, buffer in layer.named_buffers()}
    out = layer(sg.tensor(x))

    shape = (-1, *[1] * (len(shape) - 2))
    mean = layer.running_mean.numpy().reshape(shape)
    deviation = np.sqrt(layer.running_var.numpy().reshape(shape))
    np.testing.assert_allclose(out.detach(), (x - mean) / deviation, atol=1e-12)
    assert {name: buffer.tolist() for name, buffer in layer.named_buffers()} == before


@pytest.mark.parametrize("shape", [(4, 2), (3, 2, 2)])
@pytest.mark.parametrize("check", [gradcheck, gradgradcheck])
def test_gradients_of_batch_norm(shape, check):
    sg.manual_seed(0)
    inputs = [sg.randn(*size, dtype=sg.float64, requires_grad=True) for size in (shape, (2,), (2,))]
    assert check(
        lambda x, weight, bias: functional.batch_norm(x, None, None, weight, bias, training=True),
        inputs,
    )


def test_batch_norm_refuses_what_does_not_fit():
    layer = nn.BatchNorm1d(3)
    for shape in ((3,), (2, 3, 4, 5)):
        with pytest.raises(ValueError, match=r"batch_norm: .* expected \(N, C\) or \(N, C, L\)"):
            layer(sg.zeros(*shape))
    with pytest.raises(ValueError, match=r"shape \(2, 4\) does not fit running_mean of shape \(3"):
        layer(sg.zeros(2, 4))
    with pytest.raises(ValueError, match="one value for each channel"):
        layer(sg.zeros(1, 3))
    assert layer.running_mean.tolist() == [0, 0, 0]  # a refused batch leaves no trace
    assert layer.num_batches_tracked.item() == 0
    with pytest.raises(ValueError, match="running_mean and running_var are needed"):
        functional.batch_norm(sg.zeros(2, 3))
    layer.eval()(sg.zeros(1, 3))


# --- Embedding --------------------------------------------------------------------------------


def test_embedding_refuses_what_is_no_row():
    layer = nn.Embedding(3, 2)
    with pytest.raises(IndexError, match="embedding: index 3 is out of bounds"):
        layer(sg.tensor([0, 3]))
    with pytest.raises(IndexError, match="embedding: indices are integers, not float32"):
        layer(sg.tensor([0.0]))


@given(st.lists(st.integers(0, 4), max_size=6))
def test_embedding_adds_the_gradients_of_a_row_that_is_used_twice(rows):
    layer = nn.Embedding(5, 2)
    out = layer(sg.tensor(rows, dtype=sg.int64))
    assert out.shape == (len(rows), 2)
    np.testing.assert_array_equal(
        out.detach(), layer.weight.detach().numpy()[np.array(rows, np.int64)]
    )
    out.sum().backward()
    uses = np.bincount(np.array(rows, np.int64), minlength=5)
    np.testing.assert_array_equal(layer.weight.grad, np.stack([uses, uses], axis=1))
