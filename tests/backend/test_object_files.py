"""The cache of machine code: whatever happens to its files costs time, and never a start."""

import errno
import os
import shutil
import stat
from pathlib import Path
from typing import Any

import programs
import pytest

from scratchgan.backend.cpu.codegen import machine_code, object_files
from scratchgan.backend.cpu.codegen.object_files import ObjectFile

FILE = ObjectFile({"run": "run_1"}, ["sched_yield"], bytes(range(256)) * 4)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder where the files of this test are."""
    monkeypatch.setenv("SCRATCHGAN_CACHE_DIR", str(tmp_path))
    return tmp_path / "machine-code"


def test_what_was_written_is_read(cache: Path) -> None:
    assert object_files.read("a.o") is None
    assert object_files.write("a.o", FILE)
    assert object_files.read("a.o") == FILE
    assert [entry.name for entry in cache.iterdir()] == ["a.o"]


def places(content: bytes) -> dict[str, int]:
    """A position of each kind in a file."""
    head = content.index(b"[", len(object_files._MAGIC) + 32)
    return {
        "the first byte": 0,
        "the magic": 10,
        "the checksum": len(object_files._MAGIC) + 5,
        "the head": head + 3,
        "the code": len(content) - 500,
        "the last byte": len(content) - 1,
    }


KINDS = list(places(object_files._content("a.o", FILE)))


def damaged(content: bytes, kind: str, damage: str) -> bytes:
    place = places(content)[kind]
    if damage == "cut off":
        return content[:place]
    if damage == "flipped":
        return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
    if damage == "left out":
        return content[:place] + content[place + 1 :]
    return content[:place] + b"\0" * 16 + content[place:]


@pytest.mark.parametrize("damage", ["cut off", "flipped", "left out", "filled in"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_counts_as_missing(cache: Path, kind: str, damage: str) -> None:
    object_files.write("a.o", FILE)
    path = cache / "a.o"
    path.write_bytes(damaged(path.read_bytes(), kind, damage))
    assert object_files.read("a.o") is None
    assert list(object_files.checked()) == [(path, False)]
    assert object_files.write("a.o", FILE)
    assert object_files.read("a.o") == FILE


def stand_in(path: Path, kind: str) -> None:
    """Something else in the place of a file."""
    path.unlink()
    if kind == "a folder":
        path.mkdir()
    elif kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a link to nowhere":
        path.symlink_to("nowhere")
    elif kind == "a link to itself":
        path.symlink_to(path.name)
    elif kind == "the file of another name":
        object_files.write("b.o", FILE)
        shutil.copy(path.with_name("b.o"), path)
    elif kind == "longer":
        path.write_bytes(object_files._content("a.o", FILE) + b"\0")


@pytest.mark.parametrize(
    "kind",
    [
        *("a folder", "a pipe", "a link to nowhere", "a link to itself"),
        *("the file of another name", "longer"),
    ],
)
def test_something_else_counts_as_missing(cache: Path, kind: str) -> None:
    object_files.write("a.o", FILE)
    stand_in(cache / "a.o", kind)
    assert object_files.read("a.o") is None
    was_written = object_files.write("a.o", FILE)
    assert was_written == (kind != "a folder")
    assert object_files.read("a.o") == (FILE if was_written else None)


def test_files_have_the_permissions_of_any_new_file(cache: Path) -> None:
    before = os.umask(0o022)
    try:
        object_files.write("a.o", FILE)
    finally:
        os.umask(before)
    assert stat.S_IMODE((cache / "a.o").stat().st_mode) == 0o644


SOURCE = """
from scratchgan.backend.cpu.codegen.intrinsics import integers_at, task

@task
def answer(thread, threads, scratch, arguments, numbers):
    integers_at(arguments[0], 0)[0] = {number}
"""


def load(number: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Load code as a new process would; what had to be compiled."""
    compiled: list[str] = []
    monkeypatch.setattr(machine_code, "on_compile", compiled.append)
    loaded = machine_code._load.__wrapped__("answer", SOURCE.format(number=number))
    assert set(loaded) == {"answer"}
    return compiled


@pytest.mark.parametrize("fault", [errno.EROFS, errno.EACCES, errno.ENOSPC, errno.EDQUOT])
def test_a_folder_that_cannot_be_written_costs_time_alone(
    cache: Path, fault: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load(fault, monkeypatch) == ["answer"]

    def refuse(*_: Any) -> Any:
        raise OSError(fault, os.strerror(fault))

    monkeypatch.setattr(object_files, "atomic_write", refuse)
    before = sorted(cache.rglob("*"))
    assert load(fault, monkeypatch) == []  # what is there is used
    assert load(1000 + fault, monkeypatch) == ["answer"]
    assert sorted(cache.rglob("*")) == before


def test_a_folder_may_go_away(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(1, monkeypatch) == ["answer"]
    shutil.rmtree(cache.parent)
    assert load(1, monkeypatch) == ["answer"]
    assert load(1, monkeypatch) == []


def test_a_cache_that_is_a_file(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.write_bytes(b"")
    assert load(2, monkeypatch) == ["answer"]
    assert cache.read_bytes() == b""


def test_clear_removes_what_is_there(cache: Path) -> None:
    assert object_files.clear() == 0
    object_files.write("a.o", FILE)
    (cache / ".1234.part").write_bytes(b"of a process that was killed")
    (cache / "notes.txt").write_bytes(b"of somebody else")
    assert object_files.clear() == 2
    assert [entry.name for entry in cache.iterdir()] == ["notes.txt"]


def test_a_start_on_a_cache_in_which_every_file_is_damaged(tmp_path: Path) -> None:
    expected, _ = programs.run(tmp_path)
    paths = sorted(tmp_path.rglob("*.o"))
    assert len(paths) > len(KINDS)
    damages = ("cut off", "flipped", "left out", "filled in")
    for i, path in enumerate(paths):
        kind, damage = KINDS[i % len(KINDS)], damages[i % len(damages)]
        path.write_bytes(damaged(path.read_bytes(), kind, damage))
    again, err = programs.run(tmp_path)
    assert (again, err) == (expected, "")
    (*_, used_numba, _), _ = programs.run(tmp_path)
    assert used_numba == "False"  # all were replaced


def test_two_starts_at_once_on_an_empty_cache(tmp_path: Path) -> None:
    processes = [programs.started(tmp_path) for _ in range(2)]
    outputs = [process.communicate() for process in processes]
    assert outputs[0] == outputs[1]
    assert [process.returncode for process in processes] == [0, 0]
    assert not list(tmp_path.rglob("*.part"))
