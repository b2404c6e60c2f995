"""Indexing with brackets and with masks, under PyTorch's names."""

from collections.abc import Iterator
from numbers import Number
from typing import Any, NamedTuple

import numpy as np

from scratchgan import dtypes, ops
from scratchgan.autograd.arguments import checked, common_shape
from scratchgan.autograd.tensor import Tensor, method
from scratchgan.backend import devices, kernels_for
from scratchgan.functions.broadcasting import broadcast_to
from scratchgan.functions.joining import flip, unbind
from scratchgan.functions.shapes import reshape, unsqueeze

# --- x[index] ----------------------------------------------------------------------------


class Parsed(NamedTuple):
    """An index in two steps: a view of the tensor, and what arrays pick from it.

    Attributes:
        basic: Integers, slices and None, for the view.
        template: For the view: ``"array"`` or a whole slice for each of its dimensions.
        arrays: The integers for the ``"array"`` places; none if the view is all.
    """

    basic: tuple[Any, ...]
    template: tuple[Any, ...]
    arrays: list[Tensor]


@checked
def parse_index(x: Tensor, index: Any) -> Parsed:
    """``x[index]`` in PyTorch's order: integers and slices first, then the arrays.

    Masks become the integers of their true elements.

    Raises:
        IndexError: It has more parts than ``x`` has dimensions, a mask has another shape than what
            it masks, or something in it is no index.
    """
    parts = [_part(x, part) for part in (index if isinstance(index, tuple) else (index,))]
    used = sum(_dims_of_part(part) for part in parts)
    if used > x.ndim:
        raise IndexError(f"getitem: {used} indices for a tensor with {x.ndim} dimensions")
    if sum(part is ... for part in parts) > 1:
        raise IndexError("getitem: an index has more than one ellipsis (...)")
    whole = slice(None)
    basic: list[Any] = []
    template: list[Any] = []
    arrays: list[Tensor] = []
    dim = 0
    for part in parts:
        if isinstance(part, int):
            basic.append(part)
        elif not isinstance(part, Tensor):
            count = x.ndim - used if part is ... else 1
            basic += [whole] * count if part is ... else [part]
            template += [whole] * count
        else:
            found = _integers(x, part, dim)
            basic += [whole] * len(found)
            template += ["array"] * len(found)
            arrays += found
        dim += x.ndim - used if part is ... else _dims_of_part(part)
    return Parsed(tuple(basic), tuple(template), arrays)


def _part(x: Tensor, part: Any) -> Any:
    """One part of an index: None, ..., a slice, an integer, or a tensor of integers or truths."""
    if part is None or part is ... or isinstance(part, slice):
        return part
    if isinstance(part, int | np.integer) and not isinstance(part, bool):
        return int(part)
    kernels = kernels_for[type(x.array)]
    array = part.array if isinstance(part, Tensor) else part
    if not hasattr(array, "dtype"):
        array = kernels.from_host(array, like=x.array)
        if array.size == 0:
            array = kernels.from_host([], dtypes.int64, like=x.array)
    elif type(array) is not type(x.array):
        array = devices.moved(array, devices.device_of(x.array))
    if array.dtype.kind not in "biu":
        raise IndexError(f"getitem: an index is made of integers or booleans, not {array.dtype}")
    if _is_mask(array) and not array.ndim:
        raise IndexError("getitem: a boolean without dimensions is an index only by itself")
    # The tensor itself, so that its change in place is noticed.
    return part if isinstance(part, Tensor) and part.array is array else Tensor(array)


def _is_mask(array: Any) -> bool:
    """Whether an index says yes or no; PyTorch's old programs say so in bytes."""
    return bool(array.dtype == dtypes.bool_ or array.dtype == dtypes.uint8)


def _dims_of_part(part: Any) -> int:
    """How many dimensions of the tensor a part of an index is for."""
    if part is None or part is ...:
        return 0
    return part.ndim if isinstance(part, Tensor) and _is_mask(part.array) else 1


def _integers(x: Tensor, part: Tensor, dim: int) -> list[Tensor]:
    if not _is_mask(part.array):
        return [part]
    masked = x.shape[dim : dim + part.ndim]
    if part.shape != masked:
        raise IndexError(f"getitem: a mask of shape {part.shape} does not fit the shape {masked}")
    return [Tensor(found) for found in kernels_for[type(x.array)].nonzero(part.array)]


def truth_of_index(index: Any) -> bool | None:
    """The value of an index that is a single boolean: it adds a dimension of size 1 or 0."""
    array = index.array if isinstance(index, Tensor) else index
    if isinstance(array, bool):
        return array
    if getattr(array, "dtype", None) != dtypes.bool_ or array.ndim:
        return None
    return (
        bool(kernels_for[type(array)].to_host(array)) if isinstance(index, Tensor) else bool(array)
    )


