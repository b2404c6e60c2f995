"""The Hessian of a small MLP with tanh, by two backward passes, against PyTorch's."""

from pathlib import Path

import numpy as np
import pytest

import scratchgan as sg
from scratchgan import ops
from scratchgan.autograd import grad
from scratchgan.testing import gradgradcheck

GOLDEN = np.load(Path(__file__).parent / "golden" / "hessian.npz")
PARAMETERS = [GOLDEN[f"parameter{i}"] for i in range(6)]


def by_layer(h, weight, bias):
    return ops.linear(h, weight, bias, activation="tanh")


def by_pieces(h, weight, bias):
    return sg.tanh(h @ weight.T + bias)


def loss_of(layer):
    def loss(*parameters):
        h = sg.tensor(GOLDEN["x"])
        for weight, bias in zip(parameters[::2], parameters[1::2], strict=True):
            h = layer(h, weight, bias)
        return ((h - sg.tensor(GOLDEN["target"])) ** 2).mean()

    return loss


def flat(tensors):
    return sg.concatenate([x.flatten() for x in tensors])


@pytest.mark.parametrize("backend", ["numpy", "numba"])
@pytest.mark.parametrize("layer", [by_layer, by_pieces])
def test_hessian_agrees_with_pytorch(backend, layer):
    with sg.use_backend(backend):
        leaves = [sg.tensor(p, requires_grad=True) for p in PARAMETERS]
        value = loss_of(layer)(*leaves)
        gradient = flat(grad(value, leaves, create_graph=True))
        hessian = np.array([flat(grad(one, leaves, retain_graph=True)).numpy() for one in gradient])
    assert abs(value.item() - GOLDEN["loss"]) < 1e-10
    np.testing.assert_allclose(gradient.numpy(force=True), GOLDEN["gradient"], rtol=0, atol=1e-10)
    np.testing.assert_allclose(hessian, GOLDEN["hessian"], rtol=0, atol=1e-10)
    np.testing.assert_allclose(hessian, hessian.T, rtol=0, atol=1e-13)


def test_hessian_agrees_with_differences():
    leaves = [sg.tensor(p, requires_grad=True) for p in PARAMETERS]
    assert gradgradcheck(
        loss_of(by_layer), leaves, sg.ones((), dtype="float64", requires_grad=True)
    )
