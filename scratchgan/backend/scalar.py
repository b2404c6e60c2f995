"""Scalar definitions: the arithmetic of an elementwise kernel, written once for every backend.

A definition is an ordinary Python function of numbers: assignments of expressions, then a
``return``. It is never called. Each backend translates its syntax tree into what it runs:
array expressions for NumPy (:func:`as_numpy`), a typed loop body for Numba (:func:`as_numba`),
a device function for CUDA (:func:`as_cuda`). The language is small on purpose: arithmetic,
comparisons, ``and``, ``or``, ``not``, ``a if condition else b``, :data:`FUNCTIONS`, and calls of
other definitions.
"""

import ast
import textwrap
from collections.abc import Callable, Iterable

import numpy as np

from scratchgan.locks import computed_once

#: The functions that every backend has, under the names of the ``math`` module.
FUNCTIONS = ("exp", "expm1", "log", "log1p", "sqrt", "sin", "cos", "tanh", "pow", "floor")

_BIT_OPERATORS = (ast.BitAnd, ast.BitOr, ast.BitXor, ast.LShift, ast.RShift, ast.Invert)
_REAL_FUNCTIONS = tuple(name for name in FUNCTIONS if name not in ("pow", "floor"))

#: Every definition by name; :func:`scratchgan.backend.define` adds to it, the backends read it.
DEFINITIONS: dict[str, "Definition"] = {}


class DefinitionError(TypeError):
    """A function cannot serve as a scalar definition: it leaves the small language."""


class Definition:
    """A scalar function, made of a Python function whose source is parsed when it is first needed.

    Attributes:
        name: The function's name.
        kernel: The name of its kernels: the same, until another definition takes that.
        function: The function.
        inputs: Its positional parameters, elements of arrays.
        scalars: Its keyword-only parameters, numbers.
    """

    def __init__(self, function: Callable[..., object]) -> None:
        code = function.__code__
        both = code.co_argcount + code.co_kwonlyargcount
        self.name = self.kernel = function.__name__
        self.inputs = code.co_varnames[: code.co_argcount]
        self.scalars = code.co_varnames[code.co_argcount : both]
        self.function = function

    @computed_once
    def body(self) -> tuple[ast.stmt, ...]:
        """Its statements.

        Raises:
            DefinitionError: The source cannot be read, or uses what the language does not have.
        """
        return _parsed(self.function)

    @computed_once
    def is_real(self) -> bool:
        """Whether integers give a real number: it divides, or computes with functions or floats."""
        return any(map(_gives_real, self.body)) or any(DEFINITIONS[x].is_real for x in self.calls)

    @computed_once
    def is_of_bits(self) -> bool:
        """Whether it is for integers and booleans alone: there are operators of bits in it."""
        nodes = [node for statement in self.body for node in ast.walk(statement)]
        return any(isinstance(node, _BIT_OPERATORS) for node in nodes)

    @computed_once
    def calls(self) -> tuple[str, ...]:
        """Names of the other definitions that this one calls, in order of first use."""
        names = [
            node.func.id
            for statement in self.body
            for node in ast.walk(statement)
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in DEFINITIONS
        ]
        return tuple(dict.fromkeys(names))


def _gives_real(node: ast.AST) -> bool:
    """Whether a number that an expression computes is real even of integers."""
    if isinstance(node, ast.Compare):
        return False
    if isinstance(node, ast.IfExp):  # its condition only chooses
        return _gives_real(node.body) or _gives_real(node.orelse)
    if isinstance(node, ast.Constant):
        return isinstance(node.value, float)
    if isinstance(node, ast.Call):
        return _called_name(node) in _REAL_FUNCTIONS or any(map(_gives_real, node.args))
    is_division = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)
    return is_division or any(map(_gives_real, ast.iter_child_nodes(node)))


def _parsed(function: Callable[..., object]) -> tuple[ast.stmt, ...]:
    import inspect  # takes a tenth of the time that importing this package may

    name = function.__name__
    try:
        source = textwrap.dedent(inspect.getsource(function))
    except OSError as error:
        raise DefinitionError(
            f"{name}: the source of a scalar definition must stand in a file"
        ) from error
    tree = ast.parse(source).body[0]
    if not isinstance(tree, ast.FunctionDef):
        raise DefinitionError(f"{source.strip()!r} is not a function definition (def)")
    body = tuple(
        statement
        for statement in tree.body
        if not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
    )
    known = {argument.arg for argument in (*tree.args.args, *tree.args.kwonlyargs)}
    for statement in body:
        _check(name, statement, known)
        if isinstance(statement, ast.Assign):
            known |= {ast.unparse(target) for target in statement.targets}
    if not body or not isinstance(body[-1], ast.Return):
        raise DefinitionError(f"{name}: a scalar definition ends with a return")
    return body


_LANGUAGE = (
    (ast.Return, ast.Assign, ast.Name, ast.Constant, ast.expr_context, ast.Call, ast.Attribute)
    + (ast.BinOp, ast.UnaryOp, ast.Compare, ast.BoolOp, ast.IfExp)
    + (ast.operator, ast.unaryop, ast.cmpop, ast.boolop)
)


