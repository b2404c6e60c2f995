"""Samplers of the primitives that move elements: types, shapes and indices.

They are rows of :data:`scratchgan.testing.samplers.SAMPLERS`.
"""

import math
from typing import Any

import numpy as np

from scratchgan import dtypes
from scratchgan.autograd.tensor import Tensor
from scratchgan.testing.choices import (
    REAL,
    Array,
    Choices,
    Sample,
    Shape,
    broadcastable,
    laid_out,
    number,
    numbers,
    shape,
    tensor,
)

# --- Types and shapes -----------------------------------------------------------------


def copied(choices: Choices) -> Sample:
    """A tensor alone."""
    return Sample((tensor(choices, shape(choices), REAL),), {})


def cast(choices: Choices) -> Sample:
    """A tensor, and float64."""
    return Sample((tensor(choices, shape(choices), REAL),), {"dtype": dtypes.float64})


def moved(choices: Choices) -> Sample:
    """A tensor of the CPU that is to be moved there."""
    return Sample((tensor(choices, shape(choices), REAL),), {"device": "cpu", "source": "cpu"})


def reshaped(choices: Choices) -> Sample:
    """A contiguous tensor, and a shape of as many elements."""
    size = shape(choices)
    options: tuple[Shape, ...] = (size[::-1], (math.prod(size),), (1, *size), (*size, 1))
    x = Tensor(numbers(choices, size, REAL))  # contiguous, as reshape demands
    return Sample((x,), {"shape": choices.one_of(options)})


def permuted(choices: Choices) -> Sample:
    """A tensor, and an order of its dimensions."""
    size = shape(choices)
    axes = tuple(choices.permutation(len(size)))
    return Sample((tensor(choices, size, REAL),), {"dims": axes})


def expanded(choices: Choices) -> Sample:
    """A tensor, and a shape that it broadcasts to."""
    whole = shape(choices)
    kept = whole[choices.integer(0, len(whole)) :]
    fewer = tuple(choices.one_of((1, n)) for n in kept)
    return Sample((tensor(choices, fewer, REAL),), {"shape": whole})


def _matrices(choices: Choices) -> tuple[Shape, tuple[int, int], int]:
    """A shape, two of its dimensions, and the number of a diagonal, which may be outside."""
    size = shape(choices, 2)
    first, second = choices.permutation(len(size))[:2]
    return size, (first, second), choices.integer(-size[first] - 1, size[second] + 1)


def diagonal(choices: Choices) -> Sample:
    """A tensor, and where in it a diagonal lies."""
    size, dims, offset = _matrices(choices)
    return Sample((tensor(choices, size, REAL),), {"offset": offset, "dims": dims})


def on_diagonal(choices: Choices) -> Sample:
    """A diagonal, and the shape that it lies in."""
    size, dims, offset = _matrices(choices)
    part = np.empty(size).diagonal(offset, *dims).shape
    keywords = {"shape": size, "offset": offset, "dims": dims}
    return Sample((tensor(choices, part, REAL),), keywords)


# --- Indices --------------------------------------------------------------------------


def _slice(choices: Choices, n: int) -> slice:
    bounds = (None, *range(-n - 1, n + 2))
    return slice(choices.one_of(bounds), choices.one_of(bounds), choices.one_of((None, 1, 2, -1)))


def _basic_index(choices: Choices, size: Shape) -> tuple[Any, ...]:
    """Integers, slices, ``None`` and ``...`` for some of the axes."""
    index: list[Any] = []
    for n in size[: choices.integer(0, len(size))]:
        options = ("slice", "integer") if n else ("slice",)
        kind = choices.one_of(options)
        index.append(choices.integer(-n, n - 1) if kind == "integer" else _slice(choices, n))
    for extra in (None, ...):
        if choices.chance(0.3):
            index.insert(choices.integer(0, len(index)) if extra is None else len(index), extra)
    return tuple(index)


def viewed(choices: Choices) -> Sample:
    """A tensor, and a basic index."""
    size = shape(choices)
    return Sample((tensor(choices, size, REAL),), {"index": _basic_index(choices, size)})


def scattered(choices: Choices) -> Sample:
    """The part of a shape at a basic index."""
    size = shape(choices)
    index = _basic_index(choices, size)
    part = np.empty(size)[index].shape
    return Sample((tensor(choices, part, REAL),), {"shape": size, "index": index})


def _template(choices: Choices, size: Shape) -> tuple[tuple[Any, ...], list[Array]]:
    """An index with arrays of integers for one or two of its axes, and these arrays."""
    arrays = broadcastable(choices, 2)
    axes = sorted(choices.permutation(len(size))[: choices.integer(1, min(2, len(size)))])
    template: list[Any] = [
        "array" if axis in axes else _slice(choices, n)
        for axis, n in enumerate(size[: axes[-1] + 1])
    ]
    indices = [
        choices.integers(part, -size[axis], size[axis] - 1)
        for axis, part in zip(axes, arrays, strict=False)
    ]
    if choices.chance(0.25):
        template.insert(choices.integer(0, len(template)), None)
    return tuple(template), indices


def gathered(choices: Choices) -> Sample:
    """A tensor, and arrays of indices in a template."""
    size = shape(choices, 1, 1)
    template, indices = _template(choices, size)
    x = tensor(choices, size, REAL)
    return Sample((x, *[laid_out(choices, index) for index in indices]), {"template": template})


def scatter_added(choices: Choices) -> Sample:
    """The part of a shape at arrays of indices."""
    size = shape(choices, 1, 1)
    template, indices = _template(choices, size)
    arrays = iter(indices)
    index = tuple(next(arrays) if part == "array" else part for part in template)
    x = tensor(choices, np.empty(size)[index].shape, REAL)
    keywords = {"shape": size, "template": template}
    return Sample((x, *[laid_out(choices, index) for index in indices]), keywords)


def put(choices: Choices) -> Sample:
    """A tensor, and what is to be written at arrays of indices."""
    """A part that is replaced, at a basic index or at different places along one dimension."""
    size = shape(choices, 1, 1)
    indices: list[Array] = []
    index: tuple[Any, ...] = _basic_index(choices, size)
    if choices.chance(0.5):
        axis = choices.integer(0, len(size) - 1)
        indices = [np.array(choices.permutation(size[axis])[: choices.integer(1, size[axis])])]
        index = (*[_slice(choices, n) for n in size[:axis]], "array")
    part = np.empty(size)[tuple(indices[0] if one == "array" else one for one in index)].shape
    fewer = tuple(choices.one_of((1, n)) for n in part[choices.integer(0, len(part)) :])
    value: Any = number(choices, REAL) if choices.chance(0.2) else tensor(choices, fewer, REAL)
    arrays = [laid_out(choices, places) for places in indices]
    return Sample((tensor(choices, size, REAL), value, *arrays), {"template": index})


def concatenated(choices: Choices) -> Sample:
    """Tensors that are alike but for one dimension."""
    size = shape(choices, 1)
    axis = choices.integer(-len(size), len(size) - 1)
    tensors = []
    for _ in range(choices.integer(1, 3)):
        own = list(size)
        own[axis] = choices.size()
        tensors.append(tensor(choices, tuple(own), REAL))
    return Sample(tuple(tensors), {"dim": axis})
