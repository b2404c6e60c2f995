"""Jacobians, Hessians, and their products with vectors, under PyTorch's names.

A reverse pass gives one row of a Jacobian, ``v^T J``. A column, ``J v``, comes from two of them:
``v^T J`` is linear in ``v``, and its derivative with respect to ``v``, pulled back along a vector,
is ``J`` times that (Townsend 2017, "A new trick for calculating Jacobian vector products").

Every function here takes a function of tensors and its inputs, a tensor or a tuple of them, of any
shapes. Results are off the tape, but with ``create_graph``. What does not depend on an input has
the derivative zero there, but with ``strict``: then it is an error.
"""

from collections.abc import Callable, Sequence
from typing import Any

from scratchgan.autograd.derivatives import DifferentiatedCall, LinearMap, gradients_of
from scratchgan.autograd.modes import enable_grad
from scratchgan.autograd.primitive import REGISTRY
from scratchgan.autograd.tensor import Tensor

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]

# --- Products with a vector ----------------------------------------------------------------


def vjp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """``func(*inputs)``, and ``v`` times its Jacobian, by one reverse pass.

    Args:
        func: Takes tensors and returns a tensor or a tuple of them.
        inputs: A tensor, or a tuple of them, of floating types.
        v: Like the outputs; may be left out for a single output of one element.
        create_graph: Record it all, so that the results can be differentiated.
        strict: Whether it is an error that the outputs do not depend on an input.

    Returns:
        The outputs; and the product, like the inputs.

    Raises:
        TypeError: An input, an output or ``v`` is no tensor.
        TapeError: ``v`` does not fit, or with ``strict`` something does not depend on an input.
    """
    call = DifferentiatedCall("vjp", func, inputs, create_graph, strict)
    with enable_grad():
        seeds = call.vectors(v, call.outputs, call.is_output_tuple, "outputs")
    found = call.filled(
        gradients_of(call.outputs, call.inputs, seeds, create_graph),
        call.inputs,
        "the outputs",
        "input",
    )
    return call.like_outputs(call.outputs), call.like_inputs(found)


def jvp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """``func(*inputs)``, and its Jacobian times ``v``, by two reverse passes.

    Args:
        func: Takes tensors and returns a tensor or a tuple of them.
        inputs: A tensor, or a tuple of them, of floating types.
        v: Like the inputs; may be left out for a single input of one element.
        create_graph: Record it all, so that the results can be differentiated.
        strict: Whether it is an error that the outputs do not depend on an input.

    Returns:
        The outputs; and the product, like the outputs.

    Raises:
        TypeError: An input, an output or ``v`` is no tensor.
        TapeError: ``v`` does not fit, or with ``strict`` something does not depend on an input.
    """
    call = DifferentiatedCall("jvp", func, inputs, create_graph, strict)
    with enable_grad():
        directions = call.vectors(v, call.inputs, call.is_input_tuple, "inputs")
        linear = LinearMap(call, call.outputs, call.inputs)
    found = call.filled(linear(directions, create_graph), call.outputs, "the product", "output")
    return call.like_outputs(call.outputs), call.like_outputs(found)


def vhp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """``func(*inputs)``, and ``v`` times its Hessian, by two reverse passes.

    Args:
        func: Takes tensors and returns a tensor of one element.
        inputs: A tensor, or a tuple of them, of floating types.
        v: Like the inputs; may be left out for a single input of one element.
        create_graph: Record it all, so that the results can be differentiated.
        strict: Whether it is an error that the gradient does not depend on an input.

    Returns:
        The output; and the product, like the inputs.

    Raises:
        TypeError: An input, the output or ``v`` is no tensor.
        TapeError: The output has not one element, ``v`` does not fit, or with ``strict`` something
            does not depend on an input.
    """
    call = DifferentiatedCall("vhp", func, inputs, create_graph, strict)
    with enable_grad():
        seeds = call.vectors(v, call.inputs, call.is_input_tuple, "inputs")
        gradient = call.gradient()
    found = call.filled(
        gradients_of(gradient, call.inputs, seeds, create_graph),
        call.inputs,
        "the gradient",
        "input",
    )
    return call.like_outputs(call.outputs), call.like_inputs(found)


def hvp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """``func(*inputs)``, and its Hessian times ``v``, by three reverse passes.

    A Hessian is symmetric where the second derivatives are continuous, and :func:`vhp` gives the
    same there with one pass less.

    Args:
        func: Takes tensors and returns a tensor of one element.
        inputs: A tensor, or a tuple of them, of floating types.
        v: Like the inputs; may be left out for a single input of one element.
        create_graph: Record it all, so that the results can be differentiated.
        strict: Whether it is an error that the gradient does not depend on an input.

    Returns:
        The output; and the product, like the inputs.

    Raises:
        TypeError: An input, the output or ``v`` is no tensor.
        TapeError: As of :func:`vhp`.
    """
    call = DifferentiatedCall("hvp", func, inputs, create_graph, strict)
    with enable_grad():
        directions = call.vectors(v, call.inputs, call.is_input_tuple, "inputs")
        linear = LinearMap(call, call.gradient(), call.inputs)
    found = call.filled(linear(directions, create_graph), call.inputs, "the gradient", "input")
    return call.like_outputs(call.outputs), call.like_inputs(found)


# --- Whole matrices ------------------------------------------------------------------------


