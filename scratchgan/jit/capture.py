"""Capture: call a function once, and write down what it computes, rests on, and leaves behind."""

import random
from collections.abc import Callable, Mapping, Sequence
from operator import getitem
from typing import Any

import numpy as np

from scratchgan import dtypes
from scratchgan.autograd.observe import observe
from scratchgan.autograd.tape import Mode, mode
from scratchgan.autograd.tensor import Tensor, clock, gradient_watch
from scratchgan.backend import MachineCodeError, kernels_for
from scratchgan.jit.arguments import (
    Span,
    classes_of,
    groups_of,
    layout_of,
    leaves_of,
    mapped,
    overlap,
    span_of,
    stand_ins,
)
from scratchgan.jit.array_watch import arrays_watched
from scratchgan.jit.context import JitError, unrecorded
from scratchgan.jit.executor import Program, run_compiled
from scratchgan.jit.gradients import GradientWatch
from scratchgan.jit.guards import Guards
from scratchgan.jit.lower import lowering_of
from scratchgan.jit.makers import Input, Makers, copy
from scratchgan.jit.opaque_calls import opaque_calls_on
from scratchgan.jit.outcome import Outcome
from scratchgan.jit.passes.plan import changed_by, make_plan
from scratchgan.jit.places import Place, attribute, content
from scratchgan.jit.record import Recording, plain, recording_on
from scratchgan.jit.replay import Replay
from scratchgan.jit.scope import Scope


