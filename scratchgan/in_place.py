"""Changes in place: the same memory gets other elements, and the tape notices.

A tensor on the tape may be changed too, if nothing else shares its memory: it gets the node of what
was computed. What was recorded before keeps the values that it needs, or notices that they are
gone.
"""

import builtins
import functools
from collections.abc import Callable
from typing import Any, TypeVar

from scratchgan import dtypes, functions, ops
from scratchgan.autograd.arguments import common_shape
from scratchgan.autograd.hooks import stop_retaining
from scratchgan.autograd.tape import mode
from scratchgan.autograd.tensor import Tensor, method
from scratchgan.backend import Array, devices, kernels_for
from scratchgan.random import Generator, default_generator

T = TypeVar("T", bound=Tensor)


def changed(x: Tensor, name: str) -> Array:
    """The array of ``x``, about to be changed by ``name`` past the tape.

    Raises:
        RuntimeError: ``x`` is on the tape, which records, or is an expanded view.
    """
    if _is_recorded(x):
        raise RuntimeError(
            f"{name}: a tensor on the tape cannot be changed by this; do it within no_grad()"
        )
    _begin_change(x, name)
    return x.array


def _begin_change(x: Tensor, name: str) -> None:
    if not getattr(x.array.flags, "writeable", True):
        raise RuntimeError(
            f"{name}: this memory cannot be written (it is that of a read-only array, or elements "
            "of an expanded tensor share it); change a clone()"
        )
    x.mark_changed()


def _is_recorded(*tensors: Any) -> bool:
    return mode.get().is_recording and builtins.any(
        isinstance(x, Tensor) and x.requires_grad for x in tensors
    )


def _on_the_tape(x: T, name: str, compute: Callable[..., Tensor], *others: Any) -> T:
    """``x`` becomes ``compute(x, *others)``: its elements, and its place on the tape.

    Raises:
        RuntimeError: It is a leaf that requires a gradient, or shares its memory.
        ValueError: The result does not fit into it.
    """
    if x.requires_grad and x.node is None:
        raise RuntimeError(
            f"{name}: a leaf that requires a gradient cannot be changed in place while the tape "
            "records; do it within no_grad()"
        )
    if x.may_alias:
        raise RuntimeError(
            f"{name}: this tensor shares its memory with another (one is a view of the other, or "
            "was detached), whose gradient would not know of the change; compute a new tensor"
        )
    before = x.detach().clone()  # what is recorded now needs the elements of now
    before.node, before._requires_grad = x.node, x._requires_grad
    result = compute(before, *[before if other is x else other for other in others])
    _require_fit(x, name, result.shape, result.dtype)
    kernels_for[type(x.array)].copy(result.array, out=x.array)
    x.mark_changed()
    keeps = x.node is not None and stop_retaining(x.node)
    x.node, x._requires_grad = result.node, result._requires_grad
    if keeps:  # of what the tensor is from now on
        x.retain_grad()
    return x


def _require_fit(x: Tensor, name: str, shape: tuple[int, ...], dtype: dtypes.DType) -> None:
    is_less = dtype.kind == "f" and x.dtype.kind != "f"
    if shape != x.shape or is_less or (x.dtype == dtypes.bool_ and dtype != x.dtype):
        raise ValueError(
            f"{name}: a result of shape {shape} and type {dtype} does not fit into a tensor "
            f"of shape {x.shape} and type {x.dtype}"
        )


# --- Arithmetic -----------------------------------------------------------------------------


def _compute(x: T, name: str, other: Any) -> T:
    """``x`` becomes ``name(x, other)``."""
    if _is_recorded(x, other):
        return _on_the_tape(x, f"{name}_", getattr(ops, name), other)
    both = [one for one in (x, other) if isinstance(one, Tensor)]
    shape = common_shape(f"{name}_", *[one.shape for one in both])
    arrays = [one.array if isinstance(one, Tensor) else one for one in (x, other)]
    _require_fit(x, f"{name}_", shape, dtypes.promote(arrays))
    _begin_change(x, f"{name}_")
    getattr(kernels_for[type(x.array)], name)(*arrays, out=x.array)
    return x


