"""Which primitive is wrong: each call on a tape is checked by itself, with its recorded inputs."""

import math
from typing import Any, NamedTuple

from scratchgan import autograd, dtypes
from scratchgan.autograd.observe import observe
from scratchgan.autograd.primitive import Primitive
from scratchgan.autograd.tensor import Tensor
from scratchgan.testing.comparison import (
    Comparison,
    Entry,
    Function,
    GradcheckError,
    Reference,
    call_of,
    compare,
    gradient_function,
    shown,
)

#: A call with more derivatives than this is checked along a random direction only.
LARGE = 10_000


class Call(NamedTuple):
    """A primitive that met an input that requires a gradient."""

    primitive: Primitive
    inputs: tuple[Any, ...]
    keywords: dict[str, Any]
    size: int
    dtype: Any


def calls_of(fn: Function, inputs: tuple[Any, ...]) -> list[Call]:
    """The primitives through which gradients of ``fn`` go, first to last."""
    calls: list[Call] = []

    def watch(
        primitive: Primitive, inputs: tuple[Any, ...], keywords: dict[str, Any], result: Tensor
    ) -> None:
        is_taped = any(isinstance(x, Tensor) and x.requires_grad for x in inputs)
        if is_taped and result.dtype.kind == "f":
            calls.append(Call(primitive, inputs, keywords, result.numel(), result.dtype))

    with autograd.enable_grad(), observe(watch):
        fn(*inputs)
    return calls


def suspects(comparison: Comparison, order: int) -> list[str]:
    """Sentences on what is to blame, from a look at each primitive by itself.

    Where a gradient is wrong, these are primitives that disagree with the reference. Only where
    none does, what may explain it otherwise is told: kinks, jumps, float32, a value off the tape.

    Args:
        comparison: What was found of a function whose gradient is wrong, or which has a kink.
        order: 2 to check second derivatives too, where all first ones are right.
    """
    calls = calls_of(comparison.fn, comparison.inputs)
    remarks: dict[str, str] = {}
    for checked in range(1, order + 1):
        wrong: dict[str, str] = {}
        for call in calls:
            primitive, *_ = call
            if primitive.name not in wrong:
                is_wrong, sentence = _finding(call, checked, comparison.reference)
                if sentence:
                    (wrong if is_wrong else remarks).setdefault(primitive.name, sentence)
        if wrong:
            return list(wrong.values())
        if remarks and not comparison.wrong:
            return list(remarks.values())
    names = ", ".join(dict.fromkeys(primitive.name for primitive, *_ in calls))
    return [
        *remarks.values(),
        f"{'otherwise ' if remarks else ''}each primitive on the tape ({names or 'there is none'}) "
        "agrees by itself: look for what left the tape, as with detach(), item(), no_grad() or "
        ".array",
    ]


def _finding(call: Call, order: int, reference: Reference) -> tuple[bool, str | None]:
    """Whether the call's VJP is wrong, and a sentence on it if there is something to say."""
    primitive, inputs, *_ = call
    given = [x.dtype for x in inputs if isinstance(x, Tensor)]
    if call.dtype != dtypes.float64 and dtypes.float64 in given:
        sentence = f"{primitive.name!r} gives {call.dtype}, in which differences resolve too little"
        return False, sentence
    try:
        comparison = _compared(call, order, reference)
    except GradcheckError as error:
        return True, f"{primitive.name!r} checked by itself: {error}"
    if not comparison.wrong and not comparison.kinks:
        return False, None
    entry = min(comparison.wrong, key=_doubt) if comparison.wrong else comparison.kinks[0]
    is_wrong = bool(comparison.wrong) and not entry.is_jump
    if is_wrong:
        finding = "is wrong"
        analytical, numerical = shown(entry.analytical, entry.numerical)
        numbers = f"{analytical} by its VJP, {numerical} by {comparison.reference.method}"
    else:
        finding = "does not exist: it jumps there, or leaves its domain"
        if not comparison.wrong:
            finding = "has a kink"
        left, right = shown(entry.left, entry.right)
        numbers = f"{left} to the left and {right} to the right"
    shapes = ", ".join(str(x.shape) if isinstance(x, Tensor) else repr(x) for x in inputs)
    place = f"at index {entry.at}, " if entry.at is not None else ""
    return is_wrong, (
        f"the {'second ' if order == 2 else ''}derivative of {primitive.name!r} for "
        f"{comparison.names[entry.input]} {finding}, checked by itself on inputs of shape "
        f"{shapes}: {place}{numbers}"
    )


def _doubt(entry: Entry) -> int:
    """How little a wrong derivative says about the VJP: beside a pole, inf times 0 gives nan."""
    return 1 if entry.is_jump else 0 if math.isfinite(entry.analytical) else 2


def _compared(call: Call, order: int, reference: Reference) -> Comparison:
    """Derivatives of the one call for those of its inputs that required a gradient."""
    primitive, given, keywords, size, _ = call
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
    derivatives = size * sum(x.numel() for x, needed in zip(given, taped, strict=True) if needed)
    if derivatives > LARGE:
        reference = reference._replace(method="directional differences")
    comparison = compare(checked, inputs, reference)
    rest = (primitive.variadic,) * (len(given) - len(primitive.inputs))
    names = (*[repr(name) for name in (*primitive.inputs, *rest)], "the output's gradient")
    return comparison._replace(names=names)
