"""Random computation graphs: the gradient of the whole is what differences say."""

import pytest
from hypothesis import given

import scratchgan as sg
from scratchgan.testing import gradcheck
from scratchgan.testing.strategies import graphs


@pytest.mark.parametrize("backend", ["numpy", "numba"])
@given(graph=graphs())
def test_gradients_of_whole_graphs(backend, graph):
    leaves = [leaf.detach().requires_grad_() for leaf in graph.leaves]
    with sg.use_backend(backend):
        assert gradcheck(graph, leaves)
