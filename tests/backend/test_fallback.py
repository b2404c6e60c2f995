"""A way back: where machine code cannot be had, NumPy computes, and one warning says so."""

import ast
import re
from pathlib import Path

import programs
import pytest

from scratchgan.backend.cpu import addresses

#: What may change in a later Numba, llvmlite or NumPy, or fail on a processor: as Python that does
#: it, and whether all kernels are concerned.
SABOTAGE = {
    "LLVM's words cannot be had": (
        "import scratchgan.backend.cpu.codegen.numba_target as t; t.llvm_of = None",
        True,
    ),
    "Numba's class has another name": ("import numba.core.codegen as c; del c.AOTCPUCodegen", True),
    "Numba has no targets": (
        "import sys; sys.modules['numba.core.target_extension'] = None",
        True,
    ),
    "Numba cannot be imported": ("import sys; sys.modules['numba'] = None", True),
    "llvmlite has other passes": (
        "import llvmlite.binding as l; del l.create_pass_builder",
        True,
    ),
    "LLVM loads nothing": ("import llvmlite.binding as l; del l.create_mcjit_compiler", True),
    "LLVM does not know the processor": (
        "import llvmlite.binding as l; del l.get_process_triple",
        True,
    ),
    "a system without sched_yield": (
        "import llvmlite.binding as l; f = l.address_of_symbol; "
        "l.address_of_symbol = lambda name: None if name == 'sched_yield' else f(name)",
        False,
    ),
    "NumPy's table of ufuncs is elsewhere": (
        "import numpy as np; del np._core._multiarray_umath._UFUNC_API",
        False,
    ),
    "fused loops do not compile": (
        "import scratchgan.backend.cpu.codegen.machine_code as m; f = m.compiled\n"
        "def compiled(name, *a, **k):\n"
        "    assert name != 'fused', 'a test says so'\n"
        "    return f(name, *a, **k)\n"
        "m.compiled = compiled",
        False,
    ),
}


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> list[float]:
    """The numbers that NumPy's kernels give."""
    lines, _ = programs.run(tmp_path_factory.mktemp("unused"), SCRATCHGAN_BACKEND="numpy")
    return numbers_in(lines[:-2])


def numbers_in(lines: list[str]) -> list[float]:
    return [float(x) for x in re.findall(r"-?\d+[\d.e+-]*|nan|-?inf", " ".join(lines))]


@pytest.mark.parametrize("what", SABOTAGE)
def test_training_works_all_the_same(what: str, expected: list[float], tmp_path: Path) -> None:
    before, concerns_all = SABOTAGE[what]
    (*lines, _, failed), warnings = programs.run(tmp_path, before + "\n")
    assert numbers_in(lines) == pytest.approx(expected, rel=3e-5, abs=1e-6, nan_ok=True)
    names = ast.literal_eval(failed)
    assert len(names) > (8 if concerns_all else 0)
    lines = [line for line in warnings.splitlines() if "RuntimeWarning" in line]
    assert len(lines) == len(names)
    for name in names:
        (line,) = [line for line in lines if f"the kernel {name} cannot be compiled or" in line]
        assert "NumPy computes in its place" in line
        assert "report this as an issue" in line


def test_addresses_where_arrays_keep_them_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    assert addresses._quickest_right() is addresses._read_from_object
    monkeypatch.setattr(addresses, "_read_from_object", lambda array: id(array))
    assert addresses._quickest_right() is addresses._read_from_interface
