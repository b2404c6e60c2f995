"""Indexing, under PyTorch's names."""

from typing import Any, NamedTuple

import numpy as np

from scratchgan import dtypes, ops
from scratchgan.autograd.tensor import Tensor, method
from scratchgan.backend import devices, kernels_for
from scratchgan.functions.shapes import broadcast_to, reshape, unsqueeze
from scratchgan.functions.words import numpy_words

# --- x[index] -----------------------------------------------------------------------------


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


def parse_index(x: Tensor, index: Any) -> Parsed:
    """What ``x[index]`` means in PyTorch: integers and slices first, then the arrays.

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
    return Tensor(array)


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
        return ops.view(unsqueeze(x, 0), index=(slice(int(truth)),))
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


# --- Along one dimension ------------------------------------------------------------------


def without_negatives(name: str, index: Tensor, size: int) -> Tensor:
    """Integers from 0 on, of which those below 0 are made to name nothing.

    No value is read, so that a replay can do it: what is out of range is refused where it is used.

    Raises:
        TypeError: They are no integers.
    """
    if index.dtype.kind not in "iu":
        raise TypeError(f"{name}: an index is made of integers, not {index.dtype}")
    if index.dtype.kind == "u":
        return index
    return ops.where(ops.lt(index, 0), size, index)


def _along(name: str, input: Tensor, dim: int, index: Tensor) -> tuple[Tensor, ...]:
    """For each dimension the integers by which ``index`` names elements along ``dim``."""
    if index.ndim != input.ndim:
        raise ValueError(
            f"{name}: an index of shape {index.shape} for a tensor of shape {input.shape}; they "
            "have as many dimensions"
        )
    kernels = kernels_for[type(input.array)]
    found = []
    for i, n in enumerate(index.shape):
        if i == dim:
            found.append(without_negatives(name, index, input.shape[dim]))
            continue
        if n > input.shape[i]:
            raise ValueError(
                f"{name}: an index of shape {index.shape} reaches beyond a tensor of shape "
                f"{input.shape} along dim {i}"
            )
        places = kernels.empty((n,), dtypes.int64, like=input.array)
        kernels.arange(out=places)
        found.append(Tensor(places).reshape([-1 if k == i else 1 for k in range(index.ndim)]))
    return tuple(found)


@method()
@numpy_words
def gather(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The elements that ``index`` names along ``dim``: ``out[i, j] = input[index[i, j], j]``.

    Args:
        input: Of any shape.
        dim: Along which it is picked.
        index: Integers from 0 on, with as many dimensions, none but ``dim`` longer than that of
            ``input``.

    Returns:
        Of the shape of ``index``.

    Raises:
        IndexError: There is no such dimension, or no such element.
        TypeError: The index is not made of integers.
        ValueError: Its shape does not fit.
    """
    dim = ops.dim_of("gather", dim, input.ndim)
    if not input.ndim:
        return broadcast_to(input, index.shape)
    if not index.numel():
        return ops.view(input, index=(slice(0),)).reshape(-1)[:0].reshape(index.shape)
    places = _along("gather", input, dim, index)
    return ops.gather(input, *places, template=("array",) * input.ndim)


@method()
@numpy_words
def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The slices along ``dim`` that a vector of integers names.

    Raises:
        IndexError: There is no such dimension, or no such slice.
        TypeError: The index is not made of integers.
        ValueError: It is no vector.
    """
    dim = ops.dim_of("index_select", dim, input.ndim)
    if index.ndim > 1:
        raise ValueError(f"index_select: the index is a vector, not of shape {index.shape}")
    if not input.ndim:
        return reshape(reshape(input, 1)[reshape(index, -1)], ())
    places = without_negatives("index_select", reshape(index, -1), input.shape[dim])
    return ops.gather(input, places, template=(*[slice(None)] * dim, "array"))


@method()
@numpy_words
def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """As :func:`gather`, with the arguments broadcast; without ``dim`` of all elements."""
    if dim is None:
        return take_along_dim(reshape(input, -1), reshape(indices, -1), 0)
    dim = ops.dim_of("take_along_dim", dim, input.ndim)
    shapes = [list(x.shape) for x in (input, indices)]
    lengths = [shape[dim] for shape in shapes]
    for shape in shapes:
        shape[dim] = 1
    common = list(np.broadcast_shapes(*map(tuple, shapes)))
    wide = []
    for x, length in zip((input, indices), lengths, strict=True):
        wide.append(broadcast_to(x, [length if i == dim else n for i, n in enumerate(common)]))
    x, index = wide
    return gather(x, dim, ops.where(ops.lt(index, 0), ops.add(index, x.shape[dim]), index))


# --- By a mask ----------------------------------------------------------------------------


def _require_mask(name: str, mask: Tensor) -> None:
    if mask.dtype != dtypes.bool_:
        raise TypeError(f"{name}: a mask is made of booleans, not {mask.dtype}")


@method()
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
def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The elements where ``mask`` is true, in row-major order; they broadcast.

    Raises:
        TypeError: The mask is not made of booleans.
    """
    _require_mask("masked_select", mask)
    shape = np.broadcast_shapes(input.shape, mask.shape)
    return getitem(broadcast_to(input, shape), broadcast_to(mask, shape))


