"""NumPy's memory: arrays are made, moved to and from Python, and seen under another shape.

These are the kernels of the ``numpy`` backend that compute nothing; the others stand in
:mod:`scratchgan.backend.reference`. View kernels (:func:`reshape`, :func:`permute`, :func:`expand`,
:func:`diagonal`, :func:`view`) write nothing: they return another view of their input's memory.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from scratchgan.backend.specs import SPECS, KernelSpec, kernel

Array = np.ndarray[Any, Any]
Index = tuple[Any, ...]
Axis = tuple[int, ...]

# --- New memory --------------------------------------------------------------------------

# glibc hands the memory of large arrays back to the system when they are freed, and each page of
# the next ones is a fault again: an eager step with a batch of 4096 took a fifth longer. It keeps
# that memory once it has seen an array of the largest size that it looks at freed (mallopt(3),
# M_MMAP_THRESHOLD): this one, of which no page is ever touched.
np.empty((1 << 25) - (1 << 13), np.uint8)

#: ``empty(shape, dtype, like=x)`` is an uninitialized array where ``x`` lies, if that is given.
empty = np.empty
SPECS["empty"] = KernelSpec("allocate")


def allocate(nbytes: int, *, like: Array | None = None) -> Array:
    """``nbytes`` bytes of memory that begin at a multiple of 64, a line of the cache."""
    memory = np.zeros(nbytes + 64, np.uint8)
    start = -memory.__array_interface__["data"][0] % 64
    return memory[start : start + nbytes]


# --- From Python and back ----------------------------------------------------------------


@kernel(
    kind="transfer",
    refusal=(
        "makes a tensor from Python numbers or a NumPy array",
        "make it outside and pass it as an argument",
    ),
)
def from_host(
    value: ArrayLike, dtype: DTypeLike | None = None, *, like: Array | None = None
) -> Array:
    """An array of this backend that holds a copy of ``value``, where ``like`` lies."""
    return np.array(value, dtype)


@kernel(kind="constant")
def constant(
    value: ArrayLike, dtype: DTypeLike | None = None, *, like: Array | None = None
) -> Array:
    """:func:`from_host` of what follows from a few Python numbers alone, as ``arange`` does."""
    return np.array(value, dtype)


@kernel(
    kind="transfer",
    refusal=(
        "reads a value (item(), float(), bool(), numpy(), print)",
        "return the tensor and read it outside",
    ),
)
def to_host(x: Array) -> Array:
    """``x`` as a NumPy array, sharing memory where that is possible."""
    return x


def wait() -> None:
    """Return when all is computed; at once, since these kernels compute while they are called."""


# --- Where an array lies -----------------------------------------------------------------


@kernel(kind="query")
def address(x: Array) -> int:
    """Where in memory the first element lies."""
    begin: int = x.__array_interface__["data"][0]
    return begin


@kernel(kind="query")
def is_contiguous(x: Array) -> bool:
    """Whether the elements lie in memory in row-major order without gaps."""
    return x.flags.c_contiguous


def memory(x: Array) -> tuple[Array, int]:
    """The array that owns the memory of ``x``, and where in it ``x`` starts, in bytes."""
    owner = x
    while isinstance(owner.base, np.ndarray | _Part):
        owner = owner.base if isinstance(owner.base, np.ndarray) else owner.base.owner
    return owner, x.__array_interface__["data"][0] - owner.__array_interface__["data"][0]


# --- Views: the same memory under another shape ------------------------------------------


@kernel(kind="view")
def reshape(x: Array, *, shape: Sequence[int]) -> Array:
    """The contiguous array ``x`` seen under another shape of the same size."""
    return x.reshape(shape)


@kernel(kind="view")
def permute(x: Array, *, axes: Sequence[int]) -> Array:
    """``x`` with its axes in the order ``axes``."""
    return x.transpose(axes)


@kernel(kind="view")
def expand(x: Array, *, shape: Sequence[int]) -> Array:
    """``x`` broadcast to ``shape``; the repeated elements share memory."""
    if x.ndim:
        return np.broadcast_to(x, shape)
    out = np.ndarray(shape, x.dtype, x, 0, (0,) * len(shape))  # in a tenth of the time
    out.flags.writeable = False
    return out


@kernel(kind="view")
def diagonal(x: Array, *, offset: int, axes: tuple[int, int]) -> Array:
    """The diagonals of the matrices that ``axes`` span, as the last axis."""
    out = x.diagonal(offset, *axes)
    out.flags.writeable = x.flags.writeable  # NumPy's cannot be written until one asks for it
    return out


@kernel(kind="view")
def view(x: Array, *, index: Index) -> Array:
    """``x[index]`` for integers, slices, ``None`` and ``...``."""
    # The ellipsis makes NumPy return an array, not a number, also for one element.
    return x[index if ... in index else (*index, ...)]


class _Part:
    """A description from which NumPy makes an array of another array's memory."""

    def __init__(self, owner: Array, interface: dict[str, Any]) -> None:
        self.owner = owner
        self.__array_interface__ = interface


def part(owner: Array, *, offset: int, shape: Axis, strides: Axis, dtype: np.dtype[Any]) -> Array:
    """A view of ``owner``'s memory from byte ``offset`` on; ``strides`` are in bytes.

    Raises:
        ValueError: It would reach beyond that memory.
    """
    reach = [(n - 1) * stride for n, stride in zip(shape, strides, strict=True)]
    first = offset + sum(x for x in reach if x < 0)
    last = offset + sum(x for x in reach if x > 0) + dtype.itemsize
    if 0 not in shape and not 0 <= first <= last <= owner.nbytes:
        raise ValueError(
            f"part: bytes {first} to {last} of a memory of {owner.nbytes}: an array of shape "
            f"{shape} does not fit there"
        )
    address = owner.__array_interface__["data"][0] + offset
    description = {"data": (address, False), "shape": shape, "strides": strides}
    return np.asarray(_Part(owner, {**description, "typestr": dtype.str, "version": 3}))
