"""Attention as a function."""

import math

from scratchgan import dtypes, functions, ops
from scratchgan.autograd.tensor import Tensor
from scratchgan.backend import kernels_for
from scratchgan.nn.functional.common import require_floats
from scratchgan.nn.functional.layers import dropout


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """``softmax(query @ key.mT * scale + mask) @ value`` (Vaswani et al. 2017, eq. 1).

    Args:
        query: (..., L, E).
        key: (..., S, E).
        value: (..., S, V).
        attn_mask: Which keys a query looks at, booleans, or numbers to be added: a shape that
            broadcasts to (..., L, S). A query that looks at none gets zeros.
        dropout_p: Probability of a weight to become zero.
        is_causal: Whether the i-th query looks at the first i keys only; without ``attn_mask``.
        scale: 1/√E if None.
        enable_gqa: Not supported.

    Returns:
        (..., L, V).

    Raises:
        ValueError: The shapes do not fit together, or both a mask and ``is_causal`` are given.
        NotImplementedError: ``enable_gqa`` is True.
    """
    name = "scaled_dot_product_attention"
    require_floats(name, query=query, key=key, value=value)
    if enable_gqa:
        raise NotImplementedError(f"{name}: enable_gqa is not supported; repeat key and value")
    if min(query.ndim, key.ndim, value.ndim) < 2 or query.shape[-1] != key.shape[-1]:
        raise ValueError(
            f"{name}: the shapes {query.shape}, {key.shape} and {value.shape}; expected "
            "(..., L, E), (..., S, E) and (..., S, V)"
        )
    if is_causal and attn_mask is not None:
        raise ValueError(f"{name}: is_causal and attn_mask are two masks; give one of them")
    factor = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = ops.mul(functions.matmul(query, functions.transpose(key, -2, -1)), factor)
    if is_causal:
        attn_mask = _causal_mask(query, key)
    if attn_mask is None:
        weights = functions.softmax(scores, -1)
    else:
        if attn_mask.dtype == dtypes.bool_:
            scores = ops.where(attn_mask, scores, -math.inf)
        else:
            scores = ops.add(scores, attn_mask)
        is_blind = functions.all(ops.eq(scores, -math.inf), -1, keepdim=True)
        weights = functions.softmax(ops.where(is_blind, 0.0, scores), -1)
        weights = ops.where(is_blind, 0.0, weights)
    return functions.matmul(dropout(weights, dropout_p), value)


def _causal_mask(query: Tensor, key: Tensor) -> Tensor:
    """(L, S), true where the key is not behind the query."""
    kernels = kernels_for[type(query.array)]
    numbers = []
    for x in (query, key):
        places = kernels.empty((x.shape[-2],), dtypes.int64, like=query.array)
        kernels.arange(out=places)
        numbers.append(Tensor(places))
    return ops.le(functions.unsqueeze(numbers[1], 0), functions.unsqueeze(numbers[0], 1))
