"""Which primitive is wrong: each call on a tape is checked by itself, with its recorded inputs."""

from typing import Any

from scratchgan import autograd
from scratchgan.observe import observe
from scratchgan.primitive import Primitive
from scratchgan.tensor import Tensor
from scratchgan.testing.comparison import (
    Comparison,
    Function,
    GradcheckError,
    Witness,
    call_of,
    compare,
    gradient_function,
    shown,
)

#: A call with more derivatives than this is checked along a random direction only.
LARGE = 10_000


#: A primitive that met an input that requires a gradient, its inputs and keywords, and the size
#: of its result.
Call = tuple[Primitive, tuple[Any, ...], dict[str, Any], int]


def calls_of(fn: Function, inputs: tuple[Any, ...]) -> list[Call]:
    """The primitives through which gradients of ``fn`` go, first to last."""
    calls: list[Call] = []

    def watch(
        primitive: Primitive, inputs: tuple[Any, ...], keywords: dict[str, Any], result: Tensor
    ) -> None:
        is_taped = any(isinstance(x, Tensor) and x.requires_grad for x in inputs)
        if is_taped and result.dtype.kind == "f":
            calls.append((primitive, inputs, keywords, result.size))

    with autograd.enable_grad(), observe(watch):
        fn(*inputs)
    return calls


def suspects(comparison: Comparison, order: int) -> list[str]:
    """A sentence for each primitive that disagrees by itself with the witness.

    Args:
        comparison: What was found of a function whose gradient is wrong, or which has a kink.
        order: 2 to check second derivatives too, where all first ones are right.
    """
    calls = calls_of(comparison.fn, comparison.inputs)
    for checked in range(1, order + 1):
        found: dict[str, str] = {}
        for call in calls:
            name = call[0].name
            if name not in found:
                sentence = _sentence(call, checked, comparison.witness)
                if sentence:
                    found[name] = sentence
        if found:
            return list(found.values())
    names = ", ".join(dict.fromkeys(primitive.name for primitive, *_ in calls))
    return [
        f"each primitive on the tape ({names or 'there is none'}) agrees by itself: look for what "
        "left the tape, as with detach(), item(), no_grad() or .data"
    ]


def _sentence(call: Call, order: int, witness: Witness) -> str | None:
    """What is wrong with the call by itself, if anything."""
    try:
        comparison = _compared(call, order, witness)
    except GradcheckError as error:
        return f"{call[0].name!r} checked by itself: {error}"
    if comparison.wrong:
        entry, finding = comparison.wrong[0], "is wrong"
        analytical, numerical = shown(entry.analytical, entry.numerical)
        numbers = f"{analytical} by its VJP, {numerical} by {comparison.witness.method}"
    elif comparison.kinks:
        entry, finding = comparison.kinks[0], "has a kink"
        left, right = shown(entry.left, entry.right)
        numbers = f"{left} to the left and {right} to the right"
    else:
        return None
    primitive, inputs, _, _ = call
    shapes = ", ".join(str(x.shape) if isinstance(x, Tensor) else repr(x) for x in inputs)
    place = f"at index {entry.at}, " if entry.at is not None else ""
    return (
        f"the {'second ' if order == 2 else ''}derivative of {primitive.name!r} for "
        f"{comparison.names[entry.input]} {finding}, checked by itself on inputs of shape "
        f"{shapes}: {place}{numbers}"
    )


def _compared(call: Call, order: int, witness: Witness) -> Comparison:
    """Derivatives of the one call for those of its inputs that required a gradient."""
    primitive, given, keywords, size = call
    taped = [isinstance(x, Tensor) and x.requires_grad for x in given]
    inputs = tuple(
        x.detach().double().requires_grad_() if needed else x
        for x, needed in zip(given, taped, strict=True)
    )

    checked: Function = call_of(primitive, keywords)
    if order == 2:
        seed = checked(*inputs).ones_like()
        checked = gradient_function(checked, len(inputs))
        inputs = (*inputs, seed.requires_grad_())
    derivatives = size * sum(x.size for x, needed in zip(given, taped, strict=True) if needed)
    if derivatives > LARGE:
        witness = witness._replace(method="directional differences")
    comparison = compare(checked, inputs, witness)
    rest = (primitive.variadic,) * (len(given) - len(primitive.inputs))
    names = (*[repr(name) for name in (*primitive.inputs, *rest)], "the output's gradient")
    return comparison._replace(names=names)
