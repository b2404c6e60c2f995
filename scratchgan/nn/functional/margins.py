"""Losses that ask for a margin, as functions; ``reduction`` and its older words as in losses.py."""

from scratchgan import functions, ops
from scratchgan.autograd.arguments import require_tensors
from scratchgan.autograd.tensor import Tensor
from scratchgan.nn.functional.common import reduced, reduction_of, require_floats
from scratchgan.nn.functional.distances import pairwise_distance


def _positive_part(x: Tensor) -> Tensor:
    """``max(x, 0)``, with the derivative 1 at 0, as in PyTorch's losses."""
    return ops.clip(x, min=0.0)


def soft_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``log(1 + exp(-target input))``, with targets 1 and -1; never overflows.

    Raises:
        ValueError: There is no such reduction.
    """
    reduction = reduction_of("soft_margin_loss", size_average, reduce, reduction)
    require_floats("soft_margin_loss", input=input)
    require_tensors("soft_margin_loss", target=target)
    losses = ops.softplus(ops.neg(ops.mul(target, input)))
    return reduced("soft_margin_loss", losses, reduction)


def hinge_embedding_loss(
    input: Tensor,
    target: Tensor,
    margin: float = 1.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``input`` where the target is 1, ``max(0, margin - input)`` where it is -1.

    Raises:
        ValueError: There is no such reduction.
    """
    reduction = reduction_of("hinge_embedding_loss", size_average, reduce, reduction)
    require_floats("hinge_embedding_loss", input=input)
    require_tensors("hinge_embedding_loss", target=target)
    apart = ops.where(ops.ne(target, 1), _positive_part(ops.sub(margin, input)), 0.0)
    losses = ops.add(apart, ops.where(ops.ne(target, -1), input, 0.0))
    return reduced("hinge_embedding_loss", losses, reduction)


def margin_ranking_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``max(0, -target (input1 - input2) + margin)``: the first larger where the target is 1.

    Raises:
        ValueError: The inputs do not have equally many dimensions, or there is no such reduction.
    """
    reduction = reduction_of("margin_ranking_loss", size_average, reduce, reduction)
    require_tensors("margin_ranking_loss", input1=input1, input2=input2, target=target)
    if not input1.ndim == input2.ndim == target.ndim:
        raise ValueError(
            f"margin_ranking_loss: the shapes {input1.shape}, {input2.shape} and {target.shape}; "
            "they have equally many dimensions"
        )
    order = ops.neg(ops.mul(target, ops.sub(input1, input2)))
    return reduced("margin_ranking_loss", _positive_part(ops.add(order, margin)), reduction)


def cosine_embedding_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``1 - cos`` where the target is 1, ``max(0, cos - margin)`` where it is -1.

    Args:
        input1: (N, D), or (D,).
        input2: As ``input1``.
        target: (N,), or without dimensions.
        margin: From -1 to 1.
        size_average: Deprecated, as in :mod:`scratchgan.nn.functional.losses`.
        reduce: Deprecated.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Raises:
        ValueError: The dimensions do not fit together, or there is no such reduction.
    """
    name = "cosine_embedding_loss"
    reduction = reduction_of(name, size_average, reduce, reduction)
    require_tensors(name, input1=input1, input2=input2, target=target)
    if target.ndim > 1 or not input1.ndim == input2.ndim == target.ndim + 1:
        raise ValueError(
            f"{name}: the shapes {input1.shape}, {input2.shape} and {target.shape}; expected "
            "(N, D), (N, D) and (N,), or (D,), (D,) and ()"
        )
    dim = target.ndim
    product = ops.sum(ops.mul(input1, input2), dim=dim)
    squares = [ops.add(ops.sum(functions.square(x), dim=dim), 1e-12) for x in (input1, input2)]
    cosine = ops.div(product, ops.sqrt(ops.mul(*squares)))
    alike = ops.where(ops.eq(target, 1), ops.sub(1.0, cosine), 0.0)
    apart = _positive_part(ops.sub(cosine, margin))
    losses = ops.add(alike, ops.where(ops.eq(target, -1), apart, 0.0))
    return reduced(name, losses, reduction)


def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``max(0, d(anchor, positive) - d(anchor, negative) + margin)`` (Balntas et al. 2016).

    Args:
        anchor: (N, D), or (D,).
        positive: Alike.
        negative: Unlike.
        margin: By how much farther it should be.
        p: Of the norm; see :func:`pairwise_distance`.
        eps: See there.
        swap: Whether the negative's distance from the positive counts where it is shorter.
        size_average: Deprecated, as in :mod:`scratchgan.nn.functional.losses`.
        reduce: Deprecated.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Raises:
        ValueError: They do not have equally many dimensions, the margin is not positive, or there
            is no such reduction.
    """
    name = "triplet_margin_loss"
    reduction = reduction_of(name, size_average, reduce, reduction)
    require_tensors(name, anchor=anchor, positive=positive, negative=negative)
    if not margin > 0:
        raise ValueError(f"{name}: margin is {margin}; it must be more than 0")
    if not anchor.ndim == positive.ndim == negative.ndim:
        raise ValueError(
            f"{name}: the shapes {anchor.shape}, {positive.shape} and {negative.shape}; they have "
            "equally many dimensions"
        )
    near = pairwise_distance(anchor, positive, p, eps)
    far = pairwise_distance(anchor, negative, p, eps)
    if swap:
        far = ops.minimum(far, pairwise_distance(positive, negative, p, eps))
    losses = _positive_part(ops.add(ops.sub(near, far), margin))
    return reduced(name, losses, reduction)
