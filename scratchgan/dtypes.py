"""Data types, the default one, and how they promote.

Types rank bool < integer < float. The highest rank among the inputs of an operation decides;
within it NumPy's promotion does, tensors with dimensions going before those without, as in
PyTorch. Python numbers never promote an array within its rank.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

DType = np.dtype[Any]

bool_ = np.dtype(np.bool_)
uint8 = np.dtype(np.uint8)
int8 = np.dtype(np.int8)
int16 = np.dtype(np.int16)
int32 = np.dtype(np.int32)
int64 = np.dtype(np.int64)
float32 = np.dtype(np.float32)
float64 = np.dtype(np.float64)

#: Types under PyTorch's names.
BY_NAME: dict[str, DType] = {
    **{"bool": bool_, "byte": uint8, "char": int8, "short": int16, "int": int32, "long": int64},
    **{"float": float32, "double": float64, "uint8": uint8, "int8": int8, "int16": int16},
    **{"int32": int32, "int64": int64, "float32": float32, "float64": float64},
}
#: The names of tensors by their type that PyTorch's old programs have.
TENSOR_TYPES: dict[str, DType] = {
    **{"FloatTensor": float32, "DoubleTensor": float64, "LongTensor": int64, "IntTensor": int32},
    **{"ShortTensor": int16, "CharTensor": int8, "ByteTensor": uint8, "BoolTensor": bool_},
}

_RANK = {"b": 0, "i": 1, "u": 1, "f": 2, "c": 3}
_NUMBERS = {bool: bool_, int: int64}

_default: DType = float32


def of(
    name: str, dtype: DTypeLike | None, default: DType | None = None, kinds: str = "biuf"
) -> DType:
    """The type that a caller's ``dtype`` stands for, in this machine's byte order.

    Args:
        name: The function's that errors are about.
        dtype: A type, or its name.
        default: The type where ``dtype`` is None; if None too, the default floating type.
        kinds: The kinds of types that it may be of, by NumPy's letters.

    Raises:
        TypeError: It is no type, or not of these kinds.
    """
    if dtype is None:
        return default or _default
    numbers, some = "real numbers", "float32, float64, int64, uint8 or bool"
    if kinds == "f":
        numbers, some = "floating point numbers", "float32 or float64"
    try:
        found = np.dtype(dtype)
    except TypeError as error:
        raise TypeError(f"{name}: {dtype!r} is no data type; take scratchgan.{some}") from error
    if found.kind not in kinds:
        raise TypeError(f"{name}: {found} is no type of {numbers}; take scratchgan.{some}")
    return np.dtype(found.type)  # NumPy's one object for it: newbyteorder would make another


def get_default_dtype() -> DType:
    """The floating type of tensors made from Python numbers: float32 unless changed."""
    return _default


def set_default_dtype(dtype: DTypeLike) -> None:
    """Change the floating type of tensors made from Python numbers.

    Raises:
        TypeError: ``dtype`` is not float32 or float64.
    """
    global _default
    chosen = of("set_default_dtype", dtype)
    if chosen not in (float32, float64):
        raise TypeError(f"set_default_dtype: {chosen} is neither float32 nor float64")
    _default = chosen


def promote_types(type1: DTypeLike, type2: DTypeLike) -> DType:
    """The smallest type that holds what an operation on tensors of both gives."""
    return promote([np.empty(1, of("promote_types", dtype)) for dtype in (type1, type2)])


def within(number: Any, dtype: DType) -> Any:
    """A Python integer as a type of integers holds it: what is beyond its range wraps around."""
    if dtype.kind not in "iu" or not isinstance(number, int) or isinstance(number, bool):
        return number
    limits = np.iinfo(dtype)
    if limits.min <= number <= limits.max:
        return number
    return (number - int(limits.min)) % (1 << limits.bits) + int(limits.min)


def of_number(x: float) -> DType:
    """The type of a tensor made from the Python number ``x``."""
    return _NUMBERS.get(type(x), _default)


def promote(inputs: Iterable[Any]) -> DType:
    """The type that an operation on ``inputs``, arrays and Python numbers, computes in."""
    # Among equals in rank: with dimensions (2), without (1), Python number (0).
    candidates = [
        (_RANK[x.dtype.kind], 2 if x.ndim else 1, x.dtype)
        if hasattr(x, "dtype")
        else (_RANK[of_number(x).kind], 0, of_number(x))
        for x in inputs
    ]
    highest = max((rank, weight) for rank, weight, _ in candidates)
    return np.result_type(
        *[dtype for rank, weight, dtype in candidates if (rank, weight) == highest]
    )
