"""The public names: what the table says, what a star brings, and what type checkers read, agree."""

import ast
from pathlib import Path
from types import ModuleType

import scratchgan as sg

TABLE = ast.parse(Path(sg.__file__).read_text())


def names_for_type_checkers() -> set[str]:
    """Imports of the form ``a as a``, and assignments."""
    found = set()
    for node in TABLE.body:
        if isinstance(node, ast.ImportFrom):
            found |= {alias.name for alias in node.names if alias.asname == alias.name}
        elif isinstance(node, ast.Assign):
            found |= {
                name.id
                for target in node.targets
                for name in ast.walk(target)
                if isinstance(name, ast.Name)
            }
    return found


def test_a_star_brings_what_type_checkers_read() -> None:
    brought: dict[str, object] = {}
    exec("from scratchgan import *", brought)
    del brought["__builtins__"]
    assert brought.keys() == names_for_type_checkers()
    assert brought.keys() <= set(dir(sg))


def test_no_name_stands_there_twice() -> None:
    imported = [
        alias.asname or alias.name
        for node in TABLE.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
    assert len(imported) == len(set(imported))


def test_of_modules_a_star_brings_only_those_of_the_table() -> None:
    """``random`` say is Python's for whoever imported that before."""
    modules = {name for name in sg.__all__ if isinstance(getattr(sg, name), ModuleType)}
    assert modules == {"autograd", "cuda", "nn", "optim"}
    assert isinstance(sg.random, ModuleType)
