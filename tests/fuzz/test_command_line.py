"""The worst files at the command line: one sentence, and no file that is half written."""

import os
import struct
import sys
from pathlib import Path

import numpy as np
import pytest

import scratchgan as sg
from fuzz.test_data import PICTURES, POSTSCRIPT, archive, npy, npz
from fuzz.test_runs import TRAPS
from fuzz.test_weights import HUGE, plain_file, settings_of, weights
from scratchgan import cli
from scratchgan.backend.cpu.codegen import object_files

DATA = {
    "x.npz": [
        *(b"", b"\x93NUMPY", npz(images=np.array([{}])), npz(images=np.zeros((2, 2)))),
        archive(
            [
                (
                    "images.npy",
                    npy("{'descr': '|u1', 'fortran_order': False, 'shape': (1, 9, 10**15), }", b""),
                )
            ]
        ),
        archive([("a\nb\x1b[2J.npy", b"")] * 1),
    ],
    "x.csv": [
        b"",
        b"\0",
        b"\xff\xfe",
        b"label,a\n" + b"9" * 5000,
        b"label,a\n1,2\n1,2,3\n",
        b"label\n\n",
    ],
    "x-idx3-ubyte": [
        b"",
        struct.pack(">BBBBIII", 0, 0, 8, 3, 1 << 31, 1 << 31, 1 << 31),
        b"\x1f\x8b",
    ],
    "x\x1b[2J.idx": [b""],
}
RECIPES = [*TRAPS[:9], TRAPS[-1], b"\xff", b'data = "/nowhere\\u001b[2J"', b'data = "a\\u0000b"']
SETTINGS = [
    *(b"", b"[" * 9999, b"null", b'{"lr": 1' + b"0" * 400 + b"}", settings_of(lr=10**400)),
    *(settings_of(**{name: HUGE[name]}) for name in ("generator_widths", "latent_dim", "shape")),
    *(settings_of(data="/dev/zero"), settings_of(device="cuda:99"), settings_of(backend="x\ny")),
]
WEIGHTS = [
    *(b"", b"\xff" * 64, struct.pack("<Q", 1 << 62), plain_file({"x": np.ones(3)})),
    plain_file(
        {
            name: np.full_like(x, np.nan if x.dtype.kind == "f" else 1)
            for name, x in weights("generator").items()
        }
    ),
]
SEEN = [
    *(picture[: len(picture) // 2] for picture in PICTURES[:6]),
    b"",
    POSTSCRIPT,
    b"\x89PNG\r\n\x1a\n",
]


@pytest.fixture
def refused(tmp_path, monkeypatch, capfd):
    """Runs a command that must fail: with a sentence and nothing else, and without a trace."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["scratchgan", *map(str, arguments)])
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(SystemExit) as ended, sg.use_backend(sg.get_backend()):
            cli.main()
        _, err = capfd.readouterr()
        lines = [line for line in err.splitlines() if not line.startswith("Compiling kernels")]
        assert ended.value.code in (1, 2), (arguments, err)
        assert len(lines) == 1 and lines[0].startswith("scratchgan: "), (arguments, err)
        assert lines[0].isprintable() and len(lines[0]) < 2500, (arguments, err)
        made = {path.name for path in tmp_path.rglob("*")} - {path.name for path in before}
        assert made <= {".lock"}, arguments  # which a run keeps, and which means nothing
        return lines[0]

    return run


@pytest.mark.parametrize("name", DATA)
def test_data(tmp_path, refused, name):
    for content in DATA[name]:
        (tmp_path / name).write_bytes(content)
        refused("train", "--data", tmp_path / name, "--out", tmp_path / "run")
    refused("train", "--data", tmp_path / ("x" * 4000), "--out", tmp_path / "run")


def test_recipes_and_sweeps(tmp_path, refused):
    path = tmp_path / "x.toml"
    for content in RECIPES:
        path.write_bytes(content)
        refused("train", "--recipe", path, "--out", tmp_path / "run")
    for content in (
        b"",
        b"[vary]\nlr = [-1]",
        TRAPS[0],
        TRAPS[6],
        TRAPS[-4],
        b'[vary]\ndata = ["\\u0000"]',
    ):
        path.write_bytes(content)
        refused("sweep", path, "--out", tmp_path / "runs")


def run_of(folder: Path, settings: bytes, generator: bytes) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_bytes(settings)
    (folder / "generator.safetensors").write_bytes(generator)
    return folder


def test_runs(tmp_path, refused):
    sound = plain_file(weights("generator"))
    runs = [(settings, sound) for settings in SETTINGS[:-3]]
    runs += [(settings_of(), spoilt) for spoilt in WEIGHTS]
    for settings, generator in runs:
        run = run_of(tmp_path / "run", settings, generator)
        refused("generate", run, "--out", tmp_path / "x.png")
        refused("interpolate", run, "--out", tmp_path / "x.png")
    for settings in SETTINGS:
        run = run_of(tmp_path / "run", settings, sound)
        refused("train", "--resume", run)
        refused("neighbours", run, "--out", tmp_path / "x.png")


def test_pictures(tmp_path, refused):
    run = run_of(tmp_path / "run", settings_of(), plain_file(weights("generator")))
    (tmp_path / "sound.png").write_bytes(PICTURES[0])
    for content in SEEN:
        (tmp_path / "x.png").write_bytes(content)
        for image, mask in (("x.png", "sound.png"), ("sound.png", "x.png")):
            refused(
                "inpaint",
                run,
                "--image",
                tmp_path / image,
                "--mask",
                tmp_path / mask,
                "--out",
                tmp_path / "out.png",
                "--steps",
                1,
            )
        refused("project", run, "--image", tmp_path / "x.png", "--out", tmp_path / "out.png")


def test_a_cache_of_nonsense(tmp_path, refused, monkeypatch, capfd):
    monkeypatch.setenv("SCRATCHGAN_CACHE_DIR", str(tmp_path))
    folder = tmp_path / "machine-code"
    folder.mkdir()
    body = b"[" * 9999 + b"\n"
    (folder / "a.o").write_bytes(object_files._MAGIC + object_files._checksum("a.o", body) + body)
    (folder / "b.o").write_bytes(b"")
    os.mkfifo(folder / "c.o")
    monkeypatch.setattr(sys, "argv", ["scratchgan", "cache", "--verify"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    out, err = capfd.readouterr()
    assert (ended.value.code, err) == (1, "")
    assert out.count("is damaged, and will be compiled anew") == 3
