"""Creation functions, against NumPy and PyTorch's conventions."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import scratchgan as sg

FLOATS = st.floats(-1e3, 1e3, width=32)


@given(st.recursive(FLOATS, lambda inner: st.lists(inner, min_size=2, max_size=2), max_leaves=4))
def test_python_floats_become_float32(values):
    try:
        expected = np.array(values, np.float32)
    except ValueError:  # ragged
        with pytest.raises(TypeError, match="tensor: the nested lists are ragged"):
            sg.tensor(values)
        return
    x = sg.tensor(values)
    assert x.dtype == np.float32
    np.testing.assert_array_equal(x.numpy(), expected)


@given(hnp.arrays(hnp.scalar_dtypes().filter(lambda d: d.kind in "biuf"), hnp.array_shapes()))
def test_an_array_keeps_its_type_and_is_copied(array):
    array = array.astype(array.dtype.newbyteorder("="))
    x = sg.tensor(array)
    assert x.dtype == array.dtype
    assert not np.shares_memory(x.array, array)
    np.testing.assert_array_equal(x.numpy(), array)
    assert sg.tensor(x).dtype == array.dtype
    assert not np.shares_memory(sg.tensor(x).array, x.array)


def test_types_of_python_numbers():
    for value, dtype in ((1, np.int64), (True, bool), (1.0, np.float32), ([], np.float32)):
        assert sg.tensor(value).dtype == dtype
    assert sg.tensor([1, 2.5]).dtype == np.float32
    assert sg.tensor(np.float64(2.5)).dtype == np.float64
    assert sg.tensor([1, 2], "float64").tolist() == [1.0, 2.0]
    assert sg.tensor(1.0, requires_grad=True).requires_grad


def test_what_is_no_tensor():
    for value in ("text", [1 + 2j], [None], object()):
        with pytest.raises(TypeError, match="are not real numbers"):
            sg.tensor(value)
    with pytest.raises(TypeError, match="from_numpy: expected a NumPy array of real numbers"):
        sg.from_numpy([1.0])
    with pytest.raises(RuntimeError, match="only floating types have gradients"):
        sg.tensor([1], requires_grad=True)


def test_shared_memory():
    array = np.arange(6.0).reshape(2, 3)
    for x in (sg.from_numpy(array), sg.as_tensor(array), sg.from_dlpack(array)):
        assert np.shares_memory(x.array, array)
        assert x.dtype == np.float64
    assert sg.as_tensor(x) is x
    assert sg.as_tensor(x, "float32").dtype == np.float32
    assert sg.as_tensor([1.0]).dtype == np.float32
    sg.from_numpy(array)[0, 0] = 9.0
    assert array[0, 0] == 9.0


@given(hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
def test_filled(shape):
    for x, expected in (
        (sg.zeros(shape), np.zeros(shape)),
        (sg.ones(*shape), np.ones(shape)),
        (sg.full(shape, 2.5), np.full(shape, 2.5)),
        (sg.zeros_like(sg.empty(shape)), np.zeros(shape)),
        (sg.ones_like(sg.empty(shape)), np.ones(shape)),
        (sg.full_like(sg.empty(shape), -1.5), np.full(shape, -1.5)),
    ):
        assert x.dtype == np.float32
        assert x.shape == shape
        np.testing.assert_array_equal(x.numpy(), expected)
    assert sg.empty(shape, dtype="int32").dtype == np.int32
    assert sg.full(shape, 3).dtype == np.int64
    assert sg.full(shape, True).dtype == bool
    assert sg.zeros_like(sg.arange(2), "float64").dtype == np.float64


@given(st.integers(-5, 5), st.integers(-5, 5), st.integers(1, 3))
def test_arange_and_linspace(start, stop, step):
    for by in (step, -step):
        if (stop - start) * by >= 0:
            assert sg.arange(start, stop, by).tolist() == np.arange(start, stop, by).tolist()
            continue
        with pytest.raises(ValueError, match="leads nowhere"):
            sg.arange(start, stop, by)
    assert sg.arange(max(stop, 0)).tolist() == list(range(max(stop, 0)))
    x = sg.linspace(start, stop, step + 1, dtype="float64")
    np.testing.assert_array_equal(x.numpy(), np.linspace(start, stop, step + 1))


def test_types_of_ranges():
    assert sg.arange(3).dtype == np.int64
    assert sg.arange(0, 1, 0.25).dtype == np.float32
    assert sg.arange(3, dtype="float64").dtype == np.float64
    assert sg.arange(0).dtype == sg.arange(3, 3).dtype == np.int64
    assert sg.linspace(0, 1, 5).dtype == sg.eye(2).dtype == np.float32
    assert sg.eye(2, 3).tolist() == np.eye(2, 3).tolist()


def test_shapes_that_are_none():
    for shape in ((-1,), (2.0,), ("3",), ((2, -3),)):
        for make in (sg.zeros, sg.ones, sg.empty, sg.rand, sg.randn):
            with pytest.raises(TypeError, match=r"a shape is made of integers from 0 on"):
                make(*shape)
    with pytest.raises(TypeError, match="zeros: a shape is made of integers"):
        sg.zeros(math.nan)
