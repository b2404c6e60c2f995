"""JavaScript from the table of primitives: the third language that scalar definitions print to.

:mod:`scratchgan.backend.scalar` prints them for Numba and CUDA. Here a scalar definition becomes a
function of numbers, and a VJP, a lambda in Python, becomes one in JavaScript that calls the same
primitives. :class:`Printer` starts from what a page calls and follows the names in it, so that only
the rows that are needed are printed. What has no scalar definition is written by hand in
``tape.js``: :data:`KERNELS` and :data:`BY_HAND` name it.
"""

import ast
import inspect
import json
import math
import textwrap
from collections.abc import Callable, Mapping
from typing import Any

from scratchgan import ops
from scratchgan.autograd.primitive import REGISTRY, Primitive
from scratchgan.autograd.source import source_of
from scratchgan.autograd.tape import parameters_of
from scratchgan.autograd.tensor import Tensor
from scratchgan.backend.scalar import DEFINITIONS, FUNCTIONS, Definition, all_called_by
from scratchgan.functions import square
from scratchgan.nn import functional

#: The primitives whose forward is a kernel of ``tape.js``; their VJPs are printed.
KERNELS = ("matmul", "sum", "mean", "permute", "expand")

#: The functions of ``tape.js`` that stand for Python's of the same name, which look at shapes, and
#: the primitives that they call.
BY_HAND: dict[str, tuple[str, ...]] = {
    **{"_transposed": ("permute",), "_inverse": (), "_sum_vjp": ("expand",)},
    "_mean_vjp": ("expand", "mul"),
}

#: Code that looks at types or has many options in Python: here for floats, with none given.
_PLAIN: dict[Callable[..., Any], Callable[..., Any]] = {
    square: lambda input: ops.square(input),
    functional.binary_cross_entropy_with_logits: (
        lambda input, target: ops.binary_cross_entropy_with_logits(input, target).mean()
    ),
}

