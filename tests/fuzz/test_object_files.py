"""Files of compiled code: what is damaged, foreign or somebody else's is never run."""

import json
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzz.harness import Reader, check, seeded, tries, write
from fuzz.mutation import mutated
from scratchgan.backend.cpu.codegen import object_files
from scratchgan.backend.cpu.codegen.object_files import ObjectFile

FILE = ObjectFile({"run": "run_1"}, ["sched_yield"], bytes(range(256)))


def content_of(name: str, head: bytes, code: bytes) -> bytes:
    """A file whose checksum is right, whatever its head says."""
    body = head + b"\n" + code
    return object_files._MAGIC + object_files._checksum(name, body) + body


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SCRATCHGAN_CACHE_DIR", str(tmp_path))
    (tmp_path / "machine-code").mkdir()
    return tmp_path / "machine-code"


def read(path: Path) -> None:
    """No file but those that were written is taken for one."""
    assert object_files.read(path.name) in (None, FILE)
    assert sum(1 for _ in object_files.checked()) == 1


READ = Reader(read, (), 1500, "a.o")


def test_spoilt_files_count_as_missing(cache):
    rng = seeded("object files")
    sound = object_files._content("a.o", FILE)
    foreign = object_files._content("b.o", FILE)
    check(READ, cache, (sound[:end] for end in range(len(sound))), write)
    check(READ, cache, (mutated(rng, [sound, foreign]) for _ in range(tries(READ) // 2)), write)


def test_heads_that_are_forged(cache):
    """With a checksum that is right: of who wrote no such thing."""
    rng = seeded("heads")
    head = json.dumps([FILE.symbols, FILE.needs]).encode()
    reader = Reader(lambda path: object_files.read(path.name), (), 0, "a.o")
    heads = [mutated(rng, [head]) for _ in range(tries(READ) // 2)] + [b"[" * 9999]
    check(reader, cache, (content_of("a.o", each, FILE.code) for each in heads), write)


values = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=6,
)


@given(head=values)
def test_any_head_is_one_or_counts_as_missing(tmp_path_factory, head):
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.getbasetemp()
        patch.setenv("SCRATCHGAN_CACHE_DIR", str(folder))
        (folder / "machine-code").mkdir(exist_ok=True)
        write(folder / "machine-code" / "a.o", content_of("a.o", json.dumps(head).encode(), b""))
        found = object_files.read("a.o")
    if found is not None:
        assert all(isinstance(x, str) for pair in found.symbols.items() for x in pair)
        assert all(isinstance(x, str) for x in found.needs)


@pytest.mark.skipif(os.name == "nt", reason="Windows has other permissions")
class TestWhoseFile:
    def test_one_that_others_may_write_is_not_run(self, cache):
        object_files.write("a.o", FILE)
        for mode in (0o664, 0o646, 0o666):
            (cache / "a.o").chmod(mode)
            assert object_files.read("a.o") is None
        (cache / "a.o").chmod(0o444)
        assert object_files.read("a.o") == FILE

    def test_one_of_another_user_is_not_run(self, cache, monkeypatch):
        object_files.write("a.o", FILE)
        monkeypatch.setattr(os, "geteuid", lambda: (cache / "a.o").stat().st_uid + 1)
        owner = (cache / "a.o").stat().st_uid
        assert object_files.read("a.o") == (FILE if owner == 0 else None)  # root may do anything
        monkeypatch.setattr(object_files, "_ROOT", -1)
        assert object_files.read("a.o") is None

    def test_none_is_written_that_others_may_write(self, cache):
        before = os.umask(0)
        try:
            object_files.write("a.o", FILE)
        finally:
            os.umask(before)
        assert stat.S_IMODE((cache / "a.o").stat().st_mode) == 0o644
        assert object_files.read("a.o") == FILE
