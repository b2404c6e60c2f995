"""The ``numba`` backend: compiled loops where they are faster than NumPy, else NumPy's kernels.

Exactly rounded arithmetic stays with NumPy's ufuncs, which are as fast. Elementwise functions are
compiled from their scalar definitions by :mod:`~scratchgan.backend.cpu.elementwise`. By hand are
written products of matrices (``gemm/``), layers (``linear``), sums (``reductions``), and copies,
Adam and noise (``loops``).
"""

import builtins
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from scratchgan.backend import MachineCodeError, reference
from scratchgan.backend.cpu.addresses import Array, begin_of, dense_addresses
from scratchgan.backend.cpu.codegen import machine_code
from scratchgan.backend.cpu.elementwise import FLOATS, ufunc_of
from scratchgan.backend.cpu.gemm import products
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


def copy(x: Array, *, out: Array) -> None:
    """See :func:`scratchgan.backend.reference.copy`."""
    dtype, size = out.dtype, out.size
    if size >= LARGE_COPY and dtype in FLOATS and not np.may_share_memory(x, out):
        places = dense_addresses(out.shape, dtype, reads=(x,), writes=(out,))
        if places is not None and _run("copy", dtype, *places, size, work=size):
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


def sum_all(x: Array, *, out: Array) -> None:
    """See :func:`scratchgan.backend.reference.sum_all`."""
    if x.size <= SMALL_SUM and x.dtype in FLOATS:
        np.add.reduce(x, axis=None, dtype=np.float64, out=out)
    else:
        sum(x, axis=tuple(range(x.ndim)), keepdims=False, out=out)


def sum(x: Array, *, axis: tuple[int, ...], keepdims: bool, out: Array) -> None:
    """See :func:`scratchgan.backend.reference.sum`."""
    size, kept, dtype = x.size, out.size, x.dtype
    if dtype in FLOATS and size and kept:
        source = dense_addresses(x.shape, dtype, reads=(x,))
        target = dense_addresses(out.shape, dtype, writes=(out,))
        if source is not None and target is not None:
            places, n = (*source, *target), size // kept
            are_rows = axis == tuple(range(x.ndim - len(axis), x.ndim))
            if are_rows and _run("sum_rows", dtype, *places, kept, n, work=size):
                return
            are_columns = axis == tuple(range(len(axis)))
            if are_columns and _run("sum_columns", dtype, *places, n, kept, work=size):
                return
    reference.sum(x, axis=axis, keepdims=keepdims, out=out)


def matmul(a: Array, b: Array, *, out: Array) -> None:
    """See :func:`scratchgan.backend.reference.matmul`."""
    if not products.multiply(a, b, out):
        reference.matmul(a, b, out=out)


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
    transposed, forward = weight.T, None
    plan = products.plan_of(x, transposed, out)
    place = dense_addresses(out.shape[1:], out.dtype, reads=(bias,))
    if plan is not None and place is not None and out.flags.c_contiguous:
        forward = layer_forward(plan.function, out.dtype, activation, DEFINITIONS.get(activation))
    if plan is None or place is None or forward is None:
        reference.linear(x, weight, bias, activation=activation, scalars=scalars, out=out)
        return
    arguments = plan.arguments(x, transposed, out)
    forward.run(*arguments, *place, numbers=scalars, work=plan.work)


def linear_backward(
    g: Array, y: Array, *, activation: str, scalars: tuple[float, ...], out: tuple[Array, Array]
) -> None:
    """See :func:`scratchgan.backend.reference.linear_backward`."""
    dtype, shape, backward = y.dtype, y.shape, None
    before, bias_gradient = out
    places = dense_addresses(shape, dtype, reads=(g, y), writes=(before,))
    sums = dense_addresses(shape[1:], dtype, writes=(bias_gradient,))
    if dtype in FLOATS and shape[1] <= WIDEST:
        backward = layer_backward(dtype, activation, DEFINITIONS.get(f"{activation}_backward"))
    if places is None or sums is None or backward is None:
        reference.linear_backward(g, y, activation=activation, scalars=scalars, out=out)
        return
    backward.run(*places, *sums, *shape, numbers=scalars, work=y.size)


