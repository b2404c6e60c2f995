"""Every function and every module on a GPU: the values and gradients of the CPU."""

from typing import Any

import numpy as np
import pytest
from nn.test_twins import CALLED, first_state, made, over, tensors
from test_array_habits import FUNCTIONS

import scratchgan as sg
from scratchgan import nn


def assert_alike(found: Any, expected: Any) -> None:
    """Equal within rounding, and where it belongs."""
    if expected is None:
        assert found is None
        return
    assert found.device == "cuda:0"
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(
        found.numpy(force=True), expected.numpy(force=True), rtol=1e-10, atol=1e-12
    )


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name: str) -> None:
    values = np.random.default_rng(0).standard_normal((2, 3))
    results = []
    for device in ("cuda", "cpu"):
        sg.manual_seed(0)
        x = sg.tensor(values, requires_grad=True, device=device)
        out = FUNCTIONS[name](x)
        if out.requires_grad:
            out.square().sum().backward()
        results.append((out, x.grad))
    for found, expected in zip(*results, strict=True):
        assert_alike(found, expected)


@over(CALLED)
def test_modules(row: Any) -> None:
    expression, *inputs = row
    state = first_state(expression)
    results = []
    for device in ("cuda", "cpu"):
        module: nn.Module = made(expression, sg, state).to(device)
        given = [x.to(device).detach().requires_grad_(x.requires_grad) for x in tensors(inputs, sg)]
        sg.manual_seed(0)
        out = module(*given)
        out = out[0] if isinstance(out, tuple) else out
        if out.requires_grad:
            out.square().sum().backward()
        leaves = [*given, *module.parameters()]
        results.append([out, *module.buffers(), *[x.grad for x in leaves]])
    for found, expected in zip(*results, strict=True):
        assert_alike(found, expected)
