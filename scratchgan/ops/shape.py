# Lambdas name primitives that stand further down, whose types mypy has not inferred yet.
# mypy: disable-error-code="has-type"
"""Primitives that move elements: to other types, devices, shapes and places, and no arithmetic."""

import builtins
import operator
from itertools import accumulate
from typing import Any

from scratchgan import dtypes
from scratchgan.autograd.primitive import primitive
from scratchgan.autograd.tensor import method
from scratchgan.backend import Array, devices, kernels_for
from scratchgan.dtypes import DType

Dims = int | tuple[int, ...] | None
Index = tuple[Any, ...]


def dims_of(name: str, dim: Any, ndim: int) -> tuple[int, ...]:
    """``dim`` (one, several, or None for all) as a sorted tuple of dimensions from 0 on.

    A tensor without dimensions has dim 0 and -1 here, as in PyTorch: as if it had one of size 1.

    Raises:
        IndexError: There is no such dimension.
        TypeError: It is no integer.
        ValueError: It stands there twice.
    """
    given = dim if isinstance(dim, tuple | list) else (dim,)
    if dim is None or not given:
        return tuple(range(ndim))
    dims = [dim_of(name, one, ndim) for one in given]
    if len(set(dims)) != len(dims):
        raise ValueError(f"{name}: a dim stands twice in {dim}")
    return tuple(sorted(dims)) if ndim else ()


def dim_of(name: str, dim: Any, ndim: int) -> int:
    """``dim``, which may count from the end, from 0 on; errors as :func:`dims_of`."""
    try:
        number = operator.index(dim)
    except TypeError:
        raise TypeError(f"{name}: dim is {dim!r}; it must be an integer") from None
    most = builtins.max(ndim, 1)
    if isinstance(dim, bool) or not -most <= number < most:
        raise IndexError(f"{name}: dim {dim} is out of range for {ndim} dimensions")
    return number % most


# --- Other types and copies -----------------------------------------------------------


@primitive(x=lambda g: g)
def cast(x: Array, *, dtype: DType) -> Array:
    """A copy of ``x`` with elements of type ``dtype``; the tape casts the gradient back."""
    kernels = kernels_for[type(x)]
    out = kernels.empty(x.shape, dtype, like=x)
    kernels.copy(x, out=out)
    return out


@method()
@primitive(x=lambda g: g)
def clone(x: Array) -> Array:
    """A contiguous copy of ``x``."""
    kernels = kernels_for[type(x)]
    out = kernels.empty(x.shape, x.dtype, like=x)
    kernels.copy(x, out=out)
    return out


@primitive(x=lambda g, device, source: to_device(g, device=source, source=device))
def to_device(x: Array, *, device: str, source: str) -> Array:
    """A copy of ``x``, which lies on the device ``source``, on ``device``."""
    return devices.moved(x, device)


# --- Shape: the same elements, seen otherwise -----------------------------------------


@primitive(is_view=True, x=lambda g, x_shape: reshape(contiguous(g), shape=x_shape))
def reshape(x: Array, *, shape: tuple[int, ...]) -> Array:
    """The contiguous tensor ``x`` under another shape of the same size."""
    return kernels_for[type(x)].reshape(x, shape=shape)


@method()
def contiguous(x: Any) -> Any:
    """``x`` itself where its elements lie in row-major order, else a copy that does."""
    return x if kernels_for[type(x.array)].is_contiguous(x.array) else clone(x)


@primitive(is_view=True, x=lambda g, dims: permute(g, dims=_inverse(dims)))
def permute(x: Array, *, dims: tuple[int, ...]) -> Array:
    """``x`` with its dimensions in the order ``dims``."""
    return kernels_for[type(x)].permute(x, axes=dims)


def _inverse(dims: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(range(len(dims)), key=dims.__getitem__))


@primitive(is_view=True, x=lambda g: g)
def expand(x: Array, *, shape: tuple[int, ...]) -> Array:
    """``x`` broadcast to ``shape``; its repeated elements share memory."""
    return kernels_for[type(x)].expand(x, shape=shape)


@primitive(x=lambda g: g)
def expand_copy(x: Array, *, shape: tuple[int, ...]) -> Array:
    """``x`` broadcast to ``shape``, in memory of its own."""
    kernels = kernels_for[type(x)]
    out = kernels.empty(shape, x.dtype, like=x)
    kernels.copy(x, out=out)
    return out


@primitive(is_view=True, x=lambda g, x_shape, index: scatter(g, shape=x_shape, index=index))
def view(x: Array, *, index: Index) -> Array:
    """``x[index]`` for integers, slices, ``None`` and ``...``."""
    return kernels_for[type(x)].view(x, index=index)


