"""Random numbers: counter-based streams, the same numbers on every backend.

A stream is a key and a position (:mod:`scratchgan.backend.counter_rng`). The default stream is
seeded by :func:`manual_seed`; a :class:`Generator` of its own makes a computation independent of
it.
"""

import numpy as np

from scratchgan.backend import Array, kernels_for
from scratchgan.backend.counter_rng import GAMMA, splitmix64


class Generator:
    """A stream of random numbers.

    Attributes:
        state: uint64 array ``[key, position]``; kernels that draw move the position on.
    """

    def __init__(self, seed: int = 0, *path: int) -> None:
        """The stream for ``seed``, or with ``path`` (say, a step) one of the streams below it."""
        self.state: Array = np.array([_key(seed, *path), 0], np.uint64)

    def manual_seed(self, seed: int, *path: int) -> "Generator":
        """Back to the start of the stream for ``seed`` and ``path``."""
        kernels = kernels_for[type(self.state)]  # jit writes their calls down
        kernels.fill(_key(seed, *path), out=self.state[:1])
        kernels.fill(0, out=self.state[1:])
        return self


def _key(*path: int) -> int:
    key = 0
    for number in path:
        key = splitmix64((key + GAMMA + number) & 0xFFFFFFFFFFFFFFFF)
    return key


default_generator = Generator()


def manual_seed(seed: int) -> Generator:
    """Seed the default stream, from which initial weights, dropout and ``randn`` draw."""
    return default_generator.manual_seed(seed)