@method()
def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """The places of the elements that are not zero, int64 (count, ndim); or a tuple of columns."""
    x = input.detach() if input.ndim else reshape(input.detach(), 1)
    found = kernels_for[type(x.array)].nonzero(ops.ne(x, 0).array)
    columns = tuple([Tensor(places) for places in found])
    if as_tuple:
        return columns
    if not input.ndim:
        return ops.view(unsqueeze(columns[0], 1), index=(slice(None), slice(0)))
    return ops.concatenate(*[unsqueeze(x, 1) for x in columns], dim=1)


# --- Writing along one dimension ----------------------------------------------------------


def _sources(name: str, input: Tensor, dim: int, index: Tensor, src: Any) -> tuple[Any, Any]:
    """Where in ``input`` something is written, as integers for each dimension, and what."""
    if isinstance(src, Tensor):
        if src.dtype != input.dtype:
            raise TypeError(f"{name}: the types {input.dtype} and {src.dtype} differ")
        if src.ndim != index.ndim or any(
            n > m for n, m in zip(index.shape, src.shape, strict=True)
        ):
            raise ValueError(
                f"{name}: an index of shape {index.shape} does not fit src of shape {src.shape}"
            )
        if src.shape != index.shape:
            src = ops.view(src, index=tuple([slice(0, n) for n in index.shape]))
    return _along(name, input, dim, index), src


@method()
@numpy_words
def scatter(
    input: Tensor,
    dim: int,
    index: Tensor,
    src: Any = None,
    *,
    value: Any = None,
    reduce: str | None = None,
) -> Tensor:
    """A copy with ``src`` at the places that ``index`` names: ``out[index[i, j], j] = src[i, j]``.

    Args:
        input: Of any shape.
        dim: Along which places are named.
        index: Integers from 0 on, with as many dimensions.
        src: A tensor of the same type, no smaller than ``index``; or a number.
        value: A number.
        reduce: ``"add"``, as :func:`scatter_add`; None to replace.

    Raises:
        IndexError: There is no such dimension, or no such place.
        TypeError: The types differ, or the index is not made of integers.
        ValueError: The shapes do not fit.
    """
    given = value if src is None else src
    if given is None:
        raise TypeError("scatter: neither src nor value is given")
    dim = ops.dim_of("scatter", dim, input.ndim)
    if reduce is not None:
        if reduce != "add":
            raise ValueError(f"scatter: reduce is {reduce!r}; only 'add' is there")
        if not isinstance(given, Tensor):
            given = ops.add(ops.mul(index, 0).to(input.dtype), given).to(input.dtype)
        return scatter_add(input, dim, index, given)
    if not input.ndim:
        return scatter(reshape(input, 1), 0, reshape(index, -1), _as_line(given)).reshape(())
    if not index.numel():
        return input.clone()
    if not isinstance(given, Tensor):
        given = input.dtype.type(given).item()
    places, given = _sources("scatter", input, dim, index, given)
    return ops.put(input, given, *places, template=("array",) * input.ndim)


@method()
@numpy_words
def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """A copy to which ``src`` is added at the places that ``index`` names; as :func:`scatter`."""
    dim = ops.dim_of("scatter_add", dim, input.ndim)
    if not input.ndim:
        return scatter_add(reshape(input, 1), 0, reshape(index, -1), _as_line(src)).reshape(())
    if not index.numel():
        return input.clone()
    places, src = _sources("scatter_add", input, dim, index, src)
    added = ops.scatter_add(src, *places, shape=input.shape, template=("array",) * input.ndim)
    return ops.add(input, added)


def _as_line(x: Any) -> Any:
    return reshape(x, -1) if isinstance(x, Tensor) else x


