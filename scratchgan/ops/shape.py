# Lambdas name primitives that stand further down, whose types mypy has not inferred yet.
# mypy: disable-error-code="has-type"
"""Primitives that move elements: to other types, devices, shapes and places, and no arithmetic."""

import builtins
from itertools import accumulate
from typing import Any

from scratchgan import dtypes
from scratchgan.autograd.primitive import primitive
from scratchgan.autograd.tensor import method
from scratchgan.backend import Array, devices, kernels_for
from scratchgan.dtypes import DType

Axis = int | tuple[int, ...] | None
Index = tuple[Any, ...]


def axes_of(name: str, axis: Axis, ndim: int) -> tuple[int, ...]:
    """``axis`` as a sorted tuple of axes from 0 on."""
    if axis is None:
        return tuple(range(ndim))
    axes = (axis,) if isinstance(axis, int) else axis
    for one in axes:
        if not -ndim <= one < builtins.max(ndim, 1):
            raise ValueError(f"{name}: axis {one} is out of range for {ndim} dimensions")
    found = tuple(sorted({one % ndim for one in axes} if ndim else ()))
    if ndim and len(found) != len(axes):
        raise ValueError(f"{name}: an axis stands twice in {axis}")
    return found


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


@primitive(is_view=True, x=lambda g, axes: permute(g, axes=_inverse(axes)))
def permute(x: Array, *, axes: tuple[int, ...]) -> Array:
    """``x`` with its axes in the order ``axes``."""
    return kernels_for[type(x)].permute(x, axes=axes)


def _inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(range(len(axes)), key=axes.__getitem__))


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
    tensors=lambda g, tensors_shapes, axis: [
        view(g, index=slab) for slab in _slabs(tensors_shapes, axis)
    ]
)
def concatenate(*tensors: Array, axis: int = 0) -> Array:
    """The tensors one after another along ``axis``."""
    if not tensors:
        raise ValueError("concatenate: no tensors were given")
    first = tensors[0]
    axis = axes_of("concatenate", axis, first.ndim)[0]
    for x in tensors[1:]:
        if _without(x.shape, axis) != _without(first.shape, axis):
            raise ValueError(
                f"concatenate: the shapes {first.shape} and {x.shape} differ beside axis {axis}"
            )
    length = builtins.sum(x.shape[axis] for x in tensors)
    shape = (*first.shape[:axis], length, *first.shape[axis + 1 :])
    kernels = kernels_for[type(first)]
    out = kernels.empty(shape, dtypes.promote(tensors), like=first)
    kernels.concatenate(*tensors, axis=axis, out=out)
    return out


def _slabs(shapes: tuple[tuple[int, ...], ...], axis: int) -> list[Index]:
    """The indices of the tensors of these shapes in their concatenation along ``axis``."""
    axis = axis % len(shapes[0])
    ends = list(accumulate(shape[axis] for shape in shapes))
    starts = [0, *ends[:-1]]
    return [
        (*[slice(None)] * axis, slice(start, end)) for start, end in zip(starts, ends, strict=True)
    ]


def _without(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return shape[:axis] + shape[axis + 1 :]
