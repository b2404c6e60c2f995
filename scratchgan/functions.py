"""Functions composed of primitives, under PyTorch's names; most are methods of Tensor too."""

import builtins
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from scratchgan import dtypes, ops
from scratchgan.autograd.tensor import Tensor, method
from scratchgan.backend import devices, kernels_for
from scratchgan.ops import Axis

# --- Reductions ------------------------------------------------------------------------


def _count(shape: tuple[int, ...], axis: Axis) -> int:
    if axis is None:
        return math.prod(shape)
    return math.prod(shape[one] for one in ((axis,) if isinstance(axis, int) else axis))


@method()
def mean(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Arithmetic mean over ``axis``; nan where there are no elements."""
    if x.array.dtype.kind not in "fc":
        raise TypeError(f"mean: takes floating point elements, not {x.dtype}")
    total = ops.sum(x, axis=axis, keepdims=keepdims)
    count = _count(x.array.shape, axis)
    return ops.mul(total, 1.0 / count if count else math.nan)


@method()
def var(x: Tensor, axis: Axis = None, keepdims: bool = False, correction: int = 1) -> Tensor:
    """Variance over ``axis``: squared deviations summed, over their number less ``correction``."""
    deviations = x - mean(x, axis, keepdims=True)
    degrees = _count(x.shape, axis) - correction
    total = ops.sum(ops.square(deviations), axis=axis, keepdims=keepdims)
    return ops.mul(total, 1.0 / degrees if degrees > 0 else math.nan)


@method()
def std(x: Tensor, axis: Axis = None, keepdims: bool = False, correction: int = 1) -> Tensor:
    """Standard deviation over ``axis``, the square root of :func:`var`."""
    return ops.sqrt(var(x, axis, keepdims, correction))


@method()
def softmax(x: Tensor, axis: int = -1) -> Tensor:
    """``exp(x) / sum(exp(x))`` along ``axis``; never overflows."""
    return ops.exp(ops.log_softmax(x, axis=axis))


@method()
def logsumexp(x: Tensor, axis: int = -1, keepdims: bool = False) -> Tensor:
    """``log(sum(exp(x)))`` along ``axis``; never overflows."""
    highest = ops.max(x, axis=axis, keepdims=True).detach()
    # An infinite maximum would give inf - inf.
    highest = ops.clip(highest, min=-np.finfo(x.dtype).max, max=np.finfo(x.dtype).max)
    total = ops.log(ops.sum(ops.exp(x - highest), axis=axis, keepdims=True)) + highest
    return total if keepdims else squeeze(total, axis)


@method()
def argmax(x: Tensor, axis: int | None = None) -> Tensor:
    """Index of the first largest element, along ``axis`` or of all elements."""
    if axis is None:
        x, axis = flatten(x), 0
    axis = ops.axes_of("argmax", axis, x.ndim)[0]
    kernels = kernels_for[type(x.array)]
    out = kernels.empty(x.shape[:axis] + x.shape[axis + 1 :], dtypes.int64, like=x.array)
    kernels.argmax(x.array, axis=axis, out=out)
    return Tensor(out)


@method()
def all(x: Tensor) -> bool:
    """Whether every element is true or not zero."""
    return bool(ops.min(ops.ne(x, 0)).item()) if x.size else True


@method()
def any(x: Tensor) -> bool:
    """Whether an element is true or not zero."""
    return bool(ops.max(ops.ne(x, 0)).item()) if x.size else False


@method()
def isnan(x: Tensor) -> Tensor:
    """True where an element is nan."""
    return ops.ne(x, x)


# --- Shape ----------------------------------------------------------------------------


def _sizes(shape: tuple[Any, ...]) -> tuple[int, ...]:
    """``f(2, 3)`` and ``f((2, 3))`` mean the same."""
    if len(shape) == 1 and isinstance(shape[0], Sequence):
        return tuple(shape[0])
    return shape


@method("reshape", "view")
def reshape(x: Tensor, *shape: Any) -> Tensor:
    """The elements in row-major order under another shape; one size may be -1, for "the rest".

    Shares memory where the elements lie in order, else copies.
    """
    wanted = _sizes(shape)
    if -1 in wanted:
        known = -math.prod(wanted)
        rest = x.size // known if known > 0 else -1
        filled = tuple(rest if size == -1 else size for size in wanted)
    else:
        filled = wanted
    if math.prod(filled) != x.size or min(filled, default=0) < 0:
        raise ValueError(f"reshape: {x.size} elements of shape {x.shape} do not fit {wanted}")
    return ops.reshape(ops.contiguous(x), shape=filled)


@method()
def permute(x: Tensor, *axes: Any) -> Tensor:
    """The axes in another order, which names each once."""
    order = _sizes(axes)
    wanted = tuple(axis % x.ndim if -x.ndim <= axis < x.ndim else axis for axis in order)
    if sorted(wanted) != list(range(x.ndim)):
        raise ValueError(f"permute: {order} does not name each of the {x.ndim} axes once")
    return ops.permute(x, axes=wanted)


@method()
def transpose(x: Tensor, axis0: int, axis1: int) -> Tensor:
    """Two axes exchanged."""
    order = list(range(x.ndim))
    try:
        order[axis0], order[axis1] = order[axis1], order[axis0]
    except IndexError as error:
        raise ValueError(
            f"transpose: axes {axis0} and {axis1} are not both within {x.ndim} dimensions"
        ) from error
    return ops.permute(x, axes=tuple(order))


@method()
def flatten(x: Tensor, start_axis: int = 0, end_axis: int = -1) -> Tensor:
    """The axes from ``start_axis`` to ``end_axis`` as one."""
    if x.ndim == 0:
        return reshape(x, 1)
    (start,), (end,) = (ops.axes_of("flatten", axis, x.ndim) for axis in (start_axis, end_axis))
    return reshape(x, *x.shape[:start], math.prod(x.shape[start : end + 1]), *x.shape[end + 1 :])


@method()
def squeeze(x: Tensor, axis: Axis = None) -> Tensor:
    """Without those of ``axis`` (all, if None) that have size 1."""
    axes = ops.axes_of("squeeze", axis, x.ndim)
    return reshape(x, *[n for i, n in enumerate(x.shape) if n != 1 or i not in axes])


@method()
def unsqueeze(x: Tensor, axis: int) -> Tensor:
    """With a new axis of size 1 at ``axis``."""
    if not -x.ndim - 1 <= axis <= x.ndim:
        raise ValueError(f"unsqueeze: axis {axis} is out of range for {x.ndim} dimensions")
    axis %= x.ndim + 1
    return reshape(x, *x.shape[:axis], 1, *x.shape[axis:])


@method("broadcast_to", "expand")
def broadcast_to(x: Tensor, *shape: Any) -> Tensor:
    """``x`` repeated without a copy so that it has ``shape``."""
    wanted = _sizes(shape)
    try:
        fits = np.broadcast_shapes(x.shape, wanted) == tuple(wanted)
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"broadcast_to: the shape {x.shape} does not broadcast to {wanted}")
    return ops.expand(x, shape=tuple(wanted))


@method()
def sum_to_size(x: Tensor, *shape: Any) -> Tensor:
    """Summed over the axes that ``shape`` lacks or has as 1: :func:`broadcast_to` transposed."""
    wanted = tuple(_sizes(shape))
    extra = x.ndim - len(wanted)
    if extra < 0 or builtins.any(
        n not in (1, m) for n, m in zip(wanted, x.shape[extra:], strict=True)
    ):
        raise ValueError(f"sum_to_size: the shape {x.shape} is not {wanted} broadcast")
    axes = tuple(range(extra)) + tuple(
        i + extra for i, n in enumerate(wanted) if n == 1 and x.shape[i + extra] != 1
    )
    total: Tensor = ops.sum(x, axis=axes, keepdims=False) if axes else x
    return total if total.shape == wanted else reshape(total, wanted)


def concatenate(tensors: Sequence[Tensor], axis: int = 0) -> Tensor:
    """The tensors one after another along ``axis``; their other sizes are equal."""
    return ops.concatenate(*tensors, axis=axis)


def stack(tensors: Sequence[Tensor], axis: int = 0) -> Tensor:
    """The tensors, all of one shape, one after another along a new ``axis``."""
    shapes = {x.shape for x in tensors}
    if len(shapes) > 1:
        raise ValueError(f"stack: the shapes differ: {', '.join(map(str, sorted(shapes)))}")
    return concatenate([unsqueeze(x, axis) for x in tensors], axis)


@method()
def split(x: Tensor, split_size: int | Sequence[int], axis: int = 0) -> tuple[Tensor, ...]:
    """Views along ``axis``: ``split_size`` slices each (the last the rest), or of given sizes."""
    axis = ops.axes_of("split", axis, x.ndim)[0]
    length = x.shape[axis]
    if isinstance(split_size, int):
        sizes = [min(split_size, length - start) for start in range(0, length, split_size)]
    else:
        sizes = list(split_size)
    if sum(sizes) != length:
        raise ValueError(f"split: the sizes {sizes} do not add up to {length}")
    ends = list(np.cumsum(sizes).tolist())
    before = (slice(None),) * axis
    return tuple(
        ops.view(x, index=(*before, slice(end - size, end)))
        for size, end in zip(sizes, ends, strict=True)
    )


@method()
def chunk(x: Tensor, chunks: int, axis: int = 0) -> tuple[Tensor, ...]:
    """At most ``chunks`` views of equal size along ``axis`` (the last may be shorter)."""
    length = x.shape[ops.axes_of("chunk", axis, x.ndim)[0]]
    return split(x, max(1, -(-length // chunks)), axis)


# --- Indexing -------------------------------------------------------------------------


def parse_index(x: Tensor, index: Any) -> tuple[tuple[Any, ...], list[Tensor]]:
    """An index as a template and the integer tensors for its ``"array"`` places (none: a view).

    Boolean arrays become the integers of their true elements, as NumPy defines them.
    """
    parts = index if isinstance(index, tuple) else (index,)
    template: list[Any] = []
    indices: list[Tensor] = []
    for part in parts:
        if part is None or part is ... or isinstance(part, slice):
            template.append(part)
        elif isinstance(part, int | np.integer) and not isinstance(part, bool):
            template.append(int(part))
        else:
            for array in _index_arrays(x, part):
                template.append("array")
                indices.append(array)
    used = sum(part is not None and part is not ... for part in template)
    if used > x.ndim:
        raise IndexError(f"getitem: {used} indices for a tensor with {x.ndim} dimensions")
    return tuple(template), indices


def _index_arrays(x: Tensor, part: Any) -> list[Tensor]:
    kernels = kernels_for[type(x.array)]
    array = part.array if isinstance(part, Tensor) else part
    if not hasattr(array, "dtype"):
        array = kernels.from_host(array, like=x.array)
        if array.size == 0:
            array = kernels.from_host([], dtypes.int64, like=x.array)
    elif type(array) is not type(x.array):
        array = devices.moved(array, devices.device_of(x.array))
    if array.dtype.kind == "b":
        if not array.ndim:
            raise IndexError("getitem: a boolean without dimensions is an index only by itself")
        return [Tensor(found) for found in kernels.nonzero(array)]
    if array.dtype.kind not in "iu":
        raise IndexError(f"getitem: an index is made of integers or booleans, not {array.dtype}")
    return [Tensor(array)]


def truth_of_index(index: Any) -> bool | None:
    """The value of an index that is a single boolean: it adds an axis of one element or none."""
    array = index.array if isinstance(index, Tensor) else index
    if isinstance(array, bool):
        return array
    if getattr(array, "dtype", None) != dtypes.bool_ or array.ndim:
        return None
    return (
        bool(kernels_for[type(array)].to_host(array)) if isinstance(index, Tensor) else bool(array)
    )


@method("__getitem__")
def getitem(x: Tensor, index: Any) -> Tensor:
    """``x[index]``: a view for integers and slices, a copy for boolean and integer arrays."""
    truth = truth_of_index(index)
    if truth is not None:
        return ops.view(unsqueeze(x, 0), index=(slice(int(truth)),))
    template, indices = parse_index(x, index)
    if indices:
        return ops.gather(x, *indices, template=template)
    return ops.view(x, index=template)


# --- Products, types ------------------------------------------------------------------


@method("matmul", "__matmul__")
def matmul(x: Tensor, y: Tensor) -> Tensor:
    """Matrix product; a vector counts as a row on the left and as a column on the right."""
    if x.ndim > 1 and y.ndim > 1:
        return ops.matmul(x, y)
    if x.ndim == 0 or y.ndim == 0 or x.shape[-1] != y.shape[-2 if y.ndim > 1 else 0]:
        raise ValueError(f"matmul: cannot multiply the shapes {x.shape} and {y.shape}")
    product = ops.matmul(
        unsqueeze(x, 0) if x.ndim == 1 else x, unsqueeze(y, 1) if y.ndim == 1 else y
    )
    batch = product.shape[:-2]
    rows = () if x.ndim == 1 else product.shape[-2:-1]
    columns = () if y.ndim == 1 else product.shape[-1:]
    return reshape(product, *batch, *rows, *columns)


@method()
def to(
    x: Tensor, *targets: Any, device: str | None = None, dtype: DTypeLike | None = None
) -> Tensor:
    """``x`` on another device, or with elements of another type; itself where it is so already.

    Args:
        x: Where it is and what it is now.
        targets: In any order a device (``"cpu"``, ``"cuda"``, ``"cuda:1"``), a type, or a tensor
            that has both.
        device: The device, by keyword.
        dtype: The type, by keyword.

    Raises:
        BackendError: There is no such device; the message says why and what to do.
    """
    device, wanted = destination(targets, device, dtype)
    if wanted is not None and x.array.dtype != wanted:
        x = ops.cast(x, dtype=wanted)
    if device is not None:
        source = devices.device_of(x.array)
        if source != device:
            x = ops.to_device(x, device=device, source=source)
    return x


def destination(
    targets: Sequence[Any], device: str | None, dtype: DTypeLike | None
) -> tuple[str | None, dtypes.DType | None]:
    """The device, by its full name, and the type that the arguments of :func:`to` name."""
    for target in targets:
        if isinstance(target, Tensor):
            device, dtype = devices.device_of(target.array), target.dtype
        elif devices.is_device(target):
            device = target
        else:
            dtype = target
    try:
        wanted = None if dtype is None else np.dtype(dtype)
    except TypeError as error:
        raise TypeError(
            f"to: {dtype!r} is neither a device ('cpu', 'cuda', 'cuda:1') nor a type"
        ) from error
    return device and devices.full_name(device), wanted


@method()
def cpu(x: Tensor) -> Tensor:
    """``x`` in the memory of the CPU."""
    return to(x, devices.CPU)


@method()
def cuda(x: Tensor, device: int | str | None = None) -> Tensor:
    """``x`` on a GPU: its number or name, or the current one where neither is given."""
    return to(x, devices.gpu(device))


@method("float")
def to_float32(x: Tensor) -> Tensor:
    """``x`` as float32."""
    return to(x, dtypes.float32)


@method("double")
def to_float64(x: Tensor) -> Tensor:
    """``x`` as float64."""
    return to(x, dtypes.float64)


# --- Python's operators, where they are not a primitive alone -----------------------------


@method("pow", "__pow__", reflected="__rpow__")
def power(x: Any, y: Any) -> Tensor:
    """``x ** y``."""
    # A product is exact and many times faster than a power.
    return ops.square(x) if type(y) in (int, float) and y == 2 else ops.pow(x, y)


@method("__eq__")
def equal(x: Tensor, y: object) -> Any:
    """``x == y``, elementwise; no tensor is None."""
    return False if y is None else ops.eq(x, y)


@method("__ne__")
def not_equal(x: Tensor, y: object) -> Any:
    """``x != y``, elementwise; no tensor is None."""
    return True if y is None else ops.ne(x, y)


method("__invert__")(lambda x: ops.eq(x, False))
method("__and__")(lambda x, y: ops.mul(x, y))
method("__or__")(lambda x, y: ops.maximum(x, y))
method("__rmatmul__")(lambda x, y: matmul(Tensor(y), x))
method("T")(property(lambda x: ops.permute(x, axes=tuple(reversed(range(x.ndim))))))
method("mT")(property(lambda x: transpose(x, -2, -1)))


@method()
def ones_like(x: Tensor) -> Tensor:
    """Ones of the shape and type of ``x``."""
    kernels = kernels_for[type(x.array)]
    out = kernels.empty(x.array.shape, x.array.dtype, like=x.array)
    kernels.fill(1, out=out)
    return Tensor(out)
