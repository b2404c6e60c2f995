"""What a terminal shows: rows that fit, nothing that stays behind, and what is being compiled."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.table import Table

from scratchgan.progress import print_table

pyte = pytest.importorskip("pyte")
if os.name == "nt":
    pytest.skip("pseudo-terminals are Unix's", allow_module_level=True)

import fcntl  # noqa: E402
import pty  # noqa: E402
import struct  # noqa: E402
import termios  # noqa: E402

LINES = 40


def screen_after(width: int, *arguments: object, **environment: str) -> tuple[list[str], bytes]:
    """The lines that a terminal of this width shows after a command, and all that was sent."""
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, width, 0, 0))
    variables = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}
    process = subprocess.Popen(
        [sys.executable, "-c", "from scratchgan.cli import main; main()", *map(str, arguments)],
        stdout=terminal,
        stderr=terminal,
        env={**variables, "TERM": "xterm-256color", **environment},
    )
    os.close(terminal)
    sent = b""
    try:
        while piece := os.read(controller, 65536):
            sent += piece
    except OSError:  # Linux says so when the other end is closed
        pass
    os.close(controller)
    assert process.wait() == 0, sent
    screen = pyte.Screen(width or 80, LINES)  # 0 is a width that nobody set
    pyte.ByteStream(screen).feed(sent)
    return [line.rstrip() for line in screen.display if line.strip()], sent


HEADINGS = ("epoch", "loss D", "loss G", "D(x)", "D(G(z))", "images/s", "time left")


@pytest.mark.parametrize("width", [10, 20, 26, 34, 47, 57, 61, 62, 63, 80, 200])
def test_rows_fit_any_width(width: int, tiny_mnist: Path, tmp_path: Path) -> None:
    options = ("--data", tiny_mnist, "--epochs", 3, "--batch-size", 1, "--out", tmp_path / "run")
    options += ("--recipe", "seed")
    lines, sent = screen_after(width, "train", *options)
    assert "…" not in "".join(lines)
    start = next(i for i, line in enumerate(lines) if line.split()[:1] == ["epoch"])
    rows = lines[start + 1 : start + 4]
    assert [row.split()[0] for row in rows] == ["1/3", "2/3", "3/3"]  # each once
    if width > 50:
        assert lines[start + 4].startswith("Done: ")
    shown = [name for name in HEADINGS if name in lines[start]]
    assert shown == list(HEADINGS[: len(shown)])
    assert len(shown) == sum(width > end for end in (0, 17, 25, 31, 40, 50, 61))
    assert b"\x1b[2K" in sent  # rows grew where they stand
    if width >= 80:
        assert all(" ━" in row for row in rows)  # with a bar


def test_compilation_is_told_on_a_line_that_goes_away(tiny_mnist: Path, tmp_path: Path) -> None:
    options = ("--data", tiny_mnist, "--epochs", 1, "--batch-size", 32, "--out", tmp_path / "run")
    cold = {"SCRATCHGAN_CACHE_DIR": str(tmp_path / "cache")}
    lines, sent = screen_after(400, "train", *options, **cold)
    for text in (b"numba", b"fused"):
        assert text not in "".join(lines).encode()
    assert b"Compiling kernels for this processor, once: gemm microkernel float32 (" in sent
    assert b"Compiling kernels for this processor, once: fused (" in sent
    assert [line.split()[0] for line in lines] == ["Training", "epoch", "1/1", "Done:"]
    lines, sent = screen_after(100, "train", *options[:-1], tmp_path / "again", **cold)
    assert b"Compiling" not in sent


def test_gradcheck_tells_of_compilation_too(tmp_path: Path) -> None:
    cold = {"SCRATCHGAN_CACHE_DIR": str(tmp_path / "cache")}
    lines, sent = screen_after(100, "gradcheck", "tanh", **cold)
    assert b"Compiling kernels for this processor, once: tanh (" in sent
    assert "Compiling" not in "".join(lines)
    assert any("passes" in line for line in lines)


def test_a_width_that_nobody_set_is_that_of_a_common_terminal(
    tiny_mnist: Path, tmp_path: Path
) -> None:
    options = ("--data", tiny_mnist, "--epochs", 1, "--batch-size", 1, "--out", tmp_path / "run")
    options += ("--recipe", "seed")
    lines, _ = screen_after(0, "train", *options)
    (headings,) = (line for line in lines if line.split()[0] == "epoch")
    assert headings.endswith("time left")
    _, sent = screen_after(0, "gradcheck", "relu", SCRATCHGAN_CACHE_DIR=str(tmp_path / "cache"))
    assert b"Compiling kernels for this processor, once: relu (1)" in sent


def test_a_terminal_that_knows_no_escape_codes_gets_none(tmp_path: Path) -> None:
    dumb = {"SCRATCHGAN_CACHE_DIR": str(tmp_path / "cache"), "TERM": "dumb"}
    lines, sent = screen_after(80, "gradcheck", "relu", **dumb)
    assert b"\x1b" not in sent
    assert "Compiling kernels for this processor, once; it takes some seconds" in lines


@pytest.mark.parametrize("stderr", ["the terminal", "elsewhere"])
def test_a_training_outlives_its_terminal(stderr: str, tiny_mnist: Path, tmp_path: Path) -> None:
    """As under nohup: what is written then fails, and the run is whole all the same."""
    options = ("--data", tiny_mnist, "--epochs", 3, "--batch-size", 1, "--out", tmp_path / "run")
    options += ("--recipe", "seed")
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", "from scratchgan.cli import main; main()"]
        + ["train", *map(str, options)],
        stdout=terminal,
        stderr=terminal if stderr == "the terminal" else subprocess.PIPE,
        env={**os.environ, "TERM": "xterm-256color"},
    )
    os.close(terminal)
    sent = b""
    while b"1/3" not in sent:
        sent += os.read(controller, 65536)
    os.close(controller)
    _, err = process.communicate()
    assert process.returncode == 0
    assert b"Traceback" not in (err or b"")
    assert len(list((tmp_path / "run").rglob("*.*"))) == 17


def test_a_table_in_a_pipe_is_not_folded(capsys):
    table = Table(*(f"column {i}" for i in range(30)))
    table.add_row(*(f"value {i}" for i in range(30)))
    print_table(table)
    head, row = (line for line in capsys.readouterr().out.splitlines() if " 29 " in line)
    assert all(f"column {i} " in head and f"value {i} " in row for i in range(30))
