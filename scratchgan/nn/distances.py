"""Distances: modules that compare two tensors of vectors."""

from scratchgan.autograd.tensor import Tensor
from scratchgan.nn import functional
from scratchgan.nn.module import Module


class CosineSimilarity(Module):
    """Cosine of the angle between vectors along ``dim``; see :func:`functional.cosine_similarity`.

    Args:
        dim: Along which the vectors lie.
        eps: Least length of a vector.
    """

    def __init__(self, dim: int = 1, eps: float = 1e-8) -> None:
        self.dim = dim
        self.eps = eps

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        """Two tensors of vectors, whose other dimensions broadcast."""
        return functional.cosine_similarity(x1, x2, self.dim, self.eps)


class PairwiseDistance(Module):
    """The p-norm of ``x1 - x2 + eps`` along the last dimension.

    Args:
        p: Of the norm.
        eps: Keeps the derivative finite where both are equal.
        keepdim: Whether the last dimension stays, of size 1.
    """

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> None:
        self.norm = p
        self.eps = eps
        self.keepdim = keepdim

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        """(N, D) and (N, D), or (D,) and (D,), to (N,) or to a number."""
        return functional.pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)
