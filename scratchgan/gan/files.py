"""The error that names a run or one of its files, and how such a file is written and read."""

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from scratchgan.files import atomic_write
from scratchgan.messages import one_line

#: More than the weights of the largest player, in bytes.
MOST_BYTES = 1 << 30


class RunError(ValueError):
    """A run, its settings or one of its files is not as it must be; one sentence says how."""


@contextmanager
def whole(path: Path) -> Iterator[BinaryIO]:
    """:func:`scratchgan.files.atomic_write`, whose failure is one sentence.

    Raises:
        RunError: It cannot be written.
    """
    try:
        with atomic_write(path) as file:
            yield file
    except OSError as fault:
        raise RunError(f"{path}: cannot be written ({fault.strerror or fault})") from None


def read(path: Path, missing: str, most: int = MOST_BYTES, kind: str | None = None) -> bytes:
    """The content of a file of a run.

    Args:
        path: The file.
        missing: What is said if there is none.
        most: Bytes that it may hold.
        kind: What a file of so many bytes cannot be; by default this one of a run.

    Raises:
        RunError: It is not there, cannot be read, is no file, or is too large.
    """
    name = one_line(path, 1000)
    try:
        found = path.stat()
        is_file = stat.S_ISREG(found.st_mode)  # a pipe would be waited for
        content = path.read_bytes() if is_file and found.st_size <= most else b""
    except (FileNotFoundError, NotADirectoryError):
        raise RunError(missing) from None
    except OSError as fault:
        raise RunError(f"{name}: cannot be read ({fault.strerror})") from None
    except ValueError as fault:  # there is a zero byte in its name
        raise RunError(f"{name}: cannot be read ({fault})") from None
    if not is_file:
        raise RunError(f"{name}: is not a file")
    if found.st_size > most:
        kind = kind or f"{path.name} of a run"
        raise RunError(f"{name}: holds {found.st_size:,} bytes, more than any {kind}")
    return content
