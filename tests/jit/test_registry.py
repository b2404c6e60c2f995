"""Every primitive and random programs of them: a replay on other values gives the eager ones."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

import scratchgan as sg
from scratchgan import Tensor, autograd, ops
from scratchgan.autograd.primitive import REGISTRY
from scratchgan.testing.choices import Choices, Sample
from scratchgan.testing.graphs import Graph
from scratchgan.testing.samplers import SAMPLERS
from scratchgan.testing.strategies import graphs

SEEDS = range(4)


@pytest.fixture(params=["numpy", "numba"], autouse=True)
def backend(request: pytest.FixtureRequest, interpreted_loops: None) -> Any:
    with sg.use_backend(request.param), np.errstate(all="ignore"):
        yield


def twin(x: Any) -> Any:
    """Other values in the same memory layout."""
    if not isinstance(x, Tensor) or x.dtype.kind != "f":
        return x
    lowest, highest = np.lib.array_utils.byte_bounds(x.array)
    memory = np.zeros(highest - lowest, np.uint8)
    array = np.ndarray(x.shape, x.dtype, memory, x.array.ctypes.data - lowest, x.array.strides)
    array[...] = x.array * 1.01
    return Tensor(array)


def derivatives(out: Tensor, leaves: list[Tensor]) -> list[Tensor]:
    """First and second ones."""
    if not out.requires_grad:
        return []
    first = autograd.grad(ops.sum(ops.square(out)), leaves, create_graph=True, allow_unused=True)
    taped = [ops.sum(ops.square(g)) for g in first if g is not None and g.requires_grad]
    second = autograd.grad(taped, leaves, allow_unused=True) if taped else ()
    return [g for g in (*first, *second) if g is not None]


def assert_same(got: list[Tensor], expected: list[Tensor]) -> None:
    for x, y in zip(got, expected, strict=True):
        np.testing.assert_allclose(x.numpy(), y.numpy(), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("name", SAMPLERS)
def test_primitives(name: str) -> None:
    for seed in SEEDS:
        sample = SAMPLERS[name].sampler(Choices(seed))

        def computed(*inputs: Any, sample: Sample = sample) -> list[Tensor]:
            leaves = [x.detach() if isinstance(x, Tensor) else x for x in inputs]
            floats = [x for x in leaves if isinstance(x, Tensor) and x.dtype.kind == "f"]
            for x in floats:
                x.requires_grad_()
            out = REGISTRY[name](*leaves, **sample.keywords)
            return [x.detach() for x in (out, *derivatives(out, floats))]

        step = sg.jit(computed)
        step(*sample.inputs)  # recorded
        others = [twin(x) for x in sample.inputs]
        assert_same(step(*others), computed(*others))


@settings(max_examples=max(10, settings().max_examples // 2))
@given(graphs(12))
def test_random_programs(graph: Graph) -> None:
    def computed(*inputs: Tensor) -> list[Tensor]:
        leaves = [x.detach().requires_grad_() for x in inputs]
        values = graph.values(*leaves)
        total = sum((ops.sum(ops.square(x)) for x in values), start=ops.sum(leaves[0]))
        return [x.detach() for x in (*values, *autograd.grad(total, leaves))]

    step = sg.jit(computed)
    step(*graph.leaves)
    others = [twin(x) for x in graph.leaves]
    assert_same(step(*others), computed(*others))


@pytest.mark.parametrize(
    "fn",
    [
        lambda x: (x.sum() * sg.ones(3)).sum(),
        lambda x: x.sum().broadcast_to(3, 4).sum(),
        lambda x: sg.exp(x[:0]),
        lambda x: sg.exp(x[:0]).sum() + x.sum(0),
        lambda x: (sg.exp(x[:, :0]) * x.sum()).sum(1),
    ],
)
def test_loops_whose_size_no_array_tells(fn: Any) -> None:
    x = sg.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=sg.float64)
    step = sg.jit(fn)
    step(x)
    assert_same([step(x * 2)], [fn(x * 2)])
