"""Activations as functions."""

import functools
import math
import warnings
from collections.abc import Callable
from typing import Any

from numpy.typing import DTypeLike

from scratchgan import functions, ops, random
from scratchgan.autograd.arguments import require_tensors
from scratchgan.autograd.tensor import Tensor
from scratchgan.backend import kernels_for
from scratchgan.nn.functional.common import changed_in_place, require_floats


def _maybe_in_place(
    name: str,
    input: Any,
    inplace: bool,
    compute: Callable[[Tensor], Tensor],
    require: Callable[..., None] = require_floats,
) -> Tensor:
    require(name, input=input)
    return changed_in_place(name, input, compute) if inplace else compute(input)


# --- Those that are primitives --------------------------------------------------------------


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """``max(x, 0)``; with ``inplace`` the tensor itself becomes that."""
    if inplace:
        return changed_in_place("relu", input, ops.relu)
    return ops.relu(input)


def sigmoid(input: Tensor) -> Tensor:
    """``1 / (1 + exp(-x))``; never overflows."""
    return ops.sigmoid(input)


def tanh(input: Tensor) -> Tensor:
    """Hyperbolic tangent."""
    return ops.tanh(input)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """``x`` where it is positive, else ``negative_slope * x`` (Maas et al. 2013, eq. 2)."""

    def compute(x: Tensor) -> Tensor:
        return ops.leaky_relu(x, negative_slope=negative_slope)

    return changed_in_place("leaky_relu", input, compute) if inplace else compute(input)


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """``log(1 + exp(beta x)) / beta``; never overflows.

    Where ``beta x`` is above ``threshold`` it is ``x``, as in PyTorch, but for ``beta`` 1 and a
    threshold of 20 or more: there the function is exact, and less than 3e-9 from that.
    """
    if beta == 1 and threshold >= 20:
        return ops.softplus(input)
    require_floats("softplus", input=input)
    if beta == 0:
        raise ValueError("softplus: beta is 0; it must be another number")
    scaled = ops.mul(input, beta)
    is_large = ops.gt(scaled, threshold)
    bent = ops.div(ops.softplus(ops.where(is_large, 0.0, scaled)), beta)
    return ops.where(is_large, input, bent)


def logsigmoid(input: Tensor) -> Tensor:
    """``log(sigmoid(x))``; never overflows."""
    require_floats("logsigmoid", input=input)
    return ops.neg(ops.softplus(ops.neg(input)))


# --- Shares along a dimension ---------------------------------------------------------------


def _dim(name: str, input: Tensor, dim: int | None, stacklevel: int) -> int:
    """``dim``, or what PyTorch takes where none is said."""
    require_tensors(name, input=input)
    if dim is not None:
        return ops.dim_of(name, dim, input.ndim)
    warnings.warn(
        f"{name}: the choice of a dimension where none is said is deprecated; give dim",
        stacklevel=stacklevel,
    )
    return 0 if input.ndim in (0, 1, 3) else 1


def softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: DTypeLike | None = None
) -> Tensor:
    """``exp(x) / sum(exp(x))`` along ``dim``; never overflows.

    Args:
        input: Of any shape.
        dim: Along which the shares add up to 1. None, which warns: 0 of 0, 1 or 3 dimensions,
            else 1.
        _stacklevel: How far above the warning points.
        dtype: What the input is converted to first.
    """
    dim = _dim("softmax", input, dim, _stacklevel)
    return functions.softmax(input, dim, dtype=dtype)


def log_softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: DTypeLike | None = None
) -> Tensor:
    """``log(softmax(x))``, exact where the shares are small; arguments as of :func:`softmax`."""
    dim = _dim("log_softmax", input, dim, _stacklevel)
    return ops.log_softmax(input, dim=dim, dtype=dtype)


