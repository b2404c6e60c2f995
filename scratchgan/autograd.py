"""The tape: what ran, from what, and how a gradient travels back through it.

Reverse-mode differentiation (Baydin et al. 2018, "Automatic differentiation in machine learning:
a survey", section 3.2). When a primitive computes with an input that requires a gradient, it
leaves a :class:`Node` behind. :func:`backward` visits the nodes from last to first and asks each
primitive for its vector-Jacobian products (VJPs). Those are made of primitives themselves, so with
``create_graph`` the way back is on the tape too, and can be differentiated again.

Nothing here does arithmetic: the tape knows only that gradients can be added (``+``) and summed
to a shape (``sum_to_size``).
"""

import heapq
import itertools
import threading
import weakref
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ContextDecorator
from operator import attrgetter
from typing import Any, NamedTuple

from scratchgan.backend import Array

Hook = Callable[[Any], Any]


class TapeError(RuntimeError):
    """The tape cannot do what is asked; the message names the primitive and what to do."""


# --- Whether primitives leave nodes behind --------------------------------------------


class _Mode(threading.local):
    recording = True


mode = _Mode()


class set_grad_enabled(ContextDecorator):
    """Context or decorator within which primitives are recorded, or not."""

    def __init__(self, enabled: bool) -> None:
        self.enabled = enabled
        self.before: list[bool] = []  # a stack: one instance may decorate a recursive function

    def __enter__(self) -> None:
        self.before.append(mode.recording)
        mode.recording = self.enabled

    def __exit__(self, *_: object) -> None:
        mode.recording = self.before.pop()


class no_grad(set_grad_enabled):
    """Context or decorator within which nothing is recorded: results require no gradient."""

    def __init__(self) -> None:
        super().__init__(False)


class enable_grad(set_grad_enabled):
    """Context or decorator that records again inside :class:`no_grad`."""

    def __init__(self) -> None:
        super().__init__(True)


def is_grad_enabled() -> bool:
    """Whether primitives are recorded at this moment, in this thread."""
    return mode.recording


# --- What a recording must know ------------------------------------------------------------


class Effects:
    """What a step did to tensors besides computing: noted while :mod:`scratchgan.jit` records."""

    def __init__(self) -> None:
        #: Version counters of tensors that were changed in place.
        self.versions: list[list[int]] = []
        #: Leaves whose ``grad`` backward set.
        self.graded: dict[int, Taped] = {}
        #: Leaves that primitives took as inputs.
        self.leaves: dict[int, Taped] = {}


effects: Effects | None = None


# --- What the tape is made of ---------------------------------------------------------


class Taped:
    """An array and its place on the tape; :class:`scratchgan.Tensor` adds the arithmetic.

    A *leaf* was made by the user (``node`` is None); its gradient is accumulated in ``grad``.
    """

    data: Array
    requires_grad: bool = False
    grad: Any = None
    node: "Node | None" = None
    # [number of in-place changes], shared by all views of the same memory. Made when first needed.
    _version: list[int] | None = None
    hooks: dict[int, Hook] | None = None
    #: Whether it was made as a view of another tensor's memory.
    is_view: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the dimensions."""
        return self.data.shape  # type: ignore[no-any-return]

    @property
    def dtype(self) -> Any:
        """NumPy data type of the elements."""
        return self.data.dtype

    def mark_changed(self) -> None:
        """Count a change in place, so that a tape that needs the old value notices."""
        self.version[0] += 1
        if effects is not None:
            effects.versions.append(self.version)

    @property
    def version(self) -> list[int]:
        """The counter of in-place changes, shared by all views of this memory."""
        if self._version is None:
            self._version = [0]
        return self._version


#: From the values of a node, those that a function names as its parameters.
Arguments = Callable[[dict[str, Any]], tuple[Any, ...]]


class Step(NamedTuple):
    """One VJP of a rule: for which input, the function, and how to get its arguments by name."""

    position: int
    input: str
    function: Callable[..., Any]
    arguments: Arguments


class Rule(NamedTuple):
    """How a primitive's gradient goes back to those of its inputs that require one.

    ``saved_inputs`` and ``saved_shapes`` are what the VJPs name: (name, position of the input).
    """

    common: tuple[tuple[str, Callable[..., Any], Arguments], ...]
    steps: tuple[Step, ...]
    saved_inputs: tuple[tuple[str, int], ...]
    saved_shapes: tuple[tuple[str, int], ...]
    saves_out: bool


class SavedOutput(NamedTuple):
    """A primitive's own result, kept for its VJP as an array: a tensor would form a cycle."""

    array: Array
    version: list[int]


