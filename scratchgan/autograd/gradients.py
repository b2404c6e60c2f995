"""Gradients of some tensors with respect to others, wherever on the tape these are."""

from collections.abc import Sequence
from typing import Any

from scratchgan.autograd.backward import backpropagate, edges_of, starts_of
from scratchgan.autograd.tape import Mode, TapeError, mode
from scratchgan.autograd.tensor import Tensor


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Any, ...]:
    """Gradients of the sum of ``outputs`` with respect to each of ``inputs``.

    Args:
        outputs: Tensors to differentiate.
        inputs: Tensors, leaves or not, to differentiate with respect to.
        grad_outputs: Gradient of each output, of its shape; may be left out for one element.
        retain_graph: Keep saved values for another backward. Default: as ``create_graph``.
        create_graph: Record the backward pass, so that the gradients can be differentiated again.
        only_inputs: Nothing, as in PyTorch: no gradient is accumulated in any leaf.
        allow_unused: Give None for an input that the outputs do not depend on. Default: as
            ``materialize_grads``.
        is_grads_batched: Not there.
        materialize_grads: Give zeros for such an input.

    Returns:
        A tuple with a tensor for each input, of its shape and dtype. No ``grad`` is touched.

    Raises:
        TapeError: As :func:`scratchgan.autograd.backward`; or an input is unused and
            ``allow_unused`` is False.
    """
    if is_grads_batched:
        raise TapeError("grad: is_grads_batched is not there; call it for each gradient")
    if allow_unused is None:
        allow_unused = materialize_grads
    if materialize_grads and not allow_unused:
        raise TapeError("grad: materialize_grads is for unused inputs, which allow_unused refuses")
    wanted = edges_of("grad", inputs)
    before = mode.get()
    mode.set(Mode(create_graph, before.watchers, before.changed))
    try:
        keeps = create_graph if retain_graph is None else retain_graph
        starts = starts_of("grad", outputs, grad_outputs)
        found = backpropagate(starts, keeps, {edge for edge, _ in wanted})
    finally:
        mode.set(before)
    for position, (edge, _) in enumerate(wanted):
        if edge not in found and not allow_unused:
            raise TapeError(
                f"grad: the outputs do not depend on input {position}; with allow_unused=True "
                "its gradient is given as None"
            )
    gradients = [(found.get(edge), x) for edge, x in wanted]
    if materialize_grads:
        return tuple([x.new_zeros(x.shape) if g is None else g for g, x in gradients])
    return tuple([g for g, _ in gradients])
