"""The 25 matrix products of a step and nothing else: the floor under every contender.

Each writes into an array that was made before, with the shapes and transposes that the step has.
"""

import itertools
from collections.abc import Callable
from typing import Any

from benchmarks import problem
from benchmarks.worker import Ready, blas_threads, serve, timed, versions


def products(batch: int, xp: Any, width: int = 1) -> Callable[[], None]:
    """A function that computes them all once, with the arrays of ``xp``, NumPy or CuPy."""
    g_sizes, d_sizes = problem.sizes(width)
    g_weights, d_weights = (
        [xp.asarray(weight) for weight, _ in problem.weights(sizes, seed)]
        for seed, sizes in enumerate((g_sizes, d_sizes))
    )
    g_gradients, d_gradients = (
        [xp.empty_like(weight) for weight in weights] for weights in (g_weights, d_weights)
    )

    def outputs(rows: int, sizes: tuple[int, ...]) -> list[Any]:
        return [xp.empty((rows, size), xp.float32) for size in sizes]

    both = outputs(2 * batch, d_sizes)
    both_gradients = outputs(2 * batch, d_sizes)
    fake, scored = outputs(batch, g_sizes), outputs(batch, d_sizes)
    fake_gradients, scored_gradients = outputs(batch, g_sizes), outputs(batch, d_sizes)
    both_gradients[-1][...] = scored_gradients[-1][...] = 1e-3
    pool = []
    for real, d_noise, g_noise in problem.batches(batch):
        images = xp.empty_like(both[0])  # the fakes are computed where D reads them
        images[:batch] = xp.asarray(real)
        pool.append((images, xp.asarray(d_noise), xp.asarray(g_noise)))
    turns = itertools.cycle(pool)
    dot = xp.dot

    def forward(x: Any, weights: list[Any], out: list[Any]) -> None:
        for weight, y in zip(weights, out, strict=True):
            dot(x, weight.T, out=y)
            x = y

    def to_inputs(gradients: list[Any], weights: list[Any], first: int) -> None:
        for layer in reversed(range(first, len(weights))):
            dot(gradients[layer + 1], weights[layer], out=gradients[layer])

    def to_weights(x: list[Any], gradients: list[Any], out: list[Any]) -> None:
        for layer, weight in enumerate(out):
            dot(gradients[layer + 1].T, x[layer], out=weight)

    def step() -> None:
        images, d_noise, g_noise = next(turns)
        # D's move: 3 of G, then of D 3 forward, 2 to its inputs and 3 to its weights.
        forward(d_noise, g_weights, [*fake[1:-1], images[batch:]])
        forward(images, d_weights, both[1:])
        to_inputs(both_gradients, d_weights, first=1)
        to_weights([images, *both[1:-1]], both_gradients, d_gradients)
        # G's move: 3 of G and 3 of D forward, 3 through D, then of G 2 to its inputs and 3.
        forward(g_noise, g_weights, fake[1:])
        forward(fake[-1], d_weights, scored[1:])
        to_inputs(scored_gradients, d_weights, first=0)
        fake_gradients[-1] = scored_gradients[0]
        to_inputs(fake_gradients, g_weights, first=1)
        to_weights([g_noise, *fake[1:-1]], fake_gradients, g_gradients)

    return step


def prepare(batch: int, seconds: float, device: str) -> Ready:
    if device == "cpu":
        import numpy as np

        about = {"versions": versions("numpy"), "threads": blas_threads()}
        return Ready(timed(products(batch, np), seconds), about)
    import cupy as cp

    problem.require_cuda(cp.cuda.is_available(), "CuPy")
    sample = timed(products(batch, cp), seconds, cp.cuda.get_current_stream().synchronize)
    return Ready(sample, {"versions": {"cupy": cp.__version__}})


if __name__ == "__main__":
    serve(prepare)
