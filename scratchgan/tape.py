"""What the tape is made of: which primitive ran, from what, and what its VJPs will need.

When a primitive computes with an input that requires a gradient, it leaves a :class:`Node` behind.
:mod:`scratchgan.autograd` visits the nodes from last to first and asks each for the gradients of
its inputs, :meth:`Node.pull_back`.

Nothing here does arithmetic: the tape knows only that gradients can be summed to a shape
(``sum_to_size``) and converted to a type (``to``).
"""

import itertools
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

from scratchgan.backend import Array

Hook = Callable[[Any], Any]


class TapeError(RuntimeError):
    """The tape cannot do what is asked; the message names the primitive and what to do."""


class _Mode(threading.local):
    recording = True


#: Whether primitives leave nodes behind, in this thread.
mode = _Mode()


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


class Effects:
    """What a step did to tensors besides computing: noted while :mod:`scratchgan.jit` records."""

    def __init__(self) -> None:
        #: Version counters of tensors that were changed in place.
        self.versions: list[list[int]] = []
        #: Leaves whose ``grad`` backward set.
        self.graded: dict[int, Taped] = {}


effects: Effects | None = None

#: Called after each primitive that ran, with it, its inputs, keywords and result
#: (:func:`scratchgan.observe.observe` sets it).
watch: Callable[[Any, tuple[Any, ...], dict[str, Any], Any], None] | None = None

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


numbers = itertools.count()


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
        self.number = next(numbers)
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
        rule = self.rule
        values = {**self.values, "g": g}
        if rule.saves_out:
            values["out"] = self._restored(values["out"], type(g))
        for name, function, arguments in rule.common:
            values[name] = function(*arguments(values))
        gradients = []
        for position, name, function, arguments in rule.steps:
            edge: Any = self.edges[position]
            if leading is not None and edge not in leading:
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

    def _restored(self, saved: SavedOutput, tensor_type: type[Taped]) -> Taped:
        """The tensor that this node made."""
        out: Taped = object.__new__(tensor_type)
        out.data = saved.array
        out._version = saved.version
        out.node = self
        out.requires_grad = True
        return out

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


def edge_of(tensor: Taped) -> Edge | None:
    """Where the gradient of ``tensor`` goes: its node, the leaf itself, or nowhere."""
    if not tensor.requires_grad:
        return None
    return tensor.node or tensor
