"""A training step of any module, loss and optimizer here gives under jit what it gives eagerly."""

import numpy as np
import pytest

import scratchgan as sg
from scratchgan import nn, optim
from scratchgan.jit import jit

STEPS = 10
ROWS = 6


def network(loss):
    """Layers with every kind of state: weights, running statistics, random masks."""
    return nn.Sequential(
        *(nn.Embedding(7, 4), nn.Flatten(), nn.Linear(12, 8), nn.BatchNorm1d(8), nn.Softplus()),
        *(nn.Dropout(0.3), nn.Linear(8, 6, bias=False), nn.LeakyReLU(), nn.Linear(6, 4), nn.Tanh()),
        *([nn.Linear(4, 4), nn.Sigmoid()] if loss is nn.BCELoss else [nn.Identity(), nn.ReLU()]),
    ).double()


def trained(loss, kind, options, wrap):
    """Losses and final state of a few steps; on the way the rate changes, then the mode."""
    sg.manual_seed(0)
    net, criterion = network(loss), loss()
    optimizer = kind(net.parameters(), lr=0.01, **options)

    def step(x, y):
        optimizer.zero_grad()
        value = criterion(net(x), y)
        value.backward()
        optimizer.step()
        return value

    step = wrap(step)
    rng = np.random.default_rng(0)
    losses = []
    for i in range(STEPS):
        if i == 4:
            optimizer.param_groups[0]["lr"] = 0.1
        if i == 7:
            net.eval()
        x = sg.tensor(rng.integers(0, 7, (ROWS, 3)))
        classes = loss is nn.CrossEntropyLoss
        y = sg.tensor(rng.integers(0, 4, ROWS) if classes else rng.uniform(size=(ROWS, 4)))
        losses.append(step(x, y).item())
    return losses, {name: tensor.numpy() for name, tensor in net.state_dict().items()}


@pytest.mark.parametrize(
    ("loss", "kind", "options"),
    [
        (nn.BCELoss, optim.Adam, {"betas": (0.5, 0.999)}),
        (nn.BCEWithLogitsLoss, optim.Adam, {"weight_decay": 0.1}),
        (nn.MSELoss, optim.SGD, {"momentum": 0.9, "dampening": 0.5}),
        (nn.CrossEntropyLoss, optim.SGD, {"momentum": 0.9, "nesterov": True}),
    ],
)
def test_a_recorded_step_is_the_eager_step(loss, kind, options):
    eager, state = trained(loss, kind, options, lambda step: step)
    replayed, replayed_state = trained(loss, kind, options, jit)

    assert len(set(eager)) == STEPS
    np.testing.assert_allclose(replayed, eager, rtol=1e-10)
    assert list(state) == list(replayed_state)
    for name, expected in state.items():
        np.testing.assert_allclose(replayed_state[name], expected, rtol=1e-9, atol=1e-11)
