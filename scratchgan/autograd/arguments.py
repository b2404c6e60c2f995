"""The arguments of primitives and of functions composed of them: all ways to give them."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, NoReturn, Protocol, TypeVar

import numpy as np

from scratchgan import dtypes
from scratchgan.autograd.tensor import Tensor
from scratchgan.backend import Array, ArrayTypeError, kernels_for
from scratchgan.backend.devices import different_devices
from scratchgan.dtypes import DType

F = TypeVar("F", bound=Callable[..., Any])

#: The types that may stand in the place of a tensor.
NUMBERS = (float, int, bool)


#: What a parameter that takes a tensor is annotated with.
_TENSORS = (Tensor, Tensor | None)

#: Words of NumPy's and of PyTorch's methods, and PyTorch's for the first inputs, in the place of
#: those here.
SYNONYMS = {"axis": "dim", "keepdims": "keepdim", "split_size": "split_size_or_sections"}
_INPUTS = {"input": 0, "other": 1}


class Signature(Protocol):
    """The names that a primitive takes."""

    name: str
    inputs: tuple[str, ...]
    keywords: tuple[str, ...]
    defaults: dict[str, Any]
    variadic: str | None
    is_elementwise: bool


def bound(
    of: Signature, inputs: tuple[Any, ...], keywords: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Inputs and keywords, of which some keywords were given by position, or inputs by name.

    Raises:
        TypeError: There are too few or too many, or one is unknown, or given twice.
    """
    own = [_own_word(of, name) for name in keywords]
    given = dict(zip(own, keywords.values(), strict=True))
    needed = of.keywords
    if of.variadic is None:
        needed = (*of.inputs, *of.keywords)
        if len(inputs) > len(needed):
            raise TypeError(
                f"{of.name}: takes {', '.join(needed)}; {len(inputs)} arguments were given"
            )
        own += needed[: len(inputs)]
        given |= dict(zip(needed, inputs, strict=False))
    require_once(of.name, own)
    given = of.defaults | given
    missing = [name for name in needed if name not in given]
    unknown = [name for name in given if name not in needed]
    if unknown:
        raise TypeError(f"{of.name}: has no argument {unknown[0]!r}")
    if missing:
        raise TypeError(f"{of.name}: lacks the argument {missing[0]!r}")
    if of.variadic is None:
        inputs = tuple([given.pop(name) for name in of.inputs])
    return inputs, given


def require_once(name: str, words: list[str]) -> None:
    """Raise a TypeError if one of the arguments of the function ``name`` is given twice."""
    for i, word in enumerate(words):
        if word in words[:i]:
            raise TypeError(f"{name}: the argument {word!r} is given twice")


def may_be_named(function: F) -> F:
    """Decorator: the numbers that ``*size`` takes may be given together as ``size=`` too."""
    code = function.__code__
    before = code.co_varnames[: code.co_argcount]
    word = code.co_varnames[code.co_argcount + code.co_kwonlyargcount]

    @functools.wraps(function)
    def call(*inputs: Any, **keywords: Any) -> Any:
        if word in keywords:
            if len(inputs) > len(before):
                raise TypeError(f"{function.__name__}: {word} is given by position and by name")
            named = [name for name in before[len(inputs) :] if name in keywords]
            inputs = (*inputs, *map(keywords.pop, (*named, word)))
        return function(*inputs, **keywords)

    return call  # type: ignore[return-value]


def checked(function: F) -> F:
    """Decorator: arguments that are annotated as tensors are tensors; NumPy's words are taken.

    An array in the place of a tensor becomes a constant one, as with a primitive. ``axis`` may be
    said for a parameter ``dim``, and ``keepdims`` for ``keepdim``.

    Raises:
        TypeError: Something else is given in the place of a tensor, or an argument twice.
    """
    name = function.__name__
    parameters = inspect.signature(function).parameters
    tensors = [(i, w) for i, w in enumerate(parameters) if parameters[w].annotation in _TENSORS]
    optional = [word for _, word in tensors if parameters[word].annotation is not Tensor]
    own = {w: to for w, to in SYNONYMS.items() if to in parameters and w not in parameters}

    def tensor(word: str, x: Any) -> Tensor | None:
        return None if x is None and word in optional else _tensor(name, word, x)

    @functools.wraps(function)
    def call(*inputs: Any, **keywords: Any) -> Any:
        if keywords:
            words = [own.get(word, word) for word in keywords]
            require_once(name, words)
            keywords = dict(zip(words, keywords.values(), strict=True))
        for i, word in tensors:
            if i >= len(inputs):
                if word in keywords:
                    keywords[word] = tensor(word, keywords[word])
            elif not isinstance(inputs[i], Tensor):
                inputs = (*inputs[:i], tensor(word, inputs[i]), *inputs[i + 1 :])
        return function(*inputs, **keywords)

    return call  # type: ignore[return-value]


def has_synonyms(of: Signature, keywords: dict[str, Any]) -> bool:
    """Whether some of ``keywords`` are others' words for arguments of this primitive."""
    return any(_own_word(of, name) != name for name in keywords)


def _own_word(of: Signature, name: str) -> str:
    """The primitive's name of an argument that may be called otherwise."""
    if name in (*of.inputs, *of.keywords):
        return name
    if name in _INPUTS and len(of.inputs) > _INPUTS[name]:
        return of.inputs[_INPUTS[name]]
    return SYNONYMS.get(name, name)


