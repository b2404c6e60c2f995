"""Losses: modules that score a prediction against a target, under PyTorch's names.

Each has ``reduction``: ``"mean"`` of the elements' losses, their ``"sum"``, or ``"none"`` for the
losses as they are. The formulas stand in :mod:`scratchgan.nn.functional`.
"""

from scratchgan.autograd.tensor import Tensor
from scratchgan.nn import functional
from scratchgan.nn.module import Module


class _Loss(Module):
    def __init__(self, reduction: str = "mean") -> None:
        functional.check_reduction(type(self).__name__, reduction)
        self.reduction = reduction


class BCELoss(_Loss):
    """Binary cross-entropy of probabilities (:func:`functional.binary_cross_entropy`)."""

    def forward(self, p: Tensor, target: Tensor | float) -> Tensor:
        """Probabilities in [0, 1] and targets in [0, 1], of one shape."""
        return functional.binary_cross_entropy(p, target, self.reduction)


class BCEWithLogitsLoss(_Loss):
    """Binary cross-entropy of ``sigmoid(x)``; never overflows, where BCELoss must clamp."""

    def forward(self, x: Tensor, target: Tensor | float) -> Tensor:
        """Any numbers ``x`` and targets in [0, 1], of one shape."""
        return functional.binary_cross_entropy_with_logits(x, target, self.reduction)


class MSELoss(_Loss):
    """Squared differences."""

    def forward(self, x: Tensor, target: Tensor | float) -> Tensor:
        """Two tensors of one shape."""
        return functional.mse_loss(x, target, self.reduction)


class CrossEntropyLoss(_Loss):
    """Negative log-probability of the right class under the softmax of the logits."""

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Logits (N, C), and N integers from 0 to C - 1."""
        return functional.cross_entropy(logits, target, self.reduction)
