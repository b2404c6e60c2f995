"""Norms, distances and similarities as functions."""

import math

import numpy as np

from scratchgan import functions, ops
from scratchgan.autograd.arguments import common_shape, require_tensors
from scratchgan.autograd.tensor import Tensor
from scratchgan.functions.beside import places_beside
from scratchgan.nn.functional.common import require_floats


def _norm(x: Tensor, p: float, dim: int, keepdim: bool) -> Tensor:
    """``sum(|x| ** p) ** (1 / p)`` along ``dim``; where it is 0 the derivative is 0."""
    if p == 0:
        return ops.sum(ops.square(ops.sign(x)), dim=dim, keepdim=keepdim)
    if p == math.inf:
        return ops.amax(ops.abs(x), dim=dim, keepdim=keepdim)
    if p == 1:
        return ops.sum(ops.abs(x), dim=dim, keepdim=keepdim)
    is_zero = ops.eq(x, 0)
    if p == 2:
        powers = ops.square(x)
    elif p > 1:
        powers = ops.where(is_zero, 0.0, ops.pow(ops.abs(ops.where(is_zero, 1.0, x)), float(p)))
    else:
        powers = ops.pow(ops.abs(x), float(p))
    total = ops.sum(powers, dim=dim, keepdim=keepdim)
    is_nothing = ops.eq(total, 0)
    filled = ops.where(is_nothing, 1.0, total)
    root = ops.sqrt(filled) if p == 2 else ops.pow(filled, 1 / p)
    return ops.where(is_nothing, 0.0, root)


def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """``x / max(norm, eps)``, with the p-norm along ``dim``."""
    require_floats("normalize", input=input)
    dim = ops.dim_of("normalize", dim, input.ndim)
    return ops.div(input, ops.clip(_norm(input, p, dim, True), min=eps))


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """Cosine of the angle between vectors along ``dim``; their other dimensions broadcast.

    Args:
        x1: Vectors.
        x2: Vectors.
        dim: Along which they lie.
        eps: Least length of a vector.
    """
    require_floats("cosine_similarity", x1=x1, x2=x2)
    shape = common_shape("cosine_similarity", x1.shape, x2.shape)
    dim = ops.dim_of("cosine_similarity", dim, len(shape))
    units = []
    for x in (x1, x2):
        wide = x if x.shape == shape else functions.broadcast_to(x, shape)
        units.append(ops.div(wide, _held(_norm(wide, 2, dim, True), eps)))
    return ops.sum(ops.mul(*units), dim=dim)


def _held(x: Tensor, least: float) -> Tensor:
    """``x``, or ``least`` where it is below, with the gradient of ``x``, as in PyTorch."""
    moved = ops.add(ops.sub(x, x.detach()), least)
    return ops.where(ops.lt(x, least), moved, x)


def pairwise_distance(
    x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Tensor:
    """The p-norm of ``x1 - x2 + eps`` along the last dimension; the others broadcast."""
    require_tensors("pairwise_distance", x1=x1, x2=x2)
    return _norm(ops.add(ops.sub(x1, x2), eps), p, -1, keepdim)


def pdist(input: Tensor, p: float = 2.0) -> Tensor:
    """The p-norms of the differences of all pairs of rows: (N, M) to (N (N - 1) / 2,).

    Raises:
        ValueError: The input is no matrix, or ``p`` is negative.
    """
    require_floats("pdist", input=input)
    if input.ndim != 2:
        raise ValueError(f"pdist: the input is a matrix, not of shape {input.shape}")
    if not p >= 0:
        raise ValueError(f"pdist: p is {p}; it must be 0 or more")
    first, second = (
        ops.gather(input, places_beside(input, rows), template=("array",))
        for rows in np.triu_indices(input.shape[0], 1)
    )
    return _norm(ops.sub(first, second), p, 1, False)
