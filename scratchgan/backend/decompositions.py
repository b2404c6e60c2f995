"""Kernels as the simpler kernels that they consist of, which jit records in their place.

The backends have each as one loop of their own for eager use. A plan fuses better: it sees what
stands before and after.
"""

from typing import Any

from scratchgan.backend import Array
from scratchgan.backend.scalar import DEFINITIONS


def linear(
    kernels: Any,
    x: Array,
    weight: Array,
    bias: Array,
    *,
    activation: str,
    scalars: tuple[float, ...],
    out: Array,
) -> None:
    """``activation(x @ weight.T + bias)``."""
    kernels.matmul(x, kernels.permute(weight, axes=(1, 0)), out=out)
    kernels.add(out, bias, out=out)
    if activation != "none":
        getattr(kernels, activation)(out, out=out, **_by_name(activation, scalars))


def linear_backward(
    kernels: Any,
    g: Array,
    y: Array,
    *,
    activation: str,
    scalars: tuple[float, ...],
    out: tuple[Array, Array],
) -> None:
    """The gradient before the activation, and its sum over rows."""
    before, bias = out
    if activation == "none":
        kernels.copy(g, out=before)
    else:
        backward = getattr(kernels, f"{activation}_backward")
        backward(g, y, out=before, **_by_name(activation, scalars))
    kernels.sum(before, axis=(0,), keepdims=False, out=bias)


def _by_name(activation: str, scalars: tuple[float, ...]) -> dict[str, float]:
    return dict(zip(DEFINITIONS[activation].scalars, scalars, strict=True))


def scatter(kernels: Any, x: Array, *, index: Any, out: Array) -> None:
    """Zeros, but for ``out[index] = x``."""
    kernels.fill(0, out=out)
    kernels.copy(x, out=kernels.view(out, index=index))


def sum_all(kernels: Any, x: Array, *, out: Array) -> None:
    """The sum of all elements."""
    kernels.sum(x, axis=tuple(range(x.ndim)), keepdims=False, out=out)
