"""The computations of layers and losses as functions of tensors, under PyTorch's names."""

import math
from collections.abc import Callable
from typing import Any

from scratchgan import dtypes, functions, ops, random
from scratchgan.autograd import no_grad
from scratchgan.autograd.primitive import REGISTRY
from scratchgan.autograd.tensor import Tensor
from scratchgan.backend import kernels_for
from scratchgan.functions import softmax
from scratchgan.ops import leaky_relu, log_softmax, relu, sigmoid, softplus, tanh
from scratchgan.ops.activations import by_name, scalars_of

__all__ = [
    "batch_norm",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "dropout",
    "embedding",
    "leaky_relu",
    "linear",
    "log_softmax",
    "mse_loss",
    "nll_loss",
    "relu",
    "sigmoid",
    "softmax",
    "softplus",
    "tanh",
]

# --- Layers ---------------------------------------------------------------------------


def linear(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    activation: str = "none",
    **keywords: float,
) -> Tensor:
    """``activation(x @ weight.T + bias)``.

    Args:
        x: (..., in_features).
        weight: (out_features, in_features).
        bias: (out_features,), or None.
        activation: ``"none"``, or a row of :data:`scratchgan.ops.activations.ACTIVATIONS`; with a
            bias it is computed in one pass with the rest.
        keywords: The activation's, ``negative_slope`` of ``"leaky_relu"`` say.

    Returns:
        (..., out_features).

    Raises:
        ValueError: The shapes do not fit together, or there is no such activation.
    """
    scalars = scalars_of(activation, keywords) if keywords else ()
    if x.ndim == 2 and bias is not None:
        return ops.linear(x, weight, bias, activation=activation, scalars=scalars)
    if bias is None:
        scalars = scalars or scalars_of(activation, {})
        product = functions.matmul(x, weight.T)
        if activation == "none":
            return product
        return REGISTRY[activation](product, **by_name(activation, scalars))
    if x.ndim == 0:
        raise ValueError("linear: the input is a single number; expected (..., in_features)")
    rows = functions.reshape(x, math.prod(x.shape[:-1]), x.shape[-1])
    out = ops.linear(rows, weight, bias, activation=activation, scalars=scalars)
    return functions.reshape(out, *x.shape[:-1], weight.shape[0])


def embedding(indices: Tensor, weight: Tensor) -> Tensor:
    """The rows of ``weight`` that ``indices`` name.

    Args:
        indices: Integers of any shape (...); negative ones count from the end.
        weight: (rows, length).

    Returns:
        (..., length).

    Raises:
        IndexError: An index is out of range, or no integer.
    """
    if indices.dtype.kind not in "iu":
        raise IndexError(f"embedding: indices are integers, not {indices.dtype}")
    try:
        return ops.gather(weight, indices, template=("array",))
    except IndexError as error:
        raise IndexError(f"embedding: {error.__cause__}") from error


def check_probability(p: float) -> None:
    """Raise a ValueError if ``p`` is no probability."""
    if not 0 <= p <= 1:
        raise ValueError(f"dropout: p is {p}; it must be a probability, from 0 to 1")


def dropout(x: Tensor, p: float = 0.5, training: bool = True) -> Tensor:
    """Zeros in random places, each with probability ``p``; the rest times ``1 / (1 - p)``.

    So the expected value stays the same (Srivastava et al. 2014, "Dropout", section 10). The
    places are drawn from :data:`scratchgan.random.default_generator`.

    Args:
        x: Of any shape.
        p: From 0 to 1.
        training: If False, the result is ``x`` itself.

    Raises:
        ValueError: ``p`` is no probability.
    """
    check_probability(p)
    if not training or p == 0:
        return x
    if p == 1:
        return ops.mul(x, 0.0)
    kernels = kernels_for[type(x.array)]
    draws = kernels.empty(x.shape, x.dtype, like=x.array)
    kernels.uniform(random.default_generator.state, out=draws)
    return ops.where(ops.ge(Tensor(draws), p), ops.mul(x, 1 / (1 - p)), 0.0)


def batch_norm(
    x: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """``(x - mean) / sqrt(variance + eps) * weight + bias``, for each channel alone.

    In training, mean and (biased) variance are those of the batch, and ``running_mean`` and
    ``running_var``, where given, move towards them in place: ``(1 - momentum) * running +
    momentum * batch``, the variance unbiased. Otherwise the running ones are used
    (Ioffe & Szegedy 2015, "Batch normalization", algorithms 1 and 2).

    Args:
        x: (N, C, ...).
        running_mean: (C,), changed in training.
        running_var: (C,), changed in training.
        weight: (C,), or None for 1.
        bias: (C,), or None for 0.
        training: Whether to use the statistics of the batch.
        momentum: Weight of this batch in the running statistics.
        eps: Added to the variance.

    Raises:
        ValueError: The number of channels is wrong, running statistics are needed and missing, or
            a batch has just one value for each channel, which has no variance.
    """
    shape = (1, x.shape[1], *[1] * (x.ndim - 2)) if x.ndim >= 2 else ()
    for name, given in (("running_mean", running_mean), ("weight", weight)):
        if not shape or (given is not None and given.shape != shape[1:2]):
            raise ValueError(
                f"batch_norm: an input of shape {x.shape} does not fit "
                f"{name} of shape {None if given is None else given.shape}; expected (N, C, ...) "
                "and (C,)"
            )
    if training:
        count = x.size // shape[1]
        if count < 2:
            raise ValueError(
                f"batch_norm: an input of shape {x.shape} has one value for each channel; in "
                "training there must be more"
            )
        dims = (0, *range(2, x.ndim))
        mean = functions.mean(x, dims, keepdim=True)
        deviations = ops.sub(x, mean)
        variance = functions.mean(ops.square(deviations), dims, keepdim=True)
        with no_grad():
            _move(running_mean, mean, momentum, 1.0)
            _move(running_var, variance, momentum, count / (count - 1))
    elif running_mean is None or running_var is None:
        raise ValueError("batch_norm: outside of training running_mean and running_var are needed")
    else:
        deviations = ops.sub(x, functions.reshape(running_mean, shape))
        variance = functions.reshape(running_var, shape)
    out = ops.div(deviations, ops.sqrt(ops.add(variance, eps)))
    if weight is not None:
        out = ops.mul(out, functions.reshape(weight, shape))
    if bias is not None:
        out = ops.add(out, functions.reshape(bias, shape))
    return out


def _move(running: Tensor | None, batch: Tensor, momentum: float, factor: float) -> None:
    """``running`` towards ``factor * batch``, in place."""
    if running is not None:
        newest = ops.mul(functions.reshape(batch, running.shape), momentum * factor)
        running.mul_(1 - momentum).add_(newest)


# --- Losses ---------------------------------------------------------------------------

_REDUCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "mean": functions.mean,
    "sum": ops.sum,
    "none": lambda losses: losses,
}


