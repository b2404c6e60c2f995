"""Losses of classes: negative log-likelihood and cross-entropy, as functions."""

import math
from typing import Any

from scratchgan import dtypes, functions, ops
from scratchgan.autograd.arguments import require_tensors
from scratchgan.autograd.tensor import Tensor
from scratchgan.backend import kernels_for
from scratchgan.nn.functional.common import (
    check_reduction,
    extremes,
    may_read,
    reduced,
    reduction_of,
    require_floats,
)


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Minus the log-probability of the right class.

    Args:
        input: Log-probabilities, (C,), (N, C) or (N, C, d1, d2, ...).
        target: The right classes, integers from 0 to C - 1, of the input's shape without C.
        weight: A factor for each class, (C,); the mean divides by the sum of the factors.
        size_average: Deprecated, as in :mod:`scratchgan.nn.functional.losses`.
        ignore_index: A target that counts nothing.
        reduce: Deprecated.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``, which gives the target's shape.

    Raises:
        ValueError: The shapes do not fit together, or there is no such reduction.
        TypeError: The classes are no integers.
        IndexError: There is no such class.
    """
    reduction = reduction_of("nll_loss", size_average, reduce, reduction)
    return _of_classes("nll_loss", input, target, weight, ignore_index, reduction)


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """:func:`nll_loss` of ``log_softmax(input)``.

    Args:
        input: Any numbers, (C,), (N, C) or (N, C, d1, d2, ...).
        target: The right classes, integers from 0 to C - 1, of the input's shape without C; or
            probabilities of the classes, floating point, of the input's shape.
        weight: A factor for each class, (C,); for right classes, the mean divides by the sum of the
            factors.
        size_average: Deprecated, as in :mod:`scratchgan.nn.functional.losses`.
        ignore_index: A target that counts nothing.
        reduce: Deprecated.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``, which gives the input's shape without C.
        label_smoothing: The part of each target, from 0 to 1, that is spread evenly over all
            classes (Szegedy et al. 2016, "Rethinking the Inception architecture", section 7).

    Raises:
        ValueError: The shapes do not fit together, ``label_smoothing`` is no probability, or there
            is no such reduction.
        TypeError: The classes are no integers.
        IndexError: There is no such class.
    """
    name = "cross_entropy"
    reduction = reduction_of(name, size_average, reduce, reduction)
    check_reduction(name, reduction)
    require_floats(name, input=input)
    require_tensors(name, target=target)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"{name}: label_smoothing is {label_smoothing}; it must be from 0 to 1")
    if not input.ndim:
        raise ValueError(f"{name}: the prediction is a single number; expected (N, C)")
    dim = 0 if input.ndim == 1 else 1
    logs = ops.log_softmax(input, dim=dim)
    if target.shape == input.shape and target.dtype.kind == "f":
        return _of_probabilities(logs, target, weight, ignore_index, reduction, label_smoothing)
    right = _of_classes(name, logs, target, weight, ignore_index, reduction)
    if not label_smoothing:
        return right
    even = _of_all_classes(name, logs, target, weight, ignore_index, reduction)
    share = label_smoothing / input.shape[dim]
    return ops.add(ops.mul(right, 1 - label_smoothing), ops.mul(even, share))


def _of_probabilities(
    logs: Tensor,
    target: Tensor,
    weight: Tensor | None,
    ignore_index: int,
    reduction: str,
    label_smoothing: float,
) -> Tensor:
    dim = 0 if logs.ndim == 1 else 1
    classes = logs.shape[dim]
    if ignore_index >= 0:
        raise ValueError(
            f"cross_entropy: ignore_index is {ignore_index}, and the target has probabilities, of "
            "which none is ignored; leave it out"
        )
    if label_smoothing:
        target = ops.add(ops.mul(target, 1 - label_smoothing), label_smoothing / classes)
    terms = ops.mul(logs, target)
    if weight is not None:
        _require_weight("cross_entropy", weight, classes)
        terms = ops.mul(terms, functions.reshape(weight, classes, *[1] * max(logs.ndim - 2, 0)))
    losses = ops.neg(ops.sum(terms, dim=dim))
    return reduced("cross_entropy", losses, reduction)


def _require_weight(name: str, weight: Any, classes: int) -> None:
    require_floats(name, weight=weight)
    if weight.shape != (classes,):
        raise ValueError(
            f"{name}: weight has the shape {weight.shape}; expected ({classes},), one number for "
            "each class"
        )


def _of_classes(
    name: str,
    logs: Tensor,
    target: Any,
    weight: Tensor | None,
    ignore_index: int,
    reduction: str,
) -> Tensor:
    """Minus the log-probabilities of the right classes, weighted and reduced."""
    check_reduction(name, reduction)
    require_floats(name, input=logs)
    require_tensors(name, target=target)
    dim = 0 if logs.ndim == 1 else 1
    if not logs.ndim or target.shape != logs.shape[:dim] + logs.shape[dim + 1 :]:
        raise ValueError(
            f"{name}: a prediction of shape {logs.shape} does not fit classes of shape "
            f"{target.shape}; expected (N, C) and (N,), or (N, C, d1, ...) and (N, d1, ...), or "
            "(C,) and ()"
        )
    if target.dtype.kind not in "iu":
        raise TypeError(f"{name}: classes are integers, not {target.dtype}")
    classes = logs.shape[dim]
    flat = logs
    if logs.ndim != 2:
        flat = functions.reshape(functions.movedim(logs, dim, -1), -1, classes)
    chosen = functions.reshape(target, target.numel()) if target.ndim != 1 else target
    # Most targets are as they should be: then nothing has to be ignored, and nothing refused.
    is_simple = weight is None and ignore_index < 0 and may_read()
    is_simple = is_simple and (not chosen.numel() or extremes(chosen)[0] >= 0)
    places = chosen
    if not is_simple:
        counts = ops.ne(chosen, ignore_index)
        places = functions.without_negatives(name, ops.where(counts, chosen, 0), classes)
    kernels = kernels_for[type(logs.array)]
    rows = kernels.empty(chosen.shape, dtypes.int64, like=logs.array)
    kernels.arange(out=rows)
    try:
        found = ops.gather(flat, Tensor(rows), places, template=("array", "array"))
    except IndexError as error:
        raise IndexError(
            f"{name}: there is no such class: {error.__cause__} (classes count from 0)"
        ) from error
    if is_simple:
        plain = ops.neg(found)
        return reduced(
            name, plain if target.ndim == 1 else functions.reshape(plain, target.shape), reduction
        )
    factors = _factors(name, logs, counts, places, weight)
    losses = ops.neg(ops.where(counts, ops.mul(found, factors), 0.0))
    if reduction == "mean":
        return _mean(losses, factors)
    return reduced(name, functions.reshape(losses, target.shape), reduction)


def _mean(losses: Tensor, factors: Tensor) -> Tensor:
    """The sum of the losses over that of the factors; nan where nothing counts."""
    total = ops.sum(factors)
    is_nothing = ops.eq(total, 0)
    mean = ops.div(ops.sum(losses), ops.where(is_nothing, 1.0, total))
    return ops.where(is_nothing, math.nan, mean)


def _factors(
    name: str, logs: Tensor, counts: Tensor, places: Tensor, weight: Tensor | None
) -> Tensor:
    """The weight of each target: its class's, or 1; 0 if it is ignored."""
    if weight is None:
        return counts.to(logs.dtype)
    _require_weight(name, weight, logs.shape[0 if logs.ndim == 1 else 1])
    return ops.where(counts, ops.gather(weight, places, template=("array",)), 0.0)


def _of_all_classes(
    name: str,
    logs: Tensor,
    target: Tensor,
    weight: Tensor | None,
    ignore_index: int,
    reduction: str,
) -> Tensor:
    """Minus the log-probabilities of all classes, weighted, summed and reduced."""
    dim = 0 if logs.ndim == 1 else 1
    classes = logs.shape[dim]
    counts = ops.ne(target, ignore_index)
    terms = logs
    if weight is not None:
        terms = ops.mul(logs, functions.reshape(weight, classes, *[1] * max(logs.ndim - 2, 0)))
    losses = ops.neg(ops.where(counts, ops.sum(terms, dim=dim), 0.0))
    if reduction != "mean":
        return reduced(name, losses, reduction)
    places = functions.reshape(ops.where(counts, target, 0), target.numel())
    factors = _factors(name, logs, functions.reshape(counts, target.numel()), places, weight)
    return _mean(losses, factors)
