"""A replay gives what the eager call would give at that moment, whatever was changed since."""

import asyncio
import contextlib
import copy
import dataclasses
import gc
import pickle
import random
import threading
import weakref
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import scratchgan as sg
from scratchgan import nn, optim
from scratchgan.jit import JitError


@pytest.fixture(params=["numpy", "numba"], autouse=True)
def backend(request: pytest.FixtureRequest) -> Iterator[None]:
    with sg.use_backend(request.param):
        yield


def same(x: Any, y: Any) -> None:
    np.testing.assert_allclose(
        np.asarray(x.numpy(force=True)), np.asarray(y.numpy(force=True)), rtol=1e-5, atol=1e-6
    )


def data(*shape: int, seed: int = 0) -> sg.Tensor:
    return sg.tensor(np.random.default_rng(seed).standard_normal(shape), dtype=sg.float32)


class Twins:
    """The same program twice, eager and jitted; ``both`` does to each what the test does."""

    def __init__(self, build: Callable[[], SimpleNamespace]) -> None:
        sg.manual_seed(0)
        self.eager = build()
        sg.manual_seed(0)
        self.jitted = build()
        self.run = sg.jit(self.jitted.step)

    def both(self, change: Callable[[SimpleNamespace], object]) -> None:
        change(self.eager)
        change(self.jitted)

    def step(self, *inputs: Any) -> None:
        state = sg.random.default_generator.state
        before = state.copy()
        expected = self.eager.step(*inputs)
        after = state.copy()
        state[:] = before
        got = self.run(*inputs)
        np.testing.assert_array_equal(state, after)
        same(got, expected)
        for p, q in zip(self.jitted.parameters(), self.eager.parameters(), strict=True):
            same(p, q)
            assert p.requires_grad is q.requires_grad
            assert (p.grad is None) is (q.grad is None)
            if p.grad is not None:
                same(p.grad, q.grad)

    @property
    def count(self) -> int:
        return len(self.run.recordings)


def network() -> SimpleNamespace:
    model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2))
    optimizer = optim.Adam(model.parameters(), lr=0.05)

    def step(x: sg.Tensor) -> sg.Tensor:
        optimizer.zero_grad()
        loss = model(x).square().mean()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return SimpleNamespace(
        model=model, optimizer=optimizer, step=step, parameters=lambda: list(model.parameters())
    )


# --- Gradients ------------------------------------------------------------------------


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


# --- Memory that is shared ------------------------------------------------------------


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


# --- What a recording rests on --------------------------------------------------------

CHANGES: dict[str, Callable[[SimpleNamespace], object]] = {
    "another parameter": lambda it: setattr(it.model[0], "weight", nn.Parameter(data(5, 4))),
    "no bias": lambda it: setattr(it.model[2], "bias", None),
    "other memory": lambda it: setattr(it.model[0].weight, "data", data(5, 4)),
    "there and back": lambda it: it.model.double().float(),
    "frozen": lambda it: it.model[0].requires_grad_(False),
    "a hook": lambda it: it.model[0].weight.register_hook(lambda g: g * 2),
    "another activation": lambda it: it.model.__setitem__(1, nn.ReLU()),
    "one module more": lambda it: it.model.append(nn.Sigmoid()),
    "one module less": lambda it: it.model.__delitem__(2),
    "a forward of its own": lambda it: setattr(it.model[1], "forward", lambda x: x * 3.0),
    "a Linear's forward": lambda it: setattr(
        it.model[0], "forward", lambda x: sg.cat([x, x[:, :1]], 1)
    ),
    "a new group": lambda it: it.optimizer.add_param_group({"params": [it.extra], "lr": 0.5}),
    "one parameter less": lambda it: it.optimizer.param_groups[0]["params"].pop(),
    "learning rate": lambda it: it.optimizer.param_groups[0].update(lr=0.3),
    "betas": lambda it: it.optimizer.param_groups[0].update(betas=(0.5, 0.6)),
    "loaded": lambda it: it.model.load_state_dict(
        {k: v * 2 for k, v in it.model.state_dict().items()}
    ),
    "optimizer loaded": lambda it: it.optimizer.load_state_dict(it.optimizer.state_dict()),
    "default type": lambda it: sg.set_default_dtype("float64"),
    "moved": lambda it: (
        setattr(it.model[2], "weight", nn.Parameter(it.model[2].weight.detach() * 2)),
    ),
    "gradient": lambda it: setattr(it.model[0].weight, "grad", data(5, 4)),
}


