"""Elementwise kernels as NumPy ufuncs around machine code, made from scalar definitions.

NumPy broadcasts, converts, and walks through memory; a *loop* computes along one dimension
(NumPy's manual, "Universal functions", and its C API, ``PyUFunc_FromFuncAndData``). That costs half
of the time of a compiled function that Python calls, which small arrays notice.
"""

import ctypes
from typing import Any

import numpy as np

from scratchgan.backend.cpu.codegen import machine_code
from scratchgan.backend.scalar import DEFINITIONS, Definition, all_called_by, as_numba

#: The floating types that loops are compiled for.
FLOATS: dict[np.dtype[Any], str] = {
    np.dtype(np.float32): "float32",
    np.dtype(np.float64): "float64",
}

#: Elements that a loop computes at a time where they do not lie side by side: it copies them first.
BLOCK = 256


def ufunc_of(definition: Definition, dtype: np.dtype[Any]) -> np.ufunc:
    """A ufunc of the definition's inputs, then its scalars, for one of :data:`FLOATS`.

    Raises:
        MachineCodeError: It cannot be compiled, or this NumPy makes no ufuncs as others did.
    """
    name = definition.name
    loop = machine_code.load(name, loop_source(definition, FLOATS[dtype]))["loop"]
    count = len(definition.inputs) + len(definition.scalars)
    # NumPy does not copy what it is given here, and a ufunc is never freed.
    memory = (
        (ctypes.c_void_p * 1)(loop),
        (ctypes.c_void_p * 1)(),
        ctypes.create_string_buffer(dtype.num.to_bytes() * (count + 1)),
        ctypes.create_string_buffer(name.encode()),
    )
    _kept.append(memory)
    functions, data, types, name_of = [ctypes.addressof(part) for part in memory]
    try:
        ufunc: np.ufunc = _from_functions()(
            functions, data, types, 1, count, 1, _NO_IDENTITY, name_of, None, 0
        )
    except (AttributeError, ValueError, TypeError) as fault:  # the table is not where it was
        raise machine_code.failed(name, fault) from fault
    return ufunc


_kept: list[Any] = []
_NO_IDENTITY = -1  # PyUFunc_None


def _from_functions() -> Any:
    """NumPy's ``PyUFunc_FromFuncAndData``: the second entry of the table that it exports to C."""
    pointer, number = ctypes.c_void_p, ctypes.c_int
    pointer_in = ctypes.PYFUNCTYPE(pointer, ctypes.py_object, ctypes.c_char_p)(
        ("PyCapsule_GetPointer", ctypes.pythonapi)
    )
    table = pointer_in(np._core._multiarray_umath._UFUNC_API, None)  # type: ignore[attr-defined]
    kinds = (*[pointer] * 3, *[number] * 4, *[pointer] * 2, number)
    return ctypes.PYFUNCTYPE(ctypes.py_object, *kinds)((pointer * 2).from_address(table)[1] or 0)


def loop_source(definition: Definition, dtype: str) -> str:
    """Source of a module with the function ``loop``, which computes in ``dtype``."""
    count = len(definition.inputs)
    out = count + len(definition.scalars)
    inputs = [f"x{k}" for k in range(count)]
    scalars = [f"scalar{k}" for k in range(count, out)]
    elements = [*[f"{x}[i]" for x in inputs], *scalars]
    numbers = [f"numbers_at(addresses[{k}], 0)[0]" for k in range(count, out)]
    arrays = [f"numbers_at(addresses[{k}], 0)" for k in (*range(count), out)]
    blocks = [f"block_of({k}, begin, count, addresses, steps, blocks)" for k in range(count)]
    return "\n".join(
        (
            "from scratchgan.backend.cpu.codegen.numba_target import njit",
            f"from scratchgan.backend.cpu import {dtype}_math as math",
            f"from scratchgan.backend.cpu.{dtype}_math import real\n",
            *(as_numba(DEFINITIONS[name]) + "\n" for name in all_called_by(definition)),
            as_numba(definition),
            f"defined = {definition.kernel}\n",
            "from scratchgan.backend.cpu.codegen.intrinsics import forget_exceptions, loop, stack",
            f"from scratchgan.backend.cpu.codegen.intrinsics import {dtype}_at as numbers_at",
            _LOOP.format(
                parameters=", ".join((*inputs, "out", *scalars)),
                elements=", ".join(elements),
                on_arrays=", ".join((*arrays, *numbers)),
                on_blocks=", ".join((*blocks, "numbers_at(block, 0)", *numbers)),
                arrays=(*range(count), out),
                out=out,
                block=BLOCK,
                memory=(out + 1) * BLOCK * np.dtype(dtype).itemsize,
            ),
        )
    )


#: The end of every module, the same in all; before it a definition may use any names.
_LOOP = """
NBYTES = real(0).nbytes
BLOCK = {block} * NBYTES


@njit
def compute(size, {parameters}):
    for i in range(size):
        out[i] = defined({elements})


@njit
def block_of(array, begin, size, addresses, steps, blocks):
    step = steps[array]
    place = addresses[array] + begin * step
    if step == NBYTES:
        return numbers_at(place, 0)
    block = numbers_at(blocks + array * BLOCK, 0)
    if step != 0 or begin == 0:
        for i in range(size):
            block[i] = numbers_at(place + i * step, 0)[0]
    return block


@loop
def loop(addresses, sizes, steps):
    is_dense = True
    for array in {arrays}:
        is_dense &= steps[array] == NBYTES
    if is_dense:
        compute(sizes[0], {on_arrays})
    else:
        blocks = stack({memory})
        step = steps[{out}]
        for begin in range(0, sizes[0], {block}):
            count = min({block}, sizes[0] - begin)
            place = addresses[{out}] + begin * step
            block = place if step == NBYTES else blocks + {out} * BLOCK
            compute(count, {on_blocks})
            if step != NBYTES:
                for i in range(count):
                    numbers_at(place + i * step, 0)[0] = numbers_at(block, 0)[i]
    forget_exceptions()
"""
