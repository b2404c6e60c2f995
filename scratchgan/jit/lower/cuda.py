"""Source of fused functions for CUDA, and their launches.

A loop without sums becomes one elementwise kernel. Sums that keep the same axes become one
reduction kernel, which also stores the loop's other results as it passes them; sums that keep other
axes have a kernel of their own before it, which computes again what it adds. Sizes, strides and
numbers stand in the source as literals: a replay hands over nothing but addresses.
"""

import functools
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from scratchgan.backend import Array
from scratchgan.backend.cuda import source as cuda_source
from scratchgan.backend.cuda.source import C_TYPES, Total, element, stored
from scratchgan.backend.scalar import DEFINITIONS, c_literal, c_name
from scratchgan.jit.lower.loop import Space, walk
from scratchgan.jit.passes.fuse import COPY, FILL, SUM, Fused, Loop, Statement
from scratchgan.jit.record import Operand

#: Sums in one kernel; each takes 2 or 4 KiB of the 48 KiB of shared memory that a block may have.
_MOST_SUMS = {"float": 16, "double": 8}

Axes = tuple[int, ...]


class Launch(NamedTuple):
    """A kernel of a fused function: its name, how it is launched, and on which of the operands."""

    kernel: str
    grid: tuple[int, ...]
    block: tuple[int, ...]
    operands: tuple[int, ...]
    takes_scratch: bool


@dataclass
class Source:
    """A fused function.

    Attributes:
        text: The kernels.
        operands: The arrays that they work on.
        launches: What to run, in order.
        scratch: How many numbers of float64 they need between one kernel and the next.
    """

    text: str
    operands: list[Operand]
    launches: list[Launch]
    scratch: int


class _Sum(NamedTuple):
    """A sum on the way: the name of the value, and the statement."""

    value: str
    out: Operand


@dataclass
class _Writer:
    """Collects the kernels of a fused function."""

    real: str
    operands: list[Operand] = field(default_factory=list)
    definitions: dict[str, None] = field(default_factory=dict)
    kernels: list[str] = field(default_factory=list)
    launches: list[Launch] = field(default_factory=list)
    scratch: int = 0
    reach: int = 0

    def array(self, x: Operand) -> str:
        """The name of the parameter for the array that begins where ``x`` does."""
        self.reach = max(
            self.reach,
            math.prod(x.shape),
            sum(abs(s) * (n - 1) for s, n in zip(x.strides, x.shape, strict=True)),
        )
        for i, known in enumerate(self.operands):
            if (known.memory, known.offset, known.dtype) == (x.memory, x.offset, x.dtype):
                return f"a{i}"
        self.operands.append(x)
        return f"a{len(self.operands) - 1}"

    def kernel(
        self,
        write: Callable[[str, list[str]], str],
        grid: tuple[int, ...],
        block: tuple[int, ...],
    ) -> None:
        """Add the kernel that ``write`` gives for a name and parameters: what its text mentions."""
        name = f"kernel{len(self.kernels)}"
        draft = write(name, [])
        used = sorted({int(i) for i in re.findall(r"\ba(\d+)\[", draft)})
        parameters = [f"{C_TYPES[self.operands[i].dtype.name]}* a{i}" for i in used]
        takes_scratch = "scratch[" in draft
        parameters += ["double* scratch"] * takes_scratch
        self.kernels.append(write(name, parameters))
        self.launches.append(Launch(name, grid, block, tuple(used), takes_scratch))


def source_of(fused: Fused) -> Source:
    """The source of ``fused``."""
    writer = _Writer(C_TYPES[fused.dtype.name])
    for loop in fused.loops:
        if math.prod(loop.shape) or _sums(loop):
            _write_loop(loop, writer)
    is_large = writer.reach > cuda_source.LARGEST_INT
    text = cuda_source.module(writer.real, writer.definitions, writer.kernels, is_large)
    return Source(text, writer.operands, writer.launches, writer.scratch)


def _sums(loop: Loop) -> list[Statement]:
    return [statement for statement in loop.statements if statement.call.kernel == SUM]


class _Lines:
    """The printer for CUDA: the lines of a fused loop at each place.

    Attributes:
        body: What is read and computed.
        stores: What is stored.
        sums: By the axes of their results, the values that are added up.
    """

    def __init__(self, loop: Loop, writer: _Writer) -> None:
        self.space = Space(loop)
        self.body: list[str] = []
        self.stores: list[str] = []
        self.sums: dict[Axes, list[_Sum]] = {}
        self._writer = writer
        walk(loop, self)

    def _element(self, x: Operand) -> str:
        return element(self._writer.array(x), [str(n) for n in self.space.strides(x)])

    def number(self, value: float) -> str:
        """A literal."""
        return c_literal(value, self._writer.real)

    def read(self, name: str, x: Operand) -> None:
        """Read the element of ``x``."""
        self.body.append(f"const real {name} = (real){self._element(x)};")

    def compute(self, name: str, statement: Statement, inputs: list[str]) -> None:
        """Compute a statement."""
        self.body.append(f"const real {name} = {_expression(statement, inputs, self._writer)};")

    def store(self, x: Operand, name: str) -> None:
        """Store a value after all is computed."""
        self.stores.append(f"{self._element(x)} = {stored(name, C_TYPES[x.dtype.name])};")

    def add_up(self, name: str, total: Operand) -> None:
        """Leave a value to the reduction."""
        kept = self.space.axes(total)
        if len(kept) == len(self.space.sizes):  # nothing to sum over
            self.stores.append(f"{self._element(total)} = {name};")
        else:
            self.sums.setdefault(kept, []).append(_Sum(name, total))


