"""The same program twice, eager and jitted, and held against each other."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

import scratchgan as sg
from scratchgan import nn, optim


def same(x: Any, y: Any) -> None:
    np.testing.assert_allclose(
        np.asarray(x.numpy(force=True)), np.asarray(y.numpy(force=True)), rtol=1e-5, atol=1e-6
    )


def data(*shape: int, seed: int = 0) -> sg.Tensor:
    return sg.tensor(np.random.default_rng(seed).standard_normal(shape), dtype=sg.float32)


class Twins:
    """The same program twice, eager and jitted; ``both`` does to each what the test does."""

    def __init__(self, build: Callable[[], SimpleNamespace]) -> None:
        sg.manual_seed(0)
        self.eager = build()
        sg.manual_seed(0)
        self.jitted = build()
        self.run = sg.jit(self.jitted.step)

    def both(self, change: Callable[[SimpleNamespace], object]) -> None:
        change(self.eager)
        change(self.jitted)

    def step(self, *inputs: Any) -> None:
        state = sg.random.default_generator.state
        before = state.copy()
        expected = self.eager.step(*inputs)
        after = state.copy()
        state[:] = before
        got = self.run(*inputs)
        np.testing.assert_array_equal(state, after)
        same(got, expected)
        for p, q in zip(self.jitted.parameters(), self.eager.parameters(), strict=True):
            same(p, q)
            assert p.requires_grad is q.requires_grad
            assert (p.grad is None) is (q.grad is None)
            if p.grad is not None:
                same(p.grad, q.grad)

    @property
    def count(self) -> int:
        return len(self.run.recordings)


def network() -> SimpleNamespace:
    model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2))
    optimizer = optim.Adam(model.parameters(), lr=0.05)

    def step(x: sg.Tensor) -> sg.Tensor:
        optimizer.zero_grad()
        loss = model(x).square().mean()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return SimpleNamespace(
        model=model, optimizer=optimizer, step=step, parameters=lambda: list(model.parameters())
    )
