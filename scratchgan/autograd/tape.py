"""The tape: the nodes that primitives leave behind, and how a gradient goes back through one.

When a primitive computes with an input that requires a gradient, it leaves a :class:`Node` behind.
:mod:`scratchgan.autograd.backward` visits the nodes from last to first and asks each for the
gradients of its inputs.

Nothing here does arithmetic: the tape knows only that gradients can be summed to a shape
(``sum_to_size``) and converted to a type (``to``).
"""

import inspect
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from scratchgan.autograd.source import description_of
from scratchgan.autograd.tensor import Hook, Tensor, clock, method
from scratchgan.backend import Array

Vjp = Callable[..., Any]

#: Called after a primitive ran: with the primitive, its inputs, its keywords and its result.
Watcher = Callable[[Any, tuple[Any, ...], dict[str, Any], Tensor], None]


class TapeError(RuntimeError):
    """The tape cannot do what is asked; the message names the primitive and what to do."""


class Mode:
    """How primitives run in a context: a thread, an asyncio task, a ``with`` block.

    Attributes:
        is_recording: Whether they leave nodes behind.
        watchers: Who is told of each primitive that ran.
        changed: The versions of tensors that were changed in place, while jit collects them.
    """

    __slots__ = ("changed", "is_recording", "watchers")

    def __init__(
        self,
        is_recording: bool = True,
        watchers: tuple[Watcher, ...] = (),
        changed: list[list[int]] | None = None,
    ) -> None:
        self.is_recording = is_recording
        self.watchers = watchers
        self.changed = changed


#: The mode of the current context. A mode is never changed, but exchanged for another.
mode: ContextVar[Mode] = ContextVar("mode", default=Mode())  # noqa: B039


@method()
def mark_changed(x: Tensor) -> None:
    """Note that ``x`` is changed in place, so that a tape that needs the old value notices."""
    x.version[0] = next(clock)
    changed = mode.get().changed
    if changed is not None:
        changed.append(x.version)


#: One VJP that a rule runs: the name of the input that its gradient is for, or of a value that
#: several VJPs share; that input's position, of ``*inputs`` the first's; the function; and the
#: names of the values that it is called with.
Step = tuple[str, int, Vjp, tuple[str, ...]]


def parameters_of(vjp: Vjp) -> tuple[str, ...]:
    """The names of the values that a VJP is called with; a parameter with a default is its own."""
    every = inspect.signature(vjp).parameters.values()
    asked = [p.name for p in every if p.default is p.empty and p.kind <= p.POSITIONAL_OR_KEYWORD]
    return tuple(asked)


class Rule:
    """How a primitive goes back where certain of its inputs require a gradient.

    Args:
        primitive: With its VJPs, and the names of its inputs and keywords.
        needs: For each input whether it requires a gradient.

    Attributes:
        name: The primitive's.
        steps: The VJPs.
        shared: What is computed once for several of them.
        inputs: The inputs that a node saves: their names, and positions or, of ``*inputs``, slices.
        shapes: The inputs whose shapes it saves.
        keywords: The keywords that it saves.
        saves_out: Whether it saves the result.
        needs_out: From a call's keywords whether its VJPs look at the result.
        variadic: Position of the first of ``*inputs``; beyond the last if there are none.

    Raises:
        TypeError: A VJP asks for what there is not.
    """

    def __init__(self, primitive: Any, needs: tuple[bool, ...]) -> None:
        self.name: str = primitive.name
        self.needs_out: Callable[[dict[str, Any]], bool] = primitive.needs_out
        self.variadic = first = len(primitive.inputs)
        positions = {x: i for i, x in enumerate(primitive.inputs)} | {primitive.variadic: first}
        self.steps: list[Step] = [
            (x, positions[x], vjp, parameters_of(vjp))
            for x, vjp in primitive.vjps.items()
            if True in (needs[first:] if x == primitive.variadic else needs[positions[x] :][:1])
        ]
        asked = {name: None for *_, parameters in self.steps for name in parameters}
        self.shared: list[Step] = [
            (x, 0, f, parameters_of(f)) for x, f in primitive.shared.items() if x in asked
        ]
        asked |= {name: None for *_, parameters in self.shared for name in parameters}
        shapes = {f"{x}_shape": i for x, i in positions.items() if i < first}
        shapes[f"{primitive.variadic}_shapes"] = first
        for name in asked:
            known = (positions, shapes, primitive.keywords, primitive.shared, ("g", "out"))
            if not any(name in names for names in known):
                raise TypeError(
                    f"{self.name}: a VJP has the parameter {name!r}, which is neither g, out, an "
                    "input, a shape, a keyword nor shared"
                )
        where = [*range(first), slice(first, None)]
        self.inputs = [(name, where[positions[name]]) for name in asked if name in positions]
        self.shapes = [(name, where[shapes[name]]) for name in asked if name in shapes]
        self.keywords = [name for name in primitive.keywords if name in asked]
        self.saves_out = "out" in asked

    def save(
        self, out: Tensor, inputs: tuple[Any, ...], keywords: dict[str, Any]
    ) -> dict[str, Any]:
        """The values of one call that its VJPs ask for, by name."""
        saved: dict[str, Any] = {}
        for name, where in self.inputs:
            saved[name] = inputs[where]
        for name, where in self.shapes:
            saved[name] = shape_of(inputs[where])
        for name in self.keywords:
            saved[name] = keywords[name]
        if self.saves_out:  # not `out` itself: with its node it would form a cycle
            saved["out"] = out.detach() if self.needs_out(keywords) else None
        return saved


