"""Function: an operation whose forward and backward are a user's own, under PyTorch's names.

    class Cube(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x * x

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return 3 * x * x * g

    y = Cube.apply(x)

A primitive has a VJP for each input and works on arrays; a Function has one ``backward`` for all of
its inputs, and its ``forward`` is made of whatever there is. What a call leaves on the tape is in
:mod:`scratchgan.autograd.calls`.
"""

import functools
import inspect
from collections.abc import Callable
from types import CodeType
from typing import Any, NoReturn

from scratchgan.autograd.calls import FunctionCtx, OutputGradients, alias, is_among, rule_of
from scratchgan.autograd.modes import no_grad
from scratchgan.autograd.tape import Node, Rule, TapeError, edge_of, mode
from scratchgan.autograd.tensor import Tensor, gradient_watch

__all__ = ["Function", "FunctionCtx", "once_differentiable"]


class _Backward:
    """The VJP of a call: the ``backward`` of a Function, and a look at what it gives."""

    def __init__(self, function: "type[Function]") -> None:
        self.function = function

    @property
    def __code__(self) -> CodeType:
        """Where the user wrote it, for who prints the tape."""
        code: CodeType = inspect.unwrap(self.function.backward).__code__
        return code

    def __call__(self, g: OutputGradients, ctx: "FunctionCtx") -> tuple[Tensor | None, ...]:
        name = f"{self.function.__name__}.backward"
        if self.function.backward is Function.backward:
            raise NotImplementedError(f"{name}: there is none; write one, a static method")
        given = self.function.backward(ctx, *ctx._gradients_of_outputs(g))
        if isinstance(given, list):
            raise TypeError(f"{name}: returned a list; return a gradient, or a tuple of them")
        gradients = given if isinstance(given, tuple) else (given,)
        count = len(ctx.needs_input_grad)
        # What is beyond the inputs may be None, as it is in PyTorch.
        if len(gradients) < count or any(x is not None for x in gradients[count:]):
            raise TapeError(
                f"{name}: returned {len(gradients)} gradients, and forward took {count} inputs; "
                "return one for each, None for what has none"
            )
        for position, (x, is_tensor) in enumerate(zip(gradients, ctx._are_tensors, strict=False)):
            if x is None:
                continue
            if not isinstance(x, Tensor):
                raise TypeError(
                    f"{name}: returned a {type(x).__name__} as the gradient of input {position}; "
                    "return a tensor or None"
                )
            if not is_tensor:
                raise TapeError(
                    f"{name}: returned a gradient of input {position}, which is no tensor; "
                    "return None for it"
                )
            x.may_alias = True  # it may be a saved tensor, which a leaf must not get as its own
        return gradients[:count]