_OPERATORS: dict[type[ast.AST], str] = {
    **{ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"},
    **{ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="},
    **{ast.Eq: "===", ast.NotEq: "!==", ast.And: "&&", ast.Or: "||"},
}
#: The methods of Tensor that Python calls for operators.
_METHODS: dict[type[ast.AST], str] = {
    **{ast.Add: "__add__", ast.Sub: "__sub__", ast.Mult: "__mul__", ast.Div: "__truediv__"},
    ast.USub: "__neg__",
}
# Names that Python allows and JavaScript does not.
_WORDS = """
    arguments await case catch const debugger default delete do enum eval export extends false
    function implements instanceof interface let new null package private protected public static
    super switch this throw true typeof var void
"""
_TAKEN = frozenset(_WORDS.split())


class JavaScriptError(TypeError):
    """A function cannot be printed: it holds what is not translated to JavaScript."""


# --- Numbers ----------------------------------------------------------------------------


def of_definition(definition: Definition) -> str:
    """A scalar definition as a method ``name(x, ...)`` of the object ``scalar``.

    Raises:
        JavaScriptError: It uses an operator that is not translated.
    """
    parameters = (*definition.inputs, *definition.scalars)
    lines = _statements(definition.body, definition.name, set(parameters))
    return f"{definition.kernel}({', '.join(map(_name, parameters))}) {_block(lines)}"


def of_update(kernel: Callable[..., None]) -> str:
    """An optimizer's kernel of the NumPy backend as a function of one element.

    The arithmetic of arrays of one shape is that of each of their elements. What it changes in
    ``out`` the function takes as a list, and gives back as one.

    Args:
        kernel: Its body begins with the names of what is in ``out``.

    Raises:
        JavaScriptError: It holds what is not translated.
    """
    tree = _function_of(kernel)
    first, *body = _body(tree)
    if not (isinstance(first, ast.Assign) and isinstance(first.targets[0], ast.Tuple)):
        raise JavaScriptError(f"{tree.name}: its first line must say what is in out")
    changed = ", ".join(_name(ast.unparse(x)) for x in first.targets[0].elts)
    inputs = [x.arg for x in tree.args.args]
    scalars = [x.arg for x in tree.args.kwonlyargs if x.arg != "out"]
    known = {*inputs, *scalars, *changed.split(", ")}
    lines = [*_statements(body, tree.name, known), f"return [{changed}];"]
    head = f"{', '.join(map(_name, inputs))}, [{changed}], {{ {', '.join(map(_name, scalars))} }}"
    return f"({head}) => {_block(lines)}"


def _statements(body: Any, owner: str, known: set[str]) -> list[str]:
    lines = []
    for statement in body:
        match statement:
            case ast.Return(value=ast.expr() as value):
                lines.append(f"return {_number(value, owner)};")
            case ast.AugAssign(target=ast.Name(id=name), op=op, value=value) if (
                type(op) in _OPERATORS
            ):
                lines.append(f"{_name(name)} {_OPERATORS[type(op)]}= {_number(value, owner)};")
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                start = "" if name in known else "let "
                lines.append(f"{start}{_name(name)} = {_number(value, owner)};")
                known.add(name)
            case _:
                raise _refusal(owner, statement)
    return lines


def _number(node: ast.expr, owner: str) -> str:
    """An expression of numbers, in parentheses where it is not a single term."""

    def js(node: ast.expr) -> str:
        return _number(node, owner)

    match node:
        case ast.Name(id=name):
            return _name(name)
        case ast.Constant(value=bool() | int() | float() as value):
            return literal(value)
        case ast.Call(func=ast.Name(id=name), args=arguments) if name in DEFINITIONS:
            return f"scalar.{DEFINITIONS[name].kernel}({', '.join(map(js, arguments))})"
        case ast.Call(func=ast.Name(id="float"), args=[argument]):
            return js(argument)
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=arguments) if (
            name in FUNCTIONS
        ):
            return f"Math.{name}({', '.join(map(js, arguments))})"
        case ast.IfExp(test=test, body=body, orelse=orelse):
            return f"({_truth(test, owner)} ? {js(body)} : {js(orelse)})"
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return f"Math.pow({js(left)}, {js(right)})"
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return f"({js(left)} {_OPERATORS[type(op)]} {js(right)})"
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return f"(-{js(operand)})"
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return f"(!{_truth(operand, owner)})"
        case ast.BoolOp(op=op, values=values):
            return f"({f' {_OPERATORS[type(op)]} '.join(_truth(x, owner) for x in values)})"
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _OPERATORS:
            return f"({js(left)} {_OPERATORS[type(op)]} {js(right)})"
    raise _refusal(owner, node)


def _truth(node: ast.expr, owner: str) -> str:
    """An expression as a condition: nan is true in Python, and false in JavaScript."""
    made = _number(node, owner)
    return made if isinstance(node, ast.Compare | ast.BoolOp) else f"({made} != 0)"


def literal(value: Any) -> str:
    """A value of Python's as JavaScript: a number, a word, or a list of them."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if value != value else f"{'-' if value < 0 else ''}Infinity"
    return json.dumps(value)


def _name(name: str) -> str:
    return name + "_" if name in _TAKEN else name


def _block(lines: list[str]) -> str:
    return "{\n" + textwrap.indent("\n".join(lines), "  ") + "\n}"


def _refusal(owner: str, node: ast.AST) -> JavaScriptError:
    return JavaScriptError(
        f"{owner}: {ast.unparse(node)!r} is not translated to JavaScript; write it with + - * /, "
        "primitives and scalar definitions, or by hand in tape.js and name it in BY_HAND"
    )


# --- Tensors ----------------------------------------------------------------------------


class Printer:
    """Prints functions of tensors, and keeps a list of what they call.

    Attributes:
        primitives: By name; their rows are printed with :meth:`table`.
        composed: The functions that are neither primitives nor by hand, printed, by name.
    """

    def __init__(self) -> None:
        self.primitives: dict[str, Primitive] = {}
        self.composed: dict[str, str] = {}

    def need(self, name: str) -> str:
        """How the primitive ``name`` is called; it is printed with the table."""
        if name not in REGISTRY:
            raise JavaScriptError(f"there is no primitive {name!r}")
        self.primitives.setdefault(name, REGISTRY[name])
        return f"op.{name}"

    def of_function(self, function: Callable[..., Any]) -> str:
        """A function of tensors that is one expression, a lambda or not, as a lambda.

        Raises:
            JavaScriptError: It holds what is not translated.
        """
        made: ast.Lambda | ast.FunctionDef
        if function.__name__ == "<lambda>":
            made = _lambda_of(function)
            value = made.body
        else:
            made = _function_of(function)
            match _body(made):
                case [ast.Return(value=ast.expr() as value)]:
                    pass
                case _:
                    raise _refusal(made.name, made)
        names = [x.arg for x in made.args.args]
        defaults = dict(zip(reversed(names), reversed(function.__defaults__ or ()), strict=False))
        parameters = [
            f"{_name(x)} = {literal(defaults[x])}" if x in defaults else _name(x) for x in names
        ]
        return f"({', '.join(parameters)}) => {self._expression(value, function, set(names))}"

    def _expression(self, node: ast.expr, owner: Callable[..., Any], known: set[str]) -> str:
        def js(node: ast.expr) -> str:
            return self._expression(node, owner, known)

        match node:
            case ast.Name(id=name) if name in known:
                return _name(name)
            case ast.Constant(value=value):
                return literal(value)
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
                return literal(-number)
            case ast.UnaryOp(op=op, operand=operand) if type(op) in _METHODS:
                return self._call(getattr(Tensor, _METHODS[type(op)]), [js(operand)], [])
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _METHODS:
                return self._call(getattr(Tensor, _METHODS[type(op)]), [js(left), js(right)], [])
            case ast.Call(func=func, args=arguments, keywords=keywords):
                given = [js(x) for x in arguments]
                named = [f"{_name(x.arg)}: {js(x.value)}" for x in keywords if x.arg]
                match func:
                    case ast.Name(id=name) if name in owner.__globals__:
                        return self._call(owner.__globals__[name], given, named)
                    case ast.Attribute(value=ast.Name(id="ops"), attr=name):
                        return self._call(getattr(ops, name), given, named)
                    case ast.Attribute(value=tensor, attr=name) if hasattr(Tensor, name):
                        return self._call(getattr(Tensor, name), [js(tensor), *given], named)
        raise _refusal(getattr(owner, "__qualname__", repr(owner)), node)

    def _call(self, called: Any, arguments: list[str], keywords: list[str]) -> str:
        """A call of a primitive, of what is written by hand, or of another function."""
        if hasattr(called, "primitive"):
            name = self.need(called.primitive.name)
            arguments = [*arguments, *[f"{{ {', '.join(keywords)} }}"] * bool(keywords)]
        elif called.__name__ in BY_HAND:
            name = self.by_hand(called.__name__)
        else:
            name = f"composed.{called.__name__}"
            self.composed[called.__name__] = self.of_function(_PLAIN.get(called, called))
        return f"{name}({', '.join(arguments)})"

    def by_hand(self, name: str) -> str:
        """How the function ``name`` of ``tape.js`` is called; what it calls is printed."""
        for primitive in BY_HAND[name]:
            self.need(primitive)
        return f"byHand.{name}"

    def table(self) -> str:
        """The scalar definitions, the rows of all that was needed so far, and what calls them.

        Raises:
            JavaScriptError: A row cannot be printed; the message says why.
        """
        rows: dict[str, str] = {}
        while missing := [name for name in self.primitives if name not in rows]:
            for name in missing:
                rows[name] = self._row(self.primitives[name])
        definitions: dict[str, None] = {}
        for name, row in self.primitives.items():
            if row.is_elementwise:
                called = all_called_by(DEFINITIONS[name])
                definitions.update(dict.fromkeys((*called, name)))
        methods = ",\n".join(of_definition(DEFINITIONS[name]) for name in definitions)
        scalars = f"const scalar = {{\n{textwrap.indent(methods, '  ')}\n}};"
        composed = [f"{name}: {text}," for name, text in self.composed.items()]
        in_order = [rows[name] for name in sorted(rows)]
        return "\n\n".join([scalars, *in_order, f"const composed = {_block(composed)};"])

    def _row(self, row: Primitive) -> str:
        if not row.is_elementwise and row.name not in KERNELS:
            raise JavaScriptError(
                f"{row.name}: has no scalar definition; write its forward in tape.js, and name it "
                "in KERNELS"
            )
        vjps = []
        for name, vjp in row.vjps.items():
            is_by_hand = vjp.__name__ in BY_HAND
            of = self.by_hand(vjp.__name__) if is_by_hand else self.of_function(vjp)
            takes = literal(list(parameters_of(vjp)))
            vjps.append(f"{name}: {{ takes: {takes}, of: {of} }},")
        defaults = ", ".join(f"{_name(x)}: {literal(y)}" for x, y in row.defaults.items())
        lines = [
            f"inputs: {literal(list(row.inputs))},",
            f"keywords: {literal(list(row.keywords))},",
            f"defaults: {{ {defaults} }}," if defaults else "defaults: {},",
            f"vjps: {_block(vjps)}," if vjps else "vjps: {},",
        ]
        kernel = f"scalar.{row.name}" if row.is_elementwise else f"kernels.{row.name}"
        adds = "elementwise" if row.is_elementwise else "primitive"
        return f'{adds}("{row.name}", {kernel}, {_block(lines)});'


def of_objects(name: str, objects: Mapping[str, Mapping[str, str]]) -> str:
    """``const name = {...}``: objects by name, of expressions by name."""
    rows = []
    for key, parts in objects.items():
        lines = [f"{part}: {text}," for part, text in parts.items()]
        rows.append(f"{literal(key)}: {_block(lines)},")
    return f"const {name} = {_block(rows)};"


def _lambda_of(function: Callable[..., Any]) -> ast.Lambda:
    made = ast.parse(source_of(function).strip() or "None", mode="eval").body
    if not isinstance(made, ast.Lambda):
        raise JavaScriptError(f"{function!r}: its source cannot be read")
    return made


def _function_of(function: Callable[..., Any]) -> ast.FunctionDef:
    made = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    assert isinstance(made, ast.FunctionDef)
    return made


def _body(function: ast.FunctionDef) -> list[ast.stmt]:
    """The statements after the docstring."""
    return [
        x
        for x in function.body
        if not (isinstance(x, ast.Expr) and isinstance(x.value, ast.Constant))
    ]
