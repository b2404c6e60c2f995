"""Anomaly detection: which primitive, called by which line, first gave a nan or an inf."""

import copy
import linecache
import math
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from scratchgan.autograd.backward import backpropagate
from scratchgan.autograd.observe import observe
from scratchgan.autograd.primitive import Primitive
from scratchgan.autograd.tape import Node, Step
from scratchgan.autograd.tensor import Tensor
from scratchgan.backend import kernels_for

PACKAGE = str(Path(__file__).parents[1])


class AnomalyError(RuntimeError):
    """A nan or an inf appeared; the message says in which primitive, and who called it."""


@contextmanager
def detect_anomaly() -> Iterator[None]:
    """Context that stops where a nan or an inf first appears.

    Every result of a primitive in this thread is looked at, and every gradient of one that ran
    within the context. An inf among the inputs may stay one (a mask of ``-inf``, say); a nan is
    always an error. Reading all these values is slow: this is for looking for a fault. A function
    of :func:`scratchgan.jit` runs as it is meanwhile, neither recorded nor replayed.

    Raises:
        AnomalyError: A nan or an inf appeared. The message names the primitive and the line of
            the user's code that called it, also where it appears only in the backward.
    """
    detector = _Detector()
    with observe(detector.ran):
        yield


class _Detector:
    def __init__(self) -> None:
        self.depth = 0  # of VJPs that are running: what they call is checked by what they give

    def ran(
        self, primitive: Primitive, inputs: tuple[Any, ...], keywords: dict[str, Any], result: Any
    ) -> None:
        """Check what a primitive gave, and have its VJPs checked when their time comes."""
        line, in_backward = _caller()
        if not self.depth:
            during = "in the backward" if in_backward else "in the forward"
            _require_finite(f"{primitive.name!r}, {during}", result, inputs, line)
        if result.node is not None:
            self._guard(result.node, line)

    def _guard(self, node: Node, line: str) -> None:
        """Wrap the VJPs of this one node."""
        node.rule = rule = copy.copy(node.rule)
        name = node.name
        rule.steps = [self._guarded(name, step, repr(step.name), line) for step in rule.steps]
        rule.shared = [self._guarded(name, step, "its inputs", line) for step in rule.shared]

    def _guarded(self, primitive: str, step: Step, whose: str, line: str) -> Step:
        """``step`` with a VJP that checks what it gives."""

        def vjp(*arguments: Any) -> Any:
            self.depth += 1
            try:
                result = step.vjp(*arguments)
            finally:
                self.depth -= 1
            for gradient in result if isinstance(result, tuple | list) else (result,):
                _require_finite(
                    f"the backward of {primitive!r}, in the gradient of {whose}",
                    gradient,
                    arguments,
                    line,
                )
            return result

        guarded: Step = copy.copy(step)
        guarded.vjp = vjp
        return guarded


def _require_finite(where: str, result: Tensor, given: Iterable[Any], line: str) -> None:
    """Raise where ``result`` has a nan, or an inf that was not among what was ``given``."""
    found = _trouble(result)
    if found is None:
        return
    before = {_trouble(x) for x in given}
    if found == "an inf" and before & {"an inf", "a nan"}:
        return
    origin = (
        "it was given one: by a leaf, a gradient passed to backward, or what ran outside"
        if found in before
        else "no input of it held one"
    )
    raise AnomalyError(f"{found} appears in {where}\n  called at {line}\n  {origin}")


def _trouble(x: Any) -> str | None:
    """``"a nan"`` or ``"an inf"`` if there is one in the tensor or number ``x``."""
    if isinstance(x, float):
        return "a nan" if math.isnan(x) else "an inf" if math.isinf(x) else None
    if not isinstance(x, Tensor) or x.dtype.kind != "f":
        return None
    values = kernels_for[type(x.array)].to_host(x.array)
    if np.isfinite(values).all():
        return None
    return "a nan" if np.isnan(values).any() else "an inf"


def _caller() -> tuple[str, bool]:
    """The line outside of this package that led here, and whether through a backward."""
    frame = sys._getframe(1)
    in_backward = False
    while frame.f_back is not None and frame.f_code.co_filename.startswith(PACKAGE):
        in_backward |= frame.f_code is backpropagate.__code__
        frame = frame.f_back
    file, number = frame.f_code.co_filename, frame.f_lineno
    source = linecache.getline(file, number, frame.f_globals).strip()
    return f"{file}:{number} in {frame.f_code.co_name}: {source}", in_backward
