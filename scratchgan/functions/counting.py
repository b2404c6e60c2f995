"""Elements counted, looked up in order, and told apart, under PyTorch's names.

None of these has a derivative. How large a result is may depend on the elements.
"""

import math
from typing import Any

from scratchgan import dtypes, ops
from scratchgan.autograd.arguments import checked
from scratchgan.autograd.tensor import Tensor, method
from scratchgan.functions.arithmetic import bitwise_not, clamp
from scratchgan.functions.beside import filled, from_host
from scratchgan.functions.gather_scatter import gather
from scratchgan.functions.indexing import masked_select, nonzero
from scratchgan.functions.joining import cat
from scratchgan.functions.scans import argsort, cumsum, diff, places_along, sort
from scratchgan.functions.shapes import flatten, movedim, reshape

# --- Counted --------------------------------------------------------------------------------


@method()
@checked
def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """How often each integer from 0 to the largest occurs, int64; or the sums of their weights.

    Args:
        input: A vector of integers from 0 on.
        weights: One for each; then the result has their type, or float64 of integers.
        minlength: The least length of the result.

    Raises:
        TypeError: Not integers.
        ValueError: No vector, a negative integer or ``minlength``, or weights that do not fit.
    """
    if input.dtype.kind not in "iu":
        raise TypeError(f"bincount: takes integers, not {input.dtype}")
    if input.ndim != 1 or minlength < 0:
        raise ValueError(
            f"bincount: takes a vector and a minlength from 0 on, not the shape {input.shape} and "
            f"{minlength}"
        )
    if weights is not None and weights.shape != input.shape:
        raise ValueError(f"bincount: {weights.shape} weights of {input.shape} elements")
    length = minlength
    if input.numel():
        least, most = (int(find(input).item()) for find in (ops.amin, ops.amax))
        if least < 0:
            raise ValueError(f"bincount: an element is {least}; none may be negative")
        length = max(length, most + 1)
    if weights is None:
        source = filled(input, input.shape, 1, dtypes.int64)
    else:
        source = weights.detach()
        source = source if source.dtype.kind == "f" else source.to(dtypes.float64)
    places = input.to(dtypes.int64)
    return ops.scatter_add(source, places, shape=(length,), template=("array",))


@method()
@checked
def histc(input: Tensor, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
    """How many elements lie in each of ``bins`` equal parts of [``min``, ``max``].

    Elements beyond are not counted. Where both bounds are equal they are the smallest and the
    largest element; where these are equal too, one less and one more.

    Args:
        input: Of any shape.
        bins: How many parts.
        min: The lower bound.
        max: The upper one, which belongs to the last part.

    Returns:
        (bins,), of the type of ``input``.

    Raises:
        TypeError: The elements are booleans.
        ValueError: ``bins`` is not positive, or bounds are not finite or ``max`` is below ``min``.
    """
    if input.dtype == dtypes.bool_:
        raise TypeError("histc: takes numbers, not booleans")
    x = flatten(input.detach())
    low, high = float(min), float(max)
    if low == high and x.numel():
        low, high = (float(find(x).item()) for find in (ops.amin, ops.amax))
    if low == high:
        low, high = low - 1, high + 1
    if bins < 1 or not low < high or not math.isfinite(high - low):
        raise ValueError(f"histc: {bins} parts of [{low}, {high}]; give finite bounds in order")
    inside = masked_select(x, ops.bitwise_and(ops.ge(x, low), ops.le(x, high)))
    share = (inside.to(dtypes.float64) - low) * (bins / (high - low))
    places = clamp(ops.floor(share).to(dtypes.int64), max=bins - 1)
    return bincount(places, minlength=bins).to(input.dtype)


# --- Looked up ------------------------------------------------------------------------------


@checked
def searchsorted(
    sorted_sequence: Tensor,
    input: Any,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Tensor | None = None,
) -> Tensor:
    """Where each value would stand in an ascending sequence: how many elements are below it.

    Args:
        sorted_sequence: A vector, or along its last dimension one for each row of ``input``.
        input: Values: a tensor, or a number.
        out_int32: Whether the result is int32 and not int64.
        right: Whether elements that are equal count as below.
        side: ``"left"`` or ``"right"``, another word for ``right``.
        sorter: The places of the elements in ascending order, where the sequence is in none.

    Returns:
        Of the shape of ``input``.

    Raises:
        TypeError: ``sorter`` is not int64.
        ValueError: The shapes do not fit, or ``side`` is neither word or contradicts ``right``.
    """
    if side not in (None, "left", "right") or (side == "left" and right):
        raise ValueError(
            f"searchsorted: side is {side!r} and right {right}; give one, left or right"
        )
    sequence = sorted_sequence.detach()
    if not isinstance(input, Tensor):
        input = from_host(sequence, input)
    if not sequence.ndim:
        raise ValueError("searchsorted: the sequence is a number; it needs a dimension")
    if sequence.ndim > 1 and sequence.shape[:-1] != input.shape[:-1]:
        raise ValueError(
            f"searchsorted: sequences of shape {sequence.shape} for values of shape {input.shape}; "
            "all but the last size must be equal"
        )
    if sorter is not None:
        if sorter.dtype != dtypes.int64:
            raise TypeError(f"searchsorted: sorter is int64, not {sorter.dtype}")
        if sorter.shape != sequence.shape:
            raise ValueError(
                f"searchsorted: sorter has the shape {sorter.shape}, not that of the sequence"
            )
        sequence = gather(sequence, -1, sorter)
    found = _found(sequence, input.detach(), right or side == "right")
    return found.to(dtypes.int32) if out_int32 else found


def _found(sequence: Tensor, values: Tensor, right: bool) -> Tensor:
    """By halves: the largest step first, as long as what is skipped is below the value."""
    length = sequence.shape[-1]
    rows = reshape(values, -1) if sequence.ndim == 1 else values
    place = ops.mul(ops.ne(rows, rows), 0).to(dtypes.int64)
    step = 1 << max(length.bit_length() - 1, 0)
    while step and length:
        further = ops.add(place, step)
        looked_at = gather(sequence, -1, clamp(further, max=length) - 1)
        # Written so that nan stands behind all numbers.
        is_above = ops.gt(looked_at, rows) if right else ops.ge(looked_at, rows)
        goes = ops.bitwise_and(bitwise_not(is_above), ops.le(further, length))
        place = ops.where(goes, further, place)
        step //= 2
    return reshape(place, values.shape)


@checked
def bucketize(
    input: Any, boundaries: Tensor, *, out_int32: bool = False, right: bool = False
) -> Tensor:
    """Between which of ascending ``boundaries`` each value lies; as :func:`searchsorted`.

    Raises:
        ValueError: The boundaries are no vector.
    """
    if boundaries.ndim != 1:
        raise ValueError(f"bucketize: boundaries are a vector, not of shape {boundaries.shape}")
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)


