"""Primitives from scalar definitions: arithmetic on one element becomes that of tensors."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from scratchgan import dtypes
from scratchgan.autograd import arguments
from scratchgan.autograd.primitive import Operation, Primitive, require_free_name
from scratchgan.autograd.tape import Vjp, mode
from scratchgan.autograd.tensor import Tensor
from scratchgan.backend import Array, define, kernels_for
from scratchgan.backend.scalar import Definition

#: The kinds of types that a primitive may take, by NumPy's letters, and how a refusal calls them.
_KINDS = {
    "biuf": "real numbers",
    "biu": "integers and booleans",
    "iu": "integers",
    "iuf": "numbers",
    "f": "floating point elements",
}


def elementwise(
    *, result: Any = None, takes: str = "biuf", tensors: tuple[str, ...] = (), **vjps: Vjp
) -> Callable[[Callable[..., Any]], Operation]:
    """Decorator: a scalar definition becomes a primitive that broadcasts.

    Args:
        result: Type of the result where that is not the inputs' (bool for comparisons).
        takes: The kinds of types that its inputs may have together: ``"biuf"`` (any), ``"biu"``
            (integers and booleans), ``"iu"`` (integers), ``"iuf"`` (no booleans), ``"f"``.
        tensors: The inputs in whose place there may be no number.
        vjps: As in :func:`scratchgan.autograd.primitive.primitive`.

    The function's body is never called: every backend compiles it
    (see :mod:`scratchgan.backend.scalar` for what it may contain).

    Raises:
        TypeError: The function has the name of one of this package's kernels.
    """

    def decorate(function: Callable[..., Any]) -> Operation:
        require_free_name(function)
        definition = define(function)
        name = definition.name
        fixed = None if result is None else np.dtype(result)
        # Complex numbers come from the complex-step check alone, in the place of floats.
        refused = set("biufc") - set(takes) - ({"c"} if "f" in takes else set())

        def forward(*inputs: Any, **scalars: float) -> Array:
            scalars = arguments.numbers(name, scalars)
            shape, dtype, array = arguments.result_of(name, inputs)
            if dtype.kind in refused:
                raise TypeError(f"{name}: takes {_KINDS[takes]}, not {dtype}")
            kernels = kernels_for[type(array)]
            if fixed is not None:
                dtype = fixed
            elif dtype.kind in "biu" and (
                definition.is_real or any(isinstance(x, float) for x in scalars.values())
            ):
                dtype = dtypes.get_default_dtype()
                # Left to itself, NumPy computes with bytes in half precision.
                inputs = tuple([arguments.as_type(x, dtype) for x in inputs])
            elif dtype.kind in "iu":
                inputs = tuple([arguments.within(x, dtype) for x in inputs])
            out = kernels.empty(shape, dtype, like=array)
            getattr(kernels, definition.kernel)(*inputs, out=out, **scalars)
            return out

        functools.update_wrapper(forward, function)
        made = Primitive(forward, vjps, declared=function, tensors=tensors)
        made.is_elementwise = True
        is_simple = len(definition.inputs) <= 2 and not definition.scalars
        if is_simple and "f" in takes and fixed is None and not (vjps and made.constants):
            fast_path = _unary_fast_path if len(definition.inputs) == 1 else _binary_fast_path
            fast: Any = fast_path(made, definition)
            functools.update_wrapper(fast, function)
            made.function = fast
            made.function.primitive = made
        return made.function

    return decorate


# Most calls have one or two tensors whose arrays are floating, contiguous and alike. These two
# functions do for those what the general call does, in half of the time: the kernel makes its
# result, and nothing is looked up but the rule.


def _unary_fast_path(made: Primitive, definition: Definition) -> Callable[..., Tensor]:
    general = made.function

    def call(*inputs: Any, **keywords: Any) -> Tensor:
        now = mode.get()
        x = inputs[0] if len(inputs) == 1 else None
        if type(x) is not Tensor or keywords or now.watchers:
            return general(*inputs, **keywords)
        a = x.array
        if a.dtype.kind != "f" or not a.flags.c_contiguous:
            return general(x)
        kernels = kernels_for[type(a)]
        kernel = getattr(kernels, definition.kernel)
        # Without dimensions NumPy's would make a number.
        out = kernel(a) if a.ndim else kernel(a, out=kernels.empty((), a.dtype, like=a))
        result = Tensor(out)
        if x._requires_grad and now.is_recording:
            made.record(result, inputs, keywords, (True,))
        return result

    return call


def _binary_fast_path(made: Primitive, definition: Definition) -> Callable[..., Tensor]:
    general, takes_numbers = made.function, 1 not in made.tensors

    def call(*inputs: Any, **keywords: Any) -> Tensor:
        now = mode.get()
        x, y = inputs if len(inputs) == 2 else (None, None)
        if type(x) is not Tensor or keywords or now.watchers:
            return general(*inputs, **keywords)
        a = x.array
        if a.dtype.kind != "f" or not a.flags.c_contiguous:
            return general(x, y)
        if type(y) is Tensor:
            b = y.array
            is_alike = type(b) is type(a) and b.shape == a.shape and b.dtype == a.dtype
            if not is_alike or not b.flags.c_contiguous:
                return general(x, y)
        elif takes_numbers and (type(y) is float or type(y) is int):
            b = y
        else:
            return general(x, y)
        kernels = kernels_for[type(a)]
        kernel = getattr(kernels, definition.kernel)
        out = kernel(a, b) if a.ndim else kernel(a, b, out=kernels.empty((), a.dtype, like=a))
        result = Tensor(out)
        if now.is_recording:
            needs = x._requires_grad, type(y) is Tensor and y._requires_grad
            if True in needs:
                made.record(result, inputs, keywords, needs)
        return result

    return call
