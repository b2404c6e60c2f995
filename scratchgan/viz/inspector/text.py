"""A tape as a tree, in a notebook as a picture, and as a walk back through it, rule by rule."""

import html
import inspect
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from scratchgan.autograd.source import place_of, source_of
from scratchgan.autograd.tensor import Tensor
from scratchgan.viz.inspector.drawing import Box, svg
from scratchgan.viz.inspector.naming import Names, or_variables
from scratchgan.viz.inspector.recording import (
    Backward,
    Call,
    Recording,
    Value,
    record_backward,
)
from scratchgan.viz.inspector.summary import statistics

#: Elements that are shown one by one.
_FEW = 4

#: Primitives that a notebook shows as a picture; of more it shows the tree.
_MOST_DRAWN = 300

#: Levels of a tree; what lies deeper than that is on the inspector's page.
_DEEPEST = 50


class Graph:
    """The graph that made a tensor; :func:`graph` makes it, and ``print`` shows it as a tree.

    Each line is a primitive or a leaf, with its shape, its value and the gradient that comes to it;
    below it stand its inputs, each with the VJP that its gradient comes from, as it stands in the
    table of primitives. What is used more than once is shown in full once, and what is more than
    50 levels deep not at all: ``sg.inspect`` draws all of it. In a notebook the graph shows as a
    picture, up to 300 primitives.
    """

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self._made_by = {call.output: i for i, call in enumerate(recording.calls)}
        self._arrived = _gradients_of(recording)

    def __str__(self) -> str:
        lines: list[str] = []
        seen: set[int] = set()
        # Each entry: the value, or a constant's text; what stands before it and before the lines
        # below it; the rule.
        stack: list[tuple[int | str, str, str, str]] = []
        stack.append((self.recording.calls[-1].output, "", "", ""))
        while stack:
            given, before, after, rule = stack.pop()
            if isinstance(given, str) or given not in self._made_by:
                named = given if isinstance(given, str) else self._line("", given)
                lines.append(f"{before}{named}{rule}")
                continue
            call = self.recording.calls[self._made_by[given]]
            text = f"{before}{self._line(call.primitive.name, given)}{rule}"
            if given in seen:
                lines.append(f"{text} (shown above)")
                continue
            if len(before) // 3 == _DEEPEST:
                lines.append(f"{text} (goes on; sg.inspect draws it)")
                continue
            lines.append(text)
            seen.add(given)
            last = len(call.inputs) - 1
            for position in range(last, -1, -1):
                branch, trunk = ("└─ ", "   ") if position == last else ("├─ ", "│  ")
                rule = self._rule(call, position)
                rule = rule and f"  ← {rule}"
                stack.append((call.inputs[position], f"{after}{branch}", f"{after}{trunk}", rule))
        return "\n".join(_flushed(lines))

    def _line(self, name: str, value: int) -> str:
        what, is_now, gradient = self._texts(name, value)
        return f"{what}{is_now and ' ' + is_now}{gradient and '  ' + gradient}"

    def _texts(self, name: str, value: int) -> tuple[str, str, str]:
        """A value's description: what it is, how it is now, and the gradient that comes to it."""
        held = self.recording.values[value]
        arrived = self._arrived.get(value)
        gradient = "" if arrived is None else _shown("∇ ", self.recording.values[arrived])
        what = f"{name or _printable(held.name) or held.kind} {_shape(held)}"
        return what, _shown("= ", held), gradient

    def _rule(self, call: Call, position: int) -> str:
        """The VJP of an input, or ``""`` where no gradient goes back."""
        name = _input_name(call, position)
        if not call.needs[position] or name not in call.primitive.vjps:
            return ""
        return _rule_of(call.primitive.vjps[name])

    def _repr_svg_(self) -> str | None:
        """In a notebook: a picture of boxes and edges, unless there are too many."""
        return svg(self._boxes()) if len(self.recording.calls) <= _MOST_DRAWN else None

    def _repr_html_(self) -> str | None:
        """In a notebook: the tree, of what has no picture."""
        if len(self.recording.calls) <= _MOST_DRAWN:
            return None
        return f"<pre>{html.escape(str(self))}</pre>"

    def _boxes(self) -> list[Box]:
        """A box for each primitive and leaf, in the order in which they came to be."""
        boxes: list[Box] = []
        of_value: dict[int, int] = {}  # the number of its box

        def box_of(given: int | str) -> int:
            if isinstance(given, int) and given in of_value:
                return of_value[given]
            if isinstance(given, str):
                boxes.append(Box("constant", (given, "", "")))
            else:
                is_constant = self.recording.values[given].kind == "constant"
                kind = "constant" if is_constant else "leaf"
                of_value[given] = len(boxes)
                boxes.append(Box(kind, self._texts("", given)))
            return len(boxes) - 1

        for call in self.recording.calls:
            inputs = tuple([box_of(given) for given in call.inputs])
            rules = tuple([self._rule(call, position) for position in range(len(inputs))])
            of_value[call.output] = len(boxes)
            texts = self._texts(call.primitive.name, call.output)
            boxes.append(Box("call", texts, inputs, rules))
        return boxes

    def __repr__(self) -> str:
        return f"<the graph of {len(self.recording.calls)} primitives; print it>"


