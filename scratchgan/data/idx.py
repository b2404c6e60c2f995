"""The IDX file format, in which MNIST and its relatives are published.

A file is a header and then the elements, row-major and big-endian::

    0  0  type  d     two zero bytes, the element type, the number of dimensions
    n1 ... nd         the size of each dimension, an unsigned 32-bit integer each
    elements          n1 x ... x nd of them, and nothing after

Source: Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten digits",
section "The IDX file format".
"""

import gzip
import io
import math
import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_GZIP_MAGIC = b"\x1f\x8b"

_ELEMENT_TYPES: dict[int, np.dtype[Any]] = {
    0x08: np.dtype(">u1"),
    0x09: np.dtype(">i1"),
    0x0B: np.dtype(">i2"),
    0x0C: np.dtype(">i4"),
    0x0D: np.dtype(">f4"),
    0x0E: np.dtype(">f8"),
}

_MAX_DIMENSIONS = 64  # NumPy has no array with more

_PIECE = 1 << 20  # bytes

#: How many bytes a byte of a gzip file can stand for, at the most (zlib, "Technical details").
MOST_EXPANSION = 1032


class DataError(ValueError):
    """A data file or folder is missing, broken, or not what it should be."""


def read_idx(path: str | os.PathLike[str]) -> NDArray[Any]:
    """Read one IDX file, plain or gzip; its content tells which, not its name.

    Memory follows what the file really holds, never what its header claims: a forged header
    allocates nothing, and a gzip file is expanded no further than the size that it declares.

    Args:
        path: The file.

    Returns:
        A writable array of the file's shape, in native byte order; its dtype is the file's:
        uint8, int8, int16, int32, float32 or float64.

    Raises:
        DataError: The file is missing or unreadable, is no IDX file, or is shorter or longer than
            its header says. The message names the file and the fault.
    """
    path = Path(path)
    try:
        # Asked first, because to open a pipe would be to wait for its writer.
        if not path.is_file():
            raise DataError("not a file" if path.exists() else "no such file")
        with path.open("rb") as file:
            zipped = file.read(2) == _GZIP_MAGIC
            file.seek(0)
            most = os.fstat(file.fileno()).st_size * (MOST_EXPANSION if zipped else 1)
            return _read(gzip.GzipFile(fileobj=file) if zipped else file, most)
    except DataError as fault:
        raise DataError(f"{path}: {fault}") from None
    except EOFError:
        raise DataError(f"{path}: the gzip data ends too early") from None
    except (gzip.BadGzipFile, zlib.error) as fault:
        raise DataError(f"{path}: the gzip data is damaged ({fault})") from None
    except OSError as fault:
        raise DataError(f"{path}: cannot be read ({fault.strerror or fault})") from None


def _read(stream: io.BufferedIOBase, most: int) -> NDArray[Any]:
    """The array in ``stream``, which can hold no more than ``most`` bytes."""
    dtype, shape = _read_header(stream)
    size = math.prod(shape) * dtype.itemsize

    declared = f"the header declares {_times(shape)} elements of {dtype.name}, {size} bytes"
    try:
        if size > most:
            raise MemoryError
        array = np.empty(shape, dtype)
    except MemoryError:  # a forged header, as a rule; the file is read to say what it holds
        read = sum(iter(lambda: len(stream.read(_PIECE)), 0))
        raise DataError(f"{declared}, but the file ends after {read}") from None
    target = array.reshape(-1).view(np.uint8).data
    read = 0
    while read < size and (count := stream.readinto(target[read : read + _PIECE])):
        read += count
    # One byte more is asked for: it would show that the file is too long, and to find that it is
    # not there, gzip has to reach its end and verify its checksum.
    if read < size or stream.read(1):
        held = f"ends after {read}" if read < size else "holds more"
        raise DataError(f"{declared}, but the file {held}")
    return array.astype(dtype.type, copy=False)


def _read_header(stream: io.BufferedIOBase) -> tuple[np.dtype[Any], tuple[int, ...]]:
    magic = stream.read(4)
    if not magic:
        raise DataError("the file is empty")
    if len(magic) < 4 or magic[:2] != b"\0\0":
        raise DataError("not an IDX file (it does not start with two zero bytes and two more)")
    _, _, type_code, ndim = magic
    if type_code not in _ELEMENT_TYPES:
        known = ", ".join(f"0x{code:02x}" for code in _ELEMENT_TYPES)
        raise DataError(f"unknown IDX element type 0x{type_code:02x} (known are {known})")
    if not 1 <= ndim <= _MAX_DIMENSIONS:
        raise DataError(f"the header declares {ndim} dimensions, not 1 to {_MAX_DIMENSIONS}")

    sizes = stream.read(4 * ndim)
    if len(sizes) < 4 * ndim:
        raise DataError(f"the file ends inside its header of {ndim} dimensions")
    shape = tuple(np.frombuffer(sizes, ">u4").tolist())
    if 0 in shape:
        raise DataError(f"the header declares no elements ({_times(shape)})")
    return _ELEMENT_TYPES[type_code], shape


def _times(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
