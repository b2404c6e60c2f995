# Lambdas name primitives that stand further down, whose types mypy has not inferred yet.
# mypy: disable-error-code="has-type"
"""Matrix products, and the layer that is one."""

from typing import Any

import numpy as np

from scratchgan import dtypes
from scratchgan.autograd import is_grad_enabled
from scratchgan.autograd.primitive import primitive
from scratchgan.autograd.tensor import Tensor
from scratchgan.backend import Array, kernels_for
from scratchgan.ops.activations import ACTIVATIONS, by_name, scalars_of
from scratchgan.ops.reductions import sum
from scratchgan.ops.shape import permute


def _transposed(x: Any) -> Any:
    """The last two axes exchanged; past the tape where nothing is recorded."""
    array = x.array
    axes = range(array.ndim)
    dims = (*axes[:-2], axes[-1], axes[-2])
    if is_grad_enabled():
        return permute(x, dims=dims)
    return Tensor(kernels_for[type(array)].permute(array, axes=dims))


@primitive(
    x=lambda g, y: matmul(g, _transposed(y)),
    y=lambda g, x: matmul(_transposed(x), g),
)
def matmul(x: Array, y: Array) -> Array:
    """Matrix product of the last two axes; those before broadcast. Both have at least two axes."""
    if x.ndim < 2 or y.ndim < 2 or x.shape[-1] != y.shape[-2]:
        raise ValueError(
            f"matmul: cannot multiply the shapes {x.shape} and {y.shape}; the last axis of the "
            "first and the second-to-last of the second must be equal"
        )
    shape: tuple[int, ...] = (x.shape[-2], y.shape[-1])
    if x.ndim > 2 or y.ndim > 2:
        try:
            shape = np.broadcast_shapes(x.shape[:-2], y.shape[:-2]) + shape
        except ValueError as error:
            raise ValueError(
                f"matmul: the leading axes of {x.shape} and {y.shape} do not broadcast"
            ) from error
    dtype = x.dtype if x.dtype == y.dtype else dtypes.promote((x, y))
    kernels = kernels_for[type(x)]
    out = kernels.empty(shape, dtype, like=x)
    kernels.matmul(x, y, out=out)
    return out


def _linear_backward(
    g: Any, out: Any | None, activation: str, scalars: tuple[float, ...] | None
) -> tuple[Any, Any]:
    """The gradient before the activation, and its sum over rows, which is the bias's."""
    if scalars is None:
        scalars = scalars_of(activation, {})
    if is_grad_enabled():  # each on the tape, so that it can be differentiated again
        before = g
        if activation != "none":
            before = ACTIVATIONS[activation](g, out, **by_name(activation, scalars))
        return before, sum(before, dim=0)
    array = g.array
    seen = array if out is None else out.array  # what nobody looks at without an activation
    kernels = kernels_for[type(array)]
    before = kernels.empty(array.shape, array.dtype, like=array)
    bias = kernels.empty(array.shape[1:], array.dtype, like=array)
    kernels.linear_backward(array, seen, activation=activation, scalars=scalars, out=(before, bias))
    return Tensor(before), Tensor(bias)


@primitive(
    shared={"before": _linear_backward},
    needs_out=lambda keywords: keywords["activation"] != "none",
    x=lambda before, weight: matmul(before[0], weight),
    weight=lambda before, x: matmul(_transposed(before[0]), x),
    bias=lambda before: before[1],
)
def linear(
    x: Array,
    weight: Array,
    bias: Array,
    *,
    activation: str = "none",
    scalars: tuple[float, ...] | None = None,
) -> Array:
    """``activation(x @ weight.T + bias)``: a layer in one pass over its output.

    Args:
        x: (N, in_features).
        weight: (out_features, in_features).
        bias: (out_features,).
        activation: ``"none"``, or a row of :data:`scratchgan.ops.activations.ACTIVATIONS`.
        scalars: The activation's keywords, in their order; None stands for its defaults.

    Returns:
        (N, out_features).
    """
    if x.ndim != 2 or weight.ndim != 2 or x.shape[1] != weight.shape[1]:
        raise ValueError(
            f"linear: an input of shape {x.shape} does not fit a weight of shape {weight.shape}; "
            "expected (N, in_features) and (out_features, in_features)"
        )
    if bias.shape != weight.shape[:1]:
        raise ValueError(
            f"linear: a bias of shape {bias.shape} does not fit a weight of shape {weight.shape}"
        )
    if scalars is None:
        scalars = scalars_of(activation, {})
    dtype = x.dtype
    if weight.dtype != dtype or bias.dtype != dtype:
        dtype = dtypes.promote((x, weight, bias))
    kernels = kernels_for[type(x)]
    out = kernels.empty((x.shape[0], weight.shape[0]), dtype, like=x)
    kernels.linear(x, weight, bias, activation=activation, scalars=scalars, out=out)
    return out
