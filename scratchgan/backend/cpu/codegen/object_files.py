"""Compiled code in the cache folder: written whole or not at all, and checked before it is used.

A file that is damaged, of somebody else, or cannot be read counts as missing: its code is compiled
anew, and the file replaced if that is possible. So the folder may be read-only, full, shared, or go
away at any time; all that it costs then is time.
"""

import errno
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import platformdirs

from scratchgan.files import atomic_write

#: What a file begins with; the number changes with the format.
_MAGIC = b"scratchgan object file 1\n"


class ObjectFile(NamedTuple):
    """Machine code and what it takes to load it."""

    symbols: dict[str, str]  #: From the name of a function to that of its symbol.
    needs: list[str]  #: The functions of the system that it calls.
    code: bytes


def folder() -> Path:
    """The cache folder: ``machine-code`` in ``$SCRATCHGAN_CACHE_DIR``, or in the user's cache.

    Raises:
        FileNotFoundError: This user has no home folder, and so no cache.
    """
    chosen = os.environ.get("SCRATCHGAN_CACHE_DIR")
    if not chosen:
        with suppress(RuntimeError):
            chosen = platformdirs.user_cache_dir("scratchgan")
        if not chosen or chosen.startswith("~"):  # which older versions leave as it is
            reason = "this user has no home folder; SCRATCHGAN_CACHE_DIR may name another place"
            raise FileNotFoundError(errno.ENOENT, reason, "the cache")
    return Path(chosen) / "machine-code"


def read(name: str) -> ObjectFile | None:
    """The file of this name; None if there is none that is whole and can be read."""
    try:
        path = folder() / name
        # And not a pipe, which may be silent.
        content = path.read_bytes() if path.is_file() else b""
    except OSError:
        return None
    return _parsed(name, content)


def write(name: str, file: ObjectFile) -> bool:
    """Keep a file; False if the folder cannot be written."""
    try:
        path = folder() / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as out:
            out.write(_content(name, file))
    except OSError:
        return False
    return True


def size() -> tuple[int, int]:
    """How many files the cache holds, and their bytes."""
    sizes = []
    for path in folder().glob("*.o"):
        with suppress(OSError):  # it has gone away just now
            sizes.append(path.stat().st_size)
    return len(sizes), sum(sizes)


def checked() -> Iterator[tuple[Path, bool]]:
    """Each file of the cache, in order of their names, and whether it is whole."""
    for path in sorted(folder().glob("*.o")):
        yield path, read(path.name) is not None


def clear() -> int:
    """Remove all files of the cache, also what a process that was killed left; how many.

    Raises:
        OSError: One cannot be removed.
    """
    paths = [*folder().glob("*.o"), *folder().glob(".*.part")]
    for path in paths:
        path.unlink(missing_ok=True)
    return len(paths)


def _content(name: str, file: ObjectFile) -> bytes:
    head = json.dumps([file.symbols, file.needs]).encode() + b"\n"
    return _MAGIC + _checksum(name, head + file.code) + head + file.code


def _parsed(name: str, content: bytes) -> ObjectFile | None:
    start = len(_MAGIC) + hashlib.sha256().digest_size
    magic, checksum, body = content[: len(_MAGIC)], content[len(_MAGIC) : start], content[start:]
    if magic != _MAGIC or checksum != _checksum(name, body):
        return None
    head, _, code = body.partition(b"\n")
    symbols, needs = json.loads(head)
    return ObjectFile(symbols, needs, code)


def _checksum(name: str, body: bytes) -> bytes:
    """Of the name too, so that no file stands in for another."""
    return hashlib.sha256(name.encode() + b"\n" + body).digest()