def jacobian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """The derivative of each element of the outputs with respect to each of the inputs.

    Args:
        func: Takes tensors and returns a tensor or a tuple of them.
        inputs: A tensor, or a tuple of them, of floating types.
        create_graph: Record it all, so that the result can be differentiated.
        strict: Whether it is an error that an output does not depend on an input.
        vectorize: PyTorch's; has no effect but that of its refusals.
        strategy: ``"reverse-mode"``, a reverse pass for each element of the outputs; or
            ``"forward-mode"``, one for each element of the inputs, of the tape of a reverse pass.

    Returns:
        ``J[i][j]`` of shape ``(*outputs[i].shape, *inputs[j].shape)``, of the type of the input
        (of the output in forward mode). Without ``[i]`` for one output that is in no tuple,
        without ``[j]`` for one such input.

    Raises:
        TypeError: An input or an output is no tensor.
        ValueError: There is no such strategy.
        NotImplementedError: Forward mode with ``create_graph`` or without ``vectorize``.
        RuntimeError: ``strict`` with ``vectorize``.
        TapeError: With ``strict`` an output does not depend on an input.
    """
    _require_strategy("jacobian", strategy, create_graph, strict, vectorize)
    call = DifferentiatedCall("jacobian", func, inputs, create_graph, strict)
    if strategy == "forward-mode":
        rows = _by_columns(call)
    else:
        rows = [_by_rows(call, i, output) for i, output in enumerate(call.outputs)]
    return call.like_outputs([call.like_inputs(row) for row in rows])


def _require_strategy(
    name: str, strategy: str, create_graph: bool, strict: bool, vectorize: bool
) -> None:
    if strategy not in ("reverse-mode", "forward-mode"):
        raise ValueError(
            f"{name}: the strategy is 'reverse-mode' or 'forward-mode', not {strategy!r}"
        )
    if strict and vectorize:
        raise RuntimeError(f"{name}: strict and vectorize do not go together; leave one out")
    if strategy == "forward-mode" and (create_graph or not vectorize):
        raise NotImplementedError(
            f"{name}: forward mode is with vectorize=True and without create_graph, as in "
            "PyTorch; use 'reverse-mode'"
        )


def _by_rows(call: DifferentiatedCall, position: int, output: Tensor) -> list[Tensor]:
    """The derivatives of one output with respect to each input: a reverse pass for each element."""
    rows: list[tuple[Tensor, ...]] = []
    with enable_grad():
        elements = output.reshape(-1)
        for element in range(output.numel()):
            found = gradients_of(
                (elements[element],), call.inputs, None, call.create_graph, retain=True
            )
            rows.append(call.filled(found, call.inputs, f"output {position}", "input"))
        return [_stacked([row[i] for row in rows], output, x, x) for i, x in enumerate(call.inputs)]


def _by_columns(call: DifferentiatedCall) -> list[list[Tensor]]:
    """The same of all outputs, with a product of the Jacobian for each element of the inputs."""
    columns: list[list[tuple[Tensor, ...]]] = []  # for each input, for each of its elements
    with enable_grad():
        linear = LinearMap(call, call.outputs, call.inputs)
        for position, x in enumerate(call.inputs):
            columns.append([])
            for element in range(x.numel()):
                along = [one.new_zeros(one.shape) for one in call.inputs]
                along[position].reshape(-1)[element] = 1
                found = linear(along, create_graph=False, retain=True)
                columns[-1].append(call.filled(found, call.outputs, "the product", "output"))
        return [
            [
                _stacked([one[i] for one in columns[j]], x, output, output).movedim(
                    tuple(range(x.ndim)), tuple(range(output.ndim, output.ndim + x.ndim))
                )
                for j, x in enumerate(call.inputs)
            ]
            for i, output in enumerate(call.outputs)
        ]


def _stacked(rows: Sequence[Tensor], first: Tensor, last: Tensor, like: Tensor) -> Tensor:
    """Rows of the shape of ``last``, one for each element of ``first``, as one tensor."""
    shape = (*first.shape, *last.shape)
    if not rows:
        return like.new_zeros(shape)
    # The function stack is of the rooms above; this is the primitive behind it.
    flat = REGISTRY["cat"](*[row.reshape(1, -1) for row in rows], dim=0)
    return flat.reshape(shape)


def hessian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """The second derivatives of one number: the Jacobian of its gradient.

    Args:
        func: Takes tensors and returns a tensor of one element.
        inputs: A tensor, or a tuple of them, of floating types.
        create_graph: Record it all, so that the result can be differentiated.
        strict: Whether it is an error that the gradient does not depend on an input.
        vectorize: PyTorch's; has no effect but that of its refusals.
        outer_jacobian_strategy: As ``strategy`` of :func:`jacobian`, for the gradient's Jacobian.

    Returns:
        ``H[i][j]`` of shape ``(*inputs[i].shape, *inputs[j].shape)``; for one input that is in no
        tuple, that alone.

    Raises:
        TypeError: An input or the output is no tensor.
        ValueError: There is no such strategy.
        NotImplementedError: As of :func:`jacobian`.
        RuntimeError: ``strict`` with ``vectorize``.
        TapeError: The output has not one element, or with ``strict`` something does not depend on
            an input.
    """
    _require_strategy("hessian", outer_jacobian_strategy, create_graph, strict, vectorize)
    is_tuple = isinstance(inputs, tuple)

    def gradient(*points: Tensor) -> Any:
        call = DifferentiatedCall("hessian", func, points, create_graph=True, strict=strict)
        found = call.filled(call.gradient(), points, "the output", "input")
        return found if is_tuple else found[0]

    return jacobian(gradient, inputs, create_graph, strict, vectorize, outer_jacobian_strategy)
