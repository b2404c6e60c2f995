"""A primitive: a forward, a VJP for each input, and a row in the registry.

A VJP is a function of what it needs, named by its parameters: ``g``, the gradient of the output;
``out``, the output; an input, by its name in the forward; ``<input>_shape``; a keyword of the
forward; or a value of ``shared``, computed once for several inputs. What no VJP names is not kept.
A parameter with a default is the VJP's own.

    @elementwise(x=lambda g, y: g * y, y=lambda g, x: g * x)
    def mul(x, y):
        return x * y

An input without a VJP has the derivative zero everywhere (or none at all, as an index has). The
VJP of ``*inputs`` gives a sequence with a gradient for each, or None; their shapes are
``<inputs>_shapes``. For ``elementwise``, see :mod:`scratchgan.autograd.elementwise`;
:func:`primitive` is for all other functions.
"""

import functools
from collections.abc import Callable
from typing import Any, Protocol

from scratchgan.autograd import arguments
from scratchgan.autograd.arguments import NUMBERS
from scratchgan.autograd.tape import Node, Rule, Vjp, edge_of, mode
from scratchgan.autograd.tensor import Tensor
from scratchgan.backend import Array, is_own
from scratchgan.backend.opaque import forward_of

#: Every primitive by name.
REGISTRY: dict[str, "Primitive"] = {}


class Operation(Protocol):
    """A function that calls a primitive. It is what a decorator leaves in place of the forward."""

    primitive: "Primitive"

    def __call__(self, *inputs: Any, **keywords: Any) -> Tensor:
        """As :meth:`Primitive.__call__`."""


class Primitive:
    """A differentiable operation, called on tensors and Python numbers.

    Args:
        forward: Computes on arrays and keywords.
        vjps: For each input by name, the function from the output's gradient to its own.
        shared: Values that are computed once for several VJPs.
        declared: The function as the user wrote it, whose parameters are the primitive's.
        is_view: The result shares the memory of the first input.
        needs_out: From the keywords whether VJPs that name ``out`` look at it, so that it is kept.
        tensors: The inputs in whose place there may be no number.

    Raises:
        TypeError: A VJP is given for what is no input, or the name is one of this package's.
    """

    def __init__(
        self,
        forward: Callable[..., Array],
        vjps: dict[str, Vjp],
        shared: dict[str, Vjp] | None = None,
        declared: Callable[..., Any] | None = None,
        is_view: bool = False,
        needs_out: Callable[[dict[str, Any]], bool] = lambda keywords: True,
        tensors: tuple[str, ...] = (),
    ) -> None:
        self.declared: Callable[..., Any] = declared or forward
        self.name: str = self.declared.__name__
        self.forward = forward
        self.vjps = vjps
        self.shared = shared or {}
        self.is_view = is_view
        self.needs_out = needs_out
        self.is_elementwise = False
        code = self.declared.__code__
        both = code.co_argcount + code.co_kwonlyargcount
        self.inputs = code.co_varnames[: code.co_argcount]
        self.keywords = code.co_varnames[code.co_argcount : both]
        self.variadic = code.co_varnames[both] if code.co_flags & _HAS_VARARGS else None
        self.defaults: dict[str, Any] = self.declared.__kwdefaults__ or {}
        #: The positions of the inputs that have no VJP.
        self.constants = tuple([i for i, x in enumerate(self.inputs) if x not in vjps])
        #: The positions of those that are never numbers.
        self.tensors = tuple([i for i, x in enumerate(self.inputs) if x in tensors])
        self.function: Operation = _operation(self)
        #: The rules that were needed so far, by which inputs require a gradient.
        self.rules: dict[tuple[bool, ...], Rule] = {}
        unknown = [name for name in vjps if name not in (*self.inputs, self.variadic)]
        if unknown:
            raise TypeError(f"{self.name}: a VJP is given for {unknown[0]!r}, which is no input")
        require_free_name(self.declared)
        REGISTRY[self.name] = self

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"

    def __call__(self, *inputs: Any, **keywords: Any) -> Tensor:
        """Compute on ``inputs`` (tensors, or numbers in their place) and record it."""
        return self.function(*inputs, **keywords)

    def record(
        self,
        result: Tensor,
        inputs: tuple[Any, ...],
        keywords: dict[str, Any],
        needs: tuple[bool, ...],
    ) -> None:
        """Leave the node that made ``result`` on the tape.

        Args:
            result: The output.
            inputs: What it was computed from.
            keywords: The forward's keywords.
            needs: For each input whether it requires a gradient.
        """
        rule = self.rules.get(needs)
        if rule is None:
            rule = self.rules[needs] = Rule(self, needs)
        if rule.steps:
            edges = list(map(edge_of, inputs))
            for position in self.constants:
                edges[position] = None
            saved = rule.save(result, inputs, keywords)
            result.node = Node(rule, tuple(edges), saved, result.array)
            result._requires_grad = True


