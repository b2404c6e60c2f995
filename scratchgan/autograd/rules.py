"""What VJPs become: classes of nodes that keep what they need, and go back through it.

A primitive has one line for each derivative (:mod:`scratchgan.autograd.primitive`). Which of its
inputs require a gradient decides which of these lines run, and what must be kept for them. For each
such case that occurs, a *rule* is written out as Python that does what this case needs and nothing
else, as a careful hand would write it: a class of nodes, and the function that makes them. To find
that out again for each node would take longer than small arrays take to compute.
``print(y.node.source)`` shows the rule of ``y``.
"""

import linecache
import re
import textwrap
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from scratchgan.autograd import tape
from scratchgan.autograd.tape import Freed, Node, kind_of, numbers

if TYPE_CHECKING:
    from scratchgan.autograd.primitive import Primitive

Vjp = Callable[..., Any]
Record = Callable[..., None]


class Rules(dict[tuple[bool | None, ...], Record]):
    """For each case, by which inputs require a gradient, how a primitive's node is made.

    ``record(result, *inputs, *keywords)`` leaves the node that made ``result``. None stands for a
    number in the place of a tensor. A rule is written when first wanted; where a VJP names what
    there is not, a TypeError says so.
    """

    def __init__(self, primitive: "Primitive") -> None:
        super().__init__()
        self._primitive = primitive

    def __missing__(self, needs: tuple[bool | None, ...]) -> Record:
        record = self[needs] = _Writer(self._primitive, needs).record()
        return record


def with_functions(rule: type[Node], changed: Callable[[str, Vjp], Vjp]) -> type[Node]:
    """A rule that calls ``changed(name, function)`` for each function of ``rule``.

    A node of the one can become one of the other.
    """
    functions = {name: changed(name, function) for name, function in rule.functions.items()}
    return _run(rule.__name__, rule.source, functions)[0]


def _run(name: str, source: str, functions: dict[str, Vjp]) -> tuple[type[Node], Record]:
    """The class of this name and the function ``record`` from the source of a rule."""
    scope = {**_SCOPE, "Tensor": tape.tensor_type, **functions}
    write_out(f"{name} {id(scope)}", source, scope)
    rule: type[Node] = scope[name]
    rule.source, rule.functions = source, functions
    return rule, scope["record"]


_SCOPE: dict[str, Any] = {"__name__": __name__, "Node": Node, "Freed": Freed}
_SCOPE |= {"kind_of": kind_of, "numbers": numbers}


def write_out(name: str, source: str, scope: dict[str, Any]) -> None:
    """Run ``source``, which was written out, in ``scope``; tracebacks and debuggers show it."""
    file = f"{_FILE}{name}>"
    linecache.cache[file] = len(source), None, source.splitlines(True), file
    exec(compile(source, file, "exec"), scope)


def is_written_out(file: str) -> bool:
    """Whether code from ``file`` was written out by this package."""
    return file.startswith(_FILE)


_FILE = "<scratchgan: "


_RULE = """\
class {class_name}(Node):
    __slots__ = {slots}
    name = {name!r}

    @property
    def edges(self):
        return [{edges}]

    def pull_back(self, g, leading, create_graph, retain_graph):
{pull_back}

class Freed{class_name}(Freed, {class_name}):
    __slots__ = ()


def record(result, {parameters}):
{record}"""
_CHECK = """\
if {x}._version is not None and {x}._version[0] > self:
    raise self.changed({name!r})
"""
_OUT = """\
if out_version[0] > self:
    raise self.changed("out")
out = Tensor(out_array)
out.kind = self.kind.unhooked
out._version = out_version
if create_graph:
    out.node = self
    out.requires_grad = True
"""
_GRADIENT = """\
of_{x} = {call}
if of_{x}.kind is None or of_{x}.kind is not to_{x}.kind:
    of_{x} = self.fitted(of_{x}, to_{x}, {name!r})
"""
_GRADIENT_OF_SEVERAL = """\
if leading is None or to_{x} in leading:
{gradient}    gradients.append((to_{x}, of_{x}))
"""
_FREE = """\
if not retain_graph:
{drop}    self.__class__ = Freed{class_name}
"""


