"""Derivatives of one call of a function: what :mod:`scratchgan.autograd.functional` is made of."""

from collections.abc import Callable, Sequence
from typing import Any

from scratchgan.autograd.gradients import grad
from scratchgan.autograd.modes import enable_grad
from scratchgan.autograd.tape import TapeError
from scratchgan.autograd.tensor import Tensor

Tensors = tuple[Tensor, ...]


class DifferentiatedCall:
    """A function that was called on inputs that require gradients.

    Attributes:
        inputs: What it was called on: the inputs anew, so that nothing of them is known to a tensor
            that the function has otherwise.
        outputs: What it returned.
        is_input_tuple: Whether the inputs were in a tuple, as results are then.
        is_output_tuple: Whether the outputs were.
        create_graph: Whether the results are to be on the tape.
    """

    def __init__(
        self, name: str, func: Callable[..., Any], inputs: Any, create_graph: bool, strict: bool
    ) -> None:
        self.name = name
        self.create_graph = create_graph
        self.strict = strict
        self.is_input_tuple, given = _in_tuple(name, "inputs", inputs)
        with enable_grad():
            self.inputs = tuple(
                [
                    x.clone() if create_graph and x.requires_grad else x.detach().requires_grad_()
                    for x in given
                ]
            )
            outputs = func(*self.inputs)
        self.is_output_tuple, self.outputs = _in_tuple(name, "outputs of the function", outputs)
        for position, output in enumerate(self.outputs):
            if strict and not output.requires_grad:
                raise TapeError(f"{name}: output {position} depends on no input, under strict")

    def vectors(self, v: Any, like: Tensors, is_tuple: bool, what: str) -> Tensors:
        """``v`` as a tuple of tensors like those in ``like``, which are the ``what``."""
        if v is None:
            if len(like) != 1 or like[0].numel() != 1:
                raise TapeError(
                    f"{self.name}: v may be left out only where the {what} are one tensor of one "
                    f"element; give one of the shapes {[x.shape for x in like]}"
                )
            return (like[0].new_ones(like[0].shape),)
        _, given = _in_tuple(self.name, "v", v)
        shapes, wanted = [x.shape for x in given], [x.shape for x in like]
        if shapes != wanted:
            raise TapeError(
                f"{self.name}: v is like the {what}, of shapes {wanted}, and was given "
                f"{'a tuple' if is_tuple else 'one'} of shapes {shapes}"
            )
        return given if self.create_graph else tuple([x.detach() for x in given])

    def gradient(self) -> tuple[Tensor | None, ...]:
        """That of the only output, of one element, on the tape."""
        if self.is_output_tuple or self.outputs[0].numel() != 1:
            given = ", ".join(str(x.shape) for x in self.outputs)
            raise TapeError(
                f"{self.name}: the function returns a tensor of one element, and returned {given}"
            )
        return gradients_of(self.outputs, self.inputs, None, create_graph=True)

    def filled(
        self, found: Sequence[Tensor | None], like: Tensors, what: str, of: str
    ) -> tuple[Tensor, ...]:
        """Derivatives, with zeros in the place of None."""
        filled = []
        for position, (x, one) in enumerate(zip(found, like, strict=True)):
            is_missing = x is None or (self.create_graph and not x.requires_grad)
            if self.strict and is_missing:
                raise TapeError(
                    f"{self.name}: with respect to {of} {position}, {what} "
                    f"{'has no derivative' if x is None else 'has a constant derivative'}, "
                    "under strict"
                )
            filled.append(one.new_zeros(one.shape) if x is None else x)
        return tuple(filled)

    def like_inputs(self, tensors: Sequence[Any]) -> Any:
        """Results, in a tuple if the inputs were."""
        return self._results(tensors, self.is_input_tuple)

    def like_outputs(self, tensors: Sequence[Any]) -> Any:
        """Results, in a tuple if the outputs were."""
        return self._results(tensors, self.is_output_tuple)

    def _results(self, tensors: Sequence[Any], is_tuple: bool) -> Any:
        if not self.create_graph:
            tensors = [x.detach() if isinstance(x, Tensor) else x for x in tensors]
        return tuple(tensors) if is_tuple else tensors[0]


class LinearMap:
    """The Jacobian J of ``outputs`` as a function of vectors v, ``J v``, by two backward passes.

    The first gives ``uᵀ J`` of seeds u, and is recorded; its derivative with respect to u, applied
    to v, is ``J v``. It is linear in u, so that u may be anything: here zeros.
    """

    def __init__(
        self, call: DifferentiatedCall, outputs: Sequence[Tensor | None], inputs: Tensors
    ) -> None:
        self.count = len(outputs)
        self.used = [i for i, x in enumerate(outputs) if x is not None and x.requires_grad]
        starts = [outputs[i] for i in self.used]
        self.seeds = [x.new_zeros(x.shape).requires_grad_() for x in starts if x is not None]
        self.pulled = gradients_of(starts, inputs, self.seeds, create_graph=True)
        if call.strict:
            call.filled(self.pulled, inputs, "the outputs", "input")

    def __call__(
        self, vectors: Sequence[Tensor], create_graph: bool, retain: bool = False
    ) -> list[Tensor | None]:
        """For each output the Jacobian times ``vectors``; None if it depends on no input."""
        found: list[Tensor | None] = [None] * self.count
        if self.seeds:
            products = gradients_of(self.pulled, self.seeds, vectors, create_graph, retain)
            for i, product in zip(self.used, products, strict=True):
                found[i] = product
        return found


def gradients_of(
    outputs: Sequence[Tensor | None],
    inputs: Sequence[Tensor],
    gradients: Sequence[Tensor] | None,
    create_graph: bool,
    retain: bool = False,
) -> tuple[Tensor | None, ...]:
    """As :func:`grad`, past outputs that are None or constant."""
    pairs = [
        (x, None if gradients is None else gradients[i])
        for i, x in enumerate(outputs)
        if x is not None and x.requires_grad
    ]
    if not pairs:
        return (None,) * len(inputs)
    starts, seeds = zip(*pairs, strict=True)
    return grad(starts, inputs, seeds, retain or create_graph, create_graph, allow_unused=True)


def _in_tuple(name: str, what: str, given: Any) -> tuple[bool, Tensors]:
    """Whether tensors were in a tuple, and the tuple.

    Raises:
        TypeError: There is something else among them.
    """
    is_tuple = isinstance(given, tuple)
    tensors = given if is_tuple else (given,)
    for x in tensors:
        if not isinstance(x, Tensor):
            raise TypeError(
                f"{name}: the {what} are a tensor or a tuple of tensors, not "
                f"{'with ' if is_tuple else ''}a {type(x).__name__}"
            )
    return is_tuple, tensors
