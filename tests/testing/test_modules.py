"""Every module and every loss: first and second derivatives for inputs and parameters."""

import numpy as np
import pytest

import scratchgan as sg
from scratchgan import nn
from scratchgan.testing import gradcheck, gradgradcheck

random = np.random.default_rng(0)


def away_from_zero(*shape):
    """Away from the kinks of ReLU and LeakyReLU."""
    return sg.tensor(random.uniform(0.2, 2, shape) * random.choice([-1, 1], shape))


def probabilities(*shape):
    return sg.tensor(random.uniform(0.1, 0.9, shape))


def indices(*shape):
    return sg.tensor(random.integers(0, 3, shape))


#: A module, made anew for each test, and the inputs that it is called with.
MODULES = {
    "Linear": (lambda: nn.Linear(3, 2), away_from_zero(4, 3)),
    "Linear without bias": (lambda: nn.Linear(3, 2, bias=False), away_from_zero(2, 2, 3)),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(3), away_from_zero(4, 3)),
    "BatchNorm1d in evaluation": (lambda: nn.BatchNorm1d(3).eval(), away_from_zero(2, 3, 2)),
    "Embedding": (lambda: nn.Embedding(3, 2), indices(2, 2)),
    "ReLU": (nn.ReLU, away_from_zero(2, 3)),
    "LeakyReLU": (lambda: nn.LeakyReLU(0.2), away_from_zero(2, 3)),
    "Tanh": (nn.Tanh, away_from_zero(2, 3)),
    "Sigmoid": (nn.Sigmoid, away_from_zero(2, 3)),
    "Softplus": (nn.Softplus, away_from_zero(2, 3)),
    "Identity": (nn.Identity, away_from_zero(2)),
    "Flatten": (nn.Flatten, away_from_zero(2, 3, 2)),
    "Dropout": (lambda: nn.Dropout(0.4), away_from_zero(3, 4)),
    "Dropout in evaluation": (lambda: nn.Dropout(0.4).eval(), away_from_zero(3, 4)),
    "Sequential": (
        lambda: nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1), nn.Sigmoid()),
        away_from_zero(2, 3),
    ),
    "BCELoss": (nn.BCELoss, probabilities(2, 3), probabilities(2, 3)),
    "BCELoss summed": (
        lambda: nn.BCELoss(reduction="sum"),
        probabilities(2, 3),
        probabilities(2, 3),
    ),
    "BCEWithLogitsLoss": (nn.BCEWithLogitsLoss, away_from_zero(2, 3), probabilities(2, 3)),
    "MSELoss": (nn.MSELoss, away_from_zero(2, 3), away_from_zero(2, 3)),
    "MSELoss of each": (lambda: nn.MSELoss(reduction="none"), away_from_zero(2), away_from_zero(2)),
    "CrossEntropyLoss": (nn.CrossEntropyLoss, away_from_zero(4, 3), indices(4)),
}


@pytest.mark.parametrize("check", [gradcheck, gradgradcheck])
@pytest.mark.parametrize("name", MODULES)
def test_derivatives(name, check):
    make, *inputs = MODULES[name]
    sg.manual_seed(0)
    module = make().double()
    parameters = dict(module.named_parameters())
    owners = dict(module.named_modules())

    def function(*arguments):
        """The module as a function of its parameters, too."""
        sg.manual_seed(1)  # Dropout draws the same numbers each time
        for path, value in zip(parameters, arguments[len(inputs) :], strict=True):
            owner, _, attribute = path.rpartition(".")
            vars(owners[owner])[attribute] = value
        return module(*arguments[: len(inputs)])

    for x in inputs:
        if x.dtype.kind == "f":
            x.requires_grad_()
    assert check(function, (*inputs, *parameters.values()))
