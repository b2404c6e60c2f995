"""Random programs that run in scratchgan and in PyTorch, word for word."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]


class Step(NamedTuple):
    """An operation on earlier values, by their numbers."""

    name: str
    values: tuple[int, ...]
    extra: Any = None


class Program(NamedTuple):
    """The shapes of the leaves, and what is computed of them."""

    shapes: tuple[tuple[int, ...], ...]
    steps: tuple[Step, ...]

    def inputs(self, seed: int) -> list[Array]:
        """Leaves, and two positions for indexing."""
        rng = np.random.default_rng([seed, 17])
        leaves = [rng.normal(size=shape) for shape in self.shapes]
        return [*leaves, rng.integers(0, 2, 3)]

    def __call__(self, lib: Any, state: Any, *inputs: Any) -> tuple[list[Any], list[Any]]:
        """Run in ``lib``; ``state`` is changed in place.

        Returns:
            The values and the gradients of the leaves, off the tape.
        """
        *given, index = inputs
        leaves = [x.detach().clone().requires_grad_() for x in given]
        values = list(leaves)
        for name, numbers, extra in self.steps:
            operands = [values[n] for n in numbers]
            values.append(OPERATIONS[name](lib, operands, extra, leaves[0], index))
        loss = sum((x.tanh().sum() for x in values), start=leaves[0].square().sum())
        with lib.no_grad():
            state.mul_(0.5)
            state.add_(loss.detach())
        loss.backward()
        return [x.detach() for x in (*values, state * 1)], [x.grad for x in leaves]


def _in_place(lib: Any, x: Any, extra: int) -> Any:
    with lib.no_grad():
        changed = x.detach().clone()
        if changed.ndim:
            part = changed[extra % changed.shape[0] :]
            part.mul_(0.5)
            changed[0] = changed[-1] + 1.0
        changed.add_(x)
    return changed


def _slope(lib: Any, x: Any, leaf: Any) -> Any:
    (slope,) = lib.autograd.grad(
        x.square().sum() + leaf.tanh().sum(), leaf, create_graph=True, retain_graph=True
    )
    return slope * 0.1


def _without_tape(lib: Any, x: Any) -> Any:
    with lib.no_grad():
        return x.tanh() * 2.0


Operation = Callable[[Any, Sequence[Any], Any, Any, Any], Any]

OPERATIONS: dict[str, Operation] = {
    "tanh": lambda lib, v, extra, leaf, index: v[0].tanh(),
    "exp": lambda lib, v, extra, leaf, index: (v[0].tanh() * 0.5).exp(),
    "root": lambda lib, v, extra, leaf, index: (v[0].square() + 1.0).sqrt(),
    "minus": lambda lib, v, extra, leaf, index: -v[0],
    "add": lambda lib, v, extra, leaf, index: v[0] + v[1],
    "mul": lambda lib, v, extra, leaf, index: v[0] * v[1].tanh(),
    "sub": lambda lib, v, extra, leaf, index: 1.0 - v[0] - v[1],
    "div": lambda lib, v, extra, leaf, index: v[0] / (v[1].square() + 1.0),
    "maximum": lambda lib, v, extra, leaf, index: lib.maximum(v[0], v[1]),
    "where": lambda lib, v, extra, leaf, index: lib.where(v[0] > 0, v[0], v[1]),
    "turned": lambda lib, v, extra, leaf, index: v[0].T,
    "flat": lambda lib, v, extra, leaf, index: (v[0].T if v[0].ndim == 2 else v[0]).reshape(-1),
    "tail": lambda lib, v, extra, leaf, index: v[0][extra:],
    "columns": lambda lib, v, extra, leaf, index: v[0][:, ::2],
    "row": lambda lib, v, extra, leaf, index: v[0][extra],
    "picked": lambda lib, v, extra, leaf, index: v[0][index],
    "sum": lambda lib, v, extra, leaf, index: v[0].sum(axis=extra[0], keepdims=extra[1]),
    "mean": lambda lib, v, extra, leaf, index: v[0].mean(axis=extra[0], keepdims=extra[1]),
    "joined": lambda lib, v, extra, leaf, index: lib.cat([v[0], v[0] * 2.0, v[0][:1]], 0),
    "product": lambda lib, v, extra, leaf, index: v[0] @ v[0].T,
    "in place": lambda lib, v, extra, leaf, index: _in_place(lib, v[0], extra),
    "without tape": lambda lib, v, extra, leaf, index: _without_tape(lib, v[0]),
    "slope": lambda lib, v, extra, leaf, index: _slope(lib, v[0], leaf),
}


def random_program(seed: int) -> Program:
    """A program of up to twelve steps."""
    rng = np.random.default_rng([seed, 3])

    def integer(low: int, high: int) -> int:
        return int(rng.integers(low, high + 1))

    known = [(3, 2), (2,), (3, 1), (2, 3), (1,), ()]
    shapes = [known[integer(0, 1)], *[known[integer(0, 5)] for _ in range(integer(0, 2))]]
    sizes = list(shapes)
    steps: list[Step] = []
    while len(steps) < 1 + seed % 12:
        name = str(rng.choice(list(OPERATIONS)))
        first = integer(0, len(sizes) - 1)
        step, size = _fitting(name, first, sizes, integer)
        if step is not None and np.prod(size) <= 60:
            steps.append(step)
            sizes.append(size)
    return Program(tuple(shapes), tuple(steps))


def _fitting(
    name: str, first: int, sizes: list[tuple[int, ...]], integer: Callable[[int, int], int]
) -> tuple[Step | None, tuple[int, ...]]:
    """The operation on a value, and the result's shape, if it can be done."""
    shape = sizes[first]
    dims = len(shape)
    if name in ("add", "mul", "sub", "div", "maximum", "where"):
        second = integer(0, len(sizes) - 1)
        try:
            return Step(name, (first, second)), np.broadcast_shapes(shape, sizes[second])
        except ValueError:
            return None, ()
    if name in ("sum", "mean"):
        axis = None if dims == 0 else integer(0, dims - 1)
        keeps = bool(integer(0, 1)) and axis is not None
        if axis is None:
            return None, ()
        rest = (*shape[:axis], *([1] if keeps else []), *shape[axis + 1 :])
        return Step(name, (first,), (axis, keeps)), rest
    if name == "slope":
        return Step(name, (first,)), sizes[0]
    if name in ("turned", "columns", "product") and dims != 2:
        return None, ()
    if name in ("flat", "tail", "row", "picked", "joined") and dims == 0:
        return None, ()
    if name == "flat" and dims > 2:
        return None, ()
    if name == "picked" and shape[0] < 2:
        return None, ()
    extra = integer(0, shape[0] - 1) if dims else 0
    results: dict[str, Callable[[], tuple[int, ...]]] = {
        "turned": lambda: shape[::-1],
        "flat": lambda: (int(np.prod(shape)),),
        "tail": lambda: (shape[0] - extra, *shape[1:]),
        "columns": lambda: (shape[0], (shape[1] + 1) // 2),
        "row": lambda: shape[1:],
        "picked": lambda: (3, *shape[1:]),
        "joined": lambda: (2 * shape[0] + 1, *shape[1:]),
        "product": lambda: (shape[0], shape[0]),
    }
    return Step(name, (first,), extra), results.get(name, lambda: shape)()


def digest(values: list[Any], gradients: list[Any]) -> Array:
    """A number for each value and gradient that depends on all of its elements."""
    numbers = []
    for x in (*values, *gradients):
        array = np.asarray(x.detach().numpy() if x is not None else np.zeros(1))
        weights = np.random.default_rng(array.size).uniform(0.5, 1.5, array.shape)
        numbers.append(float((array * weights).sum()))
    return np.array(numbers)