_numbers = itertools.count()


class Node:
    """One primitive that ran: how it was made, from what, and what its VJPs asked to keep.

    Nodes are numbered as they are made, so falling numbers are a topological order of any graph.
    """

    __slots__ = (
        *("__weakref__", "dtype", "edges", "hooks", "name", "number", "rule", "shape"),
        *("values", "versions"),
    )

    def __init__(
        self,
        name: str,
        rule: Rule,
        edges: tuple["Edge | None", ...],
        values: dict[str, Any],
        versions: list[tuple[str, list[int], int]],
        out: Array,
    ) -> None:
        self.name = name
        self.rule = rule
        self.edges = edges
        #: What the VJPs take, by the name they take it by; None once the tape is freed.
        self.values: dict[str, Any] | None = values
        self.versions = versions
        self.shape = out.shape
        self.dtype = out.dtype
        self.number = next(_numbers)
        self.hooks: dict[int, Hook] | None = None

    def __repr__(self) -> str:
        return f"<{self.name} node {self.number}, shape {self.shape}>"

    def pull_back(self, g: Taped, leading: "set[Edge] | None") -> "list[tuple[Edge, Any]]":
        """The gradients of the inputs that require one, from the gradient ``g`` of the output.

        With ``leading``, only of those inputs whose edges are in it.
        """
        if self.values is None:
            raise TapeError(
                f"backward came a second time to {self.name!r}, whose saved values were freed the "
                "first time; call the first backward with retain_graph=True"
            )
        for name, version, saved in self.versions:
            if version[0] != saved:
                raise TapeError(
                    f"the backward of {self.name!r} needs {name!r} as it was in the forward, but "
                    f"it was changed in place since then ({version[0] - saved} times); change a "
                    "clone() of it instead"
                )
        values = {**self.values, "g": g}
        if "out" in values:
            values["out"] = _restore(self, values["out"], type(g))
        for name, function, arguments in self.rule.common:
            values[name] = function(*arguments(values))
        gradients = []
        for position, name, function, arguments in self.rule.steps:
            edge = self.edges[position]
            if edge is None or (leading is not None and edge not in leading):
                continue
            values["position"] = position
            gradient = function(*arguments(values))
            array = gradient.data
            if array.shape != edge.shape:
                gradient = self._summed(gradient, edge.shape, name)
            if array.dtype is not edge.dtype:
                gradient = gradient.to(edge.dtype)
            gradients.append((edge, gradient))
        return gradients

    def _summed(self, gradient: Any, shape: tuple[int, ...], name: str) -> Any:
        """Undo broadcasting: for every primitive, here and nowhere else."""
        try:
            return gradient.sum_to_size(shape)
        except ValueError as error:
            raise TapeError(
                f"the VJP of {self.name!r} for {name!r} gave a gradient of shape {gradient.shape} "
                f"for an input of shape {shape}"
            ) from error


Edge = Node | Taped  #: A node, or a leaf.


def _restore(node: Node, saved: SavedOutput, tensor_type: type[Taped]) -> Taped:
    out: Taped = object.__new__(tensor_type)
    out.data = saved.array
    out._version = saved.version
    out.node = node
    out.requires_grad = True
    return out


def edge_of(tensor: Taped) -> Edge | None:
    """Where the gradient of ``tensor`` goes: its node, the leaf itself, or nowhere."""
    if not tensor.requires_grad:
        return None
    return tensor.node or tensor


# --- The way back ---------------------------------------------------------------------