class Node:
    """One primitive that ran: where gradients go from here, and what its VJPs asked to save.

    Attributes:
        number: The time when it was made; falling numbers are a topological order of any graph.
        rule: The VJPs, and what they are called with.
        edges: For each input where its gradient goes: the node that made it, or the leaf itself;
            None if it gets none.
        saved: The values that the VJPs ask for, by name; None once a backward pass freed them.
        shape: Of the result.
        dtype: Of the result.
        hooks: Called with the gradient of the result when it arrives, by their keys.
    """

    __slots__ = ("dtype", "edges", "hooks", "number", "rule", "saved", "shape")

    def __init__(
        self, rule: Rule, edges: "tuple[Edge | None, ...]", saved: dict[str, Any], out: Array
    ) -> None:
        self.number = next(clock)
        self.rule = rule
        self.edges = edges
        self.saved: dict[str, Any] | None = saved
        self.shape: tuple[int, ...] = out.shape
        self.dtype = out.dtype
        self.hooks: dict[int, Hook] | None = None

    @property
    def name(self) -> str:
        """The primitive's name."""
        return self.rule.name

    @property
    def is_freed(self) -> bool:
        """Whether a backward pass let go of what was saved."""
        return self.saved is None

    def pull_back(self, g: Tensor, path: "set[Edge] | None" = None) -> "list[tuple[Edge, Tensor]]":
        """The edges, and the gradients that go there, from the gradient of the result.

        Args:
            g: The gradient of the result.
            path: The edges through which gradients are wanted; None for all.

        Raises:
            TapeError: What was saved is freed, or was changed in place since then.
        """
        values = self._values()
        values["g"] = g
        rule, edges = self.rule, self.edges
        for name, _, vjp, parameters in rule.shared:
            values[name] = vjp(*map(values.__getitem__, parameters))
        found: list[tuple[Edge, Tensor]] = []
        for name, position, vjp, parameters in rule.steps:
            edge, asked = edges[position], map(values.__getitem__, parameters)
            if position == rule.variadic:
                gradients = list(vjp(*asked))
                if len(gradients) != len(edges) - position:
                    raise TapeError(
                        f"the VJP of {self.name!r} for {name!r} gave {len(gradients)} gradients "
                        f"for {len(edges) - position} inputs"
                    )
                for i, (edge, gradient) in enumerate(zip(edges[position:], gradients, strict=True)):
                    if edge is not None and (path is None or edge in path) and gradient is not None:
                        gradient = self._fitted(gradient, edge, f"{name}[{i}]")
                        found.append((edge, gradient))
            elif edge is not None and (path is None or edge in path):
                gradient = vjp(*asked)
                takes = edge if isinstance(edge, Node) else edge.array
                array = getattr(gradient, "array", None)
                if array is None or array.shape != takes.shape or array.dtype != takes.dtype:
                    gradient = self._fitted(gradient, edge, name)
                found.append((edge, gradient))
        return found

    def _values(self) -> dict[str, Any]:
        """The saved values by name, if none was changed in place."""
        if self.saved is None:
            raise TapeError(
                f"backward came a second time to {self.name!r}, whose saved values were freed the "
                "first time; call the first backward with retain_graph=True"
            )
        values = dict(self.saved)
        for name, x in self.saved.items():
            for one in x if type(x) is tuple else (x,):
                if isinstance(one, Tensor) and one._version and one._version[0] > self.number:
                    raise TapeError(
                        f"the backward of {self.name!r} needs {name!r} as it was in the forward, "
                        "but it was changed in place since then; change a clone() of it instead"
                    )
        out = values.get("out")
        if out is not None and mode.get().is_recording:
            # A higher derivative goes through it to this node.
            values["out"] = again = Tensor(out.array)
            again._version = out._version
            again.node, again._requires_grad = self, True
        return values

    def _fitted(self, gradient: Tensor, edge: "Edge", name: str) -> Tensor:
        """``gradient`` with the shape and type that ``edge`` takes; ``name`` is the input's.

        Broadcasting is undone here, for every primitive, and nowhere else.
        """
        try:
            gradient = gradient.sum_to_size(edge.shape)
        except (ValueError, AttributeError) as error:
            is_tensor = isinstance(gradient, Tensor)
            given = f"a gradient of shape {gradient.shape}" if is_tensor else repr(gradient)
            raise TapeError(
                f"the VJP of {self.name!r} for {name!r} gave {given} for an input of shape "
                f"{edge.shape}"
            ) from error
        return gradient.to(edge.dtype)

    def __repr__(self) -> str:
        return description_of(self)


Edge = Node | Tensor  #: Where a gradient goes, told by the node or the leaf at that end.


def shape_of(x: Any) -> tuple[Any, ...]:
    """The shape of an input, which may be a number; of several inputs in a tuple, their shapes."""
    if isinstance(x, Tensor):
        return x.array.shape  # type: ignore[no-any-return]
    return tuple(map(shape_of, x)) if isinstance(x, tuple) else ()


def edge_of(x: Any) -> Edge | None:
    """Where the gradient of ``x`` goes: its node, the leaf itself, or nowhere."""
    if isinstance(x, Tensor) and x._requires_grad:
        return x.node or x
    return None
