"""Tensor: an array and its place on the tape; its methods are thin names for primitives."""

import builtins
from collections.abc import Callable
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike

from scratchgan import autograd, dtypes, functions, ops
from scratchgan.autograd import tape
from scratchgan.autograd.backward import HookHandle, backward_from, start
from scratchgan.autograd.tape import Taped, current
from scratchgan.backend import Array, devices, kernels_for


class Tensor(Taped):
    """An array that remembers how it was made, so that gradients can be taken through it.

    Made by :func:`tensor`, :func:`zeros` and their like; results of operations are Tensors too.

    Attributes:
        data: The backing array. Changing it directly is not seen by the tape. (This package itself
            reads ``array``, the same without a call.)
        grad: The gradient, a Tensor of this shape, or None.
        requires_grad: Whether operations on this tensor are recorded.
        node: The tape's node that made this tensor; None for a leaf.
    """

    __array_ufunc__ = None  # array + tensor comes to Tensor.__radd__

    # --- What it is --------------------------------------------------------------------

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return int(self.array.ndim)

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(self.array.size)

    @property
    def device(self) -> str:
        """Where the elements lie: ``"cpu"``, ``"cuda:0"``, ``"cuda:1"``, ..."""
        return devices.device_of(self.array)

    @property
    def is_leaf(self) -> bool:
        """Whether it was made by the user and not by a recorded operation."""
        return self.node is None

    def numel(self) -> int:
        """Number of elements."""
        return self.size

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len: a tensor without dimensions has no length")
        return self.shape[0]

    def __repr__(self) -> str:
        values = np.array2string(self.numpy(force=True), separator=", ", prefix="tensor(")
        extra = "" if self.dtype == dtypes.get_default_dtype() else f", dtype={self.dtype}"
        if self.device != devices.CPU:
            extra += f", device={self.device!r}"
        if self.node is not None:
            extra += f", node={self.node.name}"
        elif self.requires_grad:
            extra += ", requires_grad=True"
        return f"tensor({values}{extra})"

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ValueError(
                f"bool: a tensor of shape {self.shape} is neither true nor false; "
                "compare with .all() or .any()"
            )
        return bool(self.item())

    __hash__ = object.__hash__

    # --- Out to Python and to other libraries ------------------------------------------

    def item(self) -> float:
        """The only element as a Python number.

        Raises:
            ValueError: There is more or less than one element.
        """
        if self.size != 1:
            raise ValueError(f"item: a tensor of shape {self.shape} has {self.size} elements")
        return kernels_for[type(self.array)].to_host(self.array).item()  # type: ignore[no-any-return]

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        if self.dtype.kind not in "iu" or self.size != 1:
            raise TypeError(f"index: a tensor of type {self.dtype} and shape {self.shape} is none")
        return int(self.item())

    def tolist(self) -> Any:
        """The elements as nested lists of Python numbers."""
        return self.numpy(force=True).tolist()

    def numpy(self, force: bool = False) -> np.ndarray[Any, Any]:
        """The elements as a NumPy array that shares memory where that is possible.

        Raises:
            RuntimeError: The tensor requires a gradient, which NumPy would lose, and ``force``
                is False.
        """
        if self.requires_grad and not force:
            raise RuntimeError(
                "numpy: NumPy does not know gradients, and this tensor requires one; use "
                "tensor.detach().numpy()"
            )
        host: np.ndarray[Any, Any] = kernels_for[type(self.array)].to_host(self.array)
        return host

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> Array:
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def __dlpack__(self, **options: Any) -> Any:
        if self.requires_grad:
            raise BufferError("dlpack: a tensor that requires a gradient; pass its detach()")
        return self.array.__dlpack__(**options)

    @property
    def __cuda_array_interface__(self) -> Any:
        """How other libraries see a tensor on a card; one on the CPU does not have it."""
        if self.requires_grad:
            raise AttributeError("a tensor that requires a gradient; pass its detach()")
        return self.array.__cuda_array_interface__

    def __dlpack_device__(self) -> Any:
        return self.array.__dlpack_device__()

    # --- The tape ----------------------------------------------------------------------

    def backward(
        self,
        gradient: "Tensor | None" = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
    ) -> None:
        """Add to ``grad`` of every leaf this tensor was made from (:func:`autograd.backward`)."""
        backward_from((start(self, gradient),), retain_graph, create_graph)

    def detach(self) -> "Tensor":
        """The same memory without its place on the tape."""
        detached = Tensor(self.array)
        detached._version = self.version
        detached.is_shared = True
        return detached

    def retain_grad(self) -> None:
        """Keep the gradient in ``grad`` though this tensor is no leaf."""
        autograd.retain_grad(self)

    def register_hook(self, hook: Callable[["Tensor"], "Tensor | None"]) -> HookHandle:
        """Call ``hook(gradient)`` in each backward; what it returns replaces the gradient."""
        return autograd.register_hook(self, hook)

    def ones_like(self) -> "Tensor":
        """Ones of this shape and type."""
        kernels = kernels_for[type(self.array)]
        out = kernels.empty(self.array.shape, self.array.dtype, like=self.array)
        kernels.fill(1, out=out)
        return Tensor(out)

    # --- Names for primitives and functions --------------------------------------------

    __neg__ = ops.neg
    __abs__ = abs = ops.abs
    __matmul__ = matmul = functions.matmul
    __getitem__ = functions.getitem
    __add__ = ops.add
    __sub__ = ops.sub
    __mul__ = ops.mul
    __truediv__ = ops.div
    __lt__ = ops.lt
    __le__ = ops.le
    __gt__ = ops.gt
    __ge__ = ops.ge

    def __eq__(self, other: object) -> Any:
        return False if other is None else ops.eq(self, other)

    def __ne__(self, other: object) -> Any:
        return True if other is None else ops.ne(self, other)

    def __radd__(self, other: Any) -> "Tensor":
        return ops.add(other, self)

    def __rmul__(self, other: Any) -> "Tensor":
        return ops.mul(other, self)

    def __rsub__(self, other: Any) -> "Tensor":
        return ops.sub(other, self)

    def __rtruediv__(self, other: Any) -> "Tensor":
        return ops.div(other, self)

    def __pow__(self, other: Any) -> "Tensor":
        # A product is exact and many times faster than a power.
        return (
            ops.square(self) if type(other) in (int, float) and other == 2 else ops.pow(self, other)
        )

    def __rpow__(self, other: Any) -> "Tensor":
        return ops.pow(other, self)

    def __rmatmul__(self, other: Any) -> "Tensor":
        return functions.matmul(Tensor(other), self)

    def __invert__(self) -> "Tensor":
        return ops.eq(self, False)

    def __and__(self, other: Any) -> "Tensor":
        return ops.mul(self, other)

    def __or__(self, other: Any) -> "Tensor":
        return ops.maximum(self, other)

    pow = __pow__
    exp = ops.exp
    expm1 = ops.expm1
    log = ops.log
    log1p = ops.log1p
    sqrt = ops.sqrt
    square = ops.square
    sin = ops.sin
    cos = ops.cos
    sign = ops.sign
    relu = ops.relu
    tanh = ops.tanh
    sigmoid = ops.sigmoid
    softplus = ops.softplus
    maximum = ops.maximum
    minimum = ops.minimum
    clip = clamp = ops.clip
    clone = ops.clone
    contiguous = ops.contiguous
    mean = functions.mean
    var = functions.var
    std = functions.std
    softmax = functions.softmax
    logsumexp = functions.logsumexp
    argmax = functions.argmax
    all = functions.all
    any = functions.any
    isnan = functions.isnan
    reshape = view = functions.reshape
    permute = functions.permute
    transpose = functions.transpose
    flatten = functions.flatten
    squeeze = functions.squeeze
    unsqueeze = functions.unsqueeze
    broadcast_to = expand = functions.broadcast_to
    sum_to_size = functions.sum_to_size
    split = functions.split
    chunk = functions.chunk
    to = functions.to
    cpu = functions.cpu
    cuda = functions.cuda

    sum = ops.sum
    max = ops.max
    min = ops.min
    log_softmax = ops.log_softmax
    amax = max
    amin = min

    @property
    def T(self) -> "Tensor":
        """The axes in reverse order."""
        return ops.permute(self, axes=tuple(reversed(range(self.ndim))))

    @property
    def mT(self) -> "Tensor":
        """The last two axes exchanged."""
        return functions.transpose(self, -2, -1)

    # --- In place: for tensors that are not on the tape --------------------------------

    def _changed(self, name: str, *others: Any) -> Array:
        """``data``, about to be changed by ``name``: counted, and refused if the tape needs it."""
        if self._is_recorded(*others):
            raise RuntimeError(
                f"{name}: a tensor on the tape cannot be changed in place; compute a new one, or "
                "change it within no_grad()"
            )
        self.mark_changed()
        return self.array

    def _is_recorded(self, *others: Any) -> bool:
        return current.mode.recording and builtins.any(
            isinstance(x, Taped) and x.requires_grad for x in (self, *others)
        )

    def _in_place(self, name: str, *others: Any) -> Self:
        shapes = [x.shape for x in (self, *others) if isinstance(x, Taped)]
        try:
            shape = np.broadcast_shapes(*shapes)
        except ValueError as error:
            given = " and ".join(map(str, shapes))
            raise ValueError(f"{name}_: the shapes {given} do not broadcast together") from error
        dtype = dtypes.promote([x.array if isinstance(x, Taped) else x for x in (self, *others)])
        if shape != self.shape or (dtype.kind == "f" and self.dtype.kind != "f"):
            raise ValueError(
                f"{name}_: a result of shape {shape} and type {dtype} does not fit into a tensor "
                f"of shape {self.shape} and type {self.dtype}"
            )
        out = self._changed(name + "_", *others)
        arrays = [x.array if isinstance(x, Taped) else x for x in others]
        getattr(kernels_for[type(out)], name)(out, *arrays, out=out)
        return self

    def _augmented(self, name: str, other: Any) -> "Tensor":
        """``x += y``: in place where no tape is involved, else a new tensor for the name ``x``."""
        if not self._is_recorded(other):
            return self._in_place(name, other)
        if self.requires_grad and self.node is None:
            raise RuntimeError(
                f"{name}: a leaf that requires a gradient cannot be changed in place while the "
                "tape records; do it within no_grad()"
            )
        result: Tensor = getattr(ops, name)(self, other)
        return result

    def add_(self, other: Any) -> Self:
        """``self += other``."""
        return self._in_place("add", other)

    def sub_(self, other: Any) -> Self:
        """``self -= other``."""
        return self._in_place("sub", other)

    def mul_(self, other: Any) -> Self:
        """``self *= other``."""
        return self._in_place("mul", other)

    def div_(self, other: Any) -> Self:
        """``self /= other``."""
        return self._in_place("div", other)

    def __iadd__(self, other: Any) -> "Tensor":  # type: ignore[misc]
        return self._augmented("add", other)

    def __isub__(self, other: Any) -> "Tensor":  # type: ignore[misc]
        return self._augmented("sub", other)

    def __imul__(self, other: Any) -> "Tensor":  # type: ignore[misc]
        return self._augmented("mul", other)

    def __itruediv__(self, other: Any) -> "Tensor":  # type: ignore[misc]
        return self._augmented("div", other)

    def fill_(self, value: float) -> Self:
        """Every element becomes ``value``."""
        out = self._changed("fill_")
        kernels_for[type(out)].fill(value, out=out)
        return self

    def zero_(self) -> Self:
        """Every element becomes 0."""
        return self.fill_(0)

    def copy_(self, other: Any) -> Self:
        """The elements of ``other``, broadcast and converted to this type."""
        self[...] = other
        return self

    def __setitem__(self, index: Any, value: Any) -> None:
        truth = functions.truth_of_index(index)
        if truth is not None:
            if not truth:
                return
            index = (None, ...)
        template, indices = functions.parse_index(self, index)
        kernels = kernels_for[type(self.array)]
        if not isinstance(value, Taped):
            source = kernels.from_host(value, self.dtype, like=self.array)
        elif devices.device_of(value.array) == self.device:
            source = value.array
        else:
            source = devices.moved(value.array, self.device)
        out = self._changed("setitem", value)
        try:
            if indices:
                kernels.put(source, *[i.array for i in indices], template=template, out=out)
            else:
                kernels.copy(source, out=kernels.view(out, index=template))
        except (IndexError, ValueError) as error:
            raise type(error)(f"setitem: {error}") from error

    # --- Conversions; last, since they shadow the builtin types in annotations ---------------

    def float(self) -> "Tensor":
        """As float32."""
        return functions.to(self, dtypes.float32)

    def double(self) -> "Tensor":
        """As float64."""
        return functions.to(self, dtypes.float64)


tape.tensor_type = Tensor