def backward(
    tensors: Taped | Sequence[Taped],
    gradients: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
) -> None:
    """Add to ``grad`` of every leaf the gradient of ``tensors`` with respect to it.

    Args:
        tensors: Where to start, one tensor or several.
        gradients: The gradient of each start, of its shape; may be left out for one element.
        retain_graph: Keep saved values for another backward. Default: as ``create_graph``.
        create_graph: Record the way back, so that gradients can be differentiated again.

    Raises:
        TapeError: A start requires no gradient, has no gradient though it has many elements, or
            was freed by an earlier backward; or a saved tensor was changed in place.
    """
    roots = [tensors] if isinstance(tensors, Taped) else list(tensors)
    found = _run(roots, _as_list(gradients, len(roots)), None, retain_graph, create_graph)
    taken = {id(gradient.data) for gradient in _as_list(gradients, 0) if gradient is not None}
    recording, mode.recording = mode.recording, create_graph
    for edge, gradient in found.items():
        if isinstance(edge, Node):
            continue
        if effects is not None:
            effects.graded[id(edge)] = edge
        if edge.grad is not None:
            edge.grad = edge.grad + gradient
            continue
        # A rule may hand the same gradient to several inputs, or a view of another's;
        # each leaf gets memory of its own.
        if gradient.is_view or id(gradient.data) in taken:
            gradient = gradient.clone()
        taken.add(id(gradient.data))
        edge.grad = gradient
    mode.recording = recording


def grad(
    outputs: Taped | Sequence[Taped],
    inputs: Taped | Sequence[Taped],
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool = False,
) -> tuple[Any, ...]:
    """Gradients of the sum of ``outputs`` with respect to each of ``inputs``.

    Args:
        outputs: Tensors to differentiate.
        inputs: Tensors, leaves or not, to differentiate with respect to.
        grad_outputs: Gradient of each output, of its shape; may be left out for one element.
        retain_graph: Keep saved values for another backward. Default: as ``create_graph``.
        create_graph: Record the way back, so that the gradients can be differentiated again.
        allow_unused: Give None for an input that the outputs do not depend on.

    Returns:
        A tuple with a tensor for each input, of its shape and dtype. No ``grad`` is touched.

    Raises:
        TapeError: As :func:`backward`; or an input is unused and ``allow_unused`` is False.
    """
    roots = [outputs] if isinstance(outputs, Taped) else list(outputs)
    targets = [inputs] if isinstance(inputs, Taped) else list(inputs)
    edges = [edge_of(target) for target in targets]
    for position, edge in enumerate(edges):
        if edge is None:
            raise TapeError(f"grad: input {position} does not require a gradient")
    wanted = {edge for edge in edges if edge is not None}
    found = _run(roots, _as_list(grad_outputs, len(roots)), wanted, retain_graph, create_graph)
    for position, edge in enumerate(edges):
        if edge not in found and not allow_unused:
            raise TapeError(
                f"grad: the outputs do not depend on input {position}; with allow_unused=True "
                "its gradient is given as None"
            )
    return tuple(found.get(edge) for edge in edges)  # type: ignore[arg-type]


def _as_list(gradients: Any, count: int) -> list[Any]:
    if gradients is None:
        return [None] * count
    return [gradients] if isinstance(gradients, Taped) else list(gradients)


def _run(
    roots: list[Taped],
    seeds: list[Any],
    wanted: set[Edge] | None,
    retain_graph: bool | None,
    create_graph: bool,
) -> dict[Edge, Any]:
    """Gradients of the leaves, or with ``wanted`` of those edges and no others."""
    if retain_graph is None:
        retain_graph = create_graph
    if len(seeds) != len(roots):
        raise TapeError(f"backward: {len(seeds)} gradients were given for {len(roots)} tensors")
    recording, mode.recording = mode.recording, create_graph
    try:
        gradients: dict[Edge, Any] = {}
        waiting: list[tuple[int, Node]] = []  # a heap: the last node that was made comes first
        leading = None if wanted is None else _leading(roots, wanted)
        arriving = [(_start(root), _seed(root, x)) for root, x in zip(roots, seeds, strict=True)]
        while True:
            for edge, gradient in arriving:
                present = gradients.get(edge)
                if present is not None:
                    gradients[edge] = present + gradient
                    continue
                gradients[edge] = gradient
                if type(edge) is Node:
                    heapq.heappush(waiting, (-edge.number, edge))
            if not waiting:
                break
            node = heapq.heappop(waiting)[1]
            gradient = gradients.pop(node)
            if node.hooks:
                gradient = _hooked(node.hooks, gradient)
            if wanted is not None and node in wanted:
                gradients[node] = gradient
            if leading is not None and leading.isdisjoint(node.edges):
                arriving = []  # nothing wanted lies behind it: it stays as it is
                continue
            arriving = node.pull_back(gradient, leading)
            if not retain_graph:
                node.values = None
        for edge, gradient in gradients.items():
            if edge.hooks and type(edge) is not Node:
                gradients[edge] = _hooked(edge.hooks, gradient)
    finally:
        mode.recording = recording
    return gradients


