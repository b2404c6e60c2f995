"""Random numbers: counter-based streams, the same numbers on every backend.

A stream is a key and a position (:mod:`scratchgan.backend.counter_rng`). The default stream is
seeded by :func:`manual_seed`; a :class:`Generator` of its own makes a computation independent of
it.

The functions that make tensors draw from ``generator``, or from the default stream; ``dtype``,
``device`` and ``requires_grad`` are as in :mod:`scratchgan.creation`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from scratchgan import dtypes
from scratchgan.autograd.arguments import checked, common_shape, may_be_named
from scratchgan.autograd.tensor import Tensor
from scratchgan.backend import Array, kernels_for
from scratchgan.backend.counter_rng import GAMMA, splitmix64
from scratchgan.creation import uninitialized, uninitialized_like
from scratchgan.functions import argsort

# --- Streams --------------------------------------------------------------------------------


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


# --- Tensors ------------------------------------------------------------------------------


@may_be_named
def rand(
    *size: Any,
    dtype: DTypeLike | None = None,
    requires_grad: bool = False,
    generator: Generator | None = None,
    device: str | None = None,
) -> Tensor:
    """Uniform random numbers in [0, 1), the same on every device."""
    return _drawn("rand", "uniform", size, dtype, requires_grad, generator, device)


@may_be_named
def randn(
    *size: Any,
    dtype: DTypeLike | None = None,
    requires_grad: bool = False,
    generator: Generator | None = None,
    device: str | None = None,
) -> Tensor:
    """Standard normal random numbers, the same on every device."""
    return _drawn("randn", "normal", size, dtype, requires_grad, generator, device)


@checked
def rand_like(
    input: Tensor,
    dtype: DTypeLike | None = None,
    device: str | None = None,
    requires_grad: bool = False,
    generator: Generator | None = None,
) -> Tensor:
    """Uniform random numbers in [0, 1), of the shape and type of ``input``."""
    return _drawn_like("rand_like", "uniform", input, dtype, device, generator, requires_grad)


@checked
def randn_like(
    input: Tensor,
    dtype: DTypeLike | None = None,
    device: str | None = None,
    requires_grad: bool = False,
    generator: Generator | None = None,
) -> Tensor:
    """Standard normal random numbers, of the shape and type of ``input``."""
    return _drawn_like("randn_like", "normal", input, dtype, device, generator, requires_grad)


def randint(
    low: int = 0,
    high: Any = None,
    size: Sequence[int] | None = None,
    generator: Generator | None = None,
    dtype: DTypeLike | None = None,
    device: str | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Uniform random integers ``low <= n < high``, int64; ``randint(high, size)`` counts from 0.

    Raises:
        ValueError: ``high`` is not above ``low``.
    """
    if size is None:
        low, high, size = (0, low, high) if isinstance(high, Sequence) else (0, low, ())
    elif high is None:
        low, high = 0, low
    if high <= low:
        raise ValueError(f"randint: from {low} up to but without {high} there is no integer")
    made = dtypes.of("randint", dtype, dtypes.int64)
    draws = rand(*size, dtype=dtypes.float64, generator=generator, device=device)
    wanted: Tensor = ((draws * (high - low)).to(dtypes.int64) + low).to(made)
    return wanted.requires_grad_(requires_grad)


@checked
def randint_like(
    input: Tensor, low: int, high: int | None = None, dtype: DTypeLike | None = None
) -> Tensor:
    """Uniform random integers ``low <= n < high``, or from 0 on, in the shape of ``input``."""
    made = dtypes.of("randint_like", dtype, input.array.dtype)
    return randint(low, high, input.shape, dtype=made, device=input.device)


def randperm(
    n: int,
    generator: Generator | None = None,
    dtype: DTypeLike | None = None,
    device: str | None = None,
) -> Tensor:
    """The integers 0 to ``n - 1`` in random order, int64.

    Raises:
        ValueError: ``n`` is negative.
    """
    if n < 0:
        raise ValueError(f"randperm: n is {n}; it must be 0 or more")
    made = dtypes.of("randperm", dtype, dtypes.int64)
    keys = rand(n, dtype=dtypes.float64, generator=generator, device=device)
    order: Tensor = argsort(keys).to(made)
    return order


def normal(
    mean: Any = 0.0,
    std: Any = 1.0,
    size: Sequence[int] | None = None,
    generator: Generator | None = None,
    dtype: DTypeLike | None = None,
    device: str | None = None,
) -> Tensor:
    """Normal random numbers: of a mean and a standard deviation each, or of a ``size``.

    Raises:
        ValueError: A standard deviation is negative.
    """
    given = [x for x in (mean, std) if isinstance(x, Tensor)]
    if not isinstance(std, Tensor) and std < 0:
        raise ValueError(f"normal: std is {std}; it must be 0 or more")
    shape = tuple(size or ()) if not given else common_shape("normal", *[x.shape for x in given])
    kind = dtype or (given[0].dtype if given else None)
    place = device or (given[0].device if given else None)
    drawn: Tensor = _drawn("normal", "normal", shape, kind, False, generator, place) * std + mean
    return drawn


@checked
def bernoulli(input: Tensor, generator: Generator | None = None) -> Tensor:
    """1 with the probability that each element says, else 0.

    Raises:
        TypeError: The elements are not floating point.
    """
    if input.dtype.kind != "f":
        raise TypeError(f"bernoulli: takes probabilities, not {input.dtype}")
    drawn: Tensor = (rand_like(input, generator=generator) < input.detach()).to(input.dtype)
    return drawn


def _drawn(
    name: str,
    kernel: str,
    shape: tuple[Any, ...],
    dtype: DTypeLike | None,
    requires_grad: bool,
    generator: Generator | None,
    device: str | None,
) -> Tensor:
    made = uninitialized(name, shape, dtype, device, kinds="f")
    return _draw(kernel, made, generator).requires_grad_(requires_grad)


def _drawn_like(
    name: str,
    kernel: str,
    input: Tensor,
    dtype: DTypeLike | None,
    device: str | None,
    generator: Generator | None,
    requires_grad: bool,
) -> Tensor:
    own = input.array.dtype
    if dtype is not None or own.kind != "c":  # the complex-step check's tensors are complex
        dtype = dtypes.of(name, own if dtype is None else dtype, kinds="f")
    made = uninitialized_like(name, input, dtype, device)
    return _draw(kernel, made, generator).requires_grad_(requires_grad)


def _draw(kernel: str, out: Tensor, generator: Generator | None) -> Tensor:
    draw = getattr(kernels_for[type(out.array)], kernel)
    draw((generator or default_generator).state, out=out.array)
    return out
