# Lambdas name primitives that stand further down, whose types mypy has not inferred yet.
# mypy: disable-error-code="has-type"
"""Activations, and the table of those that a layer computes in the same pass as its product."""

import math
from typing import Any

from scratchgan.autograd.elementwise import elementwise
from scratchgan.autograd.primitive import REGISTRY, Operation
from scratchgan.autograd.tensor import method
from scratchgan.ops.elementwise import abs, exp


@method()
@elementwise(x=lambda g, out: relu_backward(g, out))
def relu(x: float) -> float:
    """``max(x, 0)``; the derivative at 0 is taken as 0."""
    return 0 if x <= 0 else x


@elementwise(gradient=lambda g, y: relu_backward(g, y))
def relu_backward(gradient: float, y: float) -> float:
    """The gradient of ``x`` from that of ``y = relu(x)``."""
    return 0 if y <= 0 else gradient


@elementwise(
    takes="f",
    x=lambda g, x, negative_slope: leaky_relu_backward(g, x, negative_slope=negative_slope),
)
def leaky_relu(x: float, *, negative_slope: float = 0.01) -> float:
    """``x`` where it is positive, else ``negative_slope * x`` (Maas et al. 2013, eq. 2)."""
    return x if x > 0 else negative_slope * x


@elementwise(
    takes="f",
    gradient=lambda g, x, negative_slope: leaky_relu_backward(g, x, negative_slope=negative_slope),
)
def leaky_relu_backward(gradient: float, x: float, *, negative_slope: float) -> float:
    """The gradient of ``x`` from that of ``leaky_relu(x)``.

    Its output may stand in the place of ``x``, if the slope is not negative.
    """
    return gradient if x > 0 else negative_slope * gradient


@method()
@elementwise(x=lambda g, out: tanh_backward(g, out))
def tanh(x: float) -> float:
    """Hyperbolic tangent."""
    return math.tanh(x)


@elementwise(
    gradient=lambda g, y: tanh_backward(g, y),
    y=lambda g, gradient, y: g * gradient * (-2.0 * y),
)
def tanh_backward(gradient: float, y: float) -> float:
    """The gradient of ``x`` from that of ``y = tanh(x)``."""
    return gradient * (1 - y * y)


@method()
@elementwise(x=lambda g, out: sigmoid_backward(g, out))
def sigmoid(x: float) -> float:
    """``1 / (1 + exp(-x))``; never overflows."""
    e = math.exp(-abs(x))
    return (e if x < 0 else 1) / (1 + e)


@elementwise(
    gradient=lambda g, y: sigmoid_backward(g, y),
    y=lambda g, gradient, y: g * (gradient * (1.0 - 2.0 * y)),
)
def sigmoid_backward(gradient: float, y: float) -> float:
    """The gradient of ``x`` from that of ``y = sigmoid(x)``."""
    return gradient * (y * (1 - y))


@method()
@elementwise(takes="f", x=lambda g, out: softplus_backward(g, out))
def softplus(x: float) -> float:
    """``log(1 + exp(x))``; never overflows."""
    return (0 if x <= 0 else x) + math.log1p(math.exp(-abs(x)))


@elementwise(
    gradient=lambda g, y: softplus_backward(g, y),
    y=lambda g, gradient, y: g * gradient * exp(-y),
)
def softplus_backward(gradient: float, y: float) -> float:
    """The gradient of ``x`` from that of ``y = softplus(x)``: ``sigmoid(x) = 1 - exp(-y)``."""
    return -gradient * math.expm1(-y)


# --- The table ----------------------------------------------------------------------------

#: The activations that :func:`scratchgan.ops.linear` computes in its own pass, on every backend: by
#: name the primitive that gives the gradient of the input from that of the output, the output, and
#: the keywords, which are the activation's. It is called ``<activation>_backward``. Adding one is
#: one row.
ACTIVATIONS: dict[str, Operation] = {
    "relu": relu_backward,
    "leaky_relu": leaky_relu_backward,
    "tanh": tanh_backward,
    "sigmoid": sigmoid_backward,
    "softplus": softplus_backward,
}


def scalars_of(activation: str, keywords: dict[str, float]) -> tuple[float, ...]:
    """The keywords of an activation in their order, with its defaults.

    Raises:
        ValueError: There is no such activation, or its row lacks a primitive.
        TypeError: It has no such keyword, or lacks one.
    """
    names: tuple[str, ...] = ()
    given = keywords
    if activation != "none":
        forward = REGISTRY.get(activation)
        backward = getattr(ACTIVATIONS.get(activation), "primitive", None)
        if forward is None or backward is None or backward.name != f"{activation}_backward":
            raise ValueError(f"linear: {_fault_of(activation)}")
        names, given = forward.keywords, {**forward.defaults, **keywords}
    if not (names or given):
        return ()
    if given.keys() != set(names):
        raise TypeError(
            f"linear: the activation {activation!r} takes the keywords {list(names)}, not "
            f"{list(keywords)}"
        )
    return tuple(map(given.__getitem__, names))


def _fault_of(activation: str) -> str:
    """The message for an activation that has no row, or an incomplete one."""
    if activation in ACTIVATIONS:
        return (
            f"the row {activation!r} of ACTIVATIONS needs two elementwise primitives, "
            f"{activation!r} and, in the row, {f'{activation}_backward'!r}"
        )
    return f"no activation {activation!r}; choose one of {', '.join(('none', *ACTIVATIONS))}"


def by_name(activation: str, scalars: tuple[float, ...]) -> dict[str, Any]:
    """The keywords of an activation from :func:`scalars_of`."""
    return dict(zip(REGISTRY[activation].keywords, scalars, strict=True))
