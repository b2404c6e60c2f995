"""What the tape is made of: which primitive ran, from what, and what its VJPs will need.

When a primitive computes with an input that requires a gradient, it leaves a :class:`Node` behind.
:mod:`scratchgan.autograd` visits the nodes from last to first and asks each for the gradients of
its inputs, :meth:`Node.pull_back`.

Nothing here does arithmetic: the tape knows only that gradients can be summed to a shape
(``sum_to_size``) and converted to a type (``to``).
"""

import functools
import itertools
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

from scratchgan.backend import Array, kernels_for

Hook = Callable[[Any], Any]


class TapeError(RuntimeError):
    """The tape cannot do what is asked; the message names the primitive and what to do."""


class _Mode(threading.local):
    recording = True


#: Whether primitives leave nodes behind, in this thread.
mode = _Mode()


class Kind(NamedTuple):
    """What an array is like. Arrays that are alike share one, so that a glance tells them alike.

    Attributes:
        array_type: Of which library.
        dtype: Of the elements.
        shape: Sizes of the dimensions.
        is_plain: Whether it is contiguous and has floating elements.
    """

    array_type: type
    dtype: Any
    shape: tuple[int, ...]
    is_plain: bool


_kind = functools.lru_cache(maxsize=4096)(Kind)


def kind_of(tensor: "Taped") -> Kind:
    """The kind of its array, which the tensor remembers."""
    array = tensor.array
    array_type: Any = type(array)
    dtype = array.dtype
    is_plain = dtype.kind == "f" and kernels_for[array_type].is_contiguous(array)
    kind = tensor.kind = _kind(array_type, dtype, array.shape, is_plain)
    return kind


class Taped:
    """An array and its place on the tape; :class:`scratchgan.Tensor` adds the arithmetic.

    A *leaf* was made by the user (``node`` is None); its gradient is accumulated in ``grad``.
    """

    __slots__ = ("_version", "array", "grad", "hooks", "is_view", "kind", "node", "requires_grad")

    def __init__(self, data: Array, requires_grad: bool = False) -> None:
        self.array = data
        #: What :func:`kind_of` says of the array; None while nobody has asked.
        self.kind: Kind | None = None
        self.requires_grad = False
        self.grad: Any = None
        self.node: Node | None = None
        # [when it was last changed in place], shared by all views of the same memory. Made when
        # first needed.
        self._version: list[int] | None = None
        self.hooks: dict[int, Hook] | None = None
        #: Whether it was made as a view of another tensor's memory.
        self.is_view = False
        if requires_grad:
            self.requires_grad_()

    @property
    def data(self) -> Array:
        """The backing array. Changing it directly is not seen by the tape."""
        return self.array

    @data.setter
    def data(self, array: Array) -> None:
        self.array = array
        self.kind = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the dimensions."""
        return self.array.shape  # type: ignore[no-any-return]

    @property
    def dtype(self) -> Any:
        """NumPy data type of the elements."""
        return self.array.dtype

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Record operations on this leaf from now on, or no more.

        Raises:
            RuntimeError: The elements are not floating point, or this is no leaf.
        """
        if requires_grad and self.dtype.kind != "f":
            raise RuntimeError(
                f"requires_grad: only floating types have gradients, not {self.dtype}"
            )
        if not requires_grad and self.node is not None:
            raise RuntimeError("requires_grad_: only for leaves; use detach()")
        self.requires_grad = requires_grad
        return self

    def mark_changed(self) -> None:
        """Note that it is changed in place, so that a tape that needs the old value notices."""
        self.version[0] = next(numbers)
        if effects is not None:
            effects.versions.append(self.version)

    @property
    def version(self) -> list[int]:
        """The number of the last change in place, 0 before it; all views of a memory share it."""
        if self._version is None:
            self._version = [0]
        return self._version


#: The class of results; ``scratchgan.tensor`` sets it to Tensor.
tensor_type: Callable[[Array], Any] = Taped


class Effects:
    """What a step did to tensors besides computing: noted while :mod:`scratchgan.jit` records."""

    def __init__(self) -> None:
        #: Versions of tensors that were changed in place.
        self.versions: list[list[int]] = []
        #: Leaves whose ``grad`` backward set.
        self.graded: dict[int, Taped] = {}


effects: Effects | None = None

#: Called after each primitive that ran, with it, its inputs, keywords and result
#: (:func:`scratchgan.observe.observe` sets it).
watch: Callable[[Any, tuple[Any, ...], dict[str, Any], Any], None] | None = None

#: From the values that functions may name, those that one of them names as its parameters.
Arguments = Callable[[list[Any]], Sequence[Any]]