def softmin(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: DTypeLike | None = None
) -> Tensor:
    """:func:`softmax` of ``-x``."""
    dim = _dim("softmin", input, dim, _stacklevel)
    return softmax(ops.neg(input), dim, dtype=dtype)


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """``a * sigmoid(b)`` with ``a`` and ``b`` the halves of the input along ``dim``.

    It is the gated linear unit of Dauphin et al. 2017, "Language modeling with gated convolutional
    networks".

    Raises:
        ValueError: The length along ``dim`` is odd.
    """
    require_floats("glu", input=input)
    if not input.ndim:
        raise ValueError("glu: a tensor without dimensions has no halves")
    dim = ops.dim_of("glu", dim, input.ndim)
    length = input.shape[dim]
    if length % 2:
        raise ValueError(f"glu: the length {length} along dim {dim} has no halves; it must be even")
    a, b = functions.split(input, [length // 2, length // 2], dim)
    return ops.mul(a, ops.sigmoid(b))


# --- Bent below zero ------------------------------------------------------------------------


def _bent(x: Tensor, scale: float, width: float = 1.0) -> Tensor:
    """``x`` where it is positive, else ``scale * (exp(x / width) - 1)``."""
    below = ops.clip(x, max=0.0)  # what is large would overflow
    if width != 1:
        below = ops.div(below, width)
    return ops.where(ops.le(x, 0), ops.mul(ops.expm1(below), scale), x)


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """``x`` where it is positive, else ``alpha (exp(x) - 1)`` (Clevert et al. 2016, eq. 15)."""
    return _maybe_in_place("elu", input, inplace, lambda x: _bent(x, alpha))


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """:func:`elu` scaled so that signals keep mean 0 and variance 1 (Klambauer et al. 2017)."""
    alpha, scale = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946
    return _maybe_in_place("selu", input, inplace, lambda x: ops.mul(_bent(x, alpha), scale))


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """``x`` where it is positive, else ``alpha (exp(x / alpha) - 1)`` (Barron 2017).

    Raises:
        ValueError: ``alpha`` is 0.
    """
    if alpha == 0:
        raise ValueError("celu: alpha is 0; it must be another number")
    return _maybe_in_place("celu", input, inplace, lambda x: _bent(x, alpha, alpha))


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """``x`` where it is positive, else ``weight * x`` (He et al. 2015, eq. 1).

    Args:
        input: (N, C, ...).
        weight: One slope, or one for each channel, (C,).

    Raises:
        ValueError: There are neither one nor C slopes.
    """
    require_floats("prelu", input=input, weight=weight)
    channels = input.shape[1] if input.ndim >= 2 else 1
    if weight.ndim > 1 or weight.numel() not in (1, channels):
        raise ValueError(
            f"prelu: slopes of shape {weight.shape} do not fit an input of shape {input.shape}; "
            f"expected 1 or {channels} of them"
        )
    shape = (-1, *[1] * (input.ndim - 2)) if weight.numel() > 1 else ()
    slope = functions.reshape(weight, shape)
    return ops.where(ops.gt(input, 0), input, ops.mul(input, slope))


def rrelu(
    input: Tensor,
    lower: float = 1 / 8,
    upper: float = 1 / 3,
    training: bool = False,
    inplace: bool = False,
) -> Tensor:
    """``x`` where it is positive, else ``slope * x`` (Xu et al. 2015, section 3.4).

    Args:
        input: Of any shape.
        lower: The least slope.
        upper: The largest slope.
        training: Whether each element has a slope of its own, drawn uniformly between the two; else
            all have their mean.
        inplace: Whether the tensor itself becomes that.

    Raises:
        ValueError: ``lower`` is above ``upper``.
    """
    if not lower <= upper:
        raise ValueError(f"rrelu: lower is {lower}, above upper, which is {upper}")

    def compute(x: Tensor) -> Tensor:
        if not training:
            return ops.leaky_relu(x, negative_slope=(lower + upper) / 2)
        kernels = kernels_for[type(x.array)]
        draws = kernels.empty(x.shape, x.dtype, like=x.array)
        kernels.uniform(random.default_generator.state, out=draws)
        slopes = ops.add(ops.mul(Tensor(draws), upper - lower), lower)
        return ops.where(ops.gt(x, 0), x, ops.mul(x, slopes))

    return _maybe_in_place("rrelu", input, inplace, compute)


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """``x`` where it is above ``threshold``, else ``value``."""
    return _maybe_in_place(
        "threshold",
        input,
        inplace,
        lambda x: ops.where(ops.le(x, threshold), _of_type(x, value), x),
        require_tensors,
    )


# --- Smooth ---------------------------------------------------------------------------------


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """``x`` times the probability that a standard normal number is below it.

    Args:
        input: Of any shape.
        approximate: ``"none"``, or ``"tanh"`` for eq. 2 of Hendrycks & Gimpel 2016, "Gaussian error
            linear units".

    Raises:
        ValueError: There is no such approximation.
    """
    require_floats("gelu", input=input)
    if approximate == "none":
        # The half first: the largest numbers have no double.
        return ops.mul(input * 0.5, ops.add(ops.erf(ops.mul(input, 1 / math.sqrt(2))), 1.0))
    if approximate != "tanh":
        raise ValueError(f"gelu: approximate is {approximate!r}; choose 'none' or 'tanh'")
    inner = ops.mul(input, ops.add(ops.mul(ops.square(input), 0.044715), 1.0))
    bent = ops.tanh(ops.mul(inner, math.sqrt(2 / math.pi)))
    return ops.mul(ops.mul(input, 0.5), ops.add(bent, 1.0))


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """``x sigmoid(x)``, also known as swish (Ramachandran et al. 2017)."""
    return _maybe_in_place("silu", input, inplace, lambda x: ops.mul(x, ops.sigmoid(x)))


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """``x tanh(softplus(x))`` (Misra 2019)."""
    return _maybe_in_place("mish", input, inplace, lambda x: ops.mul(x, ops.tanh(ops.softplus(x))))


def softsign(input: Tensor) -> Tensor:
    """``x / (1 + |x|)``."""
    require_tensors("softsign", input=input)
    return ops.div(input, ops.add(ops.abs(input), 1.0))


def tanhshrink(input: Tensor) -> Tensor:
    """``x - tanh(x)``."""
    require_tensors("tanhshrink", input=input)
    return ops.sub(input, ops.tanh(input))


# --- Of straight pieces; at the joints the derivative is PyTorch's ---------------------------


def hardtanh(
    input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Tensor:
    """``x`` kept within ``[min_val, max_val]``; the derivative is 0 on the bounds.

    Raises:
        ValueError: ``min_val`` is above ``max_val``.
    """
    if not min_val <= max_val:
        raise ValueError(f"hardtanh: min_val is {min_val}, above max_val, which is {max_val}")
    compute = functools.partial(_kept, least=min_val, most=max_val)
    return _maybe_in_place("hardtanh", input, inplace, compute, require_tensors)


def _kept(x: Tensor, least: float, most: float) -> Tensor:
    kept = ops.where(ops.le(x, least), _of_type(x, least), x)
    return ops.where(ops.ge(x, most), _of_type(x, most), kept)


def _of_type(x: Tensor, number: float) -> float:
    """A number as an element of ``x`` may be it: whole among integers."""
    return float(number) if x.dtype.kind == "f" else int(number)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """``x`` kept within [0, 6]."""
    compute = functools.partial(_kept, least=0.0, most=6.0)
    return _maybe_in_place("relu6", input, inplace, compute, require_tensors)


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """``x / 6 + 1/2`` kept within [0, 1]."""

    def compute(x: Tensor) -> Tensor:
        rising = ops.where(ops.le(x, -3), 0.0, ops.div(ops.add(x, 3.0), 6.0))
        return ops.where(ops.ge(x, 3), 1.0, rising)

    return _maybe_in_place("hardsigmoid", input, inplace, compute)


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """``x hardsigmoid(x)`` (Howard et al. 2019, section 5.2)."""

    def compute(x: Tensor) -> Tensor:
        near = ops.where(ops.ge(ops.abs(x), 3), 0.0, x)  # infinity times a slope of 0 would be nan
        bent = ops.div(ops.mul(near, ops.add(near, 3.0)), 6.0)
        return ops.where(ops.le(x, -3), 0.0, ops.where(ops.ge(x, 3), x, bent))

    return _maybe_in_place("hardswish", input, inplace, compute)


def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """``x`` where it lies outside of ``[-lambd, lambd]``, else 0."""
    require_floats("hardshrink", input=input)
    return ops.where(ops.le(ops.abs(input), lambd), 0.0, input)


def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """``x`` moved towards 0 by ``lambd``, and not beyond.

    Raises:
        ValueError: ``lambd`` is negative.
    """
    require_floats("softshrink", input=input)
    if not lambd >= 0:
        raise ValueError(f"softshrink: lambd is {lambd}; it must be 0 or more")
    moved = ops.sub(input, ops.mul(ops.sign(input), lambd))
    return ops.where(ops.le(ops.abs(input), lambd), 0.0, moved)
