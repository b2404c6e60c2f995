"""What the tape is made of: which primitive ran, from what, and what its VJPs will need.

When a primitive computes with an input that requires a gradient, it leaves a :class:`Node` behind.
:mod:`scratchgan.autograd` visits the nodes from last to first and asks each for the gradients of
its inputs.

Nothing here does arithmetic: the tape knows only that gradients can be summed to a shape
(``sum_to_size``) and converted to a type (``to``).
"""

import copy
import functools
import itertools
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NoReturn, Self

import numpy as np

from scratchgan.backend import Array, Kernel, devices, kernels_for

Hook = Callable[[Any], Any]


class TapeError(RuntimeError):
    """The tape cannot do what is asked; the message names the primitive and what to do."""


class Mode:
    """How primitives run in a thread.

    Attributes:
        recording: Whether they leave nodes behind.
    """

    __slots__ = ("recording",)

    def __init__(self) -> None:
        self.recording = True


class _Current(threading.local):
    def __init__(self) -> None:
        self.mode = Mode()


#: ``current.mode`` is that of this thread. It takes Python four times as long to find as what any
#: other object holds, so who needs it twice keeps it.
current = _Current()


class Kind:
    """What an array is like. Arrays that are alike share one, so that a glance tells them alike.

    Attributes:
        dtype: Of the elements.
        shape: Sizes of the dimensions.
        is_plain: Whether it is contiguous, and its elements are floating.
        plain: The elementwise kernels that make their result of such arrays, by name. None under
            any name where an array is not plain.
        hooks: Of a node that made such an array. Few nodes have any, and those get a kind of their
            own, so that all others need no room for them.
        unhooked: The same without hooks.
    """

    __slots__ = ("dtype", "hooks", "is_plain", "plain", "shape", "unhooked")

    def __init__(
        self, array_type: type, dtype: Any, shape: tuple[int, ...], strides: tuple[int, ...]
    ) -> None:
        self.dtype = dtype
        self.shape = shape
        self.is_plain = dtype.kind == "f" and _are_contiguous(shape, strides, dtype.itemsize)
        self.plain: Mapping[str, Kernel | None] = _NONE
        if self.is_plain:
            self.plain = kernels_for.plain(array_type, dtype, bool(shape))
        self.hooks: dict[int, Hook] | None = None
        self.unhooked = self

    def with_hooks(self, hooks: dict[int, Hook]) -> "Kind":
        """The same with other hooks."""
        kind = copy.copy(self)
        kind.hooks = hooks
        return kind


_NONE: Mapping[str, Kernel | None] = defaultdict(lambda: None)


def _are_contiguous(shape: tuple[int, ...], strides: tuple[int, ...], itemsize: int) -> bool:
    """Whether elements of ``itemsize`` bytes with these strides lie in row-major order."""
    step = itemsize
    for n, stride in zip(reversed(shape), reversed(strides), strict=True):
        if n != 1 and stride != step:
            return 0 in shape
        step *= n
    return True


_kind = functools.lru_cache(maxsize=4096)(Kind)


def kind_of(tensor: "Taped") -> Kind:
    """The kind of its array, which the tensor remembers."""
    array = tensor.array
    array_type: Any = type(array)
    kind = tensor.kind = _kind(array_type, array.dtype, array.shape, array.strides)
    return kind


def difference_from(expected: Array, given: Array) -> str | None:
    """In what ``given`` is not like ``expected``: shape, type, device; None if it is."""
    if type(given) is type(expected) and given.shape == expected.shape:
        is_on_cpu = type(given) is np.ndarray
        if given.dtype == expected.dtype and (
            is_on_cpu or devices.device_of(given) == devices.device_of(expected)
        ):
            return None
    facts = (
        ("shape", given.shape, expected.shape),
        ("type", given.dtype, expected.dtype),
        ("device", devices.device_of(given), devices.device_of(expected)),
    )
    return " and ".join(
        f"one of {name} {found}, not {wanted}" for name, found, wanted in facts if found != wanted
    )


