"""Losses of numbers against numbers, as functions.

Each has ``reduction``: ``"mean"`` of the elements' losses, their ``"sum"``, or ``"none"`` for the
losses as they are; and PyTorch's two older words for it, ``size_average`` and ``reduce``, which
warn. A target may also be one number for all elements.
"""

import math
import warnings
from typing import Any

import numpy as np

from scratchgan import functions, ops
from scratchgan.autograd.arguments import require_tensors
from scratchgan.autograd.tape import mode
from scratchgan.autograd.tensor import Tensor
from scratchgan.nn.functional.common import (
    REDUCTIONS,
    Reductions,
    check_reduction,
    extremes,
    has_nan,
    may_read,
    reduced,
    reduction_of,
    require_floats,
)

# --- Binary cross-entropy -------------------------------------------------------------------


def _require_target(name: str, input: Any, target: Any) -> None:
    """Raise an error unless the target is a number, or a tensor like the prediction."""
    if isinstance(target, (int, float)):
        require_floats(name, input=input)
        return
    require_floats(name, input=input, target=target)
    # A prediction (N, 1) and a target (N,) would broadcast to (N, N): never what is meant.
    if target.array.shape != input.array.shape:
        raise ValueError(
            f"{name}: the target's shape {target.shape} is not the prediction's {input.shape}"
        )


def _weighted(name: str, losses: Tensor, weight: Any, reduction: str) -> Tensor:
    if weight is None:
        return reduced(name, losses, reduction)
    require_floats(name, weight=weight)
    try:
        fits = np.broadcast_shapes(losses.shape, weight.shape) == losses.shape
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(
            f"{name}: a weight of shape {weight.shape} does not broadcast to the losses' shape "
            f"{losses.shape}"
        )
    return reduced(name, ops.mul(losses, weight), reduction)