def _slices(name: str, input: Tensor, dim: int, index: Tensor) -> tuple[Tensor, Any]:
    """The slices of ``input`` that a vector names along ``dim``: integers, and a template."""
    if index.ndim > 1:
        raise ValueError(f"{name}: the index is a vector, not of shape {index.shape}")
    places = without_negatives(name, reshape(index, -1), input.shape[dim])
    return places, (*[slice(None)] * dim, "array")


@method()
@numpy_words
def index_add(
    input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: float = 1
) -> Tensor:
    """A copy to whose slices along ``dim`` those of ``alpha * source`` are added.

    Raises:
        IndexError: There is no such dimension, or no such slice.
        TypeError: The types differ, or the index is not made of integers.
        ValueError: The shapes do not fit.
    """
    dim = ops.dim_of("index_add", dim, input.ndim)
    if source.dtype != input.dtype:
        raise TypeError(f"index_add: the types {input.dtype} and {source.dtype} differ")
    if not input.ndim:
        line = index_add(reshape(input, 1), 0, index, reshape(source, -1), alpha=alpha)
        return line.reshape(())
    places, template = _slices("index_add", input, dim, index)
    _require_slices("index_add", input, dim, index, source)
    scaled = source if alpha == 1 else ops.mul(source, alpha)
    return ops.add(input, ops.scatter_add(scaled, places, shape=input.shape, template=template))


def _require_slices(name: str, input: Tensor, dim: int, index: Tensor, source: Tensor) -> None:
    wanted = (*input.shape[:dim], index.numel(), *input.shape[dim + 1 :])
    if source.shape != wanted:
        raise ValueError(f"{name}: source has the shape {source.shape}; expected {wanted}")


@method()
@numpy_words
def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """A copy whose slices along ``dim`` are those of ``source``; errors as :func:`index_add`."""
    dim = ops.dim_of("index_copy", dim, input.ndim)
    if source.dtype != input.dtype:
        raise TypeError(f"index_copy: the types {input.dtype} and {source.dtype} differ")
    if not input.ndim:
        return index_copy(reshape(input, 1), 0, index, reshape(source, -1)).reshape(())
    places, template = _slices("index_copy", input, dim, index)
    _require_slices("index_copy", input, dim, index, source)
    return ops.put(input, source, places, template=template)


@method()
@numpy_words
def index_fill(input: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """A copy with a number in the slices along ``dim`` that a vector names."""
    dim = ops.dim_of("index_fill", dim, input.ndim)
    if isinstance(value, Tensor):
        if value.ndim:
            raise ValueError(f"index_fill: value is a number, not of shape {value.shape}")
        value = value.to(input.dtype)
    if not input.ndim:
        return index_fill(reshape(input, 1), 0, index, value).reshape(())
    places, template = _slices("index_fill", input, dim, index)
    # By a mask: a slice that is named twice is filled once, and so is its derivative.
    kernels = kernels_for[type(input.array)]
    mask = kernels.empty(input.shape, dtypes.bool_, like=input.array)
    kernels.fill(False, out=mask)
    filled = ops.where(ops.put(Tensor(mask), True, places, template=template), value, input)
    return filled if filled.dtype == input.dtype else filled.to(input.dtype)


@method()
@numpy_words
def repeat_interleave(
    input: Tensor, repeats: Any, dim: int | None = None, *, output_size: int | None = None
) -> Tensor:
    """Each slice along ``dim`` that many times, one after another.

    Args:
        input: Of any shape.
        repeats: A number, or one for each slice.
        dim: None for all elements, in row-major order.
        output_size: Nothing: in PyTorch it saves counting.

    Raises:
        IndexError: There is no such dimension.
        ValueError: A number is negative, or there are not as many as slices.
    """
    if dim is None:
        return repeat_interleave(reshape(input, -1), repeats, 0)
    dim = ops.dim_of("repeat_interleave", dim, input.ndim)
    x = input if input.ndim else reshape(input, 1)
    counts = np.asarray(repeats.tolist() if isinstance(repeats, Tensor) else repeats)
    if counts.dtype.kind not in "iu" or (counts < 0).any():
        raise ValueError("repeat_interleave: repeats must be integers from 0 on")
    if counts.ndim and counts.size not in (1, x.shape[dim]):
        raise ValueError(f"repeat_interleave: {counts.size} repeats for {x.shape[dim]} slices")
    places = np.repeat(np.arange(x.shape[dim]), counts.reshape(-1))
    kernels = kernels_for[type(x.array)]
    index = Tensor(kernels.from_host(places, dtypes.int64, like=x.array))
    return ops.gather(x, index, template=(*[slice(None)] * dim, "array"))
