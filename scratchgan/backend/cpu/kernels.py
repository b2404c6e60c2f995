"""The ``numba`` backend: compiled loops where they are faster than NumPy, else NumPy's kernels.

Exactly rounded arithmetic stays with NumPy's ufuncs, which are as fast. Elementwise functions are
compiled from their scalar definitions by :mod:`~scratchgan.backend.cpu.elementwise`. By hand are
written products of matrices (``gemm/``), layers (``linear``), sums (``reductions``), and copies,
Adam and noise (``loops``).
"""

import builtins
import contextlib
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from scratchgan.backend import MachineCodeError, reference
from scratchgan.backend.cpu.addresses import Array, address_of, begin_of
from scratchgan.backend.cpu.codegen import machine_code
from scratchgan.backend.cpu.elementwise import FLOATS, ufunc_of
from scratchgan.backend.cpu.gemm.products import Products, work_of
from scratchgan.backend.cpu.linear import WIDEST, layer_backward, layer_forward
from scratchgan.backend.cpu.threads.pool import BoundCall, Task
from scratchgan.backend.scalar import DEFINITIONS, Definition
from scratchgan.backend.specs import spec_of

#: From this size on several threads copy faster, though some numbers come from another core.
LARGE_COPY = 1 << 18

#: So few numbers are summed faster by NumPy than by a task.
SMALL_SUM = 1024

#: Elementwise kernels that are exactly rounded: NumPy's ufuncs are as fast as a compiled loop.
EXACT = frozenset(
    ("abs", "add", "clip", "div", "eq", "ge", "gt", "le", "lt", "maximum", "minimum", "mul", "ne")
    + ("neg", "sign", "sqrt", "square", "sub", "where")
    + ("bits_turned", "bitwise_and", "bitwise_left_shift", "bitwise_or", "bitwise_right_shift")
    + ("bitwise_xor", "floored_quotient", "remainder")
)


def is_compiled(kernel: str) -> bool:
    """Whether it is an elementwise kernel, or the sum, that Numba compiles."""
    return kernel == "sum" or (kernel in DEFINITIONS and kernel not in EXACT)


def __getattr__(name: str) -> Any:
    """Fall back to the reference's kernel, but for definitions that are to be compiled."""
    if name in DEFINITIONS and name not in EXACT:
        raise AttributeError(name)
    return getattr(reference, name)


#: See :func:`scratchgan.backend.memory.address`.
address = begin_of

# --- Elementwise kernels from scalar definitions ----------------------------------------


def compile_elementwise(definition: Definition) -> Callable[..., Array]:
    """A kernel for ``definition``, which is a ufunc for each floating type."""
    simple = reference.compile_elementwise(definition)

    @functools.cache
    def ufunc_for(dtype: np.dtype[Any]) -> Callable[..., Array]:
        try:
            return ufunc_of(definition, dtype) if dtype in FLOATS else simple
        except MachineCodeError:
            return simple

    def kernel(*inputs: Any, out: Array | None = None, **scalars: float) -> Array:
        if out is None:
            return ufunc_for(inputs[0].dtype)(*inputs)
        ufunc = ufunc_for(out.dtype)
        if ufunc is simple:
            return simple(*inputs, out=out, **scalars)
        numbers = [scalars[name] for name in definition.scalars]
        ufunc(*inputs, *numbers, out=out, dtype=out.dtype, casting="unsafe")
        return out

    kernel.__name__ = definition.name
    return kernel


# --- Copies, sums, products, layers, optimizers -----------------------------------------


def _or_reference(kernel: Callable[..., None]) -> Callable[..., None]:
    """Decorator: the reference's kernel computes where machine code cannot be had."""
    simple = getattr(reference, kernel.__name__)

    @functools.wraps(kernel)
    def computing(*inputs: Any, **keywords: Any) -> None:
        try:
            kernel(*inputs, **keywords)
        except MachineCodeError:
            simple(*inputs, **keywords)

    return computing


def copy(x: Array, *, out: Array) -> None:
    """See :func:`scratchgan.backend.reference.copy`."""
    dtype = out.dtype
    if (
        out.size >= LARGE_COPY
        and (x.shape == out.shape and dtype in FLOATS and _all_contiguous(dtype, x, out))
        and not np.may_share_memory(x, out)
    ):
        places = address_of(x, out.shape, dtype), address_of(out, out.shape, dtype, writes=True)
        with contextlib.suppress(MachineCodeError):
            _run("copy", dtype, *places, out.size, work=out.size)
            return
    out[...] = x


def concatenate(*arrays: Array, axis: int, out: Array) -> None:
    """See :func:`scratchgan.backend.reference.concatenate`."""
    if out.size < LARGE_COPY:
        reference.concatenate(*arrays, axis=axis, out=out)
        return
    start = 0
    for x in arrays:
        end = start + x.shape[axis]
        copy(x, out=out[(*[slice(None)] * axis, slice(start, end))])
        start = end


