"""Elementwise kernels as ufuncs: wherever elements lie, as the same elements side by side."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratchgan.backend import use_backend
from scratchgan.backend.cpu.elementwise import BLOCK, FLOATS, ufunc_of
from scratchgan.backend.scalar import DEFINITIONS

NAMES = ("tanh", "tanh_backward", "leaky_relu")
UFUNCS = {(name, t): ufunc_of(DEFINITIONS[name], t) for name in NAMES for t in FLOATS}
FLOAT32 = np.dtype(np.float32)
#: How many elements: about one block and several, which rests are left of.
SIZES = st.sampled_from((0, 1, 7, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 5))
DTYPES = st.sampled_from(sorted(FLOATS, key=str))


def numbers(size: int, dtype: np.dtype, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-2, 2, size).astype(dtype)


@st.composite
def laid_out(draw: st.DrawFn, x: np.ndarray) -> np.ndarray:
    """An array that equals ``x`` and lies in memory as it likes."""
    step = draw(st.sampled_from((1, 2, 3, -1, -2)))
    room = np.empty(x.size * abs(step) or 1, x.dtype)
    view = room[::step][: x.size]
    view[...] = x
    return view


@given(st.data())
def test_elements_may_lie_anywhere(data: st.DataObject) -> None:
    size, dtype = data.draw(SIZES), data.draw(DTYPES)
    for name in NAMES:
        ufunc = UFUNCS[name, dtype]
        dense = [numbers(size, dtype, seed) for seed in range(ufunc.nin)]
        if name == "leaky_relu":
            dense[1] = np.asarray(0.25, dtype)
        expected = ufunc(*dense)
        inputs = [data.draw(laid_out(x)) if x.ndim else x for x in dense]
        out = data.draw(laid_out(np.zeros(size, dtype)))
        assert ufunc(*inputs, out=out) is out
        np.testing.assert_array_equal(out, expected)
        assert out.dtype == dtype


@given(SIZES, DTYPES)
def test_one_number_beside_many(size: int, dtype: np.dtype) -> None:
    g, one = numbers(size, dtype, 1), np.asarray(0.3, dtype)
    ufunc = UFUNCS["tanh_backward", dtype]
    np.testing.assert_array_equal(ufunc(g, one), ufunc(g, np.full(size, one)))
    np.testing.assert_array_equal(ufunc(one, g), ufunc(np.full(size, one), g))


@given(SIZES, DTYPES, st.sampled_from((-3, -1, 0, 1, 3)))
def test_a_result_may_overlap_an_input(size: int, dtype: np.dtype, shift: int) -> None:
    whole = numbers(size + 3, dtype, 2)
    start = max(shift, 0)
    x, out = whole[start : start + size], whole[start - shift : start - shift + size]
    expected = UFUNCS["tanh", dtype](x.copy())
    UFUNCS["tanh", dtype](x, out=out)
    np.testing.assert_array_equal(out, expected)


def test_matrices_of_any_layout() -> None:
    tanh = UFUNCS["tanh", FLOAT32]
    x = numbers(40 * 700, FLOAT32, 3).reshape(40, 700)
    expected = tanh(x)
    for view in (np.asfortranarray(x), np.repeat(x, 2, axis=1)[:, ::2]):
        np.testing.assert_array_equal(tanh(view), expected)
    np.testing.assert_array_equal(tanh(x.T).T, expected)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_values_that_leave_the_range_are_no_warning(dtype: np.dtype) -> None:
    x = np.array([np.nan, np.inf, -np.inf, 1e30, -1e30, 0.0], dtype)
    with warnings.catch_warnings(), use_backend("numba"):
        warnings.simplefilter("error")
        for name in ("exp", "log", "sigmoid", "softplus"):
            ufunc_of(DEFINITIONS[name], dtype)(x)


def test_numbers_that_are_not_floating_become_so() -> None:
    tanh = UFUNCS["tanh", np.dtype(np.float64)]
    out = tanh(np.arange(3))
    assert out.dtype == np.float64
    np.testing.assert_allclose(out, np.tanh(np.arange(3)), rtol=1e-15)
    with pytest.raises(TypeError, match="tanh"):
        tanh(np.ones(3, complex))
