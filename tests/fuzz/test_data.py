"""Data sets that somebody hands over: IDX, MNIST's folder, npz, CSV, pictures, torchvision's."""

import gzip
import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fuzz.harness import Reader, check, seeded, tries, write
from fuzz.mutation import mutated, zipped
from scratchgan.data import MNIST, DataError, load_images, read_idx, read_picture
from scratchgan.vision import datasets

noise = np.random.default_rng(0)

#: More than deflate can expand anything to.
DEFLATE = 1200

# --- IDX --------------------------------------------------------------------------------


def idx(array: np.ndarray) -> bytes:
    code = {"u1": 8, "i1": 9, "i2": 0xB, "i4": 0xC, "f4": 0xD, "f8": 0xE}[array.dtype.str[1:]]
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


IDX = [
    idx(noise.integers(0, 256, (2, 3, 4), np.uint8)),
    idx(noise.standard_normal((3, 2))),
    idx(np.arange(5, dtype=np.int16)),
]

READ_IDX = Reader(read_idx, (DataError,), 3500, expansion=DEFLATE)


def test_idx(tmp_path):
    rng = seeded("idx")
    cut = [
        content[:end]
        for seed in IDX
        for content in (seed, gzip.compress(seed))
        for end in range(len(content))
    ]
    many = (mutated(rng, IDX) for _ in range(tries(READ_IDX) // 2))
    packed = (zipped(rng, mutated(rng, IDX)) for _ in range(tries(READ_IDX) // 2))
    for contents in (cut, many, packed):
        check(READ_IDX, tmp_path, contents, write)


@pytest.mark.parametrize(
    "shape", [(1 << 31,), (1 << 20, 1 << 20), (60000, 28, 28, 1000), (1,) * 64]
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_an_idx_header_that_asks_for_much(tmp_path, shape, pack):
    header = struct.pack(f">BBBB{len(shape)}I", 0, 0, 0xE, len(shape), *shape)
    check(READ_IDX, tmp_path, [pack(header + bytes(100))], write)


IMAGES, LABELS = noise.integers(0, 256, (3, 28, 28), np.uint8), np.arange(3, dtype=np.uint8)

READ_MNIST = Reader(
    lambda folder: (MNIST(folder), load_images(folder), datasets.FashionMNIST(folder)),
    (DataError,),
    800,
    "folder",
    DEFLATE,
)


def test_a_folder_of_idx_files(tmp_path):
    rng = seeded("mnist")
    seeds = {"train-images-idx3-ubyte": idx(IMAGES), "train-labels-idx1-ubyte": idx(LABELS)}

    def contents():
        for _ in range(tries(READ_MNIST)):
            name = rng.choice(list(seeds))
            # Headers matter more than pixels.
            head, rest = seeds[name][:24], seeds[name][24:]
            yield name.encode() + b":" + mutated(rng, [head]) + rest

    def put(path: Path, content: bytes) -> None:
        path.mkdir(exist_ok=True)
        name, _, spoilt = content.partition(b":")
        for each, sound in seeds.items():
            write(path / each, spoilt if each == name.decode() else sound)

    check(READ_MNIST, tmp_path, contents(), put)


# --- npz --------------------------------------------------------------------------------


def npz(**arrays: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def archive(members: list[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as out:
        for name, content in members:
            out.writestr(name, content)
    return file.getvalue()


def npy(header: str, rest: bytes, version: int = 1) -> bytes:
    text = header.encode("latin-1", "replace") + b"\n"
    size = len(text).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + size + text + rest


PIXELS = noise.integers(0, 256, (3, 4, 4), np.uint8)
NPZ = [
    npz(images=PIXELS, labels=np.arange(3)),
    npz(x_train=np.asfortranarray(PIXELS), y_train=np.arange(3, dtype=">i2")),
]

LOAD_NPZ = Reader(load_images, (DataError,), 2500, "data.npz", DEFLATE)

DESCRIPTIONS = [
    *("|u1", "<u1", ">u8", "<f4", "|O", "|V9", "|S3", "<U1000000000", "<M8[s]", "|b1", "u1,u1", ""),
    *("(9999999,)u1", "|u1\\d", "<c16", "nonsense", "|i1", "<u2"),
]


def header_of(rng) -> str:
    """NumPy's header of an array, likely or not."""
    sizes = [
        rng.choice((0, 1, 2, 3, 4, 5, -1, 10**6, 1 << 40, 10**30))
        for _ in range(rng.choice((0, 1, 2, 3, 3, 3, 40)))
    ]
    shape = tuple(sizes) if rng.random() < 0.5 else (3, 4, 4)
    kind = rng.choice(DESCRIPTIONS) if rng.random() < 0.7 else "|u1"
    descr = repr(kind) if rng.random() < 0.9 else "[('a', '|u1'), ('a', '<f8')]"
    text = f"{{'descr': {descr}, 'fortran_order': {rng.random() < 0.3}, 'shape': {shape}, }}"
    return mutated(rng, [text.encode()]).decode("latin-1") if rng.random() < 0.4 else text


def test_npz(tmp_path):
    rng = seeded("npz")
    cut = (seed[:end] for seed in NPZ for end in range(len(seed)))

    def members():
        for _ in range(tries(LOAD_NPZ) // 2):
            member = npy(header_of(rng), rng.randbytes(48), rng.choice((1, 1, 2, 3)))
            names = [
                "images.npy",
                "labels.npy",
                "x_train.npy",
                "y_train",
                "../images.npy",
                "a\0.npy",
                "images.npy",
            ]
            chosen = rng.sample(names, 2)
            method = rng.choice((0, 8, 8, 12, 14))
            first = "images.npy", npy(header_of(rng), PIXELS.tobytes())
            others = zip(chosen, (member, mutated(rng, [member])), strict=True)
            yield archive([first, *others], method)

    check(LOAD_NPZ, tmp_path, cut, write)
    check(LOAD_NPZ, tmp_path, (mutated(rng, NPZ) for _ in range(tries(LOAD_NPZ) // 2)), write)
    with pytest.warns(UserWarning, match="Duplicate name"):
        written = list(members())
    check(LOAD_NPZ, tmp_path, written, write)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_archive_that_is_a_bomb(tmp_path, method):
    header = "{'descr': '|u1', 'fortran_order': False, 'shape': (80, 1024, 1024), }"
    content = archive([("images.npy", npy(header, bytes(80 << 20)))], method)
    check(LOAD_NPZ, tmp_path, [content], write)


# --- CSV --------------------------------------------------------------------------------

CSV = [
    b"label,a,b,c,d\n1,2,3,4,5\n0,9,8,7,6\n",
    b'"label","pixel0"\r\n7,0\r\n3,255\r\n',
    b"a,b,c,d\n0,1,2,3\n4,5,6,7\n",
]

LOAD_CSV = Reader(load_images, (DataError,), 2500, "train.csv")


def test_csv(tmp_path):
    rng = seeded("csv")
    check(LOAD_CSV, tmp_path, (seed[:end] for seed in CSV for end in range(len(seed))), write)
    check(LOAD_CSV, tmp_path, (mutated(rng, CSV) for _ in range(tries(LOAD_CSV))), write)


# --- Pictures ---------------------------------------------------------------------------


def picture(kind: str, mode: str, **options) -> bytes:
    file = io.BytesIO()
    grey = noise.integers(0, 256, (6, 5), np.uint8)
    Image.fromarray(grey).convert(mode).save(file, kind, **options)
    return file.getvalue()


PICTURES = [
    *(picture("PNG", mode) for mode in ("L", "1", "P", "RGBA", "I;16", "LA")),
    *(picture("GIF", mode) for mode in ("L", "P")),
    *(picture("BMP", mode) for mode in ("L", "RGB")),
    *(picture("PPM", mode) for mode in ("L", "RGB", "1")),
    *(picture("TIFF", mode) for mode in ("L", "RGB", "F", "I;16")),
    picture("TIFF", "L", compression="tiff_lzw"),
    *(picture("JPEG", mode) for mode in ("L", "RGB", "CMYK")),
    picture("WEBP", "RGB"),
    picture("PNG", "P", transparency=0),
]

READ_PICTURE = Reader(
    lambda path: (read_picture(path, grey=True), read_picture(path, (7, 7), grey=True)),
    (DataError,),
    2000,
    "picture.png",
    expansion=1 << 20,
)
LOADER = Reader(
    lambda path: datasets.default_loader(str(path)),
    (DataError,),
    500,
    "picture.png",
    expansion=1 << 20,
)


@pytest.mark.parametrize("reader", [READ_PICTURE, LOADER], ids=["read_picture", "default_loader"])
def test_pictures(tmp_path, reader):
    rng = seeded(f"pictures {reader.tries}")
    check(reader, tmp_path, (mutated(rng, PICTURES) for _ in range(tries(reader))), write)


@pytest.mark.parametrize("reader", [READ_PICTURE, LOADER], ids=["read_picture", "default_loader"])
def test_lengths_in_pictures(tmp_path, reader):
    """Nothing is taken at its word that there are gigabytes to read."""
    for order in ("big", "little"):
        length = (0x7EFF_FFFF).to_bytes(4, order)
        contents = (
            content[:place] + length + content[place + 4 :]
            for content in PICTURES
            for place in range(8, len(content), 1 if content[1:4] == b"PNG" else 7)
        )
        check(reader, tmp_path, contents, write)


POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"


@pytest.mark.parametrize("reader", [READ_PICTURE, LOADER], ids=["read_picture", "default_loader"])
def test_a_picture_that_is_a_program(tmp_path, reader, monkeypatch):
    """Pillow would have Ghostscript run it."""
    monkeypatch.setattr("subprocess.check_call", pytest.fail)
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", pytest.fail)
    write(tmp_path / "x.png", POSTSCRIPT)
    with pytest.raises(DataError, match="is no picture"):
        reader.read(tmp_path / "x.png")
