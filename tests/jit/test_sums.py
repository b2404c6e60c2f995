"""Sums in fused loops: over many rows, wide ones, and however many threads share them."""

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import scratchgan as sg
from scratchgan.jit.lower import cpu, cpu_lines


@pytest.fixture(params=[1, 2, 3], autouse=True)
def threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(cpu, "WORTH_SHARING", 0)
    before = sg.get_num_threads()
    sg.set_num_threads(request.param)
    with sg.use_backend("numba"):
        yield request.param
    sg.set_num_threads(before)


def sums(x: sg.Tensor) -> Any:
    """Over each choice of axes, of values that are computed in the same loops."""
    y = (x * 0.5).square()
    axes = [None, *range(x.ndim), (0, x.ndim - 1), (0, 1)]
    return [y, *[y.sum(axis) for axis in axes]]


@pytest.mark.parametrize(
    "shape",
    [
        (cpu_lines.MANY_ROWS - 1, 37),
        (cpu_lines.MANY_ROWS, 37),
        (5000, 3),
        (1000, 3, 5),
        (3, 1000, 7),
        (600, 20_000),  # more than is kept for parts of sums
        (2, 1_000_000),  # and for whole ones
        (1, 1000),
        (1000, 1),
    ],
)
@pytest.mark.parametrize("dtype", [sg.float32, sg.float64])
def test_sums_are_right(shape: Any, dtype: Any) -> None:
    first, then = sg.rand(2, *shape).to(dtype).split(1)
    jitted = sg.jit(sums)
    jitted(first[0])
    got, expected = jitted(then[0]), sums(sg.from_numpy(then[0].numpy().astype(np.float64)))
    for a, b in zip(got, expected, strict=True):
        assert a.dtype == dtype
        tolerance = 2e-5 if dtype == sg.float32 else 1e-12
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=tolerance)


def values(kind: str, shape: tuple[int, ...], dtype: Any) -> Any:
    """Numbers whose sums one after another lose much: 0.1 each, or of any sign and size."""
    if kind == "tenths":
        return np.full(shape, 0.1, dtype)
    random = np.random.default_rng(len(shape))
    return (random.standard_normal(shape) * 2.0 ** random.integers(-9, 9, shape)).astype(dtype)


@pytest.mark.parametrize("shape", [(1_000_000,), (1 << 17, 2), (2, 1 << 18), (1 << 9, 1 << 8, 2)])
@pytest.mark.parametrize("layout", ["rows", "columns", "gaps"])
@pytest.mark.parametrize("kind", ["tenths", "random"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_error_does_not_grow_with_the_rows(
    shape: tuple[int, ...], layout: str, kind: str, dtype: Any
) -> None:
    """Over each choice of axes: the same bound as of eager sums."""
    x = values(kind, shape, dtype)
    laid_out = {"rows": x, "columns": np.asfortranarray(x), "gaps": np.repeat(x, 2, -1)[..., ::2]}
    choices = [
        axes for k in range(1, x.ndim + 1) for axes in itertools.combinations(range(x.ndim), k)
    ]
    jitted = sg.jit(lambda t: [(-t).sum(axes) for axes in choices])
    t = sg.from_numpy(laid_out[layout])
    jitted(t)
    for axes, found in zip(choices, jitted(t), strict=True):
        rows = np.moveaxis(x, axes, range(len(axes))).astype(np.float64)
        rows = rows.reshape(-1, math.prod(found.shape))
        few = slice(0, None, max(rows.shape[1] // 8, 1))  # fsum takes its time
        exact = [math.fsum(row) for row in -rows.T[few]]
        error = np.abs(found.numpy().reshape(-1)[few].astype(np.float64) - exact)
        assert (error <= 128 * np.finfo(dtype).eps * np.abs(rows.T[few]).sum(1)).all()


def test_the_number_of_threads_changes_no_bit(threads: int) -> None:
    x = sg.from_numpy(np.random.default_rng(0).standard_normal((1500, 70)).astype(np.float32))

    def step(x: sg.Tensor) -> Any:
        y = (x @ x.T[:, :33]).tanh()
        return [*sums(y), sg.randn(1001), sg.rand(65)]

    results = []
    for n in (threads, 1, 4):
        sg.set_num_threads(n)
        sg.manual_seed(0)
        jitted = sg.jit(step)
        results.append([*jitted(x), *jitted(x), *step(x)])
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_more_arrays_than_a_loop_can_tell_apart() -> None:
    def step(*xs: sg.Tensor) -> Any:
        total = xs[0]
        doubled = []
        for x in xs[1:]:
            total = total + x
            doubled.append(x * 2.0)
        return [total, *doubled]

    xs = [sg.ones(5) * float(i) for i in range(40)]
    jitted = sg.jit(step)
    jitted(*xs)
    got = jitted(*[x + 1.0 for x in xs])
    np.testing.assert_array_equal(got[0].numpy(), np.full(5, sum(range(1, 41))))
    for i, x in enumerate(got[1:]):
        np.testing.assert_array_equal(x.numpy(), np.full(5, 2.0 * (i + 2)))