def _flushed(lines: list[str]) -> list[str]:
    """The lines, with their rules below each other."""
    parts = [line.partition("  ← ") for line in lines]
    width = min(76, max((len(left) for left, rule, _ in parts if rule), default=0))
    return [f"{left.ljust(width)}  ← {right}" if rule else left for left, rule, right in parts]


def graph(tensor: Tensor, names: Names = None) -> Graph:
    """The graph that made ``tensor``, and how gradients go back through it.

    The tape stays as it is, and no ``grad`` is touched.

    Args:
        tensor: The result of operations that requires a gradient; gradients start with ones.
        names: A module, after which its parameters are named, or names of modules and tensors;
            those of the variables where this is called, if there are none.

    Raises:
        TapeError: The tensor requires no gradient or is a leaf, or its tape was freed.
    """
    return Graph(record_backward(tensor, or_variables(names)))


def trace_backward(tensor: Tensor, names: Names = None) -> None:
    """Walk back from ``tensor`` and print each step: what arrives, the rule, what leaves.

    Args:
        tensor: As :func:`graph`.
        names: As :func:`graph`.

    Raises:
        TapeError: As :func:`graph`.
    """
    recording = record_backward(tensor, or_variables(names))
    steps = [moment for moment in recording.moments if isinstance(moment, Backward)]
    for number, step in enumerate(steps, start=1):
        call = recording.calls[step.call]
        arrived = recording.values[step.arrived]
        print(f"{number:>3}  {call.primitive.name} {_shape(arrived)}{_shown('   g = ', arrived)}")
        for position, left in step.left.items():
            name = _input_name(call, position)
            given = call.inputs[position]
            whose = _printable(recording.values[given].name) if isinstance(given, int) else ""
            vjp = call.primitive.vjps[name]
            to = f"{name} ({whose})" if whose else name
            print(f"       {to}: {_rule_of(vjp)}  # {place_of(vjp)}")
            gradient = recording.values[left]
            print(f"         {_shape(gradient)}{_shown(' = ', gradient)}")


def _gradients_of(recording: Recording) -> dict[int, int]:
    """The gradient of each value: the whole one of a result, the sum at a leaf."""
    found: dict[int, int] = {}
    parts: dict[int, list[int]] = {}
    for moment in recording.moments:
        if not isinstance(moment, Backward):
            continue
        call = recording.calls[moment.call]
        found[call.output] = moment.arrived
        for position, left in moment.left.items():
            given = call.inputs[position]
            if isinstance(given, int):
                parts.setdefault(given, []).append(left)
    for value, several in parts.items():
        if value not in found:
            found[value] = several[0] if len(several) == 1 else _sum(recording, several)
    return found


def _sum(recording: Recording, several: list[int]) -> int:
    arrays = [recording.values[number].array for number in several]
    total = np.sum([array for array in arrays if array is not None], axis=0)
    recording.values.append(Value("", "gradient", total, total.shape, total.dtype))
    return len(recording.values) - 1


def _input_name(call: Call, position: int) -> str:
    inputs = call.primitive.inputs
    return inputs[position] if position < len(inputs) else call.primitive.variadic or ""


@lru_cache(maxsize=256)  # a tape has few rules and many nodes, and a source is slow to find
def _rule_of(vjp: Callable[..., Any]) -> str:
    """The expression of a lambda; the name of a longer rule, and what it is given."""
    text = source_of(vjp)
    if text.startswith("lambda"):
        return text.partition(":")[2].strip()
    return f"{vjp.__name__}({', '.join(inspect.signature(vjp).parameters)})"


def _printable(name: str) -> str:
    """A name without what would break a line, or the XML of a picture."""
    return "".join(x if x.isprintable() else x.encode("unicode_escape").decode() for x in name)


def _shape(value: Value) -> str:
    return f"({', '.join(map(str, value.shape))})"


def _shown(before: str, value: Value) -> str:
    """A value in a few words: its elements if they are few, else their mean and spread."""
    if value.array is None:
        return ""
    if value.array.size <= _FEW:
        return before + np.array2string(value.array, precision=4, separator=", ").replace("\n", "")
    numbers = value.array.astype(np.float64)
    finite = numbers[np.isfinite(numbers)]
    bad = numbers.size - finite.size
    if not finite.size:
        return f"{before}{bad} not finite"
    of_finite = statistics(finite)
    rest = f" and {bad} not finite" if bad else ""
    return f"{before}{of_finite['mean']:.3g} ± {of_finite['std']:.3g}{rest}"
