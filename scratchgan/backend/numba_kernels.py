"""The ``numba`` backend: compiled loops where they are faster than NumPy, else NumPy's kernels.

Exactly rounded arithmetic stays with NumPy's ufuncs, which are as fast. Elementwise functions are
compiled from their scalar definitions, one loop for each type, and layers and optimizers from
:mod:`scratchgan.backend.numba_loops`.
"""

import functools
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from scratchgan.backend import cache
from scratchgan.backend import numpy_kernels as reference
from scratchgan.backend.scalar import DEFINITIONS, Definition, all_called_by, as_numba

Array = np.ndarray[Any, Any]
Loop = Callable[..., None]

_FLOATS = {np.dtype(np.float32): "float32", np.dtype(np.float64): "float64"}

#: Elementwise kernels that are exactly rounded: NumPy's ufuncs are as fast as a compiled loop.
EXACT = frozenset(
    ("abs", "add", "clip", "div", "eq", "ge", "gt", "le", "lt", "maximum", "minimum", "mul", "ne")
    + ("neg", "sign", "sqrt", "square", "sub", "where")
)


def __getattr__(name: str) -> Any:
    """What is not in this module is as in the reference, but for definitions to be compiled."""
    if name in DEFINITIONS and name not in EXACT:
        raise AttributeError(name)
    return getattr(reference, name)


# --- Elementwise kernels from scalar definitions ----------------------------------------


def loop_source(definition: Definition, dtype: str, are_arrays: tuple[bool, ...]) -> str:
    """Source of a module with a function ``loop(*inputs, out, *scalars)`` over flat arrays."""
    elements = [
        f"{name}[i]" if is_array else f"real({name})"
        for name, is_array in zip(definition.inputs, are_arrays, strict=True)
    ]
    parameters = ", ".join((*definition.inputs, "out", *definition.scalars))
    return "\n".join(
        (
            "from numba import njit",
            f"from scratchgan.backend import {dtype} as math",
            f"from scratchgan.backend.{dtype} import real\n",
            *(as_numba(DEFINITIONS[name]) + "\n" for name in all_called_by(definition)),
            as_numba(definition) + "\n",
            '@njit(cache=True, error_model="numpy", nogil=True)',
            f"def loop({parameters}):",
            "    for i in range(out.size):",
            f"        out[i] = {definition.name}({', '.join((*elements, *definition.scalars))})\n",
        )
    )


def compile_elementwise(definition: Definition) -> Callable[..., None]:
    """A kernel for ``definition``: a compiled loop for each floating type that it meets."""
    loops: dict[Any, Loop] = {}
    for_arrays: dict[str, Loop] = {}  # that are contiguous, by their type's character
    simple = reference.compile_elementwise(definition)

    def loop_for(dtype: np.dtype[Any], are_arrays: tuple[bool, ...]) -> Loop:
        source = loop_source(definition, _FLOATS[dtype], are_arrays)
        loop: Loop = cache.load(definition.name, source).loop
        loops[dtype, are_arrays] = loop
        if all(are_arrays):
            for_arrays[dtype.char] = loop
        return loop

    def kernel(*inputs: Any, out: Array, **scalars: float) -> None:
        dtype = out.dtype
        shape = out.shape
        loop = for_arrays.get(dtype.char)
        if loop is not None and out.flags.c_contiguous:
            flat = []
            for x in inputs:
                if not (type(x) is np.ndarray and x.dtype is dtype and x.shape == shape):
                    break
                flat.append(x.ravel())
            else:
                loop(*flat, out.ravel(), *[scalars[name] for name in definition.scalars])
                return
        if dtype not in _FLOATS:
            simple(*inputs, out=out, **scalars)
            return
        if not out.flags.c_contiguous:
            whole = np.empty(out.shape, dtype)
            kernel(*inputs, out=whole, **scalars)
            np.copyto(out, whole)
            return
        flat = []
        are_arrays = []
        for x in inputs:
            is_array = isinstance(x, np.ndarray)
            are_arrays.append(is_array)
            if is_array:
                if x.dtype is not dtype and x.dtype.kind != "b":
                    x = x.astype(dtype)
                x = (x if x.shape == shape else np.broadcast_to(x, shape)).ravel()
            flat.append(x)
        key = tuple(are_arrays)
        loop = loops.get((dtype, key)) or loop_for(dtype, key)
        loop(*flat, out.ravel(), *[scalars[name] for name in definition.scalars])

    kernel.__name__ = definition.name
    return kernel


# --- Sums, products, layers, optimizers -------------------------------------------------


#: The module ``numba_loops`` compiled for each floating type, by the type's character.
_LOOPS: dict[str, ModuleType] = {}


def _loops(dtype: np.dtype[Any]) -> ModuleType | None:
    """The loops for ``dtype``; None for a type that has none."""
    loops = _LOOPS.get(dtype.char)
    if loops is None and dtype in _FLOATS:
        source = Path(__file__).with_name("numba_loops.py").read_text()
        source = source.replace("backend.float32", f"backend.{_FLOATS[dtype]}")
        loops = _LOOPS[dtype.char] = cache.load("loops", source)
    return loops


def _all_contiguous(dtype: np.dtype[Any], *arrays: Array) -> bool:
    for x in arrays:  # noqa: SIM110, all() takes three times as long
        if x.dtype is not dtype or not x.flags.c_contiguous:
            return False
    return True


