"""All that a recording rests on may change: a replay does what eager would, or records anew."""

import copy
import gc
import pickle
import random
import weakref
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from jit.twins import Twins, data, network, same

import scratchgan as sg
from scratchgan import nn, optim
from scratchgan.jit import JitError


@pytest.fixture(params=["numpy", "numba"], autouse=True)
def backend(request: pytest.FixtureRequest) -> Iterator[None]:
    with sg.use_backend(request.param):
        yield


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
