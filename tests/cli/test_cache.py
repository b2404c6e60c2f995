"""``scratchgan cache``."""

import errno
import os
from pathlib import Path

import pytest

from scratchgan.backend.cpu.codegen import object_files


@pytest.fixture
def small_cache(tmp_path, monkeypatch):
    """A cache with two files."""
    monkeypatch.setenv("SCRATCHGAN_CACHE_DIR", str(tmp_path))
    for name in ("a.o", "b.o"):
        object_files.write(name, object_files.ObjectFile({"f": "f"}, [], bytes(100_000)))
    return tmp_path / "machine-code"


def test_the_cache_is_shown_checked_and_emptied(scratchgan, small_cache):
    shown = f"{small_cache}: 2 files, 0.2 MB\n"
    assert scratchgan("cache") == (0, shown, "")
    whole = "every file is as it was written\n"
    assert scratchgan("cache", "--verify") == (0, shown + whole, "")
    (small_cache / "b.o").write_bytes(b"")
    code, out, _ = scratchgan("cache", "--verify")
    assert code == 1
    assert f"\n{small_cache}/b.o: is damaged, and will be compiled anew\n" in out
    code, out, _ = scratchgan("cache", "--clear")
    assert (code, out) == (0, f"{small_cache}: removed 2 files, 0.1 MB\n")
    assert list(small_cache.iterdir()) == []
    assert scratchgan("cache", "--clear")[0] == 0


def test_a_cache_that_is_not_there(scratchgan, tmp_path, monkeypatch):
    monkeypatch.setenv("SCRATCHGAN_CACHE_DIR", str(tmp_path / "nowhere"))
    for options in ((), ("--verify",), ("--clear",)):
        code, _out, err = scratchgan("cache", *options)
        assert (code, err) == (0, "")
    assert not (tmp_path / "nowhere").exists()


def test_a_cache_that_cannot_be_emptied(refused, small_cache, monkeypatch):
    def unlink(self, missing_ok=False):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

    monkeypatch.setattr(Path, "unlink", unlink)
    message = refused("cache", "--clear")
    assert message == f"{small_cache}/a.o: cannot be written (Permission denied)"


def test_one_thing_at_a_time(refused):
    assert "choose one" in refused("cache", "--verify", "--clear")
