"""The text of a node: the source of its VJPs as written, its edges, and what is saved."""

import ast
import functools
import linecache
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scratchgan.autograd.tensor import Tensor


def description_of(node: Any) -> str:
    """A node's primitive, VJPs with file and line, edges, and what it saved."""
    lines = [f"<{node.name}, node {node.number}: {node.shape} {node.dtype}"]
    for name, position, vjp, _ in node.rule.steps:
        last = None if position == node.rule.variadic else position + 1
        edges = ", ".join(map(_name_of, node.edges[position:last]))
        lines.append(f"  gradient of {name}, to {edges}:")
        lines.append(f"    {source_of(vjp)}  # {place_of(vjp)}")
    if node.is_freed:
        lines.append("  freed by a backward pass")
    elif node.saved:
        lines.append("  saved: " + ", ".join(_shown(*item) for item in node.saved.items()))
    return "\n".join(lines) + ">"


def _name_of(edge: Any) -> str:
    if edge is None:
        return "nowhere"
    is_leaf = isinstance(edge, Tensor)
    return f"a leaf of shape {edge.shape}" if is_leaf else f"{edge.name}, node {edge.number}"


def _shown(name: str, x: Any) -> str:
    return f"{name} {x.shape}" if isinstance(x, Tensor) else f"{name} = {x!r}"


def source_of(function: Callable[..., Any]) -> str:
    """The text of a lambda, or the first line of a function; ``""`` where there is no file."""
    code = getattr(function, "__code__", None)
    if code is None:  # an object that is called
        return repr(function)
    text = "".join(linecache.getlines(code.co_filename))
    for found in _functions(text):
        if found.lineno == code.co_firstlineno or (
            isinstance(found, ast.FunctionDef)
            and found.name == code.co_name
            and code.co_firstlineno in (found.lineno, *[d.lineno for d in found.decorator_list])
        ):
            if isinstance(found, ast.FunctionDef):
                return linecache.getline(code.co_filename, found.lineno).strip()
            names = [x.arg for x in found.args.args]
            segment = ast.get_source_segment(text, found) or ""
            if tuple(names) == code.co_varnames[: len(names)] and _is_body(found, code):
                return " ".join(segment.split())
    return ""


def place_of(function: Callable[..., Any]) -> str:
    """File and line of a function; the file from the package's folder on, if it is in there."""
    code = getattr(function, "__code__", None)
    if code is None:
        return "no file"
    path = Path(code.co_filename)
    package = Path(__file__).parents[2]
    name = path.relative_to(package) if path.is_relative_to(package) else path
    return f"{name}:{code.co_firstlineno}"


def _is_body(found: ast.Lambda, code: Any) -> bool:
    """Whether the instructions of ``code`` come from the body of ``found``."""
    body = found.body
    last = (body.end_lineno or body.lineno, body.end_col_offset or 0)
    places = [
        (line, column)
        for line, _, column, _ in code.co_positions()
        if line is not None and column is not None and (line, column) != (code.co_firstlineno, 0)
    ]
    return all((body.lineno, body.col_offset) <= place <= last for place in places)


@functools.lru_cache(maxsize=8)
def _functions(text: str) -> list[ast.Lambda | ast.FunctionDef]:
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return []
    return [x for x in ast.walk(tree) if isinstance(x, ast.Lambda | ast.FunctionDef)]
