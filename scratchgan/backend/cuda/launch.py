"""Launching CUDA kernels on arrays: on which GPU, along which axes, and compiled for what types.

What :mod:`scratchgan.backend.cuda.kernels` calls; the texts of the kernels are written by
:mod:`scratchgan.backend.cuda.source`.
"""

import contextlib
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import cupy
import numpy as np
from numpy.typing import DTypeLike

from scratchgan.backend import BackendError, devices
from scratchgan.backend.cuda import source as cuda_source
from scratchgan.backend.cuda.loops import COPY, Loop, loop_kernel
from scratchgan.backend.cuda.source import C_TYPES, MAX, MIN, OPTIONS, SUM

Array = Any  # cupy.ndarray, which mypy knows nothing of
Axis = tuple[int, ...]
Kernel = Callable[..., Any]

# --- On which GPU --------------------------------------------------------------------


def beside(like: Array | None) -> Any:
    """A context in which arrays are made on the GPU of ``like``."""
    if like is None or like.data.device_id == cupy.cuda.runtime.getDevice():
        return _HERE
    return cupy.cuda.Device(like.data.device_id)


_HERE = contextlib.nullcontext()


def enough_memory(make: Kernel) -> Kernel:
    """``make``, with one sentence for the user where the GPU's memory is full."""

    @functools.wraps(make)
    def made(*arguments: Any, **keywords: Any) -> Any:
        try:
            return make(*arguments, **keywords)
        except cupy.cuda.memory.OutOfMemoryError as error:
            free, total = cupy.cuda.runtime.memGetInfo()
            raise BackendError(
                f"cuda:{cupy.cuda.runtime.getDevice()} is out of memory: {free / 2**20:,.0f} of "
                f"{total / 2**20:,.0f} MiB are free ({error}); use a smaller batch size, or let "
                "go of tensors that are no longer needed"
            ) from error

    return made


def on_one_gpu(kernel: Kernel) -> Kernel:
    """``kernel``, run on the GPU on which all of its arrays lie.

    Raises:
        TypeError: They lie on different devices.
    """
    name = kernel.__name__
    kernel = enough_memory(kernel)

    @functools.wraps(kernel)
    def on_gpu(*inputs: Any, **keywords: Any) -> Any:
        out = keywords.get("out")
        outs = out if isinstance(out, tuple) else () if out is None else (out,)
        arrays = [x for x in (*outs, *inputs) if hasattr(x, "dtype")]
        gpus = {x.data.device_id if isinstance(x, cupy.ndarray) else devices.CPU for x in arrays}
        if len(gpus) > 1:
            raise devices.different_devices(name, arrays)  # type: ignore[misc]
        (gpu,) = gpus
        if gpu == cupy.cuda.runtime.getDevice():
            return kernel(*inputs, **keywords)
        with cupy.cuda.Device(gpu):
            return kernel(*inputs, **keywords)

    return on_gpu


@enough_memory
def empty(shape: Any, dtype: DTypeLike = np.float32, *, like: Array | None = None) -> Array:
    """A new array beside ``like``, or on the current GPU."""
    with beside(like):
        return cupy.empty(shape, dtype)


# --- Compiling ------------------------------------------------------------------------


@functools.cache
def compiled(source: str, name: str) -> Any:
    """The kernel ``name`` of a translation unit, ready to be called as ``(grid, block, args)``."""
    return cupy.RawModule(code=source, options=OPTIONS).get_function(name)


def as_graph(launches: Sequence[Callable[[], None]]) -> Any:
    """``launches`` as one CUDA graph, which starts them all at once, on the same arguments.

    They may launch kernels and nothing else; CuPy refuses cuBLAS here (its issue 6290).
    """
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        stream.begin_capture()
        for launch in launches:
            launch()
        graph = stream.end_capture()
    return graph.launch


def hand_written(name: str, dtype: np.dtype[Any]) -> Any:
    """A kernel of ``kernels.cu`` for arrays of ``dtype``."""
    real = _c_type(name, dtype.name)
    if real not in ("float", "double"):
        raise TypeError(f"{name}: takes float32 or float64 on a GPU, not {dtype}")
    return compiled(cuda_source.hand_written(real), name)


def _c_type(kernel: str, dtype: str | None) -> str | None:
    if dtype is None or dtype in C_TYPES:
        return C_TYPES.get(dtype or "")
    raise TypeError(f"{kernel}: there are no CUDA kernels for {dtype}; convert it with .to(...)")


