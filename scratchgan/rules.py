"""What VJPs become: functions that leave a node on the tape, and that go back through it.

A primitive has one line for each derivative (:mod:`scratchgan.primitive`). Which of its inputs
require a gradient decides which of these lines run, and what must be kept for them. For each such
case that occurs, a :class:`Rule` is written out as Python that does what this case needs and
nothing else, as a careful hand would write it. To find that out again for each node would take
longer than small arrays take to compute. ``print(y.node.rule.source)`` shows the rule of ``y``.
"""

import copy
import linecache
import re
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NoReturn, Self

from scratchgan import tape
from scratchgan.tape import Edge, Hook, Node, kind_of, numbers

if TYPE_CHECKING:
    from scratchgan.primitive import Primitive

Vjp = Callable[..., Any]


@dataclass(slots=True)
class Rule:
    """How a gradient goes back through a primitive of which certain inputs require one.

    Attributes:
        name: The primitive's.
        edges: How many inputs get a gradient. The list that a node is begins with their edges.
        source: The two functions that follow, as text.
        functions: What they call, by name: ``vjp_<input>``, and ``make_<name>`` for what is
            computed once for several VJPs.
        record: ``record(result, *inputs, *keywords)`` leaves the node that made ``result``.
        pull_back: ``pull_back(node, g, leading, create_graph, retain_graph)`` takes the gradient
            ``g`` of what the node made, and gives the edges and the gradients that go there; with
            ``leading``, of the edges in it alone. ``create_graph`` says whether the tape records.
            Without ``retain_graph`` the node then lets go of what it kept.
        hooks: Called with the gradient when it arrives. Few nodes have any, and those have a rule
            of their own, so that all others need no room for them.
        freed: The rule of a node that let go of what it kept; None if this is one.
    """

    name: str
    edges: int
    source: str
    functions: dict[str, Vjp]
    hooks: dict[int, Hook] | None = None
    record: Callable[..., None] = field(init=False)
    pull_back: Callable[..., Sequence[tuple[Edge, Any]]] = field(init=False)
    freed: "Rule | None" = field(init=False)

    def __post_init__(self) -> None:
        self.pull_back, self.freed = _pull_back_again, None
        self.freed = copy.copy(self)
        scope = {**_SCOPE, **self.functions, "rule": self, "freed": self.freed}
        scope["Tensor"] = tape.tensor_type
        write_out(f"rule {id(self)} of {self.name}", self.source, scope)
        self.record, self.pull_back = scope["record"], scope["pull_back"]

    def with_hooks(self, hooks: dict[int, Hook]) -> Self:
        """The same with other hooks."""
        rule = copy.copy(self)
        rule.hooks = hooks
        return rule

    def with_functions(self, changed: Callable[[str, Vjp], Vjp]) -> Self:
        """A rule that calls ``changed(name, function)`` for each function of this one."""
        functions = {name: changed(name, function) for name, function in self.functions.items()}
        return replace(self, functions=functions)


def _pull_back_again(node: Node, *_: Any) -> NoReturn:
    raise node.freed()


def write_out(name: str, source: str, scope: dict[str, Any]) -> None:
    """Run ``source``, which was written out, in ``scope``; tracebacks and debuggers show it."""
    file = f"{_FILE}{name}>"
    linecache.cache[file] = len(source), None, source.splitlines(True), file
    exec(compile(source, file, "exec"), scope)


def is_written_out(file: str) -> bool:
    """Whether code from ``file`` was written out by this package."""
    return file.startswith(_FILE)


_FILE = "<scratchgan: "
_SCOPE: dict[str, Any] = {"Node": Node, "kind_of": kind_of, "numbers": numbers}


