"""Addresses of arrays, for compiled code, which touches what it is told to and asks nothing.

Every array that a task works on comes through :func:`address_of`, with what the task expects of it.
"""

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def address_of(
    array: Array,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    *,
    is_dense: bool = True,
    writes: bool = False,
) -> int:
    """Where the numbers of ``array`` begin, which is what a task expects.

    Args:
        array: An array of NumPy's.
        shape: The one that the task will assume.
        dtype: The type of numbers that it will assume.
        is_dense: Whether it will assume that they lie side by side, row after row.
        writes: Whether it will write there.

    Raises:
        TypeError: It is no array of NumPy's.
        ValueError: It is not as it must be.
    """
    if not isinstance(array, np.ndarray):
        raise TypeError(f"a kernel takes arrays of NumPy, not {type(array).__name__}")
    if (
        array.shape == shape
        and (array.dtype is dtype or array.dtype == dtype)
        and (not is_dense or array.flags.c_contiguous)
        and (not writes or array.flags.writeable)
    ):
        return begin_of(array)
    raise ValueError(
        f"a kernel takes numbers of type {dtype} and shape {shape}"
        + (" side by side" if is_dense else "")
        + (" that can be written" if writes else "")
        + f", not of type {array.dtype} and shape {array.shape} with strides of {array.strides} "
        + f"bytes that can {'' if array.flags.writeable else 'not '}be written"
    )


_integer_at, _HEAD = ctypes.c_ssize_t.from_address, object.__basicsize__


def _read_from_object(array: Array) -> int:
    """The first field of NumPy's object (``PyArrayObject.data`` in its C interface).

    It takes a sixth of the time of ``__array_interface__``, and a step asks for hundreds.
    """
    return _integer_at(id(array) + _HEAD).value


def _read_from_interface(array: Array) -> int:
    address: int = array.__array_interface__["data"][0]
    return address


def _quickest_right() -> Callable[[Array], int]:
    """How to read an address: from the object itself, if this NumPy keeps it there."""
    samples = np.arange(6.0), np.arange(6.0)[3:], np.zeros((2, 3), np.float32).T
    is_right = all(_read_from_object(x) == _read_from_interface(x) for x in samples)
    return _read_from_object if is_right else _read_from_interface


#: Where the numbers of an array begin, unchecked.
begin_of = _quickest_right()