def isin(
    elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False
) -> Tensor:
    """Where an element is among ``test_elements``; one of both may be a number.

    Args:
        elements: What is looked for.
        test_elements: Among what.
        assume_unique: Taken for PyTorch's sake: it makes no difference.
        invert: Whether True stands where it is not.

    Raises:
        TypeError: Both are numbers.
    """
    like = next((x for x in (elements, test_elements) if isinstance(x, Tensor)), None)
    if like is None:
        raise TypeError("isin: one of elements and test_elements must be a tensor")
    x, among = (
        y.detach() if isinstance(y, Tensor) else from_host(like, y, dtypes.of_number(y))
        for y in (elements, test_elements)
    )
    ordered = sort(flatten(among), 0).values
    if ordered.numel():
        place = clamp(searchsorted(ordered, x), max=ordered.numel() - 1)
        found = ops.eq(gather(ordered, 0, flatten(place)).reshape(x.shape), x)
    else:
        found = filled(x, x.shape, False, dtypes.bool_)
    return bitwise_not(found) if invert else found


@method()
@checked
def argwhere(input: Tensor) -> Tensor:
    """The places of the elements that are not zero, int64 (count, ndim)."""
    places: Tensor = nonzero(input)
    return places


# --- Told apart -----------------------------------------------------------------------------


@method()
@checked
def unique(
    input: Tensor,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """The elements that differ, in order of size; or the slices along ``dim`` that do.

    Args:
        input: Of any shape.
        sorted: Taken for PyTorch's sake: they are in order.
        return_inverse: Whether to give for each element also where it stands in the result.
        return_counts: Whether to give also how often each occurs.
        dim: Along which slices are compared; elements if None.

    Returns:
        The tensor; or a tuple of it and what else is asked for.

    Raises:
        IndexError: There is no such dimension.
    """
    rows = _as_rows("unique", input, dim)
    order = places_along(filled(rows, rows.shape[:1], 0), 0)
    for column in range(rows.shape[1] - 1, -1, -1):  # the last first: equal ones keep their order
        order = order[argsort(rows[:, column][order])]
    return _told_apart(input, rows[order], order, dim, return_inverse, return_counts)


@method()
@checked
def unique_consecutive(
    input: Tensor,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """The elements without those that equal the one before; arguments as :func:`unique`."""
    rows = _as_rows("unique_consecutive", input, dim)
    return _told_apart(input, rows, None, dim, return_inverse, return_counts)


def _as_rows(name: str, input: Tensor, dim: int | None) -> Tensor:
    """The slices that are compared, as the rows of a matrix."""
    x = input.detach()
    if dim is None:
        return reshape(x, -1, 1)
    along = movedim(x, ops.dim_of(name, dim, x.ndim), 0) if x.ndim else reshape(x, 1)
    width = math.prod(along.shape[1:])
    if not width and along.shape[0]:
        raise ValueError(f"{name}: slices along dim {dim} of the shape {x.shape} have no elements")
    return reshape(along, along.shape[0], width)


def _told_apart(
    input: Tensor,
    rows: Tensor,
    order: Tensor | None,
    dim: int | None,
    return_inverse: bool,
    return_counts: bool,
) -> Any:
    """Rows that differ from the one before; ``order`` says which of the input they are."""
    differs = ops.ne(rows[1:], rows[:-1]).any(1)
    is_new = cat([filled(differs, (min(rows.shape[0], 1),), True), differs])
    firsts = nonzero(is_new)[:, 0]
    kept, number = rows[firsts], cumsum(is_new, 0) - 1
    inverse = number if order is None else ops.put(number, number, order, template=("array",))
    counts = diff(firsts, append=filled(firsts, (1,), rows.shape[0]))
    if dim is None:
        found, inverse = kept[:, 0], reshape(inverse, input.shape)
    else:
        rest = [n for i, n in enumerate(input.shape) if i != dim % max(input.ndim, 1)]
        found = movedim(reshape(kept, kept.shape[0], *rest), 0, dim if input.ndim else 0)
    results = (found, *[inverse] * return_inverse, *[counts] * return_counts)
    return results if len(results) > 1 else found
