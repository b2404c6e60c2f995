"""CUDA source: kernels as text, from scalar definitions; nothing here needs a GPU or CuPy.

A kernel is written for how many axes it walks, not for how long they are: sizes and strides are
parameters, or literals where the writer knows them (:mod:`scratchgan.jit.lower.cuda`). Elementwise
kernels are a loop over all elements with a stride of the whole grid. A reduction gives each result
to one row of threads, which add up in an order that only the shape decides: the same bits each
time. What no scalar definition says stands in ``kernels.cu``.
"""

import functools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from scratchgan.backend import counter_rng
from scratchgan.backend.scalar import DEFINITIONS, all_called_by, as_cuda

#: The C types of array elements. Arithmetic is in float, double or, for integers, long long.
C_TYPES = {
    "bool": "bool",
    **{"int8": "signed char", "int16": "short", "int32": "int", "int64": "long long"},
    **{"uint8": "unsigned char", "uint16": "unsigned short", "uint32": "unsigned int"},
    **{"uint64": "unsigned long long", "float32": "float", "float64": "double"},
}

#: No contraction of a * b + c: a result does not depend on what a kernel computes besides, so that
#: jit gives the bits of eager, and noise is the same numbers as on the CPU.
OPTIONS = ("--fmad=false",)

THREADS = 256  #: In a block; a power of two, since reductions halve it.
_MOST_BLOCKS = 65535  # in each direction of a grid

#: Positions up to here are 32-bit numbers, whose division takes a fraction of the time.
LARGEST_INT = 2**30

_PREAMBLE = """\
typedef {real} real;      // numbers
typedef {index} index_t;  // positions in arrays
#define INFINITE_VALUE __longlong_as_double(0x7ff0000000000000LL)
#define NAN_VALUE __longlong_as_double(0x7ff8000000000000LL)

// A sum and what rounding took from it (Knuth 1997, section 4.2.2, theorem B): as a number, both.
// Its error does not grow with how many numbers there are. An infinite one loses nothing.
struct compensated
{{
    double total, missing;
    compensated() = default;  // as arrays want it that a block shares
    __device__ inline compensated(double x, double lost = 0) : total(x), missing(lost) {{}}
    __device__ inline operator double() const
    {{
        return missing == missing ? total + missing : total;
    }}
}};
__device__ inline compensated operator+(compensated a, compensated b)
{{
    const double total = a.total + b.total, part = total - a.total;
    const double lost = (a.total - (total - part)) + (b.total - part);
    return compensated(total, a.missing + b.missing + lost);
}}

// Python's x % y and x // y: rounded down, and exact.
__device__ inline double remainder_of(double x, double y)
{{
    const double rest = ::fmod(x, y);
    return rest != 0 && (rest < 0) != (y < 0) ? rest + y : rest;
}}
__device__ inline double floored_quotient_of(double x, double y)
{{
    if (y == 0) {{
        return x / y;
    }}
    const double quotient = (x - remainder_of(x, y)) / y;
    const double down = ::floor(quotient);
    return quotient - down > 0.5 ? down + 1 : down;
}}
__device__ inline float remainder_of(float x, float y)
{{
    return (float)remainder_of((double)x, (double)y);
}}
__device__ inline float floored_quotient_of(float x, float y)
{{
    return (float)floored_quotient_of((double)x, (double)y);
}}
__device__ inline long long remainder_of(long long x, long long y)
{{
    const long long rest = y == 0 ? 0 : x % y;
    return rest != 0 && (rest < 0) != (y < 0) ? rest + y : rest;
}}
__device__ inline long long floored_quotient_of(long long x, long long y)
{{
    return y == 0 ? 0 : x / y - (x % y != 0 && (x < 0) != (y < 0) ? 1 : 0);
}}
"""


def module(
    real: str, definitions: Iterable[str], kernels: Iterable[str], is_large: bool = False
) -> str:
    """A translation unit: ``kernels`` after the definitions that they call as ``sg::name``.

    Args:
        real: The C type of the arithmetic.
        definitions: Names of scalar definitions.
        kernels: Texts.
        is_large: Whether positions exceed :data:`LARGEST_INT`.
    """
    names: dict[str, None] = {}
    for name in definitions:
        names.update(dict.fromkeys((*all_called_by(DEFINITIONS[name]), name)))
    functions = [as_cuda(DEFINITIONS[name], real) for name in names]
    index = "long long" if is_large else "int"
    parts = [_PREAMBLE.format(real=real, index=index)]
    if functions:
        parts.append("namespace sg {\n" + "\n".join(functions) + "\n}  // namespace sg\n")
    return "\n".join((*parts, *kernels))


