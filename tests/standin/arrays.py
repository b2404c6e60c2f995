"""An array that behaves as ``cupy.ndarray`` where that differs from NumPy's.

It lives in the memory of the machine, but no NumPy function gets at it: there is no implicit
conversion either way, reading a value needs :func:`asnumpy`, results without dimensions stay
arrays, an index beyond the bounds wraps around, and of an element that is assigned to twice nobody
knows which value stays. What is not written here does not exist.
"""

import math
from typing import Any

import numpy as np

Host = np.ndarray[Any, Any]

#: How many GPUs there are.
GPUS = 2

_KINDS = "biuf"


class Waits(AssertionError):
    """A value was read, so that the program would have to wait for the GPU."""


class OutOfMemoryError(MemoryError):
    """What ``cupy.cuda.memory.OutOfMemoryError`` is."""


class GPU:
    """``cupy.cuda.Device``: within its ``with`` block it is the current one."""

    current = 0
    #: The bytes that a GPU has, and that an allocation may have.
    memory = 2**33

    def __init__(self, number: int | None = None) -> None:
        self.id = GPU.current if number is None else int(number)
        if not 0 <= self.id < GPUS:
            raise ValueError(f"there is no GPU {self.id}")
        self._before: list[int] = []

    def __enter__(self) -> "GPU":
        self._before.append(GPU.current)
        GPU.current = self.id
        return self

    def __exit__(self, *_: object) -> None:
        GPU.current = self._before.pop()

    def use(self) -> None:
        GPU.current = self.id

    def synchronize(self) -> None:
        pass


class Memory:
    """One allocation on a GPU. Nothing is in it but what was left there: here, nan."""

    #: Called with the bytes of an allocation before it is made.
    allocator: Any = None

    def __init__(self, nbytes: int) -> None:
        if Memory.allocator is not None:
            Memory.allocator(nbytes)
        self.gpu = GPU.current
        if nbytes > GPU.memory:
            raise OutOfMemoryError(f"Out of memory allocating {nbytes:,} bytes")
        self.buffer = np.full(max(nbytes, 1), 0xFF, np.uint8)
        self.ptr = self.buffer.ctypes.data


class MemoryPointer:
    """``cupy.cuda.MemoryPointer``: a place in an allocation."""

    def __init__(self, mem: Memory, offset: int) -> None:
        self.mem = mem
        self.ptr = mem.ptr + offset
        self.device_id = mem.gpu

    def __add__(self, offset: int) -> "MemoryPointer":
        return MemoryPointer(self.mem, self.ptr - self.mem.ptr + offset)


