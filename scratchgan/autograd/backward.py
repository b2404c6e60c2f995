"""The backward pass: gradients of tensors with respect to what they were made from.

Reverse-mode differentiation (Baydin et al. 2018, "Automatic differentiation in machine learning:
a survey", section 3.2). :func:`backpropagate` visits the nodes of the tape
(:mod:`scratchgan.autograd.tape`) from last to first and asks each for its vector-Jacobian products
(VJPs). Those are made of primitives themselves, so with ``create_graph`` the backward pass is
recorded too, and can be differentiated again.

Nothing here does arithmetic: gradients that meet are added (``+``), and that is all.
"""

import heapq
from collections.abc import Sequence
from typing import Any

from scratchgan.autograd.arguments import require_tensors, tensors_of
from scratchgan.autograd.hooks import call_hooks
from scratchgan.autograd.tape import Edge, Mode, Node, TapeError, edge_of, mode
from scratchgan.autograd.tensor import Tensor, gradient_watch, method


def backpropagate(
    starts: Sequence[tuple[Edge, Tensor]],
    retain_graph: bool,
    wanted: set[Edge] | None = None,
) -> dict[Edge, Tensor]:
    """Gradients of the leaves that ``starts`` were made from, or of the edges in ``wanted``.

    Args:
        starts: Nodes or leaves, with the gradients that arrive there.
        retain_graph: Keep saved values for another backward.
        wanted: The edges whose gradients are asked for; the rest of the tape stays as it is.
    """
    path = None if wanted is None else _edges_to(wanted, starts)
    gradients: dict[Edge, Tensor] = {}
    waiting: list[tuple[int, Node]] = []  # a heap: the node that was made last comes first
    arriving = starts
    while True:
        for edge, gradient in arriving:
            if edge in gradients:
                gradients[edge] = gradients[edge] + gradient
                continue
            gradients[edge] = gradient
            if isinstance(edge, Node):
                heapq.heappush(waiting, (-edge.number, edge))
        if not waiting:
            break
        # All that used this node's result were made later, so that its gradient is complete.
        node = heapq.heappop(waiting)[1]
        g = gradients.pop(node)
        if node.hooks:
            g = call_hooks(node.hooks, g)
        if wanted is not None and node in wanted:
            gradients[node] = g
        arriving = ()
        if path is None or not path.isdisjoint(node.edges):
            arriving = node.pull_back(g, path)
            if not retain_graph:
                node.saved = None
    for edge, gradient in gradients.items():
        if edge.hooks and not isinstance(edge, Node):
            gradients[edge] = call_hooks(edge.hooks, gradient)
    return gradients


def _edges_to(wanted: set[Edge], starts: Sequence[tuple[Edge, Tensor]]) -> set[Edge]:
    """The edges on a path from ``starts`` to ``wanted``."""
    stack = [edge for edge, _ in starts if isinstance(edge, Node)]
    seen = set(stack)
    while stack:
        for edge in stack.pop().edges:
            if isinstance(edge, Node) and edge not in seen:
                seen.add(edge)
                stack.append(edge)
    path = set(wanted)
    for node in sorted(seen, key=lambda node: node.number):
        if not path.isdisjoint(node.edges):
            path.add(node)
    return path


def backward(
    tensors: Tensor | Sequence[Tensor],
    gradients: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Tensor | Sequence[Tensor] | None = None,
) -> None:
    """Add to ``grad`` of every leaf the gradient of ``tensors`` with respect to it.

    Args:
        tensors: Where to start, one tensor or several.
        gradients: The gradient of each start, of its shape; may be left out for one element.
        retain_graph: Keep saved values for another backward. Default: as ``create_graph``.
        create_graph: Record the backward pass, so that gradients can be differentiated again.
        inputs: The tensors whose ``grad`` is added to, leaves or not; all leaves, if None.

    Raises:
        TapeError: A start requires no gradient, has no gradient though it has many elements, or
            was freed by an earlier backward; or a saved tensor was changed in place.
    """
    _accumulate(starts_of("backward", tensors, gradients), retain_graph, create_graph, inputs)