def _check(name: str, statement: ast.stmt, known: set[str]) -> None:
    functions = {x.func for x in ast.walk(statement) if isinstance(x, ast.Call)}
    for node in ast.walk(statement):
        is_of_math = isinstance(node, ast.Attribute) and ast.unparse(node.value) == "math"
        if isinstance(node, ast.Attribute) and not (is_of_math and node in functions):
            raise DefinitionError(
                f"{name}: its scalar definition uses {ast.unparse(node)}; it can only use "
                f"{', '.join(f'math.{function}' for function in FUNCTIONS)}, other definitions "
                "and numbers"
            )
        if isinstance(node, ast.Constant) and not isinstance(node.value, bool | int | float):
            raise DefinitionError(
                f"{name}: its scalar definition holds {node.value!r}; it computes with numbers"
            )
        if (
            isinstance(node, ast.Name)
            and isinstance(node.ctx, ast.Load)
            and node not in functions
            and node.id not in (*known, "math")
        ):
            raise DefinitionError(
                f"{name}: its scalar definition reads {node.id!r}, which is neither a parameter "
                "nor assigned in it; write the number, or make it a keyword-only parameter"
            )
        if not isinstance(node, _LANGUAGE):
            raise DefinitionError(
                f"{name}: line {getattr(node, 'lineno', '?')} of its scalar definition uses "
                f"{type(node).__name__}; only assignments, arithmetic, comparisons, "
                f"'a if c else b' and the functions {', '.join(FUNCTIONS)} are translated"
            )
        if isinstance(node, ast.Call):
            called = _called_name(node)
            of_math = isinstance(node.func, ast.Attribute)
            if called not in (FUNCTIONS if of_math else (*FUNCTIONS, *DEFINITIONS)):
                raise DefinitionError(
                    f"{name}: its scalar definition calls {called!r}, which is neither one of "
                    f"{', '.join(FUNCTIONS)} nor another definition"
                )


def _called_name(node: ast.Call) -> str:
    """``exp`` for both ``exp(x)`` and ``math.exp(x)``."""
    return node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)


class _Translator(ast.NodeTransformer):
    """Writes functions as ``math.f`` and other definitions as ``f``; backends change the rest."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id not in DEFINITIONS:
            node.func = ast.Attribute(ast.Name("math", ast.Load()), node.func.id, ast.Load())
        return node


class _ToNumpy(_Translator):
    """Control flow becomes masks: both sides are computed, ``where`` picks."""

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        self.generic_visit(node)
        return _call("where", node.test, node.body, node.orelse)

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        self.generic_visit(node)
        name = "logical_and" if isinstance(node.op, ast.And) else "logical_or"
        result = node.values[0]
        for value in node.values[1:]:
            result = _call(name, result, value)
        return result

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.op, ast.Not):
            return _call("logical_not", node.operand)
        return node


class _ToNumba(_Translator):
    """Numbers become ``real(...)``: a bare literal would promote float32 to float64."""

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        return _call("real", node)


def _call(name: str, *arguments: ast.expr) -> ast.Call:
    return ast.Call(ast.Name(name, ast.Load()), list(arguments), [])


def all_called_by(definition: Definition) -> tuple[str, ...]:
    """Names of all definitions that ``definition`` rests on, the innermost first."""
    names: dict[str, None] = {}
    for name in definition.calls:
        names.update(dict.fromkeys(all_called_by(DEFINITIONS[name])))
        names[name] = None
    return tuple(names)


def _translate(definition: Definition, translator: _Translator) -> list[str]:
    """The body's statements as source lines."""
    lines = []
    for statement in definition.body:
        copy = ast.parse(ast.unparse(statement)).body[0]
        lines.append(ast.unparse(ast.fix_missing_locations(translator.visit(copy))))
    return lines


def as_numpy(definition: Definition) -> Callable[..., np.ndarray]:
    """The definition as a function of arrays, computed with NumPy's functions."""
    scope: dict[str, object] = {"math": np}
    for name in ("where", "logical_and", "logical_or", "logical_not"):
        scope[name] = getattr(np, name)
    for name in definition.calls:
        scope[name] = as_numpy(DEFINITIONS[name])
    parameters = ", ".join((*definition.inputs, *definition.scalars))
    lines = _translate(definition, _ToNumpy())
    source = f"def {definition.name}({parameters}):\n" + textwrap.indent("\n".join(lines), "    ")
    exec(source, scope)  # nosec B102
    return scope[definition.name]  # type: ignore[return-value]


def as_numba(definition: Definition) -> str:
    """Source of a scalar function for a scope that holds ``njit``, ``math`` and ``real``.

    ``math`` holds the functions (:mod:`scratchgan.backend.cpu.float32_math`) and ``real`` is the
    floating type of the arithmetic, to which keyword scalars are converted.
    """
    parameters = ", ".join((*definition.inputs, *definition.scalars))
    lines = [f"{scalar} = real({scalar})" for scalar in definition.scalars]
    lines += _translate(definition, _ToNumba())
    return f"@njit\ndef {definition.kernel}({parameters}):\n" + textwrap.indent(
        "\n".join(lines), "    "
    )