class Function:
    """Base class of operations with a ``forward`` and a ``backward`` of one's own.

    Both are static methods, called by :meth:`apply`. ``forward`` runs outside of the tape;
    ``backward`` is recorded under ``create_graph``, so that of one that is made of differentiable
    operations there are higher derivatives too (else see :func:`once_differentiable`).

    ``forward`` takes a context, or does not and leaves that to :meth:`setup_context`. Inputs and
    outputs may be of any kind; those that are tensors get gradients, which are looked for neither
    in lists nor in dicts.
    """

    _rule: Rule
    _output_rule: Rule

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        for name in ("forward", "setup_context", "backward"):
            if name in vars(cls) and not isinstance(vars(cls)[name], staticmethod):
                raise TypeError(
                    f"{cls.__name__}: {name} is not static; write @staticmethod above it"
                )
        cls._rule = rule_of(cls.__name__, _Backward(cls))
        cls._output_rule = rule_of(cls.__name__)

    def __init__(self) -> None:
        name = type(self).__name__
        raise TypeError(f"{name}: there are no objects of a Function; call {name}.apply(...)")

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """The outputs, a tensor or a tuple: ``forward(ctx, *inputs)``.

        With :meth:`setup_context` it is ``forward(*inputs)``.
        """
        raise NotImplementedError("Function: there is no forward; write one, a static method")

    @staticmethod
    def setup_context(ctx: FunctionCtx, inputs: tuple[Any, ...], output: Any) -> Any:
        """Save in ``ctx`` what ``backward`` needs, in the place of ``forward``."""
        raise NotImplementedError("Function: there is no setup_context; write one, or have ctx")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """The gradient of each input, or None, from the gradient of each output.

        One with too many or too few dimensions is summed as broadcasting demands, and is converted
        to the type of the input.
        """
        raise NotImplementedError("Function: there is no backward; write one, a static method")

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Call ``forward``, and record the call.

        An output is a new tensor, on the memory of what ``forward`` returned.

        Args:
            args: The inputs.
            kwargs: Inputs by their names in ``forward``.

        Raises:
            NotImplementedError: There is no ``forward``.
            TypeError: The inputs do not fit, some are by keyword alone, or outputs are in a list.
            RuntimeError: An input that is marked as dirty cannot be changed in place, or is no
                output.
            TapeError: Later, in a backward: the gradients that ``backward`` gives do not fit.
        """
        if cls.forward is Function.forward:
            raise NotImplementedError(
                f"{cls.__name__}: there is no forward; write one, a static method"
            )
        has_setup = cls.setup_context is not Function.setup_context
        if has_setup or kwargs:
            args = cls._bound(args, kwargs, has_setup)
        watch = gradient_watch.get()
        if watch is not None:
            watch.takes(cls.__name__, args)
        ctx = FunctionCtx(cls, args)
        edges = [edge_of(x) for x in args]  # as they are before forward changes any in place
        is_recorded = mode.get().is_recording and any(edge is not None for edge in edges)
        with no_grad():
            if has_setup:
                output = cls.forward(*args)
                cls.setup_context(ctx, args, output)
            else:
                output = cls.forward(ctx, *args)
        outputs = output if isinstance(output, tuple) else (output,)
        _require_known(cls.__name__, ctx._dirty, args, outputs)
        results = ctx._leave(args, edges if is_recorded else [], outputs)
        return results if isinstance(output, tuple) else results[0]

    @classmethod
    def _bound(
        cls, args: tuple[Any, ...], kwargs: dict[str, Any], has_setup: bool
    ) -> tuple[Any, ...]:
        """All inputs by position; with ``has_setup`` those by default too, as in PyTorch."""
        first = () if has_setup else (None,)  # in the place of ctx
        try:
            bound = inspect.signature(cls.forward).bind(*first, *args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{cls.__name__}.forward: {error}") from None
        if has_setup:
            bound.apply_defaults()
        if bound.kwargs:
            raise TypeError(
                f"{cls.__name__}.forward: takes {', '.join(bound.kwargs)} by keyword alone, for "
                "which backward could give no gradient; let it be given by position too"
            )
        return bound.args[len(first) :]


def once_differentiable(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator of a ``backward`` that is not made of differentiable operations.

    Its gradients are right, and who differentiates them gets a TapeError. PyTorch's notices that
    only where a gradient of an output requires a gradient itself; here it is always noticed.
    """

    @functools.wraps(fn)
    def backward(ctx: FunctionCtx, *gradients: Any) -> Any:
        with no_grad():
            found = fn(ctx, *gradients)
        if not mode.get().is_recording:
            return found
        call = ctx._call()
        assert call is not None  # it is the one that runs
        edges = (*call.edges, *map(edge_of, gradients))
        rule = rule_of(ctx._function.__name__, _refuse_twice)
        results = []
        for x in found if isinstance(found, tuple) else (found,):
            if isinstance(x, Tensor):
                x = alias(x)
                x.node = Node(rule, edges, {"ctx": ctx}, x.array)
                x._requires_grad = True
            results.append(x)
        return tuple(results)

    return backward


def _refuse_twice(ctx: FunctionCtx) -> NoReturn:
    raise TapeError(
        f"{ctx._function.__name__}: its backward is marked as once_differentiable, and this is a "
        "second derivative; make it of differentiable operations, without the mark"
    )


def _require_known(
    name: str, dirty: tuple[Tensor, ...], inputs: tuple[Any, ...], outputs: tuple[Any, ...]
) -> None:
    for x in dirty:
        if not (is_among(x, inputs) and is_among(x, outputs)):
            missing = "output" if is_among(x, inputs) else "input"
            raise RuntimeError(
                f"{name}: a tensor of shape {x.shape} that is marked as dirty is no {missing}; "
                "mark inputs that forward changes in place, and return them"
            )
