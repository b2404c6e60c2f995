"""The rooms of the package: imports go down only, and never round in a circle."""

import ast
import graphlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import scratchgan

PACKAGE = Path(scratchgan.__file__).parent

#: From the ground up. A module may import those of its own floor's file or room, and of lower ones.
FLOORS = (
    ("files", "dtypes", "locks", "messages", "missing"),
    ("backend",),
    ("autograd",),
    ("ops",),
    ("functions", "interchange", "notebook", "threads"),
    ("in_place", "creation", "random", "cuda", "legacy"),
    ("jit",),
    ("nn", "optim"),
    ("testing", "data", "viz", "utils", "vision", "serialization"),
    ("gan",),
    ("progress", "cli", "__main__"),
)


def modules() -> dict[str, Path]:
    return {
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(
            ".__init__"
        ): path
        for path in PACKAGE.rglob("*.py")
    }


def imports_of(path: Path, known: dict[str, Path]) -> set[str]:
    """The modules of this package that a file names in an import, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name in known}
        elif isinstance(node, ast.ImportFrom) and node.module in known:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            parts = names & known.keys()
            # A room's own name stands for its __init__, where something is taken from that.
            found |= parts or {node.module}
            if len(parts) < len(names):
                found.add(node.module)
    return found


def graph() -> dict[str, set[str]]:
    known = modules()
    return {name: imports_of(path, known) - {name} for name, path in known.items()}


def test_no_circle_of_imports() -> None:
    """Not even of imports for annotations, or inside of functions."""
    order = graphlib.TopologicalSorter(
        {name: imports for name, imports in graph().items() if name != "scratchgan"}
    )
    order.prepare()  # raises a CycleError that names the circle


def floor_of(module: str) -> int:
    room = module.split(".")[1]
    return next(i for i, rooms in enumerate(FLOORS) if room in rooms)


def test_imports_go_down() -> None:
    upwards = [
        f"{name} imports {other}"
        for name, imports in graph().items()
        for other in imports
        if "scratchgan" not in (name, other) and floor_of(other) > floor_of(name)
    ]
    assert not upwards


def test_the_fast_path_is_fenced() -> None:
    """The reference, and all that computes with it, does without backend/cpu and backend/cuda."""
    allowed = {  # what chooses, sets or shows the fast path
        *("scratchgan.backend", "scratchgan.backend.devices", "scratchgan.cuda"),
        *("scratchgan.threads", "scratchgan.cli.machine", "scratchgan.progress"),
        *("scratchgan.jit.lower.cpu", "scratchgan.jit.lower.cuda"),
    }
    through = [
        f"{name} imports {other}"
        for name, imports in graph().items()
        for other in imports
        if other.startswith(("scratchgan.backend.cpu", "scratchgan.backend.cuda"))
        and not name.startswith(("scratchgan.backend.cpu", "scratchgan.backend.cuda"))
        and name not in allowed
    ]
    assert not through


def test_adding_a_room_needs_a_floor() -> None:
    rooms = {name.split(".")[1] for name in modules() if "." in name}
    assert rooms == {room for floor in FLOORS for room in floor}


@pytest.mark.parametrize(
    ("folder", "page"),
    [
        ("", "docs/design.md"),
        ("autograd", "scratchgan/autograd/__init__.py"),
        ("backend/cpu", "docs/cpu.md"),
        ("functions", "scratchgan/functions/__init__.py"),
        ("jit", "scratchgan/jit/__init__.py"),
        ("ops", "docs/design.md"),
    ],
)
def test_what_lists_a_folder_lists_all_of_it(folder: str, page: str) -> None:
    text = (PACKAGE.parent / page).read_text(encoding="utf-8")
    if page.endswith(".py"):
        text = text.split('"""')[1]
    for path in sorted((PACKAGE / folder).iterdir()):
        if path.suffix in ("", ".py") and not path.name.startswith("__"):
            assert re.search(rf"\b{path.stem}\b", text), f"{page} lacks {path.name}"


WITHOUT_THE_FAST_PATH = """
import sys
sys.modules["scratchgan.backend.cpu"] = sys.modules["scratchgan.backend.cuda.kernels"] = None
import numpy as np
import scratchgan as sg
from scratchgan import nn, optim

sg.set_backend("numpy")
sg.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
adam = optim.Adam(model.parameters(), 0.01)

@sg.jit
def step(x):
    adam.zero_grad()
    loss = (model(x) - x.sum(1, keepdims=True)).square().mean()
    loss.backward()
    adam.step()
    return loss

x = sg.randn(32, 4)
losses = [step(x).item() for _ in range(100)]
assert losses[-1] < 0.2 * losses[0], losses
assert not any(name.startswith(("numba", "llvmlite")) for name in sys.modules)
"""


def test_the_fast_path_could_be_deleted() -> None:
    """A training, under jit too, where backend/cpu cannot be imported."""
    subprocess.run([sys.executable, "-c", WITHOUT_THE_FAST_PATH], check=True)
