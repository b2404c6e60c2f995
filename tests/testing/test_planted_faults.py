"""Does the suite notice? Faults are planted in every VJP of the registry; each must be caught.

Kinds of fault: a wrong sign; a constant that is 1% off; a reduction that is missing (an input was
broadcast, or summed over, and only the first part of its gradient arrives); operands swapped (one
saved value taken for another, or the rules of two inputs exchanged); and an operand that the VJP
takes off the tape, so that only second derivatives are wrong.
"""

import inspect
import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import pytest

from scratchgan import ops
from scratchgan.autograd.primitive import REGISTRY
from scratchgan.autograd.tensor import Tensor
from scratchgan.backend.scalar import DEFINITIONS
from scratchgan.testing import check_primitive
from scratchgan.testing.samplers import SAMPLERS

EXAMPLES = 50  # as many as the default profile draws

#: Second derivatives are 0 on both sides of their kinks: nothing is lost off the tape.
PIECEWISE_LINEAR = {
    *("abs", "maximum", "minimum", "where", "clip", "amax", "amin"),
    *("relu", "relu_backward", "leaky_relu", "leaky_relu_backward", "remainder"),
}
#: Whose derivative is 0, however much of it is taken.
FLAT = {"sign", "floor", "ceil", "trunc", "to_nearest"}
#: Not faults, since what is planted is as right: by primitive, input and description.
EQUIVALENT = {
    ("add", "x", "the rule of y"),  # they are the same
    ("relu", "x", "x taken for out"),  # both are positive, or both are not
    ("leaky_relu", "x", "out taken for x"),  # both are positive, or both are not
    ("tanh_backward", "y", "y taken for gradient"),  # the rule is a product of both
}


def parameters_of(function: Callable) -> list[str]:
    return list(inspect.signature(function).parameters)


def named(names: Iterable[str], function: Callable) -> Callable:
    """``function`` with parameters of these names, by which a VJP says what it takes."""
    listed = ", ".join(names)
    return eval(f"lambda {listed}: function({listed})", {"function": function})


def changed(function: Callable, change: Callable) -> Callable:
    """``function``, and then ``change`` of each tensor in its result."""

    def faulty(*arguments):
        result = function(*arguments)
        return tuple(map(change, result)) if isinstance(result, tuple) else change(result)

    return named(parameters_of(function), faulty)