@pytest.mark.parametrize("name", CHANGES)
def test_changes(name: str, request: pytest.FixtureRequest) -> None:
    request.addfinalizer(lambda: sg.set_default_dtype("float32"))

    def build() -> SimpleNamespace:
        it = network()
        extra = nn.Parameter(sg.ones(2))
        step = it.step

        def with_extra(x: sg.Tensor) -> sg.Tensor:
            (extra.square().sum()).backward()
            return step(x)

        parameters = lambda: [*it.parameters(), extra]  # noqa: E731
        return SimpleNamespace(
            **{**vars(it), "extra": extra, "step": with_extra, "parameters": parameters}
        )

    twins = Twins(build)
    for k in range(3):
        twins.step(data(3, 4, seed=k))
    twins.both(CHANGES[name])
    for k in range(3):
        twins.step(data(3, 4, seed=k))


def test_nothing_is_recorded_in_vain() -> None:
    twins = Twins(network)
    for k in range(3):
        twins.step(data(3, 4, seed=k))
    assert twins.count == 1
    for name in ("learning rate", "betas", "loaded", "optimizer loaded", "gradient"):
        twins.both(CHANGES[name])
        twins.step(data(3, 4))
    twins.both(lambda it: it.model.train())  # as it was
    twins.both(lambda it: setattr(it.model[0], "note", "about something else"))
    twins.step(data(3, 4))
    assert twins.count == 1, twins.run.recordings
    twins.both(CHANGES["frozen"])
    twins.step(data(3, 4))
    assert twins.count == 2
    assert "model[0].weight.requires_grad was True, and is False" in twins.run.recordings[-1].reason


def test_settings_of_modules() -> None:
    def build() -> SimpleNamespace:
        bn, drop, leaky = nn.BatchNorm1d(4), nn.Dropout(0.5), nn.LeakyReLU(0.2)

        def step(x: sg.Tensor) -> sg.Tensor:
            return leaky(drop(bn(x))).detach()

        return SimpleNamespace(
            bn=bn,
            drop=drop,
            leaky=leaky,
            step=step,
            parameters=lambda: [*bn.parameters(), bn.running_mean, bn.running_var],
        )

    twins = Twins(build)
    changes: list[Callable[[Any], object]] = [
        lambda it: setattr(it.bn, "momentum", 0.7),
        lambda it: setattr(it.bn, "eps", 0.1),
        lambda it: setattr(it.drop, "p", 0.1),
        lambda it: setattr(it.leaky, "negative_slope", 0.5),
        lambda it: it.drop.eval(),
        lambda it: it.bn.eval(),
        lambda it: it.bn.train(),
        lambda it: setattr(it.bn, "running_mean", sg.ones(4)),
        lambda it: it.bn.running_mean.zero_(),
    ]
    for change in changes:
        for k in range(2):
            twins.step(data(5, 4, seed=k))
        twins.both(change)
    twins.step(data(5, 4))


class Sign(optim.Optimizer):
    """An optimizer of a user's, whose step reads its options itself."""

    def __init__(self, params: Any) -> None:
        super().__init__(params, {"lr": 0.1})

    def new_state(self, parameter: sg.Tensor) -> dict[str, sg.Tensor]:
        return {}

    def step(self) -> None:
        with sg.no_grad():
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is not None:
                        p.sub_(p.grad.sign() * group["lr"])


@pytest.mark.parametrize("kind", [Sign, lambda p: optim.SGD(p, lr=0.1)])
def test_options_that_the_function_reads_itself(kind: Callable[[Any], optim.Optimizer]) -> None:
    def build() -> SimpleNamespace:
        w = nn.Parameter(sg.ones(2))
        optimizer = kind([w])

        def step(x: sg.Tensor) -> sg.Tensor:
            optimizer.zero_grad()
            (w * x).sum().backward()
            optimizer.step()
            return w.detach() * optimizer.param_groups[0]["lr"]

        return SimpleNamespace(optimizer=optimizer, step=step, parameters=lambda: [w])

    twins = Twins(build)
    for lr in (0.1, 0.1, 0.3, 0.7):
        twins.both(lambda it, lr=lr: it.optimizer.param_groups[0].update(lr=lr))
        twins.step(data(2))
    assert twins.count == 3


