"""Products of matrices: what they are, whatever their sizes, strides and number of threads."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import scratchgan as sg
from scratchgan.backend import numba_kernels

SIZES = st.integers(0, 70)
TYPES = st.sampled_from([np.float32, np.float64])
LAYOUTS = st.sampled_from(["rows", "columns", "gaps", "backwards"])

#: Over every border: of a tile, a panel, a block of the depth, and what is copied together.
LARGE = [
    (1, 1, 1),
    (3, 2100, 5),
    (300, 1100, 70),
    (29, 257, 2100),
    (2, 3, 4100),
    (1200, 300, 33),
]


pytestmark = pytest.mark.usefixtures("every_product_is_shared")


def matrix(rows: int, columns: int, dtype: Any, layout: str, seed: int) -> Any:
    """Numbers in a memory layout."""
    values = np.random.default_rng(seed).standard_normal((rows, columns)).astype(dtype)
    if layout == "columns":
        return np.asfortranarray(values)
    if layout == "gaps":
        wide = np.full((2 * rows, 3 * columns), np.nan, dtype)
        wide[::2, ::3] = values
        return wide[::2, ::3]
    if layout == "backwards":
        return np.ascontiguousarray(values[::-1, ::-1])[::-1, ::-1]
    return values


def product(a: Any, b: Any, threads: int) -> Any:
    sg.set_num_threads(threads)
    out = np.full((len(a), b.shape[1] + 1), np.nan, a.dtype)[:, : b.shape[1]]
    numba_kernels.matmul(a, b, out=out)
    return out


def assert_right(a: Any, b: Any) -> None:
    got = product(a, b, 1)
    exact = a.astype(np.longdouble) @ b.astype(np.longdouble)
    size = np.abs(a).astype(np.longdouble) @ np.abs(b).astype(np.longdouble)
    error = np.abs(got - exact)
    # Higham 2002, "Accuracy and stability of numerical algorithms", eq. 3.13.
    assert (error <= (a.shape[1] + 1) * np.finfo(a.dtype).eps * size).all()
    for threads in (2, 3, 5):
        np.testing.assert_array_equal(product(a, b, threads), got)


@given(SIZES, SIZES, SIZES, TYPES, LAYOUTS, LAYOUTS)
def test_any_sizes_and_strides(m, k, n, dtype, a_layout, b_layout):
    assert_right(matrix(m, k, dtype, a_layout, 0), matrix(k, n, dtype, b_layout, 1))


@pytest.mark.parametrize("sizes", LARGE)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layouts", [("rows", "rows"), ("rows", "columns"), ("columns", "rows")])
def test_large(sizes, dtype, layouts):
    m, k, n = sizes
    assert_right(matrix(m, k, dtype, layouts[0], 0), matrix(k, n, dtype, layouts[1], 1))


@pytest.mark.parametrize("n", [1, 16, 17, 32, 40])
def test_what_is_not_finite_stays_in_its_row_and_column(n):
    a, b = matrix(20, 9, np.float32, "rows", 0), matrix(9, n, np.float32, "rows", 1)
    a[3, 4], b[2, n - 1] = np.inf, np.nan
    got = product(a, b, 2)
    expected = np.zeros((20, n), bool)
    expected[3] = expected[:, n - 1] = True
    np.testing.assert_array_equal(~np.isfinite(got), expected)


def test_what_cannot_be_multiplied_so_goes_to_numpy():
    a, b = np.arange(6).reshape(2, 3), np.arange(12).reshape(3, 4)
    out = np.empty((2, 4), int)
    numba_kernels.matmul(a, b, out=out)
    np.testing.assert_array_equal(out, a @ b)
    odd = np.zeros(9, [("skip", "i1"), ("x", "f4")])["x"].reshape(3, 3)  # strides of 5 bytes
    odd[...] = np.eye(3)
    out = np.empty((3, 3), np.float32)
    numba_kernels.matmul(odd, odd, out=out)
    np.testing.assert_array_equal(out, np.eye(3))
    columns = np.empty((3, 3), np.float32, order="F")
    numba_kernels.matmul(odd, odd, out=columns)
    np.testing.assert_array_equal(columns, np.eye(3))
    with pytest.raises(ValueError, match="mismatch"):
        numba_kernels.matmul(out, out[:2], out=out)
