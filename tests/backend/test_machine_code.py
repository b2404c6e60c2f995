"""Machine code in files: made once, loaded without Numba, and never stale."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scratchgan.backend import machine_code
from scratchgan.backend.processor import host

STEP = """
import sys
import scratchgan as sg
from scratchgan import nn, optim

model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1), nn.Sigmoid())
optimizer = optim.Adam(model.parameters())

@sg.jit
def step(x):
    optimizer.zero_grad()
    y = sg.randn(5, 3) + x
    for function in (sg.exp, sg.expm1, sg.sin, sg.cos, sg.tanh, sg.sigmoid, sg.softplus):
        y = function(y) * 0.1
    y = sg.log(y) + sg.pow(sg.sqrt(y), 0.3) + sg.rand(5, 3)
    loss = nn.functional.binary_cross_entropy(model(y), 1.0)
    loss.backward()
    optimizer.step()
    return loss

for dtype in (sg.float32, sg.float64):
    x = sg.zeros(5, 3).to(dtype)
    model.to(dtype)
    optimizer = optim.Adam(model.parameters())
    print([step(x).item() for _ in range(3)], model(x).tolist())
    print(sg.softplus(sg.exp(x + 0.5)).tolist())
print((sg.ones(128, 128) @ sg.ones(128, 128)).data.max())
print("numba" in sys.modules)
"""


def run(folder: Path, **environment: str) -> str:
    environment = {**os.environ, "SCRATCHGAN_CACHE_DIR": str(folder), **environment}
    done = subprocess.run(
        [sys.executable, "-c", STEP], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "\n128.0\n" in done.stdout
    return done.stdout


def test_a_second_start_gives_the_same_without_numba(tmp_path: Path) -> None:
    first, second = run(tmp_path), run(tmp_path)
    assert first.endswith("True\n")
    assert second.endswith("False\n")
    assert second.removesuffix("False\n") == first.removesuffix("True\n")
    files = set(tmp_path.rglob("*.o"))
    assert files
    run(tmp_path, NUMBA_CPU_NAME="generic", NUMBA_CPU_FEATURES="")
    assert set(tmp_path.rglob("*.o")) > files  # another processor's code has other names


SOURCE = """
from scratchgan.backend.native import float64_at, task
import math

@task
def split(lane, lanes, scratch, arguments, numbers):
    mantissa, _ = math.frexp(numbers[0])
    float64_at(arguments[0], 0)[0] = mantissa
"""


def test_what_would_need_numba_at_every_start_is_refused() -> None:
    with pytest.raises(RuntimeError, match="split calls numba_frexp, which only Python or Numba"):
        machine_code.compiled("refused", SOURCE, host(), "1")
