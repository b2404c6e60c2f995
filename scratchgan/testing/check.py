"""Checks of what holds for every primitive, on samples of its inputs."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from scratchgan import autograd, dtypes
from scratchgan.autograd.primitive import Operation, Primitive
from scratchgan.autograd.tensor import Tensor
from scratchgan.backend import CPU_BACKENDS, use_backend
from scratchgan.backend.scalar import DEFINITIONS
from scratchgan.testing.choices import Choices, Domain, Sample, Sampler
from scratchgan.testing.comparison import Array, call_of
from scratchgan.testing.gradcheck import complex_step_check, gradcheck, gradgradcheck
from scratchgan.testing.samplers import SAMPLERS, Row, default_sampler

#: How far two backends may lie apart, relative to the larger of 1 and the value: some rounding
#: errors in float64; in float32 also the error of the numba backend's rational approximations.
AGREEMENT = {dtypes.float64: 1e-13, dtypes.float32: 2e-6}


class PrimitiveError(AssertionError):
    """A primitive breaks a rule that holds for all of them."""


def check_primitive(
    operation: Operation,
    sampler: Sampler | None = None,
    domains: dict[str, Domain] | None = None,
    is_analytic: bool = False,
    examples: int = 100,
) -> None:
    """Hold a primitive to everything that the suite holds the registry's primitives to.

    On random inputs, small ones first, in all memory layouts: first and second derivatives are
    what differences say; the VJP is linear in the output's gradient and the Hessian symmetric; the
    backends agree, in both floating types; elementwise results have the shape that the inputs
    broadcast to; types follow the rules of :mod:`scratchgan.dtypes`; inputs are never changed.

    Suppose a new primitive whose VJP lacks a factor::

        @scratchgan.autograd.elementwise(x=lambda g, x: g * 2.0 * x * x)
        def cube(x: float) -> float:
            return x * x * x

        check_primitive(cube)

    This raises::

        GradcheckError: gradcheck: the gradient of output 0 with respect to input 0 ('x') is wrong
          at index (), output index (): 1.28 by the tape, 1.92 by differences
          1 of 1 derivatives differ by more than 1e-05 + 0.001 * |numerical|; this one the most
          the derivative of 'cube' for 'x' is wrong, checked by itself on inputs of shape (): ...
        'cube' was called with x = tensor(-0.8, dtype=float64)

    Args:
        operation: The function that calls it: the user's own, or one of :mod:`scratchgan.ops`.
        sampler: Draws inputs and keywords. Where it is left out, an elementwise primitive takes
            tensors that broadcast together, from ``domains``.
        domains: By the name of an input, the intervals to draw it from, away from kinks and poles:
            ``{"x": ((0.1, 2.0),)}``. Inputs that are not named come from ``((-2.0, 2.0),)``.
        is_analytic: First derivatives also agree with complex steps to 1e-12.
        examples: How many inputs to draw.

    Raises:
        GradcheckError: A derivative is wrong.
        KinkError: The inputs drawn lie on a kink.
        PrimitiveError: Another rule is broken.
        TypeError: The primitive is not elementwise, and no sampler was given; or it is none; or
            a sampler gives something else than inputs and keywords.
    """
    primitive = getattr(operation, "primitive", None)
    if not isinstance(primitive, Primitive):
        raise TypeError(
            f"check_primitive: takes a function that was declared with @primitive or @elementwise, "
            f"not {operation!r}"
        )
    if sampler is not None or domains is not None or primitive.name not in SAMPLERS:
        sampler = sampler or default_sampler(primitive, domains or {})
        row = Row(sampler, is_analytic=is_analytic)
    else:
        row = SAMPLERS[primitive.name]
    for seed in range(examples):
        scale = min(8 * seed // examples, 3)  # an eighth of them each at scales 0, 1 and 2
        check_sample(primitive, _sample(row.sampler(Choices(seed, scale))), row.is_analytic)


def _sample(drawn: Any) -> Sample:
    """The sample that a user's sampler drew; a plain pair will do."""
    match drawn:
        case [tuple() | list() as inputs, dict() as keywords]:
            return Sample(tuple(inputs), keywords)
    raise TypeError(
        f"check_primitive: sampler gave {drawn!r:.80}; "
        "it gives Sample((x, ...), {keyword: value})"
    )


def check_sample(primitive: Primitive, sample: Sample, is_analytic: bool = False) -> None:
    """:func:`check_primitive` on one sample."""
    call = Call(primitive, sample)
    checks = [*_ALWAYS]
    if call.is_differentiable:
        checks += _DIFFERENTIABLE
        if is_analytic:
            checks.append(_complex_steps)
    try:
        for check in checks:
            check(call)
    except Exception as error:
        error.add_note(f"{primitive.name!r} was called with {call}")
        raise


