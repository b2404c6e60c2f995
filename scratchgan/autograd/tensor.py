"""Tensor: an array, its gradient, and the node of the tape that made it.

This is the ground of the package: nothing here computes. Operators and methods are functions of
the rooms above, which attach them with :func:`method` where they define them: ``x * y`` is
:func:`scratchgan.ops.elementwise.mul`, ``x.backward()`` is in :mod:`scratchgan.autograd.backward`.
"""

import copy
import itertools
import operator
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np

from scratchgan.backend import Array, devices
from scratchgan.missing import OF_TENSORS, lacking

Hook = Callable[[Any], Any]
F = TypeVar("F")

#: While jit records in this context: told when ``grad`` is read or set, when ``data`` is assigned,
#: and when a Function takes tensors. Else None.
gradient_watch: ContextVar[Any] = ContextVar("gradient_watch", default=None)

#: One order of time, for nodes that are made and for changes in place.
clock = itertools.count(1)


@lacking(OF_TENSORS)
class Tensor:
    """An array that remembers how it was made, so that gradients can be taken through it.

    Made by :func:`scratchgan.tensor`, :func:`scratchgan.zeros` and their like; results of
    operations are Tensors too. A *leaf* was made by the user (``node`` is None); its gradient is
    accumulated in ``grad``.

    Attributes:
        array: The backing array, of NumPy or CuPy. Changing it directly is not seen by the tape.
        node: The node of the tape that made this tensor; None for a leaf.
        requires_grad: Whether operations on this tensor are recorded.
        hooks: Functions that are called with the gradient of a leaf, by their keys.
        may_alias: Whether the memory may be another tensor's too: a view, what a view on the tape
            was made of, a leaf's gradient.
    """

    __slots__ = (
        "__dict__",
        "__weakref__",
        "_grad",
        "_requires_grad",
        "_version",
        "array",
        "hooks",
        "may_alias",
        "node",
    )
    __array_ufunc__ = None  # array + tensor comes to Tensor.__radd__

    def __init__(self, data: Array, requires_grad: bool = False) -> None:
        self.array = data
        self._requires_grad = False
        self.node: Any = None  # a scratchgan.autograd.tape.Node
        self.hooks: dict[int, Hook] | None = None
        self.may_alias = False
        # Or a function that gives it, to be called when it is first asked for.
        self._grad: Tensor | Callable[[], Tensor | None] | None = None
        self._version: list[int] | None = None  # made when first needed
        if requires_grad:
            self.requires_grad_()

    # --- What it is --------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the dimensions."""
        return self.array.shape  # type: ignore[no-any-return]

    @property
    def dtype(self) -> Any:
        """NumPy data type of the elements."""
        return self.array.dtype

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return int(self.array.ndim)

    def size(self, dim: int | None = None) -> Any:
        """Sizes of the dimensions, a tuple; or of one.

        Raises:
            IndexError: There is no such dimension.
        """
        if dim is None:
            return self.shape
        if not -self.ndim <= dim < self.ndim:
            raise IndexError(f"size: dim {dim} is out of range for {self.ndim} dimensions")
        return self.shape[dim]

    def dim(self) -> int:
        """Number of dimensions."""
        return self.ndim

    @property
    def device(self) -> devices.Device:
        """Where the elements are stored: ``"cpu"``, ``"cuda:0"``, ``"cuda:1"``, ..."""
        return devices.Device(devices.device_of(self.array))

    @property
    def is_leaf(self) -> bool:
        """Whether it was made by the user and not by a recorded operation."""
        return self.node is None

    def numel(self) -> int:
        """Number of elements."""
        return int(self.array.size)

    nelement = numel

    @property
    def is_cuda(self) -> bool:
        """Whether the elements are stored on a GPU."""
        return self.device != devices.CPU

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len: a tensor without dimensions has no length")
        return self.shape[0]

    __hash__ = object.__hash__

    # --- Gradient, data, and changes in place -------------------------------------------

    @property
    def grad(self) -> "Tensor | None":
        """The gradient, of this shape, type and device, or None.

        Raises:
            TypeError: What is assigned is neither a tensor nor None.
            RuntimeError: It has another shape or type, or is on another device.
        """
        watch, gradient = gradient_watch.get(), self._grad
        if watch is not None:
            return watch.read(self)  # type: ignore[no-any-return]
        is_known = gradient is None or isinstance(gradient, Tensor)
        return gradient if is_known else self._gradient()  # type: ignore[return-value]

    @grad.setter
    def grad(self, gradient: "Tensor | None") -> None:
        if gradient is not None:
            if not isinstance(gradient, Tensor):
                raise TypeError(f"grad: is a tensor or None, not {type(gradient).__name__}")
            difference = devices.difference(self.array, gradient.array)
            if difference:
                raise RuntimeError(
                    f"grad: the gradient of a tensor is like the tensor, but here is {difference}"
                )
        watch = gradient_watch.get()
        if watch is not None:
            watch.set(self)
        self._grad = gradient

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        if self.node is not None:
            raise RuntimeError(
                "deepcopy: of a result on the tape, which would be copied too; copy its detach()"
            )
        made = type(self).__new__(type(self))
        memo[id(self)] = made
        state: Any = self.__getstate__()
        attributes, slots = state
        for name, value in {**(attributes or {}), **slots}.items():
            setattr(made, name, copy.deepcopy(value, memo))
        return made

    def __getstate__(self) -> object:
        self._gradient()  # a copy must not get the function in its place
        return super().__getstate__()

    def _gradient(self) -> "Tensor | None":
        gradient = self._grad
        if gradient is not None and not isinstance(gradient, Tensor):
            gradient = self._grad = gradient()
        return gradient

    @property
    def data(self) -> "Tensor":
        """The same memory off the tape, as :meth:`detach` gives it.

        A tensor that is assigned gives its memory: from then on both have the same.

        Raises:
            TypeError: What is assigned is no tensor, or not of a floating type where gradients are
                required.
        """
        return self.detach()

    @data.setter
    def data(self, other: "Tensor") -> None:
        watch = gradient_watch.get()
        if watch is not None:
            watch.refuse_other_memory()
        if not isinstance(other, Tensor):
            raise TypeError(
                f"data: is a tensor, not {type(other).__name__}; make one with scratchgan.tensor"
            )
        if self.requires_grad and other.dtype.kind != "f":
            raise TypeError(
                f"data: a tensor that requires a gradient cannot have elements of {other.dtype}"
            )
        self.array, self._version = other.array, other.version
        self._version[0] = next(clock)
        self.may_alias = other.may_alias = True

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Record operations on this leaf from now on, or no more.

        Raises:
            RuntimeError: The elements are not floating point, or this is no leaf.
        """
        if requires_grad and self.array.dtype.kind != "f":
            raise RuntimeError(
                f"requires_grad: only floating types have gradients, not {self.dtype}"
            )
        if not requires_grad and self.node is not None:
            raise RuntimeError("requires_grad: a result on the tape keeps it; use detach()")
        self._requires_grad = requires_grad
        return self

    requires_grad = property(operator.attrgetter("_requires_grad"), requires_grad_)

    def detach(self) -> "Tensor":
        """The same memory without its place on the tape."""
        detached = Tensor(self.array)
        detached._version = self.version
        detached.may_alias = True
        return detached

    @property
    def version(self) -> list[int]:
        """``[time of the last change in place]``, 0 before it; all views of a memory share it."""
        if self._version is None:
            self._version = [0]
        return self._version

    if TYPE_CHECKING:  # Operators and methods, which method() attaches where they are defined.
        item: Callable[[], Any]
        tolist: Callable[[], Any]
        numpy: Callable[..., np.ndarray[Any, Any]]
        max: Callable[..., Any]
        min: Callable[..., Any]
        split: Callable[..., tuple["Tensor", ...]]
        chunk: Callable[..., tuple["Tensor", ...]]
        backward: Callable[..., None]
        retain_grad: Callable[[], None]
        register_hook: Callable[[Hook], Any]
        T: "Tensor"
        mT: "Tensor"

        def __float__(self) -> float: ...
        def __int__(self) -> int: ...
        def __index__(self) -> int: ...
        def __getitem__(self, index: Any) -> "Tensor": ...
        def __setitem__(self, index: Any, value: Any) -> None: ...
        def __neg__(self) -> "Tensor": ...
        def __add__(self, other: Any) -> "Tensor": ...
        def __getattr__(self, name: str) -> Callable[..., "Tensor"]: ...  # sum, exp, reshape, ...

        __abs__ = __invert__ = __pos__ = __neg__
        __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __add__
        __matmul__ = __rmatmul__ = __pow__ = __rpow__ = __and__ = __or__ = __xor__ = __add__
        __lshift__ = __rshift__ = __add__
        __lt__ = __le__ = __gt__ = __ge__ = __iadd__ = __isub__ = __imul__ = __itruediv__ = __add__


def method(*names: str, reflected: str = "") -> Callable[[F], F]:
    """Decorator: the function is a method of Tensor too, under ``names`` (default: its own).

    Args:
        names: The methods' names.
        reflected: The operator's name with the operands exchanged (``"__radd__"`` for add).
    """

    def attach(function: Any) -> Any:
        if names and getattr(function, "__name__", "").startswith("_"):  # errors say the method's
            function.__name__ = function.__qualname__ = names[0]
        for name in names or (function.__name__,):
            setattr(Tensor, name, function)
        if reflected:
            setattr(Tensor, reflected, lambda x, y: function(y, x))
        return function

    return attach