def _all_contiguous(dtype: np.dtype[Any], *arrays: Array) -> bool:
    for x in arrays:  # noqa: SIM110, all() takes three times as long
        if x.dtype is not dtype or not x.flags.c_contiguous:
            return False
    return True


def sum_all(x: Array, *, out: Array) -> None:
    """See :func:`scratchgan.backend.reference.sum_all`."""
    if x.size <= SMALL_SUM and x.dtype in FLOATS:
        np.add.reduce(x, axis=None, dtype=np.float64, out=out)
    else:
        sum(x, axis=tuple(range(x.ndim)), keepdims=False, out=out)


@_or_reference
def sum(x: Array, *, axis: tuple[int, ...], keepdims: bool, out: Array) -> None:
    """See :func:`scratchgan.backend.reference.sum`."""
    kept = x.ndim - len(axis)
    if x.dtype in FLOATS and x.size and out.size and _all_contiguous(x.dtype, x, out):
        if axis == tuple(range(kept, x.ndim)):
            _sum("sum_rows", x, out, out.size, x.size // out.size)
            return
        if axis == tuple(range(len(axis))):
            _sum("sum_columns", x, out, x.size // out.size, out.size)
            return
    reference.sum(x, axis=axis, keepdims=keepdims, out=out)


def _sum(name: str, x: Array, out: Array, rows: int, columns: int) -> None:
    kept = (rows,) if name == "sum_rows" else (columns,)
    places = (
        address_of(x.reshape(rows, columns), (rows, columns), x.dtype),
        address_of(out.reshape(-1), kept, x.dtype, writes=True),
    )
    _run(name, x.dtype, *places, rows, columns, work=x.size)


@functools.cache
def _products(dtype: np.dtype[Any]) -> Products:
    return Products(dtype)


@_or_reference
def matmul(a: Array, b: Array, *, out: Array) -> None:
    """See :func:`scratchgan.backend.reference.matmul`."""
    if not (_are_matrices(a, b, out) and _products(out.dtype).multiply(a, b, out)):
        reference.matmul(a, b, out=out)


def _are_matrices(a: Array, b: Array, out: Array) -> bool:
    """Whether these are matrices of one floating type."""
    dtype = out.dtype
    return a.ndim == 2 and b.ndim == 2 and a.dtype is b.dtype is dtype and dtype in FLOATS


@_or_reference
def linear(
    x: Array,
    weight: Array,
    bias: Array,
    *,
    activation: str,
    scalars: tuple[float, ...],
    out: Array,
) -> None:
    """See :func:`scratchgan.backend.reference.linear`."""
    dtype = out.dtype
    arguments = None
    if _are_matrices(x, weight, out) and _all_contiguous(dtype, bias, out):
        arguments = _products(dtype).arguments(x, weight.T, out)
    if arguments is None:
        reference.linear(x, weight, bias, activation=activation, scalars=scalars, out=out)
        return
    product = _products(dtype).function(arguments)
    forward = layer_forward(product, dtype, activation, DEFINITIONS.get(activation))
    place = address_of(bias, weight.shape[:1], dtype)
    forward.run(*arguments, place, numbers=scalars, work=work_of(arguments))


@_or_reference
def linear_backward(
    g: Array, y: Array, *, activation: str, scalars: tuple[float, ...], out: tuple[Array, Array]
) -> None:
    """See :func:`scratchgan.backend.reference.linear_backward`."""
    dtype = y.dtype
    if dtype not in FLOATS or y.shape[1] > WIDEST or not _all_contiguous(dtype, g, y, *out):
        reference.linear_backward(g, y, activation=activation, scalars=scalars, out=out)
        return
    backward = layer_backward(dtype, activation, DEFINITIONS.get(f"{activation}_backward"))
    before, bias_gradient = out
    addresses = (
        address_of(g, y.shape, dtype),
        address_of(y, y.shape, dtype),
        address_of(before, y.shape, dtype, writes=True),
        address_of(bias_gradient, y.shape[1:], dtype, writes=True),
    )
    backward.run(*addresses, *y.shape, numbers=scalars, work=y.size)


@_or_reference
def adam(*gradients: Array, out: tuple[Array, ...], **settings: float) -> None:
    """See :func:`scratchgan.backend.reference.adam`."""
    arguments = _arguments_of_adam(gradients, out)
    if arguments is None:
        reference.adam(*gradients, out=out, **settings)
        return
    numbers = [settings[name] for name in spec_of("adam").scalars]
    work = builtins.sum(x.size for x in gradients)
    _run("adam", out[0].dtype, *arguments, numbers=numbers, work=work)


@_or_reference
def uniform(state: Array, *, out: Array) -> None:
    """See :func:`scratchgan.backend.reference.uniform`."""
    _draw("uniform", state, out)


@_or_reference
def normal(state: Array, *, out: Array) -> None:
    """See :func:`scratchgan.backend.reference.normal`."""
    _draw("normal", state, out)


def _draw(name: str, state: Array, out: Array) -> None:
    if out.dtype not in FLOATS or not out.flags.c_contiguous:
        getattr(reference, name)(state, out=out)
        return
    _run(name, out.dtype, *_arguments_of_noise(state, out), work=out.size)


def _arguments_of_noise(state: Array, out: Array) -> tuple[int, ...]:
    place = address_of(out, out.shape, out.dtype, writes=True)
    return address_of(state, (2,), _STATE, writes=True), place, out.size


_STATE, _COUNT = np.dtype(np.uint64), np.dtype(np.intp)


def _arguments_of_adam(gradients: Sequence[Array], out: tuple[Array, ...]) -> list[int] | None:
    """The task's arguments; None if the arrays do not suit it."""
    dtype = out[0].dtype
    if dtype not in FLOATS:
        return None
    arguments = [len(gradients)]
    for gradient, (parameter, m, v, step) in zip(gradients, reference.in_fours(out), strict=True):
        if not _all_contiguous(dtype, gradient, parameter, m, v) or step.dtype != _COUNT:
            return None
        shape = parameter.shape
        arguments += (
            address_of(gradient, shape, dtype),
            address_of(parameter, shape, dtype, writes=True),
            address_of(m, shape, dtype, writes=True),
            address_of(v, shape, dtype, writes=True),
            address_of(step, (), _COUNT, writes=True),
            parameter.size,
        )
    return arguments


#: For a kernel the module of its tasks, and these in order, which take the same arguments.
_TASKS_OF = {
    "adam": ("loops", ("adam", "count")),
    "copy": ("loops", ("copy",)),
    "normal": ("loops", ("normal", "advance_stream")),
    "sum_columns": ("reductions", ("sum_columns",)),
    "sum_rows": ("reductions", ("sum_rows",)),
    "uniform": ("loops", ("uniform", "advance_stream")),
}


def _numbers_of(kernel: str) -> int:
    """How many numbers a kernel's tasks take: its scalars, in their order."""
    return len(spec_of(kernel).scalars)


def _code_of(kernel: str, dtype: np.dtype[Any]) -> list[Any]:
    """The compiled tasks of a kernel."""
    module, names = _TASKS_OF[kernel]
    code = machine_code.load_for(module, dtype.name)
    return [code[name] for name in names]


def _run(
    kernel: str, dtype: np.dtype[Any], *arguments: int, numbers: Sequence[float] = (), work: int
) -> None:
    """Run a kernel's tasks; see :meth:`BoundCall.run`."""
    _prepared(kernel, dtype, len(arguments)).run(*arguments, numbers=numbers, work=work)


@functools.cache
def _prepared(kernel: str, dtype: np.dtype[Any], arguments: int) -> BoundCall:
    return BoundCall(_code_of(kernel, dtype), arguments, _numbers_of(kernel))


# --- Kernels as tasks, which a replay runs again and again on the same arrays -------------


def _tasks(kernel: str, dtype: np.dtype[Any], arguments: Sequence[int], holds: Any) -> list[Task]:
    values = np.array(arguments, np.intp)
    numbers = np.empty(_numbers_of(kernel))
    return [Task(code, values, numbers, holds) for code in _code_of(kernel, dtype)]


def _matmul(inputs: tuple[Any, ...], out: Any) -> list[Task] | None:
    a, b = inputs
    task = _products(out.dtype).task(a, b, out) if _are_matrices(a, b, out) else None
    return None if task is None else [task]


def _adam(inputs: tuple[Any, ...], out: Any) -> list[Task] | None:
    arguments = _arguments_of_adam(inputs, out)
    return None if arguments is None else _tasks("adam", out[0].dtype, arguments, (inputs, out))


def _drawn(name: str, inputs: tuple[Any, ...], out: Any) -> list[Task] | None:
    (state,) = inputs
    if out.dtype not in FLOATS or not out.flags.c_contiguous:
        return None
    return _tasks(name, out.dtype, _arguments_of_noise(state, out), (state, out))


#: From the inputs and ``out`` of a call of a kernel, the tasks that do the same; None where the
#: arrays do not suit.
TASKS: dict[str, Callable[[tuple[Any, ...], Any], list[Task] | None]] = {
    "adam": _adam,
    "matmul": _matmul,
    "normal": functools.partial(_drawn, "normal"),
    "uniform": functools.partial(_drawn, "uniform"),
}
