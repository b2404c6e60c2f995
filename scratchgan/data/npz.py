"""Arrays in an npz archive, of which no more is expanded than the file can hold.

``numpy.load`` makes room for what the header of an array claims before it reads on, and expands
archives of every kind that zip knows, some of them a million times.
"""

import math
import os
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from scratchgan.data.idx import MOST_EXPANSION, DataError
from scratchgan.messages import one_line

#: The compressions that ``numpy.savez`` and ``savez_compressed`` use.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def read(path: Path, choices: Sequence[Sequence[str]]) -> list[NDArray[Any]]:
    """The arrays of an archive that are named as in one of ``choices``.

    Args:
        path: The file.
        choices: Names that go together; of the first of which the archive holds the first name,
            those that it holds are read.

    Raises:
        DataError: It is no archive, a damaged one, holds no such array, or something else than
            arrays of numbers. The message does not name the file.
    """
    try:
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that an array was written by Python 2, say
            if file.read(len(npy.MAGIC_PREFIX)) == npy.MAGIC_PREFIX:
                file.seek(0)
                _header(file)
                raise DataError("holds one array without a name; save it by np.savez")
            most = MOST_EXPANSION * os.fstat(file.fileno()).st_size
            with zipfile.ZipFile(file) as archive:
                held = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
                for first, *others in choices:
                    if first in held:
                        names = [first, *(name for name in others if name in held)]
                        return [_array(archive, held[name], most) for name in names]
    except DataError:
        raise
    except (Exception, MemoryError) as fault:  # of many kinds where a file is damaged
        raise DataError(f"cannot be read as npz ({one_line(fault)})") from None
    missing = " or ".join(repr(first) for first, *_ in choices)
    raise DataError(f"holds {one_line(', '.join(held)) or 'nothing'}, but no array {missing}")


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo, most: int) -> NDArray[Any]:
    if info.compress_type not in _METHODS:
        raise DataError("is compressed in a way that NumPy does not write; save it by np.savez")
    with archive.open(info) as member:
        if member.read(len(npy.MAGIC_PREFIX)) != npy.MAGIC_PREFIX:
            raise DataError("holds something else than arrays")
    with archive.open(info) as member:
        shape, dtype = _header(member)
    nbytes = math.prod(shape) * dtype.itemsize
    if nbytes > min(info.file_size, most):
        raise DataError(
            f"cannot be read as npz (an array of {nbytes:,} bytes is declared, and there are fewer)"
        )
    with archive.open(info) as member:
        array: NDArray[Any] = npy.read_array(member, allow_pickle=False)
    return array


def _header(member: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """The shape and type that stand at the head of an array; read as far as that."""
    version = npy.read_magic(member)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read(member)
    return shape, dtype