@functools.cache
def hand_written(real: str) -> str:
    """``kernels.cu`` as a translation unit, with the constants that :mod:`noise` defines."""

    def table(name: str, values: Sequence[float]) -> str:
        numbers = ", ".join(map(repr, values))
        return f"__constant__ const double {name}[{len(values)}] = {{{numbers}}};"

    constants = [
        f"#define THREADS {THREADS}",
        f"#define GAMMA {counter_rng.GAMMA}ULL",
        f"#define MIX1 {counter_rng.MIX1}ULL",
        f"#define MIX2 {counter_rng.MIX2}ULL",
        f"#define LN2 {counter_rng.LN2!r}",
        f"#define SQRT_HALF {counter_rng.SQRT_HALF!r}",
        table("LOG_SERIES", counter_rng.LOG_SERIES),
    ]
    for name in ("MIDDLE", "TAIL", "FAR_TAIL"):
        numerator, denominator = getattr(counter_rng, name)
        constants += [table(name + "_TOP", numerator), table(name + "_BOTTOM", denominator)]
    text = Path(__file__).with_name("kernels.cu").read_text()
    return module(real, (), ("\n".join(constants), text), is_large=True)


# --- Elements -------------------------------------------------------------------------


def coordinates(flat: str, axes: Sequence[int], sizes: Sequence[str]) -> list[str]:
    """Declarations of ``i<axis>`` for each of ``axes``, from the position ``flat`` among them."""
    lines = []
    for axis in reversed(axes):
        rest = "" if axis == axes[0] else f" % {sizes[axis]}"
        lines.append(f"const index_t i{axis} = {flat}{rest};")
        flat += f" / {sizes[axis]}"
    return lines


def element(array: str, strides: Sequence[str]) -> str:
    """``array[...]`` at the coordinates; ``strides``, in elements, for each axis."""
    terms = [
        f"i{axis}" if stride == "1" else f"i{axis} * {stride}"
        for axis, stride in enumerate(strides)
        if stride != "0"
    ]
    return f"{array}[{' + '.join(terms) or '0'}]"


def stored(value: str, c_type: str) -> str:
    """``value`` converted as an array of ``c_type`` holds it."""
    return f"({value}) != 0" if c_type == "bool" else f"({c_type})({value})"


# --- Elementwise ----------------------------------------------------------------------

_ELEMENTWISE = """\
extern "C" __global__ void {name}({parameters})
{{
    const index_t count = {count};
    const index_t step = (index_t)gridDim.x * blockDim.x;
    for (index_t i = (index_t)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += step) {{
        {body}
    }}
}}
"""


def elementwise_kernel(
    name: str, parameters: Sequence[str], sizes: Sequence[str], body: Sequence[str]
) -> str:
    """A kernel that runs the lines ``body`` once at each place, where its coordinates are known."""
    lines = [*coordinates("i", range(len(sizes)), sizes), *body]
    return _ELEMENTWISE.format(
        name=name,
        parameters=", ".join(parameters),
        count=" * ".join(sizes) or "1",
        body="\n        ".join(lines),
    )


