"""Products on the smaller processors that the one at hand can imitate.

The tests of products run again in a process whose processor has fewer features.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scratchgan.backend.cpu.processor import host

#: LLVM's names of processors, the features that they have at the most, and which are hidden.
SMALLER = {
    "without AVX": ("x86-64", (), ("avx", "avx2", "fma", "avx512f", "amx-tile")),
    "with AVX alone": ("sandybridge", ("avx",), ("avx2", "fma", "avx512f", "amx-tile")),
    "with AVX2": ("haswell", ("avx", "avx2", "fma"), ("avx512f", "amx-tile")),
    "with AVX-512": ("skylake-avx512", ("avx", "avx2", "fma", "avx512f"), ("amx-tile",)),
}
TESTS = "(any_sizes or large or not_finite or every_way) and not unit"


@pytest.mark.parametrize("what", SMALLER)
def test_products_on_a_smaller_processor(what: str, tmp_path: Path) -> None:
    name, features, hidden = SMALLER[what]
    if not host().is_x86 or not host().has(*features):
        pytest.skip(f"this processor cannot imitate one {what}")
    settings = [*[f"+{x}" for x in features], *[f"-{x}" for x in hidden]]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider"]
        + ["-k", TESTS, "tests/backend/test_products.py"],
        cwd=Path(__file__).parents[2],
        env={
            **os.environ,
            "NUMBA_CPU_NAME": name,
            "NUMBA_CPU_FEATURES": ",".join(settings),
            "SCRATCHGAN_CACHE_DIR": str(tmp_path),
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout


#: The ways in which Numba can be told of another processor than there is.
TOLD = (
    {"NUMBA_ENABLE_AVX": "0"},
    {"NUMBA_CPU_NAME": "nocona"},
    {"NUMBA_CPU_NAME": "generic"},
    {"NUMBA_CPU_FEATURES": ""},
    {"NUMBA_CPU_FEATURES": "+amx-tile,+amx-bf16"},
)

PRODUCT = """
import numpy as np
import scratchgan as sg
from scratchgan.backend.cpu.processor import host

a, b = (sg.randn(256, 256, generator=sg.Generator(i)) for i in range(2))
error = np.abs((a @ b.T).numpy() - a.numpy().astype(float) @ b.numpy().T.astype(float)).max()
assert error < 1e-4, error
assert not host().has_matrix_unit or host().has("avx512f")
"""


def test_what_numba_is_told_leaves_no_wrong_numbers(tmp_path: Path) -> None:
    """All in one cache, where code for one processor must not serve as another's."""
    for told in (*TOLD, {}):
        subprocess.run(
            [sys.executable, "-c", PRODUCT],
            env={**os.environ, **told, "SCRATCHGAN_CACHE_DIR": str(tmp_path)},
            check=True,
        )
