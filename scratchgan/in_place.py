"""Changes in place, for tensors that are not on the tape; the tape notices them."""

import builtins
from typing import Any, TypeVar

import numpy as np

from scratchgan import dtypes, functions, ops
from scratchgan.autograd.tape import mode
from scratchgan.autograd.tensor import Tensor, method
from scratchgan.backend import Array, devices, kernels_for

T = TypeVar("T", bound=Tensor)


def changed(x: Tensor, name: str, *others: Any) -> Array:
    """The array of ``x``, about to be changed by ``name``.

    Raises:
        RuntimeError: ``x`` or one of ``others`` is on the tape, which records.
    """
    if _is_recorded(x, *others):
        raise RuntimeError(
            f"{name}: a tensor on the tape cannot be changed in place; compute a new one, or "
            "change it within no_grad()"
        )
    x.mark_changed()
    return x.array


def _is_recorded(*tensors: Any) -> bool:
    return mode.get().is_recording and builtins.any(
        isinstance(x, Tensor) and x.requires_grad for x in tensors
    )


def _compute(x: T, name: str, *others: Any) -> T:
    shapes = [one.shape for one in (x, *others) if isinstance(one, Tensor)]
    try:
        shape = np.broadcast_shapes(*shapes)
    except ValueError as error:
        given = " and ".join(map(str, shapes))
        raise ValueError(f"{name}_: the shapes {given} do not broadcast together") from error
    arrays = [one.array if isinstance(one, Tensor) else one for one in (x, *others)]
    dtype = dtypes.promote(arrays)
    if shape != x.shape or (dtype.kind == "f" and x.dtype.kind != "f"):
        raise ValueError(
            f"{name}_: a result of shape {shape} and type {dtype} does not fit into a tensor "
            f"of shape {x.shape} and type {x.dtype}"
        )
    out = changed(x, name + "_", *others)
    getattr(kernels_for[type(out)], name)(*arrays, out=out)
    return x


@method()
def add_(x: T, other: Any) -> T:
    """``x += other``."""
    return _compute(x, "add", other)


@method()
def sub_(x: T, other: Any) -> T:
    """``x -= other``."""
    return _compute(x, "sub", other)


@method()
def mul_(x: T, other: Any) -> T:
    """``x *= other``."""
    return _compute(x, "mul", other)


@method()
def div_(x: T, other: Any) -> T:
    """``x /= other``."""
    return _compute(x, "div", other)


def _augmented(x: Tensor, name: str, other: Any) -> Tensor:
    """``x += y``: in place where no tape is involved, else a new tensor for the name ``x``."""
    if not _is_recorded(x, other):
        return _compute(x, name, other)
    if x.requires_grad and x.node is None:
        raise RuntimeError(
            f"{name}: a leaf that requires a gradient cannot be changed in place while the "
            "tape records; do it within no_grad()"
        )
    result: Tensor = getattr(ops, name)(x, other)
    return result


method("__iadd__")(lambda x, other: _augmented(x, "add", other))
method("__isub__")(lambda x, other: _augmented(x, "sub", other))
method("__imul__")(lambda x, other: _augmented(x, "mul", other))
method("__itruediv__")(lambda x, other: _augmented(x, "div", other))


@method()
def fill_(x: T, value: float) -> T:
    """Every element becomes ``value``."""
    out = changed(x, "fill_")
    kernels_for[type(out)].fill(value, out=out)
    return x


@method()
def zero_(x: T) -> T:
    """Every element becomes 0."""
    return fill_(x, 0)


@method()
def copy_(x: T, other: Any) -> T:
    """The elements of ``other``, broadcast and converted to the type of ``x``."""
    setitem(x, ..., other)
    return x


@method("__setitem__")
def setitem(x: Tensor, index: Any, value: Any) -> None:
    """``x[index] = value``."""
    truth = functions.truth_of_index(index)
    if truth is not None:
        if not truth:
            return
        index = (None, ...)
    template, indices = functions.parse_index(x, index)
    kernels = kernels_for[type(x.array)]
    if not isinstance(value, Tensor):
        source = kernels.from_host(value, x.dtype, like=x.array)
    elif devices.device_of(value.array) == x.device:
        source = value.array
    else:
        source = devices.moved(value.array, x.device)
    out = changed(x, "setitem", value)
    try:
        if indices:
            kernels.put(source, *[i.array for i in indices], template=template, out=out)
        else:
            kernels.copy(source, out=kernels.view(out, index=template))
    except (IndexError, ValueError) as error:
        raise type(error)(f"setitem: {error}") from error
