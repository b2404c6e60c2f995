"""Random tensors for primitives: shapes, values in a domain, memory layouts.

Everything is a function of a seed and a scale, also where Hypothesis draws it
(:mod:`scratchgan.testing.strategies`): drawing each number by itself, Hypothesis would spend most
examples on zeros and repetitions.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from scratchgan.autograd.tensor import Tensor

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]
T = TypeVar("T")

#: Intervals from which values are drawn, away from kinks and poles.
Domain = tuple[tuple[float, float], ...]

REAL: Domain = ((-2.0, 2.0),)
NONZERO: Domain = ((0.2, 2.0), (-2.0, -0.2))
POSITIVE: Domain = ((0.3, 3.0),)
PROBABILITY: Domain = ((0.15, 0.85),)
UNIT: Domain = ((0.0, 1.0),)


class Choices:
    """Decisions that follow from a seed.

    Attributes:
        scale: The most dimensions of a shape, and the largest size of one; 0 to 3. At small
            scales numbers are round.
    """

    def __init__(self, seed: int, scale: int = 3) -> None:
        self._random = np.random.default_rng(seed)
        self.scale = scale

    def integer(self, low: int, high: int) -> int:
        """``low <= n <= high``."""
        return int(self._random.integers(low, high, endpoint=True))

    def integers(self, size: Shape, low: int, high: int) -> Array:
        """An array of ``size`` with such integers."""
        return np.asarray(self._random.integers(low, high, size, endpoint=True))

    def one_of(self, options: Sequence[T]) -> T:
        """One of ``options``."""
        return options[self.integer(0, len(options) - 1)]

    def chance(self, share: float) -> bool:
        """True in ``share`` of all cases."""
        return bool(self._random.random() < share)

    def permutation(self, n: int) -> list[int]:
        """The numbers below ``n`` in any order."""
        found: list[int] = self._random.permutation(n).tolist()
        return found

    def size(self, low: int = 0) -> int:
        """The size of a dimension, 0 only at times."""
        return low if low == 0 and self.chance(0.05) else self.integer(1, max(1, self.scale))


# --- Shapes ---------------------------------------------------------------------------


def shape(choices: Choices, min_dims: int = 0, min_size: int = 0) -> Shape:
    """A shape of up to three dimensions."""
    most = max(min_dims, choices.scale)
    least = min_dims if choices.chance(0.2) else max(min_dims, min(1, most))
    dims = choices.integer(least, most)
    return tuple(choices.size(min_size) for _ in range(dims))


def broadcastable(choices: Choices, count: int) -> list[Shape]:
    """``count`` shapes that broadcast together."""
    whole = shape(choices)
    shapes = []
    for _ in range(count):
        if choices.chance(0.5):
            shapes.append(whole)
        else:
            kept = whole[choices.integer(0, len(whole)) :]
            shapes.append(tuple(1 if choices.chance(0.4) else n for n in kept))
    return shapes


# --- Values ---------------------------------------------------------------------------


def numbers(choices: Choices, size: Shape, domain: Domain) -> Array:
    """Numbers of ``domain`` in an array of shape ``size``."""
    lengths = [high - low for low, high in domain]
    points = 10 ** min(choices.scale + 1, 3)
    drawn = choices.integers(size, 0, points) / points * sum(lengths)
    values = np.zeros(size)
    for (low, _), length, start in zip(
        domain, lengths, np.cumsum([0.0, *lengths[:-1]]), strict=True
    ):
        values = np.where(drawn >= start, low + np.minimum(drawn - start, length), values)
    return values


def number(choices: Choices, domain: Domain) -> float:
    """One number of ``domain``."""
    return float(numbers(choices, (), domain))


def distinct(choices: Choices, size: Shape, gap: float = 0.2) -> Array:
    """Numbers that all differ by ``gap`` or more."""
    order = choices.permutation(math.prod(size))
    return np.reshape([gap * (n - len(order) / 2) for n in order], size)


# --- Memory layouts -------------------------------------------------------------------

LAYOUTS = ("contiguous", "transposed", "strided", "reversed", "offset")


def laid_out(choices: Choices, values: Array) -> Tensor:
    """A tensor of ``values`` that lie in memory in one way or another."""
    layout = choices.one_of(LAYOUTS)
    if layout == "transposed":
        return Tensor(np.array(values, order="F"))
    if layout == "strided":
        between = np.nan if values.dtype.kind == "f" else 0  # what no kernel may read
        wide = np.full([2 * n for n in values.shape], between, values.dtype)
        part = wide[_every(2, values.ndim)]
    elif layout == "reversed":
        part = np.empty_like(values, order="C")[_every(-1, values.ndim)]
    elif layout == "offset":
        part = np.empty(values.size + 1, values.dtype)[1:].reshape(values.shape)
    else:
        return Tensor(np.array(values, order="C"))
    part[...] = values
    return Tensor(part)


def _every(step: int, ndim: int) -> tuple[Any, ...]:
    return (*[slice(None, None, step)] * ndim, ...)


def tensor(choices: Choices, size: Shape, domain: Domain) -> Tensor:
    """A tensor with values of ``domain`` in any layout, or expanded from fewer values."""
    if size and choices.chance(0.15):
        fewer = tuple(choices.one_of((1, n)) for n in size)
        return Tensor(np.broadcast_to(numbers(choices, fewer, domain), size))
    return laid_out(choices, numbers(choices, size, domain))


class Sample(NamedTuple):
    """Arguments of a primitive: ``primitive(*inputs, **keywords)``."""

    inputs: tuple[Any, ...]
    keywords: dict[str, Any]


Sampler = Callable[[Choices], Sample]
