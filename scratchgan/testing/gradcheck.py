"""Gradient checks: what the tape says against what differences of the function say."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from scratchgan.autograd.tensor import Tensor
from scratchgan.testing.comparison import (
    Comparison,
    Entry,
    Function,
    GradcheckError,
    Reference,
    as_tuple,
    compare,
    gradient_function,
    input_names,
    shown,
    tensor_like,
)
from scratchgan.testing.complex_step import STEP
from scratchgan.testing.diagnosis import suspects


class KinkError(RuntimeError):
    """The function has no derivative at the point that was given: a kink lies there."""


def gradcheck(
    fn: Function,
    inputs: Any,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    fast_mode: bool = False,
) -> bool:
    """Compare the gradients of ``fn`` with central differences, as ``torch.autograd.gradcheck``.

    Gradients count as equal where ``|analytical - numerical| <= atol + rtol * |numerical|``.
    Inputs may share memory, be transposed, strided, broadcast (each element still counts by
    itself), 0-d or empty.

    Args:
        fn: A function of tensors that gives a tensor or several. It computes with the tensors
            that it is passed, which are not ``inputs`` themselves.
        inputs: What it is called with. Those that require a gradient are checked; they are float64.
        eps: Half the distance between the two points of a difference.
        atol: Absolute tolerance.
        rtol: Relative tolerance.
        raise_exception: Raise an error where a gradient is wrong, rather than return False.
        fast_mode: Compare one number for each input, the derivative along a random direction
            projected on a random direction of the outputs, and not the whole Jacobian.

    Returns:
        Whether all gradients agree.

    Raises:
        GradcheckError: A gradient is wrong. The message names the input, the index, both numbers,
            and the primitive whose VJP is at fault.
        TypeError: ``fn`` gives something that is no tensor.
        KinkError: No gradient is wrong, but at this point the slopes to the left and to the right
            differ, so that there is no derivative to compare with; raised also where
            ``raise_exception`` is False, since neither True nor False would be an answer.
        ValueError: No input requires a gradient, one that does is not float64, or ``fn`` does not
            compute with what it is passed.
    """
    reference = Reference(
        "directional differences" if fast_mode else "differences", eps, atol, rtol
    )
    return _passes("gradcheck", raise_exception, lambda: compare(fn, as_tuple(inputs), reference))


def gradgradcheck(
    fn: Function,
    inputs: Any,
    grad_outputs: Any = None,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    fast_mode: bool = False,
) -> bool:
    """Compare second derivatives with central differences, as ``torch.autograd.gradgradcheck``.

    This is :func:`gradcheck` of the function that takes ``inputs`` and ``grad_outputs`` to the
    gradients of ``inputs``.

    Args:
        fn: As in :func:`gradcheck`.
        inputs: As in :func:`gradcheck`.
        grad_outputs: The gradient of each output that requires one; random if left out.
        eps: As in :func:`gradcheck`.
        atol: As in :func:`gradcheck`.
        rtol: As in :func:`gradcheck`.
        raise_exception: As in :func:`gradcheck`.
        fast_mode: As in :func:`gradcheck`.

    Returns:
        Whether all second derivatives agree.

    Raises:
        GradcheckError, KinkError, TypeError, ValueError: As :func:`gradcheck`.
    """
    inputs = as_tuple(inputs)
    seeds = as_tuple(grad_outputs) if grad_outputs is not None else random_seeds(fn, inputs)
    gradients = gradient_function(fn, len(inputs))
    outputs = [f"the gradient of output {k}" for k in range(len(seeds))]
    reference = Reference(
        "directional differences" if fast_mode else "differences", eps, atol, rtol
    )

    def compared() -> Comparison:
        found = compare(gradients, (*inputs, *seeds), reference)
        if found.wrong:  # at a kink the gradient jumps: then that is what there is to say
            first = compare(fn, inputs, reference)
            if first.kinks and not first.wrong:
                return first
        names = input_names(fn, len(inputs))
        taken = [isinstance(x, Tensor) and x.requires_grad for x in inputs]
        results = [f"the gradient of {name}" for name in itertools.compress(names, taken)]
        return found._replace(names=(*names, *outputs), results=tuple(results))

    return _passes("gradgradcheck", raise_exception, compared, order=2)


def complex_step_check(
    fn: Function,
    inputs: Any,
    atol: float = 1e-12,
    rtol: float = 1e-12,
    raise_exception: bool = True,
) -> bool:
    """Compare gradients with complex-step derivatives, which resolve errors near 1e-15.

    Args:
        fn: A function as in :func:`complex_step`; it may give several tensors.
        inputs: As in :func:`gradcheck`.
        atol: Absolute tolerance.
        rtol: Relative tolerance.
        raise_exception: As in :func:`gradcheck`.

    Returns:
        Whether all gradients agree.

    Raises:
        GradcheckError, ValueError: As :func:`gradcheck`.
    """
    reference = Reference("complex steps", STEP, atol, rtol)
    return _passes(
        "complex_step_check", raise_exception, lambda: compare(fn, as_tuple(inputs), reference)
    )


def random_seeds(fn: Function, inputs: tuple[Any, ...]) -> tuple[Tensor, ...]:
    """A random gradient for each output, away from 0, where a second derivative would hide."""
    random = np.random.default_rng(0)
    outputs = [y for y in as_tuple(fn(*inputs)) if y.requires_grad]
    return tuple(
        tensor_like(y, random.uniform(0.5, 1.5, y.shape) * random.choice([-1, 1], y.shape), True)
        for y in outputs
    )


# --- The report -----------------------------------------------------------------------


def _passes(
    check: str, raise_exception: bool, compared: Callable[[], Comparison], order: int = 1
) -> bool:
    try:
        comparison = compared()
        if comparison.wrong:
            raise GradcheckError(_wrong(check, comparison, order))
    except GradcheckError:
        if raise_exception:
            raise
        return False
    if comparison.kinks:
        raise KinkError(_kink(check, comparison, order))
    return True


def _wrong(check: str, comparison: Comparison, order: int) -> str:
    entry = comparison.wrong[0]
    reference = comparison.reference
    analytical, numerical = shown(entry.analytical, entry.numerical)
    left, right = shown(entry.left, entry.right)
    lines = [
        f"{check}: the gradient of {comparison.result(entry)} with respect to "
        f"{comparison.names[entry.input]} is wrong",
        f"  {_place(entry)}: {analytical} by the tape, {numerical} by {reference.method}",
        f"  {len(comparison.wrong)} of {comparison.compared} derivatives differ by more than "
        f"{reference.atol} + {reference.rtol} * |numerical|; this one the most",
    ]
    if entry.is_jump:
        lines.append(
            f"  slopes of {left} to the left and {right} to the right: the "
            "function jumps there, or leaves its domain"
        )
    if reference.method == "complex steps":
        lines.append(
            "  complex steps find derivatives of analytic functions only: abs, sign, max, "
            "comparisons and other types than float64 are none"
        )
    found = suspects(comparison, order)
    return "\n".join([*lines, *["  " + line for line in found]])


def _kink(check: str, comparison: Comparison, order: int) -> str:
    entry = comparison.kinks[0]
    left, right = shown(entry.left, entry.right)
    lines = [
        f"{check}: {comparison.result(entry)} has a kink at {comparison.names[entry.input]}",
        f"  {_place(entry)}: the slope is {left} to the left and {right} to the right (the tape "
        f"says {entry.analytical:.8g}), so there is no derivative to compare with",
        f"  {len(comparison.kinks)} of {comparison.compared} derivatives do not exist, the others "
        "agree; move the inputs away from the kink",
    ]
    found = suspects(comparison, order)
    return "\n".join([*lines, *["  " + line for line in found]])


def _place(entry: Entry) -> str:
    if entry.at is None:
        return "along a random direction (fast_mode; the full check names the index)"
    return f"at index {entry.at}, output index {entry.output_at}"
