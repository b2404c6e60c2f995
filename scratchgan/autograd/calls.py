"""Nodes of a Function's calls, and the context that ``backward`` gets.

A node of the tape has one output, and a Function may have several. So a call leaves a
:class:`CallNode`, whose edges go to the inputs and whose VJP is ``backward``; and for each output
an :class:`OutputNode`, whose one edge goes to the call. Outputs are newer than the call, so that
the backward pass has come to all of them before it comes to the call, where their gradients meet
and are added as all gradients are.
"""

import weakref
from collections.abc import Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from scratchgan.autograd.tape import Edge, Node, Rule, TapeError, Vjp, mode
from scratchgan.autograd.tensor import Tensor


class OutputGradients:
    """The gradients of a call's outputs, by their positions, on the way from them to the call."""

    def __init__(self, found: dict[int, Tensor]) -> None:
        self.found = found

    def __add__(self, other: "OutputGradients") -> "OutputGradients":
        both = dict(self.found)
        for position, gradient in other.found.items():
            both[position] = both[position] + gradient if position in both else gradient
        return OutputGradients(both)


class CallNode(Node):
    """A call of a Function; its shape and type are those of the first output with a gradient."""

    __slots__ = ("__weakref__",)


class OutputNode(Node):
    """One output of a call, which hands its gradient to the :class:`CallNode`.

    Attributes:
        position: Of the output.
    """

    __slots__ = ("__weakref__", "position")

    def __init__(self, call: Edge, function: Any, position: int, out: Any) -> None:
        super().__init__(function._output_rule, (call,), {}, out)
        self.position = position

    def pull_back(self, g: Tensor, path: "set[Edge] | None" = None) -> "list[tuple[Edge, Any]]":
        """The call, and the gradient as that of this output."""
        (call,) = self.edges
        assert call is not None
        return [(call, OutputGradients({self.position: g}))]

    def __repr__(self) -> str:
        return f"<output {self.position} of {self.edges[0]!r}>"


def rule_of(name: str, vjp: Vjp | None = None) -> Rule:
    """The rule of a node with any number of edges; ``vjp`` may ask for ``g`` and ``ctx``."""
    declared = SimpleNamespace(
        name=name,
        inputs=(),
        variadic="inputs",
        keywords=("ctx",),
        vjps={"inputs": vjp} if vjp else {},
        shared={},
        needs_out=lambda keywords: True,
    )
    return Rule(declared, (True,))


