"""Arguments and captured tensors that share memory: a replay does what the eager call would."""

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from jit.twins import Twins, data, same

import scratchgan as sg
from scratchgan.jit import JitError


@pytest.fixture(params=["numpy", "numba"], autouse=True)
def backend(request: pytest.FixtureRequest) -> Iterator[None]:
    with sg.use_backend(request.param):
        yield


def test_a_copy_of_a_transposed_argument_is_a_copy() -> None:
    f = sg.jit(lambda a: (a.reshape(-1).zero_(), a * 1)[1])
    for _ in range(2):
        x = data(2, 3)
        same(f(x.T), x.T)
        same(f(x), sg.zeros(2, 3))
        assert x.tolist() == sg.zeros(2, 3).tolist()


def test_one_tensor_twice() -> None:
    def f(a: sg.Tensor, b: sg.Tensor) -> sg.Tensor:
        a.add_(1)
        return a * b

    step = sg.jit(f)
    for k in range(3):
        x, y = data(3, seed=k), data(3, seed=k)
        same(step(x, x), f(y, y))
        same(x, y)
        expected = f(x.clone(), y)
        same(step(x, y), expected)


def test_one_tensor_twice_is_one_leaf() -> None:
    step = sg.jit(lambda a, b: (a * b).sum().backward())
    for _ in range(3):
        x = sg.full((2,), 3.0, requires_grad=True)
        y = x.detach().requires_grad_()  # in the same memory
        step(x, y)
        assert x.grad is not None
        assert y.grad is not None
        assert x.grad.tolist() == y.grad.tolist() == [3.0, 3.0]
        x.grad = None
        step(x, x)
        assert x.grad.tolist() == [6.0, 6.0]


@pytest.mark.parametrize(
    "parts",
    [
        lambda x: (x[:4], x[2:]),
        lambda x: (x, x[::-1]),
        lambda x: (x[::2], x[1::2]),
        lambda x: (x[1:5], x.detach()),
        lambda x: (x[4:], x[:3]),
        lambda x: (x.reshape(2, 3), x.reshape(2, 3)[0]),
    ],
)
def test_arguments_that_overlap(parts: Callable[[sg.Tensor], Any]) -> None:
    def f(a: sg.Tensor, b: sg.Tensor) -> tuple[sg.Tensor, sg.Tensor]:
        b.mul_(2)
        return a + 1, a.sum() * b

    step = sg.jit(f)
    for k in range(3):
        x, y = data(6, seed=k), data(6, seed=k)
        for got, expected in zip(step(*parts(x)), f(*parts(y)), strict=True):
            same(got, expected)
        same(x, y)
    assert len(step.recordings) == 1


@pytest.mark.parametrize(
    "view", [lambda w: w, lambda w: w.detach(), lambda w: w[1:], lambda w: w[::-1], lambda w: w[:0]]
)
def test_an_argument_that_is_captured_too(view: Callable[[sg.Tensor], sg.Tensor]) -> None:
    def build() -> SimpleNamespace:
        w = sg.arange(4, dtype=sg.float32)

        def step(x: sg.Tensor) -> sg.Tensor:
            w.add_(1)
            return x * 2 + w.sum()

        return SimpleNamespace(w=w, step=step, parameters=lambda: [w])

    twins = Twins(build)
    for k in range(3):
        expected, got = twins.eager.step(view(twins.eager.w)), twins.run(view(twins.jitted.w))
        same(got, expected)
        like = view(twins.eager.w)
        twins.step(data(*like.shape, seed=k))
        same(twins.jitted.w, twins.eager.w)


def test_an_argument_that_is_captured_only_in_a_replay() -> None:
    w = sg.zeros(4)

    def step(x: sg.Tensor) -> sg.Tensor:
        w.add_(1)
        return x * 2

    def read(x: sg.Tensor) -> sg.Tensor:
        x.mul_(3)
        return w + x

    stepped, reading = sg.jit(step), sg.jit(read)
    for _ in range(3):
        for function, other, captured in ((stepped, 2.0, 4.0), (reading, 4.0, 6.0)):
            w.fill_(1)
            assert function(sg.ones(4)).tolist() == [other] * 4
            w.fill_(1)
            assert function(w.detach()).tolist() == [captured] * 4


def test_a_tape_from_before_notices_that_an_argument_changed() -> None:
    double = sg.jit(lambda x: x.mul_(2))
    for _ in range(2):
        x, w = sg.ones(2), sg.ones(2, requires_grad=True)
        loss = (w * x).sum()
        double(x)
        with pytest.raises(sg.autograd.TapeError, match="changed in place"):
            loss.backward()


def test_an_argument_on_the_tape_is_refused_by_a_replay_too() -> None:
    step = sg.jit(lambda x: (x * x).sum().backward())
    w = sg.ones(2, requires_grad=True)
    for _ in range(2):
        step(w)
        with pytest.raises(JitError, match="result of a recorded operation"):
            step(w * 2)


def test_results_that_are_views_of_what_was_given() -> None:
    w = sg.arange(3.0)
    step = sg.jit(lambda x: (w, w[1:], x, x.T, x[0], x + 1))
    for _ in range(2):
        x = data(2, 3)
        same_w, tail, same_x, turned, row, new = step(x)
        assert same_w is w
        assert same_x is x
        tail.zero_()
        assert w.tolist() == [0, 0, 0]
        w.copy_(sg.arange(3.0))
        row.zero_()
        assert x[0].tolist() == turned[:, 0].tolist() == [0, 0, 0]
        assert new[0].tolist() != [1, 1, 1]
