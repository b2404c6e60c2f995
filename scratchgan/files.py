"""Files that appear whole or not at all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


@contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """Write the file ``path``, which comes to be when the ``with`` block ends well.

    Until then, and for ever if the block fails, what was there before stays there. Readers see the
    old content or the new, never a part.

    Args:
        path: The file; its folder exists.

    Raises:
        OSError: It cannot be written.
    """
    # In the same folder, because only within one file system is a rename a single act. The name is
    # not longer than the file's own, which may be as long as names can be.
    draft = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with draft.open("xb") as file:  # with the permissions that the umask leaves
            yield file
        os.replace(draft, path)
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise
