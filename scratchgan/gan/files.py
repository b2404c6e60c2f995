"""The error that names a run or one of its files, and how such a file is written."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from scratchgan.files import atomic_write


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