class Taped:
    """An array and its place on the tape; :class:`scratchgan.Tensor` adds the arithmetic.

    A *leaf* was made by the user (``node`` is None); its gradient is accumulated in ``grad``.
    """

    __slots__ = (
        "_grad",
        "_version",
        "array",
        "hooks",
        "is_shared",
        "kind",
        "node",
        "requires_grad",
    )

    def __init__(self, data: Array, requires_grad: bool = False) -> None:
        self.array = data
        #: What :func:`kind_of` says of the array; None while nobody has asked.
        self.kind: Kind | None = None
        self.requires_grad = False
        self._grad: Self | None = None
        self.node: Node | None = None
        # [when it was last changed in place], shared by all views of the same memory. Made when
        # first needed.
        self._version: list[int] | None = None
        self.hooks: dict[int, Hook] | None = None
        #: Whether the memory may be someone else's too: it is a view, say, or a leaf's gradient.
        self.is_shared = False
        if requires_grad:
            self.requires_grad_()

    @property
    def grad(self) -> Self | None:
        """The gradient, of this shape, type and device, or None.

        Raises:
            TypeError: What is assigned is neither a tensor nor None.
            RuntimeError: It has another shape or type, or lies on another device.
        """
        return self._grad

    @grad.setter
    def grad(self, gradient: Self | None) -> None:
        if gradient is not None:
            if not isinstance(gradient, Taped):
                raise TypeError(f"grad: is a tensor or None, not {type(gradient).__name__}")
            difference = difference_from(self.array, gradient.array)
            if difference:
                raise RuntimeError(
                    f"grad: the gradient of a tensor is like the tensor, but here is {difference}"
                )
        self._grad = gradient

    @property
    def data(self) -> Array:
        """The backing array. Changing it directly is not seen by the tape.

        Raises:
            TypeError: What is assigned is no array.
            RuntimeError: It has another shape or type, or lies on another device.
        """
        return self.array

    @data.setter
    def data(self, array: Array) -> None:
        if not hasattr(array, "strides"):
            raise TypeError(f"data: is an array, not {type(array).__name__}")
        difference = difference_from(self.array, array)
        if difference:
            raise RuntimeError(
                f"data: an array takes the place of one like it, but here is {difference}; make a "
                "new tensor of it"
            )
        self.replace_array(array)

    def replace_array(self, array: Array) -> None:
        """Take another array as the backing one, of whatever type or device."""
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
#: (:func:`scratchgan.autograd.observe.observe` sets it).
watch: Callable[[Any, tuple[Any, ...], dict[str, Any], Any], None] | None = None

#: In the order of time: nodes that are made, changes in place.
numbers = itertools.count(1)


class Node(float):
    """One primitive that ran: from what, and what its VJPs asked to keep.

    Nodes are numbered as they are made, and a node is its number: falling numbers are a topological
    order of any graph. An int beside it would make the node half as large again, and a long tape
    has many.

    For each case there is a class of nodes, its *rule* (:mod:`scratchgan.autograd.rules`), with a
    slot for each thing that is kept.

    Attributes:
        kind: That of what the primitive made; it holds the hooks, too.
        name: The primitive's.
        source: The class and the function that makes such nodes, as text.
        functions: What they call, by name: ``vjp_<input>``, and ``make_<name>`` for what is
            computed once for several VJPs.
    """

    __slots__ = ("kind",)
    __hash__ = object.__hash__  # as leaves have it, which stand in one dictionary with nodes

    kind: Kind
    name: ClassVar[str]
    source: ClassVar[str]
    functions: ClassVar[dict[str, Callable[..., Any]]]

    @property
    def hooks(self) -> dict[int, Hook] | None:
        """Called with the gradient when it arrives."""
        return self.kind.hooks

    @hooks.setter
    def hooks(self, hooks: dict[int, Hook]) -> None:
        self.kind = self.kind.with_hooks(hooks)

    @property
    def edges(self) -> list["Edge"]:
        """Where the gradients of the inputs go that get one."""
        raise NotImplementedError

    def pull_back(
        self, g: Any, leading: "set[Edge] | None", create_graph: bool, retain_graph: bool
    ) -> Sequence[tuple["Edge", Any]]:
        """The edges, and the gradients that go there, from the gradient of what was made.

        Args:
            g: The gradient.
            leading: Give those of these edges alone, if there are any.
            create_graph: Whether the tape records.
            retain_graph: Without it, let go of what was kept.

        Raises:
            TapeError: It was let go before, or is no more what it was.
        """
        raise NotImplementedError

    @property
    def is_freed(self) -> bool:
        """Whether a backward let go of what it kept."""
        return isinstance(self, Freed)

    def __repr__(self) -> str:
        return f"<{self.name} node {int(self)}, shape {self.kind.shape}>"

    # What a rule calls where something is not as it should be.

    def changed(self, name: str) -> TapeError:
        """The error that what was kept as ``name`` is not what it was."""
        return TapeError(
            f"the backward of {self.name!r} needs {name!r} as it was in the forward, but it was "
            "changed in place since then; change a clone() of it instead"
        )

    def fitted(self, gradient: Any, edge: "Edge", name: str) -> Any:
        """``gradient`` with the shape and type that ``edge`` takes; ``name`` is the input's.

        Broadcasting is undone here, for every primitive, and nowhere else.
        """
        kind = edge.kind or kind_of(edge)  # type: ignore[arg-type]
        if gradient.array.shape != kind.shape:
            try:
                gradient = gradient.sum_to_size(kind.shape)
            except ValueError as error:
                raise TapeError(
                    f"the VJP of {self.name!r} for {name!r} gave a gradient of shape "
                    f"{gradient.shape} for an input of shape {kind.shape}"
                ) from error
        return gradient if gradient.array.dtype is kind.dtype else gradient.to(kind.dtype)


class Freed(Node):
    """A node whose backward let go of what it kept."""

    __slots__ = ()

    def pull_back(self, *_: Any) -> NoReturn:
        """Raise a TapeError."""
        raise TapeError(
            f"backward came a second time to {self.name!r}, whose saved values were freed the "
            "first time; call the first backward with retain_graph=True"
        )


Edge = Node | Taped  #: A node, or a leaf.


def edge_of(tensor: Taped) -> Edge | None:
    """Where the gradient of ``tensor`` goes: its node, the leaf itself, or nowhere."""
    if not tensor.requires_grad:
        return None
    return tensor.node or tensor