@method("backward")
def _backward(
    tensor: Tensor,
    gradient: Tensor | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Tensor | Sequence[Tensor] | None = None,
) -> None:
    """Add to ``grad`` of every leaf this tensor was made from (:func:`autograd.backward`)."""
    _accumulate((start("backward", tensor, gradient),), retain_graph, create_graph, inputs)


def _accumulate(
    starts: Sequence[tuple[Edge, Tensor]],
    retain_graph: bool | None,
    create_graph: bool,
    inputs: Tensor | Sequence[Tensor] | None,
) -> None:
    wanted = None if inputs is None else dict(edges_of("backward", inputs))
    if wanted is not None and not wanted:
        raise TapeError("backward: inputs is empty; leave it out for the gradients of all leaves")
    before = mode.get()
    mode.set(Mode(create_graph, before.watchers, before.changed))
    try:
        keeps = create_graph if retain_graph is None else retain_graph
        found = backpropagate(starts, keeps, None if wanted is None else set(wanted))
        watch = gradient_watch.get()
        for edge, gradient in found.items():
            leaf: Any = edge if wanted is None else wanted[edge]
            known = leaf._grad
            if watch is not None or callable(known):
                known = leaf.grad
            if watch is not None:
                watch.set(leaf)
            if known is not None:
                leaf._grad = known + gradient
                continue
            # A VJP may hand the same gradient to several inputs, or a view of another's, or the
            # one that it was given; each leaf gets memory of its own.
            if gradient.may_alias:
                gradient = gradient.clone()
            gradient.may_alias = True
            leaf._grad = gradient
    finally:
        mode.set(before)


def edges_of(name: str, inputs: Any) -> list[tuple[Edge, Tensor]]:
    """The edges that lead to ``inputs``, each with its input."""
    found = []
    for i, x in enumerate(tensors_of(name, (inputs,) if isinstance(inputs, Tensor) else inputs)):
        edge = edge_of(x)
        if edge is None:
            raise TapeError(f"{name}: input {i} does not require a gradient")
        found.append((edge, x))
    return found


def starts_of(name: str, tensors: Any, gradients: Any) -> list[tuple[Edge, Tensor]]:
    """Where to start for each of ``tensors``, and with which gradient there."""
    given = tensors_of(name, (tensors,) if isinstance(tensors, Tensor) else tensors)
    if not isinstance(gradients, list | tuple):
        gradients = (gradients,) * (len(given) if gradients is None else 1)
    if len(gradients) != len(given):
        raise TapeError(f"{name}: {len(gradients)} gradients were given for {len(given)} tensors")
    return [start(name, x, gradient) for x, gradient in zip(given, gradients, strict=True)]


def start(name: str, tensor: Tensor, gradient: Tensor | None) -> tuple[Edge, Tensor]:
    """Where to start for ``tensor``, and with which gradient; None stands for ones."""
    if not tensor.requires_grad:
        raise TapeError(
            f"{name}: a tensor of shape {tensor.shape} that does not require a gradient was not "
            "made from any that does; set requires_grad=True on a leaf, and mind no_grad"
        )
    if gradient is None:
        if tensor.array.size != 1:
            raise TapeError(
                f"{name}: a tensor of shape {tensor.shape} has no single gradient to start from; "
                "reduce it to one element, or pass a gradient of its shape"
            )
        return tensor.node or tensor, tensor.ones_like()
    if not isinstance(gradient, Tensor):
        require_tensors(name, gradient=gradient)
    if gradient.array.shape != tensor.array.shape:
        raise TapeError(
            f"{name}: the gradient's shape {gradient.shape} is not the tensor's {tensor.shape}"
        )
    gradient.may_alias = True
    return tensor.node or tensor, gradient
