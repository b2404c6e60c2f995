"""The largest error of each primitive's derivatives: what ``scratchgan gradcheck`` shows."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from scratchgan.autograd.primitive import REGISTRY
from scratchgan.autograd.tensor import Tensor
from scratchgan.backend import devices
from scratchgan.testing.check import Call
from scratchgan.testing.choices import Choices
from scratchgan.testing.comparison import Comparison, Reference, compare, gradient_function
from scratchgan.testing.complex_step import STEP
from scratchgan.testing.gradcheck import random_seeds
from scratchgan.testing.samplers import SAMPLERS

DIFFERENCES = Reference("differences", eps=1e-6, atol=1e-5, rtol=1e-3)
COMPLEX_STEPS = Reference("complex steps", eps=STEP, atol=1e-12, rtol=1e-12)


class Verdict(NamedTuple):
    """How far a primitive's derivatives lie from those of the references.

    Attributes:
        primitive: Its name. errors: The largest ``|tape - reference| / max(1, |reference|)``, first
        with differences as the
            reference, then with complex steps. None where a primitive has no derivative, is not
            analytic, or the derivatives are second ones, which complex steps do not give.
        passes: Whether all of them agree within the tolerances.
    """

    primitive: str
    errors: tuple[float | None, float | None]
    passes: bool


def verdicts(
    names: Sequence[str] = (), order: int = 1, examples: int = 40, device: str = devices.CPU
) -> Iterator[Verdict]:
    """Check first or second derivatives of primitives, on the backend in force.

    Args:
        names: Which primitives; all that have a sampler if empty.
        order: 1 or 2.
        examples: How many inputs to draw for each.
        device: Where they compute. Complex steps are taken on the CPU only.

    Raises:
        KeyError: There is no such primitive.
        BackendError: There is no such device.
    """
    for name in names or SAMPLERS:
        row = SAMPLERS[name]
        calls = [Call(REGISTRY[name], row.sampler(Choices(seed))) for seed in range(examples)]
        calls = [call for call in calls if call.is_differentiable]
        references = [DIFFERENCES]
        # What moves between devices is given its own.
        where = devices.CPU if "device" in REGISTRY[name].keywords else device
        if order == 1 and row.is_analytic and where == devices.CPU:
            references.append(COMPLEX_STEPS)
        if not (calls and REGISTRY[name].vjps):
            references = []
        errors: list[float | None] = [None, None]
        passes = True
        for place, reference in enumerate(references):
            found = [_compared(call, order, reference, where) for call in calls]
            errors[place] = max(comparison.error for comparison in found)
            passes &= not any(comparison.wrong or comparison.kinks for comparison in found)
        yield Verdict(name, (errors[0], errors[1]), passes)


def _compared(call: Call, order: int, reference: Reference, device: str) -> Comparison:
    inputs = tuple(_moved(x, device) if isinstance(x, Tensor) else x for x in call.leaves())
    if order == 1:
        return compare(call.function, inputs, reference)
    seeds = random_seeds(call.function, inputs)
    return compare(gradient_function(call.function, len(inputs)), (*inputs, *seeds), reference)


def _moved(x: Tensor, device: str) -> Tensor:
    """A leaf on ``device``; ``x`` itself, in its memory layout, where it lies there."""
    if x.device == device:
        return x
    return x.detach().to(device).requires_grad_(x.requires_grad)
