"""The ``cupy`` backend: kernels for arrays on an NVIDIA GPU.

Elementwise kernels and reductions are generated from the scalar definitions
(:mod:`scratchgan.backend.cuda.source`) and compiled when first used; CuPy keeps them on disk.
Products are cuBLAS's, indexing by arrays is CuPy's. A kernel only starts work on the GPU's current
stream; nothing here waits for it but :func:`to_host`, :func:`nonzero` and :func:`wait`.
"""

import builtins
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import cupy
import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from scratchgan.backend import memory as host_memory
from scratchgan.backend.cuda import blas, launch
from scratchgan.backend.cuda import source as cuda_source
from scratchgan.backend.cuda.launch import CompiledLoop, beside, contiguous, empty, on_one_gpu
from scratchgan.backend.cuda.loops import Loop, loop_of
from scratchgan.backend.cuda.source import SUM
from scratchgan.backend.reference import filled_in, in_fours
from scratchgan.backend.scalar import DEFINITIONS, Definition, c_name

Array = Any  # cupy.ndarray, which mypy knows nothing of
Index = tuple[Any, ...]
Axis = tuple[int, ...]
Kernel = Callable[..., Any]

# --- Making arrays, and reading them back ----------------------------------------------


def fill(value: float, *, out: Array) -> None:
    """``out[...] = value``."""
    with beside(out):
        out.fill(value)


@launch.enough_memory
def from_host(
    value: ArrayLike, dtype: DTypeLike | None = None, *, like: Array | None = None
) -> Array:
    """A copy of ``value`` beside ``like``, or on the current GPU."""
    with beside(like):
        return cupy.array(np.asarray(value, dtype))


constant = from_host


def to_host(x: Array) -> np.ndarray[Any, Any]:
    """``x`` as a NumPy array; this waits until the GPU has computed it."""
    host: np.ndarray[Any, Any] = cupy.asnumpy(x)
    return host


def wait() -> None:
    """Return when the GPU has done all that it was given."""
    cupy.cuda.get_current_stream().synchronize()


def memory(x: Array) -> tuple[Array, int]:
    """See :func:`scratchgan.backend.memory.memory`; ``x`` may be a stream's host array."""
    if isinstance(x, np.ndarray):
        return host_memory.memory(x)
    owner = x if x.base is None else x.base
    return owner, x.data.ptr - owner.data.ptr


@launch.enough_memory
def allocate(nbytes: int, *, like: Array | None = None) -> Array:
    """``nbytes`` bytes of memory beside ``like``, on a boundary of 512 bytes."""
    with beside(like):
        return cupy.zeros(nbytes, np.uint8)


def part(owner: Array, *, offset: int, shape: Axis, strides: Axis, dtype: np.dtype[Any]) -> Array:
    """See :func:`scratchgan.backend.memory.part`."""
    if isinstance(owner, np.ndarray):
        return host_memory.part(owner, offset=offset, shape=shape, strides=strides, dtype=dtype)
    return cupy.ndarray(shape, dtype, memptr=owner.data + offset, strides=strides)


@on_one_gpu
def arange(*, out: Array) -> None:
    """``out = [0, 1, 2, ...]``, of one dimension."""
    out[...] = cupy.arange(out.size)


# --- Elementwise ----------------------------------------------------------------------


def compile_elementwise(definition: Definition) -> Kernel:
    """A kernel for a scalar definition."""
    loop = CompiledLoop(loop_of(definition), definition.is_real)

    def kernel(*inputs: Any, out: Array | None = None, **scalars: float) -> Array:
        if out is None:
            out = empty(inputs[0].shape, inputs[0].dtype, like=inputs[0])
        loop.elementwise(inputs, out, [scalars[name] for name in definition.scalars])
        return out

    kernel.__name__ = definition.name
    return on_one_gpu(kernel)


@on_one_gpu
def copy(x: Array, *, out: Array) -> None:
    """``out[...] = x``, broadcast and converted to the type of ``out``."""
    launch.copy(x, out)


# --- Reductions -----------------------------------------------------------------------


def _reduce(loop: CompiledLoop, x: Array, axis: Axis, out: Array) -> None:
    if out.flags.c_contiguous:
        loop.reduction((x,), None, out, axis)
        return
    whole = empty(out.shape, out.dtype, like=out)
    loop.reduction((x,), None, whole, axis)
    copy(whole, out=out)


@on_one_gpu
def sum(x: Array, *, axis: Axis, keepdims: bool, out: Array) -> None:
    """Sum over the axes ``axis``; floating elements are added in float64."""
    _reduce(launch.SUMS, x, axis, out)


@on_one_gpu
def sum_all(x: Array, *, out: Array) -> None:
    """Sum of all elements, which are added in float64, into ``out`` without dimensions."""
    _reduce(launch.SUMS, x, tuple(range(x.ndim)), out)


