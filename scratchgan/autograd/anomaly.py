"""Anomaly detection: which primitive, called by which line, first gave a nan or an inf."""

import linecache
import math
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from scratchgan.autograd.backward import _run
from scratchgan.autograd.observe import observe
from scratchgan.autograd.primitive import Primitive
from scratchgan.autograd.rules import is_written_out, with_functions
from scratchgan.autograd.tape import Node, Taped
from scratchgan.backend import kernels_for

PACKAGE = str(Path(__file__).parents[1])


class AnomalyError(RuntimeError):
    """A nan or an inf appeared; the message says in which primitive, and who called it."""


@contextmanager
def detect_anomaly() -> Iterator[None]:
    """See :func:`scratchgan.autograd.detect_anomaly`."""
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
        node.__class__ = with_functions(
            type(node), lambda name, function: self._guarded(node.name, name, function, line)
        )

    def _guarded(
        self, primitive: str, name: str, function: Callable[..., Any], line: str
    ) -> Callable[..., Any]:
        kind, _, of = name.partition("_")
        whose = repr(of) if kind == "vjp" else "its inputs"

        def vjp(*arguments: Any) -> Any:
            self.depth += 1
            try:
                result = function(*arguments)
            finally:
                self.depth -= 1
            for gradient in result if isinstance(result, tuple) else (result,):
                _require_finite(
                    f"the backward of {primitive!r}, in the gradient of {whose}",
                    gradient,
                    arguments,
                    line,
                )
            return result

        return vjp


def _require_finite(where: str, result: Taped, given: Iterable[Any], line: str) -> None:
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
    if not isinstance(x, Taped) or x.dtype.kind != "f":
        return None
    values = kernels_for[type(x.array)].to_host(x.array)
    if np.isfinite(values).all():
        return None
    return "a nan" if np.isnan(values).any() else "an inf"


def _is_ours(file: str) -> bool:
    return file.startswith(PACKAGE) or is_written_out(file)


def _caller() -> tuple[str, bool]:
    """The line outside of this package that led here, and whether through a backward."""
    frame = sys._getframe(1)
    in_backward = False
    while frame.f_back is not None and _is_ours(frame.f_code.co_filename):
        in_backward |= frame.f_code is _run.__code__
        frame = frame.f_back
    file, number = frame.f_code.co_filename, frame.f_lineno
    source = linecache.getline(file, number, frame.f_globals).strip()
    return f"{file}:{number} in {frame.f_code.co_name}: {source}", in_backward