def check_reduction(name: str, reduction: str) -> None:
    """Raise a ValueError that begins with ``name`` if there is no such reduction."""
    if reduction not in _REDUCTIONS:
        raise ValueError(
            f"{name}: there is no reduction {reduction!r}; choose one of {', '.join(_REDUCTIONS)}"
        )


def _elementwise_loss(
    name: str, primitive: Callable[..., Tensor], x: Tensor, target: Any, reduction: str
) -> Tensor:
    check_reduction(name, reduction)
    # A prediction (N, 1) and a target (N,) would broadcast to (N, N): never what is meant.
    if isinstance(target, Tensor) and target.shape != x.shape:
        raise ValueError(
            f"{name}: the target's shape {target.shape} is not the prediction's {x.shape}"
        )
    return _REDUCTIONS[reduction](primitive(x, target))


def binary_cross_entropy(p: Tensor, target: Tensor | float, reduction: str = "mean") -> Tensor:
    """``-target log p - (1 - target) log(1 - p)``, each logarithm held above -100.

    Args:
        p: Probabilities in [0, 1], any shape; outside of it the loss is nan.
        target: Numbers in [0, 1] of the same shape, or one for all.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Raises:
        ValueError: The shapes differ, or there is no such reduction.
    """
    return _elementwise_loss("binary_cross_entropy", ops.binary_cross_entropy, p, target, reduction)


def binary_cross_entropy_with_logits(
    x: Tensor, target: Tensor | float, reduction: str = "mean"
) -> Tensor:
    """:func:`binary_cross_entropy` of ``sigmoid(x)``; never overflows.

    Args:
        x: Any numbers, any shape.
        target: Numbers in [0, 1] of the same shape, or one for all.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Raises:
        ValueError: The shapes differ, or there is no such reduction.
    """
    return _elementwise_loss(
        "binary_cross_entropy_with_logits",
        ops.binary_cross_entropy_with_logits,
        x,
        target,
        reduction,
    )


def mse_loss(x: Tensor, target: Tensor | float, reduction: str = "mean") -> Tensor:
    """``(x - target) ** 2``.

    Args:
        x: Any shape.
        target: The same shape, or one number for all.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Raises:
        ValueError: The shapes differ, or there is no such reduction.
    """
    return _elementwise_loss(
        "mse_loss", lambda x, target: ops.square(ops.sub(x, target)), x, target, reduction
    )


def nll_loss(log_probabilities: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """Minus the log-probability of the right class.

    Args:
        log_probabilities: (N, C).
        target: The right classes, N integers from 0 to C - 1.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``, which gives (N,).

    Raises:
        ValueError: The shapes do not fit together, or there is no such reduction.
        TypeError: The classes are no integers.
        IndexError: There is no such class.
    """
    return _class_loss("nll_loss", log_probabilities, target, reduction)


def cross_entropy(logits: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """:func:`nll_loss` of ``log_softmax(logits)``.

    Args:
        logits: Any numbers, (N, C).
        target: The right classes, N integers from 0 to C - 1.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``, which gives (N,).

    Raises:
        ValueError: The shapes do not fit together, or there is no such reduction.
        TypeError: The classes are no integers.
        IndexError: There is no such class.
    """
    return _class_loss("cross_entropy", ops.log_softmax(logits, dim=-1), target, reduction)


def _class_loss(name: str, log_probabilities: Tensor, target: Tensor, reduction: str) -> Tensor:
    check_reduction(name, reduction)
    if log_probabilities.ndim != 2 or target.shape != log_probabilities.shape[:1]:
        raise ValueError(
            f"{name}: a prediction of shape {log_probabilities.shape} does not fit classes of "
            f"shape {target.shape}; expected (N, C) and (N,)"
        )
    if target.dtype.kind not in "iu":
        raise TypeError(f"{name}: classes are integers, not {target.dtype}")
    kernels = kernels_for[type(log_probabilities.array)]
    rows = kernels.empty(target.shape, dtypes.int64, like=log_probabilities.array)
    kernels.arange(out=rows)
    try:
        chosen = ops.gather(log_probabilities, Tensor(rows), target, template=("array", "array"))
    except IndexError as error:
        raise IndexError(f"{name}: there is no such class: {error.__cause__}") from error
    return _REDUCTIONS[reduction](ops.neg(chosen))
