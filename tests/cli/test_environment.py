"""What surrounds the command: who reads its output, variables, disks, odd paths."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from programs import COMMAND, COMPILING

from scratchgan.gan import Run


def in_a_shell(line, **environment):
    """Runs a line of shell in which "$@" is the command: exit code, stdout, stderr."""
    done = subprocess.run(
        ["bash", "-c", line, "bash", *COMMAND],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr
    return done.returncode, done.stdout, done.stderr


NOWHERE = (">&-", ">&- 2>&-", "> /dev/full", "> /dev/full 2>&1", "| head -c 1", "<&- >&-")
linux = pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")


@linux
@pytest.mark.parametrize("where", NOWHERE)
def test_a_training_that_nobody_reads_is_whole(where, tiny_mnist, tmp_path):
    options = f"train --data {tiny_mnist} --epochs 2 --batch-size 64 --out {tmp_path}/run"
    code, _, err = in_a_shell(f'set -o pipefail; "$@" {options} {where}')
    assert code == 0
    assert err in ("", COMPILING)
    assert len(list((tmp_path / "run").rglob("*.*"))) == 14


@linux
@pytest.mark.parametrize("command", ["info", "cache", "gradcheck relu", "--help"])
def test_output_that_is_lost_is_told(command):
    code, _, err = in_a_shell(f'"$@" {command} > /dev/full')
    assert code == 1
    assert err.removeprefix(COMPILING) == (
        "scratchgan: the output: cannot be written (No space left on device)\n"
    )
    code, _, err = in_a_shell(f'"$@" {command} | true')
    assert err in ("", COMPILING)


@pytest.mark.parametrize(
    "variables",
    [
        {"MPLBACKEND": "module://matplotlib_inline.backend_inline"},
        {"MPLBACKEND": "nonsense"},
        {"NUMBA_DISABLE_JIT": "1"},
        {"OMP_NUM_THREADS": "100000"},
        {"OMP_NUM_THREADS": "4,2"},
        {"PYTHONIOENCODING": "ascii"},
        {"TERM": "dumb"},
    ],
    ids=str,
)
def test_variables_of_other_programs(variables, tiny_mnist, tmp_path):
    options = f"train --data {tiny_mnist} --epochs 1 --batch-size 64 --out {tmp_path}/run"
    code, _out, err = in_a_shell(f'"$@" {options}', **variables)
    assert code == 0
    assert err in ("", COMPILING)
    assert (tmp_path / "run" / "losses.png").exists()


def test_a_number_of_threads_that_is_none_is_one_sentence():
    code, _out, err = in_a_shell('"$@" info', OMP_NUM_THREADS="many")
    assert code == 0
    assert "scratchgan: OMP_NUM_THREADS is 'many', which is no number of threads; " in err


def test_a_matplotlibrc_does_not_draw_the_figures(tmp_path):
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\n")
    code = "import io, scratchgan.viz as v; v.save_losses(io.BytesIO(), [])"
    environment = {**os.environ, "MATPLOTLIBRC": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


@pytest.mark.parametrize("failing", ["config.json", "epoch-0001.png", "metrics.csv"])
def test_a_disk_that_is_full_at_first_leaves_no_folder(
    refused_late, failing, tiny_mnist, tmp_path, full_at
):
    full_at(failing)
    message = refused_late("train", "--data", tiny_mnist, "--out", tmp_path / "run")
    assert f"{failing}: cannot be written (No space left on device)" in message
    assert not (tmp_path / "run").exists()


def test_a_disk_that_is_full_later_leaves_what_there_is(
    refused_late, tiny_mnist, tmp_path, full_at
):
    full_at("epoch-0002.png")
    message = refused_late("train", "--data", tiny_mnist, "--out", tmp_path / "run")
    assert "epoch-0002.png: cannot be written (No space left on device)" in message
    assert Run.open(tmp_path / "run").load_generator() is not None
    assert not list(tmp_path.rglob("*.part"))


@pytest.fixture
def full_at(monkeypatch):
    """Has the disk be full when the file of this name is to take its place."""

    def full_at(name):
        replace = os.replace

        def failing(source, target):
            if Path(target).name == name:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            replace(source, target)

        monkeypatch.setattr(os, "replace", failing)

    return full_at


def odd_path(tmp_path, kind):
    path = tmp_path / "odd"
    if kind == "a link to itself":
        path.symlink_to("odd")
    elif kind == "a link to nowhere":
        path.symlink_to("nowhere")
    elif kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a device":
        return Path("/dev/null")
    elif kind == "below a file":
        (tmp_path / "file").touch()
        return tmp_path / "file" / "odd"
    elif kind == "too long":
        return tmp_path / ("x" * 300)
    elif kind == "much too long":
        return tmp_path / "/".join(["x" * 100] * 50)
    elif kind == "no text":
        return tmp_path / "\udcff"
    elif kind == "empty":
        return ""
    return path


ODD = (
    *("a link to itself", "a link to nowhere", "a pipe", "a device", "below a file"),
    *("too long", "much too long", "no text", "empty", "missing"),
)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")
@pytest.mark.parametrize("kind", ODD)
def test_odd_paths_are_refused_in_one_sentence(kind, refused, trained, tmp_path, monkeypatch):
    path = odd_path(tmp_path, kind)
    refused("train", "--data", path, "--out", tmp_path / "run")
    refused("generate", path, "--out", tmp_path / "a.npz")
    if kind not in ("no text", "missing", "a link to nowhere"):  # folders can be made there
        refused("train", "--data", tmp_path, "--out", path)
    assert not (tmp_path / "run").exists()
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_bytes((trained[0] / "config.json").read_bytes())
    if kind in ("a link to itself", "a link to nowhere", "a pipe"):
        os.rename(path, broken / "generator.safetensors")
        refused("generate", broken, "--out", tmp_path / "a.npz")


def test_files_that_are_too_large_are_not_read(refused, tmp_path):
    with (tmp_path / "config.json").open("wb") as file:
        file.truncate(1 << 40)
    message = refused("generate", tmp_path, "--out", tmp_path / "a.npz")
    assert "holds 1,099,511,627,776 bytes, more than any config.json of a run" in message
