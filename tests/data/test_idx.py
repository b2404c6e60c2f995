"""read_idx: what it reads, and every way in which a file can be broken."""

import gzip
import os
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from scratchgan.data import DataError, read_idx

TYPE_CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}

MIB = 1 << 20


def header(type_code, *shape):
    return struct.pack(f">BBBB{len(shape)}I", 0, 0, type_code, len(shape), *shape)


def encode(array):
    code = TYPE_CODES[array.dtype.str[1:]]
    return header(code, *array.shape) + array.astype(array.dtype.newbyteorder(">")).tobytes()


@pytest.fixture
def write(tmp_path):
    def write(content, name="file.idx"):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write


@pytest.fixture
def refuses():
    """Checks that a file is refused by one sentence that names it and the fault."""

    def refuses(path, fault):
        with pytest.raises(DataError) as caught:
            read_idx(path)
        message = str(caught.value)
        assert message.startswith(f"{path}: ")
        assert fault in message
        assert "\n" not in message

    return refuses


def peak_memory(function):
    """Bytes that Python and NumPy held at most while the function ran, beyond what they held."""
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


arrays = st.sampled_from(sorted(TYPE_CODES)).flatmap(
    lambda code: hnp.arrays(code, hnp.array_shapes(min_dims=1, max_dims=4, max_side=5))
)


@given(array=arrays, compress=st.booleans())
def test_reads_back_every_type_and_shape(tmp_path_factory, array, compress):
    content = encode(array)
    path = tmp_path_factory.getbasetemp() / "roundtrip"
    path.write_bytes(gzip.compress(content, 1) if compress else content)

    got = read_idx(path)

    assert got.dtype == array.dtype
    assert got.dtype.isnative
    assert got.flags.writeable
    np.testing.assert_array_equal(got, array)


def test_bytes_are_big_endian(write):
    path = write(bytes([0, 0, 0x0B, 1, 0, 0, 0, 2, 0x01, 0x02, 0xFF, 0xFE]))
    assert read_idx(path).tolist() == [0x0102, -2]


def test_more_than_one_piece(write):
    array = np.random.default_rng(0).integers(0, 256, (3 * MIB + 17,), np.uint8)
    np.testing.assert_array_equal(read_idx(write(encode(array))), array)
    np.testing.assert_array_equal(read_idx(write(gzip.compress(encode(array), 1))), array)


def test_content_tells_gzip_not_the_name(write):
    array = np.arange(6, dtype=np.uint8).reshape(2, 3)
    np.testing.assert_array_equal(read_idx(write(encode(array), "plain.gz")), array)
    np.testing.assert_array_equal(read_idx(write(gzip.compress(encode(array)), "zipped")), array)


def test_path_may_be_a_string(write):
    assert read_idx(str(write(header(0x08, 1) + b"\7"))).tolist() == [7]


GOOD = header(0x08, 2, 3) + bytes(6)


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "the file is empty"),
        (b"\0\0\x08", "not an IDX file"),
        (b"\x89PNG\r\n\x1a\n", "not an IDX file"),
        (b"\0\1" + GOOD[2:], "not an IDX file"),
        (b"\1\0" + GOOD[2:], "not an IDX file"),
        (header(0x0A, 2, 3) + bytes(6), "unknown IDX element type 0x0a"),
        (header(0x00, 2, 3) + bytes(6), "unknown IDX element type 0x00"),
        (header(0x08) + bytes(1), "declares 0 dimensions"),
        (header(0x08, *[1] * 65) + bytes(1), "declares 65 dimensions"),
        (header(0x08, 2, 3)[:-1], "ends inside its header of 2 dimensions"),
        (header(0x08, 0, 28, 28), "declares no elements (0x28x28)"),
        (GOOD[:-1], "declares 2x3 elements of uint8, 6 bytes, but the file ends after 5"),
        (header(0x08, 2, 3), "declares 2x3 elements of uint8, 6 bytes, but the file ends after 0"),
        (header(0x0E, 2) + bytes(15), "of float64, 16 bytes, but the file ends after 15"),
        (GOOD + b"\0", "declares 2x3 elements of uint8, 6 bytes, but the file holds more"),
    ],
)
def test_refuses_broken_content(write, refuses, pack, content, fault):
    refuses(write(pack(content)), fault)


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_a_forged_header_allocates_nothing(write, refuses, pack):
    path = write(pack(header(0x0E, *[2**32 - 1] * 3) + bytes(100)))
    assert peak_memory(lambda: refuses(path, "but the file ends after 100")) < 4 * MIB


def test_a_gzip_bomb_is_not_expanded(write, refuses):
    path = write(gzip.compress(header(0x08, 10) + bytes(64 * MIB), 9))
    assert peak_memory(lambda: refuses(path, "but the file holds more")) < 4 * MIB


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_refuses_one_byte_after_the_last_piece(write, refuses, pack):
    path = write(pack(header(0x08, MIB) + bytes(MIB + 1)))
    refuses(path, "but the file holds more")


def test_refuses_gzip_with_a_wrong_checksum(write, refuses):
    zipped = bytearray(gzip.compress(GOOD))
    zipped[-8] ^= 1  # the first byte of the CRC, which follows the data
    refuses(write(zipped), "the gzip data is damaged")


def test_refuses_gzip_with_damaged_data(write, refuses):
    zipped = bytearray(gzip.compress(GOOD))
    zipped[10] = 0x07  # a deflate block of the reserved type
    refuses(write(zipped), "the gzip data is damaged")


def test_refuses_gzip_with_something_after_it(write, refuses):
    refuses(write(gzip.compress(GOOD) + b"something"), "the gzip data is damaged")


@pytest.mark.parametrize("kept", [2, 9, 12, -9, -1])
def test_refuses_gzip_that_is_cut_off(write, refuses, kept):
    refuses(write(gzip.compress(GOOD)[:kept]), "the gzip data ends too early")


def test_refuses_what_is_no_file(tmp_path, refuses):
    refuses(tmp_path / "missing", "no such file")
    refuses(tmp_path, "not a file")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_does_not_wait_for_a_pipe(tmp_path, refuses):
    os.mkfifo(tmp_path / "pipe")
    refuses(tmp_path / "pipe", "not a file")


def test_refuses_what_the_system_will_not_open(tmp_path, refuses, monkeypatch):
    # Made up here, since an administrator may read every file.
    def denied(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "secret").write_bytes(GOOD)
    monkeypatch.setattr(Path, "open", denied)
    refuses(tmp_path / "secret", "cannot be read (Permission denied)")


def test_is_a_value_error():
    assert issubclass(DataError, ValueError)
