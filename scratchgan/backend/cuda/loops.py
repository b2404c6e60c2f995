"""Kernels of one expression, as text: what the backend launches eagerly."""

from collections.abc import Sequence
from typing import NamedTuple

from scratchgan.backend.cuda.source import (
    Total,
    accumulator_of,
    element,
    elementwise_kernel,
    reduction_kernel,
    stored,
)
from scratchgan.backend.scalar import Definition, c_name


class Loop(NamedTuple):
    """An expression to be computed at each place.

    Attributes:
        name: What it is called.
        expression: A format of the inputs by number, and of the scalars by name.
        definitions: Names of the scalar definitions that it calls.
        scalars: Names of its keyword numbers.
        total: How its values are reduced, if they are.
    """

    name: str
    expression: str
    definitions: tuple[str, ...] = ()
    scalars: tuple[str, ...] = ()
    total: str | None = None


def loop_of(definition: Definition) -> Loop:
    """The elementwise loop over a scalar definition."""
    inputs = [f"{{{i}}}" for i in range(len(definition.inputs))]
    scalars = [f"{{{name}}}" for name in definition.scalars]
    call = f"sg::{c_name(definition.kernel)}({', '.join(inputs + scalars)})"
    return Loop(definition.kernel, call, (definition.kernel,), definition.scalars)


def loop_kernel(
    loop: Loop,
    real: str,
    inputs: Sequence[str | None],
    out: str | None,
    axes: int,
    kept: Sequence[int] = (),
    total_out: str | None = None,
    name: str = "loop",
) -> str:
    """The text of a kernel for ``loop``.

    Its parameters, in order: the sizes; each input, an array with its strides or a number; the
    array of the values with its strides, where they are stored; the scalars; and where they are
    reduced, the array of the results (contiguous) and the span.

    Args:
        loop: What it computes.
        real: The C type of the arithmetic.
        inputs: The C types of arrays among the inputs; None for a number.
        out: The C type of the array of values; None where they are not stored.
        axes: How many axes it walks.
        kept: The axes of the results of a reduction.
        total_out: The C type of the results of a reduction.
        name: Of the kernel.
    """
    sizes = [f"n{axis}" for axis in range(axes)]
    parameters = [f"index_t {size}" for size in sizes]

    def array(c_type: str, name: str) -> str:
        strides = [f"{name}_{axis}" for axis in range(axes)]
        parameters.extend([f"{c_type}* {name}", *[f"index_t {stride}" for stride in strides]])
        return element(name, strides)

    values = []
    for i, c_type in enumerate(inputs):
        if c_type is None:
            parameters.append(f"{real} x{i}")
            values.append(f"x{i}")
        else:
            place = array(f"const {c_type}", f"x{i}")
            values.append(place if loop is COPY else f"({real}){place}")
    target = None if out is None else array(out, "out")
    parameters += [f"{real} {c_name(scalar)}" for scalar in loop.scalars]
    value = loop.expression.format(*values, **{name: c_name(name) for name in loop.scalars})
    if total_out is None:
        assert target is not None and out is not None
        return elementwise_kernel(name, parameters, sizes, [f"{target} = {stored(value, out)};"])
    assert loop.total is not None
    parameters += [f"{total_out}* total", "index_t span"]
    body = [f"const {real} value = {value};"]
    if target is not None:
        body.append(f"{target} = value;")
    accumulator, start = accumulator_of(loop.total, real)
    result = "total[blockIdx.y * results + o]"
    total = Total("value", loop.total, start, accumulator, result, total_out)
    return reduction_kernel(name, parameters, sizes, kept, "span", body, [total])


#: Elements as they are, converted only where they are stored.
COPY = Loop("copy", "{0}")