_NODE = """\
    node = Node(({kept},))
    node.rule = rule
    node.kind = result.kind or kind_of(result)
    node.number = next(numbers)
    result.node = node
    result.requires_grad = True
"""
_BEGINNING = """\
    [{kept}] = node
"""
_END = """\
    if not retain_graph:
        del node[{edges}:]
        node.rule = freed
    return {gradients}
"""
_CHECK = """\
    if {x}._version is not None and {x}._version[0] > node.number:
        raise node.changed({name!r})
"""
_OUT = """\
    if out_version[0] > node.number:
        raise node.changed("out")
    out = Tensor(out_array)
    out.kind = node.kind
    out._version = out_version
    if create_graph:
        out.node = node
        out.requires_grad = True
"""
_GRADIENT = """\
    of_{x} = {call}
    if of_{x}.kind is None or of_{x}.kind is not to_{x}.kind:
        of_{x} = node.fitted(of_{x}, to_{x}, {name!r})
"""


class Rules(dict[tuple[bool | None, ...], Rule]):
    """A primitive's rules, by which inputs require a gradient; each is written when first wanted.

    None stands for a number in the place of a tensor. Where a VJP names what there is not, a
    TypeError says so.
    """

    def __init__(self, primitive: "Primitive") -> None:
        super().__init__()
        self._primitive = primitive

    def __missing__(self, needs: tuple[bool | None, ...]) -> Rule:
        rule = self[needs] = _Writer(self._primitive, needs).rule()
        return rule


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

    def rule(self) -> Rule:
        """The rule."""
        primitive = self.primitive
        calls = {
            x: self.call(f"vjp_{self.owner(x)}", primitive.vjps[self.owner(x)], position)
            for position, x in enumerate(self.needs)
            if self.needs[x] and self.owner(x) in primitive.vjps
        }
        parameters = ["result", *map(_safe, (*self.needs, *primitive.keywords))]
        record = f"def record({', '.join(parameters)}):\n"
        edges = [_safe(x) for x in calls]
        if edges:
            made = [*[f"{x}.node or {x}" for x in edges], *self.kept.values()]
            if "out_version" in self.kept:
                record += "    result._version = result._version or [0]\n"
            record += _NODE.format(kept=", ".join(made))
        else:
            record += "    pass\n"
        functions = {f"vjp_{self.owner(x)}": primitive.vjps[self.owner(x)] for x in calls}
        functions |= {f"make_{name}": primitive.common[name] for name in self.common}
        source = f"{record}\n\ndef pull_back(node, g, leading, create_graph, retain_graph):\n"
        source += _BEGINNING.format(kept=", ".join((*[f"to_{x}" for x in edges], *self.kept)))
        for x, needs in self.needs.items():
            if needs is not None and _safe(x) in self.kept:
                source += _CHECK.format(x=_safe(x), name=self.owner(x))
        if "out_array" in self.kept:
            source += _OUT
        for name, call in self.common.items():
            source += f"    {_safe(name)} = {call}\n"
        gradients = [
            _GRADIENT.format(x=_safe(x), call=call, name=self.owner(x)) for x, call in calls.items()
        ]
        if len(edges) == 1:  # which is wanted, if the node is visited
            source += gradients[0]
            found = f"((to_{edges[0]}, of_{edges[0]}),)"
        else:
            found = "gradients"
            source += "    gradients = []\n"
            for x, gradient in zip(edges, gradients, strict=True):
                source += f"    if leading is None or to_{x} in leading:\n"
                source += textwrap.indent(gradient, "    ")
                source += f"        gradients.append((to_{x}, of_{x}))\n"
        source += _END.format(edges=len(edges), gradients=found)
        return Rule(primitive.name, len(edges), source, functions)

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


def _safe(name: str) -> str:
    """The name of an input or a keyword in the source, where some names are taken."""
    return f"given_{name}" if _TAKEN.fullmatch(name) else name


_TAKEN = re.compile(
    "next|Node|Tensor|kind_of|numbers|rule|freed|record|result|pull_back|node|g|leading|create_graph"
    "|retain_graph|gradients|out|position|(vjp|make|to|of|out|shape_of|given)_.*"
)


def parameters_of(function: Vjp) -> tuple[str, ...]:
    """The names of its parameters, but for those with ``*``."""
    return function.__code__.co_varnames[: function.__code__.co_argcount]