def elementwise_launch(count: int) -> tuple[tuple[int], tuple[int]]:
    """Grid and block of an elementwise kernel for ``count`` places."""
    return (min(max(-(-count // THREADS), 1), _MOST_BLOCKS),), (THREADS,)


# --- Reductions -----------------------------------------------------------------------


#: How two values become one.
SUM, MAX, MIN = "{a} + {b}", "sg::maximum({a}, {b})", "sg::minimum({a}, {b})"


class Total(NamedTuple):
    """One result of a reduction kernel.

    Attributes:
        value: What is reduced, an expression of what the body computed.
        combine: An expression of two accumulators, a format of ``{a}`` and ``{b}``.
        start: The accumulator of nothing.
        c_type: Of the accumulator.
        out: The element that becomes the result; known are the coordinates of the kept axes and
            ``o``, the position among them.
        out_type: Its C type.
    """

    value: str
    combine: str
    start: str
    c_type: str
    out: str
    out_type: str


_REDUCTION = """\
extern "C" __global__ void {name}({parameters})
{{
    // A block is `width` rows of `lanes` threads: each row reduces for one result at a time.
    const int lane = threadIdx.{lane}, lanes = blockDim.{lane};
    const int row = threadIdx.{row}, width = blockDim.{row};
    const index_t results = {results}, reduced = {reduced};
    // Where there are few results, blocks along y take a part of the elements each.
    const index_t begin = blockIdx.y * (index_t){span};
    const index_t end = begin + {span} < reduced ? begin + {span} : reduced;
    {shared}
    for (index_t first = (index_t)blockIdx.x * width; first < results;
         first += (index_t)gridDim.x * width) {{
        const index_t o = first + row;
        {kept}
        {totals}
        if (o < results) {{
            for (index_t r = begin + lane; r < end; r += lanes) {{
                {body}
            }}
        }}
        {share}
        for (int half = lanes / 2; half > 0; half /= 2) {{
            __syncthreads();
            if (lane < half) {{
                {combine}
            }}
        }}
        if (lane == 0 && o < results) {{
            {store}
        }}
        __syncthreads();
    }}
}}
"""


def reduction_kernel(
    name: str,
    parameters: Sequence[str],
    sizes: Sequence[str],
    kept: Sequence[int],
    span: str,
    body: Sequence[str],
    totals: Sequence[Total],
) -> str:
    """A kernel that reduces over all axes but ``kept``, and runs ``body`` once at each place.

    Args:
        name: Of the kernel.
        parameters: Its parameters.
        sizes: Of all axes.
        kept: The axes of the results.
        span: How many elements a block takes of each result: all, or a part.
        body: Lines; the coordinates are known.
        totals: The results.
    """
    reduced = [axis for axis in range(len(sizes)) if axis not in kept]
    lane, row = ("x", "y") if are_rows(len(sizes), kept) else ("y", "x")
    here, there = "row * lanes + lane", "row * lanes + lane + half"
    inner = [*coordinates("r", reduced, sizes), *body]
    shared, start, share, combine, store = [], [], [], [], []
    for k, total in enumerate(totals):
        value = f"({total.c_type})({total.value})"
        cell = f"shared{k}[{here}]"
        inner.append(f"total{k} = {total.combine.format(a=f'total{k}', b=value)};")
        shared.append(f"__shared__ {total.c_type} shared{k}[{THREADS}];")
        start.append(f"{total.c_type} total{k} = {total.start};")
        share.append(f"{cell} = total{k};")
        combine.append(f"{cell} = {total.combine.format(a=cell, b=f'shared{k}[{there}]')};")
        store.append(f"{total.out} = {stored(cell, total.out_type)};")
    return _REDUCTION.format(
        name=name,
        parameters=", ".join(parameters),
        lane=lane,
        row=row,
        results=" * ".join(sizes[axis] for axis in kept) or "1",
        reduced=" * ".join(sizes[axis] for axis in reduced) or "1",
        span=span,
        shared="\n    ".join(shared),
        totals="\n        ".join(start),
        kept="\n        ".join(coordinates("o", kept, sizes)),
        body="\n                ".join(inner),
        share="\n        ".join(share),
        combine="\n                ".join(combine),
        store="\n            ".join(store),
    )


def accumulator_of(combine: str, real: str) -> tuple[str, str]:
    """The C type that a reduction computes in, and the value that it starts from.

    In float64, float32 loses nothing that it could tell; float64 itself keeps what it loses.
    """
    if combine == SUM:
        return {"float": "double", "double": "compensated"}.get(real, real), "0"
    lowest = "(-9223372036854775807LL - 1)" if real == "long long" else f"({real})-INFINITE_VALUE"
    highest = "9223372036854775807LL" if real == "long long" else f"({real})INFINITE_VALUE"
    return real, lowest if combine == MAX else highest


def are_rows(ndim: int, kept: Sequence[int]) -> bool:
    """Whether the last axis is reduced, so that neighbours in memory belong to one result."""
    return ndim - 1 not in kept


class ReductionLaunch(NamedTuple):
    """How a reduction kernel is launched; with ``parts`` above 1 it gives that many results."""

    grid: tuple[int, int]
    block: tuple[int, int]
    span: int
    parts: int


def reduction_launch(results: int, reduced: int, rows: bool) -> ReductionLaunch:
    """The launch of a reduction of ``reduced`` elements to each of ``results``.

    Args:
        results: How many results.
        reduced: Elements of each.
        rows: See :func:`are_rows`; neighbours in memory go to neighbouring threads.
    """
    most = THREADS if rows else THREADS // min(32, power_of_two(results))
    lanes = min(most, power_of_two(reduced))
    width = min(THREADS // lanes, power_of_two(results))
    blocks = min(-(-results // width), _MOST_BLOCKS)
    # At least 16 elements for each thread, and no more blocks than a large GPU runs at once.
    parts = max(1, min(reduced // (16 * lanes), 512 // blocks))
    span = max(-(-reduced // parts), 1)
    block = (lanes, width) if rows else (width, lanes)
    parts = max(-(-reduced // span), 1)  # all of them have something to do
    return ReductionLaunch((blocks, parts), block, span, parts)


def power_of_two(n: int) -> int:
    """The smallest power of two that is not smaller than ``n``."""
    return 1 << max(n - 1, 0).bit_length()