# --- Walking --------------------------------------------------------------------------


class _Walk(NamedTuple):
    """How a kernel walks its arrays: the fewest axes that will do.

    Attributes:
        sizes: Of the axes, as arguments of kernels.
        strides: In elements, for each array, as arguments of kernels.
        kept: The axes of the results of a reduction.
        is_large: Whether positions need 64 bits.
    """

    sizes: tuple[Any, ...]
    strides: tuple[tuple[Any, ...], ...]
    kept: tuple[int, ...]
    is_large: bool


@functools.lru_cache(maxsize=4096)
def _walk(shape: Axis, arrays: tuple[tuple[Axis, Axis, int], ...], reduced: Axis = ()) -> _Walk:
    """The walk over ``shape`` of arrays (shape, strides, size of an element) broadcast to it."""
    axes = [i for i, n in enumerate(shape) if n != 1]
    spread = []
    for own_shape, own_strides, itemsize in arrays:
        missing = len(shape) - len(own_shape)
        steps = (0,) * missing + tuple(
            0 if n == 1 else stride // itemsize
            for n, stride in zip(own_shape, own_strides, strict=True)
        )
        spread.append([steps[i] for i in axes])
    # Axes become one where every array walks them as one.
    groups: list[list[int]] = []
    for k, axis in enumerate(axes):
        joins = bool(groups) and all(steps[k - 1] == steps[k] * shape[axis] for steps in spread)
        if joins and (axis in reduced) == (axes[k - 1] in reduced):
            groups[-1].append(k)
        else:
            groups.append([k])
    sizes = [math.prod(shape[axes[k]] for k in group) for group in groups]
    strides = [[steps[group[-1]] for group in groups] for steps in spread]
    reach = [
        sum(abs(step) * (n - 1) for step, n in zip(steps, sizes, strict=True)) for steps in strides
    ]
    is_large = max(math.prod(sizes), *reach, 0) > cuda_source.LARGEST_INT
    index = np.int64 if is_large else np.int32
    return _Walk(
        tuple(map(index, sizes)),
        tuple(tuple(map(index, steps)) for steps in strides),
        tuple(i for i, group in enumerate(groups) if axes[group[0]] not in reduced),
        is_large,
    )


def _layout(x: Array) -> tuple[Axis, Axis, int]:
    return x.shape, x.strides, x.itemsize


def apart(x: Array, out: Array) -> Array:
    """``x``, or a copy of it where writing ``out`` would change elements yet to be read."""
    if x is out or x.data.mem is not out.data.mem:
        return x
    same = x.data.ptr == out.data.ptr and _layout(x) == _layout(out)
    return x if same or not cupy.may_share_memory(x, out) else x.copy()


# --- Loops ----------------------------------------------------------------------------


def _number(value: float, real: str) -> Any:
    """``value`` as an argument of type ``real``; beyond its range it is infinite."""
    if real == "float":
        return np.float32(value if abs(value) < 3.4e38 else math.copysign(math.inf, value))
    return np.float64(value) if real == "double" else np.int64(value)


