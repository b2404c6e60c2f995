"""The ``numpy`` backend: the readable reference that says what every kernel means.

A kernel takes arrays (an elementwise one also Python numbers in their place), keyword scalars,
and ``out``, the array or tuple of arrays that it writes. It knows nothing of gradients. Those that
compute nothing (new memory, views, values for Python) stand in :mod:`scratchgan.backend.memory`.

An elementwise kernel of one or two inputs that gives their type may be called without ``out``, and
makes its result: if the first is contiguous and has a floating type and dimensions, and the second
is like it or is a Python number.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from scratchgan.backend import counter_rng, decompositions
from scratchgan.backend.memory import (  # noqa: F401, the kernels among them are this backend's
    Array,
    Axis,
    Index,
    address,
    allocate,
    constant,
    diagonal,
    empty,
    expand,
    from_host,
    is_contiguous,
    memory,
    part,
    permute,
    reshape,
    to_host,
    view,
    wait,
)
from scratchgan.backend.scalar import DEFINITIONS, Definition, as_numpy
from scratchgan.backend.specs import kernel
from scratchgan.locks import Passage

# --- Given values ---------------------------------------------------------------------


def fill(value: float, *, out: Array) -> None:
    """``out[...] = value``."""
    out.fill(value)


def arange(*, out: Array) -> None:
    """``out = [0, 1, 2, ...]``, of one dimension."""
    out[:] = np.arange(out.size)


def copy(x: Array, *, out: Array) -> None:
    """``out[...] = x``, broadcast and converted to the type of ``out``."""
    out[...] = x


# --- Elementwise ----------------------------------------------------------------------

add = np.add
sub = np.subtract
mul = np.multiply
div = np.true_divide
neg = np.negative
abs = np.absolute
sign = np.sign
square = np.square
sqrt = np.sqrt
clip = np.clip
exp = np.exp
expm1 = np.expm1
log = np.log
log1p = np.log1p
sin = np.sin
cos = np.cos
tanh = np.tanh
pow = np.power
maximum = np.maximum
minimum = np.minimum
eq = np.equal
ne = np.not_equal
lt = np.less
le = np.less_equal
gt = np.greater
ge = np.greater_equal
bitwise_and = np.bitwise_and
bitwise_or = np.bitwise_or
bitwise_xor = np.bitwise_xor
bitwise_left_shift = np.left_shift
bitwise_right_shift = np.right_shift
bits_turned = np.invert
floored_quotient = np.floor_divide
remainder = np.remainder


def where(condition: Array, x: Any, y: Any, *, out: Array) -> None:
    """``x`` where ``condition`` holds, else ``y``."""
    np.copyto(out, y, casting="unsafe")
    np.copyto(out, x, casting="unsafe", where=np.asarray(condition, bool))


@functools.cache
def compile_elementwise(definition: Definition) -> Callable[..., Array]:
    """A kernel for a scalar definition that has none in this file."""
    function = as_numpy(definition)

    def kernel(*inputs: Any, out: Array | None = None, **scalars: float) -> Array:
        if out is None:
            out = np.empty_like(inputs[0])
        # Masks compute both sides of a condition, so the side not taken may overflow.
        with np.errstate(all="ignore"):
            np.copyto(out, function(*inputs, **scalars), casting="unsafe")
        return out

    kernel.__name__ = definition.name
    return kernel


# --- Reductions -----------------------------------------------------------------------


def sum(x: Array, *, axis: Axis, keepdims: bool, out: Array) -> None:
    """Sum over the axes ``axis``; its error does not grow with how many elements there are.

    float32 is added in float64, and float64 in blocks of blocks (Higham 1993, "The accuracy of
    floating point summation", section 3).
    """
    if x.dtype == np.float32:
        np.copyto(out, x.sum(axis=axis, dtype=np.float64, keepdims=keepdims), casting="same_kind")
        return
    if x.dtype == np.float64:
        for one in axis:
            x = _in_blocks(x, one)
    np.add.reduce(x, axis=axis, out=out, keepdims=keepdims)


def _in_blocks(x: Array, axis: int) -> Array:
    """``x`` with so few elements along ``axis`` that these can be added one after another."""
    while x.shape[axis] > _BLOCK:
        count = x.shape[axis] // _BLOCK
        before, after = (slice(None),) * axis, x.shape[axis + 1 :]
        whole = x[(*before, slice(0, count * _BLOCK))]
        blocks = whole.reshape(*x.shape[:axis], count, _BLOCK, *after)
        rest = x[(*before, slice(count * _BLOCK, None))].sum(axis, keepdims=True)
        x = np.concatenate([np.add.reduce(blocks, axis=axis + 1), rest], axis)
    return x


_BLOCK = 64


@kernel(decomposition=decompositions.sum_all)
def sum_all(x: Array, *, out: Array) -> None:
    """Sum of all elements, into ``out`` without dimensions."""
    sum(x, axis=tuple(range(x.ndim)), keepdims=False, out=out)


def max(x: Array, *, axis: Axis, keepdims: bool, out: Array) -> None:
    """Largest element over the axes ``axis``; nan where there is one."""
    np.maximum.reduce(x, axis=axis, out=out, keepdims=keepdims)


def min(x: Array, *, axis: Axis, keepdims: bool, out: Array) -> None:
    """Smallest element over the axes ``axis``; nan where there is one."""
    np.minimum.reduce(x, axis=axis, out=out, keepdims=keepdims)


def argmax(x: Array, *, axis: int, out: Array) -> None:
    """Index of the first largest element along ``axis``."""
    np.argmax(x, axis=axis, out=out)


def argsort(x: Array, *, axis: int, out: Array) -> None:
    """The places of the elements in order of size along ``axis``; equal ones keep their order."""
    out[...] = np.argsort(x, axis=axis, kind="stable")


def log_softmax(x: Array, *, axis: int, out: Array) -> None:
    """``x - log(sum(exp(x)))`` along ``axis``, shifted by the maximum so that nothing overflows."""
    with np.errstate(all="ignore"):
        np.subtract(x, x.max(axis=axis, keepdims=True), out=out)
        out -= np.log(np.exp(out).sum(axis=axis, keepdims=True))


# --- Indexing by arrays ---------------------------------------------------------------


def filled_in(template: Index, indices: Sequence[Array]) -> Index:
    """The index ``template`` with each :data:`ARRAY` in it replaced by the next of ``indices``."""
    arrays = iter(indices)
    return tuple(next(arrays) if one is ARRAY else one for one in template)


#: Stands in an index template for an array that is passed as an input.
ARRAY = "array"


@kernel(
    kind="transfer",
    refusal=(
        "indexes with booleans or looks for what is not zero: a shape depends on the data",
        "use where(condition, input, other), or indices that are integers",
    ),
)
def nonzero(x: Array) -> tuple[Array, ...]:
    """Positions of the true elements, one integer array for each axis."""
    return x.nonzero()


def gather(x: Array, *indices: Array, template: Index, out: Array | None = None) -> Array:
    """``x[template]`` with ``indices`` in their places; a new array where no ``out`` is given."""
    taken = x[filled_in(template, indices)]
    if out is None:
        # NumPy may give a view of an array that nobody else holds, its axes in another order;
        # the result of a kernel owns its memory.
        return np.array(taken) if taken.base is not None else np.asarray(taken)
    out[...] = taken
    return out


@kernel(decomposition=decompositions.scatter)
def scatter(x: Array, *, index: Index, out: Array) -> None:
    """Zeros, but for ``out[index] = x``; ``index`` as in :func:`view`."""
    out.fill(0)
    out[index] = x


def scatter_add(x: Array, *indices: Array, template: Index, out: Array) -> None:
    """Zeros, to which ``x`` is added at ``template``: elements that are named twice add up."""
    out.fill(0)
    np.add.at(out, filled_in(template, indices), x)


def put(x: Array, *indices: Array, template: Index, out: Array) -> None:
    """``out[template] = x``; what the index leaves out keeps its value."""
    out[filled_in(template, indices)] = x


def concatenate(*arrays: Array, axis: int, out: Array) -> None:
    """The arrays one after another along ``axis``."""
    np.concatenate(arrays, axis=axis, out=out)


# --- Products and layers --------------------------------------------------------------


#: A child that was forked while another thread was within OpenBLAS would wait there for ever.
_in_openblas = Passage()


def matmul(a: Array, b: Array, *, out: Array) -> None:
    """Matrix product ``a @ b`` of the last two axes; the axes before them broadcast."""
    # OpenBLAS also computes with what lies beside a matrix in memory. That changes no result, but
    # NumPy warns of what became of it (numpy/numpy#24067).
    with _in_openblas, np.errstate(all="ignore"):
        np.matmul(a, b, out=out)


@kernel(decomposition=decompositions.linear)
def linear(
    x: Array,
    weight: Array,
    bias: Array,
    *,
    activation: str,
    scalars: tuple[float, ...],
    out: Array,
) -> None:
    """``activation(x @ weight.T + bias)``; ``x`` (N, in), ``weight`` (out, in), ``bias`` (out,).

    The activation is the name of a scalar definition, or ``"none"``; ``scalars`` are its keywords.
    """
    matmul(x, weight.T, out=out)
    out += bias
    if activation != "none":
        _compute(activation, out, scalars=scalars, out=out)


@kernel(decomposition=decompositions.linear_backward)
def linear_backward(
    g: Array, y: Array, *, activation: str, scalars: tuple[float, ...], out: tuple[Array, Array]
) -> None:
    """The gradient before the activation, (N, out), and its sum over rows, the bias's, (out,).

    ``g`` is the gradient of ``y = linear(...)``.
    """
    before, bias_gradient = out
    if activation == "none":
        np.copyto(before, g)
    else:
        _compute(f"{activation}_backward", g, y, scalars=scalars, out=before)
    sum(before, axis=(0,), keepdims=False, out=bias_gradient)


def _compute(name: str, *inputs: Array, scalars: tuple[float, ...], out: Array) -> None:
    definition = DEFINITIONS[name]
    kernel = globals().get(name) or compile_elementwise(definition)
    kernel(*inputs, out=out, **dict(zip(definition.scalars, scalars, strict=True)))


# --- Optimizers: update in place what ``out`` names -----------------------------------


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
    parameter, velocity, step = out
    gradient = gradient + weight_decay * parameter
    if momentum:
        # The first velocity is the gradient itself, undamped.
        velocity *= momentum
        velocity += gradient * (1 - dampening if step > 0 else 1)
        gradient = gradient + momentum * velocity if nesterov else velocity
    parameter -= lr * gradient
    step += 1


@kernel()
def adam(
    *gradients: Array,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    out: tuple[Array, ...],
) -> None:
    """One step of Adam (Kingma & Ba 2015, algorithm 1) on parameters of one type.

    ``out`` holds the parameter, m, v and the count of steps of each gradient, in their order.
    """
    settings = {"lr": lr, "beta1": beta1, "beta2": beta2, "eps": eps, "weight_decay": weight_decay}
    for gradient, own in zip(gradients, in_fours(out), strict=True):
        adam_of_one(gradient, **settings, out=own)


def adam_of_one(
    gradient: Array,
    *,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    out: tuple[Array, ...],
) -> None:
    """The step of :func:`adam` for one parameter, with ``out = (parameter, m, v, step)``."""
    parameter, m, v, step = out
    step += 1
    gradient = gradient + weight_decay * parameter
    m += (1 - beta1) * (gradient - m)
    v *= beta2
    v += (1 - beta2) * gradient * gradient
    t = float(step)
    step_size = lr / (1 - beta1**t)
    parameter -= step_size * m / (np.sqrt(v) * (1 / np.sqrt(1 - beta2**t)) + eps)


def in_fours(arrays: tuple[Array, ...]) -> list[tuple[Array, ...]]:
    """The ``out`` of :func:`adam` for one gradient after another."""
    return [arrays[i : i + 4] for i in range(0, len(arrays), 4)]


# --- Noise: the same numbers on every backend -----------------------------------------


@kernel(changes_inputs=True)  # the state of the stream moves on
def uniform(state: Array, *, out: Array) -> None:
    """Uniform numbers in [0, 1) from the stream ``state = [key, position]``, which advances."""
    draws = counter_rng.uniform(state, out.size).reshape(out.shape)
    if out.dtype == np.float32:  # rounding could give 1
        draws = np.floor(draws * 2.0**24) / 2.0**24
    np.copyto(out, draws, casting="unsafe")


@kernel(changes_inputs=True)
def normal(state: Array, *, out: Array) -> None:
    """Standard normal numbers from the stream ``state = [key, position]``, which advances."""
    np.copyto(out, counter_rng.normal(state, out.size).reshape(out.shape), casting="unsafe")
