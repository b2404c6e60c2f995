"""Files that appear whole or not at all, and the error that names one."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


class RunError(ValueError):
    """A run, its settings or one of its files is not as it must be; one sentence says how."""


@contextmanager
def whole(path: Path) -> Iterator[BinaryIO]:
    """Write the file ``path``, which comes to be when the ``with`` block ends well.

    Until then, and for ever if the block fails, what was there before stays there. Readers see the
    old content or the new, never a part.

    Args:
        path: The file; its folder exists.

    Raises:
        RunError: It cannot be written.
    """
    # In the same folder, because only within one file system is a rename a single act.
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        try:
            with draft.open("xb") as file:
                yield file
            os.replace(draft, path)
        except BaseException:
            with suppress(OSError):
                draft.unlink()
            raise
    except OSError as fault:
        raise RunError(f"{path}: cannot be written ({fault.strerror or fault})") from None