def lifted(name: str, x: Any) -> Any:
    """An array among the inputs becomes a constant tensor.

    Raises:
        TypeError: It is neither a tensor, nor an array of real numbers, nor a number.
    """
    if isinstance(x, Tensor) or type(x) in NUMBERS:
        return x
    if isinstance(x, np.generic):  # np.float64 is also a float
        return x.item()
    if isinstance(x, float | int):  # of a class derived from these, as an enumeration's
        return float(x) if isinstance(x, float) else int(x)
    if _is_array(x):
        return _constant(name, x)
    raise TypeError(
        f"{name}: takes tensors, arrays and numbers, not {type(x).__name__}; "
        "make one with scratchgan.tensor(...)"
    )


def tensors_of(name: str, tensors: Any) -> list[Tensor]:
    """The tensors of a list, of which some may be arrays.

    Raises:
        TypeError: It is no list, tuple or other iterable, or not of tensors.
    """
    try:
        found = list(tensors)
    except TypeError:
        given = type(tensors).__name__
        raise TypeError(f"{name}: takes a list or tuple of tensors, not {given}") from None
    return [
        x if isinstance(x, Tensor) else _tensor(name, f"tensors[{i}]", x)
        for i, x in enumerate(found)
    ]


def _tensor(name: str, word: str, x: Any) -> Tensor:
    """``x``, or the constant tensor of an array; ``word`` is the argument's in the error."""
    tensor = _constant(name, x) if _is_array(x) else x
    require_tensors(name, **{word: tensor})
    return tensor


def _is_array(x: Any) -> bool:
    return type(x) in kernels_for or isinstance(x, np.ndarray)


def _constant(name: str, array: Array) -> Tensor:
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name}: takes arrays of real numbers, not of {array.dtype}")
    return Tensor(array)


def require_tensors(name: str, **inputs: Any) -> None:
    """Raise a TypeError if an input, given by its name, is no tensor."""
    for word, x in inputs.items():
        if not isinstance(x, Tensor):
            raise TypeError(
                f"{name}: {word} is a tensor, not {type(x).__name__}; make one with "
                "scratchgan.tensor"
            )


def numbers(name: str, keywords: dict[str, Any]) -> dict[str, Any]:
    """The keywords of an elementwise primitive, where NumPy's numbers are Python's.

    Raises:
        TypeError: One is no number.
    """
    for word, value in keywords.items():
        if type(value) not in NUMBERS:
            number = value.item() if isinstance(value, np.generic) or _is_0d(value) else value
            if not isinstance(number, float | int):
                raise TypeError(f"{name}: {word} is a number, not {value!r}")
            keywords = {**keywords, word: number}
    return keywords


def _is_0d(x: Any) -> bool:
    return isinstance(x, np.ndarray) and x.ndim == 0


def fail(of: Signature, error: Exception, inputs: list[Any], keywords: dict[str, Any]) -> NoReturn:
    """Raise ``error``, which a kernel did, with the primitive's name and the shapes."""
    bound(of, tuple(inputs), keywords)  # it may be that a keyword is unknown
    arrays = [x for x in inputs if type(x) not in NUMBERS]
    fault = different_devices(of.name, arrays)
    if fault is not None:
        raise fault from error
    if not of.is_elementwise:
        words = [*of.inputs, *[f"{of.variadic}[{i}]" for i in range(len(inputs))]]
        for word, x in zip(words, inputs, strict=False):
            if type(x) in NUMBERS and _needs_an_array(error, x):
                require_tensors(of.name, **{word: x})
    if type(error) not in (ValueError, IndexError) or str(error).startswith(of.name + ":"):
        raise error
    shapes = " and ".join(str(x.shape) for x in arrays)
    raise type(error)(f"{of.name} of a tensor of shape {shapes}: {error}") from error


def _needs_an_array(error: Exception, number: float) -> bool:
    """Whether ``error`` came of the number's being none: it has no shape, and no kernels."""
    if isinstance(error, AttributeError):
        return error.obj is number
    return isinstance(error, ArrayTypeError)


def result_of(name: str, inputs: tuple[Any, ...]) -> tuple[tuple[int, ...], DType, Array]:
    """Shape and type that ``inputs`` broadcast to, and one of them that is an array."""
    array: Array = None
    shape: tuple[int, ...] = ()
    dtype: Any = None
    for x in inputs:
        if array is None:
            if type(x) not in NUMBERS:
                array, shape, dtype = x, x.shape, x.dtype
        elif type(x) is type(array):
            if x.dtype != dtype or x.shape != shape:
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
    shape = common_shape(name, *[x.shape for x in arrays])
    return shape, dtypes.promote(inputs), arrays[0]


def within(x: Any, dtype: DType) -> Any:
    """An input of integers, which a number or an array without dimensions does not widen."""
    has_no_dims = hasattr(x, "dtype") and not x.ndim and x.dtype != dtype
    return as_type(x, dtype) if has_no_dims else dtypes.within(x, dtype)


def as_type(x: Any, dtype: DType) -> Any:
    """An array as one of another type; a number as it is."""
    if not hasattr(x, "dtype"):
        return x
    kernels = kernels_for[type(x)]
    out = kernels.empty(x.shape, dtype, like=x)
    kernels.copy(x, out=out)
    return out


def common_shape(name: str, *shapes: Any) -> tuple[int, ...]:
    """The shape that several broadcast to.

    Raises:
        ValueError: They do not broadcast together.
    """
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError as error:
        given = " and ".join(map(str, shapes))
        raise ValueError(f"{name}: the shapes {given} do not broadcast together") from error
