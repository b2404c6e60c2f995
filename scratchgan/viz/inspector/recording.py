"""A recording of a computation: what ran, what came back, and what was changed by it.

A :class:`Recording` is a list of moments: a primitive ran, a gradient arrived at a node and went on
to its inputs, a parameter was changed in place. It is made by running the computation once, as it
is, with every primitive observed (:mod:`scratchgan.autograd.observe`).
"""

import copy
import importlib
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from types import FrameType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scratchgan.autograd import TapeError, grad
from scratchgan.autograd.hooks import Retained
from scratchgan.autograd.observe import observe
from scratchgan.autograd.primitive import REGISTRY, Primitive
from scratchgan.autograd.tape import Node, Step
from scratchgan.autograd.tensor import Tensor
from scratchgan.nn import Module, Parameter
from scratchgan.viz.inspector.naming import Names, by_name

Group = tuple[str, ...]

# By name, because the room has a function of the same name.
backward_pass = importlib.import_module("scratchgan.autograd.backward")

#: The functions that run while gradients go back, and while they are put into leaves.
_BACKWARD = {
    backward_pass.backpropagate.__code__,
    backward_pass._accumulate.__code__,
}


@dataclass(frozen=True)
class Value:
    """An array as it was at a moment.

    Attributes:
        name: Of a parameter or an input; ``""`` of a result.
        kind: ``"parameter"``, ``"input"``, ``"leaf"`` (unnamed, requires a gradient),
            ``"constant"``, ``"result"`` or ``"gradient"``.
        array: A copy; None where the tape has not kept it.
        shape: Its shape.
        dtype: Its type.
    """

    name: str
    kind: str
    array: NDArray[Any] | None
    shape: tuple[int, ...]
    dtype: Any


@dataclass(frozen=True)
class Call:
    """A primitive that ran.

    Attributes:
        primitive: Which.
        group: Where: the modules that called it, outermost first.
        inputs: For each input the number of its value, or a Python number as text.
        keywords: Its keywords.
        output: The number of its value.
        needs: For each input whether a gradient goes back to it.
    """

    primitive: Primitive
    group: Group
    inputs: tuple[int | str, ...]
    keywords: dict[str, Any]
    output: int
    needs: tuple[bool, ...]


@dataclass(frozen=True)
class Forward:
    """A moment: the call with this number ran."""

    call: int


@dataclass(frozen=True)
class Backward:
    """A moment: the gradient of a call's result arrived, and went on.

    Attributes:
        call: The number of the call.
        arrived: The number of the gradient's value.
        left: For each input by its position the number of the value of its gradient.
    """

    call: int
    arrived: int
    left: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Update:
    """A moment: a parameter was changed in place.

    Attributes:
        before: The number of its value until then.
        after: The number of its value from then on.
        gradient: The number of the gradient that came last, or None.
    """

    before: int
    after: int
    gradient: int | None


@dataclass
class Recording:
    """All that happened.

    Attributes:
        values: Every array, by its number.
        calls: Every primitive that ran, by its number.
        moments: In order.
        modules: The class of the module that a group is.
    """

    values: list[Value] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    moments: list[Forward | Backward | Update] = field(default_factory=list)
    modules: dict[Group, str] = field(default_factory=dict)


def record(function: Callable[[], Any], names: Names = None) -> Recording:
    """Run ``function`` once, and write down what happens.

    A function of :func:`scratchgan.jit` runs as it is meanwhile.

    Args:
        function: Without arguments.
        names: Of modules, whose parameters and parts are named after them, and of inputs; or a
            module alone.

    Raises:
        TypeError: One of them is something else.
    """
    recorder = _Recorder(by_name(names))
    if not callable(function):
        raise TypeError(
            f"what is recorded is a function without arguments or a tensor, not {function!r}"
        )
    with recorder.observing():
        function()
    recorder.find_updates()
    return recorder.recording


def record_backward(tensor: Tensor, names: Names = None) -> Recording:
    """Go back from ``tensor`` once, as ``backward`` does, and write down what happens.

    The forward is long over: of it there is what its tape has kept. No ``grad`` is touched, and the
    tape can be used again.

    Raises:
        TapeError: The tensor requires no gradient or is a leaf, or its tape was freed.
        TypeError: It is no tensor, or the names are not those of modules and tensors.
    """
    recorder = _Recorder(by_name(names))
    if not isinstance(tensor, Tensor):
        raise TypeError(f"a graph is that of a tensor, not of {tensor!r}")
    if tensor.requires_grad and tensor.node is None:
        raise TapeError(
            f"a tensor of shape {tuple(tensor.shape)} is a leaf: no primitive made it, so it has "
            "no graph; give what was computed from it"
        )
    nodes = _nodes_of(tensor)
    before = [(node, node.rule, node.hooks) for node in nodes]
    try:
        for node, _, hooks in before:
            # What retain_grad keeps is a grad, too; other hooks may change the gradient.
            node.hooks = {
                key: hook for key, hook in (hooks or {}).items() if not isinstance(hook, Retained)
            }
            recorder.read(node)
        if nodes:
            values, root = recorder.recording.values, recorder.recording.calls[-1].output
            values[root] = replace(values[root], array=np.array(tensor.numpy(force=True)))
        with recorder.observing():
            leaves = {id(e): e for node in nodes for e in node.edges if isinstance(e, Tensor)}
            ones = tensor.ones_like()
            grad(tensor, list(leaves.values()), ones, retain_graph=True, allow_unused=True)
    finally:
        for node, rule, hooks in before:
            node.rule, node.hooks = rule, hooks
    return recorder.recording


