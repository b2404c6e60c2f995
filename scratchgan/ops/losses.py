# Lambdas name primitives that stand further down, whose types mypy has not inferred yet.
# mypy: disable-error-code="has-type"
"""Binary cross-entropy, of probabilities and of logits, elementwise."""

import math
from typing import Any

from scratchgan.autograd.elementwise import elementwise
from scratchgan.ops.activations import sigmoid
from scratchgan.ops.elementwise import abs, clip, le, log, where

#: Below this ``p (1 - p)`` is held in the derivative of binary_cross_entropy, as in PyTorch.
SMALLEST_VARIANCE = 1e-12


@elementwise(
    takes="f",
    p=lambda g, p, target: binary_cross_entropy_backward(g, p, target),
    target=lambda g, p: g * (_clamped_log(1.0 - p) - _clamped_log(p)),
)
def binary_cross_entropy(p: float, target: float) -> float:
    """``-target log p - (1 - target) log(1 - p)``, each logarithm held above -100."""
    log_p = math.log(p)
    log_q = math.log1p(-p)
    return (target - 1) * (-100 if log_q < -100 else log_q) - target * (
        -100 if log_p < -100 else log_p
    )


def _clamped_log(p: Any) -> Any:
    return clip(log(p), min=-100.0)


# d/dp of (p - t) / (p (1 - p)); beyond SMALLEST_VARIANCE the denominator is a constant.
@elementwise(
    gradient=lambda g, p, target: binary_cross_entropy_backward(g, p, target),
    p=lambda g, gradient, p, target: g * gradient * _cross_entropy_curvature(p, target),
    target=lambda g, gradient, p: -(g * (gradient / _variance(p))),
)
def binary_cross_entropy_backward(gradient: float, p: float, target: float) -> float:
    """The gradient of ``p`` from that of ``binary_cross_entropy(p, target)``."""
    variance = p * (1 - p)
    return gradient * (p - target) / (1e-12 if variance < 1e-12 else variance)


def _variance(p: Any) -> Any:
    return clip(p * (1.0 - p), min=SMALLEST_VARIANCE)


def _cross_entropy_curvature(p: Any, target: Any) -> Any:
    variance = _variance(p)
    bent = where(le(variance, SMALLEST_VARIANCE), 0.0, 1.0 - 2.0 * p)
    return (1.0 - (p - target) * bent / variance) / variance


@elementwise(
    takes="f",
    x=lambda g, x, target: g * (sigmoid(x) - target),
    target=lambda g, x: -(g * x),
)
def binary_cross_entropy_with_logits(x: float, target: float) -> float:
    """:func:`binary_cross_entropy` of ``sigmoid(x)``; never overflows."""
    return (-x * target if x <= 0 else x * (1 - target)) + math.log1p(math.exp(-abs(x)))
