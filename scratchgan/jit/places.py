"""The places where a function looks for values, and how it is seen whether they changed."""

import array
import functools
import random
import weakref
from collections.abc import Callable
from contextvars import ContextVar
from types import CellType
from typing import Any, NamedTuple

import numpy as np


class Place(NamedTuple):
    """A place where a function looks, and what stood there.

    Attributes:
        name: As the function would write it: ``"model.layers[0].weight"``.
        read: ``getitem``, :func:`lookup`, :func:`attribute`, :func:`size` or :func:`content`,
            called with ``holder`` and ``key``.
        holder: A dict, list, cell, class or object.
        key: An index, or the name of an attribute; for ``size`` of an object's attributes, the
            names that matter.
        value: What was found.
    """

    name: str
    read: Callable[[Any, Any], Any]
    holder: Any
    key: Any
    value: Any


class Attributes(NamedTuple):
    """The attributes of an object that matter.

    Attributes:
        owner: The object's class.
        names: The names that are mentioned; None if names are computed.
        present: The attributes that were there.
        are_listed: Whether the function may go through all of them.
    """

    owner: type
    names: frozenset[str] | None
    present: frozenset[str]
    are_listed: bool


#: Stands where nothing is.
ABSENT = object()


def lookup(holder: dict[Any, Any], key: Any) -> Any:
    """An element of a dict, which may be absent."""
    return holder.get(key, ABSENT)


def attribute(holder: Any, key: str) -> Any:
    """An attribute, which may be absent."""
    return getattr(holder, key, ABSENT)


def size(holder: Any, _: object) -> int:
    """How many elements there are."""
    return len(holder)


#: Larger arrays of NumPy's, in bytes, are not compared.
LARGEST_CONTENT = 1 << 16
#: Objects that are compared by what is in them.
COMPARED = (
    *(set, np.random.Generator, np.random.RandomState, random.Random, bytearray, array.array),
    *(ContextVar, weakref.ref, functools._lru_cache_wrapper),
)


def content(holder: Any, _: object) -> Any:
    """Parts of an object that a function reads otherwise than as an element or attribute."""
    if isinstance(holder, np.ndarray):
        return holder.tobytes()
    if isinstance(holder, np.random.Generator):
        return repr(holder.bit_generator.state)
    if isinstance(holder, np.random.RandomState):
        return repr(holder.get_state(legacy=False))
    if isinstance(holder, random.Random):
        return holder.getstate()
    if isinstance(holder, bytearray | array.array):
        return bytes(holder)
    if isinstance(holder, CellType):
        return is_filled(holder)
    if isinstance(holder, ContextVar | weakref.ref):
        return id(holder() if isinstance(holder, weakref.ref) else holder.get(None))
    if isinstance(holder, functools._lru_cache_wrapper):
        _, misses, _, count = holder.cache_info()
        return misses, count
    return frozenset(holder)


def is_filled(cell: CellType) -> bool:
    """Whether the variable of a closure has a value yet."""
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True