class Capture:
    """One call of a function, as it is recorded.

    Args:
        name: Of the function, for messages.
        function: Called with stand-ins for the tensors among the arguments.
        args: Its arguments.
        kwargs: Its keywords.
        tensors: The tensors among them, each once.
        spans: Where those lie.
    """

    def __init__(
        self,
        name: str,
        function: Callable[..., Any],
        args: Any,
        kwargs: Any,
        tensors: list[Tensor],
        spans: list[Span],
    ) -> None:
        self.name = name
        self.function = function
        self.tensors = tensors
        self.spans = list(spans)
        self.like = tensors[0].array if tensors else None
        self.array_type = np.ndarray if self.like is None else type(self.like)
        self.recording = Recording(plain(kernels_for[self.array_type]), run_compiled)
        given = [x for x in leaves_of((args, kwargs)) if not isinstance(x, Tensor)]
        given += [hook for x in tensors for hook in (x.hooks or {}).values()]
        given += [type(x) for x in tensors] + classes_of((args, kwargs))
        roots = [("an argument", x) for x in given if x is not function]
        self.scope = Scope([(name, function), *roots])
        self.places = self._places()
        reached = [x for _, x in self.scope.tensors.values()]
        arrays = [*[x.array for x in reached], *[array for _, array in self.scope.arrays]]
        self.reached = [span_of(array) for array in arrays if type(array) in kernels_for]
        gradients = [x._grad for x in (*reached, *tensors) if isinstance(x._grad, Tensor)]
        self.reached_gradients = [(x, span_of(x.array)) for x in gradients]
        self.facts = {id(x): (tuple(x.hooks or ()), x.requires_grad) for x in tensors}
        self.inputs = self._inputs()
        self.used: set[int] = set()  # the ids of tensors that primitives took
        self.changed: list[list[int]] = []
        self.gradients = self._watch_gradients()
        self.makers = Makers(name, self.recording, self.scope, self.all_inputs)
        self.outcome = self._outcome(self._call(args, kwargs))

    # --- Before the call ------------------------------------------------------------------

    def _places(self) -> list[Place]:
        """The state that the function rests on, as it is before the call."""
        own = [
            Place(f"{name}.{key}", attribute, tensor, key, getattr(tensor, key))
            for name, tensor in self.scope.tensors.values()
            for key in ("array", "requires_grad", "hooks")
        ]
        return self.scope.places + own

    def _inputs(self) -> list[Input]:
        inputs: list[Any] = [None] * len(self.tensors)
        for group in groups_of(self.spans):
            tensors = [self.tensors[i] for i in group]
            known = [*self.reached, *[span for _, span in self.reached_gradients]]
            is_fixed = any(
                id(self.tensors[i]) in self.scope.tensors
                or any(overlap(self.spans[i], span) for span in known)
                for i in group
            )
            if is_fixed:
                for i in group:
                    inputs[i] = Input(self.tensors[i])
                continue
            memory, made = stand_ins(tensors, [self.spans[i] for i in group])
            operands = self.recording.arguments(memory, [x.array for x in made])
            for i, tensor, operand in zip(group, made, operands, strict=True):
                inputs[i] = Input(tensor, operand)
        return inputs

    # --- The call -------------------------------------------------------------------------

    def _call(self, args: Any, kwargs: Any) -> Any:
        """Call the function with stand-ins for its arguments, and give what it returns."""
        number = {id(tensor): i for i, tensor in enumerate(self.tensors)}
        args, kwargs = mapped(
            (args, kwargs), Tensor, lambda tensor: self.inputs[number[id(tensor)]].stand_in
        )
        passed = layout_of((args, kwargs))
        draws = _draws()
        dtype = dtypes.get_default_dtype()
        self.started = next(clock)
        on_tape = [x for _, x in self.scope.tensors.values() if x.node and not x.node.is_freed]

        def watch(primitive: Any, inputs: Any, _keywords: Any, _result: Any) -> None:
            self._takes(primitive.name, inputs)

        before = mode.get()
        token = gradient_watch.set(self.gradients)
        mode.set(Mode(before.is_recording, before.watchers, self.changed))
        try:
            with (
                recording_on(self.array_type, self.recording) as self.context,
                opaque_calls_on(self.recording),
                observe(watch),
                arrays_watched(),
            ):
                value = self.function(*args, **kwargs)
        except BaseException:
            self._leave_after_error()
            raise
        finally:
            mode.set(before)
            gradient_watch.reset(token)
        if self.context.refusal is not None:
            raise self.context.refusal
        if passed != layout_of((args, kwargs)):
            raise JitError(
                f"jit: {self.name} changes a list, dict or dataclass among its arguments; return "
                "new ones"
            )
        if any(x.node.is_freed for x in on_tape):
            raise JitError(
                f"jit: {self.name} runs backward through a tape that was recorded outside of "
                "it; do both inside"
            )
        self.has_drawn = _draws() != draws
        self.has_set_dtype = dtypes.get_default_dtype() != dtype
        return value

    def _takes(self, name: str, inputs: tuple[Any, ...]) -> None:
        """Note that a primitive or a Function, by its name, takes ``inputs``."""
        for x in inputs:
            if isinstance(x, Tensor):
                self.used.add(id(x))
                is_outside = x.node is not None and x.node.number < self.started
                if is_outside and mode.get().is_recording:
                    raise JitError(
                        f"jit: {name} takes a tensor of shape {x.shape} that was recorded on the "
                        "tape outside of the step; pass its detach(), or compute it inside"
                    )

    def _outcome(self, value: Any) -> Outcome:
        """The effects to repeat at each replay, if the function returned ``value``."""
        result = self.makers.of_value(value)
        gradients = self.gradients.outcome(self.makers)
        self.changes_arguments = self._changed_facts()
        for given in self.inputs:
            if given.operand is not None:
                given.stand_in._grad = None
        return Outcome(self.inputs, gradients, self._versions(), result)

    def _changed_facts(self) -> bool:
        """Whether the function changed more of arguments than elements; done to them too."""
        found = False
        for given, tensor in zip(self.inputs, self.tensors, strict=True):
            stand_in = given.stand_in
            hooks = tuple(stand_in.hooks or ()), stand_in.requires_grad
            if hooks != self.facts[id(tensor)]:
                tensor.hooks, tensor.requires_grad = stand_in.hooks, stand_in.requires_grad
                found = True
        return found

    def _leave_after_error(self) -> None:
        """Apply to the arguments what was done to them before the function failed."""
        self.outcome = Outcome(self.inputs, [], [], None)
        self.outcome.settle(self.recording.calls)
        for given, tensor in zip(self.inputs, self.tensors, strict=True):
            if given.operand is None:
                continue
            if given.is_changed:
                copy(given.stand_in.array, tensor.array)
                tensor.mark_changed()
            if self.gradients.is_set(given.stand_in):
                tensor._grad = given.stand_in._gradient()

    def _watch_gradients(self) -> GradientWatch:
        watch = GradientWatch(self._input_for, self._takes)
        for name, tensor in self.scope.tensors.values():
            watch.add(name, tensor, tensor)
        for i, given in enumerate(self.inputs):
            if id(given.stand_in) not in self.scope.tensors:
                given.stand_in._grad = self.tensors[i]._grad
                watch.add(f"argument {i}", i, given.stand_in)
        return watch

    def _input_for(self, gradient: Tensor) -> Input:
        """An input for the gradient of a leaf, at which the function looks now."""
        span = span_of(gradient.array)
        others = [other for x, other in self.reached_gradients if x is not gradient]
        known = [*self.spans, *self.reached, *others]
        self.spans.append(span)
        if any(overlap(span, other) for other in known):
            return Input(gradient)
        with unrecorded():
            memory, (made,) = stand_ins([gradient], [span])
        (operand,) = self.recording.arguments(memory, [made.array])
        return Input(made, operand)

    # --- After the call -------------------------------------------------------------------

    def all_inputs(self) -> list[Input]:
        """The arguments, and the gradients that the function looked at."""
        return [*self.inputs, *[given for given, _ in self.gradients.inputs()]]

    def _versions(self) -> list[list[int]]:
        """The versions of tensors from outside that were changed in place."""
        lasting = [x for _, x in self.scope.tensors.values()]
        lasting += [x.stand_in for x in self.inputs if x.operand is None]
        known = {id(x._version) for x in lasting}
        return list({id(x): x for x in self.changed if id(x) in known}.values())

    def _is_captured(self, holder: Any) -> bool:
        if type(holder) is not self.array_type:
            return False
        owner = self.recording.backend.memory(holder)[0]
        return any(memory.owner is owner for memory in self.recording.memories)

    def why_not(self) -> str:
        """Why a replay would not do what the function does; empty if it would."""
        if self.changes_arguments:
            return f"{self.name} changes hooks or requires_grad of an argument"
        if self.has_set_dtype:
            return f"{self.name} changes the default type"
        if self.has_drawn:
            return f"{self.name} draws random numbers of Python's or NumPy's; draw them as tensors"
        watched = [
            place
            for place in self.places
            if place.read is not content or not self._is_captured(place.holder)
        ]
        changes = Guards(watched).changes()
        if not changes:
            return ""
        reached = Scope([(self.name, self.function)]).tensors.values()
        for name, tensor in reached:
            owner = self.recording.backend.memory(tensor.array)[0]
            if any(x.owner is owner and x.kind == "argument" for x in self.recording.memories):
                raise JitError(
                    f"jit: {self.name} keeps an argument in {name}, in whose place it found a "
                    "copy; keep a clone() of it"
                )
        return f"{self.name} itself changed what it rests on: {changes[0]}"

    def leave(self, arguments: Sequence[Tensor]) -> Any:
        """Do to the arguments what was done to their stand-ins, and give what the call returned."""
        self.outcome.settle(self.recording.calls)
        read = [gradient for _, gradient in self.gradients.inputs()]
        return self.outcome.leave(arguments, [*arguments, *read])

    def finish(self) -> None:
        """Sort out what is left behind.

        Raises:
            JitError: The call cannot be replayed.
        """
        self.recording.finish(self.makers.operands(), self._known())
        self.makers.find_shared()

    def replay(self, reason: str) -> Replay:
        """The recording, finished, ready to run."""
        recording, outcome = self.recording, self.outcome
        fuses = lowering_of(recording.backend.name) is not None
        try:
            plan = make_plan(recording, self.makers.operands(), fuses)
            program = Program(plan, recording.backend, self.context.live, self.like)
        except MachineCodeError:
            plan = make_plan(recording, self.makers.operands(), fuses=False)
            program = Program(plan, recording.backend, self.context.live, self.like)
        for given in outcome.all_inputs:
            if given.operand is not None:  # it may have become part of another array
                given.stand_in.array = program.array(given.operand)
        written = {x.memory for call in recording.calls for x in changed_by(call)}
        captured = [
            (span_of(memory.owner), memory.number in written)
            for memory in recording.memories
            if memory.kind == "captured"
        ]
        return Replay(program, outcome, self._guards(), self.spans, captured, reason)

    def _known(self) -> set[int]:
        """The ids of memories to which the function is known to lead."""
        arrays = [x.array for _, x in self.scope.tensors.values()]
        arrays += [array for _, array in self.scope.arrays]
        arrays += [x.stand_in.array for x in self.all_inputs()]
        memory = self.recording.backend.memory
        return {id(memory(array)[0]) for array in arrays if type(array) in kernels_for}

    def _comes_to(self, group: Mapping[str, Any]) -> bool:
        """Whether the function itself may look at a parameter group, and so at all options."""
        return (
            "param_groups" in self.scope.mentioned
            or id(group) in self.scope.found_again  # a variable holds it, too
            or any(group is shown for shown in self.context.shown)
        )

    def _guards(self) -> Guards:
        read_anew: dict[int, set[str]] = {}
        for live in self.context.live:
            if not self._comes_to(live.source):
                read_anew.setdefault(id(live.source), set()).update(live.deciding)
        changed = {id(x) for x in self.changed}
        places = []
        for place in self.places:
            holder = place.holder
            # An option that an optimizer reads anew, if the function does not read it itself.
            is_number = (
                id(holder) in read_anew
                and place.read is getitem
                and isinstance(place.value, bool | int | float | tuple)
                and place.key not in ("params", *self.scope.keys, *read_anew[id(holder)])
            )
            is_unused = (
                isinstance(holder, Tensor)
                and place.key in ("requires_grad", "hooks")
                and place.key not in self.scope.mentioned
                and id(holder) not in self.used
                and id(holder._version) not in changed
            )
            if not is_number and not is_unused:
                places.append(place)
        places += [
            Place(f"{x.name}.grad", attribute, x.leaf, "grad", x.input.stand_in)
            for x in self.outcome.gradients
            if x.input is not None and x.input.operand is None and isinstance(x.leaf, Tensor)
        ]
        return Guards(places)


def _draws() -> Any:
    """The states of the streams from which Python and NumPy draw random numbers."""
    state: Any = np.random.get_state(legacy=False)
    words = state["state"]
    return random.getstate(), {name: np.array(x).tobytes() for name, x in words.items()}
