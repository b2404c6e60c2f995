"""Products of matrices by compiled tasks.

Those of :mod:`scratchgan.backend.cpu.gemm.amx.microkernel` on a processor that has a matrix unit,
if they are of float32 and so large that it is worth it; else
:mod:`scratchgan.backend.cpu.gemm.microkernel`. The choice depends on m, n and k alone, so that the
same product always gives the same numbers.
"""

import functools
from typing import Any, NamedTuple

import numpy as np

from scratchgan.backend import MachineCodeError
from scratchgan.backend.cpu.addresses import Array, begin_of
from scratchgan.backend.cpu.codegen import machine_code
from scratchgan.backend.cpu.elementwise import FLOATS
from scratchgan.backend.cpu.threads.pool import BoundCall, Task

#: A product that is smaller in one direction, or of fewer multiplications, gains nothing by the
#: matrix unit.
SMALLEST, WORTH_SPLITTING = 64, 1 << 21


class Plan(NamedTuple):
    """How matrices of certain sizes and strides are multiplied.

    Attributes:
        function: The address of the task.
        a_strides: From row to row and from column to column, in numbers.
        b_strides: The same.
        rest: The stride of the result's rows; m, n and k; and the address of the plain task, by
            which the matrix unit's has what is not finite computed.
        work: About how many numbers' worth of work it is.
    """

    function: int
    a_strides: tuple[int, int]
    b_strides: tuple[int, int]
    rest: tuple[int, int, int, int, int]
    work: int

    def arguments(self, a: Array, b: Array, out: Array) -> tuple[int, ...]:
        """The task's arguments for ``out = a @ b``."""
        a_begin, b_begin = begin_of(a), begin_of(b)
        return (a_begin, *self.a_strides, b_begin, *self.b_strides, begin_of(out), *self.rest)


def plan_of(a: Array, b: Array, out: Array) -> Plan | None:
    """How a task computes ``out = a @ b``.

    Returns:
        None if these are not matrices of NumPy's of one floating type, their sizes do not fit, the
        rows of ``out`` are not contiguous or cannot be written, a stride is no multiple of a
        number's size, or there is no machine code.
    """
    return _plan_of(
        (type(a), a.dtype, a.shape, a.strides),
        (type(b), b.dtype, b.shape, b.strides),
        (type(out), out.dtype, out.shape, out.strides, out.flags.writeable),
    )


@functools.lru_cache(maxsize=1024)
def _plan_of(a: tuple[Any, ...], b: tuple[Any, ...], out: tuple[Any, ...]) -> Plan | None:
    """:func:`plan_of` for arrays of these kinds, types, shapes and strides."""
    a_kind, a_dtype, a_shape, a_strides = a
    b_kind, b_dtype, b_shape, b_strides = b
    out_kind, dtype, out_shape, out_strides, can_write = out
    are_numpys = all(issubclass(kind, np.ndarray) for kind in (a_kind, b_kind, out_kind))
    # The types are told apart as the cache does, by ==.
    if not (are_numpys and can_write and a_dtype == b_dtype == dtype and dtype in FLOATS):
        return None
    if not len(a_shape) == len(b_shape) == len(out_shape) == 2:
        return None
    (m, k), n, nbytes = a_shape, b_shape[1], dtype.itemsize
    if b_shape != (k, n) or out_shape != (m, n) or (out_strides[1] != nbytes and n > 1):
        return None
    if any(stride % nbytes for stride in (*a_strides, *b_strides, out_strides[0])):
        return None
    a_row, a_step, b_row, b_column, c_row = (
        stride // nbytes for stride in (*a_strides, *b_strides, out_strides[0])
    )
    try:
        plain = machine_code.load_for("gemm.microkernel", dtype.name)["product"]
    except MachineCodeError:
        return None
    function = plain
    if min(m, n, k) >= SMALLEST and m * n * k >= WORTH_SPLITTING and dtype == np.float32:
        function = on_matrix_unit() or plain
    rest = (c_row, m, n, k, plain)
    return Plan(function, (a_row, a_step), (b_row, b_column), rest, work=m * n * k // 32)


@functools.cache
def on_matrix_unit() -> int | None:
    """The address of the task for the matrix unit; None where there is none that can be used."""
    if not machine_code.may_use_matrix_unit():
        return None
    try:
        return machine_code.load_for("gemm.amx.microkernel", "float32")["product"]
    except MachineCodeError:
        return None


def multiply(a: Array, b: Array, out: Array) -> bool:
    """``out = a @ b``; False, and nothing done, if :func:`plan_of` gives no plan."""
    a, b, out = _wide(a, b, out)
    plan = plan_of(a, b, out)
    if plan is None:
        return False
    _prepared(plan.function).run(*plan.arguments(a, b, out), work=plan.work)
    return True


def task(a: Array, b: Array, out: Array) -> Task | None:
    """:func:`multiply` as a task for later; None if there is no plan."""
    wide = _wide(a, b, out)
    plan = plan_of(*wide)
    if plan is None:
        return None
    values = np.array(plan.arguments(*wide), np.intp)
    return Task(plan.function, values, np.empty(0), (a, b, out))


def _wide(a: Array, b: Array, out: Array) -> tuple[Array, Array, Array]:
    """The same product; one column as one row, for a tile is wide."""
    is_column = b.shape[-1:] == (1,) and out.strides[:1] == (out.itemsize,)
    return (b.T, a.T, out.T) if is_column else (a, b, out)


@functools.cache
def _prepared(function: int) -> BoundCall:
    return BoundCall([function], 12, 0)
