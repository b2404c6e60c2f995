"""Every primitive with a sampler: inputs and keywords at which its derivatives exist.

A sampler is a function from :class:`~scratchgan.testing.choices.Choices` to a :class:`Sample`.
The suite fails for a primitive that has no row in :data:`SAMPLERS`.
"""

from typing import Any, NamedTuple

import numpy as np

from scratchgan import ops
from scratchgan.autograd.primitive import Primitive
from scratchgan.autograd.tensor import Tensor
from scratchgan.backend.scalar import DEFINITIONS
from scratchgan.testing import shape_samplers
from scratchgan.testing.choices import (
    NONZERO,
    POSITIVE,
    PROBABILITY,
    REAL,
    UNIT,
    Choices,
    Domain,
    Sample,
    Sampler,
    Shape,
    broadcastable,
    distinct,
    laid_out,
    number,
    numbers,
    shape,
    tensor,
)


class Row(NamedTuple):
    """The description of a primitive for sampling its arguments.

    Attributes:
        sampler: Draws inputs at which its derivatives exist.
        room: How far all inputs of a sample may move, and the derivatives still exist.
        is_analytic: It has a complex-step derivative.
    """

    sampler: Sampler
    room: float = 0.05
    is_analytic: bool = True


# --- Elementwise ----------------------------------------------------------------------


def elementwise(*domains: Domain, tensors: tuple[int, ...] = (), **keywords: Domain) -> Sampler:
    """Tensors of shapes that broadcast together, at times a Python number in place of one.

    Args:
        domains: One for each input.
        tensors: Positions of the inputs that cannot be numbers.
        keywords: One for each keyword, which is a number.
    """

    def sampler(choices: Choices) -> Sample:
        shapes = broadcastable(choices, len(domains))
        options = [i for i in range(len(domains)) if i not in tensors]
        may_be_number = len(domains) > 1 and len(options) > 0
        alone = choices.one_of(options) if may_be_number and choices.chance(0.4) else None
        inputs = tuple(
            number(choices, domain) if i == alone else tensor(choices, shapes[i], domain)
            for i, domain in enumerate(domains)
        )
        return Sample(inputs, {name: number(choices, domain) for name, domain in keywords.items()})

    return sampler


def default_sampler(primitive: Primitive, domains: dict[str, Domain]) -> Sampler:
    """For an elementwise primitive: every input from its domain, :data:`REAL` if it has none.

    Raises:
        TypeError: The primitive is not elementwise, or lacks an input that ``domains`` names, or a
            domain is none.
    """
    if primitive.name not in DEFINITIONS:
        raise TypeError(
            f"check_primitive: {primitive.name!r} is not elementwise, so that its inputs cannot be "
            "guessed; pass sampler=, a function from choices to Sample(inputs, keywords)"
        )
    for name, domain in domains.items():
        if name not in primitive.inputs:
            raise TypeError(f"check_primitive: {primitive.name!r} has no input {name!r}")
        if not _is_domain(domain):
            raise TypeError(
                f"check_primitive: the domain of {name!r} is a tuple of intervals, as "
                f"((0.5, 2.0),), not {domain!r}"
            )
    required = [name for name in primitive.keywords if name not in primitive.defaults]
    if required:
        raise TypeError(
            f"check_primitive: {primitive.name!r} needs the keyword {required[0]!r}; pass sampler="
        )
    each = [domains.get(name, REAL) for name in primitive.inputs]
    return elementwise(*each, tensors=primitive.tensors)


def _is_domain(domain: Any) -> bool:
    """Whether it is made of intervals, of which none is empty."""
    try:
        return len(domain) > 0 and all(low <= high for low, high in domain)
    except (TypeError, ValueError):
        return False


