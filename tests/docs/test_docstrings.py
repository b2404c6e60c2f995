"""How docstrings are written: plain sentences, in which a reader solves no riddle."""

import ast
import re
from pathlib import Path

import pytest

HOME = Path(__file__).parents[2]
FILES = sorted(
    path for room in ("scratchgan", "benchmarks") for path in (HOME / room).rglob("*.py")
)

#: Beginnings that leave open what a sentence is about.
RIDDLES = re.compile(r"(What|Whatever|Those|As many|Who)\b")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(HOME)))
def test_the_first_line_has_a_subject(path):
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    found = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kinds)]
    first = [(ast.get_docstring(node) or "").partition("\n")[0] for node in found]
    assert not [line for line in first if RIDDLES.match(line)]
