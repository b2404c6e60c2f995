"""``scratchgan info``, the help, and what every command has."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
from programs import COMMAND, COMPILING

import scratchgan as sg
from scratchgan.backend.cpu.codegen import machine_code
from scratchgan.backend.cpu.processor import host


def test_info(scratchgan):
    code, out, err = scratchgan("info")
    assert code == 0
    assert err in ("", COMPILING)
    assert f"numpy {np.__version__}\n" in out
    for name in sg.backend.CPU_BACKENDS:
        assert f"{name} is available\n" in out
    assert f"\nprocessor {host()}\n" in out
    assert re.search(r"\n +\w.*: (16|32) vectors of \d+ bits\n", out)
    assert re.search(r"\n +AMX (computes large products of float32|cannot be used here)\n", out)
    assert re.search(rf"\nthreads +{sg.get_num_threads()} \(.+\)\n", out)
    assert "\nkernels   none fell back to NumPy\n" in out
    assert re.search(r"\nBLAS +\S+ .*\d+ threads?\n", out)
    assert "MNIST(60000 training images from " in out
    assert "MNIST(10000 test images from " in out
    assert re.search(r"\ncache +.*: [1-9]\d* files, \d+\.\d MB\n", out)


def test_info_lists_what_fell_back(scratchgan, monkeypatch):
    monkeypatch.setitem(machine_code.failures, "adam", "RuntimeError: a test says so")
    _, out, _ = scratchgan("info")
    assert "\nkernels   adam fell back to NumPy: RuntimeError: a test says so\n" in out


def test_info_says_why_a_backend_is_unavailable(scratchgan, monkeypatch):
    from scratchgan import backend

    load = backend._load

    def without_numba(name):
        if name == "numba":
            raise backend.BackendError("the numba backend is not available: it is a test")
        return load(name)

    monkeypatch.setattr(backend, "_load", without_numba)
    code, out, _ = scratchgan("info")
    assert code == 0
    assert "the numba backend is not available: it is a test\n" in out
    assert "numpy is available\n" in out


def test_info_says_that_the_environment_names_no_backend():
    done = subprocess.run(
        [*COMMAND, "info"],
        capture_output=True,
        text=True,
        env={**os.environ, "SCRATCHGAN_BACKEND": "abacus"},
        check=True,
    )
    assert "there is no backend named 'abacus'; choose one of numpy, numba\n" in done.stdout


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_help(scratchgan, arguments):
    code, out, err = scratchgan(*arguments)
    assert (code, err) == (0, "")
    for command in ("train", "generate", "info"):
        assert f"\n  {command} " in out


def test_a_command_that_does_not_exist(refused):
    assert refused("trian").startswith("No such command 'trian'")


def test_version(scratchgan):
    assert scratchgan("--version") == (0, f"scratchgan {sg.__version__}\n", "")
    assert re.fullmatch(r"\d+\.\d+\.\d+", sg.__version__)


def test_python_runs_the_command_too():
    command = [sys.executable, "-m", "scratchgan", "generate", "nowhere", "--out", "x.png"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("scratchgan: nowhere")


def test_help_imports_nothing_heavy():
    heavy = "{'numba', 'matplotlib', 'safetensors', 'rich', 'threadpoolctl', 'PIL', 'llvmlite'}"
    code = (
        "import sys\nfrom scratchgan.cli import main\nsys.argv[1:] = ['--help']\n"
        f"try: main()\nexcept SystemExit: print(sorted({heavy} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