@dataclass(slots=True)
class Step:
    """One function of a rule: what its value is named or for, and how it gets its arguments."""

    name: str
    function: Callable[..., Any]
    arguments: Arguments


@dataclass(slots=True)
class Rule:
    """How a primitive's gradient goes back to those of its inputs that require one.

    Attributes:
        name: Of the primitive.
        common: What is computed once for all inputs.
        steps: A VJP for each input that gets a gradient.
        positions: Of these inputs.
        saved: From all inputs, the tensors that are kept.
        tensors: The places of these among the values that VJPs may name, and their names.
        constants: From the inputs and keywords, whatever else is kept: numbers and shapes.
        saves_out: Whether the output is kept.
    """

    name: str
    common: tuple[Step, ...]
    steps: tuple[Step, ...]
    positions: tuple[int, ...]
    saved: Callable[[tuple[Any, ...]], tuple[Any, ...]]
    tensors: tuple[tuple[int, str], ...]
    constants: tuple[Callable[[tuple[Any, ...], dict[str, Any]], Any], ...]
    saves_out: bool


#: In the order of time: nodes that are made, changes in place.
numbers = itertools.count(1)


class Node(list[Any]):
    """One primitive that ran: from what, and what its VJPs asked to keep.

    It is the list of what it keeps: first the edges, then the tensors that the VJPs take, then
    constants. One object and not two, because the garbage collector looks at each again and again
    as a tape grows.

    Nodes are numbered as they are made, so falling numbers are a topological order of any graph.
    """

    __slots__ = ("__weakref__", "hooks", "is_freed", "kind", "number", "out", "rule", "version")
    __eq__ = object.__eq__
    __hash__ = object.__hash__  # type: ignore[assignment]

    def __init__(self, rule: Rule, result: Taped) -> None:
        self.rule = rule
        self.is_freed = False
        self.out: Array = None
        self.version: list[int] | None = None
        if rule.saves_out:  # as an array, for a tensor would form a cycle
            self.out = result.array
            self.version = result.version
        self.kind = result.kind or kind_of(result)
        self.number = next(numbers)
        self.hooks: dict[int, Hook] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """That of what the primitive made."""
        return self.kind.shape

    @property
    def name(self) -> str:
        """The primitive's."""
        return self.rule.name

    @property
    def edges(self) -> list["Edge"]:
        """Where the gradients of the inputs go that get one."""
        return self[: len(self.rule.steps)]

    def __repr__(self) -> str:
        return f"<{self.name} node {self.number}, shape {self.shape}>"

    def pull_back(self, g: Taped, leading: "set[Edge] | None") -> "list[tuple[Edge, Any]]":
        """The gradients of the inputs that require one, from the gradient ``g`` of the output.

        With ``leading``, only of those inputs whose edges are in it.
        """
        if self.is_freed:
            raise TapeError(
                f"backward came a second time to {self.name!r}, whose saved values were freed the "
                "first time; call the first backward with retain_graph=True"
            )
        rule = self.rule
        values = [g, *self]
        for place, name in rule.tensors:
            version = values[place]._version
            if version is not None and version[0] > self.number:
                raise self._changed(name)
        if rule.saves_out:
            values.append(self._restored())
        for step in rule.common:
            values.append(step.function(*step.arguments(values)))
        gradients = []
        for position, step in enumerate(rule.steps):
            edge = self[position]
            if leading is not None and edge not in leading:
                continue
            gradient = step.function(*step.arguments(values))
            kind = edge.kind or kind_of(edge)
            if gradient.kind is not kind:
                if gradient.array.shape != kind.shape:
                    gradient = self._summed(gradient, kind.shape, step.name)
                if gradient.array.dtype is not kind.dtype:
                    gradient = gradient.to(kind.dtype)
            gradients.append((edge, gradient))
        return gradients

    def free(self) -> None:
        """Let go of what was kept for the VJPs; a second backward is an error from now on."""
        del self[len(self.rule.steps) :]
        self.out = None
        self.is_freed = True

    def _restored(self) -> Taped:
        """The tensor that this node made."""
        assert self.version is not None
        if self.version[0] > self.number:
            raise self._changed("out")
        out: Taped = tensor_type(self.out)
        out.kind = self.kind
        out._version = self.version
        out.node = self
        out.requires_grad = True
        return out

    def _changed(self, name: str) -> TapeError:
        return TapeError(
            f"the backward of {self.name!r} needs {name!r} as it was in the forward, but it was "
            "changed in place since then; change a clone() of it instead"
        )

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
