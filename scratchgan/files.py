"""Files that appear whole or not at all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

#: How the names of files end that were not finished.
_DRAFT = ".part"


@contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """Write the file ``path``, which comes to be when the ``with`` block ends well.

    Until then, and for ever if the block fails, what was there before stays there. Readers see the
    old content or the new, never a part, also after the power has failed.

    Args:
        path: The file; its folder exists.

    Raises:
        OSError: It cannot be written.
    """
    # In the same folder, because only within one file system is a rename a single act. The name is
    # not longer than the file's own, which may be as long as names can be.
    draft = path.with_name(f".{secrets.token_hex(8)}{_DRAFT}")
    try:
        with draft.open("xb") as file:  # with the permissions that the umask leaves
            yield file
            file.flush()
            os.fsync(file.fileno())  # or the name could reach the disk before the content
        os.replace(draft, path)
        _flush_folder(path.parent)
    except BaseException as error:
        with suppress(OSError):
            draft.unlink()
        # Of the file that was asked for: nobody knows the draft, and a full disk names none.
        if isinstance(error, OSError) and error.errno and error.filename in (None, str(draft)):
            raise OSError(error.errno, error.strerror, str(path)) from None
        raise


def drafts_in(folder: Path) -> list[Path]:
    """The files that are not finished, or that a process left that was killed while it wrote."""
    return list(folder.glob(f".*{_DRAFT}"))


def remove_drafts(folder: Path) -> None:
    """Remove what a process left that was killed while it wrote into ``folder``."""
    for draft in drafts_in(folder):
        with suppress(OSError):
            draft.unlink()


def _flush_folder(folder: Path) -> None:
    """Have the names in a folder on the disk, where a folder can be flushed."""
    with suppress(OSError):  # Windows opens no folder, and some file systems flush none
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
