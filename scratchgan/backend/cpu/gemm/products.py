"""Products of matrices by compiled tasks.

Those of :mod:`scratchgan.backend.cpu.gemm.amx.microkernel` on a processor that has a matrix unit,
if they are of float32 and so large that it is worth it; else
:mod:`scratchgan.backend.cpu.gemm.microkernel`. The choice depends on m, n and k alone, so that the
same product always gives the same numbers.
"""

import functools
from typing import Any

import numpy as np

from scratchgan.backend import MachineCodeError
from scratchgan.backend.cpu.addresses import Array, address_of
from scratchgan.backend.cpu.codegen import machine_code
from scratchgan.backend.cpu.threads.pool import BoundCall, Task

#: A product that is smaller in one direction, or of fewer multiplications, gains nothing by the
#: matrix unit.
SMALLEST, WORTH_SPLITTING = 64, 1 << 21


class Products:
    """Products of matrices of one type."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._dtype, self._is_float32 = dtype, dtype == np.float32
        self._plain = machine_code.load_for("gemm.microkernel", dtype.name)["product"]

    def multiply(self, a: Array, b: Array, out: Array) -> bool:
        """``out = a @ b`` for matrices of this type; False, and nothing done, if they don't fit."""
        arguments = self.arguments(*_wide(a, b, out))
        if arguments is None:
            return False
        _prepared(self.function(arguments)).run(*arguments, work=work_of(arguments))
        return True

    def task(self, a: Array, b: Array, out: Array) -> Task | None:
        """:meth:`multiply` as a task for later; None if the matrices do not fit."""
        arguments = self.arguments(*_wide(a, b, out))
        if arguments is None:
            return None
        values = np.array(arguments, np.intp)
        return Task(self.function(arguments), values, np.empty(0), (a, b, out))

    def function(self, arguments: tuple[int, ...]) -> int:
        """The address of the task for these arguments."""
        m, n, k, _ = arguments[-4:]
        if min(m, n, k) >= SMALLEST and m * n * k >= WORTH_SPLITTING and self._is_float32:
            return on_matrix_unit() or self._plain
        return self._plain

    def arguments(self, a: Array, b: Array, out: Array) -> tuple[int, ...] | None:
        """The task's arguments; None if the rows of ``out`` are not contiguous, or another fault.

        A fault is that sizes differ, or that a stride is no multiple of a number's. The last
        argument is the address of the plain task: the matrix unit's has it compute what is not
        finite.
        """
        m, k = a.shape
        n = b.shape[1]
        nbytes = self._dtype.itemsize
        (a_row, a_step), (b_row, b_column), (c_row, c_column) = a.strides, b.strides, out.strides
        if b.shape[0] != k or out.shape != (m, n) or (c_column != nbytes and n > 1):
            return None
        if (a_row | a_step | b_row | b_column | c_row) % nbytes:
            return None
        dtype = self._dtype
        return (
            address_of(a, (m, k), dtype, is_dense=False),
            *(a_row // nbytes, a_step // nbytes),
            address_of(b, (k, n), dtype, is_dense=False),
            *(b_row // nbytes, b_column // nbytes),
            address_of(out, (m, n), dtype, is_dense=False, writes=True),
            *(c_row // nbytes, m, n, k, self._plain),
        )


@functools.cache
def on_matrix_unit() -> int | None:
    """The address of the task for the matrix unit; None where there is none that can be used."""
    if not machine_code.may_use_matrix_unit():
        return None
    try:
        return machine_code.load_for("gemm.amx.microkernel", "float32")["product"]
    except MachineCodeError:
        return None


def _wide(a: Array, b: Array, out: Array) -> tuple[Array, Array, Array]:
    """The same product; one column as one row, for a tile is wide."""
    is_column = b.shape[1] == 1 and out.strides[0] == out.itemsize
    return (b.T, a.T, out.T) if is_column else (a, b, out)


@functools.cache
def _prepared(function: int) -> BoundCall:
    return BoundCall([function], 12, 0)


def work_of(arguments: tuple[int, ...]) -> int:
    """About how many numbers the product with these arguments is worth."""
    m, n, k, _ = arguments[-4:]
    return m * n * k // 32
