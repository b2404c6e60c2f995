"""The arguments of a jitted function: what distinguishes them, and how they lie in memory."""

import copy
import dataclasses
import enum
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

import numpy as np

from scratchgan.autograd.tensor import Tensor
from scratchgan.backend import Array, kernels_for
from scratchgan.jit.context import JitError

#: First and last byte of an array in memory, and which kind of memory that is.
Span = tuple[int, int, type]

#: The parts of a tensor's :func:`signature`, in words.
FACTS = (
    *("shape", "dtype", "kind of array", "class", "requires_grad", "place on the tape"),
    *("strides", "hooks", "attributes"),
)


def signature(value: Any, tensors: list[Tensor]) -> Any:
    """The part of a recording's key that an argument makes up.

    Args:
        value: The argument.
        tensors: All different tensors that were met so far; those of ``value`` are appended.

    Raises:
        JitError: It is neither a tensor, nor hashable, nor made of such.
    """
    if isinstance(value, Tensor):
        for number, known in enumerate(tensors):
            if known is value:
                return "the same tensor as", number
        tensors.append(value)
        array, attributes = value.array, value.__dict__
        return (
            array.shape,
            array.dtype,
            type(array),
            type(value),
            value.requires_grad,
            value.node is None,
            None if array.flags.c_contiguous else array.strides,
            tuple(value.hooks.values()) if value.hooks else None,
            tuple([(name, id(x)) for name, x in attributes.items()]) if attributes else None,
        )
    if type(value) is tuple or isinstance(value, list) or _is_named_tuple(value):
        return (type(value), *[signature(x, tensors) for x in value])
    if isinstance(value, dict):
        items = [(type(name), name, signature(x, tensors)) for name, x in value.items()]
        return (type(value), *items)
    if _is_dataclass(value):
        return (type(value), *[signature(x, tensors) for x in _fields(value).values()])
    try:
        hash(value)
    except TypeError as error:
        raise JitError(
            f"jit: an argument of type {type(value).__name__} is neither a tensor nor hashable; "
            "pass arrays as tensors"
        ) from error
    if isinstance(value, float | complex | np.generic):
        return type(value), repr(value)  # zeros of either sign are equal, and nan is not
    if isinstance(value, CONSTANTS) or value is None:
        return type(value), value
    return type(value), value, id(value)  # equal objects may differ in what they do


def difference(before: Any, now: Any) -> str:
    """In words, what distinguishes two keys of recordings."""
    (given, aliases, *settings), (given_now, aliases_now, *settings_now) = before, now
    if aliases != aliases_now:
        return "arguments share memory in another way"
    names = ("whether gradients are recorded", "the default type", "the backend")
    for name, old, new in zip(names, settings, settings_now, strict=True):
        if old != new:
            return f"{name} was {old}, and is {new}"
    for old, new in zip(_entries(given), _entries(given_now), strict=False):
        if old == new:
            continue
        if len(old) == len(new) == len(FACTS):
            words = [
                f"{fact} {b!s:.60} instead of {a!s:.60}"
                for fact, a, b in zip(FACTS, old, new, strict=True)
                if a != b
            ]
            return f"a tensor has {', '.join(words)}"
        return f"an argument is {new[-1]!r:.60} instead of {old[-1]!r:.60}"
    return "there are more or fewer arguments"


def _entries(facts: Any) -> list[Any]:
    """The facts of single arguments in a signature."""
    is_group = any(isinstance(x, tuple) and x and isinstance(x[0], tuple | type) for x in facts)
    if len(facts) == len(FACTS) and not is_group:
        return [facts]
    inner = [x for x in facts if isinstance(x, tuple)]
    return [entry for x in inner for entry in _entries(x)] if inner else [facts]


#: The types that may be returned as they are, since nobody can change them.
CONSTANTS = (int, float, complex, str, bytes, np.generic, np.dtype, enum.Enum, type, slice, range)


def _is_named_tuple(value: Any) -> bool:
    return isinstance(value, tuple) and hasattr(value, "_fields")


def _is_dataclass(value: Any) -> bool:
    return dataclasses.is_dataclass(value) and not isinstance(value, type)


def mapped(value: Any, kind: type | Callable[[Any], bool], function: Callable[[Any], Any]) -> Any:
    """``value`` with ``function`` applied to all of ``kind`` in it (see :func:`leaves_of`).

    Args:
        value: Tensors in tuples, lists, dicts and dataclasses, and anything else.
        kind: A class, or a function that says whether to go no deeper.
        function: What is done to it.
    """
    if isinstance(value, kind) if isinstance(kind, type) else kind(value):
        return function(value)
    if type(value) is tuple:
        return tuple([mapped(x, kind, function) for x in value])
    if _is_named_tuple(value):
        return type(value)(*[mapped(x, kind, function) for x in value])
    made: Any
    if isinstance(value, list):
        made = copy.copy(value)
        made[:] = [mapped(x, kind, function) for x in value]
        return made
    if isinstance(value, dict):
        made = copy.copy(value)
        for name, x in value.items():
            made[name] = mapped(x, kind, function)
        return made
    if _is_dataclass(value):
        made = copy.copy(value)
        for name, x in _fields(value).items():
            object.__setattr__(made, name, mapped(x, kind, function))  # it may be frozen
        return made
    return value


