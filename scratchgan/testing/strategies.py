"""Hypothesis strategies: arrays, tensors, shapes, primitives with inputs, and whole graphs.

Hypothesis draws the seed of :class:`scratchgan.testing.choices.Choices`, and what decides about a
test most: which primitive, how many steps. A failure shrinks to small shapes.
"""

from collections.abc import Callable
from typing import TypeVar

import numpy as np
from hypothesis import strategies as st

from scratchgan import dtypes
from scratchgan.autograd.primitive import REGISTRY
from scratchgan.autograd.tensor import Tensor
from scratchgan.dtypes import DType
from scratchgan.testing import choices
from scratchgan.testing.choices import REAL, Array, Choices, Domain, Sample, Sampler, Shape
from scratchgan.testing.graphs import Graph, random_graph
from scratchgan.testing.samplers import SAMPLERS

T = TypeVar("T")


def drawn(function: Callable[[Choices], T]) -> st.SearchStrategy[T]:
    """A strategy of the values of ``function``; Hypothesis shrinks to small seeds and values."""

    def made(seed: int) -> T:
        scale = sum(seed >= bound for bound in (8, 64, 512))
        return function(Choices(seed, scale))

    return st.integers(0, 2**32 - 1).map(made)


# --- Arrays and tensors ---------------------------------------------------------------

#: Where functions of floating numbers go wrong.
SPECIAL = (0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e-40, -1e-40, 1e4, -1e4, 1e38, -1e38)


def shapes(min_dims: int = 0, min_size: int = 0) -> st.SearchStrategy[Shape]:
    """Shapes of up to three dimensions, each of a size up to 3, at times 0."""
    return drawn(lambda choice: choices.shape(choice, min_dims, min_size))


def broadcastable_shapes(count: int) -> st.SearchStrategy[list[Shape]]:
    """``count`` shapes that broadcast together."""
    return drawn(lambda choice: choices.broadcastable(choice, count))


def floating_types() -> st.SearchStrategy[DType]:
    """float64 or float32."""
    return st.sampled_from((dtypes.float64, dtypes.float32))


def arrays(
    shape: st.SearchStrategy[Shape] | None = None, domain: Domain = REAL, special: bool = False
) -> st.SearchStrategy[Array]:
    """Contiguous float64 arrays with values of ``domain``, and of :data:`SPECIAL` if wanted."""

    def make(choice: Choices, size: Shape) -> Array:
        values = choices.numbers(choice, size, domain)
        if special:
            picks = choice.integers(size, 0, 2 * len(SPECIAL))
            for number, value in enumerate(SPECIAL):
                values = np.where(picks == number + 1, value, values)
        return np.asarray(values)

    sizes = shapes() if shape is None else shape
    return sizes.flatmap(lambda size: drawn(lambda choice: make(choice, size)))


def tensors(
    shape: st.SearchStrategy[Shape] | None = None,
    dtype: st.SearchStrategy[DType] | None = None,
    domain: Domain = REAL,
    special: bool = False,
) -> st.SearchStrategy[Tensor]:
    """Tensors in any memory layout: contiguous, transposed, strided, reversed, at an offset."""

    def make(array: Array, dtype: DType) -> st.SearchStrategy[Tensor]:
        with np.errstate(over="ignore", under="ignore"):
            values = array.astype(dtype)
        return drawn(lambda choice: choices.laid_out(choice, values))

    types = floating_types() if dtype is None else dtype
    pairs = st.tuples(arrays(shape, domain, special), types)
    return pairs.flatmap(lambda pair: make(*pair))


# --- Primitives and graphs ------------------------------------------------------------


def samples(sampler: Sampler) -> st.SearchStrategy[Sample]:
    """Inputs and keywords for a primitive, as ``sampler`` makes them."""
    return drawn(sampler)


def primitives() -> st.SearchStrategy[tuple[str, Sample]]:
    """The name of a primitive of the registry, and what it may be called with."""
    names = st.sampled_from([name for name in REGISTRY if name in SAMPLERS])
    return names.flatmap(lambda name: st.tuples(st.just(name), samples(SAMPLERS[name].sampler)))


def graphs(most_steps: int = 30) -> st.SearchStrategy[Graph]:
    """Whole computation graphs over the registry."""
    counts = st.integers(1, most_steps)
    return counts.flatmap(lambda count: drawn(lambda choice: random_graph(choice, count)))
