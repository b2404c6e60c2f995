"""CuPy's own arrays, as far as they work without a GPU: views, owners, places in memory.

They lie in the memory of the CPU here. No kernel can run on them, but shapes, strides, owners and
what they refuse are CuPy's; tests/standin must behave likewise.
"""

from typing import Any

import numpy as np
import pytest
from standin import arrays

cupy = pytest.importorskip("cupy", reason="CuPy is not installed; the extra 'dev' has it on Linux")

from scratchgan.backend.cuda import blas, launch  # noqa: E402
from scratchgan.backend.cuda import kernels as cupy_kernels  # noqa: E402


def on_host(shape: tuple[int, ...], dtype: Any = np.float32) -> Any:
    """An array of CuPy in the memory of the CPU."""
    buffer = np.zeros(int(np.prod(shape)) * np.dtype(dtype).itemsize + 1, np.uint8)
    memory = cupy.cuda.UnownedMemory(buffer.ctypes.data, buffer.size, buffer, 0)
    return cupy.ndarray(shape, dtype, memptr=cupy.cuda.MemoryPointer(memory, 0))


VIEWS = {
    "itself": lambda x: x,
    "rows": lambda x: x[1:3],
    "backwards": lambda x: x[::-1, ::2],
    "one": lambda x: x[1, 2, ...],
    "new axis": lambda x: cupy_kernels.view(x, index=(None, slice(1, None), 0)),
    "transposed": lambda x: cupy_kernels.permute(x, axes=(1, 0)),
    "diagonal": lambda x: cupy_kernels.diagonal(x, offset=1, axes=(0, 1)),
    "reshaped": lambda x: cupy_kernels.reshape(x, shape=(2, 12)),
    "rows of a transpose": lambda x: x.transpose((1, 0))[2:4],
}


@pytest.mark.parametrize("name", VIEWS)
def test_views_and_where_they_lie(name: str) -> None:
    ours, theirs = on_host((4, 6)), arrays.ndarray((4, 6), np.float32)
    view, twin = VIEWS[name](ours), VIEWS[name](theirs)
    assert (view.shape, view.strides) == (twin.shape, twin.strides)
    assert view.flags.c_contiguous == twin.flags.c_contiguous == cupy_kernels.is_contiguous(view)
    assert view.data.ptr - ours.data.ptr == twin.data.ptr - theirs.data.ptr
    assert (view.base is ours, view.base is None) == (twin.base is theirs, twin.base is None)
    owner, offset = cupy_kernels.memory(view)
    assert owner is ours
    again = cupy_kernels.part(
        owner, offset=offset, shape=view.shape, strides=view.strides, dtype=view.dtype
    )
    assert (again.data.ptr, again.shape, again.strides) == (view.data.ptr, view.shape, view.strides)
    assert again.flags.c_contiguous == view.flags.c_contiguous


def test_an_expanded_array() -> None:
    x = on_host((4, 1))
    wide = cupy_kernels.expand(x, shape=(2, 4, 5))
    assert (wide.shape, wide.strides) == ((2, 4, 5), (0, 4, 0))
    assert cupy_kernels.memory(wide) == (x, 0) or cupy_kernels.memory(wide)[0] is x


def test_a_host_array_is_a_memory_of_its_own() -> None:
    state = np.zeros(2, np.uint64)
    assert cupy_kernels.memory(state)[0] is state
    part = cupy_kernels.part(state, offset=8, shape=(1,), strides=(8,), dtype=state.dtype)
    part[0] = 5
    assert state.tolist() == [0, 5]


def test_what_is_refused() -> None:
    x = on_host((3,))
    with pytest.raises(TypeError, match="Implicit conversion"):
        np.asarray(x)
    with pytest.raises((TypeError, ValueError)):
        cupy.ndarray((3,), object)


def test_what_lies_apart() -> None:
    x = on_host((6,))
    y = on_host((6,))
    assert launch.apart(x, x) is x
    assert launch.apart(y, x) is y
    first, last = x[:3], x[3:]
    assert launch.apart(first, last) is first
    same = x[:3]
    assert launch.apart(same, first) is same


def test_layouts_that_cublas_reads() -> None:
    x = on_host((4, 6))
    assert blas._blas_layout(x) == (0, 6)
    assert blas._blas_layout(x.T) == (1, 6)
    assert blas._blas_layout(x[:, 1:4]) == (0, 6)
    assert blas._blas_layout(x[:, 1:4].T) == (1, 6)
    assert blas._blas_layout(x[::2]) == (0, 12)
    assert blas._blas_layout(x[:, ::2])[0] == -1
    assert blas._blas_layout(x[:1]) == (0, 6)
    assert blas._blas_layout(x[:, :1])[1] >= 1