@primitive(x=lambda g, index: view(g, index=index))
def scatter(x: Array, *, shape: tuple[int, ...], index: Index) -> Array:
    """Zeros of ``shape``, but for ``x`` at ``index``: the transpose of :func:`view`."""
    kernels = kernels_for[type(x)]
    out = kernels.empty(shape, x.dtype, like=x)
    kernels.scatter(x, index=index, out=out)
    return out


@primitive(
    is_view=True,
    x=lambda g, x_shape, offset, dims: on_diagonal(g, shape=x_shape, offset=offset, dims=dims),
)
def diagonal(x: Array, *, offset: int, dims: tuple[int, int]) -> Array:
    """The diagonals of the matrices that two ``dims`` of ``x`` span, as the last dimension."""
    return kernels_for[type(x)].diagonal(x, offset=offset, axes=dims)


@primitive(x=lambda g, offset, dims: diagonal(g, offset=offset, dims=dims))
def on_diagonal(x: Array, *, shape: tuple[int, ...], offset: int, dims: tuple[int, int]) -> Array:
    """Zeros of ``shape``, but for ``x`` on diagonals: the transpose of :func:`diagonal`."""
    kernels = kernels_for[type(x)]
    out = kernels.empty(shape, x.dtype, like=x)
    kernels.fill(0, out=out)
    kernels.copy(x, out=kernels.diagonal(out, offset=offset, axes=dims))
    return out


@primitive(
    x=lambda g, indices, x_shape, template: scatter_add(
        g, *indices, shape=x_shape, template=template
    )
)
def gather(x: Array, *indices: Array, template: Index) -> Array:
    """``x[template]``, each ``"array"`` in the template standing for the next of ``indices``."""
    return kernels_for[type(x)].gather(x, *indices, template=template)


@primitive(x=lambda g, indices, template: gather(g, *indices, template=template))
def scatter_add(x: Array, *indices: Array, shape: tuple[int, ...], template: Index) -> Array:
    """Zeros of ``shape``, to which ``x`` is added at the index: the transpose of :func:`gather`."""
    kernels = kernels_for[type(x)]
    out = kernels.empty(shape, x.dtype, like=x)
    kernels.scatter_add(x, *indices, template=template, out=out)
    return out


@primitive(
    x=lambda g, indices, template: put(g, 0.0, *indices, template=template),
    value=lambda g, indices, template: (
        gather(g, *indices, template=template) if indices else view(g, index=template)
    ),
)
def put(x: Array, value: Array, *indices: Array, template: Index) -> Array:
    """A copy of ``x`` with ``value``, broadcast, at the index: ``x[template] = value``."""
    kernels = kernels_for[type(x)]
    out = kernels.empty(x.shape, dtypes.promote((x, value)), like=x)
    kernels.copy(x, out=out)
    if not hasattr(value, "dtype"):
        number, value = value, kernels.empty((), out.dtype, like=x)
        kernels.fill(number, out=value)
    if indices:
        kernels.put(value, *indices, template=template, out=out)
    else:
        kernels.copy(value, out=kernels.view(out, index=template))
    return out


@primitive(
    tensors=lambda g, tensors_shapes, dim: [
        view(g, index=slab) for slab in _slabs(tensors_shapes, dim)
    ]
)
def cat(*tensors: Array, dim: int = 0) -> Array:
    """The tensors one after another along ``dim``."""
    if not tensors:
        raise ValueError("cat: no tensors were given")
    first = tensors[0]
    if not first.ndim:
        raise ValueError("cat: numbers without dimensions; stack them")
    axis = dim_of("cat", dim, first.ndim)
    for x in tensors[1:]:
        if _without(x.shape, axis) != _without(first.shape, axis):
            raise ValueError(
                f"cat: the shapes {first.shape} and {x.shape} differ beside dim {axis}"
            )
    length = builtins.sum(x.shape[axis] for x in tensors)
    shape = (*first.shape[:axis], length, *first.shape[axis + 1 :])
    kernels = kernels_for[type(first)]
    out = kernels.empty(shape, dtypes.promote(tensors), like=first)
    kernels.concatenate(*tensors, axis=axis, out=out)
    return out


def _slabs(shapes: tuple[tuple[int, ...], ...], dim: int) -> list[Index]:
    """The indices of the tensors of these shapes in their concatenation along ``dim``."""
    axis = dim % len(shapes[0])
    ends = list(accumulate(shape[axis] for shape in shapes))
    starts = [0, *ends[:-1]]
    return [
        (*[slice(None)] * axis, slice(start, end)) for start, end in zip(starts, ends, strict=True)
    ]


def _without(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return shape[:axis] + shape[axis + 1 :]
