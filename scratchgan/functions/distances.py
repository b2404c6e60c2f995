"""Distances between points, and lengths that are limited, under PyTorch's names."""

import numpy as np

from scratchgan import ops
from scratchgan.autograd.arguments import checked
from scratchgan.autograd.tensor import Tensor, method
from scratchgan.functions.beside import places_beside
from scratchgan.functions.gather_scatter import index_select
from scratchgan.functions.reductions import norm
from scratchgan.functions.shapes import unsqueeze

_MODES = (
    "use_mm_for_euclid_dist_if_necessary",
    "use_mm_for_euclid_dist",
    "donot_use_mm_for_euclid_dist",
)


@checked
def cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: str | None = _MODES[0]) -> Tensor:
    """The distance of each point of ``x1`` from each of ``x2``.

    Differences are taken before they are squared, so that points that lie close together have an
    exact distance; they need (..., P, R, M) numbers of memory.

    Args:
        x1: (..., P, M): P points.
        x2: (..., R, M).
        p: As in :func:`norm`.
        compute_mode: Taken for PyTorch's sake: it makes no difference.

    Returns:
        (..., P, R).

    Raises:
        TypeError: The elements are not floating point.
        ValueError: The shapes do not fit, ``p`` is negative, or there is no such mode.
    """
    _require_points("cdist", p, x1, x2)
    if compute_mode is not None and compute_mode not in _MODES:
        raise ValueError(f"cdist: compute_mode is {compute_mode!r}; choose one of {_MODES}")
    if x1.ndim < 2 or x2.ndim < 2 or x1.shape[-1] != x2.shape[-1]:
        raise ValueError(
            f"cdist: points of shapes {x1.shape} and {x2.shape}; they are (..., P, M), (..., R, M)"
        )
    return _lengths(ops.sub(unsqueeze(x1, -2), unsqueeze(x2, -3)), p)


@checked
def pdist(input: Tensor, p: float = 2.0) -> Tensor:
    """The distances of all pairs of the N points of a matrix (N, M): (N (N - 1) / 2,).

    Raises:
        TypeError: The elements are not floating point.
        ValueError: No matrix, or ``p`` is negative.
    """
    _require_points("pdist", p, input)
    if input.ndim != 2:
        raise ValueError(f"pdist: takes points (N, M), not the shape {input.shape}")
    pairs = np.triu_indices(input.shape[0], 1)
    first, second = (places_beside(input, places) for places in pairs)
    return _lengths(ops.sub(index_select(input, 0, first), index_select(input, 0, second)), p)


def _lengths(differences: Tensor, p: float) -> Tensor:
    if not differences.shape[-1]:
        return ops.sum(differences, dim=-1)
    return norm(differences, p, dim=-1)


def _require_points(name: str, p: float, *points: Tensor) -> None:
    if p < 0:
        raise ValueError(f"{name}: p is {p}; it must not be negative")
    for x in points:
        if x.dtype.kind != "f":
            raise TypeError(f"{name}: takes floating point elements, not {x.dtype}")


@method()
@checked
def renorm(input: Tensor, p: float, dim: int, maxnorm: float) -> Tensor:
    """The slices along ``dim``, those that are longer than ``maxnorm`` scaled down to that.

    Raises:
        IndexError: There is no such dimension.
        ValueError: Less than two dimensions, ``p`` is not positive, or ``maxnorm`` negative.
    """
    dim = ops.dim_of("renorm", dim, input.ndim)
    if input.ndim < 2 or p <= 0 or maxnorm < 0:
        raise ValueError(
            f"renorm: of the shape {input.shape}, with p = {p} and maxnorm = {maxnorm}; it takes "
            "two dimensions or more, a positive p, and a maxnorm from 0 on"
        )
    others = tuple(i for i in range(input.ndim) if i != dim)
    length = norm(input, p, others, keepdim=True)
    scale = ops.where(ops.gt(length, maxnorm), maxnorm / (length + 1e-7), 1.0)
    return ops.mul(input, scale)
