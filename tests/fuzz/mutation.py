"""Ways to spoil a file. All take a generator of random numbers, so that a seed gives the same."""

import random
import string
import struct
import zlib
from collections.abc import Callable, Sequence

Mutator = Callable[[random.Random, bytes], bytes]

#: What length fields, counts and offsets are wrong with.
NUMBERS = [
    *(0, 1, 2, 3, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 1 << 16, (1 << 31) - 1, 1 << 31),
    *((1 << 32) - 1, 1 << 32, 1 << 40, (1 << 63) - 1, 1 << 63, (1 << 64) - 1),
]
#: What texts are spoilt with: of JSON, TOML, CSV, NumPy's headers, and of no language.
WORDS = [
    *(b"null", b"true", b"nan", b"NaN", b"Infinity", b"-Infinity", b"inf", b"1e999", b"-1", b"0"),
    *(b"1" * 400, b"9" * 5000, b"0x" + b"f" * 6000, b"1.5", b"[]", b"{}", b'""', b"''", b"\\u0000"),
    *(
        b"\\ud800",
        b"../",
        b"/etc/passwd",
        b"\0",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"\r",
        b"\n",
        b"\x1b[2J",
    ),
    *(
        b"[" * 500,
        b'{"a":' * 500,
        b"a." * 500,
        b'"a"',
        b",",
        b":",
        b"=",
        b"\xc3\xa9",
        b"\xe2\x80\xae",
    ),
    *(b"|O", b">f8", b"<f4", b"|V9", b"True", b"False", b"(1,)", b"1000000000000L", b"\\d", b"1if"),
]
BYTE_ORDER_MARKS = [b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\xff\xfe\0\0", b"\0\0\xfe\xff"]


def flip_a_bit(rng: random.Random, content: bytes) -> bytes:
    place = rng.randrange(len(content))
    return _with(content, place, bytes([content[place] ^ 1 << rng.randrange(8)]))


def set_a_byte(rng: random.Random, content: bytes) -> bytes:
    return _with(content, rng.randrange(len(content)), bytes([rng.choice((0, 1, 127, 128, 255))]))


def cut_off(rng: random.Random, content: bytes) -> bytes:
    return content[: rng.randrange(len(content))]


def leave_out(rng: random.Random, content: bytes) -> bytes:
    start, end = _span(rng, content)
    return content[:start] + content[end:]


def repeat(rng: random.Random, content: bytes) -> bytes:
    start, end = _span(rng, content)
    return content[:start] + content[start:end] * rng.choice((2, 2, 3, 50)) + content[end:]


def fill(rng: random.Random, content: bytes) -> bytes:
    start, end = _span(rng, content)
    return _with(content, start, bytes([rng.choice((0, 32, 255))]) * (end - start))


def insert_noise(rng: random.Random, content: bytes) -> bytes:
    place = rng.randrange(len(content) + 1)
    return content[:place] + rng.randbytes(rng.randrange(1, 20)) + content[place:]


def append(rng: random.Random, content: bytes) -> bytes:
    return content + rng.choice((b"\0", b"\n", b"garbage", content, rng.randbytes(9)))


def set_a_number(rng: random.Random, content: bytes) -> bytes:
    """As a length field of 1 to 8 bytes; of the first bytes more often than of others."""
    size = rng.choice((1, 2, 4, 8))
    number = rng.choice(NUMBERS) % (1 << 8 * size)
    reach = min(len(content), 64) if rng.random() < 0.5 else len(content)
    return _with(
        content, rng.randrange(reach), number.to_bytes(size, rng.choice(("big", "little")))
    )


def write_a_word(rng: random.Random, content: bytes) -> bytes:
    """In the place of a word that is there, or between two letters."""
    word = rng.choice(WORDS)
    start = end = rng.randrange(len(content) + 1)
    letters = (string.ascii_letters + string.digits + "_.+-").encode()
    if rng.random() < 0.7:
        while start and content[start - 1] in letters:
            start -= 1
        while end < len(content) and content[end] in letters:
            end += 1
    return content[:start] + word + content[end:]


def mark(rng: random.Random, content: bytes) -> bytes:
    return rng.choice(BYTE_ORDER_MARKS) + content


def recode(rng: random.Random, content: bytes) -> bytes:
    return content.decode("latin-1").encode(rng.choice(("utf-16", "utf-16-be", "utf-32", "utf-7")))


def swap(rng: random.Random, content: bytes) -> bytes:
    a, b = sorted(rng.randrange(len(content) + 1) for _ in range(2))
    c, d = sorted(rng.randrange(b, len(content) + 1) for _ in range(2))
    return content[:a] + content[c:d] + content[b:c] + content[a:b] + content[d:]


MUTATORS: list[Mutator] = [
    *(flip_a_bit, flip_a_bit, set_a_byte, cut_off, leave_out, repeat, fill, insert_noise, append),
    *(set_a_number, set_a_number, set_a_number, write_a_word, write_a_word, mark, recode, swap),
]


def mutated(rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    """One of ``seeds``, spoilt once or some times, or spliced of two."""
    content = rng.choice(seeds)
    if rng.random() < 0.1:
        other = rng.choice(seeds)
        content = content[: rng.randrange(len(content) + 1)] + other[rng.randrange(len(other)) :]
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        if content:
            content = rng.choice(MUTATORS)(rng, content)
    return content


def zipped(rng: random.Random, content: bytes) -> bytes:
    """``content`` as a gzip file, which perhaps is spoilt itself."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    whole = packer.compress(content) + packer.flush()
    return whole if rng.random() < 0.5 else mutated(rng, [whole])


def safetensors_of(header: bytes, rest: bytes) -> bytes:
    """A safetensors file of a header, whatever it says."""
    header += b" " * (-len(header) % 8)
    return struct.pack("<Q", len(header)) + header + rest


def _span(rng: random.Random, content: bytes) -> tuple[int, int]:
    start = rng.randrange(len(content))
    return start, min(len(content), start + rng.choice((1, 1, 2, 4, 8, 30)))


def _with(content: bytes, place: int, part: bytes) -> bytes:
    return content[:place] + part + content[place + len(part) :]