def _start(root: Taped) -> Edge:
    edge = edge_of(root)
    if edge is None:
        raise TapeError(
            f"backward: a tensor of shape {root.shape} that does not require a gradient was not "
            "made from any that does; set requires_grad=True on a leaf, and mind no_grad"
        )
    return edge


def _seed(root: Any, seed: Any) -> Any:
    if seed is None:
        if root.data.size != 1:
            raise TapeError(
                f"backward: a tensor of shape {root.shape} has no single gradient to start from; "
                "reduce it to one element, or pass gradient= of its shape"
            )
        return root.ones_like()
    if seed.shape != root.shape:
        raise TapeError(
            f"backward: the gradient's shape {seed.shape} is not the tensor's {root.shape}"
        )
    return seed


def _leading(roots: list[Taped], wanted: set[Edge]) -> set[Edge]:
    """The edges behind ``roots`` from which one of ``wanted`` can be reached, and those."""
    stack = [root.node for root in roots if root.node is not None]
    seen = set(stack)
    while stack:
        for edge in stack.pop().edges:
            if type(edge) is Node and edge not in seen:
                seen.add(edge)
                stack.append(edge)
    leading = set(wanted)
    for node in sorted(seen, key=attrgetter("number")):
        if not leading.isdisjoint(node.edges):
            leading.add(node)
    return leading


def _hooked(hooks: dict[int, Hook] | None, gradient: Any) -> Any:
    for hook in list(hooks.values()) if hooks else ():
        changed = hook(gradient)
        if changed is not None:
            gradient = changed
    return gradient


def detect_anomaly() -> AbstractContextManager[None]:
    """Context that stops where a nan or an inf first appears.

    Every result of a primitive in this thread is looked at, and every gradient of one that ran
    within the context. An inf among the inputs may stay one (a mask of ``-inf``, say); a nan is
    always an error. Reading all these values is slow: this is for looking for a fault. A step of
    :func:`scratchgan.jit` refuses to be read as it is recorded, and its replay runs no primitives;
    watch the plain function instead.

    Raises:
        AnomalyError: A nan or an inf appeared. The message names the primitive and the line of
            the user's code that called it, also where it appears only in the backward.
    """
    from scratchgan import anomaly  # it watches primitives, which are made of nodes

    return anomaly.detect_anomaly()


# --- Watching gradients as they pass --------------------------------------------------


class HookHandle:
    """Returned by :func:`register_hook`; :meth:`remove` takes the hook away again."""

    def __init__(self, hooks: dict[int, Hook], key: int) -> None:
        self._hooks = hooks
        self._key = key

    def remove(self) -> None:
        """Take the hook away; a second call does nothing."""
        self._hooks.pop(self._key, None)


def register_hook(tensor: Taped, hook: Hook) -> HookHandle:
    """Call ``hook(gradient)`` whenever the gradient of ``tensor`` is known.

    What the hook returns, if anything, replaces the gradient.

    Raises:
        TapeError: ``tensor`` requires no gradient.
    """
    edge = edge_of(tensor)
    if edge is None:
        raise TapeError("register_hook: the tensor does not require a gradient")
    hooks = edge.hooks = {} if edge.hooks is None else edge.hooks
    key = next(_numbers)
    hooks[key] = hook
    return HookHandle(hooks, key)


def retain_grad(tensor: Taped) -> None:
    """Keep the gradient of a tensor that is not a leaf in its ``grad`` as backward passes."""
    if tensor.node is None:
        return
    watched = weakref.ref(tensor)  # the node must not keep its own result alive

    def keep(gradient: Any) -> None:
        kept = watched()
        if kept is not None:
            kept.grad = gradient.clone() if kept.grad is None else kept.grad + gradient

    register_hook(tensor, keep)