# --- CUDA -----------------------------------------------------------------------------

_C_OPERATORS: dict[type[ast.AST], str] = {
    **{ast.BitAnd: "&", ast.BitOr: "|", ast.BitXor: "^", ast.LShift: "<<", ast.RShift: ">>"},
    ast.Invert: "~",
    **{ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"},
    **{ast.USub: "-", ast.UAdd: "+", ast.Not: "!", ast.And: "&&", ast.Or: "||"},
    **{ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="},
}

# Names that Python allows and C++ does not.
_C_WORDS = """
    alignas alignof asm auto bool case catch char const constexpr decltype default delete do double
    enum explicit export extern false float friend goto inline int long mutable namespace new
    noexcept nullptr operator private protected public real register short signed sizeof static
    struct switch template this throw true typedef typeid typename union unsigned using virtual
    void volatile
"""
_TAKEN_IN_C = frozenset(_C_WORDS.split())


def as_cuda(definition: Definition, real: str) -> str:
    """Source of a device function ``real name(real, ...)`` for the namespace of definitions.

    Args:
        definition: What it computes.
        real: The C type of the arithmetic: ``"float"``, ``"double"``, or ``"long long"`` for
            integers. Numbers become literals of this type, since a bare one would promote.

    Raises:
        DefinitionError: It uses an operator that CUDA does not have.
    """
    declared = {*definition.inputs, *definition.scalars}
    parameters = [f"{real} {c_name(name)}" for name in (*definition.inputs, *definition.scalars)]
    lines = []
    for statement in definition.body:
        if isinstance(statement, ast.Return):
            assert statement.value is not None
            lines.append(f"return {_c(statement.value, definition, real)};")
            continue
        assert isinstance(statement, ast.Assign)
        value = _c(statement.value, definition, real)
        for target in statement.targets:
            name = ast.unparse(target)
            lines.append(f"{'' if name in declared else real + ' '}{c_name(name)} = {value};")
            declared.add(name)
    head = f"__device__ {real} {c_name(definition.kernel)}({', '.join(parameters)})"
    return f"{head}\n{{\n{textwrap.indent(chr(10).join(lines), '    ')}\n}}"


def c_name(name: str) -> str:
    """The name of a definition or a parameter in C++."""
    return name + "_" if name in _TAKEN_IN_C else name


def _c(node: ast.expr, definition: Definition, real: str) -> str:
    """An expression in C++, in parentheses where it is not a single term."""

    def c(node: ast.expr) -> str:
        return _c(node, definition, real)

    match node:
        case ast.Name(id=name):
            return c_name(name)
        case ast.Constant(value=bool() | int() | float() as value):
            return c_literal(value, real)
        case ast.Call(func=ast.Name(id=name), args=arguments) if name in DEFINITIONS:
            return f"{c_name(name)}({', '.join(map(c, arguments))})"
        case ast.Call(args=arguments):
            return _c_math(_called_name(node), map(c, arguments), real)
        case ast.IfExp(test=test, body=body, orelse=orelse):
            return f"({c(test)} ? {c(body)} : {c(orelse)})"
        case ast.BinOp(left=left, op=ast.FloorDiv() | ast.Mod() as op, right=right):
            name = "floored_quotient" if isinstance(op, ast.FloorDiv) else "remainder"
            return f"{name}_of({c(left)}, {c(right)})"
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return _c_math("pow", (c(left), c(right)), real)
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _C_OPERATORS:
            return f"({_C_OPERATORS[type(op)]}{c(operand)})"
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _C_OPERATORS:
            return f"({c(left)} {_C_OPERATORS[type(op)]} {c(right)})"
        case ast.BoolOp(op=op, values=values):
            return f"({f' {_C_OPERATORS[type(op)]} '.join(map(c, values))})"
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _C_OPERATORS:
            return f"({c(left)} {_C_OPERATORS[type(op)]} {c(right)})"
    raise DefinitionError(
        f"{definition.name}: {ast.unparse(node)!r} in its scalar definition is not translated to "
        "CUDA; write it with + - * / **, comparisons of two numbers, and the functions "
        f"{', '.join(FUNCTIONS)}"
    )


def _c_math(function: str, arguments: Iterable[str], real: str) -> str:
    """CUDA's function of the mathematical library; ``::`` tells it from a definition's name."""
    if real == "float":
        return f"::{function}f({', '.join(arguments)})"
    if real == "double":
        return f"::{function}({', '.join(arguments)})"
    return f"({real})::{function}({', '.join(f'(double){x}' for x in arguments)})"


def c_literal(value: float, real: str) -> str:
    """``value`` as a C++ literal of type ``real``; infinite and nan as the source defines them."""
    if real == "long long":
        return str(int(value)) if value == value // 1 else repr(value)
    with np.errstate(over="ignore"):
        number = np.float32(value) if real == "float" else np.float64(value)
    if np.isnan(number):
        return f"({real})NAN_VALUE"
    if np.isinf(number):
        return f"({real}){'-' if number < 0 else ''}INFINITE_VALUE"
    return str(number) + ("f" if real == "float" else "")
