"""Compiled code in the cache folder: written whole or not at all, and checked before it is used.

A file that is damaged, of another user, or cannot be read counts as missing: its code is compiled
anew, and the file replaced if that is possible. So the folder may be read-only, full, shared, or go
away at any time; all that it costs then is time.

What is in a file is run. The checksum finds damage, and anyone can compute it: so only a file is
read that this user or root owns, and nobody else may write.
"""

import errno
import hashlib
import json
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import platformdirs

from scratchgan.files import atomic_write

#: The first bytes of a file; the number changes with the format.
_MAGIC = b"scratchgan object file 1\n"

_ROOT = 0  #: The user who may do anything.
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH
_BINARY = getattr(os, "O_BINARY", 0)  #: On Windows; elsewhere all files are.


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
        # Without waiting, if it is a pipe.
        descriptor = os.open(folder() / name, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _BINARY)
        with open(descriptor, "rb") as file:
            content = file.read() if _is_ours(os.fstat(descriptor)) else b""
    except OSError:
        return None
    return _parsed(name, content)


def _is_ours(file: os.stat_result) -> bool:
    """Whether nobody but this user and root can have written a file."""
    if not stat.S_ISREG(file.st_mode):
        return False
    if os.name == "nt":  # the folder of a user is closed to others
        return True
    return file.st_uid in (os.geteuid(), _ROOT) and not file.st_mode & _OTHERS_MAY_WRITE


def is_there(name: str) -> bool:
    """Whether there is a file of this name, whatever is in it."""
    return os.path.exists(folder() / name)


def write(name: str, file: ObjectFile) -> bool:
    """Keep a file; False if the folder cannot be written."""
    try:
        path = folder() / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as out:
            if hasattr(os, "fchmod"):
                mode = stat.S_IMODE(os.fstat(out.fileno()).st_mode)
                os.fchmod(out.fileno(), mode & ~_OTHERS_MAY_WRITE)
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
    try:
        symbols, needs = json.loads(head)
    except (ValueError, TypeError, RecursionError):
        return None
    names = (
        [*symbols.items(), needs] if isinstance(symbols, dict) and type(needs) is list else [[0]]
    )
    is_sound = all(isinstance(name, str) for part in names for name in part)
    return ObjectFile(symbols, needs, code) if is_sound else None


def _checksum(name: str, body: bytes) -> bytes:
    """Of the name too, so that no file stands in for another."""
    return hashlib.sha256(name.encode() + b"\n" + body).digest()
