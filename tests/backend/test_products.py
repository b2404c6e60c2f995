"""Products of matrices: what they are, whatever their sizes, strides and number of threads.

All of it holds for the plain task and for the matrix unit's: on that unit where the processor has
one, and everywhere on a stand-in.
"""

import functools
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import standin.amx
from hypothesis import given
from hypothesis import strategies as st

import scratchgan as sg
from scratchgan.backend.cpu import kernels as numba_kernels
from scratchgan.backend.cpu.codegen import machine_code
from scratchgan.backend.cpu.gemm import products
from scratchgan.backend.cpu.gemm.amx import instructions
from scratchgan.backend.cpu.processor import host
from scratchgan.backend.cpu.threads.pace import Pace
from scratchgan.backend.cpu.threads.pool import Tasks, thread_pool
from scratchgan.gan import Config, Game

SIZES = st.integers(0, 70)
TYPES = st.sampled_from([np.float32, np.float64])
LAYOUTS = st.sampled_from(["rows", "columns", "gaps", "backwards"])

#: Over every border: of a tile, a panel, a block, the depth, and what is copied or kept together.
LARGE = [
    (1, 1, 1),
    (3, 2100, 5),
    (300, 1100, 70),
    (29, 257, 2100),
    (2, 3, 4100),
    (1200, 300, 33),
    (48, 600, 1030),
    (100, 784, 130),
    (96, 50, 203),
    (64, 1100, 300),
]


pytestmark = pytest.mark.usefixtures("every_product_is_shared", "task")


@pytest.fixture(params=["plain", "matrix unit", "stand-in of the matrix unit"])
def task(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Which task computes all products of float32."""
    kind: str = request.param
    if kind == "matrix unit" and not machine_code.may_use_matrix_unit():
        pytest.skip("this process may use no AMX")
    if kind == "stand-in of the matrix unit":
        monkeypatch.setattr(products, "on_matrix_unit", stand_in)
    monkeypatch.setattr(products, "WORTH_SPLITTING", 1 << 62 if kind == "plain" else 0)
    monkeypatch.setattr(products, "SMALLEST", 1)
    products._plan_of.cache_clear()
    yield kind
    products._plan_of.cache_clear()


@functools.cache
def stand_in() -> int:
    """The task for the matrix unit, with plain instructions in the place of the unit's."""
    source = machine_code.source_for("gemm.amx.microkernel", "float32")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(instructions, "instruction", standin.amx.instruction)
        file = machine_code.compiled("gemm.amx.microkernel", source, host(), "stand_in")
    return machine_code.linked(file)["product"]


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
@pytest.mark.parametrize("layouts", list(itertools.product(("rows", "columns"), repeat=2)))
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


@pytest.mark.parametrize("k", [100, 784])
def test_errors_are_no_larger_than_those_of_one_sum_in_order(k):
    a, b = matrix(130, k, np.float32, "rows", 0), matrix(k, 90, np.float32, "columns", 1)
    exact, size = a.astype(float) @ b.astype(float), np.abs(a).astype(float) @ np.abs(b)
    errors = (product(a, b, 2) - exact) / (size * 2.0**-24)
    total = np.zeros((130, 90), np.float32)
    for i in range(k):
        total += np.outer(a[:, i], b[i])
    in_order = (total - exact) / size * 2.0**24
    # Without fused multiply-add, the plain task is that sum.
    assert np.sqrt(np.mean(errors**2)) <= np.sqrt(np.mean(in_order**2))


@given(st.integers(0, 99), st.integers(-140, 125), st.integers(-140, 125))
def test_small_and_large_numbers(seed, a_size, b_size):
    a = np.ldexp(matrix(40, 70, np.float32, "rows", seed), a_size)
    b = np.ldexp(matrix(70, 50, np.float32, "rows", seed + 1), b_size)
    with np.errstate(over="ignore"):
        got = product(a, b, 1)
    np.testing.assert_array_equal(product(a, b, 3), got)
    a, b = a.astype(np.longdouble), b.astype(np.longdouble)
    exact, size = a @ b, np.abs(a) @ np.abs(b)
    is_safe = size < np.finfo(np.float32).max / 2
    assert np.isfinite(got[is_safe]).all()
    bound = 71 * np.finfo(np.float32).eps * size + 71 * 2.0**-149
    if (
        products.WORTH_SPLITTING == 0
    ):  # the matrix unit takes pieces and products for zero if they are below 2**-126
        rows, columns = np.abs(a).sum(1, keepdims=True), np.abs(b).sum(0, keepdims=True)
        bound += 2.0**-124 * (rows + columns + 70)
    with np.errstate(invalid="ignore"):
        assert (np.abs(got - exact) <= bound)[is_safe].all()
        assert (np.isnan(got) | np.isinf(got))[np.abs(exact) > 2.0**129].all()


@pytest.mark.parametrize("largest", [np.finfo(np.float32).max, 3.3961e38])
def test_the_largest_numbers(largest):
    a, b = matrix(70, 90, np.float32, "rows", 0), matrix(90, 60, np.float32, "columns", 1) / 1024
    a[3, 4], a[60, 20] = largest, -largest
    assert_right(a, b)


def test_every_way_to_multiply_gives_the_same_numbers():
    x, weight = matrix(64, 70, np.float32, "rows", 0), matrix(40, 70, np.float32, "rows", 1)
    expected = product(x, weight.T, 2)
    out = np.empty((64, 40), np.float32)
    bias = np.zeros(40, np.float32)
    numba_kernels.linear(x, weight, bias, activation="none", scalars=(), out=out)
    np.testing.assert_array_equal(out, expected)
    out[...] = np.nan
    (later,) = numba_kernels.TASKS["matmul"]((x, weight.T), out)
    thread_pool().run(Tasks([later]), Pace())
    np.testing.assert_array_equal(out, expected)


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


def losses_of_a_training(batch: int) -> list[list[float]]:
    sg.manual_seed(0)
    gan = Game(Config.from_recipe("seed"))
    step = sg.jit(gan.step)
    inputs = (sg.rand(batch, 1, 28, 28) * 2 - 1, sg.randn(batch, 100), sg.randn(batch, 100))
    return [[x.item() for x in step(*inputs)] for _ in range(4)]


def test_a_training_follows_the_reference():
    with sg.use_backend("numpy"):
        expected = losses_of_a_training(128)
    np.testing.assert_allclose(losses_of_a_training(128), expected, rtol=2e-6)