def test_modes_and_backends() -> None:
    w = sg.ones(2, requires_grad=True)
    step = sg.jit(lambda x: w * x)
    for _ in range(2):
        with sg.no_grad():
            assert step(sg.ones(2)).tolist() == [1.0, 1.0]
        with pytest.raises(JitError, match="still on the tape"):  # eager: on the tape
            step(sg.ones(2))
    plain = sg.jit(lambda x: (x * 2).exp())
    for name in ("numpy", "numba", "numpy", "numba"):
        with sg.use_backend(name):
            plain(sg.ones(2))
            assert plain._latest is not None
            assert plain._latest.program._backend.name == name
    assert "the backend was" in plain.recordings[1].reason
    assert len(plain.recordings) == 2


def test_seeds() -> None:
    def noisy(x: sg.Tensor) -> sg.Tensor:
        sg.manual_seed(3)
        return x + sg.randn(3)

    step = sg.jit(noisy)
    expected = noisy(sg.zeros(3))
    for _ in range(3):
        same(step(sg.zeros(3)), expected)
        sg.randn(5)
    free = sg.jit(lambda x: x + sg.randn(3))
    free(sg.zeros(3))
    sg.manual_seed(3)
    same(free(sg.zeros(3)), expected)


SCALE = 2.0


def scaled(x: sg.Tensor) -> sg.Tensor:
    return x * SCALE


def test_variables_of_the_module_and_of_the_closure(monkeypatch: pytest.MonkeyPatch) -> None:
    by = [1.0, {"more": 2.0}]
    outer = 1.0

    @sg.jit
    def step(x: sg.Tensor) -> sg.Tensor:
        return scaled(x) * by[0] * by[1]["more"] * outer

    x = sg.ones(2)
    assert step(x).tolist() == [4.0, 4.0]
    monkeypatch.setattr(f"{__name__}.SCALE", 3.0)
    assert step(x).tolist() == [6.0, 6.0]
    by[0] = 2.0
    assert step(x).tolist() == [12.0, 12.0]
    by[1]["more"] = 1.0
    assert step(x).tolist() == [6.0, 6.0]
    outer = -0.0
    assert str(step(x).tolist()) == "[-0.0, -0.0]"
    outer = 0.0
    assert str(step(x).tolist()) == "[0.0, 0.0]"
    monkeypatch.setattr(f"{__name__}.scaled", lambda x: x + 1)
    outer = 1.0
    assert step(x).tolist() == [4.0, 4.0]
    reasons = [info.reason for info in step.recordings]
    assert "SCALE was 2.0, and is 3.0" in reasons[1]


class Base:
    unit = 1.0


class Plain(Base):
    def __init__(self) -> None:
        self.by = 2.0
        self.inner = SimpleNamespace(power=1.0)
        self.losses: list[float] = []

    @property
    def doubled(self) -> float:
        return 2 * self.by

    @sg.jit
    def scale(self, x: sg.Tensor) -> sg.Tensor:
        return x * self.doubled * self.inner.power * self.unit


def test_attributes_of_plain_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    it = Plain()
    x = sg.ones(1)
    assert it.scale(x).item() == 4.0
    it.losses.append(1.0)  # concerns nobody
    it.scale(x)
    assert len(it.scale.recordings) == 1
    it.by = 3.0
    assert it.scale(x).item() == 6.0
    it.inner.power = 2.0
    assert it.scale(x).item() == 12.0
    monkeypatch.setattr(Base, "unit", 0.5)
    assert it.scale(x).item() == 6.0
    it.unit = 1.0
    assert it.scale(x).item() == 12.0
    monkeypatch.setattr(Plain, "doubled", property(lambda self: self.by))
    assert it.scale(x).item() == 6.0


class Trainer:
    def __init__(self) -> None:
        self.model = nn.Linear(2, 1)
        self.optimizer = optim.SGD(self.model.parameters(), lr=0.1)
        self.step, self.mean, self.scale = 0, 0.0, 1.0

    @sg.jit
    def train(self, x: sg.Tensor) -> sg.Tensor:
        self.optimizer.zero_grad()
        loss = self.loss(x).mean()
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def loss(self, x: sg.Tensor) -> sg.Tensor:
        return self.model(x) * self.scale


