"""Where the command runs: folders that are somebody else's, no home, little memory, no terminal."""

import errno
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from scratchgan.gan import Config, Run, RunError
from scratchgan.progress import Rows, _Notice

COMPILING = "Compiling kernels for this processor, once; it takes some seconds\n"
#: Before the command: the disk is full when the file of this name is to take its place.
FULL_AT = """
import errno, os
replace = os.replace
def failing(source, target):
    if os.path.basename(target) == {name!r}:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    replace(source, target)
os.replace = failing
"""
#: Before the command: a user that the system does not know, as in a container.
NO_HOME = """
import os, pwd
def nobody(*_):
    raise KeyError
pwd.getpwuid = nobody
for name in ("HOME", "SCRATCHGAN_CACHE_DIR", "XDG_CACHE_HOME"):
    os.environ.pop(name, None)
"""
#: Before the command: files may not be larger.
SMALL_FILES = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))"
#: Before the command: half a gigabyte remains for what comes after the imports.
LITTLE_MEMORY = """
import resource, llvmlite.binding, scratchgan.gan
from pathlib import Path
from types import SimpleNamespace
most = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + (1 << 29)
resource.setrlimit(resource.RLIMIT_AS, (most, most))
"""

unix = pytest.mark.skipif(os.name == "nt", reason="it is about what Unix does")
linux = pytest.mark.skipif(sys.platform != "linux", reason="others do not keep to the limit")