@on_one_gpu
def max(x: Array, *, axis: Axis, keepdims: bool, out: Array) -> None:
    """Largest element over the axes ``axis``; nan where there is one."""
    _reduce(launch.LARGEST, x, axis, out)


@on_one_gpu
def min(x: Array, *, axis: Axis, keepdims: bool, out: Array) -> None:
    """Smallest element over the axes ``axis``; nan where there is one."""
    _reduce(launch.SMALLEST, x, axis, out)


@on_one_gpu
def argmax(x: Array, *, axis: int, out: Array) -> None:
    """Index of the first largest element along ``axis``."""
    x.argmax(axis=axis, out=out)


@on_one_gpu
def argsort(x: Array, *, axis: int, out: Array) -> None:
    """The places of the elements in order of size along ``axis``; equal ones keep their order."""
    out[...] = x.argsort(axis=axis)


@on_one_gpu
def log_softmax(x: Array, *, axis: int, out: Array) -> None:
    """``x - log(sum(exp(x)))`` along ``axis``, shifted by the maximum so that nothing overflows."""
    if not out.size:
        return
    axis %= out.ndim
    whole = contiguous(out)
    length, inner = out.shape[axis], math.prod(out.shape[axis + 1 :])
    lines = out.size // length
    threads = cuda_source.power_of_two(builtins.min(length, cuda_source.THREADS))
    launch.hand_written("log_softmax", out.dtype)(
        (builtins.min(lines, 2**16),), (threads,), (lines, length, inner, contiguous(x), whole)
    )
    if whole is not out:
        copy(whole, out=out)


# --- Views: the same memory under another shape ---------------------------------------


def address(x: Array) -> int:
    """See :func:`scratchgan.backend.memory.address`."""
    return host_memory.address(x) if isinstance(x, np.ndarray) else int(x.data.ptr)


def is_contiguous(x: Array) -> bool:
    """Whether the elements lie in memory in row-major order without gaps."""
    return bool(x.flags.c_contiguous)


def reshape(x: Array, *, shape: Sequence[int]) -> Array:
    """The contiguous array ``x`` seen under another shape of the same size."""
    return x.reshape(shape)


def permute(x: Array, *, axes: Sequence[int]) -> Array:
    """``x`` with its axes in the order ``axes``."""
    return x.transpose(axes)


def expand(x: Array, *, shape: Sequence[int]) -> Array:
    """``x`` broadcast to ``shape``; the repeated elements share memory."""
    return cupy.broadcast_to(x, shape)


def diagonal(x: Array, *, offset: int, axes: tuple[int, int]) -> Array:
    """The diagonals of the matrices that ``axes`` span, as the last axis."""
    return x.diagonal(offset, *axes)


def view(x: Array, *, index: Index) -> Array:
    """``x[index]`` for integers, slices, ``None`` and ``...``."""
    return x[index if ... in index else (*index, ...)]


# --- Indexing by arrays: CuPy checks no bounds, an index beyond them wraps around -------------


@on_one_gpu
def nonzero(x: Array) -> tuple[Array, ...]:
    """Positions of the true elements, one integer array for each axis; waits for their number."""
    found: tuple[Array, ...] = x.nonzero()
    return found


@on_one_gpu
def gather(x: Array, *indices: Array, template: Index, out: Array | None = None) -> Array:
    """``x[template]`` with ``indices`` in their places; a new array where no ``out`` is given."""
    taken = x[filled_in(template, indices)]
    if out is None:
        return taken
    copy(taken, out=out)
    return out


@on_one_gpu
def scatter(x: Array, *, index: Index, out: Array) -> None:
    """Zeros, but for ``out[index] = x``; ``index`` as in :func:`view`."""
    out.fill(0)
    copy(x, out=view(out, index=index))


@on_one_gpu
def scatter_add(x: Array, *indices: Array, template: Index, out: Array) -> None:
    """Zeros, to which ``x`` is added at ``template``, in any order: elements named twice add up."""
    out.fill(0)
    cupy.add.at(out, filled_in(template, indices), x)


@on_one_gpu
def put(x: Array, *indices: Array, template: Index, out: Array) -> None:
    """``out[template] = x``; what the index leaves out keeps its value."""
    out[filled_in(template, indices)] = x


@on_one_gpu
def concatenate(*arrays: Array, axis: int, out: Array) -> None:
    """The arrays one after another along ``axis``."""
    before = (slice(None),) * (axis % out.ndim)
    start = 0
    for x in arrays:
        end = start + x.shape[axis]
        copy(x, out=out[(*before, slice(start, end))])
        start = end


# --- Products and layers --------------------------------------------------------------