def first_part(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """``x`` at the start of each axis that summing it to ``shape`` would sum over."""
    extra = x.ndim - len(shape)
    index = [0] * extra + [slice(0, 1) if n == 1 else slice(None) for n in shape]
    return ops.view(x, index=tuple(index)) if x.numel() else x.sum_to_size(shape)


def without_reduction(primitive, name: str, function: Callable, fired: list) -> Callable:
    parameters = parameters_of(function)
    all_names = list(dict.fromkeys((*parameters, name + "_shape")))

    def faulty(*arguments):
        summed = ops.sum
        places = (ops, ops.reductions, ops.products)  # where rules know it by this name
        for module in places:
            module.sum = first_summand
        try:
            result = function(*arguments[: len(parameters)])
        finally:
            for module in places:
                module.sum = summed
        shape = arguments[all_names.index(name + "_shape")]
        if result.numel() > math.prod(shape):
            fired.append(name)
            result = first_part(result, shape)
        return result

    def first_summand(x, dim=None, keepdim=False):
        axes = ops.dims_of("sum", dim, x.ndim)
        if not x.numel() or math.prod(x.shape[one] for one in axes) == 1:
            return REGISTRY["sum"](x, dim=dim, keepdim=keepdim)
        fired.append(name)
        start = slice(0, 1) if keepdim else 0
        index = tuple(start if i in axes else slice(None) for i in range(x.ndim))
        return ops.view(x, index=index)

    return named(all_names, faulty)


def replaced(function: Callable, old: str, new: str) -> Callable:
    """``function`` with the value of ``new`` wherever it asks for ``old``, and the reverse."""
    exchange = {old: new, new: old}
    return named([exchange.get(name, name) for name in parameters_of(function)], function)


def off_the_tape(function: Callable, operands: set[str]) -> Callable:
    parameters = parameters_of(function)

    def faulty(*arguments):
        return function(
            *[
                x.detach() if name in operands and isinstance(x, Tensor) else x
                for name, x in zip(parameters, arguments, strict=True)
            ]
        )

    return named(parameters, faulty)


def faults(primitive) -> Iterator[tuple[str, str, Callable, list | None]]:
    """For each VJP: the input, what is wrong, the faulty VJP, and where it notes that it fired."""
    operands = {*primitive.inputs, "out"}
    for name, vjp in {**primitive.vjps, **primitive.shared}.items():
        if primitive.name in FLAT:
            yield name, "a slope up", lambda g: g, None
            yield name, "a slope down", lambda g: ops.neg(g), None
        else:
            yield name, "wrong sign", changed(vjp, ops.neg), None
            yield name, "1% off", changed(vjp, lambda g: ops.mul(g, 1.01)), None
        used = operands.intersection(parameters_of(vjp))
        pairs = {tuple(sorted((old, new))) for old in used for new in operands if old != new}
        for pair in sorted(pairs):
            old, new = pair if pair[0] in used else pair[::-1]
            yield name, f"{new} taken for {old}", replaced(vjp, old, new), None
        if used and primitive.name not in PIECEWISE_LINEAR:
            yield name, "off the tape", off_the_tape(vjp, operands), None
        if name in primitive.inputs:
            fired = []
            yield name, "no reduction", without_reduction(primitive, name, vjp, fired), fired
    for a, b in itertools.combinations(primitive.vjps, 2):
        yield a, f"the rule of {b}", primitive.vjps[b], None
    yield from BY_HAND.get(primitive.name, ())


#: What the kinds above do not make of these rules.
BY_HAND = {
    "linear": [("bias", "first row alone", lambda before: ops.view(before[0], index=(0,)), None)],
    "cat": [
        (
            "tensors",
            "another tensor's part",
            lambda g, tensors_shapes, dim: [
                ops.view(g, index=slab) for slab in ops.shape._slabs(tensors_shapes[::-1], dim)
            ][::-1],
            None,
        )
    ],
    "permute": [("x", "axes not inverted", lambda g, dims: ops.permute(g, dims=dims), None)],
}


@contextmanager
def planted(primitive, name: str, vjp: Callable) -> Iterator[None]:
    table = primitive.vjps if name in primitive.vjps else primitive.shared
    right = table[name]
    table[name] = vjp
    primitive.rules.clear()
    try:
        yield
    finally:
        table[name] = right
        primitive.rules.clear()


def is_caught(primitive) -> bool:
    """Whether the suite fails: that is all that tests/ops/test_registry.py does."""
    try:
        check_primitive(primitive.function, examples=EXAMPLES)
    except Exception as error:
        return not isinstance(
            error, NameError | AttributeError
        )  # ... for that, and no mistake here
    return False


@pytest.mark.parametrize("name", [name for name in SAMPLERS if REGISTRY[name].vjps])
def test_every_planted_fault_is_caught(name, summary):
    primitive = REGISTRY[name]
    missed = []
    count = 0
    for of, fault, vjp, fired in faults(primitive):
        if (name, of, fault) in EQUIVALENT:
            continue
        with planted(primitive, of, vjp):
            caught = is_caught(primitive)
        if caught or fired is None or fired:  # a reduction that never happens cannot be missed
            count += 1
            if not caught:
                missed.append(f"{of}: {fault}")
    summary["planted faults"] += count
    summary["planted faults that were caught"] += count - len(missed)
    assert not missed
    assert count >= 2 * len(primitive.vjps)


def test_a_missing_reduction_is_planted_wherever_inputs_broadcast():
    """... so that the exemption above, for rules without one, exempts no more than that."""
    broadcasting = {
        name
        for name in SAMPLERS
        if REGISTRY[name].vjps and (name in DEFINITIONS and len(REGISTRY[name].inputs) > 1)
    } | {"expand", "expand_copy", "matmul", "log_softmax", "amax", "amin"}
    for name in sorted(broadcasting):
        primitive = REGISTRY[name]
        for of, fault, vjp, fired in faults(primitive):
            if fault == "no reduction":
                with planted(primitive, of, vjp):
                    assert is_caught(primitive), f"{name}, {of}"
                assert fired, f"{name}, {of}"