class ndarray:
    """``cupy.ndarray``."""

    __array_priority__ = 100
    __hash__ = None  # type: ignore[assignment]

    def __init__(
        self,
        shape: Any,
        dtype: Any = np.float64,
        memptr: MemoryPointer | None = None,
        strides: tuple[int, ...] | None = None,
    ) -> None:
        dtype = np.dtype(dtype)
        if dtype.kind not in _KINDS:
            raise ValueError(f"Unsupported dtype {dtype}")
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        pointer = memptr or MemoryPointer(Memory(dtype.itemsize * math.prod(shape)), 0)
        offset = pointer.ptr - pointer.mem.ptr
        host: Host = np.ndarray(shape, dtype, pointer.mem.buffer, offset, strides)
        self._set(host, pointer.mem, None)

    def _set(self, host: Host, mem: Memory, base: "ndarray | None") -> None:
        self._host = host
        self._mem = mem
        self.base = base

    def _view(self, host: Host) -> "ndarray":
        view: ndarray = object.__new__(ndarray)
        view._set(host, self._mem, self if self.base is None else self.base)
        return view

    # --- What it is --------------------------------------------------------------------

    shape = property(lambda self: self._host.shape)
    strides = property(lambda self: self._host.strides)
    dtype = property(lambda self: self._host.dtype)
    ndim = property(lambda self: self._host.ndim)
    size = property(lambda self: self._host.size)
    nbytes = property(lambda self: self._host.nbytes)
    itemsize = property(lambda self: self._host.itemsize)
    flags = property(lambda self: self._host.flags)
    device = property(lambda self: GPU(self._mem.gpu))
    T = property(lambda self: self.transpose())

    @property
    def data(self) -> MemoryPointer:
        return MemoryPointer(self._mem, self._host.ctypes.data - self._mem.ptr)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        description = {"shape": self.shape, "strides": self.strides, "typestr": self.dtype.str}
        return {**description, "data": (self.data.ptr, False), "version": 3, "owner": self}

    # --- What it refuses ---------------------------------------------------------------

    def __array__(self, *_: Any, **__: Any) -> Host:
        raise TypeError("Implicit conversion to a NumPy array is not allowed.")

    def _waits(self, *_: Any, **__: Any) -> Any:
        raise Waits("a value is read above the kernels, which waits for the GPU")

    __float__ = __int__ = __index__ = __bool__ = __iter__ = item = tolist = get = _waits

    def __len__(self) -> int:
        return len(self._host)

    # --- Views -------------------------------------------------------------------------

    def reshape(self, shape: Any) -> "ndarray":
        host = self._host.reshape(shape)
        assert np.shares_memory(host, self._host) or not host.size, "reshape would copy"
        return self._view(host)

    def transpose(self, axes: Any = None) -> "ndarray":
        return self._view(self._host.transpose(axes))

    def diagonal(self, offset: int, axis1: int, axis2: int) -> "ndarray":
        host = self._host.diagonal(offset, axis1, axis2)
        host.flags.writeable = True
        return self._view(host)

    def __getitem__(self, index: Any) -> "ndarray":
        parts = self._parts(index)
        if any(isinstance(part, np.ndarray) for part in parts):
            return new(self._host[parts], self._mem.gpu)
        return self._view(self._host[parts if any(p is ... for p in parts) else (*parts, ...)])

    def _parts(self, index: Any) -> tuple[Any, ...]:
        """An index for the host's array; NumPy's arrays are refused in it."""
        parts = index if isinstance(index, tuple) else (index,)
        left = sum(part is not None and part is not ... for part in parts)
        plain: list[Any] = []
        axis = 0
        for part in parts:
            if isinstance(part, ndarray):
                assert part._mem.gpu == self._mem.gpu, "an index on another GPU"
                plain.append(part._host % max(self.shape[axis], 1))  # beyond the bounds: around
            elif part is None or part is ... or isinstance(part, int | np.integer | slice):
                plain.append(part)
            else:
                raise IndexError(f"Unsupported type {type(part)}")
            if part is ...:
                axis = self.ndim - left
            elif part is not None:
                axis += 1
                left -= 1
        return tuple(plain)

    # --- Work for the GPU -------------------------------------------------------------

    def __setitem__(self, index: Any, value: Any) -> None:
        parts = self._parts(index)
        if isinstance(value, np.ndarray):
            raise ValueError("non-scalar numpy.ndarray cannot be used for setitem")
        value = value._host if isinstance(value, ndarray) else value
        positions = np.arange(self.size).reshape(self.shape)[parts]
        # Of an element that is named twice, NumPy keeps the last value, a GPU any: here the first.
        places = np.unravel_index(np.ravel(positions)[::-1], self.shape)
        self._host[places] = np.broadcast_to(value, np.shape(positions)).ravel()[::-1]

    def fill(self, value: float) -> None:
        self._host.fill(value)

    def copy(self) -> "ndarray":
        return new(self._host.copy(order="C"), self._mem.gpu)

    def argmax(self, axis: int, out: "ndarray") -> None:
        self._host.argmax(axis, out._host)

    def argsort(self, axis: int) -> "ndarray":
        return new(self._host.argsort(axis, kind="stable"), self._mem.gpu)

    def nonzero(self) -> tuple["ndarray", ...]:
        global reads
        reads += 1
        return tuple(new(found, self._mem.gpu) for found in self._host.nonzero())


#: How often the program had to wait for the GPU.
reads = 0


def new(source: Any, gpu: int | None = None) -> ndarray:
    """A new array with the elements of ``source``, on ``GPU`` or the current one."""
    host = np.asarray(source._host if isinstance(source, ndarray) else source)
    with GPU(gpu):
        array = ndarray(host.shape, host.dtype)
    array._host[...] = host
    return array


def asnumpy(x: ndarray) -> Host:
    """``cupy.asnumpy``: the only way to read values."""
    global reads
    reads += 1
    return x._host.copy()
