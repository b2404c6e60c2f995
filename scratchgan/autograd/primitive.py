"""What a primitive is: a forward, a VJP per input, and a row in the registry.

A VJP is a function of what it needs, named by its parameters: ``g``, the gradient of the output;
``out``, the output; an input, by its name in the forward; ``<input>_shape``; a keyword of the
forward; or a value of ``common``, computed once for all inputs. What no VJP names is not kept.

    @elementwise(x=lambda g, y: g * y, y=lambda g, x: g * x)
    def mul(x, y):
        return x * y

An input without a VJP has the derivative zero everywhere (or none at all, as an index has). For
``elementwise``, see :mod:`scratchgan.autograd.elementwise`; :func:`primitive` is for all other
functions.
"""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

import numpy as np

from scratchgan.autograd import tape
from scratchgan.autograd.rules import Rules, Vjp, write_out
from scratchgan.autograd.tape import Taped, current
from scratchgan.backend import Array, kernels_for
from scratchgan.backend.devices import different_devices

if TYPE_CHECKING:
    from scratchgan.tensor import Tensor

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
        self.name: str = forward.__name__
        self.forward = forward
        self.declared = declared
        self.vjps = vjps
        self.common = common
        self.is_view = is_view
        code = declared.__code__
        both = code.co_argcount + code.co_kwonlyargcount
        self.inputs = code.co_varnames[: code.co_argcount]
        self.keywords = code.co_varnames[code.co_argcount : both]
        self.variadic = code.co_varnames[both] if code.co_flags & _HAS_VARARGS else None
        self.is_elementwise = False
        self.defaults: dict[str, Any] = declared.__kwdefaults__ or {}
        self._arity = len(self.inputs)
        self._keyword_count = len(self.keywords)
        self.rules = Rules(self)
        self.function: Operation
        unknown = [name for name in vjps if name not in (*self.inputs, self.variadic)]
        if unknown:
            raise TypeError(f"{self.name}: a VJP is given for {unknown[0]!r}, which is no input")
        REGISTRY[self.name] = self

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"

    def operation(self, function: Callable[..., "Tensor"]) -> "Operation":
        """``function``, which calls this primitive, as the one that is in everyone's hands.

        It gets the primitive's name and documentation, and for its positional parameters the names
        of the inputs.
        """
        operation: Any = functools.update_wrapper(function, self.declared)
        code = operation.__code__
        inputs = self.inputs[: code.co_argcount]
        names = *inputs, *code.co_varnames[len(inputs) :]
        operation.__code__ = code.replace(co_varnames=names)
        operation.primitive = self
        self.function = operation
        return self.function

    def __call__(self, *inputs: Any, **keywords: Any) -> "Tensor":
        """Compute on ``inputs`` (tensors, or numbers in their place) and record it."""
        return self.function(*inputs, **keywords)

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
            self.fail(error, arrays, keywords)
        result: Tensor = tape.tensor_type(out)
        if self.is_view:
            result._version = inputs[0].version
            result.is_shared = True
        if True in needs and current.mode.recording and out.dtype.kind == "f":
            self.rules[tuple(needs)](result, *inputs, *[keywords[name] for name in self.keywords])
        if tape.watch is not None:
            tape.watch(self, inputs, keywords, result)
        return result

    def fail(self, error: Exception, inputs: list[Any], keywords: dict[str, Any]) -> NoReturn:
        """Raise ``error``, which a kernel did, or a better one: it does not know who called it."""
        arrays = [x for x in inputs if type(x) not in NUMBERS]
        fault = different_devices(self.name, arrays)
        if fault is not None:
            raise fault from error
        for name, value in keywords.items() if self.is_elementwise else ():
            if not isinstance(value, float | int):
                raise TypeError(f"{self.name}: {name} is a number, not {value!r}") from error
        if type(error) not in (ValueError, IndexError) or str(error).startswith(self.name + ":"):
            raise error
        shapes = " and ".join(str(x.shape) for x in arrays)
        raise type(error)(f"{self.name} of a tensor of shape {shapes}: {error}") from error

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


#: What may stand in the place of a tensor.
NUMBERS = (float, int, bool)
_HAS_VARARGS = 0x04  # inspect.CO_VARARGS; importing inspect takes longer than all of this module


class Operation(Protocol):
    """A function that calls a primitive. It is what a decorator leaves in place of the forward."""

    primitive: Primitive

    def __call__(self, *inputs: Any, **keywords: Any) -> "Tensor":
        """As :meth:`Primitive.__call__`."""


def primitive(
    *, common: dict[str, Vjp] | None = None, is_view: bool = False, **vjps: Vjp
) -> Callable[[Callable[..., Array]], Operation]:
    """Decorator: a function of arrays and keywords becomes a primitive.

    Args:
        common: Functions, with parameters as a VJP has, whose values the VJPs may name.
        is_view: The result shares the memory of the first input.
        vjps: For each input by name, the function from the output's gradient to its own.
    """

    def decorate(forward: Callable[..., Array]) -> Operation:
        made = Primitive(forward, forward, vjps, common or {}, is_view)
        return made.operation((_of_one if _can_be_written_out(made) else of_any)(made))

    return decorate


def of_any(made: Primitive) -> Callable[..., "Tensor"]:
    """A function that calls a primitive of any kind."""
    return lambda *inputs, **keywords: made.call(inputs, keywords)


#: As :class:`Rules` has it: the only input requires a gradient.
ALONE = (True,)


def _can_be_written_out(made: Primitive) -> bool:
    """Whether :func:`_of_one` can."""
    last = made.keywords[len(made.keywords) - len(made.defaults) :]
    are_last = all(name in made.defaults for name in last)
    takes_one = len(made.inputs) == 1 and made.variadic is None
    return takes_one and are_last and not any(name.startswith("_") for name in made.keywords)


def _of_one(made: Primitive) -> Callable[..., "Tensor"]:
    """A function that calls a primitive of one input, in half of the time.

    It is written out, because Python takes long to gather keywords in a dictionary and to spread
    them again.
    """
    names = made.keywords
    source = _CALL_OF_ONE.format(
        given="".join(f", {name}" for name in names),
        passed="".join(f", {name}={name}" for name in names),
        keywords="{" + ", ".join(f"{name!r}: {name}" for name in names) + "}",
        view=_AS_VIEW if made.is_view else "",
    )
    scope: dict[str, Any] = {"_made": made, "_forward": made.forward, "_ALONE": ALONE}
    scope |= {"_tape": tape, "_current": current}
    write_out(f"call of {made.name}", source, scope)
    function: Callable[..., Tensor] = scope["function"]
    function.__defaults__ = tuple([made.defaults[name] for name in names if name in made.defaults])
    return function


_CALL_OF_ONE = """\
def function(_x{given}):
    _tensor_type = _tape.tensor_type
    if type(_x) is not _tensor_type or _tape.watch is not None:
        return _made.call((_x,), {keywords})
    _array = _x.array
    try:
        _out = _forward(_array{passed})
    except Exception as _error:
        _made.fail(_error, [_array], {keywords})
    _result = _tensor_type(_out)
{view}    if _x.requires_grad and _current.mode.recording and _out.dtype.kind == "f":
        _made.rules[_ALONE](_result, _x{given})
    return _result
"""
_AS_VIEW = """\
    _result._version = _x.version
    _result.is_shared = True
"""