def _apart(choices: Choices) -> Sample:
    """Two inputs that are nowhere closer than 0.1, and are each other's larger here and there."""
    shapes = broadcastable(choices, 2)
    x, y = (0.2 * np.round(numbers(choices, size, REAL) / 0.2) for size in shapes)
    return Sample((laid_out(choices, x), laid_out(choices, y + 0.1)), {})


def _compared(choices: Choices) -> Sample:
    """Two inputs that are equal here and there."""
    shapes = broadcastable(choices, 2)
    x, y = (laid_out(choices, np.round(numbers(choices, size, REAL))) for size in shapes)
    return Sample((x, choices.one_of((y, 1.0))), {})


def _condition(choices: Choices) -> Sample:
    shapes = broadcastable(choices, 3)
    condition = laid_out(choices, numbers(choices, shapes[0], REAL) > 0)
    x, y = (tensor(choices, size, REAL) for size in shapes[1:])
    numbers_too = ((x, y), (x, number(choices, REAL)), (number(choices, REAL), y))
    return Sample((condition, *choices.one_of(numbers_too)), {})


def _divided(choices: Choices) -> Sample:
    """Quotients away from whole numbers."""
    x, y = broadcastable(choices, 2)
    divided = tensor(choices, x, ((0.2, 0.8), (2.4, 2.8)))
    return Sample((divided, tensor(choices, y, ((1.0, 1.1),))), {})


def _bits(count: int) -> Sampler:
    def sampler(choices: Choices) -> Sample:
        shapes = broadcastable(choices, count)
        return Sample(tuple(_whole(choices, size, -9, 9) for size in shapes), {})

    return sampler


def _shifted(choices: Choices) -> Sample:
    x, y = broadcastable(choices, 2)
    return Sample((_whole(choices, x, -9, 9), _whole(choices, y, 0, 5)), {})


def _whole(choices: Choices, size: Shape, low: int, high: int) -> Tensor:
    return laid_out(choices, choices.integers(size, low, high))


def _power(choices: Choices) -> Sample:
    kind = choices.one_of((0, 0, 0, 1, 2, 3))
    first, second = broadcastable(choices, 2)
    if kind == 1:
        return Sample((tensor(choices, first, POSITIVE), number(choices, REAL)), {})
    if kind == 2:
        return Sample((number(choices, POSITIVE), tensor(choices, second, REAL)), {})
    if kind == 3:  # a negative base has only whole powers
        return Sample(
            (tensor(choices, first, NONZERO), choices.one_of((2, 3.0, 1, 0, -1, -2.0))), {}
        )
    return Sample((tensor(choices, first, POSITIVE), tensor(choices, second, REAL)), {})


def _clipped(choices: Choices) -> Sample:
    away_from_the_bounds = ((-0.9, 0.9), (1.1, 2.0), (-2.0, -1.1))
    bounds = choices.one_of(({"min": -1.0, "max": 1.0}, {"min": -1.0}, {"max": 1.0}, {}))
    return Sample((tensor(choices, shape(choices), away_from_the_bounds),), bounds)


# --- Reductions and products ----------------------------------------------------------


def _dims(choices: Choices, size: Shape) -> Any:
    """``None``, one dimension or several."""
    some = choices.permutation(len(size))[: choices.integer(0, len(size))]
    one = (choices.integer(-len(size), len(size) - 1),) if size else ()
    return choices.one_of((None, *one, tuple(some)))


def _summed(choices: Choices) -> Sample:
    size = shape(choices)
    keywords = {"dim": _dims(choices, size), "keepdim": choices.one_of((False, True))}
    return Sample((tensor(choices, size, REAL),), keywords)


def _averaged(choices: Choices) -> Sample:
    size = shape(choices, 0, 1)  # the mean of nothing is nan
    keywords = {"dim": _dims(choices, size), "keepdim": choices.one_of((False, True))}
    return Sample((tensor(choices, size, REAL),), keywords)


