"""A file appears whole or not at all."""

import errno
import os
import stat

import pytest

from scratchgan.files import atomic_write
from scratchgan.gan import RunError
from scratchgan.gan.files import whole


def test_the_file_comes_to_be_at_the_end(tmp_path):
    path = tmp_path / "file"
    with whole(path) as file:
        file.write(b"new")
        file.flush()
        assert not path.exists()
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, OSError])
@pytest.mark.parametrize("before", [None, b"old"])
def test_a_failing_writer_changes_nothing(tmp_path, before, failure):
    path = tmp_path / "file"
    if before is not None:
        path.write_bytes(before)

    with pytest.raises(RunError if failure is OSError else failure), whole(path) as file:
        file.write(b"half of the ne")
        raise failure("the writer failed")

    assert [entry.read_bytes() for entry in tmp_path.iterdir()] == [before] * (before is not None)


def test_it_has_the_permissions_of_any_new_file(tmp_path):
    before = os.umask(0o027)
    try:
        with whole(tmp_path / "file"):
            pass
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


def test_where_nothing_can_be_written(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(RunError, match=r"nowhere/file: cannot be written \(No such file"):
        whole(tmp_path / "nowhere" / "file").__enter__()
    with pytest.raises(RunError, match=r"folder: cannot be written"), whole(tmp_path / "folder"):
        pass
    assert os.listdir(tmp_path) == ["folder"]


def test_the_fault_is_told_of_the_file_that_was_asked_for(tmp_path):
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "nowhere" / "file", tmp_path / "folder"):
        with pytest.raises(OSError, match=f": '{path}'$"), atomic_write(path) as file:
            file.write(b"content")
    path = tmp_path / "file"
    with pytest.raises(OSError, match=f"No space left on device: '{path}'$"), atomic_write(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # as of a write
    with pytest.raises(OSError, match=r"^no such mode$"), atomic_write(path):
        raise OSError("no such mode")