class Call:
    """A primitive and a sample of its inputs."""

    def __init__(self, primitive: Primitive, sample: Sample) -> None:
        self.name = primitive.name
        self.function: Callable[..., Tensor] = call_of(primitive, sample.keywords)
        self.primitive: Any = primitive  # Any: a Primitive would bind as a method does
        self.inputs, self.keywords = sample
        self.floats = [
            i for i, x in enumerate(self.inputs) if isinstance(x, Tensor) and x.dtype.kind == "f"
        ]
        result = self.function(*self.leaves())
        self.is_differentiable = bool(self.floats) and result.dtype.kind == "f"

    def __repr__(self) -> str:
        rest = itertools.repeat(self.primitive.variadic)
        names = itertools.chain(self.primitive.inputs, rest)
        parts = [f"{name} = {_told(x)}" for name, x in zip(names, self.inputs, strict=False)]
        return ", ".join([*parts, *[f"{name} = {x!r}" for name, x in self.keywords.items()]])

    def leaves(self, *types: Any) -> tuple[Any, ...]:
        """The inputs, floating ones as leaves of these types in turn, in their memory layouts."""
        inputs = list(self.inputs)
        for i, dtype in zip(self.floats, itertools.cycle(types or (np.float64,)), strict=False):
            inputs[i] = Tensor(inputs[i].array.astype(dtype, copy=False), requires_grad=True)
        return tuple(inputs)

    def gradients(
        self, inputs: tuple[Any, ...], seed: Array, create_graph: bool = False
    ) -> list[Tensor]:
        """Gradients of the floating inputs where the output's is ``seed``; zeros for unused."""
        output = self.function(*inputs)
        leaves = [inputs[i] for i in self.floats]
        found: list[Any] = [None] * len(leaves)
        if output.requires_grad:
            start = Tensor(np.asarray(seed, output.dtype))
            found[:] = autograd.grad(
                output, leaves, start, create_graph=create_graph, allow_unused=True
            )
        return [
            Tensor(np.zeros(leaf.shape, leaf.dtype)) if gradient is None else gradient
            for gradient, leaf in zip(found, leaves, strict=True)
        ]

    def seed(self, number: int = 0) -> Array:
        """A random gradient of the output."""
        shape = self.function(*self.inputs).shape
        return np.asarray(np.random.default_rng(number).uniform(-1, 1, shape))


def _told(x: Any) -> str:
    """A value, and how it lies in memory where that is not the usual way."""
    if isinstance(x, Tensor) and not x.array.flags.c_contiguous:
        return f"{x!r} (strides {x.array.strides})"
    return repr(x)


def _flat(tensors: list[Tensor]) -> Array:
    return np.concatenate([np.ravel(x.numpy(force=True)) for x in tensors])


def _require_close(call: Call, what: str, a: Array, b: Array, tolerance: float) -> None:
    if a.shape != b.shape:
        raise PrimitiveError(f"{call.name}: {what}: the shapes are {a.shape} and {b.shape}")
    x, y = a.astype(np.float64), b.astype(np.float64)
    close = np.isclose(x, y, rtol=tolerance, atol=tolerance, equal_nan=True)
    if not close.all():
        at = tuple(int(i) for i in np.argwhere(~close)[0])
        raise PrimitiveError(f"{call.name}: {what}: {a[at]!r} and {b[at]!r} at index {at}")


# --- What holds for all ---------------------------------------------------------------


def _inputs_stay(call: Call) -> None:
    """Neither forward nor backward writes into the inputs, or into what lies between them."""
    inputs = call.leaves()
    arrays = [x.array for x in inputs if isinstance(x, Tensor)]
    memory = [array if array.base is None else array.base for array in arrays]
    before = [array.copy() for array in memory]
    result = call.function(*inputs)
    if call.is_differentiable:
        call.gradients(inputs, np.ones(result.shape))
    for array, copy in zip(memory, before, strict=True):
        if not np.array_equal(array, copy, equal_nan=True):
            raise PrimitiveError(f"{call.name}: changes the memory of an input")
    shared = any(np.shares_memory(result.array, array) for array in memory)
    if shared and not call.primitive.is_view:
        raise PrimitiveError(
            f"{call.name}: its result shares memory with an input, though it is not declared with "
            "is_view=True; changes in place would not be noticed"
        )


