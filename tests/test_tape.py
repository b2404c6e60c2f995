"""Kinds of arrays: which may go to an elementwise kernel just so."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import scratchgan as sg
from scratchgan import Tensor
from scratchgan.autograd.tape import kind_of
from scratchgan.backend import kernels_for, use_backend


@st.composite
def views(draw: st.DrawFn) -> np.ndarray:
    """Arrays of up to three axes that were cut, turned, repeated and given axes of length one."""
    shape = draw(st.lists(st.integers(0, 3), max_size=3))
    x = np.zeros(shape, draw(st.sampled_from(("float32", "float64", "int64", "bool"))))
    for _ in range(draw(st.integers(0, 3))):
        change = draw(st.sampled_from(("cut", "turn", "axis", "repeat")))
        if change == "cut" and x.ndim:
            x = x[:: draw(st.sampled_from((1, 2, -1)))]
        elif change == "turn":
            x = x.transpose(draw(st.permutations(range(x.ndim))))
        elif change == "axis":
            x = x[None] if draw(st.booleans()) else x[..., None]
        elif change == "repeat":
            x = np.broadcast_to(x, (2, *x.shape))
    return x


@given(views())
def test_plain_is_contiguous_and_floating(x: np.ndarray) -> None:
    assert kind_of(Tensor(x)).is_plain == (x.flags.c_contiguous and x.dtype.kind == "f")


def test_arrays_that_are_alike_share_a_kind() -> None:
    x = sg.ones(2, 3)
    assert kind_of(x) is kind_of(sg.zeros(2, 3)) is x.kind
    for other in (sg.ones(3, 2), sg.ones(3, 2).T, sg.ones(2, 3).double(), sg.ones(2, 4)[:, :3]):
        assert kind_of(other) is not x.kind
    x.replace_array(np.ones((3, 2), np.float32))
    assert kind_of(x).shape == (3, 2)


@pytest.mark.parametrize("shape", [(), (3,)])
def test_plain_kernels_are_those_of_the_backend_in_force(shape: tuple[int, ...]) -> None:
    x = sg.full(shape, 0.3)
    for name in ("numba", "numpy", "numba"):
        with use_backend(name):
            expected = np.empty(shape, np.float32)
            kernels_for[np.ndarray].tanh(x.data, out=expected)
            assert x.tanh().numpy().tobytes() == expected.tobytes()
            assert isinstance(x.tanh().data, np.ndarray)
    assert kind_of(sg.arange(3)).plain["tanh"] is None