def sum(x: Array, *, axis: tuple[int, ...], keepdims: bool, out: Array) -> None:
    """See :func:`scratchgan.backend.numpy_kernels.sum`."""
    dtype = x.dtype
    loops = _LOOPS.get(dtype.char) or _loops(dtype)
    kept = x.ndim - len(axis)
    if loops is None or not x.size or not _all_contiguous(dtype, x, out):
        reference.sum(x, axis=axis, keepdims=keepdims, out=out)
    elif kept == 0:
        loops.sum_all(x.ravel(), out.reshape(()))
    elif axis == tuple(range(kept, x.ndim)):
        loops.sum_rows(x.reshape(out.size, -1), out.ravel())
    elif axis == tuple(range(len(axis))):
        loops.sum_columns(x.reshape(-1, out.size), out.ravel())
    else:
        reference.sum(x, axis=axis, keepdims=keepdims, out=out)


def matmul(a: Array, b: Array, *, out: Array) -> None:
    """See :func:`scratchgan.backend.numpy_kernels.matmul`."""
    # dot() takes half the time of matmul() to come to the product, but is strict about types.
    if a.ndim == 2 and b.ndim == 2 and a.dtype is b.dtype is out.dtype and out.flags.c_contiguous:
        np.dot(a, b, out)
    else:
        np.matmul(a, b, out=out)


def linear(x: Array, weight: Array, bias: Array, *, activation: str, out: Array) -> None:
    """See :func:`scratchgan.backend.numpy_kernels.linear`."""
    loops = _loops(out.dtype)
    if loops is None or not _all_contiguous(out.dtype, bias, out):
        reference.linear(x, weight, bias, activation=activation, out=out)
        return
    matmul(x, weight.T, out=out)
    getattr(loops, "bias_" + activation)(out, bias)


def linear_backward(g: Array, y: Array, *, activation: str, out: tuple[Array, Array]) -> None:
    """See :func:`scratchgan.backend.numpy_kernels.linear_backward`."""
    loops = _loops(y.dtype)
    if loops is None or not _all_contiguous(y.dtype, g, y, *out):
        reference.linear_backward(g, y, activation=activation, out=out)
        return
    getattr(loops, "backward_" + activation)(g, y, *out)


def adam(gradient: Array, *, out: tuple[Array, Array, Array, Array], **settings: float) -> None:
    """See :func:`scratchgan.backend.numpy_kernels.adam`."""
    parameter, m, v, step = out
    loops = _loops(parameter.dtype)
    if loops is None or not _all_contiguous(parameter.dtype, gradient, parameter, m, v):
        reference.adam(gradient, out=out, **settings)
        return
    flat = [x.ravel() for x in (gradient, parameter, m, v)]
    loops.adam(*flat, step, *[settings[name] for name in _ADAM_SETTINGS])


_ADAM_SETTINGS = ("lr", "beta1", "beta2", "eps", "weight_decay")


# --- For a replay, which calls a kernel on the same arrays again and again --------------


#: The inputs and ``out`` of one call or of several.
Calls = list[tuple[tuple[Any, ...], Any]]


def _prepared_matmul(calls: Calls) -> Callable[[], None]:
    (((a, b), out),) = calls
    if a.ndim == 2 and b.ndim == 2 and a.dtype is b.dtype is out.dtype and out.flags.c_contiguous:
        return functools.partial(np.dot, a, b, out)
    return functools.partial(matmul, a, b, out=out)


def _prepared_adam(calls: Calls) -> Callable[..., None] | None:
    dtype = calls[0][1][0].dtype
    loops = _loops(dtype)
    if loops is None or not all(_all_contiguous(dtype, *x, *out[:3]) for x, out in calls):
        return None
    rows = [(*[x.ravel() for x in (*inputs, *out[:3])], out[3]) for inputs, out in calls]
    columns = tuple(zip(*rows, strict=True))
    update = entry_point(loops.adam_all, (*columns, *[0.0] * len(_ADAM_SETTINGS)))

    def prepared(*, lr: float, beta1: float, beta2: float, eps: float, weight_decay: float) -> None:
        update(*columns, lr, beta1, beta2, eps, weight_decay)

    return prepared


#: Kernels that ask all their questions about arrays beforehand: from their calls, a function of
#: the scalars, or None where that is not possible. For few parameters that is most of the time.
PREPARED: dict[str, Callable[[Calls], Callable[..., None] | None]] = {
    "matmul": _prepared_matmul,
    "adam": _prepared_adam,
}
#: Of these, the ones that take several calls with the same scalars.
TOGETHER = frozenset(("adam",))


def entry_point(function: Any, arguments: tuple[Any, ...]) -> Callable[..., None]:
    """The machine code of ``function`` for such arguments, without the look at their types."""
    import numba

    signature = tuple(map(numba.typeof, arguments))
    function.compile(signature)
    point: Callable[..., None] = function.overloads[signature].entry_point
    return point


# --- Noise ------------------------------------------------------------------------------


def _drawn(name: str, state: Array, out: Array) -> None:
    loops = _loops(out.dtype)
    if loops is None or not out.flags.c_contiguous:
        getattr(reference, name)(state, out=out)
    else:
        getattr(loops, name)(state, out.ravel())


def uniform(state: Array, *, out: Array) -> None:
    """See :func:`scratchgan.backend.numpy_kernels.uniform`."""
    _drawn("uniform", state, out)


def normal(state: Array, *, out: Array) -> None:
    """See :func:`scratchgan.backend.numpy_kernels.normal`."""
    _drawn("normal", state, out)
