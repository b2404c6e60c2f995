"""Formulas as MathML, from the Python in which the project writes them.

A browser sets MathML itself (https://www.w3.org/TR/mathml-core/). What stands on the page is made
from the expression that computes, so that the two cannot disagree.
"""

import ast
import inspect
import textwrap
from collections.abc import Callable
from typing import Any
from xml.sax.saxutils import escape

from scratchgan.autograd.primitive import REGISTRY, Primitive
from scratchgan.autograd.source import source_of

#: The forwards that are kernels and no expressions, as expressions.
_FORWARDS = {
    "matmul": "x @ y",
    "linear": "activation(x @ transposed(weight) + bias)",
    "sum": "sum(x)",
    "mean": "sum(x) / n",
    "detach": "x",
}
_OPERATORS: dict[type[ast.operator], tuple[int, str]] = {
    ast.Add: (1, "+"),
    ast.Sub: (1, "−"),
    ast.Mult: (2, "·"),
    ast.MatMult: (2, " "),
    ast.FloorDiv: (2, "//"),
    ast.Mod: (2, "mod"),
}
_COMPARISONS: dict[type[ast.cmpop], str] = {
    **{ast.Lt: "<", ast.LtE: "≤", ast.Gt: ">", ast.GtE: "≥"},
    **{ast.Eq: "=", ast.NotEq: "≠"},
}
#: Binary primitives that the rules call by name, as operators.
_AS_OPERATORS: dict[str, ast.operator] = {
    **{"mul": ast.Mult(), "add": ast.Add(), "sub": ast.Sub(), "div": ast.Div()},
    **{"matmul": ast.MatMult(), "pow": ast.Pow()},
}
_ATOM = 9


def of_forward(primitive: Primitive) -> str:
    """The forward of a primitive as MathML, its output on the left."""
    text = _FORWARDS.get(primitive.name)
    if text is None:
        text = _returned(primitive.declared) if primitive.is_elementwise else None
    names = [*primitive.inputs, *[primitive.variadic or ""] * (primitive.variadic is not None)]
    made = _set(text) if text else None
    if made is None:
        made = _set(f"{primitive.name}({', '.join(names)})") or ""
    return f"<math display='block'><mi>out</mi><mo>=</mo>{made}</math>"


def of_vjp(vjp: Callable[..., Any]) -> str:
    """A VJP as MathML; ``""`` if it is no single expression."""
    text = source_of(vjp)
    is_lambda = text.startswith("lambda")
    made = _set(text.partition(":")[2] if is_lambda else _returned(vjp) or "")
    return f"<math display='block'>{made}</math>" if made else ""


