"""What a primitive is: a forward, a VJP per input, and a row in the registry.

A VJP is a function of what it needs, named by its parameters: ``g``, the gradient of the output;
``out``, the output; an input, by its name in the forward; ``<input>_shape``; a keyword of the
forward; or a value of ``common``, computed once for all inputs. What no VJP names is not kept.

    @elementwise(x=lambda g, y: g * y, y=lambda g, x: g * x)
    def mul(x, y):
        return x * y

An input without a VJP has the derivative zero everywhere (or none at all, as an index has). For
``elementwise``, see :mod:`scratchgan.elementwise`; :func:`primitive` is for all other functions.
"""

import functools
from collections.abc import Callable
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from scratchgan import tape
from scratchgan.backend import Array, kernels_for
from scratchgan.backend.devices import different_devices
from scratchgan.tape import Arguments, Node, Rule, Step, Taped, mode

if TYPE_CHECKING:
    from scratchgan.tensor import Tensor

Vjp = Callable[..., Any]

#: Every primitive by name.
REGISTRY: dict[str, "Primitive"] = {}


def constant(array: Array) -> "Tensor":
    """A tensor that holds ``array`` and requires no gradient."""
    tensor: Tensor = tape.tensor_type(array)
    return tensor


class Primitive:
    """A differentiable operation, called on tensors and Python numbers."""

    def __init__(
        self,
        forward: Callable[..., Array],
        declared: Callable[..., Any],
        vjps: dict[str, Vjp],
        common: dict[str, Vjp],
        is_view: bool,
    ) -> None:
        functools.update_wrapper(self, forward)
        self.name: str = forward.__name__
        self.forward = forward
        self.vjps = vjps
        self.common = common
        self.is_view = is_view
        code = declared.__code__
        both = code.co_argcount + code.co_kwonlyargcount
        self.inputs = code.co_varnames[: code.co_argcount]
        self.keywords = code.co_varnames[code.co_argcount : both]
        self.variadic = code.co_varnames[both] if code.co_flags & _HAS_VARARGS else None
        self.is_elementwise = False
        #: For Tensor's operators and methods: what Python calls fastest.
        self.method: Callable[..., Tensor] = lambda *inputs, **keywords: self.call(inputs, keywords)
        #: How many tensors make a call that ``method`` alone can do; -1 where none is such.
        self.simple_arity = -1
        self.defaults: dict[str, Any] = declared.__kwdefaults__ or {}
        self._arity = len(self.inputs)
        self._keyword_count = len(self.keywords)
        self._rules: dict[tuple[bool | None, ...], Rule] = {}
        unknown = [name for name in vjps if name not in (*self.inputs, self.variadic)]
        if unknown:
            raise TypeError(f"{self.name}: a VJP is given for {unknown[0]!r}, which is no input")
        REGISTRY[self.name] = self

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"

    def __call__(self, *inputs: Any, **keywords: Any) -> "Tensor":
        """Compute on ``inputs`` (tensors, or numbers in their place) and record it."""
        if keywords or len(inputs) != self.simple_arity or not isinstance(inputs[0], Taped):
            return self.call(inputs, keywords)
        return self.method(*inputs)

    def call(self, inputs: tuple[Any, ...], keywords: dict[str, Any]) -> "Tensor":
        """As a call with any mix of inputs and keywords that the primitive takes."""
        if len(inputs) != self._arity or len(keywords) != self._keyword_count:
            inputs, keywords = self._bound(inputs, keywords)
        arrays: list[Any] = []
        needs: list[bool | None] = []  # a gradient; None stands for a number
        for x in inputs:
            if isinstance(x, Taped):
                arrays.append(x.array)
                needs.append(x.requires_grad)
            elif type(x) in NUMBERS:
                arrays.append(x)
                needs.append(None)
            else:
                return self.call(tuple([self._lifted(x) for x in inputs]), keywords)
        try:
            out = self.forward(*arrays, **keywords)
        except Exception as error:
            fault = self._fault(error, arrays, keywords)
            if fault is None:
                raise
            raise fault from error
        result: Tensor = tape.tensor_type(out)
        if self.is_view:
            result._version = inputs[0].version
            result.is_view = True
        if True in needs and mode.recording and out.dtype.kind == "f":
            self.record(result, inputs, tuple(needs), keywords)
        if tape.watch is not None:
            tape.watch(self, inputs, keywords, result)
        return result

    def _fault(
        self, error: Exception, inputs: list[Any], keywords: dict[str, Any]
    ) -> Exception | None:
        """A better error than that of a kernel, which does not know who called it with what."""
        arrays = [x for x in inputs if type(x) not in NUMBERS]
        fault = different_devices(self.name, arrays)
        if fault is not None:
            return fault
        for name, value in keywords.items() if self.is_elementwise else ():
            if not isinstance(value, float | int):
                return TypeError(f"{self.name}: {name} is a number, not {value!r}")
        if type(error) not in (ValueError, IndexError) or str(error).startswith(self.name + ":"):
            return None
        shapes = " and ".join(str(x.shape) for x in arrays)
        return type(error)(f"{self.name} of a tensor of shape {shapes}: {error}")

    def _bound(
        self, inputs: tuple[Any, ...], keywords: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Arguments by their parameters, as Python itself would bind them."""
        if self.variadic is None and len(inputs) != self._arity:
            keywords = {**dict(zip(self.keywords, inputs[self._arity :], strict=False)), **keywords}
            excess = len(inputs) - self._arity - len(self.keywords)
            inputs = inputs[: self._arity]
            inputs += tuple(keywords.pop(n) for n in self.inputs[len(inputs) :] if n in keywords)
            if excess > 0 or len(inputs) < self._arity:
                raise TypeError(
                    f"{self.name}: takes {', '.join(self.inputs)}"
                    f"{' and ' + ', '.join(self.keywords) if self.keywords else ''}; "
                    f"{len(inputs) + max(excess, 0)} inputs were given"
                )
        keywords = {**self.defaults, **keywords}
        if keywords.keys() != set(self.keywords):
            missing = [name for name in self.keywords if name not in keywords]
            unknown = [name for name in keywords if name not in self.keywords]
            raise TypeError(
                f"{self.name}: "
                + (f"lacks the argument {missing[0]!r}" if missing else f"has no {unknown[0]!r}")
            )
        return inputs, keywords

    def _lifted(self, x: Any) -> Any:
        """An array among the inputs becomes a constant tensor; anything else is an error."""
        if isinstance(x, Taped) or type(x) in NUMBERS:
            return x
        if isinstance(x, np.generic):  # np.float64 is also a float
            return x.item()
        if isinstance(x, float | int):  # of a class derived from these, as an enumeration's
            return float(x) if isinstance(x, float) else int(x)
        if type(x) in kernels_for or isinstance(x, np.ndarray):
            return constant(x)
        raise TypeError(
            f"{self.name}: takes tensors, arrays and numbers, not {type(x).__name__}; "
            "make one with scratchgan.tensor(...)"
        )

    def record(
        self,
        result: Taped,
        inputs: tuple[Any, ...],
        needs: tuple[bool | None, ...],
        keywords: dict[str, Any],
    ) -> None:
        """Leave a node on the tape that made ``result``; ``needs`` says who wants a gradient."""
        rule = self._rules.get(needs) or self._rule(needs)
        if not rule.steps:
            return
        node = Node(rule, result)
        for position in rule.positions:
            x = inputs[position]
            node.append(x.node or x)
        node += rule.saved(inputs)
        for constant_of in rule.constants:
            node.append(constant_of(inputs, keywords))
        result.node = node
        result.requires_grad = True

    def _rule(self, needs: tuple[bool | None, ...]) -> Rule:
        """What to keep, and which VJPs to run, when inputs are such as ``needs`` says."""
        rest = len(needs) - len(self.inputs)
        names = (*self.inputs, *[self.variadic or ""] * rest)
        positions = [i for i, name in enumerate(names) if needs[i] and name in self.vjps]
        vjps = [self.vjps[names[i]] for i in positions]
        named = {name for vjp in vjps for name in _parameters(vjp)}
        common = {name: function for name, function in self.common.items() if name in named}
        named = named.union(*map(_parameters, common.values()))
        saved = [i for i, name in enumerate(names) if name in named and needs[i] is not None]
        constants = {name: of for name, of in self._constants(needs).items() if name in named}
        first = 1 + len(positions)  # after the gradient and the edges
        # Variadic inputs stand here twice: each as what is saved, then together as the constant
        # that VJPs mean by the name. Of two places with one name the last counts.
        places = ["g", *[""] * len(positions), *[names[i] for i in saved], *constants]
        if "out" in named:
            places.append("out")
        shared = []
        for name, function in common.items():
            shared.append(Step(name, function, _getter(function, places)))
            places.append(name)
        rule = self._rules[needs] = Rule(
            self.name,
            tuple(shared),
            tuple(
                Step(names[i], vjp, _getter(vjp, places, i))
                for i, vjp in zip(positions, vjps, strict=True)
            ),
            tuple(positions),
            _picker(saved),
            tuple((first + i, names[position]) for i, position in enumerate(saved)),
            tuple(constants.values()),
            "out" in named,
        )
        return rule

    def _constants(self, needs: tuple[bool | None, ...]) -> dict[str, Callable[..., Any]]:
        """What VJPs may name beside tensors, each as a function of the inputs and keywords."""
        found: dict[str, Callable[..., Any]] = {}
        for i, name in enumerate(self.inputs):
            if needs[i] is None:
                found[name] = lambda inputs, keywords, i=i: inputs[i]
                found[name + "_shape"] = lambda inputs, keywords: ()
            else:
                found[name + "_shape"] = lambda inputs, keywords, i=i: inputs[i].array.shape
        for name in self.keywords:
            found[name] = lambda inputs, keywords, name=name: keywords[name]
        if self.variadic is not None:
            first = len(self.inputs)
            found[self.variadic] = lambda inputs, keywords: inputs[first:]
            found[self.variadic + "_shapes"] = lambda inputs, keywords: [
                x.array.shape for x in inputs[first:]
            ]
        return found


#: What may stand in the place of a tensor.
NUMBERS = (float, int, bool)
_HAS_VARARGS = 0x04  # inspect.CO_VARARGS; importing inspect takes longer than all of this module


def _parameters(function: Vjp) -> tuple[str, ...]:
    return function.__code__.co_varnames[: function.__code__.co_argcount]


def _getter(function: Vjp, places: list[str], position: int | None = None) -> Arguments:
    """From values in the order of ``places``, those that ``function`` names as its parameters.

    It may also name ``position``, which input its gradient is for.
    """
    names = _parameters(function)
    place_of = {name: place for place, name in enumerate((*places, "position"))}
    pick = _picker([place_of[name] for name in names])
    return pick if "position" not in names else lambda values: pick([*values, position])


def _picker(places: list[int]) -> Callable[[Any], Any]:
    """From a sequence, those at ``places`` as another; what Python does fastest."""
    if len(places) > 1:
        return itemgetter(*places)
    first = places[0] if places else 0
    return itemgetter(slice(first, first + len(places)))


def primitive(
    *, common: dict[str, Vjp] | None = None, is_view: bool = False, **vjps: Vjp
) -> Callable[[Callable[..., Array]], Primitive]:
    """Decorator: a function of arrays and keywords becomes a primitive.

    Args:
        common: Functions, with parameters as a VJP has, whose values the VJPs may name.
        is_view: The result shares the memory of the first input.
        vjps: For each input by name, the function from the output's gradient to its own.
    """

    def decorate(forward: Callable[..., Array]) -> Primitive:
        return Primitive(forward, forward, vjps, common or {}, is_view)

    return decorate
