"""Machine code in files: made once, loaded without Numba, and never stale."""

from pathlib import Path

import programs
import pytest

from scratchgan.backend.cpu.codegen import machine_code
from scratchgan.backend.cpu.processor import host


def test_a_second_start_gives_the_same_without_numba(tmp_path: Path) -> None:
    (*first, used_numba, failed), _ = programs.run(tmp_path)
    assert (used_numba, failed) == ("True", "[]")
    (*second, used_numba, failed), _ = programs.run(tmp_path)
    assert (used_numba, failed) == ("False", "[]")
    assert second == first
    files = set(tmp_path.rglob("*.o"))
    assert files
    programs.run(tmp_path, NUMBA_CPU_NAME="generic", NUMBA_CPU_FEATURES="")
    assert set(tmp_path.rglob("*.o")) > files  # another processor's code has other names


SOURCE = """
from scratchgan.backend.cpu.codegen.intrinsics import float64_at, task
import math

@task
def split(thread, threads, scratch, arguments, numbers):
    mantissa, _ = math.frexp(numbers[0])
    float64_at(arguments[0], 0)[0] = mantissa
"""


def test_what_would_need_numba_at_every_start_is_refused() -> None:
    with pytest.raises(RuntimeError, match="split calls numba_frexp, which only Python or Numba"):
        machine_code.compiled("refused", SOURCE, host(), "1")
