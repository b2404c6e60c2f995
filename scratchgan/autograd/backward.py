"""Gradients: how they travel back through the tape, and who may watch them pass.

Reverse-mode differentiation (Baydin et al. 2018, "Automatic differentiation in machine learning:
a survey", section 3.2). :func:`backward` and :func:`grad` visit the nodes of the tape
(:mod:`scratchgan.autograd.tape`) from last to first and ask each primitive for its vector-Jacobian
products (VJPs). Those are made of primitives themselves, so with ``create_graph`` the way back is
on the tape too, and can be differentiated again.

Nothing here does arithmetic: gradients that meet are added (``+``), and that is all.
"""

import heapq
import weakref
from collections.abc import Sequence
from contextlib import AbstractContextManager, ContextDecorator
from typing import Any

from scratchgan.autograd import tape
from scratchgan.autograd.tape import Edge, Hook, Node, Taped, TapeError, current, edge_of, numbers

__all__ = [
    "HookHandle",
    "TapeError",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "grad",
    "is_grad_enabled",
    "no_grad",
    "register_hook",
    "retain_grad",
    "set_grad_enabled",
]

# --- Whether primitives leave nodes behind --------------------------------------------


class set_grad_enabled(ContextDecorator):
    """Context or decorator within which primitives are recorded, or not."""

    def __init__(self, enabled: bool) -> None:
        self.enabled = enabled
        self.before: list[bool] = []  # a stack: one instance may decorate a recursive function

    def __enter__(self) -> None:
        mode = current.mode
        self.before.append(mode.recording)
        mode.recording = self.enabled

    def __exit__(self, *_: object) -> None:
        current.mode.recording = self.before.pop()


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
    return current.mode.recording


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
    backward_from(_starts(tensors, gradients), retain_graph, create_graph)


def backward_from(
    starts: Sequence[tuple[Edge, Any]], retain_graph: bool | None, create_graph: bool
) -> None:
    """:func:`backward` from edges with the gradients that arrive there."""
    mode = current.mode
    before, mode.recording = mode.recording, create_graph
    try:
        found = _run(starts, None, retain_graph, create_graph)
        leaf: Any  # no node is left among what was found
        for leaf, gradient in found.items():
            if tape.effects is not None:
                tape.effects.graded[id(leaf)] = leaf
            if leaf._grad is not None:
                leaf._grad = leaf._grad + gradient
                continue
            # A rule may hand the same gradient to several inputs, or a view of another's, or the
            # one that it was given; each leaf gets memory of its own.
            if gradient.is_shared:
                gradient = gradient.clone()
            gradient.is_shared = True
            leaf._grad = gradient
    finally:
        mode.recording = before


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
    targets = [inputs] if isinstance(inputs, Taped) else list(inputs)
    edges = [edge_of(target) for target in targets]
    for position, edge in enumerate(edges):
        if edge is None:
            raise TapeError(f"grad: input {position} does not require a gradient")
    wanted = {edge for edge in edges if edge is not None}
    mode = current.mode
    before, mode.recording = mode.recording, create_graph
    try:
        starts = _starts(outputs, grad_outputs)
        found = _run(starts, wanted, retain_graph, create_graph)
    finally:
        mode.recording = before
    for position, edge in enumerate(edges):
        if edge not in found and not allow_unused:
            raise TapeError(
                f"grad: the outputs do not depend on input {position}; with allow_unused=True "
                "its gradient is given as None"
            )
    return tuple(found.get(edge) for edge in edges)  # type: ignore[arg-type]


def _starts(tensors: Any, gradients: Any) -> list[tuple[Edge, Any]]:
    """Where to start, and with which gradient there."""
    if isinstance(gradients, Taped):
        gradients = (gradients,)
    if isinstance(tensors, Taped):
        tensors = (tensors,)
    if gradients is None:
        gradients = (None,) * len(tensors)
    if len(gradients) != len(tensors):
        raise TapeError(
            f"backward: {len(gradients)} gradients were given for {len(tensors)} tensors"
        )
    return list(map(start, tensors, gradients))