def command(*arguments, before="", cwd=None, **environment):
    """Exit code, stdout, and stderr without what is said of compilation."""
    done = subprocess.run(
        [sys.executable, "-c", f"{before}\nfrom scratchgan.cli import main; main()"]
        + [str(argument) for argument in arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", **environment},
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr.replace(COMPILING, "")


@pytest.fixture
def options(tiny_mnist):
    """Of a short training."""
    return ["train", "--data", tiny_mnist, "--epochs", 3, "--batch-size", 64]


# --- Folders --------------------------------------------------------------------------


@pytest.mark.parametrize("failing", ["config.json", "generator.safetensors"])
def test_what_was_there_before_a_failed_run_is_there_after_it(failing, options, tmp_path):
    """Neither more, which would stop the next run, nor less."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "linked").mkdir()
    (tmp_path / "link").symlink_to("linked")
    before = sorted(tmp_path.rglob("*"))
    for out in ("mine", "link", "new", "very/new/folders"):
        ended = command(*options, "--out", tmp_path / out, before=FULL_AT.format(name=failing))
        assert ended[0] == 1
        assert re.fullmatch(
            rf"scratchgan: .*{failing}: cannot be written \(No space .*\)\n", ended[2]
        )
        assert sorted(tmp_path.rglob("*")) == before


def test_files_of_others_are_not_removed_with_a_run(tmp_path):
    run = Run.create(tmp_path / "run", Config())
    (run.folder / "notes.txt").touch()
    assert not run.discard_if_untrained()
    assert [path.name for path in run.folder.iterdir()] == ["notes.txt"]


def test_a_run_folder_that_cannot_be_made_leaves_no_parents(tmp_path):
    with pytest.raises(RunError, match="File name too long"):
        Run.create(tmp_path / "a" / "b" / ("x" * 300), Config())
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_full_later_is_told_with_what_there_is(options, tmp_path):
    folder = tmp_path / "run"
    for name in ("samples/epoch-0002.png", "losses.png"):
        ended = command(*options, "--out", folder, before=FULL_AT.format(name=Path(name).name))
        sentence = f"{folder / name}: cannot be written (No space left on device)"
        kept = f"{folder} keeps what was written before"
        assert ended[::2] == (1, f"scratchgan: {sentence}; {kept}\n")
        assert Run.open(folder).load_generator() is not None
        folder = tmp_path / "another"


@linux
def test_files_that_may_not_be_large(options, tmp_path):
    """The system itself refuses to write on, in the middle of a file."""
    ended = command(*options, "--out", tmp_path / "run", before=SMALL_FILES)
    assert ended[0] == 1
    assert "step-00000000.safetensors: cannot be written (File too large)\n" in ended[2]
    assert list(tmp_path.iterdir()) == []


def test_a_link_to_nowhere_is_not_the_next_folder(options, tiny_mnist, tmp_path):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / tiny_mnist.name).symlink_to("nowhere")
    assert command(*options, cwd=tmp_path)[0] == 0
    assert Run.open(tmp_path / "runs" / f"{tiny_mnist.name}-2").config.data == str(tiny_mnist)


@unix
def test_a_current_folder_that_is_gone(options, tmp_path):
    gone = f"import os; os.chdir({str(tmp_path)!r}); os.mkdir('x'); os.chdir('x'); os.rmdir('../x')"
    for arguments in (
        ["train", "--data", "data"],
        options,
        ["generate", "run", "--out", "a.npz"],
    ):
        code, out, err = command(*arguments, before=gone)
        assert (code, out) == (1, "")
        assert re.fullmatch(r"scratchgan: (data|runs/\S+|run): [^\n]+\n", err)


# --- Settings of Matplotlib -----------------------------------------------------------


def test_matplotlib_says_nothing_of_its_own_folders_and_settings(options, tmp_path):
    (tmp_path / "matplotlibrc").write_text("nonsense: 3\nbackend: nonsense\n")
    for i, environment in enumerate(({"MPLCONFIGDIR": "/dev/null/nowhere"}, {})):
        ended = command(*options, "--out", tmp_path / f"run-{i}", cwd=tmp_path, **environment)
        assert ended[::2] == (0, "")
        assert (tmp_path / f"run-{i}" / "losses.png").exists()


def test_a_matplotlib_that_cannot_be_imported_costs_only_the_curves(options, tmp_path):
    (tmp_path / "matplotlibrc").write_bytes(b"\xff\xfe\0")  # no UTF-8
    code, _, err = command(*options, "--out", "run", cwd=tmp_path)
    assert code == 1
    assert err.startswith("scratchgan: run/losses.png: cannot be drawn (Matplotlib cannot be imp")
    assert err.endswith("; run keeps what was written before\n")
    assert Run.open(tmp_path / "run").load_generator() is not None
    assert (tmp_path / "run" / "metrics.csv").exists()
    assert not (tmp_path / "run" / "losses.png").exists()


# --- Homes and memory -----------------------------------------------------------------


@unix
def test_a_user_without_a_home_has_no_cache(tmp_path):
    for arguments in (["cache"], ["cache", "--verify"], ["cache", "--clear"]):
        code, out, err = command(*arguments, before=NO_HOME, cwd=tmp_path)
        assert (code, out) == (1, "")
        assert re.fullmatch(r"scratchgan: the cache: .*no home folder.*\n", err)
    code, out, err = command("info", before=NO_HOME, cwd=tmp_path)
    assert (code, err) == (0, "")
    assert "\nkernels   none fell back to NumPy\n" in out
    assert out.splitlines()[-1].startswith("cache     none (this user has no home folder")
    assert not list((tmp_path / "~").rglob("*.o"))  # no folder of this name is taken for a home


def test_a_cache_where_none_can_be(tmp_path):
    too_long = "x" * 5000
    code, out, err = command("info", cwd=tmp_path, SCRATCHGAN_CACHE_DIR=too_long)
    assert (code, err) == (0, "")
    assert "\nkernels   none fell back to NumPy\n" in out
    for place in (too_long, os.devnull):
        for options in ((), ("--verify",), ("--clear",)):
            _, _, err = command("cache", *options, cwd=tmp_path, SCRATCHGAN_CACHE_DIR=place)
            assert re.fullmatch(r"(scratchgan: [^\n]+\n)?", err)


@linux
def test_too_little_memory_is_one_sentence(options, tmp_path):
    assert command(*options, "--out", tmp_path / "run")[0] == 0
    out = tmp_path / "a.npz"
    many = ["generate", tmp_path / "run", "--n", 1_000_000, "--out", out]
    ended = command(*many, before=LITTLE_MEMORY)
    assert ended[:2] == (1, "")
    assert re.fullmatch(r"scratchgan: there is not enough memory \([^\n]+\)\n", ended[2])
    assert not out.exists()


@linux
@pytest.mark.parametrize("jit", ["--jit", "--no-jit"])
def test_a_batch_that_has_no_room_says_how_much_it_needed(jit, tmp_path):
    large = ["--batch-size", 60_000, "--generator-widths", 2000, "--out", tmp_path / "run"]
    code, _, err = command("train", "--recipe", "seed", *large, jit, before=LITTLE_MEMORY)
    assert code == 1
    assert re.fullmatch(
        r"scratchgan: there is not enough memory for a step with batch_size 60000 \(Unable to "
        r"allocate [\d.]+ MiB [^\n]+\); take fewer images, or smaller networks\n",
        err,
    )
    assert list(tmp_path.iterdir()) == []


def test_settings_that_are_too_large_are_not_read(tmp_path):
    """Though as many bytes of weights would be: as Python's objects they would be far larger."""
    (tmp_path / "config.json").write_text("[" + "0," * (1 << 20) + "0]")
    with pytest.raises(RunError, match=r"more than any config\.json of a run"):
        Run.open(tmp_path)


# --- Numbers that have no room --------------------------------------------------------


@pytest.mark.parametrize("epochs", [3, 10**6, 2**63 - 1])
@pytest.mark.parametrize("loss", [0.5, 1e9, float("nan"), float("inf")])
def test_cells_never_run_together(epochs, loss, capsys):
    config = Config(epochs=epochs, batch_size=1)
    rows = Rows(config, _Notice())
    row = {"discriminator_loss": loss, "generator_loss": -loss, "d_real": 0.5, "d_fake": 0.5}
    for step in (1, 2, 3, 4):
        rows.on_step_end(SimpleNamespace(step=step, steps_per_epoch=2), row)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    for line in lines:
        cells = re.sub(r" (days?,) ", r"_\1_", line).split()
        assert len(cells) == 7
        assert cells[0] in (f"1/{epochs}", f"2/{epochs}")


# --- Streams --------------------------------------------------------------------------


class Gone:
    """A terminal that went away."""

    encoding = "utf-8"

    def isatty(self):
        return True

    def fileno(self):
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    def write(self, text):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    def flush(self):
        raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_a_notice_that_nobody_reads_fails_no_kernel(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Gone())
    monkeypatch.setenv("TERM", "xterm")
    notice = _Notice()
    notice.show("adam")
    notice.clear()