class _Writer:
    """Writes a rule."""

    def __init__(self, primitive: "Primitive", needs: tuple[bool | None, ...]) -> None:
        self.primitive = primitive
        #: Where there are ``*tensors``, say, each gets a name of its own.
        self.rest = [f"{primitive.variadic}_{i}" for i in range(len(needs) - len(primitive.inputs))]
        self.needs = dict(zip((*primitive.inputs, *self.rest), needs, strict=True))
        #: What a node keeps beside its edges: as pull_back calls it, and as record makes it.
        self.kept: dict[str, str] = {}
        #: What is computed once for several VJPs: its name, and how.
        self.common: dict[str, str] = {}

    def record(self) -> Record:
        """The function that makes nodes of the rule."""
        primitive = self.primitive
        calls = {
            x: self.call(f"vjp_{self.owner(x)}", primitive.vjps[self.owner(x)], position)
            for position, x in enumerate(self.needs)
            if self.needs[x] and self.owner(x) in primitive.vjps
        }
        if not calls:
            return _leave_nothing
        class_name = _class_name(primitive.name)
        edges = {f"to_{_safe(x)}": f"{_safe(x)}.node or {_safe(x)}" for x in calls}
        slots = edges | self.kept
        source = _RULE.format(
            class_name=class_name,
            slots=tuple(slots),
            name=primitive.name,
            edges=", ".join(f"self.{edge}" for edge in edges),
            pull_back=textwrap.indent(self.pull_back(class_name, slots, calls), " " * 8),
            parameters=", ".join(map(_safe, (*self.needs, *primitive.keywords))),
            record=textwrap.indent(self.record_lines(class_name, slots), " " * 4),
        )
        functions = {f"vjp_{self.owner(x)}": primitive.vjps[self.owner(x)] for x in calls}
        functions |= {f"make_{name}": primitive.common[name] for name in self.common}
        return _run(class_name, source, functions)[1]

    def record_lines(self, class_name: str, slots: dict[str, str]) -> str:
        """The lines of ``record``."""
        lines = [
            f"node = {class_name}(next(numbers))",
            "node.kind = result.kind or kind_of(result)",
        ]
        if "out_version" in self.kept:
            lines.insert(0, "result._version = result._version or [0]")
        lines += [f"node.{slot} = {value}" for slot, value in slots.items()]
        lines += ["result.node = node", "result.requires_grad = True"]
        return "\n".join(lines) + "\n"

    def pull_back(self, class_name: str, slots: dict[str, str], calls: dict[str, str]) -> str:
        """The lines of ``pull_back``."""
        lines = "".join(f"{slot} = self.{slot}\n" for slot in slots)
        for x, needs in self.needs.items():
            if needs is not None and _safe(x) in self.kept:
                lines += _CHECK.format(x=_safe(x), name=self.owner(x))
        if "out_array" in self.kept:
            lines += _OUT
        for name, call in self.common.items():
            lines += f"{_safe(name)} = {call}\n"
        gradients = {
            _safe(x): _GRADIENT.format(x=_safe(x), call=call, name=self.owner(x))
            for x, call in calls.items()
        }
        if len(gradients) == 1:  # which is wanted, if the node is visited
            ((x, gradient),) = gradients.items()
            lines += gradient
            found = f"((to_{x}, of_{x}),)"
        else:
            lines += "gradients = []\n"
            for x, gradient in gradients.items():
                gradient = textwrap.indent(gradient, "    ")
                lines += _GRADIENT_OF_SEVERAL.format(x=x, gradient=gradient)
            found = "gradients"
        drop = "".join(f"self.{slot} = " for slot in self.kept)
        lines += _FREE.format(class_name=class_name, drop=f"    {drop}None\n" if drop else "")
        return f"{lines}return {found}\n"

    def owner(self, x: str) -> str:
        """The input's name in the forward: ``tensors`` for ``tensors_1``."""
        return self.primitive.variadic or x if x in self.rest else x

    def call(self, function: str, vjp: Vjp, position: int | None = None) -> str:
        """A call of ``function`` with what the parameters of ``vjp`` ask for."""
        arguments = [self.word(p, position) for p in parameters_of(vjp)]
        return f"{function}({', '.join(arguments)})"

    def word(self, parameter: str, position: int | None) -> str:
        """What a VJP's parameter stands for; a node will keep what that takes."""
        primitive = self.primitive
        owner = parameter.removesuffix("s").removesuffix("_shape")
        if parameter == "g":
            return "g"
        if parameter == "position":  # of the input that the gradient is for
            return str(position)
        if parameter == "out":  # as an array, for a tensor would form a cycle
            self.kept |= {"out_array": "result.array", "out_version": "result._version"}
            return "out"
        if parameter in primitive.common:
            self.common[parameter] = self.call(f"make_{parameter}", primitive.common[parameter])
            return _safe(parameter)
        if primitive.variadic in (parameter, owner):
            suffix = "" if parameter == primitive.variadic else "_shape"
            words = [self.word(x + suffix, position) for x in self.rest]
            return f"({''.join(f'{word}, ' for word in words)})"
        if parameter in self.needs or parameter in primitive.keywords:
            self.kept[_safe(parameter)] = _safe(parameter)
            return _safe(parameter)
        x = parameter.removesuffix("_shape")
        if x not in self.needs:
            raise TypeError(f"{primitive.name}: a VJP names {parameter!r}, which there is not")
        if self.needs[x] is None:  # a number
            return "()"
        self.kept[f"shape_of_{_safe(x)}"] = f"{_safe(x)}.array.shape"
        return f"shape_of_{_safe(x)}"


def _class_name(primitive: str) -> str:
    """``MulNode`` for ``mul``; whatever a function may be called, it is a name."""
    name = re.sub(r"\W", "", primitive)  # <lambda>
    return re.sub(r"(?:^|_+)([^\W\d_])", lambda match: match[1].upper(), name) + "Node"


def _leave_nothing(*_: Any) -> None:
    """The function ``record`` where no input gets a gradient."""


def _safe(name: str) -> str:
    """The name of an input or a keyword in the source, where some names are taken."""
    return f"given_{name}" if hasattr(Node, name) or _TAKEN.fullmatch(name) else name


_TAKEN = re.compile(
    "next|Tensor|kind_of|numbers|result|node|self|g|leading|create_graph|retain_graph|gradients|out"
    "|position|name|source|functions|(vjp|make|to|of|out|shape_of|given|_)_.*|(Freed)?.*Node|Freed"
)


def parameters_of(function: Vjp) -> tuple[str, ...]:
    """The names of its parameters, but for those with ``*``."""
    return function.__code__.co_varnames[: function.__code__.co_argcount]
