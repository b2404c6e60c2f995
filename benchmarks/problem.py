"""The step that all contenders compute: the same networks, weights, images and noise.

The networks are those of the recipe `seed`: G 100-128-256-784 with ReLU, ReLU, tanh and D
784-256-128-1 with ReLU, ReLU, sigmoid. A step is D's move (D on real images and on G's fakes in one
pass, binary cross-entropy, Adam on D) and G's move (new fakes through D, Adam on G). It gives the
loss of D, the loss of G, and the means of D(x) and D(G(z)).
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.worker import Skip

Array = NDArray[np.float32]
Step = Callable[[Any, Any, Any], tuple[Any, Any, Any, Any]]

LATENT_DIM, PIXELS = 100, 784
BETAS = (0.5, 0.999)

#: A hundredth of what the training takes: as many steps as a measurement makes on a few batches
#: would else let D win for good, and count the speed of arithmetic on denormal numbers.
LEARNING_RATE = 2e-6

#: Images and noise of a step are one of this many sets, in turn.
POOL = 8

#: The results after this many steps are compared between the contenders.
CHECKED_STEPS = 10


def sizes(width: int = 1) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Layer sizes of G and of D, with hidden layers ``width`` times as wide."""
    return (
        (LATENT_DIM, 128 * width, 256 * width, PIXELS),
        (PIXELS, 256 * width, 128 * width, 1),
    )


def weights(sizes: tuple[int, ...], seed: int) -> list[tuple[Array, Array]]:
    """Weight (out, in) and bias of each layer, drawn as PyTorch's Linear draws them."""
    rng = np.random.default_rng(seed)
    layers = []
    for fan_in, fan_out in itertools.pairwise(sizes):
        bound = fan_in**-0.5
        weight = rng.uniform(-bound, bound, (fan_out, fan_in)).astype(np.float32)
        bias = rng.uniform(-bound, bound, fan_out).astype(np.float32)
        layers.append((weight, bias))
    return layers


def batches(batch: int) -> list[tuple[Array, Array, Array]]:
    """The pool: real images (batch, 784) in [-1, 1], noise for D's move, and noise for G's."""
    rng = np.random.default_rng(0)
    return [
        (
            rng.uniform(-1, 1, (batch, PIXELS)).astype(np.float32),
            rng.standard_normal((batch, LATENT_DIM), np.float32),
            rng.standard_normal((batch, LATENT_DIM), np.float32),
        )
        for _ in range(POOL)
    ]


def shares(batch: int) -> Array:
    """Where between a real image and a fake the gradient penalty looks, (batch, 1)."""
    return np.random.default_rng(1).uniform(size=(batch, 1)).astype(np.float32)


def running(step: Step, pool: Sequence[tuple[Any, ...]]) -> tuple[Callable[[], Any], list[float]]:
    """``step`` as a function without arguments, and what it gave after the checked steps."""
    turns: Iterator[tuple[Any, ...]] = itertools.cycle(pool)
    for _ in range(CHECKED_STEPS):
        results = step(*next(turns))
    return lambda: step(*next(turns)), [float(result) for result in results]


def require_cuda(is_available: bool, name: str) -> None:
    """Skip a contender that finds no GPU."""
    if not is_available:
        raise Skip(f"{name} finds no CUDA device")
