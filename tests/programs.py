"""Programs that tests run in processes of their own: the command, and one with all kernels."""

import os
import subprocess
import sys
from pathlib import Path

#: The command ``scratchgan``, of the package that is tested.
COMMAND = [sys.executable, "-c", "from scratchgan.cli import main; main()"]
#: What a start says on stderr where kernels must be compiled, and nobody sees it in a terminal.
COMPILING = "Compiling kernels for this processor, once; it takes some seconds\n"

#: It uses all compiled kernels.
PROGRAM = """
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
    print(x.sum().item(), (x + 1).sum(axis=0).tolist(), (x + 1).sum(axis=1).tolist())
print((sg.ones(128, 128) @ sg.ones(128, 128)).numpy().max())
"""

#: Its last lines: whether Numba was imported, and what fell back to NumPy.
ENDING = """
print("numba" in sys.modules)
from scratchgan.backend.cpu.codegen import machine_code
print(sorted(machine_code.failures))
"""


def started(folder: Path, before: str = "", **environment: str) -> subprocess.Popen[str]:
    """The program, with its cache in ``folder``, after what ``before`` does to its Python."""
    return subprocess.Popen(
        [sys.executable, "-c", before + PROGRAM + ENDING],
        env={**os.environ, "SCRATCHGAN_CACHE_DIR": str(folder), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(folder: Path, before: str = "", **environment: str) -> tuple[list[str], str]:
    """The lines that the program prints, and what it writes to stderr."""
    process = started(folder, before, **environment)
    out, err = process.communicate()
    assert process.returncode == 0, err
    lines = out.splitlines()
    assert lines[-3] == "128.0", out
    return lines, err