def _extreme(choices: Choices) -> Sample:
    size = shape(choices, 0, 1)
    keywords = {"dim": _dims(choices, size), "keepdim": choices.one_of((False, True))}
    return Sample((laid_out(choices, distinct(choices, size)),), keywords)


def _log_softmaxed(choices: Choices) -> Sample:
    size = shape(choices, 1, 1)
    axis = choices.integer(-len(size), len(size) - 1)
    return Sample((tensor(choices, size, REAL),), {"dim": axis})


def _multiplied(choices: Choices) -> Sample:
    n, k, m = (choices.size() for _ in range(3))
    first, second = broadcastable(choices, 2)
    x = tensor(choices, (*first[-2:], n, k), REAL)
    return Sample((x, tensor(choices, (*second[-2:], k, m), REAL)), {})


def _layer(choices: Choices) -> Sample:
    n, k, m = (choices.size(1) for _ in range(3))
    activation = choices.one_of(("none", *ops.ACTIVATIONS))
    scalars = (choices.one_of((0.0, 0.2, 1.5)),) if activation == "leaky_relu" else ()
    keywords = {"activation": activation, "scalars": scalars}
    if not activation.endswith("relu"):
        x, weight, bias = (tensor(choices, size, REAL) for size in ((n, k), (m, k), (m,)))
        return Sample((x, weight, bias), keywords)
    # No sum comes near the kink where all terms have the sign of their row.
    signs = np.array([choices.one_of((1.0, -1.0)) for _ in range(m)])
    x = tensor(choices, (n, k), POSITIVE)
    weight = laid_out(choices, signs[:, None] * numbers(choices, (m, k), POSITIVE))
    bias = laid_out(choices, signs * numbers(choices, (m,), POSITIVE))
    return Sample((x, weight, bias), keywords)


# --- The table ------------------------------------------------------------------------

SLOPE: Domain = ((0.01, 0.5),)
INNER: Domain = ((-0.8, 0.8),)
#: Away from whole numbers, and from those in the middle between two.
BETWEEN: Domain = ((-1.9, -1.6), (-1.4, -1.1), (0.1, 0.4), (0.6, 0.9))

