"""What cannot be replayed is an error that says so, never a silent constant."""

import numpy as np
import pytest

import scratchgan as sg
from scratchgan.jit import JitError


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (lambda x: x * x.sum().item(), "reads a value"),
        (lambda x: x if x.sum() > 0 else -x, "reads a value"),
        (lambda x: x * float(x.sum()), "reads a value"),
        (lambda x: sg.tensor(x.numpy() * 2), "reads a value"),
        (lambda x: x * float(x.array.sum()), "uses the array of a tensor"),
        (lambda x: x[x > 0], "indexes with booleans"),
        (lambda x: x + sg.tensor([1.0, 2.0]), "makes a tensor"),
        (lambda x: x + sg.Tensor(np.exp(x.array)), "uses the array"),
    ],
)
def test_refused(step: object, message: str) -> None:
    with pytest.raises(JitError, match=message):
        sg.jit(step)(sg.tensor([1.0, 2.0]))  # type: ignore[arg-type]


def test_a_result_on_the_tape_is_refused() -> None:
    w = sg.ones(2, requires_grad=True)
    with pytest.raises(JitError, match="still on the tape"):
        sg.jit(lambda x: (w * x).sum())(sg.ones(2))


def test_an_argument_on_the_tape_is_refused() -> None:
    w = sg.ones(2, requires_grad=True)
    with pytest.raises(JitError, match="result of a recorded operation"):
        sg.jit(lambda x: x.detach() * 2.0)(w * 2.0)


def test_an_argument_that_cannot_be_compared_is_refused() -> None:
    with pytest.raises(JitError, match="neither a tensor nor hashable"):
        sg.jit(lambda x: x)(np.ones(2))


def test_an_error_in_the_step_leaves_nothing_behind() -> None:
    @sg.jit
    def step(x: sg.Tensor) -> sg.Tensor:
        raise KeyError("user")

    with pytest.raises(KeyError, match="user"):
        step(sg.ones(2))
    assert (sg.ones(2) * 2.0).sum().item() == 4.0
    assert sg.jit(lambda x: x * 3.0)(sg.ones(2)).tolist() == [3.0, 3.0]
