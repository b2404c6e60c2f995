"""Primitives from scalar definitions: arithmetic on one element becomes that of tensors."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from scratchgan import dtypes
from scratchgan.autograd import tape
from scratchgan.autograd.primitive import ALONE, NUMBERS, REGISTRY, Operation, Primitive, of_any
from scratchgan.autograd.rules import Vjp
from scratchgan.autograd.tape import current, kind_of
from scratchgan.backend import Array, forget, kernels_for
from scratchgan.backend.devices import different_devices
from scratchgan.backend.scalar import define
from scratchgan.dtypes import DType

if TYPE_CHECKING:
    from scratchgan.tensor import Tensor


def elementwise(*, result: Any = None, **vjps: Vjp) -> Callable[[Callable[..., Any]], Operation]:
    """Decorator: a scalar definition becomes a primitive that broadcasts.

    Args:
        result: Type of the result where that is not the inputs' (bool for comparisons).
        vjps: As in :func:`scratchgan.autograd.primitive.primitive`.

    The function's body is never called: every backend compiles it
    (see :mod:`scratchgan.backend.scalar` for what it may contain).

    Raises:
        TypeError: The function has the name of one of this package's kernels.
    """

    def decorate(function: Callable[..., Any]) -> Operation:
        _require_free_name(function)
        definition = define(function)
        name = definition.name
        forget(name)  # as a notebook's cell runs again, it may hold another body
        fixed = None if result is None else np.dtype(result)

        def forward(*inputs: Any, **scalars: float) -> Array:
            shape, dtype, array = _result_of(name, inputs)
            if fixed is not None:
                dtype = fixed
            elif dtype.kind in "biu" and definition.is_real:
                dtype = dtypes.get_default_dtype()
            kernels = kernels_for[type(array)]
            out = kernels.empty(shape, dtype, like=array)
            getattr(kernels, name)(*inputs, out=out, **scalars)
            return out

        functools.update_wrapper(forward, function)
        made = Primitive(forward, function, vjps, {}, False)
        made.is_elementwise = True
        call: Callable[..., Tensor] = of_any(made)
        if fixed is None and not definition.scalars and len(definition.inputs) <= 2:
            call = _of_one(made) if len(definition.inputs) == 1 else _of_two(made)
        return made.operation(call)

    return decorate


# Most calls have one or two plain tensors of one kind. These functions do them in half of the time
# that all other cases take.


def _of_one(made: Primitive) -> Callable[[Any], "Tensor"]:
    name = made.name

    def function(x: Any) -> "Tensor":
        tensor_type = tape.tensor_type
        if type(x) is not tensor_type:
            return made.call((x,), {})
        kind = x.kind or kind_of(x)
        kernel = kind.plain[name]
        if kernel is None or tape.watch is not None:
            return made.call((x,), {})
        result: Tensor = tensor_type(kernel(x.array))
        result.kind = kind
        if x.requires_grad and current.mode.recording:
            made.rules[ALONE](result, x)
        return result

    return function


def _of_two(made: Primitive) -> Callable[[Any, Any], "Tensor"]:
    name = made.name

    def function(x: Any, y: Any) -> "Tensor":
        tensor_type = tape.tensor_type
        if type(x) is not tensor_type:
            return made.call((x, y), {})
        kind = x.kind or kind_of(x)
        if type(y) is tensor_type and (y.kind or kind_of(y)) is kind:
            b, wants = y.array, y.requires_grad
        elif type(y) is float or type(y) is int:
            b, wants = y, None
        else:
            return made.call((x, y), {})
        kernel = kind.plain[name]
        if kernel is None or tape.watch is not None:
            return made.call((x, y), {})
        result: Tensor = tensor_type(kernel(x.array, b))
        result.kind = kind
        if (wants or x.requires_grad) and current.mode.recording:
            made.rules[x.requires_grad, wants](result, x, y)
        return result

    return function


def _require_free_name(function: Callable[..., Any]) -> None:
    """Kernels go by name: a user's must not take the place of this package's."""
    package = __name__.partition(".")[0]
    if (function.__module__ or "").partition(".")[0] == package:
        return
    from scratchgan.backend import reference

    name = function.__name__
    taken = name in REGISTRY and REGISTRY[name].forward.__module__.startswith(package + ".")
    if taken or hasattr(reference, name):
        raise TypeError(f"{name}: {package} has a kernel of this name; give yours another")


def _result_of(name: str, inputs: tuple[Any, ...]) -> tuple[tuple[int, ...], DType, Array]:
    """Shape and type that ``inputs`` broadcast to, and one of them that is an array."""
    array: Array = None
    shape: tuple[int, ...] = ()
    dtype: Any = None
    for x in inputs:
        if array is None:
            if type(x) not in NUMBERS:
                array, shape, dtype = x, x.shape, x.dtype
        elif type(x) is type(array):
            if x.dtype is not dtype or x.shape != shape:
                return _broadcast(name, inputs)
        elif type(x) not in NUMBERS:
            return _broadcast(name, inputs)
    # A float beside an array of floats is the common case; any other number may promote.
    if dtype is None or (dtype.kind != "f" and len(inputs) > 1):
        return _broadcast(name, inputs)
    return shape, dtype, array


def _broadcast(name: str, inputs: tuple[Any, ...]) -> tuple[tuple[int, ...], DType, Array]:
    arrays = [x for x in inputs if type(x) not in NUMBERS]
    if not arrays:
        raise TypeError(f"{name}: one of its inputs must be a tensor, not a number")
    fault = different_devices(name, arrays)
    if fault is not None:
        raise fault
    try:
        shape = np.broadcast_shapes(*[x.shape for x in arrays])
    except ValueError as error:
        shapes = " and ".join(str(x.shape) for x in arrays)
        raise ValueError(f"{name}: the shapes {shapes} do not broadcast together") from error
    return shape, dtypes.promote(inputs), arrays[0]