def test_attributes_that_have_the_names_of_others_methods() -> None:
    trainer = Trainer()
    for k in range(5):
        trainer.mean += trainer.train(data(4, 2, seed=k)).item()
        trainer.step += 1
    assert len(trainer.train.recordings) == 1
    trainer.scale = 2.0
    trainer.train(data(4, 2))
    assert trainer.train.recordings[-1].reason == "self.scale was 1.0, and is 2.0"
    # Other code that has the object, under whatever name, may ask it for anything.
    self = Trainer()
    both = sg.jit(lambda x: part(x) + self.step + self.mean)
    part = self.loss
    x = data(4, 2)
    with sg.no_grad():
        before = both(x)
        self.step = 3
        same(both(x), before + 3)
        self.mean = 0.5
        same(both(x), before + 3.5)
    print_step = sg.jit(lambda x: x * trainer.step)
    assert print_step(sg.ones(1)).item() == 5
    trainer.step = 7
    assert print_step(sg.ones(1)).item() == 7


def test_objects_with_jitted_methods_can_be_copied_and_pickled() -> None:
    it = Plain()
    x = sg.ones(1)
    it.scale(x)
    for other in (copy.deepcopy(it), copy.copy(it), pickle.loads(pickle.dumps(it))):
        other.by = 5.0
        assert other.scale(x).item() == 10.0
        assert it.scale(x).item() == 4.0
    watched = weakref.ref(it)
    del it, other
    gc.collect()
    assert watched() is None


@sg.jit
def module_level(x: sg.Tensor) -> sg.Tensor:
    return x + 1


def test_jitted_functions_can_be_copied_and_pickled() -> None:
    module_level(sg.ones(1))
    assert pickle.loads(pickle.dumps(module_level)) is module_level
    it = SimpleNamespace(plain=Plain())
    it.step = sg.jit(it.plain.__class__.scale._function.__get__(it.plain))
    it.step(sg.ones(1))
    other = copy.deepcopy(it)
    other.plain.by = 4.0
    assert other.step(sg.ones(1)).item() == 8.0


def test_a_function_that_changes_what_it_rests_on_is_recorded_each_time() -> None:
    it = SimpleNamespace(count=0, last=None, history=[])

    def step(x: sg.Tensor) -> sg.Tensor:
        it.count += 1
        it.last = x * it.count
        it.history.append(it.last)
        return it.last + 1

    jitted = sg.jit(step)
    for k in range(1, 4):
        assert jitted(sg.ones(1)).item() == k + 1
        assert it.last.item() == k
    assert [x.item() for x in it.history] == [1, 2, 3]
    assert "it.count was 0, and is 1" in jitted.recordings[0].why_not


def test_a_tensor_from_outside_that_is_replaced() -> None:
    average = sg.zeros(1)

    @sg.jit
    def step(x: sg.Tensor) -> sg.Tensor:
        nonlocal average
        average = average * 0.5 + x
        return average

    assert [step(sg.ones(1)).item() for _ in range(3)] == [1.0, 1.5, 1.75]
    with pytest.warns(UserWarning, match="average is another Tensor"):
        for _ in range(7):
            step(sg.ones(1))


def test_what_is_made_at_the_first_call_is_kept() -> None:
    class Positions(nn.Module):
        def __init__(self) -> None:
            self.table: sg.Tensor | None = None

        def forward(self, x: sg.Tensor) -> sg.Tensor:
            if self.table is None:
                self.table = sg.ones(3)
            return x + self.table

    model = Positions()
    step = sg.jit(lambda x: model(x))
    for _ in range(4):
        assert step(sg.zeros(3)).tolist() == [1.0, 1.0, 1.0]
    assert len(step.recordings) == 2


def test_what_is_in_arrays_and_sets() -> None:
    numbers, names, memory = np.array([1.0, 2.0]), {"a"}, np.zeros(2)

    @sg.jit
    def step(x: sg.Tensor) -> sg.Tensor:
        y = x * float(numbers[1]) * (2.0 if "b" in names else 1.0)
        return y + sg.from_numpy(memory)

    def expect(value: float, count: int) -> None:
        assert step(sg.ones(2)).tolist() == [value, value]
        assert len(step.recordings) == count

    expect(2.0, 1)
    memory[:] = 1.0  # which Python might have read, too
    expect(3.0, 2)
    numbers[1] = 3.0
    expect(4.0, 3)
    names.remove("a")
    names.add("b")
    expect(7.0, 4)