def _scaled(other: Any, alpha: float) -> Any:
    return other if alpha == 1 else other * alpha


@method("add_", "__iadd__")
def add_(x: T, other: Any, *, alpha: float = 1) -> T:
    """``x += alpha * other``."""
    return _compute(x, "add", _scaled(other, alpha))


@method("sub_", "subtract_", "__isub__")
def sub_(x: T, other: Any, *, alpha: float = 1) -> T:
    """``x -= alpha * other``."""
    return _compute(x, "sub", _scaled(other, alpha))


@method("mul_", "multiply_", "__imul__")
def mul_(x: T, other: Any) -> T:
    """``x *= other``."""
    return _compute(x, "mul", other)


@method("div_", "divide_", "__itruediv__")
def div_(x: T, other: Any) -> T:
    """``x /= other``."""
    return _compute(x, "div", other)


def become(x: T, name: str, function: Callable[..., Tensor], *inputs: Any, **keywords: Any) -> T:
    """``x`` becomes ``function(x, *inputs, **keywords)``, in its own memory.

    Args:
        x: What is changed.
        name: Who changes it, for errors.
        function: Of tensors.
        inputs: More of its inputs.
        keywords: Its options.

    Raises:
        RuntimeError: ``x`` is on the tape, and is a leaf or shares its memory.
        ValueError: The result does not fit into ``x``.
    """
    if _is_recorded(x, *inputs):
        return _on_the_tape(x, name, functools.partial(function, **keywords), *inputs)
    result = function(x, *inputs, **keywords)
    _require_fit(x, name, result.shape, result.dtype)
    _begin_change(x, name)
    kernels_for[type(x.array)].copy(result.array, out=x.array)
    return x


def _in_place(name: str, function: Callable[..., Tensor]) -> None:
    """Attach ``x.name_(...)``: ``x`` becomes ``function(x, ...)``."""

    def change(x: T, *inputs: Any, **keywords: Any) -> T:
        return become(x, f"{name}_", function, *inputs, **keywords)

    change.__name__ = change.__qualname__ = f"{name}_"
    change.__doc__ = f"``x`` becomes what :func:`scratchgan.{name}` makes of it."
    method()(change)


#: The functions whose result has the shape of the first input, of this package and of ops.
_COMPOSED = (
    "addbmm addcdiv addcmul addmm addmv addr baddbmm bitwise_not clamp clamp_max clamp_min "
    "copysign cumprod cumsum deg2rad float_power floor_divide fmod frac heaviside hypot "
    "index_add index_copy index_fill index_put ldexp lerp logical_and logical_not logical_or "
    "logical_xor logit masked_fill masked_scatter nan_to_num put rad2deg remainder renorm round "
    "scatter scatter_add sign sinc square tril triu true_divide xlogy "
)
_PRIMITIVE = (
    "abs acos acosh asin asinh atan atan2 atanh bitwise_and bitwise_left_shift bitwise_or "
    "bitwise_right_shift bitwise_xor ceil cos cosh erf erfc exp exp2 expm1 floor log log10 "
    "log1p log2 neg reciprocal relu rsqrt sigmoid sin sinh sqrt tan tanh trunc "
)
_FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    **{name: getattr(functions, name) for name in _COMPOSED.split()},
    **{name: getattr(ops, name) for name in _PRIMITIVE.split()},
    **{"absolute": ops.abs, "clip": functions.clamp, "negative": ops.neg, "pow": functions.power},
    **{"fix": ops.trunc, "sgn": functions.sign, "arctan2": ops.atan2},
}
_OPERATORS = {
    **{"pow": "pow", "floordiv": "floor_divide", "mod": "remainder"},
    **{"and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor"},
    **{"lshift": "bitwise_left_shift", "rshift": "bitwise_right_shift"},
}

for _name, _function in _FUNCTIONS.items():
    _in_place(_name, _function)
for _operator, _name in _OPERATORS.items():
    method(f"__i{_operator}__")(getattr(Tensor, f"{_name}_"))


# --- Other elements -------------------------------------------------------------------------