def require_free_name(function: Callable[..., Any]) -> None:
    """Raise a TypeError if a user's primitive would take the place of one of this package's."""
    known = REGISTRY.get(function.__name__)
    if known is not None and is_own(known.declared) and not is_own(function):
        raise TypeError(
            f"{function.__name__}: scratchgan has a primitive of this name; give yours another"
        )


def primitive(
    *,
    shared: dict[str, Vjp] | None = None,
    is_view: bool = False,
    needs_out: Callable[[dict[str, Any]], bool] = lambda keywords: True,
    **vjps: Vjp,
) -> Callable[[Callable[..., Array]], Operation]:
    """Decorator: a function of arrays and keywords becomes a primitive.

    Args:
        shared: Functions, with parameters as a VJP has, whose values several VJPs may name.
        is_view: The result shares the memory of the first input, and is no new array.
        needs_out: From the keywords whether VJPs that name ``out`` look at it, so that it is kept.
        vjps: For each input by name, the function from the output's gradient to its own.
    """
    computing = (lambda view: view) if is_view else forward_of  # a view computes nothing
    return lambda f: Primitive(computing(f), vjps, shared, f, is_view, needs_out).function


def _operation(made: Primitive) -> Operation:
    """The function that users call: it runs the forward and records a node."""
    count, keyword_count = len(made.inputs), len(made.keywords)
    is_variadic, forward, defaults = made.variadic is not None, made.forward, made.defaults
    of_tensors = made.tensors

    @functools.wraps(made.declared)
    def call(*inputs: Any, **given: Any) -> Tensor:
        keywords = given if len(given) == keyword_count else {**defaults, **given}
        if len(keywords) != keyword_count or (len(inputs) != count and not is_variadic):
            inputs, keywords = arguments.bound(made, inputs, given)
        arrays: list[Any] = []
        needs: list[bool] = []
        for x in inputs:
            if isinstance(x, Tensor):
                arrays.append(x.array)
                needs.append(x._requires_grad)
            elif type(x) in NUMBERS:
                if len(arrays) in of_tensors:
                    arguments.require_tensors(made.name, **{made.inputs[len(arrays)]: x})
                arrays.append(x)
                needs.append(False)
            else:
                return call(*[arguments.lifted(made.name, x) for x in inputs], **keywords)
        try:
            out = forward(*arrays, **keywords)
        except Exception as error:
            if isinstance(error, TypeError) and arguments.has_synonyms(made, keywords):
                inputs, keywords = arguments.bound(made, inputs, keywords)
                return call(*inputs, **keywords)
            arguments.fail(made, error, arrays, keywords)
        result = Tensor(out)
        if made.is_view:
            result._version = inputs[0].version
            result.may_alias = True
        now = mode.get()
        if True in needs and now.is_recording and out.dtype.kind == "f":
            made.record(result, inputs, keywords, tuple(needs))
            if made.is_view:
                inputs[0].may_alias = True
        for watcher in now.watchers:
            watcher(made, inputs, keywords, result)
        return result

    operation: Any = call
    operation.primitive = made
    return operation  # type: ignore[no-any-return]


_HAS_VARARGS = 0x04  # inspect.CO_VARARGS