@method("__getitem__")
def getitem(x: Tensor, index: Any) -> Tensor:
    """``x[index]``: a view for integers and slices, a copy for boolean and integer arrays.

    Raises:
        IndexError: As :func:`parse_index`, or an integer is out of range.
    """
    truth = truth_of_index(index)
    if truth is not None:
        return ops.clone(ops.view(unsqueeze(x, 0), index=(slice(int(truth)),)))
    basic, template, arrays = parse_index(x, index)
    if not arrays:
        return ops.view(x, index=basic)
    if any(part != slice(None) for part in basic):
        x = ops.view(x, index=basic)
    # A number picks like an integer: before the arrays, and without a part in their order.
    numbers = [array for array in arrays if not array.ndim]
    if numbers and len(numbers) < len(arrays):
        x, template, arrays = _picked(x, template, arrays)
    return ops.gather(x, *arrays, template=template)


def _picked(
    x: Tensor, template: tuple[Any, ...], arrays: list[Tensor]
) -> tuple[Tensor, tuple[Any, ...], list[Tensor]]:
    """``x`` at those of ``arrays`` that are numbers, and what is left of the index."""
    places = [i for i, part in enumerate(template) if part == "array"]
    left = list(template)
    for place, array in reversed(list(zip(places, arrays, strict=True))):
        if not array.ndim:
            x = ops.gather(x, array, template=(*[slice(None)] * place, "array"))
            del left[place]
    return x, tuple(left), [array for array in arrays if array.ndim]


# --- As a sequence of slices along dim 0 -----------------------------------------------------


@method("__iter__")
def iterate(x: Tensor) -> Iterator[Tensor]:
    """The slices along dim 0, as views.

    Raises:
        TypeError: There is no dim 0.
    """
    if not x.ndim:
        raise TypeError("iter: a tensor without dimensions has no slices")
    return iter(unbind(x))


@method("__reversed__")
def backwards(x: Tensor) -> Tensor:
    """A copy with the slices along dim 0 in reverse order."""
    return flip(x, 0) if x.ndim else x


@method("__contains__")
def contains(x: Tensor, element: Any) -> bool:
    """Whether an element of ``x`` equals ``element``, a number, or one of its elements, a tensor.

    Raises:
        TypeError: It is neither a number nor a tensor.
    """
    if not isinstance(element, Tensor | Number | np.generic):
        raise TypeError(f"in: looks for a number or a tensor, not {type(element).__name__}")
    return bool(ops.eq(x, element).any())


# --- By a mask ---------------------------------------------------------------------------


def _require_mask(name: str, mask: Tensor) -> None:
    if mask.dtype != dtypes.bool_:
        raise TypeError(f"{name}: a mask is made of booleans, not {mask.dtype}")


@method()
@checked
def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """A copy with ``value``, a number, where ``mask`` is true; they broadcast.

    Raises:
        TypeError: The mask is not made of booleans.
    """
    _require_mask("masked_fill", mask)
    if isinstance(value, Tensor):
        if value.ndim:
            raise ValueError(f"masked_fill: value is a number, not of shape {value.shape}")
        return ops.where(mask, value.to(input.dtype), input)
    filled = ops.where(mask, value, input)
    return filled if filled.dtype == input.dtype else filled.to(input.dtype)


@method()
@checked
def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The elements where ``mask`` is true, in row-major order; they broadcast.

    Raises:
        TypeError: The mask is not made of booleans.
        ValueError: The shapes do not broadcast together.
    """
    _require_mask("masked_select", mask)
    shape = common_shape("masked_select", input.shape, mask.shape)
    return getitem(broadcast_to(input, shape), broadcast_to(mask, shape))


@checked
def where(condition: Tensor, input: Any = None, other: Any = None) -> Any:
    """``input`` where ``condition`` is true, else ``other``; they broadcast.

    With ``condition`` alone, the places where it is not zero: ``nonzero(as_tuple=True)``.

    Args:
        condition: Booleans, or bytes in their place; alone, of any type.
        input: A tensor or a number.
        other: A tensor or a number.

    Raises:
        TypeError: ``condition`` is not made of booleans, or one of the others is missing.
        ValueError: The shapes do not broadcast together.
    """
    if input is None and other is None:
        return nonzero(condition, as_tuple=True)
    for name, x in (("input", input), ("other", other)):
        if x is None:
            raise TypeError(f"where: lacks the argument {name!r}")
    if not _is_mask(condition):
        raise TypeError(f"where: condition is made of booleans, not {condition.dtype}")
    return ops.where(condition, input, other)


@method("where")
def _where(input: Tensor, condition: Tensor, other: Any) -> Tensor:
    """``input`` where ``condition`` is true, else ``other``."""
    result: Tensor = where(condition, input, other)
    return result


@method()
@checked
def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """The places of the elements that are not zero, int64 (count, ndim); or a tuple of columns."""
    x = input.detach() if input.ndim else reshape(input.detach(), 1)
    found = kernels_for[type(x.array)].nonzero(ops.ne(x, 0).array)
    columns = tuple([Tensor(places) for places in found])
    if as_tuple:
        return columns
    if not input.ndim:
        return ops.view(unsqueeze(columns[0], 1), index=(slice(None), slice(0)))
    return ops.cat(*[unsqueeze(x, 1) for x in columns], dim=1)
