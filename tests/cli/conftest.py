"""How tests run the command, and the runs that it made."""

import re
import subprocess
import sys

import pytest
from programs import COMMAND, COMPILING

import scratchgan as sg
from scratchgan import cli


@pytest.fixture(autouse=True)
def as_before():
    """A command may choose another backend."""
    with sg.use_backend(sg.get_backend()):
        yield


@pytest.fixture
def scratchgan(monkeypatch, capsys):
    """Runs the command in this process: exit code, stdout, stderr."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["scratchgan", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        return ended.value.code or 0, out, err

    return run


@pytest.fixture
def refused(scratchgan):
    """Runs a command that must fail with one sentence, and gives the sentence."""

    def run(*arguments):
        code, out, err = scratchgan(*arguments)
        assert code > 0
        assert out == ""
        assert re.fullmatch(r"scratchgan: [^\n]+\n", err)
        assert "Traceback" not in err
        return err.removeprefix("scratchgan: ").rstrip("\n")

    return run


@pytest.fixture(scope="session")
def trained(tiny_mnist, tmp_path_factory):
    """A run folder that the command made, and what it showed in a pipe."""
    folder = tmp_path_factory.mktemp("cli") / "run"
    options = ["--recipe", "seed", "--data", tiny_mnist, "--epochs", 2, "--batch-size", 32]
    options += ["--seed", 7]
    done = subprocess.run(
        [*COMMAND, *map(str, ["train", *options, "--out", folder])],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr in ("", COMPILING)
    return folder, done.stdout


@pytest.fixture
def refused_late(scratchgan):
    """Runs a command that must fail with one sentence on stderr, after it showed something."""

    def run(*arguments):
        code, _, err = scratchgan(*arguments)
        assert code == 1
        return err.removeprefix(COMPILING)

    return run


@pytest.fixture(scope="session")
def conditional(tiny_mnist, tmp_path_factory):
    """A conditional run."""
    folder = tmp_path_factory.mktemp("cli") / "conditional"
    options = ["--recipe", "seed", "--conditional", "--data", tiny_mnist, "--epochs", 1]
    done = subprocess.run(
        [*COMMAND, "train", *map(str, options), "--batch-size", "64", "--out", str(folder)],
        capture_output=True,
        check=True,
    )
    assert b"Traceback" not in done.stderr
    return folder