def _shapes_and_types(call: Call) -> None:
    """Results are of the type that the inputs promote to, gradients of their inputs' types."""
    is_elementwise = call.name in DEFINITIONS
    for types in ((np.float64,), (np.float32,), (np.float32, np.float64)):
        inputs = call.leaves(*types)
        result = call.function(*inputs)
        if is_elementwise:
            shape = np.broadcast_shapes(*[x.shape for x in inputs if isinstance(x, Tensor)])
            if result.shape != shape:
                raise PrimitiveError(f"{call.name}: gives the shape {result.shape}, not {shape}")
        if not call.is_differentiable:
            continue
        floats = [inputs[i] for i in call.floats]
        dtype = call.keywords.get("dtype") or dtypes.promote([x.array for x in floats])
        if result.dtype != dtype:
            given = " and ".join(str(x.dtype) for x in floats)
            raise PrimitiveError(f"{call.name}: gives {result.dtype} for {given}, not {dtype}")
        for x, g in zip(floats, call.gradients(inputs, np.ones(result.shape)), strict=True):
            if (g.shape, g.dtype) != (x.shape, x.dtype):
                raise PrimitiveError(
                    f"{call.name}: an input of shape {x.shape} and type {x.dtype} has a gradient "
                    f"of shape {g.shape} and type {g.dtype}"
                )


def _backends_agree(call: Call) -> None:
    for dtype, tolerance in AGREEMENT.items():
        found = []
        for backend in CPU_BACKENDS:
            with use_backend(backend):
                inputs = call.leaves(dtype)
                result = call.function(*inputs)
                gradients: list[Tensor] = []
                if call.is_differentiable:
                    gradients = call.gradients(inputs, call.seed())
                found.append([result, *gradients])
        what = f"{' and '.join(CPU_BACKENDS)} do not agree in {dtype}"
        for a, b in zip(*found, strict=True):
            _require_close(call, what, a.numpy(force=True), b.numpy(force=True), tolerance)


def _first_order(call: Call) -> None:
    gradcheck(call.function, call.leaves())


def _second_order(call: Call) -> None:
    gradgradcheck(call.function, call.leaves())


def _complex_steps(call: Call) -> None:
    complex_step_check(call.function, call.leaves())


def _same_with_create_graph(call: Call) -> None:
    """A recorded backward pass gives the gradients of one that is not recorded."""
    plain, recorded = (
        _flat(call.gradients(call.leaves(), call.seed(), mode)) for mode in (False, True)
    )
    what = "gradients without and with create_graph differ"
    _require_close(call, what, plain, recorded, 1e-13)


def _linear_vjp(call: Call) -> None:
    """A VJP is linear in the output's gradient (Griewank & Walther 2008, section 3.2)."""
    g, h = call.seed(0), call.seed(1)
    of_g, of_h, of_both = (
        _flat(call.gradients(call.leaves(), seed)) for seed in (g, h, 0.7 * g - 1.3 * h)
    )
    what = "the VJP is not linear in the output's gradient"
    _require_close(call, what, of_both, 0.7 * of_g - 1.3 * of_h, 1e-12)


def _symmetric_hessian(call: Call) -> None:
    """``v . H w`` is ``w . H v`` for the Hessian H of a weighted sum of the outputs."""
    random = np.random.default_rng(1)
    leaves = call.leaves()
    floats = [leaves[i] for i in call.floats]
    v, w = ([np.asarray(random.uniform(-1, 1, x.shape)) for x in floats] for _ in range(2))
    gradients = call.gradients(leaves, call.seed(), create_graph=True)

    def times(direction: list[Array]) -> list[Array]:
        """The Hessian times ``direction``."""
        pairs = zip(gradients, direction, strict=True)
        taped = [(g, Tensor(part)) for g, part in pairs if g.requires_grad]
        found: list[Any] = [None] * len(floats)
        if taped:
            outputs, seeds = zip(*taped, strict=True)
            found[:] = autograd.grad(outputs, floats, seeds, True, allow_unused=True)
        return [
            np.zeros(x.shape) if g is None else g.numpy(force=True)
            for x, g in zip(floats, found, strict=True)
        ]

    def inner(a: list[Array], b: list[Array]) -> Array:
        return np.array(sum(float(np.sum(x * y)) for x, y in zip(a, b, strict=True)))

    what = "the Hessian is not symmetric"
    _require_close(call, what, inner(v, times(w)), inner(w, times(v)), 1e-11)


_ALWAYS = (_shapes_and_types, _inputs_stay, _backends_agree)
_DIFFERENTIABLE = (
    *(_first_order, _second_order, _same_with_create_graph, _linear_vjp, _symmetric_hessian),
)
