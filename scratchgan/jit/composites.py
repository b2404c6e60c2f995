"""Kernels that a recording writes down as the simpler kernels they consist of.

The backends have each as one loop of their own for eager use. A plan fuses better by itself: it
sees what stands before and after.
"""

from collections.abc import Callable
from typing import Any

from scratchgan.backend import Array


def linear(
    kernels: Any, x: Array, weight: Array, bias: Array, *, activation: str, out: Array
) -> None:
    """``activation(x @ weight.T + bias)``."""
    kernels.matmul(x, kernels.permute(weight, axes=(1, 0)), out=out)
    kernels.add(out, bias, out=out)
    if activation != "none":
        getattr(kernels, activation)(out, out=out)


def linear_backward(
    kernels: Any, g: Array, y: Array, *, activation: str, out: tuple[Array, Array]
) -> None:
    """The gradient before the activation, and its sum over rows."""
    before, bias = out
    if activation == "none":
        kernels.copy(g, out=before)
    else:
        getattr(kernels, activation + "_backward")(g, y, out=before)
    kernels.sum(before, axis=(0,), keepdims=False, out=bias)


def scatter(kernels: Any, x: Array, *, index: Any, out: Array) -> None:
    """Zeros, but for ``out[index] = x``."""
    kernels.fill(0, out=out)
    kernels.copy(x, out=kernels.view(out, index=index))


def sum_all(kernels: Any, x: Array, *, out: Array) -> None:
    """The sum of all elements."""
    kernels.sum(x, axis=tuple(range(x.ndim)), keepdims=False, out=out)


COMPOSITES: dict[str, Callable[..., None]] = {
    "linear": linear,
    "linear_backward": linear_backward,
    "scatter": scatter,
    "sum_all": sum_all,
}
