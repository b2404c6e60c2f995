"""Anomaly detection: which primitive, called by which line, first gave a nan or an inf."""

import copy
import linecache
import math
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from scratchgan.autograd.backward import backpropagate
from scratchgan.autograd.observe import observe
from scratchgan.autograd.primitive import Primitive
from scratchgan.autograd.tape import Node, Step
from scratchgan.autograd.tensor import Tensor
from scratchgan.backend import kernels_for

PACKAGE = str(Path(__file__).parents[1])


class AnomalyError(RuntimeError):
    """A nan or an inf appeared; the message says in which primitive, and who called it.

    Attributes:
        what: ``"a nan"`` or ``"an inf"``.
        where: The primitive, and whether in its forward or its backward.
        module: The innermost module whose ``forward`` called the primitive, or None.
    """

    def __init__(self, what: str, where: str, caller: "_Caller", origin: str) -> None:
        super().__init__(f"{what} appears in {where}\n  called at {caller.line}\n  {origin}")
        self.what = what
        self.where = where
        self.module = caller.module


class _Caller(NamedTuple):
    """The line that called a primitive."""

    line: str  #: The innermost line outside of this package.
    module: Any  #: The innermost module, or None.
    in_backward: bool  #: Whether a backward pass did.


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
        caller = _caller()
        if not self.depth:
            during = "in the backward" if caller.in_backward else "in the forward"
            _require_finite(f"{primitive.name!r}, {during}", result, inputs, caller)
        if result.node is not None:
            self._guard(result.node, caller)

    def _guard(self, node: Node, caller: _Caller) -> None:
        """Wrap the VJPs of this one node."""
        node.rule = rule = copy.copy(node.rule)
        name = node.name
        rule.steps = [self._guarded(name, step, repr(step[0]), caller) for step in rule.steps]
        rule.shared = [self._guarded(name, step, "its inputs", caller) for step in rule.shared]

    def _guarded(self, primitive: str, step: Step, whose: str, caller: _Caller) -> Step:
        """``step`` with a VJP that checks what it gives."""
        name, position, unguarded, parameters = step

        def vjp(*arguments: Any) -> Any:
            self.depth += 1
            try:
                result = unguarded(*arguments)
            finally:
                self.depth -= 1
            for gradient in result if isinstance(result, tuple | list) else (result,):
                _require_finite(
                    f"the backward of {primitive!r}, in the gradient of {whose}",
                    gradient,
                    arguments,
                    caller,
                )
            return result

        return name, position, vjp, parameters


def _require_finite(where: str, result: Tensor, given: Iterable[Any], caller: _Caller) -> None:
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
    raise AnomalyError(found, where, caller, origin)


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


def _caller() -> _Caller:
    """The line outside of this package that led here, and what it went through."""
    frame = sys._getframe(1)
    in_backward, module = False, None
    while True:
        code = frame.f_code
        in_backward |= code is backpropagate.__code__
        if module is None and code.co_name == "forward":
            module = frame.f_locals.get("self")
        if frame.f_back is None or not code.co_filename.startswith(PACKAGE):
            break
        frame = frame.f_back
    file, number = frame.f_code.co_filename, frame.f_lineno
    source = linecache.getline(file, number, frame.f_globals).strip()
    return _Caller(f"{file}:{number} in {code.co_name}: {source}", module, in_backward)
