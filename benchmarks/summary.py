"""Medians, spread, ratios and exponents of samples."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Summary(NamedTuple):
    """The middle of some numbers, and the quartiles below and above it."""

    median: float
    low: float
    high: float


def summary(values: Sequence[float]) -> Summary:
    """Of one number or more."""
    if len(values) == 1:
        return Summary(values[0], values[0], values[0])
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Summary(median, low, high)


def ratio(over: Sequence[float], under: Sequence[float]) -> Summary | None:
    """Of ``over[i] / under[i]``, each from one round, so that the machine's drift cancels.

    None where a denominator is 0.
    """
    if not all(under):
        return None
    return summary([a / b for a, b in zip(over, under, strict=True)])


def best(samples: Mapping[str, Sequence[float]], names: Sequence[str]) -> str | None:
    """Which of ``names`` has the smallest median; None if none has samples."""
    present = [name for name in names if samples.get(name)]
    return min(present, key=lambda name: statistics.median(samples[name]), default=None)


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float | None:
    """The slope of log(value) against log(size), by least squares, beyond the small end.

    Where the sizes are small the cost that does not grow hides the growth, so that the fit takes
    the upper half of the sizes, the middle one included. None where it lacks two of them with a
    positive value.
    """
    points = sorted(zip(sizes, values, strict=True))[(len(sizes) - 1) // 2 :]
    logs = [(math.log(size), math.log(value)) for size, value in points if value > 0]
    if len(logs) < 2:
        return None
    return statistics.linear_regression(*zip(*logs, strict=True)).slope
