"""A replay leaves the gradients that the eager call would leave."""

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from jit.twins import Twins, data, network, same

import scratchgan as sg


@pytest.fixture(params=["numpy", "numba"], autouse=True)
def backend(request: pytest.FixtureRequest) -> Iterator[None]:
    with sg.use_backend(request.param):
        yield


def test_gradients_accumulate_and_those_that_were_kept_stay() -> None:
    w = sg.ones(2, requires_grad=True)
    f = sg.jit(lambda x: ((w * x).sum().backward(), x * 1)[1])
    kept = []
    for _ in range(4):
        f(sg.ones(2))
        kept.append(w.grad)
    assert [g.tolist() for g in kept if g is not None] == [[k, k] for k in (1.0, 2.0, 3.0, 4.0)]


def test_micro_batches() -> None:
    def build() -> SimpleNamespace:
        it = network()

        def step(x: sg.Tensor) -> sg.Tensor:
            loss = it.model(x).square().mean()
            loss.backward()
            return loss.detach()

        return SimpleNamespace(**{**vars(it), "step": step})

    twins = Twins(build)
    for k in range(9):
        twins.step(data(3, 4, seed=k))
        if k % 3 == 2:
            twins.both(lambda it: it.optimizer.step())
            twins.both(lambda it: it.optimizer.zero_grad())
    assert twins.count == 2  # with and without gradients from before


@pytest.mark.parametrize("set_to_none", [True, False])
def test_a_step_whose_backward_is_outside(set_to_none: bool) -> None:
    def build() -> SimpleNamespace:
        it = network()

        def step() -> sg.Tensor:
            it.optimizer.step()
            it.optimizer.zero_grad(set_to_none)
            return it.model[0].weight.sum().detach()

        return SimpleNamespace(**{**vars(it), "step": step})

    twins = Twins(build)
    for k in range(4):
        twins.both(lambda it, k=k: it.model(data(3, 4, seed=k)).square().sum().backward())
        twins.step()
    assert twins.count == 1


def test_gradients_that_are_clipped_in_place() -> None:
    def build() -> SimpleNamespace:
        it = network()

        def step() -> sg.Tensor:
            for p in it.model.parameters():
                p.grad.mul_(0.5)
            return it.model[0].weight.grad * 1

        return SimpleNamespace(**{**vars(it), "step": step})

    twins = Twins(build)
    for k in range(3):
        twins.both(lambda it, k=k: it.model(data(3, 4, seed=k)).square().sum().backward())
        before = [x.model[0].weight.grad for x in (twins.eager, twins.jitted)]
        twins.step()
        same(*before)  # who holds a gradient sees it change
        twins.step()


def test_a_gradient_is_read_while_it_was_not_there_yet() -> None:
    w = sg.ones(2, requires_grad=True)

    @sg.jit
    def step(x: sg.Tensor) -> sg.Tensor:
        scale = 1.0 if w.grad is None else 10.0
        w.grad = None
        (w * x).sum().backward()
        return x * scale

    for expected in (1.0, 10.0, 10.0):
        assert step(sg.ones(2)).tolist() == [expected] * 2
    w.grad = None
    assert step(sg.ones(2)).tolist() == [1.0] * 2


def test_a_gradient_that_is_assigned_to_itself() -> None:
    w = sg.ones(2, requires_grad=True)

    @sg.jit
    def step(x: sg.Tensor) -> sg.Tensor:
        w.grad = w.grad
        return w.grad * x  # type: ignore[operator]

    for k in range(3):
        w.grad = kept = sg.full((2,), float(k))
        assert step(sg.ones(2)).tolist() == [k, k]
        assert w.grad is kept


def test_gradients_of_arguments() -> None:
    step = sg.jit(lambda x: (x.square().sum().backward(), x * 1)[1].detach())
    x = sg.ones(2, requires_grad=True)
    for k in range(1, 5):
        step(x)
        assert x.grad is not None
        assert x.grad.tolist() == [2.0 * k] * 2
    hooked = sg.ones(2, requires_grad=True)
    hooked.register_hook(lambda g: g * 10)
    for _ in range(2):
        hooked.grad = None
        step(hooked)
        assert hooked.grad.tolist() == [20.0] * 2


def test_an_error_in_the_step_leaves_gradients_as_eager_does() -> None:
    w, v = sg.ones(2, requires_grad=True), sg.ones(2, requires_grad=True)
    v.grad = kept = sg.ones(2)

    @sg.jit
    def step(x: sg.Tensor) -> None:
        (w * x * v.grad).sum().backward()
        raise KeyError

    with pytest.raises(KeyError):
        step(sg.ones(2))
    assert w.grad is not None
    assert w.grad.tolist() == [1.0, 1.0]
    assert v.grad is kept