def leaves_of(value: Any) -> list[Any]:
    """The contents of tuples, lists, dicts and dataclasses, in order."""
    if type(value) is tuple or isinstance(value, list) or _is_named_tuple(value):
        return [leaf for x in value for leaf in leaves_of(x)]
    if isinstance(value, dict):
        return [leaf for x in value.values() for leaf in leaves_of(x)]
    if _is_dataclass(value):
        return leaves_of(_fields(value))
    return [value]


def layout_of(value: Any) -> Any:
    """Equal for as long as nobody exchanges an element, a key or an attribute in ``value``."""
    if isinstance(value, tuple | list):
        return tuple([layout_of(x) for x in value])
    if isinstance(value, dict):
        return tuple([(name, layout_of(x)) for name, x in value.items()])
    if _is_dataclass(value):
        return layout_of(getattr(value, "__dict__", None) or _fields(value))
    return id(value)


def classes_of(value: Any) -> list[type]:
    """The classes of the tuples, lists, dicts and dataclasses that ``value`` consists of."""
    if isinstance(value, tuple | list):
        return [type(value), *[found for x in value for found in classes_of(x)]]
    if isinstance(value, dict):
        return [type(value), *[found for x in value.values() for found in classes_of(x)]]
    if _is_dataclass(value):
        return [type(value), *classes_of(_fields(value))]
    return []


def _fields(value: Any) -> dict[str, Any]:
    names = [field.name for field in dataclasses.fields(value)]
    fields = {name: getattr(value, name) for name in names if hasattr(value, name)}
    return {**fields, **getattr(value, "__dict__", {})}


def span_of(array: Array) -> Span:
    """Where ``array`` lies in memory."""
    first = kernels_for[type(array)].address(array)
    if array.flags.c_contiguous:
        return first, first + array.nbytes, type(array)
    reach = [(n - 1) * stride for n, stride in zip(array.shape, array.strides, strict=True)]
    last = first + sum(x for x in reach if x > 0) + array.dtype.itemsize
    return first + sum(x for x in reach if x < 0), last, type(array)


def overlap(one: Span, other: Span) -> bool:
    """Whether two arrays have a byte in common."""
    return one[0] < other[1] and other[0] < one[1] and one[2] is other[2]


def _are_apart(spans: Sequence[Span]) -> bool:
    """Whether none begins before the one in front of it ends; the common case, told quickly."""
    end = 0
    for begin, next_end, _ in sorted(spans, key=itemgetter(0)):
        if begin < end:
            return False
        end = next_end
    return True


def overlaps(spans: Sequence[Span]) -> tuple[tuple[int, int, int], ...]:
    """The pairs of arrays that have a byte in common, and how far apart they begin."""
    if len(spans) < 2 or _are_apart(spans):
        return ()
    order = sorted(range(len(spans)), key=lambda i: spans[i][0])
    pairs = []
    active: list[int] = []
    for i in order:
        active = [j for j in active if spans[j][1] > spans[i][0]]
        for j in active:
            if overlap(spans[i], spans[j]):
                pairs.append((min(i, j), max(i, j), spans[max(i, j)][0] - spans[min(i, j)][0]))
        active.append(i)
    return tuple(sorted(pairs))


def groups_of(spans: Sequence[Span]) -> list[list[int]]:
    """The positions of arrays, in groups that overlap directly or through others."""
    groups: list[list[int]] = []
    end: Any = None
    for i in sorted(range(len(spans)), key=lambda i: (id(spans[i][2]), spans[i][0])):
        begins = end is None or spans[i][2] is not spans[groups[-1][-1]][2] or spans[i][0] >= end
        if begins:
            groups.append([])
        groups[-1].append(i)
        end = spans[i][1] if begins else max(end, spans[i][1])
    return groups


def stand_ins(tensors: Sequence[Tensor], spans: Sequence[Span]) -> tuple[Array, list[Tensor]]:
    """New memory, and tensors on it like those given, with the same values.

    They share memory with each other as those do. Strides are the same too, so that what is a view,
    and what a copy, is so there.

    Args:
        tensors: Leaves that share memory, in the order of where they begin.
        spans: Where they lie.

    Raises:
        JitError: A tensor is on the tape.
    """
    begin, end = spans[0][0], max(span[1] for span in spans)
    array = tensors[0].array
    kernels = kernels_for[type(array)]
    is_simple = len(tensors) == 1 and array.flags.c_contiguous
    layout = (array.shape, array.dtype) if is_simple else (max(end - begin, 1), "uint8")
    memory = kernels.empty(*layout, like=array)
    made = []
    versions: dict[int, list[int]] = {}  # what was one version, is one
    for tensor in tensors:
        if tensor.node is not None:
            raise JitError(
                f"jit: an argument (or its gradient) of shape {tensor.shape} is the result of a "
                "recorded operation; the gradient would end here. Pass its detach(), or do that "
                "operation inside"
            )
        array = part = tensor.array
        if is_simple:
            part = memory
        else:
            offset = kernels.address(array) - begin
            part = kernels.part(
                memory, offset=offset, shape=array.shape, strides=array.strides, dtype=array.dtype
            )
        kernels.copy(array, out=part)
        stand_in = type(tensor).__new__(type(tensor))
        Tensor.__init__(stand_in, part, tensor.requires_grad)
        stand_in.hooks = tensor.hooks
        stand_in.__dict__ = tensor.__dict__
        stand_in._version = versions.setdefault(id(tensor.version), stand_in.version)
        made.append(stand_in)
    return memory, made