class CompiledLoop:
    """A loop with its kernels, one for each combination of types and axes that it meets."""

    def __init__(self, loop: Loop, is_real: bool = False) -> None:
        self.__name__ = loop.name
        self.loop = loop
        self._is_real = is_real
        self._kernels: dict[Any, Kernel] = {}

    def _arithmetic(
        self, inputs: Sequence[Any], out: Array | None = None, scalars: Sequence[float] = ()
    ) -> str:
        """The C type to compute in: of the values if they are floating, else of the inputs."""
        if out is not None and out.dtype.kind == "f":
            return str(_c_type(self.__name__, out.dtype.name))
        floats = [x.dtype.itemsize for x in inputs if hasattr(x, "dtype") and x.dtype.kind == "f"]
        if floats:
            return "double" if max(floats) == 8 else "float"
        numbers = [x for x in (*inputs, *scalars) if not hasattr(x, "dtype")]
        return "double" if self._is_real or float in map(type, numbers) else "long long"

    def _kernel(
        self, real: str, inputs: Sequence[Any], out: Array | None, walk: _Walk, total: Array | None
    ) -> Kernel:
        types = tuple([x.dtype.name if hasattr(x, "dtype") else None for x in (*inputs, out)])
        total_type = None if total is None else total.dtype.name
        key = (real, types, len(walk.sizes), walk.kept, walk.is_large, total_type)
        kernel = self._kernels.get(key)
        if kernel is None:
            c_types = [_c_type(self.__name__, name) for name in types]
            kernel_text = loop_kernel(
                self.loop,
                real,
                c_types[:-1],
                c_types[-1],
                len(walk.sizes),
                walk.kept,
                _c_type(self.__name__, total_type),
            )
            source = cuda_source.module(real, self.loop.definitions, (kernel_text,), walk.is_large)
            kernel = self._kernels[key] = compiled(source, "loop")
        return kernel

    def elementwise(self, inputs: Sequence[Any], out: Array, scalars: Sequence[float]) -> None:
        """Compute each element of ``out``."""
        if not out.size:
            return
        inputs = [apart(x, out) if hasattr(x, "dtype") else x for x in inputs]
        arrays = (*[x for x in inputs if hasattr(x, "dtype")], out)
        walk = _walk(out.shape, tuple(map(_layout, arrays)))
        real = self._arithmetic(inputs, out, scalars)
        kernel = self._kernel(real, inputs, out, walk, None)
        kernel(
            *cuda_source.elementwise_launch(out.size),
            self._arguments(real, inputs, out, walk, scalars),
        )

    def reduction(
        self,
        inputs: Sequence[Array],
        out: Array | None,
        total: Array,
        reduced: Axis,
        scalars: Sequence[float] = (),
    ) -> None:
        """Reduce over the axes ``reduced`` to ``total``; store the values in ``out``, if given."""
        if not total.size:
            return
        shape = inputs[0].shape
        arrays = inputs if out is None else (*inputs, out)
        walk = _walk(shape, tuple(map(_layout, arrays)), reduced)
        count = math.prod(shape[axis] for axis in reduced)
        rows = cuda_source.are_rows(len(walk.sizes), walk.kept)
        grid, block, span, parts = cuda_source.reduction_launch(total.size, count, rows)
        real = self._arithmetic(inputs, out)
        target = total
        if parts > 1:
            assert self.loop.total is not None
            accumulator, _ = cuda_source.accumulator_of(self.loop.total, real)
            target = empty((parts, total.size), _DTYPES[accumulator], like=total)
        kernel = self._kernel(real, inputs, out, walk, target)
        index = np.int64 if walk.is_large else np.int32
        arguments = self._arguments(real, inputs, out, walk, scalars)
        kernel(grid, block, (*arguments, target, index(span)))
        if parts > 1:
            _FINISH[self.loop.total].reduction((target,), None, total, (0,))

    def _arguments(
        self,
        real: str,
        inputs: Sequence[Any],
        out: Array | None,
        walk: _Walk,
        scalars: Sequence[float],
    ) -> tuple[Any, ...]:
        arguments = [*walk.sizes]
        strides = iter(walk.strides)
        for x in inputs:
            if hasattr(x, "dtype"):
                arguments += (x, *next(strides))
            else:
                arguments.append(_number(x, real))
        if out is not None:
            arguments += (out, *next(strides))
        return (*arguments, *[_number(scalar, real) for scalar in scalars])


#: From a C type of accumulators to the type of an array of what they amount to.
_DTYPES = {
    **{"float": np.float32, "long long": np.int64},
    **{"double": np.float64, "compensated": np.float64},
}


_copy = CompiledLoop(COPY)


def copy(x: Array, out: Array) -> None:
    """``out[...] = x``, broadcast and converted to the type of ``out``."""
    _copy.elementwise((x,), out, ())


def contiguous(x: Array) -> Array:
    """``x``, or a copy of it whose elements lie in row-major order."""
    return x if x.flags.c_contiguous else converted(x, x.dtype)


def converted(x: Array, dtype: np.dtype[Any]) -> Array:
    """A contiguous copy of ``x`` with elements of type ``dtype``."""
    whole = empty(x.shape, dtype, like=x)
    copy(x, whole)
    return whole


SUMS = CompiledLoop(Loop("sum", "{0}", total=SUM))
LARGEST = CompiledLoop(Loop("max", "{0}", ("maximum",), total=MAX))
SMALLEST = CompiledLoop(Loop("min", "{0}", ("minimum",), total=MIN))
_FINISH: dict[str | None, CompiledLoop] = {SUM: SUMS, MAX: LARGEST, MIN: SMALLEST}
