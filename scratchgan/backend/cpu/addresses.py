"""Addresses of arrays, for compiled code, which touches what it is told to and asks nothing.

So an array's type, shape and layout are compared with what a task expects before its address is
taken: here, or for products of matrices in :mod:`scratchgan.backend.cpu.gemm.products`.
"""

import ctypes
import sys
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def dense_addresses(
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    *,
    reads: Iterable[Array] = (),
    writes: Iterable[Array] = (),
) -> list[int] | None:
    """The addresses of C-contiguous arrays, which a task reads or writes; None if it must not.

    Args:
        shape: The one that the task will assume.
        dtype: The type of numbers that it will assume.
        reads: The arrays that it will read.
        writes: The arrays that it will write; their addresses come after the others.

    Returns:
        None if one is no array of NumPy's, has another shape or type, does not lie row after row
        without gaps, or is to be written and cannot be.
    """
    found = []
    for x in reads:
        if not (isinstance(x, np.ndarray) and x.shape == shape and x.dtype == dtype):
            return None
        if not x.flags.c_contiguous:
            return None
        found.append(begin_of(x))
    for x in writes:
        if not (isinstance(x, np.ndarray) and x.shape == shape and x.dtype == dtype):
            return None
        if not x.flags.carray:
            return None
        found.append(begin_of(x))
    return found


def address_of(array: Array, shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    """The address of an array's first number, for a task that knows its strides.

    Raises:
        TypeError: It is no array of NumPy's.
        ValueError: It has another shape or type.
    """
    if not isinstance(array, np.ndarray):
        raise TypeError(f"a kernel takes arrays of NumPy, not {type(array).__name__}")
    if array.shape != shape or array.dtype != dtype:
        raise ValueError(
            f"a kernel takes numbers of type {dtype} and shape {shape}, not of type {array.dtype} "
            f"and shape {array.shape}"
        )
    return begin_of(array)


_WORD, _HEAD = ctypes.sizeof(ctypes.c_ssize_t), object.__basicsize__
#: All memory of this process as integers: to read one makes no other object. Where addresses have
#: 32 bits it is the lower half.
_memory = (ctypes.c_ssize_t * (sys.maxsize // _WORD)).from_address(0)


def _read_from_object(array: Array) -> int:
    """The first field of NumPy's object (``PyArrayObject.data`` in its C interface).

    It takes a tenth of the time of ``__array_interface__``, and a step asks for hundreds.
    """
    return _memory[(id(array) + _HEAD) // _WORD]


def _read_from_interface(array: Array) -> int:
    address: int = array.__array_interface__["data"][0]
    return address


def _quickest_right() -> Callable[[Array], int]:
    """How to read an address: from the object itself, if this NumPy keeps it there."""
    samples = np.arange(6.0), np.arange(6.0)[3:], np.zeros((2, 3), np.float32).T
    if _WORD == 8 and all(_read_from_object(x) == _read_from_interface(x) for x in samples):
        return _read_from_object
    return _read_from_interface


#: The address of an array's first number, unchecked.
begin_of = _quickest_right()
