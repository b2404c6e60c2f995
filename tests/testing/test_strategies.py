"""Strategies: what they draw is valid, and they leave nothing out."""

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from scratchgan import Tensor
from scratchgan.autograd.primitive import REGISTRY
from scratchgan.testing import choices, strategies
from scratchgan.testing.choices import NONZERO, Choices
from scratchgan.testing.graphs import random_graph
from scratchgan.testing.samplers import SAMPLERS


@given(st.integers(1, 4).flatmap(strategies.broadcastable_shapes))
def test_shapes_broadcast(shapes):
    whole = np.broadcast_shapes(*shapes)
    assert len(whole) <= 3
    assert all(0 <= n <= 3 for n in whole)


@given(strategies.shapes(1, 1))
def test_bounds_of_shapes(shape):
    assert 1 <= len(shape) <= 3
    assert min(shape) >= 1


@given(strategies.arrays(domain=NONZERO))
def test_arrays_stay_in_their_domain(array):
    assert array.dtype == np.float64
    assert ((np.abs(array) >= 0.2 - 1e-12) & (np.abs(array) <= 2 + 1e-12)).all()


@given(strategies.tensors())
def test_tensors(x):
    assert isinstance(x, Tensor)
    assert x.dtype in (np.float32, np.float64)
    assert np.isfinite(x.numpy()).all()


def test_all_that_can_be_drawn_is_drawn():
    seen = Counter()

    @settings(max_examples=300)
    @given(strategies.tensors(special=True), strategies.broadcastable_shapes(2))
    def look(x, shapes):
        values = x.numpy()
        for special in strategies.SPECIAL:
            if (values == special).any() or (special != special and np.isnan(values).any()):
                seen[special if special == special else "nan"] += 1
        flags = values.flags
        seen["rows"] += flags.c_contiguous
        seen["columns"] += flags.f_contiguous and not flags.c_contiguous
        seen["gaps"] += not flags.c_contiguous and not flags.f_contiguous
        seen["reversed"] += any(stride < 0 for stride in values.strides)
        seen["offset"] += values.base is not None and flags.c_contiguous
        seen[f"{values.ndim} dimensions"] += 1
        seen["empty"] += values.size == 0
        seen[str(values.dtype)] += 1
        seen["broadcast"] += shapes[0] != shapes[1]

    look()
    expected = {*strategies.SPECIAL[:6], "nan", "rows", "columns", "gaps", "reversed", "offset"}
    expected |= {"0 dimensions", "3 dimensions", "empty", "float32", "float64", "broadcast"}
    assert {name for name, count in seen.items() if count} >= expected


def test_expanded_tensors_are_among_the_inputs_of_primitives():
    drawn = [choices.tensor(Choices(seed), (2, 3), NONZERO) for seed in range(60)]
    assert any(0 in x.array.strides for x in drawn)


def test_every_primitive_is_drawn_and_can_be_called():
    seen = set()

    # So many that none of the 57 is missed by chance, as one is in 400 draws, one time in twenty.
    @settings(max_examples=1500)
    @given(strategies.primitives())
    def call(drawn):
        name, sample = drawn
        out = REGISTRY[name](*sample.inputs, **sample.keywords)
        assert np.isfinite(out.numpy()).all()
        seen.add(name)

    call()
    assert seen == set(SAMPLERS)


@given(st.integers(0, 2**32 - 1), st.integers(0, 3))
def test_choices_follow_from_their_seed(seed, scale):
    for sampler in (SAMPLERS["linear"].sampler, SAMPLERS["view"].sampler):
        a, b = sampler(Choices(seed, scale)), sampler(Choices(seed, scale))
        assert a.keywords == b.keywords
        for x, y in zip(a.inputs, b.inputs, strict=True):
            np.testing.assert_array_equal(x.numpy(), y.numpy())
            assert x.array.strides == y.array.strides


@given(strategies.graphs(most_steps=30))
def test_graphs_have_the_steps_asked_for(graph):
    assert 1 <= len(graph.steps) <= 30
    assert graph(*graph.leaves).shape == ()
    assert len(repr(graph).splitlines()) == len(graph.leaves) + len(graph.steps)


def test_graphs_share_subexpressions_and_leave_no_primitive_out():
    graphs = [random_graph(Choices(seed), 30) for seed in range(20)]
    shared = [max(Counter(m for s in g.steps for m in s.movers.values()).values()) for g in graphs]
    assert min(shared) > 1
    used = {step.primitive for graph in graphs for step in graph.steps}
    differentiable = {name for name in SAMPLERS if REGISTRY[name].vjps}
    assert used == differentiable - {"to_device"}