def _nodes_of(tensor: Tensor) -> list[Node]:
    """The nodes that a tensor was made by, in the order in which they were made."""
    found: set[Node] = set()
    stack = [tensor.node] if tensor.node is not None else []
    while stack:
        node = stack.pop()
        if node not in found:
            found.add(node)
            stack += [edge for edge in node.edges if isinstance(edge, Node)]
    return sorted(found, key=lambda node: node.number)


class _Recorder:
    def __init__(self, names: Mapping[str, Module | Tensor]) -> None:
        self.recording = Recording()
        self.names: dict[int, tuple[str, str]] = {}  # of tensors by identity: a name, a kind
        self.named: dict[int, Tensor] = {}  # those tensors
        self.paths: dict[int, Group] = {}  # of modules by identity
        self.classes: dict[Group, str] = {}  # of modules by their paths
        self.known: dict[int, tuple[int, int]] = {}  # of tensors: value and version
        self.of_array: dict[int, int] = {}  # values by the identity of their arrays
        self.gradients: dict[int, int] = {}  # of leaves: the value of the last gradient
        self.call_of: dict[int, int] = {}  # of nodes by their numbers
        self.passes: dict[int, tuple[FrameType, int]] = {}  # of modules: the last, and how many
        self.alive: list[Any] = []  # so that no identity is another's later
        for name, named in names.items():
            if isinstance(named, Tensor):
                kind = "parameter" if isinstance(named, Parameter) else "input"
                self._name(named, name, kind)
            else:
                self._name_parts(named, name)
            self.alive.append(named)

    def _name_parts(self, module: Module, name: str) -> None:
        top = "" if name else type(module).__name__  # of a module that has no name
        for path, part in module.named_modules(prefix=name):
            parts = self.paths[id(part)] = tuple(filter(None, [top, *path.split(".")]))
            self.classes[parts] = type(part).__name__
        for path, parameter in module.named_parameters(prefix=name):
            self._name(parameter, path, "parameter")
        self.alive.append(module)

    def _name(self, x: Tensor, name: str, kind: str) -> None:
        self.names[id(x)] = (name, kind)
        self.named[id(x)] = x

    def observing(self) -> AbstractContextManager[None]:
        """Within the ``with`` block, what runs is written down."""
        return observe(self.ran)

    # --- Forward ------------------------------------------------------------------------

    def read(self, node: Node) -> None:
        """Write a call down of which only its node is left."""
        saved = node.saved or {}
        kept = {name: x for name, x in saved.items() if isinstance(x, Tensor)}
        primitive = REGISTRY.get(node.name)
        if primitive is None:
            raise TapeError(
                f"a tape through {node.name!r}, which is no primitive, has no graph; give "
                "sg.inspect a function that computes it"
            )
        names = [*primitive.inputs, *[""] * (len(node.edges) - len(primitive.inputs))]
        inputs: list[int | str] = []
        for name, edge in zip(names, node.edges, strict=True):
            if isinstance(edge, Tensor):
                inputs.append(self._value_of(edge))
            elif edge is not None:
                output = self.recording.calls[self.call_of[edge.number]].output
                if name in kept and self.recording.values[output].array is None:
                    array = np.array(kept[name].numpy(force=True))
                    self.recording.values[output] = replace(
                        self.recording.values[output], array=array
                    )
                inputs.append(output)
            elif name in kept:
                inputs.append(self._value_of(kept[name]))
            else:
                inputs.append(str(saved.get(name, "a constant")))
        out = kept.get("out")
        result = None if out is None else np.array(out.numpy(force=True))
        output = self._append(Value("", "result", result, node.shape, node.dtype))
        keywords = {name: saved[name] for name in primitive.keywords if name in saved}
        needs = tuple(edge is not None for edge in node.edges)
        self._watch(node, len(self.recording.calls))
        self.recording.moments.append(Forward(len(self.recording.calls)))
        self.recording.calls.append(Call(primitive, (), tuple(inputs), keywords, output, needs))

    def ran(
        self, primitive: Primitive, inputs: tuple[Any, ...], keywords: dict[str, Any], result: Any
    ) -> None:
        """Write a call down; of a backward pass only what a higher derivative goes through."""
        group, in_backward = self._place()
        if in_backward and result.node is None:
            return
        if not in_backward:
            self.find_updates()
        seen = tuple(self._value_of(x) if isinstance(x, Tensor) else str(x) for x in inputs)
        needs = (False,) * len(inputs)
        if type(result.node) is Node:
            needs = tuple(edge is not None for edge in result.node.edges)
            self._watch(result.node, len(self.recording.calls))
        call = Call(primitive, group, seen, dict(keywords), self._value_of(result, ""), needs)
        self.recording.moments.append(Forward(len(self.recording.calls)))
        self.recording.calls.append(call)

    def _value_of(self, x: Tensor, kind: str = "constant") -> int:
        """The number of the value that ``x`` has now."""
        version = x._version[0] if x._version else 0
        found = self.known.get(id(x))
        if found is not None and found[1] == version:
            return found[0]
        same = self.of_array.get(id(x.array))  # of a tensor off the tape: detach, say
        if same is not None and found is None:
            self.known[id(x)] = (same, version)
            self.alive.append(x)
            return same
        name, known_kind = self.names.get(id(x), ("", ""))
        if not known_kind and isinstance(x, Parameter):
            known_kind = "parameter"
        if kind == "constant" and x.requires_grad:
            kind = "leaf"
        number = self._add(name, known_kind or ("result" if kind == "" else kind), x)
        self.known[id(x)] = (number, version)
        if not known_kind:
            self.of_array[id(x.array)] = number
        self.alive += [x, x.array]
        return number

    def _add(self, name: str, kind: str, x: Tensor) -> int:
        return self._append(Value(name, kind, np.array(x.numpy(force=True)), x.shape, x.dtype))

    def _append(self, value: Value) -> int:
        self.recording.values.append(value)
        return len(self.recording.values) - 1

    def _place(self) -> tuple[Group, bool]:
        """The modules that are at work, outermost first, and whether a backward pass is.

        Each pass through the outermost is a group of its own.
        """
        frame: FrameType | None = sys._getframe(2)
        at_work: list[tuple[Module, FrameType]] = []
        while frame is not None:
            if frame.f_code in _BACKWARD:
                return ("backward",), True
            if frame.f_code.co_name == "forward":
                module = frame.f_locals.get("self")
                if isinstance(module, Module):
                    at_work.append((module, frame))
            frame = frame.f_back
        if not at_work:
            return (), False
        innermost, (outermost, its_frame) = at_work[0][0], at_work[-1]
        if id(outermost) not in self.paths:
            self._name_parts(outermost, type(outermost).__name__)
        path = self.paths.get(id(innermost), (type(innermost).__name__,))
        last, count = self.passes.get(id(outermost), (None, 0))
        if last is not its_frame:
            count += 1
            self.passes[id(outermost)] = (its_frame, count)
        group = (path[0] if count == 1 else f"{path[0]} ({count})", *path[1:])
        for depth in range(1, len(path) + 1):
            if path[:depth] in self.classes:
                self.recording.modules[group[:depth]] = self.classes[path[:depth]]
        return group, False

    # --- Backward -----------------------------------------------------------------------

    def _watch(self, node: Node, call: int) -> None:
        """Have the gradients that come to ``node`` and go on from it written down."""
        self.call_of[node.number] = call
        hooks = node.hooks = dict(node.hooks or {})
        hooks[-1] = lambda gradient: self._arrived(call, gradient)
        node.rule = rule = copy.copy(node.rule)
        edges = node.edges
        rule.steps = [self._watched(step, edges, rule.variadic) for step in rule.steps]

    def _arrived(self, call: int, gradient: Tensor) -> None:
        number = self._add("", "gradient", gradient)
        self.recording.moments.append(Backward(call, number))

    def _watched(self, step: Step, edges: tuple[Any, ...], variadic: int) -> Step:
        """``step``, whose gradients are written down."""
        name, first, unwatched, parameters = step

        def vjp(*arguments: Any) -> Any:
            result = unwatched(*arguments)
            parts = result if first == variadic else (result,)
            for position, gradient in enumerate(parts, start=first):
                if edges[position] is not None and gradient is not None:
                    self._left(position, edges[position], gradient)
            return result

        return name, first, vjp, parameters

    def _left(self, position: int, edge: Any, gradient: Tensor) -> None:
        """Write down what goes to ``edge``, with broadcasting undone as the tape undoes it."""
        number = self._add("", "gradient", gradient.detach().sum_to_size(edge.shape))
        moment = next(m for m in reversed(self.recording.moments) if isinstance(m, Backward))
        moment.left[position] = number
        if isinstance(edge, Tensor):
            self.gradients[id(edge)] = number

    # --- Updates ------------------------------------------------------------------------

    def find_updates(self) -> None:
        """Write down which parameters were changed in place since the last look."""
        for key, x in self.named.items():
            if key not in self.known or x.node is not None:
                continue
            before, version = self.known[key]
            if x._version and x._version[0] != version:
                after = self._value_of(x)
                self.recording.moments.append(Update(before, after, self.gradients.get(id(x))))
