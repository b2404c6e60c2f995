"""Matrix products by cuBLAS, which multiplies matrices wherever and however they lie."""

from typing import Any

import cupy
import numpy as np

from scratchgan.backend.cuda.launch import Array, apart, converted, copy, empty

#: In what cuBLAS multiplies float32 matrices; :func:`scratchgan.cuda.set_matmul_precision`.
matmul_precision = "float32"

COMPUTE_TYPES = {
    "float32": "CUBLAS_COMPUTE_32F",
    "tf32": "CUBLAS_COMPUTE_32F_FAST_TF32",
    "float16": "CUBLAS_COMPUTE_32F_FAST_16F",
}
_ONE = {dtype: np.ones((), dtype) for dtype in "fd"}
_ZERO = {dtype: np.zeros((), dtype) for dtype in "fd"}


def product(a: Array, b: Array, out: Array) -> None:
    """The product of two matrices.

    cuBLAS counts rows fastest, so that it sees each array here as its transpose. It is asked for
    ``out.T = b.T @ a.T``, and told which of them it must transpose once more.
    """
    from cupy_backends.cuda.libs import cublas

    dtype = out.dtype
    whole = out if _blas_layout(out)[0] == 0 else empty(out.shape, dtype, like=out)
    a, b = (_readable(apart(x, whole), dtype) for x in (a, b))
    transposes_a, row_a = _blas_layout(a)
    transposes_b, row_b = _blas_layout(b)
    (n, k), m = a.shape, b.shape[1]
    if dtype.char == "f":
        data, compute = cupy.cuda.runtime.CUDA_R_32F, COMPUTE_TYPES[matmul_precision]
    else:
        data, compute = cupy.cuda.runtime.CUDA_R_64F, "CUBLAS_COMPUTE_64F"
    one, zero = _ONE[dtype.char].ctypes.data, _ZERO[dtype.char].ctypes.data
    cublas.gemmEx(
        *(cupy.cuda.device.get_cublas_handle(), transposes_b, transposes_a, m, n, k),
        *(one, b.data.ptr, data, row_b, a.data.ptr, data, row_a),
        *(zero, whole.data.ptr, data, _blas_layout(whole)[1]),
        *(getattr(cublas, compute), cublas.CUBLAS_GEMM_DEFAULT),
    )
    if whole is not out:
        copy(whole, out)


def _blas_layout(x: Array) -> tuple[int, int]:
    """Whether a matrix lies transposed (1) or not (0), and the elements from one row to the next.

    (-1, -1) where it lies neither way.
    """
    (rows, columns), (down, right), size = x.shape, x.strides, x.itemsize
    if (columns == 1 or right == size) and (rows == 1 or down >= columns * size):
        return 0, columns if rows == 1 else down // size
    if (rows == 1 or down == size) and (columns == 1 or right >= rows * size):
        return 1, rows if columns == 1 else right // size
    return -1, -1


def _readable(x: Array, dtype: np.dtype[Any]) -> Array:
    return x if x.dtype == dtype and _blas_layout(x)[0] >= 0 else converted(x, dtype)