def binary_cross_entropy(
    input: Tensor,
    target: Tensor | float,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``-target log p - (1 - target) log(1 - p)``, each logarithm held above -100.

    Args:
        input: Probabilities p in [0, 1], any shape.
        target: Numbers in [0, 1] of the same shape, or one for all.
        weight: Factors of the losses, which broadcast; the mean still divides by their number.
        size_average: See above.
        reduce: See above.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Raises:
        TypeError: The target is no tensor of floating point elements.
        RuntimeError: A p is outside of [0, 1]. This is not checked while jit records, nor in a
            replay: there the loss is nan.
        ValueError: The shapes differ, or there is no such reduction.
    """
    name = "binary_cross_entropy"
    reduction = reduction_of(name, size_average, reduce, reduction)
    _require_target(name, input, target)
    may_check = may_read() and input.array.size and input.array.dtype.kind == "f"
    if may_check and mode.get().watchers:  # who watches would complain about the nan first
        _require_probabilities(name, input)
    loss = _weighted(name, ops.binary_cross_entropy(input, target), weight, reduction)
    if may_check and has_nan(loss):  # as it is for any p outside, and this is quicker to look for
        _require_probabilities(name, input)
    return loss


def _require_probabilities(name: str, input: Tensor) -> None:
    least, most = extremes(input)
    if not (least >= 0 and most <= 1):
        raise RuntimeError(
            f"{name}: all elements of input should be between 0 and 1; they reach from "
            f"{least:.6g} to {most:.6g}. Use sigmoid, or binary_cross_entropy_with_logits"
        )


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor | float,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """:func:`binary_cross_entropy` of ``sigmoid(input)``; never overflows.

    Args:
        input: Any numbers, any shape.
        target: Numbers in [0, 1] of the same shape, or one for all.
        weight: Factors of the losses, which broadcast; the mean still divides by their number.
        size_average: See above.
        reduce: See above.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
        pos_weight: Factors of ``target log p``, which broadcast.

    Raises:
        TypeError: The target is no tensor of floating point elements.
        ValueError: The shapes differ, or there is no such reduction.
    """
    name = "binary_cross_entropy_with_logits"
    reduction = reduction_of(name, size_average, reduce, reduction)
    _require_target(name, input, target)
    if pos_weight is None:
        losses = ops.binary_cross_entropy_with_logits(input, target)
    else:
        require_floats(name, pos_weight=pos_weight)
        factor = ops.add(ops.mul(ops.sub(pos_weight, 1.0), target), 1.0)
        negative = ops.mul(input, 1.0 - target)
        losses = ops.add(negative, ops.mul(factor, ops.softplus(ops.neg(input))))
        if losses.shape != input.shape:
            raise ValueError(
                f"{name}: a pos_weight of shape {pos_weight.shape} does not broadcast to the "
                f"prediction's shape {input.shape}"
            )
    return _weighted(name, losses, weight, reduction)


# --- Differences ----------------------------------------------------------------------------


def _difference(name: str, input: Any, target: Any) -> Tensor:
    require_floats(name, input=input)
    if not isinstance(target, Tensor | int | float):
        raise TypeError(
            f"{name}: the target is a tensor or a number, not {type(target).__name__}; make one "
            "with scratchgan.tensor"
        )
    if isinstance(target, Tensor) and target.shape != input.shape:
        warnings.warn(
            f"{name}: the target's shape {target.shape} is not the prediction's {input.shape}; "
            "they broadcast, which is rarely what is meant: make them equal",
            stacklevel=3,
        )
    return ops.sub(input, target)


def _weighted_mean(name: str, losses: Tensor, weight: Any, reduction: str) -> Tensor:
    """As :func:`_weighted`, and the mean divides by the sum of the weights."""
    if weight is not None and weight.shape != losses.shape:
        raise ValueError(
            f"{name}: a weight of shape {weight.shape} does not fit the losses' {losses.shape}"
        )
    if weight is None or reduction != "mean":
        return _weighted(name, losses, weight, reduction)
    return ops.div(ops.sum(ops.mul(losses, weight)), ops.sum(weight))


def mse_loss(
    input: Tensor,
    target: Tensor | float,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """``(input - target) ** 2``.

    Args:
        input: Any shape.
        target: The same shape, or one number for all. Another shape broadcasts, with a warning:
            PyTorch's programs may rest on it, and a prediction (N, 1) with a target (N,) is a
            mistake.
        size_average: See above.
        reduce: See above.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
        weight: Factors of the losses; the mean divides by their sum.

    Raises:
        TypeError: The target is neither a tensor nor a number.
        ValueError: The shapes do not broadcast, or there is no such reduction.
    """
    reduction = reduction_of("mse_loss", size_average, reduce, reduction)
    losses = ops.square(_difference("mse_loss", input, target))
    return _weighted_mean("mse_loss", losses, weight, reduction)


def l1_loss(
    input: Tensor,
    target: Tensor | float,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """``|input - target|``; arguments and errors as of :func:`mse_loss`."""
    reduction = reduction_of("l1_loss", size_average, reduce, reduction)
    losses = ops.abs(_difference("l1_loss", input, target))
    return _weighted_mean("l1_loss", losses, weight, reduction)


def smooth_l1_loss(
    input: Tensor,
    target: Tensor | float,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """``d**2 / (2 beta)`` where the difference is below ``beta``, else ``|d| - beta / 2``.

    It is eq. 3 of Girshick 2015, "Fast R-CNN", with ``beta``. Other arguments and errors as of
    :func:`mse_loss`.

    Raises:
        ValueError: ``beta`` is negative.
    """
    reduction = reduction_of("smooth_l1_loss", size_average, reduce, reduction)
    if beta < 0:
        raise ValueError(f"smooth_l1_loss: beta is {beta}; it must be 0 or more")
    difference = _difference("smooth_l1_loss", input, target)
    size = ops.abs(difference)
    if beta:
        near = ops.mul(ops.square(difference), 0.5 / beta)
        size = ops.where(ops.lt(size, beta), near, ops.sub(size, 0.5 * beta))
    return reduced("smooth_l1_loss", size, reduction)


def huber_loss(
    input: Tensor,
    target: Tensor | float,
    reduction: str = "mean",
    delta: float = 1.0,
    weight: Tensor | None = None,
) -> Tensor:
    """``d**2 / 2`` where the difference is below ``delta``, else ``delta (|d| - delta / 2)``.

    See Huber 1964, "Robust estimation of a location parameter"; other arguments and errors as of
    :func:`mse_loss`.

    Raises:
        ValueError: ``delta`` is not positive.
    """
    if not delta > 0:
        raise ValueError(f"huber_loss: delta is {delta}; it must be more than 0")
    difference = _difference("huber_loss", input, target)
    size = ops.abs(difference)
    far = ops.mul(ops.sub(size, 0.5 * delta), delta)
    losses = ops.where(ops.lt(size, delta), ops.mul(ops.square(difference), 0.5), far)
    return _weighted_mean("huber_loss", losses, weight, reduction)


# --- Distributions --------------------------------------------------------------------------

#: KL divergence alone has a mean over samples.
DIVERGENCE_REDUCTIONS: Reductions = {
    **REDUCTIONS,
    "batchmean": lambda losses: ops.div(ops.sum(losses), losses.shape[0] if losses.ndim else 1),
}


def _times_log(x: Tensor) -> Tensor:
    """``x log(x)``, which is 0 at 0."""
    is_zero = ops.eq(x, 0)
    return ops.where(is_zero, 0.0, ops.mul(x, ops.log(ops.where(is_zero, 1.0, x))))


def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """``target (log(target) - input)``: the divergence of ``exp(input)`` from ``target``.

    Args:
        input: Log-probabilities, any shape.
        target: Probabilities of the same shape, or which broadcasts.
        size_average: See above.
        reduce: See above.
        reduction: As above, or ``"batchmean"``: the sum divided by the number of samples, which is
            the mean divergence. ``"mean"`` divides by all elements, and warns.
        log_target: Whether the target is of log-probabilities too.

    Raises:
        ValueError: There is no such reduction.
    """
    reduction = reduction_of("kl_div", size_average, reduce, reduction)
    require_floats("kl_div", input=input, target=target)
    check_reduction("kl_div", reduction, DIVERGENCE_REDUCTIONS)
    if reduction == "mean":
        warnings.warn(
            "kl_div: reduction='mean' divides by the number of all elements; 'batchmean' is the "
            "mean of the samples' divergences",
            stacklevel=2,
        )
    if log_target:
        losses = ops.mul(ops.exp(target), ops.sub(target, input))
    else:
        losses = ops.sub(_times_log(target), ops.mul(target, input))
    return DIVERGENCE_REDUCTIONS[reduction](losses)


def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    size_average: bool | None = None,
    eps: float = 1e-8,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Minus the log-probability of counts under a Poisson distribution.

    Args:
        input: The distribution's mean, or its logarithm.
        target: Counts.
        log_input: Whether it is the logarithm: ``exp(input) - target input``; else ``input - target
            log(input + eps)``.
        full: Whether to add what does not depend on the input, by Stirling's formula, for counts
            above 1: ``target log(target) - target + log(2 pi target) / 2``.
        size_average: See above.
        eps: Keeps the logarithm finite.
        reduce: See above.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Raises:
        ValueError: There is no such reduction.
    """
    reduction = reduction_of("poisson_nll_loss", size_average, reduce, reduction)
    require_tensors("poisson_nll_loss", input=input, target=target)
    if log_input:
        losses = ops.sub(ops.exp(input), ops.mul(target, input))
    else:
        losses = ops.sub(input, ops.mul(target, ops.log(ops.add(input, eps))))
    if full:
        is_small = ops.le(target, 1)
        count = ops.where(is_small, 2.0, target)
        log = ops.log(count)
        stirling = ops.add(
            ops.sub(ops.mul(count, log), count), ops.mul(ops.add(log, math.log(2 * math.pi)), 0.5)
        )
        losses = ops.add(losses, ops.where(is_small, 0.0, stirling))
    return reduced("poisson_nll_loss", losses, reduction)


def gaussian_nll_loss(
    input: Tensor,
    target: Tensor,
    var: Tensor | float,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:
    """Minus the log-probability under a normal distribution (Nix & Weigend 1994).

    It is ``(log(var) + (input - target)**2 / var) / 2``, with ``var`` held above ``eps``, which its
    gradient does not see.

    Args:
        input: The distribution's mean, any shape.
        target: The same shape, or one that broadcasts.
        var: Its variance: of the same shape, of that with a last 1 or without the last dimension,
            or a number.
        full: Whether to add ``log(2 pi) / 2``.
        eps: Least variance.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Raises:
        ValueError: The shapes do not fit together, a variance is negative (not checked while jit
            records), or there is no such reduction.
    """
    require_floats("gaussian_nll_loss", input=input, target=target)
    if isinstance(var, int | float):
        var = ops.add(ops.mul(input.detach(), 0.0), float(var))
    if var.shape != input.shape:
        if var.shape == input.shape[:-1]:
            var = functions.unsqueeze(var, -1)
        elif not (var.shape[:-1] == input.shape[:-1] and var.shape[-1:] == (1,)):
            raise ValueError(
                f"gaussian_nll_loss: a var of shape {var.shape} does not fit the prediction's "
                f"{input.shape}"
            )
    if may_read() and var.numel() and var.dtype.kind == "f" and extremes(var)[0] < 0:
        raise ValueError("gaussian_nll_loss: var has negative elements; a variance is 0 or more")
    # eps where it is less, with the gradient of what it was.
    held = ops.where(ops.lt(var, eps), ops.add(ops.sub(var, var.detach()), eps), var)
    squares = ops.div(ops.square(ops.sub(input, target)), held)
    losses = ops.mul(ops.add(ops.log(held), squares), 0.5)
    if full:
        losses = ops.add(losses, 0.5 * math.log(2 * math.pi))
    return reduced("gaussian_nll_loss", losses, reduction)
