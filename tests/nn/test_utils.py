"""Spectral normalization: against the singular values, and against PyTorch's steps."""

import numpy as np
import pytest

import scratchgan as sg
from scratchgan import nn
from scratchgan.nn.utils import spectral_norm
from scratchgan.testing import gradcheck


@pytest.fixture(autouse=True)
def float64():
    sg.set_default_dtype(np.float64)
    yield
    sg.set_default_dtype(np.float32)


def largest(weight):
    return np.linalg.svd(weight.numpy(force=True), compute_uv=False)[0]


@pytest.mark.parametrize("wrap", [lambda f: f, sg.jit], ids=["eager", "jit"])
def test_the_largest_singular_value_becomes_1(wrap):
    sg.manual_seed(0)
    layer = spectral_norm(nn.Linear(7, 5))
    step = wrap(lambda x: layer(x).detach())
    for _ in range(100):
        step(sg.randn(2, 7))
    assert largest(layer.eval().weight) == pytest.approx(1)
    with sg.no_grad():
        layer.weight_orig.mul_(3)
    assert largest(layer.weight) == pytest.approx(1)


def test_a_step_is_that_of_the_power_method():
    """As PyTorch writes it: v from u, u from v, and the value from both."""
    sg.manual_seed(0)
    linear = nn.Linear(4, 3)
    layer = spectral_norm(linear)
    w, u = linear.weight.numpy(force=True), layer.weight_u.numpy().copy()
    x = sg.randn(2, 4)
    out = layer(x).numpy(force=True)
    v = w.T @ u / np.linalg.norm(w.T @ u)
    u = w @ v / np.linalg.norm(w @ v)
    np.testing.assert_allclose(layer.weight_u.numpy(), u)
    np.testing.assert_allclose(layer.weight_v.numpy(), v)
    expected = x.numpy() @ (w / (u @ w @ v)).T + linear.bias.numpy(force=True)
    np.testing.assert_allclose(out, expected)


def test_only_training_moves_the_vectors():
    layer = spectral_norm(nn.Linear(4, 3)).eval()
    before = layer.weight_u.numpy().copy()
    layer(sg.randn(2, 4))
    np.testing.assert_array_equal(layer.weight_u.numpy(), before)


def test_gradients_reach_the_weight_through_its_singular_value():
    sg.manual_seed(0)
    linear = nn.Linear(4, 3)
    layer = spectral_norm(linear).eval()
    x = sg.randn(2, 4)

    def out(weight):
        layer.weight_orig = nn.Parameter(weight.detach())
        u, v = layer.weight_u, layer.weight_v
        return nn.functional.linear(x, weight / (u * (weight @ v)).sum(), layer.bias)

    weight = sg.randn(3, 4, requires_grad=True)
    gradcheck(out, [weight])
    out(weight).square().sum().backward()
    layer(x).square().sum().backward()
    np.testing.assert_allclose(layer.weight_orig.grad.numpy(), weight.grad.numpy())


def test_its_state_has_pytorchs_names():
    state = spectral_norm(nn.Linear(4, 3)).state_dict()
    assert set(state) == {"weight_orig", "bias", "weight_u", "weight_v"}


def test_refusals():
    with pytest.raises(TypeError, match="spectral_norm: takes a Linear, not ReLU"):
        spectral_norm(nn.ReLU())
    with pytest.raises(ValueError, match="spectral_norm: 0 power iterations; at least 1"):
        spectral_norm(nn.Linear(2, 2), n_power_iterations=0)


# --- Gradients and vectors --------------------------------------------------------------------


def with_gradients():
    parameters = [nn.Parameter(sg.zeros(2)), nn.Parameter(sg.zeros(1, 2)), nn.Parameter(sg.ones(1))]
    parameters[0].grad, parameters[1].grad = sg.tensor([3.0, 0.0]), sg.tensor([[0.0, -4.0]])
    return parameters


@pytest.mark.parametrize(
    ("p", "norm"), [(2.0, 5.0), (1.0, 7.0), (np.inf, 4.0), (3.0, 91 ** (1 / 3))]
)
def test_clip_grad_norm(p, norm):
    for limit in (1.0, 100.0):
        parameters = with_gradients()
        total = nn.utils.clip_grad_norm_((x for x in parameters), limit, p)
        assert total.item() == pytest.approx(norm)
        factor = min(limit / (norm + 1e-6), 1.0)
        np.testing.assert_allclose(parameters[0].grad, [3 * factor, 0])
        np.testing.assert_allclose(parameters[1].grad, [[0, -4 * factor]])
    assert nn.utils.clip_grad_norm_(parameters[2], 1.0).item() == 0
    parameters[0].grad.fill_(np.nan)
    with pytest.raises(RuntimeError, match="clip_grad_norm_: the norm of the gradients is nan"):
        nn.utils.clip_grad_norm_(parameters, 1.0, error_if_nonfinite=True)


def test_clip_grad_norm_is_replayed():
    parameters = with_gradients()
    run = sg.jit(lambda: nn.utils.clip_grad_norm_(parameters, 1.0))
    assert run().item() == pytest.approx(5)
    assert run().item() == pytest.approx(1, abs=1e-5)


def test_clip_grad_value():
    parameters = with_gradients()
    nn.utils.clip_grad_value_(parameters, 2)
    assert parameters[0].grad.tolist() == [2, 0]
    assert parameters[1].grad.tolist() == [[0, -2]]


def test_parameters_and_vectors():
    layer = nn.Linear(2, 2)
    vector = nn.utils.parameters_to_vector(layer.parameters())
    assert vector.shape == (6,)
    assert vector.requires_grad
    nn.utils.vector_to_parameters(sg.arange(6) * 1.0, layer.parameters())
    assert layer.weight.tolist() == [[0, 1], [2, 3]]
    assert layer.bias.tolist() == [4, 5]
    with pytest.raises(ValueError, match="vector_to_parameters: a vector of shape"):
        nn.utils.vector_to_parameters(sg.zeros(5), layer.parameters())
    with pytest.raises(TypeError, match="vec is a tensor, not list"):
        nn.utils.vector_to_parameters([1.0], layer.parameters())
