"""Difference quotients of a function along a line, with an eye for kinks.

The central quotient ``(f(h) - f(-h)) / 2h`` has an error of order ``h**2`` where ``f`` is smooth
(Griewank & Walther 2008, "Evaluating Derivatives", section 1). At a kink it is the mean of the two
one-sided slopes, which no rule of differentiation need agree with; so both of these are taken too,
and where they differ, again on shorter lines: at a kink they stay apart as the line shrinks, beside
a kink or where ``f`` only bends sharply they come together. At a jump they grow as it shrinks.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]

#: Each line is this many times shorter than the one before.
SHRINK = 16.0
LINES = 3


class Slopes(NamedTuple):
    """Slopes of ``f`` at 0, one for each of its values, and masks of its kinks and jumps.

    Where ``f`` is not finite beside 0 counts as a jump.
    """

    central: Array
    left: Array
    right: Array
    is_kink: Array
    is_jump: Array


def slopes(f: Callable[[float], Array], middle: Array, h: float, atol: float) -> Slopes:
    """Slopes at 0 of ``f``, a function of one number with an array of values.

    Args:
        f: The function.
        middle: ``f(0)``.
        h: Half the length of the line on which differences are taken.
        atol: Slopes that differ by less than ten times this, or by 1%, count as equal.
    """
    left, right = _one_sided(f, middle, h)
    is_jump = _jumps(f, middle, h, left, right)
    is_kink = np.zeros(middle.shape, bool)
    undecided = _differ(left, right, atol)
    for _ in range(LINES - 1):
        if not undecided.any():
            break
        h /= SHRINK
        before = left, right
        closer_left, closer_right = _one_sided(f, middle, h)
        left = np.where(undecided, closer_left, left)
        right = np.where(undecided, closer_right, right)
        gap = np.abs(before[1] - before[0]) / 4
        stay = (np.abs(left - before[0]) < gap) & (np.abs(right - before[1]) < gap)
        is_kink |= undecided & stay
        undecided &= ~stay & _differ(left, right, atol)
    return Slopes((left + right) / 2, left, right, is_kink, is_jump)


def _one_sided(f: Callable[[float], Array], middle: Array, h: float) -> tuple[Array, Array]:
    return (middle - f(-h)) / h, (f(h) - middle) / h


def _jumps(
    f: Callable[[float], Array], middle: Array, h: float, left: Array, right: Array
) -> Array:
    steepest = np.maximum(np.abs(left), np.abs(right))
    is_steep: Array = ~(steepest * h < 0.01)
    if not is_steep.any():
        return is_steep
    closer_left, closer_right = _one_sided(f, middle, h / SHRINK)
    closer = np.maximum(np.abs(closer_left), np.abs(closer_right))
    grows: Array = ~(closer < SHRINK / 2 * steepest)
    return is_steep & grows


def _differ(left: Array, right: Array, atol: float) -> Array:
    differ: Array = np.abs(right - left) > 10 * atol + 0.01 * np.maximum(
        np.abs(left), np.abs(right)
    )
    return differ