def start(tensor: Any, gradient: Any) -> tuple[Edge, Any]:
    """Where to start for ``tensor``, and with which gradient; None stands for ones."""
    if not tensor.requires_grad:
        raise TapeError(
            f"backward: a tensor of shape {tensor.shape} that does not require a gradient was not "
            "made from any that does; set requires_grad=True on a leaf, and mind no_grad"
        )
    if gradient is None:
        if tensor.array.size != 1:
            raise TapeError(
                f"backward: a tensor of shape {tensor.shape} has no single gradient to start from; "
                "reduce it to one element, or pass gradient= of its shape"
            )
        gradient = tensor.ones_like()
    elif (
        gradient.kind is None or gradient.kind is not tensor.kind
    ) and gradient.shape != tensor.shape:
        raise TapeError(
            f"backward: the gradient's shape {gradient.shape} is not the tensor's {tensor.shape}"
        )
    else:
        gradient.is_shared = True
    return tensor.node or tensor, gradient


def _run(
    arriving: Sequence[tuple[Edge, Any]],
    wanted: set[Edge] | None,
    retain_graph: bool | None,
    create_graph: bool,
) -> dict[Edge, Any]:
    """Gradients of the leaves, or with ``wanted`` of those edges and no others."""
    if retain_graph is None:
        retain_graph = create_graph
    leading = None if wanted is None else _leading([edge for edge, _ in arriving], wanted)
    gradients: dict[Edge, Any] = {}
    waiting: list[tuple[float, Node]] = []  # a heap: the last node that was made comes first
    node: Any
    while True:
        if len(arriving) == 1 and not waiting and isinstance(arriving[0][0], Node):
            node, gradient = arriving[0]  # nothing else will arrive there
        else:
            for edge, gradient in arriving:
                if edge in gradients:
                    gradients[edge] = gradients[edge] + gradient
                    continue
                gradients[edge] = gradient
                if isinstance(edge, Node):
                    heapq.heappush(waiting, (-edge, edge))
            if not waiting:
                break
            node = heapq.heappop(waiting)[1]
            gradient = gradients.pop(node)
        if node.kind.hooks:
            gradient = _hooked(node.kind.hooks, gradient)
        if wanted is not None and node in wanted:
            gradients[node] = gradient
        if leading is not None and leading.isdisjoint(node.edges):
            arriving = []  # nothing wanted lies behind it: it stays as it is
            continue
        arriving = node.pull_back(gradient, leading, create_graph, retain_graph)
    for edge, gradient in gradients.items():
        if edge.hooks and not isinstance(edge, Node):
            gradients[edge] = _hooked(edge.hooks, gradient)
    return gradients


def _leading(starts: list[Edge], wanted: set[Edge]) -> set[Edge]:
    """The edges behind ``starts`` from which one of ``wanted`` can be reached, and those."""
    stack = [edge for edge in starts if isinstance(edge, Node)]
    seen = set(stack)
    while stack:
        for edge in stack.pop().edges:
            if isinstance(edge, Node) and edge not in seen:
                seen.add(edge)
                stack.append(edge)
    leading = set(wanted)
    for node in sorted(seen):
        if not leading.isdisjoint(node.edges):
            leading.add(node)
    return leading


# --- Watching gradients as they pass --------------------------------------------------


def _hooked(hooks: dict[int, Hook], gradient: Any) -> Any:
    for hook in list(hooks.values()):
        changed = hook(gradient)
        if changed is None:
            continue
        name = getattr(hook, "__qualname__", type(hook).__name__)
        if not isinstance(changed, Taped):
            raise TypeError(
                f"backward: the hook {name} returned {type(changed).__name__}; a hook returns a "
                "gradient like the one that it was given, or None"
            )
        difference = tape.difference_from(gradient.array, changed.array)
        if difference:
            raise TapeError(
                f"backward: the hook {name} must return a gradient like the one that it was given, "
                f"but returned {difference}"
            )
        gradient = changed
    return gradient


def detect_anomaly() -> AbstractContextManager[None]:
    """Context that stops where a nan or an inf first appears.

    Every result of a primitive in this thread is looked at, and every gradient of one that ran
    within the context. An inf among the inputs may stay one (a mask of ``-inf``, say); a nan is
    always an error. Reading all these values is slow: this is for looking for a fault. A function
    of :func:`scratchgan.jit` runs as it is meanwhile, neither recorded nor replayed.

    Raises:
        AnomalyError: A nan or an inf appeared. The message names the primitive and the line of
            the user's code that called it, also where it appears only in the backward.
    """
    from scratchgan.autograd import anomaly  # it watches primitives, which are made of nodes

    return anomaly.detect_anomaly()


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
    key = next(numbers)
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
