"""Measures of samples: known values, and what each sees and does not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratchgan.gan.measures import (
    class_shares,
    distance_from_uniform,
    frechet_distance,
    kernel_distance,
    nearest,
    shares,
)

rng = np.random.default_rng(0)


def normal(n: int, d: int = 4, mean: float = 0.0, scale: float = 1.0, seed: int = 0):
    return np.random.default_rng(seed).normal(mean, scale, (n, d))


def test_frechet_distance_of_normal_distributions() -> None:
    """For covariances s² I and t² I it is d (μ − ν)² + d (s − t)²."""
    found = frechet_distance(normal(200_000), normal(200_000, mean=1.0, scale=3.0, seed=1))
    assert found == pytest.approx(4 * 1 + 4 * 4, rel=0.02)


def test_frechet_distance_against_the_formula_with_a_matrix_root() -> None:
    x, y = (
        normal(500, seed=2) @ rng.normal(size=(4, 4)),
        normal(300, seed=3) @ rng.normal(size=(4, 4)),
    )
    s, t = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    values = np.linalg.eigvals(s @ t)  # of a product of two positive matrices: real, positive
    expected = (
        np.square(x.mean(0) - y.mean(0)).sum() + np.trace(s + t) - 2 * np.sqrt(values.real).sum()
    )
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-9)


@given(st.integers(0, 2**32 - 1))
def test_distances_are_symmetric_and_do_not_see_rotations(seed: int) -> None:
    x, y = normal(60, seed=seed), normal(50, mean=0.5, seed=seed + 1)
    turn = np.linalg.qr(np.random.default_rng(seed).normal(size=(4, 4)))[0]
    for distance in (frechet_distance, kernel_distance):
        assert distance(x, y) == pytest.approx(distance(y, x), rel=1e-9, abs=1e-9)
        assert distance(x @ turn, y @ turn) == pytest.approx(distance(x, y), rel=1e-8, abs=1e-8)


def test_kernel_distance_by_its_definition() -> None:
    x, y = normal(7), normal(5, seed=1)
    kernel = lambda a, b: (a @ b / 4 + 1) ** 3  # noqa: E731
    own = [
        np.mean([kernel(a, b) for i, a in enumerate(z) for j, b in enumerate(z) if i != j])
        for z in (x, y)
    ]
    between = np.mean([kernel(a, b) for a in x for b in y])
    assert kernel_distance(x, y) == pytest.approx(sum(own) - 2 * between, rel=1e-12)


def test_kernel_distance_is_unbiased() -> None:
    found = [
        kernel_distance(normal(50, seed=2 * i), normal(50, seed=2 * i + 1)) for i in range(200)
    ]
    assert abs(np.mean(found)) < 4 * np.std(found) / np.sqrt(len(found))


def brute_force(real: np.ndarray, fake: np.ndarray, k: int, k_density: int) -> tuple[float, ...]:
    def radius(x: np.ndarray, i: int, k: int) -> float:
        return float(
            np.sort([np.linalg.norm(x[i] - other) for j, other in enumerate(x) if j != i])[k - 1]
        )

    def inside(p: np.ndarray, x: np.ndarray, k: int) -> list[bool]:
        return [np.linalg.norm(p - x[i]) <= radius(x, i, k) for i in range(len(x))]

    in_real = [inside(p, real, k) for p in fake]
    in_fake = [inside(p, fake, k) for p in real]
    dense = np.array([inside(p, real, k_density) for p in fake])
    return (
        float(np.mean([any(x) for x in in_real])),
        float(np.mean([any(x) for x in in_fake])),
        float(dense.sum() / (k_density * len(fake))),
        float(dense.any(0).mean()),
    )


@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 4))
def test_shares_by_their_definitions(seed: int, k: int, k_density: int) -> None:
    real, fake = normal(12, 2, seed=seed), normal(9, 2, mean=0.7, seed=seed + 1)
    np.testing.assert_allclose(
        shares(real, fake, k, k_density), brute_force(real, fake, k, k_density)
    )


def test_shares_of_known_cases() -> None:
    real, again = normal(2500, seed=0), normal(2500, seed=1)
    good = shares(real, again)
    assert min(good) > 0.85
    one = shares(real, np.repeat(again[:1], 2500, 0))  # a generator that gives one image
    assert one.recall < 0.01
    assert one.coverage < 0.01
    half = shares(real, again[again[:, 0] > 0])  # and one that leaves out half of what there is
    assert half.precision > 0.85
    assert half.recall < 0.75
    noise = shares(real, normal(2500, mean=20, seed=2))
    assert noise == (0, 0, 0, 0)


def test_classes() -> None:
    uneven = class_shares(np.array([0, 0, 0, 1]), 4)
    assert uneven.tolist() == [0.75, 0.25, 0, 0]
    assert distance_from_uniform(uneven) == 0.5
    assert distance_from_uniform(np.full(10, 0.1)) == pytest.approx(0)


def test_nearest() -> None:
    among = normal(1500, 3)
    positions, distances = nearest(among[[7, 3, 1499]] + 1e-3, among)
    assert positions.tolist() == [[7], [3], [1499]]
    np.testing.assert_allclose(distances, np.sqrt(3) * 1e-3, rtol=1e-4)
    images = 1.5 * normal(1100, 3)
    positions, distances = nearest(images, among, 4)
    every = np.linalg.norm(images[:, None] - among, axis=2)
    np.testing.assert_array_equal(positions, every.argsort(1, kind="stable")[:, :4])
    np.testing.assert_allclose(distances, np.sort(every, 1)[:, :4], rtol=1e-5)


@pytest.mark.parametrize("measure", [frechet_distance, kernel_distance, shares, nearest])
def test_refusals(measure) -> None:
    with pytest.raises(ValueError, match="expected \\(n, d\\)"):
        measure(np.zeros((0, 3)), np.zeros((10, 3)))
    with pytest.raises(ValueError, match="lengths 3 and 2"):
        measure(np.zeros((10, 3)), np.zeros((10, 2)))