def test_random_numbers_of_python_and_numpy() -> None:
    rng, other = np.random.default_rng(0), random.Random(0)
    for draw in (
        random.random,
        lambda: float(np.random.rand()),
        lambda: float(rng.random()),
        lambda: other.random(),
    ):
        step = sg.jit(lambda x, draw=draw: x * draw())
        values = {step(sg.ones(1)).item() for _ in range(5)}
        assert len(values) == 5


# --- Results --------------------------------------------------------------------------


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
    inner = sg.jit(lambda x: x * SCALE)
    outer = sg.jit(lambda x: inner(x) + 1)
    for k in range(3):
        same(outer(data(2, seed=k)), data(2, seed=k) * 2 + 1)
    assert not inner.recordings
    assert len(outer.recordings) == 1


# --- Threads --------------------------------------------------------------------------


def in_threads(count: int, work: Callable[[int], None]) -> None:
    faults: list[BaseException] = []

    def run(number: int) -> None:
        try:
            work(number)
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]


def test_threads_that_call_one_function() -> None:
    step = sg.jit(lambda x: (x * 2 + 1).exp().sum(1))

    def work(number: int) -> None:
        for k in range(40):
            x = data(8, 5, seed=100 * number + k) * 0.1
            same(step(x), (x * 2 + 1).exp().sum(1))

    in_threads(6, work)


def test_tasks_of_asyncio() -> None:
    async def trained(number: int) -> list[Any]:
        w = sg.full((2,), float(number), requires_grad=True)

        @sg.jit
        def step(x: sg.Tensor) -> sg.Tensor:
            w.grad = None
            (w * x).sum().backward()
            return w.grad * 2  # type: ignore[operator]

        values = []
        for k in range(4):
            with sg.no_grad() if k == 3 else contextlib.nullcontext():
                await asyncio.sleep(0)
                if k < 3:
                    values.append(step(sg.full((2,), float(k))).tolist()[0])
        return [*values, len(step.recordings)]

    async def all_of_them() -> list[list[Any]]:
        return await asyncio.gather(*map(trained, range(5)))

    assert asyncio.run(all_of_them()) == [[0.0, 2.0, 4.0, 1]] * 5


def test_threads_that_record_at_once() -> None:
    shared = [sg.full((3,), float(k), requires_grad=True) for k in range(1, 5)]
    barrier = threading.Barrier(len(shared))

    def work(number: int) -> None:
        w = shared[number]

        def step(x: sg.Tensor) -> sg.Tensor:
            barrier.wait(60)  # a replay waits for nobody
            w.grad = None
            for _ in range(5):
                loss = (x * w * sum(v.detach().sum() for v in shared)).sum()
                loss.backward()
            return loss.detach()

        jitted = sg.jit(step)
        for k in range(3):
            x = data(3, seed=number + k)
            same(jitted(x), (x * w.detach() * 30).sum())
            assert w.grad is not None
            same(w.grad, x * 150)

    in_threads(len(shared), work)


def test_a_thread_beside_a_recording_is_not_recorded() -> None:
    recording, done = threading.Event(), threading.Event()

    def slow(x: sg.Tensor) -> sg.Tensor:
        recording.set()
        assert done.wait(60)
        return x * 2

    step = sg.jit(slow)

    def work(number: int) -> None:
        if number == 0:
            same(step(sg.ones(3)), sg.ones(3) * 2)
            return
        assert recording.wait(60)
        try:
            y = sg.ones(4)
            for _ in range(50):
                y = (y * 1.5).tanh()
            assert y.sum().item() > 0  # reads a value, as a recording may not
            other = sg.jit(lambda x: x + 1)
            assert other(sg.ones(1)).item() == other(sg.zeros(1)).item() + 1
        finally:
            done.set()

    in_threads(2, work)
    assert step._latest is not None
    assert [call.kernel for call in step._latest.program.plan.recorded] == ["mul"]
