"""Reading and writing at places that integers name along one dimension, under PyTorch's names."""

from typing import Any

from scratchgan import dtypes, ops
from scratchgan.autograd.arguments import checked, common_shape
from scratchgan.autograd.tensor import Tensor, method
from scratchgan.backend import kernels_for
from scratchgan.functions.broadcasting import broadcast_to
from scratchgan.functions.shapes import reshape


@checked
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


# --- Read --------------------------------------------------------------------------------


@method()
@checked
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
    if not input.ndim:  # as a vector of one element; so may the index be
        picked = gather(reshape(input, 1), 0, index if index.ndim else reshape(index, 1))
        return reshape(picked, index.shape)
    if not index.numel():
        return ops.view(input, index=(slice(0),)).reshape(-1)[:0].reshape(index.shape)
    places = _along("gather", input, dim, index)
    return ops.gather(input, *places, template=("array",) * input.ndim)


@method()
@checked
def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """As :func:`gather`, with the arguments broadcast; without ``dim`` of all elements."""
    if dim is None:
        return take_along_dim(reshape(input, -1), reshape(indices, -1), 0)
    dim = ops.dim_of("take_along_dim", dim, input.ndim)
    shapes = [list(x.shape) for x in (input, indices)]
    lengths = [shape[dim] for shape in shapes]
    for shape in shapes:
        shape[dim] = 1
    common = list(common_shape("take_along_dim", *map(tuple, shapes)))
    wide = []
    for x, length in zip((input, indices), lengths, strict=True):
        wide.append(broadcast_to(x, [length if i == dim else n for i, n in enumerate(common)]))
    x, index = wide
    return gather(x, dim, ops.where(ops.lt(index, 0), ops.add(index, x.shape[dim]), index))


@method()
@checked
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


# --- Written: elements -------------------------------------------------------------------


@method()
@checked
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
@checked
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


def _as_line(x: Any) -> Any:
    return reshape(x, -1) if isinstance(x, Tensor) else x


# --- Written: slices ---------------------------------------------------------------------


@method()
@checked
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


@method()
@checked
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
@checked
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


def _slices(name: str, input: Tensor, dim: int, index: Tensor) -> tuple[Tensor, Any]:
    """The slices of ``input`` that a vector names along ``dim``: integers, and a template."""
    if index.ndim > 1:
        raise ValueError(f"{name}: the index is a vector, not of shape {index.shape}")
    places = without_negatives(name, reshape(index, -1), input.shape[dim])
    return places, (*[slice(None)] * dim, "array")


def _require_slices(name: str, input: Tensor, dim: int, index: Tensor, source: Tensor) -> None:
    wanted = (*input.shape[:dim], index.numel(), *input.shape[dim + 1 :])
    if source.shape != wanted:
        raise ValueError(f"{name}: source has the shape {source.shape}; expected {wanted}")