class FunctionCtx:
    """The context that ``forward`` leaves for ``backward``; may get any attributes.

    Attributes:
        needs_input_grad: For each input of ``apply`` whether it is a tensor that requires a
            gradient; where not, ``backward`` need not compute one.
    """

    needs_input_grad: tuple[bool, ...]

    def __init__(self, function: Any, inputs: tuple[Any, ...]) -> None:
        self.needs_input_grad = tuple([isinstance(x, Tensor) and x.requires_grad for x in inputs])
        self._are_tensors = [isinstance(x, Tensor) for x in inputs]
        self._function = function
        self._to_save: tuple[Tensor | None, ...] = ()
        self._dirty: tuple[Tensor, ...] = ()
        self._constant: tuple[Tensor, ...] = ()
        self._materializes = True
        # Of the tensors that are saved, each with its position among the outputs if it is one.
        self._saved: list[tuple[Tensor | None, int | None]] = []
        self._facts: list[tuple[tuple[int, ...], Any] | None] = []  # shapes and types of outputs
        self._number = 0  # of the call's node
        # Weak, or what the node keeps would keep the node.
        self._call: Callable[[], CallNode | None] = lambda: None
        self._outputs: dict[int, weakref.ref[OutputNode]] = {}

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...
        def __setattr__(self, name: str, value: Any) -> None: ...

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep ``tensors`` for ``backward``, and notice there if one was changed in place.

        Of inputs and outputs, higher derivatives know where they came from. What else ``forward``
        made is a constant to them; return it as an output if it is none.

        Raises:
            TypeError: One is neither a tensor nor None; keep others as attributes.
        """
        for position, x in enumerate(tensors):
            if x is not None and not isinstance(x, Tensor):
                raise TypeError(
                    f"{self._function.__name__}: save_for_backward takes tensors, and argument "
                    f"{position} is a {type(x).__name__}; keep it as an attribute of ctx"
                )
        self._to_save = tensors

    def mark_dirty(self, *args: Tensor) -> None:
        """Say which inputs ``forward`` changed in place; it returns them too.

        ``apply`` refuses those that are leaves which require a gradient, or share their memory.
        """
        self._dirty = self._tensors("mark_dirty", args)

    def mark_non_differentiable(self, *args: Tensor) -> None:
        """Say which outputs require no gradient; ``backward`` gets zeros for them."""
        self._constant = self._tensors("mark_non_differentiable", args)

    def set_materialize_grads(self, value: bool) -> None:
        """Whether ``backward`` gets zeros (the default) or None for an output without gradient."""
        self._materializes = value

    def __repr__(self) -> str:
        shapes = ", ".join("None" if x is None else str(x.shape) for x, _ in self._saved)
        return f"<context of {self._function.__name__}, saved: {shapes or 'nothing'}>"

    def _tensors(self, method: str, given: tuple[Any, ...]) -> tuple[Tensor, ...]:
        for x in given:
            if not isinstance(x, Tensor):
                raise TypeError(
                    f"{self._function.__name__}: {method} takes tensors, not {type(x).__name__}"
                )
        return given

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """In ``backward``: what :meth:`save_for_backward` was given.

        Raises:
            TapeError: One was changed in place since ``forward``.
        """
        for position, (x, _) in enumerate(self._saved):
            if x is not None and x._version and x._version[0] > self._number:
                raise TapeError(
                    f"the backward of {self._function.__name__!r} needs its saved tensor "
                    f"{position}, of shape {x.shape}, as it was in the forward, but it was changed "
                    "in place since then; change a clone() of it instead"
                )
        if not mode.get().is_recording:
            return tuple([x for x, _ in self._saved])
        return tuple([x if i is None or x is None else self._output(x, i) for x, i in self._saved])

    def _output(self, saved: Tensor, position: int) -> Tensor:
        """A saved output with its place on the tape, for higher derivatives."""
        node = self._outputs[position]() if position in self._outputs else None
        call = self._call()
        output = alias(saved)
        if call is not None and position in self._outputs:
            output.node = node or OutputNode(call, self._function, position, saved.array)
            output._requires_grad = True
        return output

    def _gradients_of_outputs(self, g: OutputGradients) -> list[Tensor | None]:
        """The arguments of ``backward``."""
        like = next(iter(g.found.values()))
        found: list[Tensor | None] = []
        for position, facts in enumerate(self._facts):
            gradient = g.found.get(position)
            if gradient is None and facts is not None and self._materializes:
                shape, dtype = facts
                gradient = like.new_zeros(shape, dtype=dtype)
            found.append(gradient)
        return found

    def _leave(
        self, inputs: tuple[Any, ...], edges: list[Edge | None], outputs: tuple[Any, ...]
    ) -> tuple[Any, ...]:
        """The results of ``apply`` for ``outputs``, on the tape if there are edges."""
        name = self._function.__name__
        results = tuple([self._result(name, x, inputs, outputs, bool(edges)) for x in outputs])
        self._facts = [(x.shape, x.dtype) if isinstance(x, Tensor) else None for x in outputs]
        self._saved = [self._kept(x, inputs, outputs) for x in self._to_save]
        with_gradient = [
            (position, x)
            for position, (x, out) in enumerate(zip(results, outputs, strict=True))
            if isinstance(x, Tensor) and x.dtype.kind == "f" and not is_among(out, self._constant)
        ]
        # With its node an output among these would form a cycle.
        self._to_save = self._dirty = self._constant = ()
        if edges and with_gradient:
            first = with_gradient[0][1]
            call = CallNode(self._function._rule, tuple(edges), {"ctx": self}, first.array)
            self._number = call.number
            self._call = weakref.ref(call)
            for position, x in with_gradient:
                x.node = OutputNode(call, self._function, position, x.array)
                x._requires_grad = True
                self._outputs[position] = weakref.ref(x.node)
        return results

    def _result(
        self,
        name: str,
        x: Any,
        inputs: tuple[Any, ...],
        outputs: tuple[Any, ...],
        is_recorded: bool,
    ) -> Any:
        """The tensor that ``apply`` gives for the output ``x``; what is no tensor, as it is."""
        if isinstance(x, list | dict):
            raise TypeError(
                f"{name}.forward: returned a {type(x).__name__}, in which no gradient is looked "
                "for; return a tensor, or a tuple of them"
            )
        if not isinstance(x, Tensor):
            return x
        is_dirty = is_among(x, self._dirty)
        sharing = [one for one in inputs if isinstance(one, Tensor) and one.version is x.version]
        sharing = [one for one in sharing if one is not x or not is_dirty]
        is_twice = sum(isinstance(one, Tensor) and one.version is x.version for one in outputs) > 1
        if is_recorded:
            for one in sharing:
                one.may_alias = True
        result = x if is_dirty else alias(x)
        result.may_alias = x.may_alias or bool(sharing) or is_twice
        if is_dirty and is_recorded:
            _require_changeable(name, x)
        return result

    def _kept(
        self, x: Tensor | None, inputs: tuple[Any, ...], outputs: tuple[Any, ...]
    ) -> tuple[Tensor | None, int | None]:
        """A tensor to save, and its position among the outputs if it is one."""
        position = next((i for i, out in enumerate(outputs) if x is out), None)
        is_as_it_came = is_among(x, inputs) and not is_among(x, self._dirty)
        if x is None or position is None or is_as_it_came:
            return x, None
        return alias(x), position  # with its node, which comes to be there, it would form a cycle


def alias(x: Tensor) -> Tensor:
    """A tensor on the same memory, in no place on the tape."""
    made = Tensor(x.array)
    made._version = x.version
    made.may_alias = x.may_alias
    return made


def is_among(x: Any, tensors: tuple[Any, ...]) -> bool:
    """Whether ``x`` is one of ``tensors`` itself."""
    return any(x is one for one in tensors)


def _require_changeable(name: str, x: Tensor) -> None:
    if x.requires_grad and x.node is None:
        raise RuntimeError(
            f"{name}: a leaf that requires a gradient cannot be changed in place while the tape "
            "records; do it within no_grad()"
        )
    if x.may_alias:
        raise RuntimeError(
            f"{name}: the input of shape {x.shape} that is changed in place shares its memory "
            "with another tensor, whose gradient would not know of the change; pass a clone()"
        )