def _returned(function: Callable[..., Any]) -> str | None:
    """The expression that a function returns, if that is all that it does."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, SyntaxError, TypeError):
        return None
    for found in ast.walk(tree):
        if isinstance(found, ast.FunctionDef):
            body = [x for x in found.body if not isinstance(x, ast.Expr)]
            if len(body) == 1 and isinstance(body[0], ast.Return) and body[0].value:
                return ast.unparse(body[0].value)
    return None


def _set(text: str) -> str | None:
    try:
        return _of(ast.parse(text.strip(), mode="eval").body)[0]
    except (SyntaxError, NotImplementedError):
        return None


def _of(x: ast.expr) -> tuple[str, int]:
    """MathML of an expression, and how tightly it holds together."""
    match x:
        case ast.Name(id=name):
            return _name(name), _ATOM
        case ast.Constant(value=value):
            text = f"{value:g}" if isinstance(value, float) else ascii(value)
            return f"<mn>{escape(text)}</mn>", _ATOM
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return f"<mrow><mo>−</mo>{_within(operand, 2)}</mrow>", 1
        case ast.BinOp(left=left, op=op, right=right):
            return _binary(left, op, right)
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARISONS:
            sign = f"<mo>{escape(_COMPARISONS[type(op)])}</mo>"
            return f"<mrow>{_within(left, 1)}{sign}{_within(right, 1)}</mrow>", 0
        case ast.IfExp(test=test, body=body, orelse=otherwise):
            return _cases(test, body, otherwise), _ATOM
        case ast.Subscript(value=value, slice=ast.Constant(value=index)):
            return f"<msub>{_of(value)[0]}<mn>{index!r}</mn></msub>", _ATOM
        case ast.Attribute(value=value, attr=name):
            return f"<msub>{_within(value, _ATOM)}{_name(name)}</msub>", _ATOM
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=keywords):
            return _call(name, arguments, keywords)
    raise NotImplementedError(ast.dump(x))


def _within(x: ast.expr, least: int) -> str:
    """``x`` in parentheses if it holds together less than it must."""
    made, holds = _of(x)
    return made if holds >= least else f"<mrow><mo>(</mo>{made}<mo>)</mo></mrow>"


def _name(name: str) -> str:
    name = name.strip("_").replace("_", " ")
    kind = "" if len(name) == 1 else " mathvariant='normal'"
    return f"<mi{kind}>{escape(name)}</mi>"


def _binary(left: ast.expr, op: ast.operator, right: ast.expr) -> tuple[str, int]:
    if isinstance(op, ast.Div):
        return f"<mfrac>{_row(left)}{_row(right)}</mfrac>", _ATOM
    if isinstance(op, ast.Pow):
        return f"<msup>{_within(left, _ATOM)}{_row(right)}</msup>", 3
    if type(op) not in _OPERATORS:
        raise NotImplementedError
    binds, sign = _OPERATORS[type(op)]
    middle = f"<mo>{sign}</mo>" if sign.strip() else "<mspace width='0.25em'/>"
    after = binds + 1 if isinstance(op, ast.Sub) else binds
    return f"<mrow>{_within(left, binds)}{middle}{_within(right, after)}</mrow>", binds


def _row(x: ast.expr) -> str:
    return f"<mrow>{_of(x)[0]}</mrow>"


def _cases(test: ast.expr, body: ast.expr, otherwise: ast.expr) -> str:
    lines = [(_of(body)[0], f"<mtext>if </mtext>{_of(test)[0]}")]
    while isinstance(otherwise, ast.IfExp):
        lines.append((_of(otherwise.body)[0], f"<mtext>if </mtext>{_of(otherwise.test)[0]}"))
        otherwise = otherwise.orelse
    lines.append((_of(otherwise)[0], "<mtext>otherwise</mtext>"))
    rows = "".join(f"<mtr><mtd>{a}</mtd><mtd>{b}</mtd></mtr>" for a, b in lines)
    return f"<mrow><mo>{{</mo><mtable columnalign='left left'>{rows}</mtable></mrow>"


class _Substituted(ast.NodeTransformer):
    """An expression with others in the place of its names."""

    def __init__(self, by_name: dict[str, ast.expr]) -> None:
        self.by_name = by_name

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.by_name.get(node.id, node)


def _call(name: str, arguments: list[ast.expr], keywords: list[ast.keyword]) -> tuple[str, int]:
    name = name.strip("_")
    match name, arguments:
        case "sqrt", [x]:
            return f"<msqrt>{_of(x)[0]}</msqrt>", _ATOM
        case "exp", [x]:
            return f"<msup><mi>e</mi>{_row(x)}</msup>", 3
        case "abs", [x]:
            return f"<mrow><mo>|</mo>{_of(x)[0]}<mo>|</mo></mrow>", _ATOM
        case "square", [x]:
            return f"<msup>{_within(x, _ATOM)}<mn>2</mn></msup>", 3
        case "transposed", [x]:
            return f"<msup>{_within(x, _ATOM)}<mo>⊤</mo></msup>", 3
        case "neg", [x]:
            return f"<mrow><mo>−</mo>{_within(x, 2)}</mrow>", 1
        case _, [x, y] if name in _AS_OPERATORS and not keywords:
            return _binary(x, _AS_OPERATORS[name], y)
    known = REGISTRY.get(name) if name.endswith("_backward") else None
    text = _returned(known.declared) if known is not None and known.is_elementwise else None
    if known is not None and text is not None:
        # A rule that is another primitive: what that computes says more than its name.
        inputs = dict(zip(known.inputs, arguments, strict=False))
        return _of(_Substituted(inputs).visit(ast.parse(text, mode="eval").body))
    parts = [_of(x)[0] for x in arguments]
    for keyword in keywords:
        if keyword.arg is None:
            raise NotImplementedError
        if not (isinstance(keyword.value, ast.Name) and keyword.value.id == keyword.arg):
            parts.append(f"{_name(keyword.arg)}<mo>=</mo>{_of(keyword.value)[0]}")
    inner = "<mo>,</mo>".join(parts)
    return f"<mrow>{_name(name)}<mo>(</mo>{inner}<mo>)</mo></mrow>", _ATOM