def adam(*gradients: Array, out: tuple[Array, ...], **settings: float) -> None:
    """See :func:`scratchgan.backend.reference.adam`."""
    arguments = _arguments_of_adam(gradients, out)
    numbers = [settings[name] for name in spec_of("adam").scalars]
    work = builtins.sum(x.size for x in gradients)
    if arguments is None or not _run("adam", out[0].dtype, *arguments, numbers=numbers, work=work):
        reference.adam(*gradients, out=out, **settings)


def uniform(state: Array, *, out: Array) -> None:
    """See :func:`scratchgan.backend.reference.uniform`."""
    _draw("uniform", state, out)


def normal(state: Array, *, out: Array) -> None:
    """See :func:`scratchgan.backend.reference.normal`."""
    _draw("normal", state, out)


def _draw(name: str, state: Array, out: Array) -> None:
    arguments = _arguments_of_noise(state, out)
    if arguments is None or not _run(name, out.dtype, *arguments, work=out.size):
        getattr(reference, name)(state, out=out)


def _arguments_of_noise(state: Array, out: Array) -> list[int] | None:
    """The task's arguments; None if the arrays do not suit it."""
    stream = dense_addresses((2,), _STATE, writes=(state,))
    place = dense_addresses(out.shape, out.dtype, writes=(out,))
    if stream is None or place is None or out.dtype not in FLOATS:
        return None
    return [*stream, *place, out.size]


_STATE, _COUNT = np.dtype(np.uint64), np.dtype(np.intp)


def _arguments_of_adam(gradients: Sequence[Array], out: tuple[Array, ...]) -> list[int] | None:
    """The task's arguments; None if the arrays do not suit it."""
    dtype, counts = out[0].dtype, dense_addresses((), _COUNT, writes=out[3::4])
    if dtype not in FLOATS or counts is None:
        return None
    arguments = [len(gradients)]
    for i, gradient in enumerate(gradients):
        own = out[4 * i : 4 * i + 3]  # the parameter, m, v
        places = dense_addresses(own[0].shape, dtype, reads=(gradient,), writes=own)
        if places is None:
            return None
        arguments += (*places, counts[i], gradient.size)
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
) -> bool:
    """Run a kernel's tasks (see :meth:`BoundCall.run`); False where there is no machine code."""
    prepared = _prepared(kernel, dtype, len(arguments))
    if prepared is not None:
        prepared.run(*arguments, numbers=numbers, work=work)
    return prepared is not None


@functools.cache
def _prepared(kernel: str, dtype: np.dtype[Any], arguments: int) -> BoundCall | None:
    try:
        return BoundCall(_code_of(kernel, dtype), arguments, _numbers_of(kernel))
    except MachineCodeError:
        return None


# --- Kernels as tasks, which a replay runs again and again on the same arrays -------------


def _tasks(kernel: str, dtype: np.dtype[Any], arguments: Sequence[int], holds: Any) -> list[Task]:
    values = np.array(arguments, np.intp)
    numbers = np.empty(_numbers_of(kernel))
    return [Task(code, values, numbers, holds) for code in _code_of(kernel, dtype)]


def _matmul(inputs: tuple[Any, ...], out: Any) -> list[Task] | None:
    a, b = inputs
    task = products.task(a, b, out)
    return None if task is None else [task]


def _adam(inputs: tuple[Any, ...], out: Any) -> list[Task] | None:
    arguments = _arguments_of_adam(inputs, out)
    return None if arguments is None else _tasks("adam", out[0].dtype, arguments, (inputs, out))


def _drawn(name: str, inputs: tuple[Any, ...], out: Any) -> list[Task] | None:
    (state,) = inputs
    arguments = _arguments_of_noise(state, out)
    return None if arguments is None else _tasks(name, out.dtype, arguments, (state, out))


#: From the inputs and ``out`` of a call of a kernel, the tasks that do the same; None where the
#: arrays do not suit.
TASKS: dict[str, Callable[[tuple[Any, ...], Any], list[Task] | None]] = {
    "adam": _adam,
    "matmul": _matmul,
    "normal": functools.partial(_drawn, "normal"),
    "uniform": functools.partial(_drawn, "uniform"),
}
