"""The statistics: what they are of known numbers, and what must not change them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import summary

times = st.floats(1e-6, 1e3)


def test_summary_is_the_median_and_its_quartiles():
    assert summary.summary([5.0, 1.0, 4.0, 2.0, 3.0]) == (3.0, 2.0, 4.0)
    assert summary.summary([7.0]) == (7.0, 7.0, 7.0)


@given(st.lists(st.tuples(times, times, times), min_size=1, max_size=9))
def test_ratio_does_not_see_the_drift_of_the_machine(rounds):
    """A round in which all takes longer by the same factor has the same ratio."""
    over, under, drift = zip(*rounds, strict=True)
    slowed = summary.ratio(
        [a * d for a, d in zip(over, drift, strict=True)],
        [b * d for b, d in zip(under, drift, strict=True)],
    )

    assert slowed == pytest.approx(summary.ratio(over, under))


def test_ratio_of_nothing():
    assert summary.ratio([1.0, 2.0], [1.0, 0.0]) is None


def test_best_is_the_one_with_the_smallest_median():
    samples = {"a": [1.0, 9.0, 9.0], "b": [5.0, 5.0, 5.0], "c": [1.0]}

    assert summary.best(samples, ("a", "b", "missing")) == "b"
    assert summary.best(samples, ("missing",)) is None


@given(
    st.floats(-2, 3),
    times,
    st.lists(st.integers(1, 10**6), min_size=3, max_size=8, unique=True),
)
def test_exponent_of_a_power(power, factor, sizes):
    values = [factor * size**power for size in sizes]

    assert summary.exponent(sizes, values) == pytest.approx(power, abs=1e-6)


def test_exponent_does_not_see_the_small_end():
    sizes = [1, 10, 100, 1000, 10_000]
    values = [1e9, 1e9, 100.0, 1000.0, 10_000.0]

    assert summary.exponent(sizes, values) == pytest.approx(1.0)


def test_exponent_needs_two_points():
    assert summary.exponent([1, 2, 4], [1.0, 0.0, 3.0]) is None
    assert math.isclose(summary.exponent([1, 2, 4], [0.0, 2.0, 4.0]), 1.0)