@on_one_gpu
def matmul(a: Array, b: Array, *, out: Array) -> None:
    """Matrix product ``a @ b`` of the last two axes; the axes before them broadcast."""
    if out.ndim > 2 or out.dtype.char not in "fd":
        cupy.matmul(a, b, out=out)
    elif not a.size or not b.size:
        out.fill(0)
    else:
        blas.product(a, b, out)


@functools.cache
def with_bias(activation: str, definition: Definition | None) -> CompiledLoop:
    """The loop that follows a layer's product; the definition is the activation's, or None."""
    value = "sg::add({0}, {1})"
    if definition is None:
        return CompiledLoop(Loop("linear", value, ("add",)))
    scalars = "".join(f", {{{name}}}" for name in definition.scalars)
    call = f"sg::{c_name(activation)}({value}{scalars})"
    return CompiledLoop(Loop("linear", call, ("add", activation), definition.scalars))


@functools.cache
def backward_of(activation: str, definition: Definition | None) -> CompiledLoop:
    """The backward of a layer before its products; the definition is the activation's or None."""
    if definition is None:
        return CompiledLoop(Loop("linear_backward", "{0}", total=SUM))
    loop = loop_of(definition)
    return CompiledLoop(loop._replace(name="linear_backward", total=SUM))


@on_one_gpu
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
    matmul(x, weight.T, out=out)
    loop = with_bias(activation, DEFINITIONS.get(activation))
    loop.elementwise((out, bias), out, scalars)


@on_one_gpu
def linear_backward(
    g: Array, y: Array, *, activation: str, scalars: tuple[float, ...], out: tuple[Array, Array]
) -> None:
    """See :func:`scratchgan.backend.reference.linear_backward`."""
    before, bias = out
    inputs = (g,) if activation == "none" else (g, y)
    loop = backward_of(activation, DEFINITIONS.get(f"{activation}_backward"))
    loop.reduction(inputs, before, bias, (0,), scalars)


# --- Optimizers: update in place what ``out`` names -----------------------------------


def _update(name: str, gradient: Array, out: tuple[Array, ...], settings: Sequence[Any]) -> None:
    """Launch an optimizer's kernel on flat arrays; those that do not lie so are copied back."""
    parameter, *kept, step = out
    whole = [contiguous(x) for x in (parameter, *kept)]
    if gradient.dtype != parameter.dtype:
        gradient = launch.converted(gradient, parameter.dtype)
    launch.hand_written(name, parameter.dtype)(
        *cuda_source.elementwise_launch(parameter.size),
        (parameter.size, contiguous(gradient), *whole, step, *settings),
    )
    for x, copied in zip((parameter, *kept), whole, strict=True):
        if copied is not x:
            copy(copied, out=x)


def _advance(step: Array) -> None:
    launch.hand_written("advance", np.dtype(np.float32))((1,), (1,), (step,))


@on_one_gpu
def sgd(
    gradient: Array,
    *,
    lr: float,
    momentum: float,
    dampening: float,
    weight_decay: float,
    nesterov: bool,
    out: tuple[Array, Array, Array],
) -> None:
    """One step of stochastic gradient descent on ``out = (parameter, velocity, step)``."""
    settings = map(np.float64, (lr, momentum, dampening, weight_decay))
    _update("sgd", gradient, out, (*settings, np.bool_(nesterov)))
    _advance(out[-1])


def adam(
    *gradients: Array,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    out: tuple[Array, ...],
) -> None:
    """See :func:`scratchgan.backend.reference.adam`."""
    settings = tuple(map(np.float64, (lr, beta1, beta2, eps, weight_decay)))
    for gradient, own in zip(gradients, in_fours(out), strict=True):
        _adam(gradient, own, settings)


@on_one_gpu
def _adam(gradient: Array, out: tuple[Array, ...], settings: Sequence[Any]) -> None:
    _advance(out[-1])
    _update("adam", gradient, out, settings)


# --- Noise: the same numbers as on the CPU ---------------------------------------------


def uniform(state: np.ndarray[Any, Any], *, out: Array) -> None:
    """Uniform numbers in [0, 1) from the stream ``state = [key, position]``, which advances.

    The state stays on the host, where it costs nothing to read.
    """
    _draw("uniform", state, out)


def normal(state: np.ndarray[Any, Any], *, out: Array) -> None:
    """Standard normal numbers from the stream ``state``, as in :func:`uniform`."""
    _draw("normal", state, out)


def _draw(name: str, state: np.ndarray[Any, Any], out: Array) -> None:
    with beside(out):
        whole = out if out.flags.c_contiguous else empty(out.shape, out.dtype)
        launch.hand_written(name, out.dtype)(
            *cuda_source.elementwise_launch(out.size), (out.size, state[0], state[1], whole)
        )
        if whole is not out:
            copy(whole, out=out)
    state[1] += np.uint64(out.size)
