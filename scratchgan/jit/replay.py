"""Replay: a recording that is ready to run."""

import bisect
from collections.abc import Sequence
from typing import Any

from scratchgan.autograd.tensor import Tensor
from scratchgan.jit.arguments import Span, overlaps, span_of
from scratchgan.jit.executor import Program
from scratchgan.jit.guards import Guards
from scratchgan.jit.makers import copy
from scratchgan.jit.outcome import Outcome


class Replay:
    """A recording that is ready to run.

    Args:
        program: The calls.
        outcome: What it leaves behind.
        guards: What it rests on.
        spans: Where the arguments and gradients lay.
        captured: Memory from outside that it uses, and whether it changes that.
        reason: Why it was made.
    """

    def __init__(
        self,
        program: Program,
        outcome: Outcome,
        guards: Guards,
        spans: Sequence[Span],
        captured: Sequence[tuple[Span, bool]],
        reason: str,
    ) -> None:
        self.program = program
        self.outcome = outcome
        self.guards = guards
        self.reason = reason
        inputs = outcome.all_inputs
        self._pattern = overlaps(spans)
        self._fixed = {i: spans[i] for i, x in enumerate(inputs) if x.operand is None}
        #: The tensors of the recording that take the elements of the inputs.
        self._filled = [(i, x.stand_in) for i, x in enumerate(inputs) if x.operand is not None]
        by_place = sorted(captured, key=lambda pair: pair[0][0])
        used = _Spans([span for span, _ in by_place])
        changed = _Spans([span for span, is_changed in by_place if is_changed])
        #: The memory that an input must not share, lest the order of reads and writes matter.
        self._apart = [used if x.is_changed else changed for x in inputs]
        self._looked_at = [x for x in outcome.gradients if x.found is not None]

    def misfit(self, arguments: Sequence[Tensor], spans: list[Span]) -> str:
        """How these arguments differ from the recorded ones, in words; empty if they do not.

        Args:
            arguments: Tensors of the same shapes and types.
            spans: Where they lie.
        """
        for gradient in self._looked_at:
            leaf = gradient.of(arguments)
            if (leaf._grad is not None) is not gradient.found:
                return f"{gradient.name}.grad is {'a tensor' if leaf._grad is not None else None}"
            if gradient.input is not None:
                spans = [*spans, span_of(leaf._gradient().array)]  # type: ignore[union-attr]
        if len(spans) > len(arguments) and overlaps(spans) != self._pattern:
            return "a gradient shares memory in another way"
        for position, span in enumerate(spans):
            if position in self._fixed:
                if span != self._fixed[position]:
                    return f"argument {position} lies elsewhere, and shared captured memory"
            elif self._apart[position].touch(span):
                return f"argument {position} shares memory with a captured tensor"
        return ""

    def __call__(self, arguments: Sequence[Tensor]) -> Any:
        """Run on ``arguments``, tensors like those of the recording."""
        with self.outcome.lock:
            current = self.outcome.current(arguments)
            for position, stand_in in self._filled:
                copy(current[position].array, stand_in.array)
            self.program()
            return self.outcome.leave(arguments, current)


class _Spans:
    """Parts of memory, none of which overlap, in order."""

    def __init__(self, spans: list[Span]) -> None:
        self._begins = [span[0] for span in spans]
        self._ends = [span[1] for span in spans]

    def touch(self, span: Span) -> bool:
        """Whether ``span`` has a byte in common with any."""
        last = bisect.bisect_left(self._begins, span[1]) - 1
        return last >= 0 and self._ends[last] > span[0]