def _write_loop(loop: Loop, writer: _Writer) -> None:
    lines = _Lines(loop, writer)
    sizes, most = lines.space.sizes, _MOST_SUMS[writer.real]
    groups_of_sums = [
        (kept, found[start : start + most])
        for kept, found in lines.sums.items()
        for start in range(0, len(found), most)
    ]
    if not groups_of_sums:

        def write(name: str, parameters: list[str]) -> str:
            literals = [str(n) for n in sizes]
            body = lines.body + lines.stores
            return cuda_source.elementwise_kernel(name, parameters, literals, body)

        writer.kernel(write, *cuda_source.elementwise_launch(math.prod(sizes)))
        return
    # What is stored may be what another kernel reads, so that it is stored by the last.
    for number, (kept, group) in enumerate(groups_of_sums, 1):
        body = lines.body + lines.stores if number == len(groups_of_sums) else lines.body
        sums = [(s.value, s.out, lines.space.strides(s.out)) for s in group]
        _write_sums(writer, sizes, kept, body, sums)


def _expression(statement: Statement, inputs: list[str], writer: _Writer) -> str:
    """The statement's result from the names of its inputs."""
    call = statement.call
    if call.kernel in (COPY, FILL):
        expression = inputs[0]
    else:
        definition = DEFINITIONS[call.kernel]
        writer.definitions[call.kernel] = None
        scalars = [c_literal(call.scalars[name], writer.real) for name in definition.scalars]
        expression = f"sg::{c_name(call.kernel)}({', '.join(inputs + scalars)})"
    return f"{expression} != 0" if statement.out.dtype.kind == "b" else expression


def _write_sums(
    writer: _Writer,
    sizes: Sequence[int],
    kept: Axes,
    body: list[str],
    sums: list[tuple[str, Operand, list[int]]],
) -> None:
    """A kernel that sums over all axes but ``kept``, and another where it leaves parts of sums.

    Args:
        writer: Takes the kernels.
        sizes: Of all axes.
        kept: Those of the results.
        body: What is to be run at each place.
        sums: The name of a value, what becomes its sum, and the strides of that in elements.
    """
    literals = [str(n) for n in sizes]
    kept_sizes = [sizes[axis] for axis in kept]
    results = math.prod(kept_sizes)
    if not results:
        return
    rows = cuda_source.are_rows(len(sizes), kept)
    reduced = math.prod(sizes) // results
    grid, block, span, parts = cuda_source.reduction_launch(results, reduced, rows)
    totals = []
    for k, (value, out, strides) in enumerate(sums):
        place = element(writer.array(out), [str(n) for n in strides])
        if parts > 1:
            place = f"scratch[(blockIdx.y * {len(sums)} + {k}) * results + o]"
        totals.append(_total(writer, value, place, "double" if parts > 1 else writer.real))

    def write(name: str, parameters: list[str]) -> str:
        return cuda_source.reduction_kernel(
            name, parameters, literals, kept, str(span), body, totals
        )

    writer.kernel(write, grid, block)
    if parts > 1:
        writer.scratch = max(writer.scratch, parts * len(sums) * results)
        _write_finish(writer, parts, kept, kept_sizes, sums)


def _total(writer: _Writer, value: str, place: str, c_type: str) -> Total:
    accumulator, start = cuda_source.accumulator_of(cuda_source.SUM, writer.real)
    return Total(value, cuda_source.SUM, start, accumulator, place, c_type)


def _write_finish(
    writer: _Writer,
    parts: int,
    kept: Axes,
    kept_sizes: Sequence[int],
    sums: list[tuple[str, Operand, list[int]]],
) -> None:
    """A kernel that adds up the parts of sums, in order."""
    body, totals = [], []
    for k, (_, out, strides) in enumerate(sums):
        # i0 counts the parts, and o the results.
        body.append(f"const double part{k} = scratch[(i0 * {len(sums)} + {k}) * results + o];")
        place = element(writer.array(out), ["0", *[str(strides[axis]) for axis in kept]])
        totals.append(_total(writer, f"part{k}", place, writer.real))
    sizes = [str(parts), *map(str, kept_sizes)]
    axes = tuple(range(1, len(sizes)))
    rows = cuda_source.are_rows(len(sizes), axes)
    grid, block, _, _ = cuda_source.reduction_launch(math.prod(kept_sizes), parts, rows)

    def write(name: str, parameters: list[str]) -> str:
        return cuda_source.reduction_kernel(name, parameters, sizes, axes, str(parts), body, totals)

    writer.kernel(write, grid, block)


def compiled(source: Source, arrays: list[Array]) -> tuple[Callable[..., None], tuple[Any, ...]]:
    """The function that runs ``source`` on ``arrays``, and its arguments."""
    from scratchgan.backend.cuda import launch as cuda_launch

    like = arrays[0] if arrays else None  # None: loops over nothing, which need no kernel
    with cuda_launch.beside(like):
        scratch = cuda_launch.empty((source.scratch,), np.float64)
        launches: list[Callable[[], None]] = []
        for launch in source.launches:
            kernel = cuda_launch.compiled(source.text, launch.kernel)
            kernel.compile()  # now, for a graph cannot do it
            taken = (*[arrays[i] for i in launch.operands], *[scratch] * launch.takes_scratch)
            launches.append(functools.partial(kernel, launch.grid, launch.block, taken))
        runs = [cuda_launch.as_graph(launches)] if len(launches) > 1 else launches
    return _run_beside, (like, runs)


def _run_beside(like: Array | None, runs: list[Callable[[], None]]) -> None:
    from scratchgan.backend.cuda import launch as cuda_launch

    with cuda_launch.beside(like):
        for run in runs:
            run()
