"""A layer, which is a product and one pass over it, and its backward, one pass too.

They are compiled from the scalar definitions of the activation and of its derivative.
"""

import functools
from typing import Any

import numpy as np

from scratchgan.backend import MachineCodeError
from scratchgan.backend.cpu.codegen import machine_code
from scratchgan.backend.cpu.threads.pool import BoundCall
from scratchgan.backend.scalar import DEFINITIONS, Definition, all_called_by, as_numba

#: Most parts of the bias's gradient, which threads share, and of what rounding takes from them; a
#: layer that is wider than this leaves no room for them.
PARTS, WIDEST = 16, 8192

_SOURCE = '''\
from scratchgan.backend.cpu.codegen.numba_target import njit
from scratchgan.backend.cpu import {dtype}_math as math
from scratchgan.backend.cpu.{dtype}_math import real
from scratchgan.backend.cpu.codegen.intrinsics import {dtype}_at as numbers_at
from scratchgan.backend.cpu.codegen.intrinsics import float64_at, share, task
from scratchgan.backend.cpu.compensation import completed, lost
from scratchgan.backend.cpu.threads.layout import SCRATCH

{definitions}
@task
def forward(thread, threads, scratch, arguments, numbers):
    """y = activation(y + bias) for the product y; its arguments are this task's too."""
    y, bias = numbers_at(arguments[6], 0), numbers_at(arguments[12], 1)
    rows, columns = arguments[8], arguments[9]
    begin, end = share(rows, thread, threads, 1)
    for i in range(begin, end):
        for j in range(columns):
            x = y[i * columns + j] + bias[j]
            y[i * columns + j] = {forward}


@task
def backward(thread, threads, scratch, arguments, numbers):
    """From the gradient of y to the one before the activation, and parts of its sum over rows."""
    gradient, y = numbers_at(arguments[0], 0), numbers_at(arguments[1], 1)
    before, sums = numbers_at(arguments[2], 2), float64_at(scratch - thread * SCRATCH, 3)
    missing = float64_at(scratch - thread * SCRATCH + SCRATCH // 2, 4)
    rows, columns = arguments[4], arguments[5]
    parts = min({parts}, 1 + rows // 64)
    first, last = share(parts, thread, threads, 1)
    for part in range(first, last):
        for j in range(columns):
            sums[part * columns + j] = missing[part * columns + j] = 0.0
        for i in range(rows * part // parts, rows * (part + 1) // parts):
            for j in range(columns):
                g = gradient[i * columns + j]
                d = {backward}
                before[i * columns + j] = d
                if {keeps_what_is_lost}:
                    missing[part * columns + j] += lost(sums[part * columns + j], d)
                sums[part * columns + j] += d


@task
def finish(thread, threads, scratch, arguments, numbers):
    """The parts of each sum added up, in order."""
    bias, sums = numbers_at(arguments[3], 0), float64_at(scratch - thread * SCRATCH, 1)
    missing = float64_at(scratch - thread * SCRATCH + SCRATCH // 2, 2)
    parts, columns = min({parts}, 1 + arguments[4] // 64), arguments[5]
    begin, end = share(columns, thread, threads, 16)
    for j in range(begin, end):
        total = 0.0
        for part in range(parts):
            total += completed(sums[part * columns + j], missing[part * columns + j])
        bias[j] = total
'''


# Beside the name of an activation these functions take its definition, so that another of the same
# name (a notebook's cell that ran again) is compiled anew.


@functools.cache
def layer_forward(
    product: int, dtype: np.dtype[Any], activation: str, definition: Definition | None
) -> BoundCall | None:
    """The tasks of a layer with an activation, or ``"none"``; None without machine code.

    They take the arguments of the task ``product``, which multiplies matrices of type ``dtype``
    into contiguous ones, and the address of the bias; their numbers are the activation's scalars.
    """
    code = _code(dtype, activation)
    count = len(definition.scalars) if definition else 0
    return BoundCall([product, code["forward"]], 13, count) if code else None


@functools.cache
def layer_backward(
    dtype: np.dtype[Any], activation: str, definition: Definition | None
) -> BoundCall | None:
    """The tasks of its backward; None without machine code.

    They take the addresses of the gradient of y, of y, of the gradient before the activation and
    of the bias's, then rows and columns; their numbers are the activation's scalars.
    """
    code = _code(dtype, activation)
    count = len(definition.scalars) if definition else 0
    return BoundCall([code["backward"], code["finish"]], 6, count) if code else None


def _code(dtype: np.dtype[Any], activation: str) -> dict[str, int] | None:
    try:
        return machine_code.load(f"layer_{activation}", source_of(dtype.name, activation))
    except MachineCodeError:
        return None


def source_of(dtype: str, activation: str) -> str:
    """The source of ``forward``, ``backward`` and ``finish``."""
    then, back, scalars = "x", "g", ""
    definitions: dict[str, Definition] = {}
    if activation != "none":
        forward, backward = DEFINITIONS[activation], DEFINITIONS[f"{activation}_backward"]
        for one in (forward, backward):
            definitions |= {name: DEFINITIONS[name] for name in all_called_by(one)}
        definitions |= {forward.name: forward, backward.name: backward}
        scalars = "".join(f", real(numbers[{k}])" for k in range(len(forward.scalars)))
        then, back = f"{activation}(x{scalars})", f"{backward.name}(g, y[i * columns + j]{scalars})"
    return _SOURCE.format(
        dtype=dtype,
        definitions="\n".join(as_numba(one) + "\n" for one in definitions.values()),
        forward=then,
        backward=back,
        keeps_what_is_lost=dtype == "float64",  # float32 cannot tell what float64 loses
        parts=PARTS,
    )
