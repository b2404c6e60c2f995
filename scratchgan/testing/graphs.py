"""Random computation graphs over the registry: how the tape is tested as a whole.

A graph is a list of calls. Each takes inputs that the primitive's sampler drew, moved by what
earlier calls gave: by ``room * tanh(value)``, so that they stay where derivatives exist. Values
are used again and again, so graphs branch and join. What comes out is the sum of all that was
computed, with a weight for each element.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from scratchgan import ops
from scratchgan.autograd.primitive import REGISTRY
from scratchgan.autograd.tensor import Tensor
from scratchgan.testing.choices import REAL, Choices, Sample, numbers, shape
from scratchgan.testing.comparison import tensor_like
from scratchgan.testing.samplers import SAMPLERS


class Step(NamedTuple):
    """A call, and for each of its floating inputs which earlier value moves it."""

    primitive: str
    sample: Sample
    movers: dict[int, int]  # from the position of an input to a number in the list of values


class Graph(NamedTuple):
    """A random function of its leaves.

    Attributes:
        leaves: What it may be called with.
        steps: The calls.
    """

    leaves: tuple[Tensor, ...]
    steps: tuple[Step, ...]

    def values(self, *leaves: Tensor) -> list[Tensor]:
        """The values, the leaves first."""
        values = list(leaves)
        for step in self.steps:
            inputs = list(step.sample.inputs)
            for position, mover in step.movers.items():
                inputs[position] = _moved(inputs[position], values[mover], step.primitive)
            values.append(REGISTRY[step.primitive](*inputs, **step.sample.keywords))
        return values

    def __call__(self, *leaves: Tensor) -> Tensor:
        """The weighted sum of all values, a tensor with one element."""
        total: Any = 0.0
        for number, value in enumerate(self.values(*leaves)):
            weights = np.random.default_rng(number).uniform(0.5, 1.5, value.shape)
            total = ops.sum(ops.mul(value, tensor_like(value, np.asarray(weights)))) + total
        return total  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        """The program, a line for each call."""
        lines = [f"v{i} = leaf of shape {x.shape}" for i, x in enumerate(self.leaves)]
        for number, (primitive, sample, movers) in enumerate(self.steps, len(lines)):
            inputs = [
                f"{_short(x)} moved by v{movers[i]}" if i in movers else _short(x)
                for i, x in enumerate(sample.inputs)
            ]
            keywords = [f"{name}={value!r}" for name, value in sample.keywords.items()]
            lines.append(f"v{number} = {primitive}({', '.join([*inputs, *keywords])})")
        return "\n".join(lines)


def _short(x: Any) -> str:
    return f"tensor of shape {x.shape}" if isinstance(x, Tensor) else repr(x)


def _moved(x: Tensor, value: Tensor, primitive: str) -> Tensor:
    """``x`` moved by up to the primitive's room, by the elements of ``value`` again and again."""
    room = SAMPLERS[primitive].room
    size = math.prod(x.shape)
    repeats = max(1, -(-size // value.numel()))
    elements = ops.cat(*[value.reshape(value.numel())] * repeats)[:size].reshape(x.shape)
    return ops.add(x, ops.mul(room, ops.tanh(elements)))


def random_graph(choices: Choices, count: int) -> Graph:
    """A graph of ``count`` calls of differentiable primitives."""
    names = [
        name
        for name, row in SAMPLERS.items()
        # All of a graph lies on one device.
        if REGISTRY[name].vjps and row.room and "device" not in REGISTRY[name].keywords
    ]
    leaves = tuple(
        Tensor(numbers(choices, shape(choices, 0, 1), REAL)) for _ in range(choices.integer(1, 3))
    )
    sizes = [leaf.numel() for leaf in leaves]
    steps = []
    for _ in range(count):
        name = choices.one_of(names)
        sample = SAMPLERS[name].sampler(choices)
        usable = [number for number, size in enumerate(sizes) if size]
        movers = {
            position: choices.one_of(usable)
            for position, x in enumerate(sample.inputs)
            if isinstance(x, Tensor) and x.dtype.kind == "f"
        }
        steps.append(Step(name, sample, movers))
        sizes.append(REGISTRY[name](*sample.inputs, **sample.keywords).numel())
    return Graph(leaves, tuple(steps))