@method()
def fill_(x: T, value: float) -> T:
    """Every element becomes ``value``."""
    if _is_recorded(x):
        return _on_the_tape(x, "fill_", functools.partial(ops.put, template=(...,)), value)
    _begin_change(x, "fill_")
    kernels_for[type(x.array)].fill(value, out=x.array)
    return x


@method()
def zero_(x: T) -> T:
    """Every element becomes 0."""
    return fill_(x, 0)


def _draw(x: T, name: str, kernel: str, generator: Generator | None) -> T:
    """Random numbers in the place of the elements."""
    out = changed(x, name)
    draw = getattr(kernels_for[type(out)], kernel)
    draw((generator or default_generator).state, out=out)
    return x


@method()
def normal_(x: T, mean: float = 0.0, std: float = 1.0, *, generator: Generator | None = None) -> T:
    """Every element becomes a normal random number.

    Raises:
        RuntimeError: ``x`` is on the tape, which records.
        ValueError: ``std`` is negative.
    """
    if std < 0:
        raise ValueError(f"normal_: std is {std}; it must be 0 or more")
    return _draw(x, "normal_", "normal", generator).mul_(std).add_(mean)  # type: ignore[return-value]


@method()
def uniform_(x: T, a: float = 0.0, b: float = 1.0, *, generator: Generator | None = None) -> T:
    """Every element becomes a uniform random number in [``a``, ``b``).

    Raises:
        RuntimeError: ``x`` is on the tape, which records.
        ValueError: ``b`` is below ``a``.
    """
    if b < a:
        raise ValueError(f"uniform_: b is {b}, below a, which is {a}")
    return _draw(x, "uniform_", "uniform", generator).mul_(b - a).add_(a)  # type: ignore[return-value]


@method()
def bernoulli_(x: T, p: Any = 0.5, *, generator: Generator | None = None) -> T:
    """Every element becomes 1 with probability ``p``, else 0; errors as normal_."""
    drawn = uniform_(x.detach().clone(), generator=generator)
    return copy_(x, (drawn < p).to(x.dtype))


@method()
def copy_(x: T, other: Any) -> T:
    """The elements of ``other``, broadcast and converted to the type of ``x``."""
    setitem(x, ..., other)
    return x


@method("__setitem__")
def setitem(x: Tensor, index: Any, value: Any) -> None:
    """``x[index] = value``.

    Raises:
        IndexError: As ``x[index]`` does.
        ValueError: ``value`` does not broadcast to that part.
    """
    truth = functions.truth_of_index(index)
    if truth is not None:
        if not truth:
            return
        index = (None, ...)
    basic, template, indices = functions.parse_index(x, index)
    if len({array.ndim == 0 for array in indices}) > 1:  # numbers beside arrays are integers
        numbers = [int(i) if isinstance(i, Tensor) and not i.ndim else i for i in index]
        basic, template, indices = functions.parse_index(x, tuple(numbers))
    if _is_recorded(x, value):
        _put_on_the_tape(x, basic, template, indices, value)
        return
    kernels = kernels_for[type(x.array)]
    if not isinstance(value, Tensor):
        source = kernels.from_host(value, x.dtype, like=x.array)
    elif devices.device_of(value.array) == x.device:
        source = value.array
    else:
        source = devices.moved(value.array, x.device)
    _begin_change(x, "setitem")
    try:
        part = kernels.view(x.array, index=basic)
        if indices:
            kernels.put(source, *[i.array for i in indices], template=template, out=part)
        else:
            kernels.copy(source, out=part)
    except (IndexError, ValueError) as error:
        raise type(error)(f"setitem: {error}") from error


def _put_on_the_tape(
    x: Tensor, basic: tuple[Any, ...], template: tuple[Any, ...], indices: list[Tensor], value: Any
) -> None:
    if isinstance(value, Tensor):
        value = value.to(x.device, x.dtype)
    elif not isinstance(value, float | int):
        value = Tensor(kernels_for[type(x.array)].from_host(value, x.dtype, like=x.array))

    def compute(before: Tensor, value: Any) -> Tensor:
        if not indices:
            return ops.put(before, value, template=basic)
        part = ops.put(ops.view(before, index=basic), value, *indices, template=template)
        return ops.put(before, part, template=basic)

    _on_the_tape(x, "setitem", compute, value)
