"""Results of a replay are as lasting as those of the eager call."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest
from jit.twins import data, same

import scratchgan as sg
from scratchgan.jit import JitError


@pytest.fixture(params=["numpy", "numba"], autouse=True)
def backend(request: pytest.FixtureRequest) -> Iterator[None]:
    with sg.use_backend(request.param):
        yield


@dataclasses.dataclass(frozen=True)
class Pair:
    first: sg.Tensor
    second: Any


class Opaque:
    def __init__(self, x: sg.Tensor) -> None:
        self.x = x


def test_tensors_in_dataclasses() -> None:
    step = sg.jit(lambda pair: Pair(pair.first + 1, [pair.second, pair.first]))
    for k in range(3):
        result = step(Pair(data(2, seed=k), k % 2))
        same(result.first, data(2, seed=k) + 1)
        assert result.second[0] == k % 2
    with pytest.raises(JitError, match="returns a Opaque"):
        sg.jit(lambda x: Opaque(x + 1))(sg.ones(1))


def test_results_that_are_leaves_or_share_memory() -> None:
    def f(x: sg.Tensor) -> Any:
        y = (x * 2).requires_grad_()
        y.square().sum().backward()
        z = x + 1
        return y, [z, z], z.reshape(1, -1)

    step = sg.jit(f)
    for k in range(3):
        y, (z, again), row = step(data(2, seed=k))
        same(y, data(2, seed=k) * 2)
        assert y.requires_grad
        assert y.grad is not None
        same(y.grad, data(2, seed=k) * 4)
        assert z is again
        z.zero_()
        assert row.tolist() == [[0.0, 0.0]]


def test_arguments_that_are_lists() -> None:
    def pops(xs: list[sg.Tensor]) -> sg.Tensor:
        return xs.pop() * 2

    with pytest.raises(JitError, match="changes a list"):
        sg.jit(pops)([sg.ones(1), sg.ones(1)])


def test_the_tape_outside() -> None:
    w = sg.ones(2, requires_grad=True)
    y = w * 2
    with pytest.raises(JitError, match="recorded on the tape outside"):
        sg.jit(lambda x: (x * y).sum().backward())(sg.ones(2))
    loss = (w * w).sum()
    with pytest.raises(JitError, match="recorded outside"):
        sg.jit(lambda: loss.backward())()
    with sg.no_grad():
        same(sg.jit(lambda x: x * y)(sg.ones(2)), sg.ones(2) * 2)


def test_a_jitted_function_inside_of_another_is_part_of_it() -> None:
    inner = sg.jit(lambda x: x * 2.0)
    outer = sg.jit(lambda x: inner(x) + 1)
    for k in range(3):
        same(outer(data(2, seed=k)), data(2, seed=k) * 2 + 1)
    assert not inner.recordings
    assert len(outer.recordings) == 1