#: By the name of the primitive.
SAMPLERS: dict[str, Row] = {
    "add": Row(elementwise(REAL, REAL), room=1.0),
    "sub": Row(elementwise(REAL, REAL), room=1.0),
    "mul": Row(elementwise(REAL, REAL), room=1.0),
    "div": Row(elementwise(REAL, NONZERO)),
    "neg": Row(elementwise(REAL), room=1.0),
    "square": Row(elementwise(REAL), room=1.0),
    "abs": Row(elementwise(NONZERO), is_analytic=False),
    "sign": Row(elementwise(NONZERO), is_analytic=False),
    **{name: Row(_compared, 0.0) for name in ("eq", "ne", "lt", "le", "gt", "ge")},
    **{name: Row(_bits(2), 0.0) for name in ("bitwise_and", "bitwise_or", "bitwise_xor")},
    **{f"bitwise_{way}_shift": Row(_shifted, 0.0) for way in ("left", "right")},
    "bits_turned": Row(_bits(1), 0.0),
    "tan": Row(elementwise(((-1.2, 1.2),))),
    "atan": Row(elementwise(REAL), is_analytic=False),
    "asin": Row(elementwise(INNER), is_analytic=False),
    "acos": Row(elementwise(INNER), is_analytic=False),
    "atan2": Row(elementwise(NONZERO, NONZERO, tensors=(0, 1)), is_analytic=False),
    "sinh": Row(elementwise(REAL), is_analytic=False),
    "cosh": Row(elementwise(REAL), is_analytic=False),
    "asinh": Row(elementwise(REAL), is_analytic=False),
    "acosh": Row(elementwise(((1.3, 3.0),))),
    "atanh": Row(elementwise(INNER)),
    "reciprocal": Row(elementwise(NONZERO)),
    "rsqrt": Row(elementwise(POSITIVE)),
    "log2": Row(elementwise(POSITIVE)),
    "log10": Row(elementwise(POSITIVE)),
    "exp2": Row(elementwise(REAL), room=1.0),
    **{name: Row(elementwise(BETWEEN), is_analytic=False) for name in ("floor", "ceil", "trunc")},
    "to_nearest": Row(elementwise(BETWEEN), is_analytic=False),
    "floored_quotient": Row(_divided, is_analytic=False),
    "remainder": Row(_divided, is_analytic=False),
    "erf": Row(elementwise(REAL), is_analytic=False),
    "erfc": Row(elementwise(REAL), is_analytic=False),
    "erfc_of_positive": Row(elementwise(((0.6, 3.0),)), is_analytic=False),
    "exp": Row(elementwise(REAL), room=1.0),
    "expm1": Row(elementwise(REAL), room=1.0),
    "log": Row(elementwise(POSITIVE)),
    "log1p": Row(elementwise(((-0.7, 3.0),))),
    "sqrt": Row(elementwise(POSITIVE)),
    "sin": Row(elementwise(REAL), room=1.0),
    "cos": Row(elementwise(REAL), room=1.0),
    "pow": Row(_power),
    "maximum": Row(_apart, room=0.02),
    "minimum": Row(_apart, room=0.02),
    "where": Row(_condition, room=1.0),
    "clip": Row(_clipped),
    "relu": Row(elementwise(NONZERO)),
    "relu_backward": Row(elementwise(REAL, NONZERO)),
    "leaky_relu": Row(elementwise(NONZERO, negative_slope=SLOPE)),
    "leaky_relu_backward": Row(elementwise(REAL, NONZERO, negative_slope=SLOPE)),
    "tanh": Row(elementwise(REAL), room=1.0),
    "tanh_backward": Row(elementwise(REAL, UNIT), room=1.0),
    "sigmoid": Row(elementwise(REAL), room=1.0),
    "sigmoid_backward": Row(elementwise(REAL, UNIT), room=1.0),
    "softplus": Row(elementwise(REAL), room=1.0),
    "softplus_backward": Row(elementwise(REAL, POSITIVE), room=0.1),
    "binary_cross_entropy": Row(elementwise(PROBABILITY, UNIT, tensors=(0,))),
    "binary_cross_entropy_backward": Row(elementwise(REAL, PROBABILITY, UNIT, tensors=(1,))),
    "binary_cross_entropy_with_logits": Row(elementwise(REAL, UNIT), room=1.0),
    "cast": Row(shape_samplers.cast, room=1.0, is_analytic=False),
    "clone": Row(shape_samplers.copied, room=1.0),
    "to_device": Row(shape_samplers.moved, room=1.0),
    "reshape": Row(shape_samplers.reshaped, room=1.0),
    "permute": Row(shape_samplers.permuted, room=1.0),
    "expand": Row(shape_samplers.expanded, room=1.0),
    "expand_copy": Row(shape_samplers.expanded, room=1.0),
    "diagonal": Row(shape_samplers.diagonal, room=1.0),
    "on_diagonal": Row(shape_samplers.on_diagonal, room=1.0),
    "view": Row(shape_samplers.viewed, room=1.0),
    "scatter": Row(shape_samplers.scattered, room=1.0),
    "gather": Row(shape_samplers.gathered, room=1.0),
    "scatter_add": Row(shape_samplers.scatter_added, room=1.0),
    "put": Row(shape_samplers.put, room=1.0),
    "cat": Row(shape_samplers.concatenated, room=1.0),
    "sum": Row(_summed, room=1.0),
    "mean": Row(_averaged, room=1.0),
    "amax": Row(_extreme),
    "amin": Row(_extreme),
    "log_softmax": Row(_log_softmaxed, room=1.0),
    "matmul": Row(_multiplied, room=1.0),
    "linear": Row(_layer),
}
