"""Twins that train side by side, one eager, one under jit, while everything around them changes.

After every call both have returned the same, and parameters, gradients, buffers, the optimizer's
state and the stream of random numbers are the same.
"""

import copy
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

import scratchgan as sg
from scratchgan import nn, optim

WIDTH = 3
SHIFT = 0.0  # a variable of the module that a step reads


class Scale(nn.Module):
    """A module with settings of its own: a number, a list, a tensor that is no parameter."""

    def __init__(self) -> None:
        self.factor = 1.5
        self.powers = [1, 2]
        self.offset = sg.zeros(WIDTH, dtype="float64")

    def forward(self, x: sg.Tensor) -> sg.Tensor:
        for power in self.powers:
            x = x + 0.1 * self.factor * (x.tanh() ** power)
        return x + self.offset


LAYERS: dict[str, Callable[[], nn.Module]] = {
    "linear": lambda: nn.Linear(WIDTH, WIDTH),
    "norm": lambda: nn.BatchNorm1d(WIDTH),
    "dropout": lambda: nn.Dropout(0.3),
    "tanh": nn.Tanh,
    "leaky": lambda: nn.LeakyReLU(0.2),
    "softplus": nn.Softplus,
    "scale": Scale,
    "nested": lambda: nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Sigmoid()),
}

# A gradient may be 0 but for rounding, as that of a bias before a norm; divided by its own size and
# an `eps` of 1e-8, what rounding left would be a step like any other.
OPTIMIZERS: dict[str, Callable[[Any], optim.Optimizer]] = {
    "adam": lambda p: optim.Adam(p, lr=0.02, eps=1e-3, weight_decay=0.01),
    "sgd": lambda p: optim.SGD(p, lr=0.05),
    "momentum": lambda p: optim.SGD(p, lr=0.05, momentum=0.9),
}


class World:
    """A model, its optimizer, and the steps that can be run on them."""

    def __init__(self, layers: list[str], optimizer: str) -> None:
        self.model = nn.Sequential(nn.Linear(WIDTH, WIDTH), *[LAYERS[x]() for x in layers]).double()
        self.spare = nn.Linear(WIDTH, WIDTH).double()
        self.optimizer = OPTIMIZERS[optimizer](list(self.model.parameters()))
        self.scale = 1.0
        self.handles: list[Any] = []
        self.kept: list[sg.Tensor] = []  # gradients of earlier steps

    # --- Steps --------------------------------------------------------------------------

    def loss(self, x: sg.Tensor, y: sg.Tensor) -> sg.Tensor:
        return (self.model(x) * self.scale - y + SHIFT).square().mean()

    def train(self, x: sg.Tensor, y: sg.Tensor) -> Any:
        self.optimizer.zero_grad()
        loss = self.loss(x, y)
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def accumulate(self, x: sg.Tensor, y: sg.Tensor) -> Any:
        loss = self.loss(x, y)
        loss.backward()
        return {"loss": loss.detach(), "noise": sg.randn(2)}

    def update(self, x: sg.Tensor, y: sg.Tensor) -> Any:
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=False)
        return x + y

    def clip(self, x: sg.Tensor, y: sg.Tensor) -> Any:
        with sg.no_grad():
            for p in self.model.parameters():
                if p.grad is not None:
                    p.grad.mul_(0.5)
        return x * 1

    def penalty(self, x: sg.Tensor, y: sg.Tensor) -> Any:
        inner = x.detach().requires_grad_()
        (slope,) = sg.autograd.grad(self.model(inner).sum(), inner, create_graph=True)
        loss = slope.square().mean() + self.loss(x, y)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.detach(), slope.detach()

    def look(self, x: sg.Tensor, y: sg.Tensor) -> Any:
        with sg.no_grad():
            return self.model(x), self.model[0].weight[0], x

    def change(self, x: sg.Tensor, y: sg.Tensor) -> Any:
        with sg.no_grad():
            y.add_(1)
            x.mul_(2)
            self.model[0].weight.mul_(0.9)
            return x + y + self.model[0].weight.sum(), y[0]

    def seeded(self, x: sg.Tensor, y: sg.Tensor) -> Any:
        sg.manual_seed(int(self.scale * 10))
        return x + sg.randn(WIDTH)


STEPS = ("train", "accumulate", "update", "clip", "penalty", "look", "change", "seeded")

# --- What is done to a world between calls; `n` says to which of its parts -------------------


def parameter(world: World, n: int) -> nn.Parameter:
    parameters = list(world.model.parameters())
    return parameters[n % len(parameters)]


def module(world: World, n: int) -> nn.Module:
    modules = list(world.model.modules())
    return modules[n % len(modules)]


def owner(world: World, n: int) -> tuple[nn.Module, str]:
    """A module with a parameter of its own, and its name there."""
    pairs = [
        (m, name)
        for m in world.model.modules()
        for name, x in vars(m).items()
        if isinstance(x, nn.Parameter)
    ]
    return pairs[n % len(pairs)]


def like(x: sg.Tensor, n: int) -> sg.Tensor:
    return sg.tensor(np.random.default_rng(n).normal(0, 0.5, x.shape), dtype=x.dtype)


def renew_optimizer(world: World) -> None:
    kind = type(world.optimizer)
    world.optimizer = kind(list(world.model.parameters()), lr=0.03)


def replace_parameter(world: World, n: int) -> None:
    at, name = owner(world, n)
    setattr(at, name, nn.Parameter(like(getattr(at, name), n)))


def replace_memory(world: World, n: int) -> None:
    x = parameter(world, n)
    x.array = like(x, n).array


def change_in_place(world: World, n: int) -> None:
    with sg.no_grad():
        x = parameter(world, n)
        x.copy_(like(x, n))


def there_and_back(world: World, n: int) -> None:
    world.model.float().double()


def freeze(world: World, n: int) -> None:
    x = parameter(world, n)
    x.requires_grad_(not x.requires_grad or n % 2 == 0)


def add_hook(world: World, n: int) -> None:
    x = parameter(world, n)
    if x.requires_grad:
        world.handles.append(x.register_hook(lambda g: g * (1 + n % 3)))


def remove_hook(world: World, n: int) -> None:
    if world.handles:
        world.handles.pop(n % len(world.handles)).remove()


def settings_of(world: World, n: int) -> None:
    it = module(world, n)
    for name, value in {
        "momentum": 0.05 * (n % 7),
        "eps": 1e-3 * (1 + n % 3),
        "p": 0.1 * (n % 5),
        "negative_slope": 0.1 * (n % 4),
        "factor": 0.5 * (n % 3),
    }.items():
        if hasattr(it, name):
            setattr(it, name, value)
    if isinstance(it, Scale):
        it.powers.append(1 + n % 2)
        del it.powers[:-2]
        it.offset = it.offset + 0.1 if n % 2 else it.offset


def train_or_eval(world: World, n: int) -> None:
    module(world, n).train(n % 3 > 0)


def exchange_layers(world: World, n: int) -> None:
    if len(world.model) > 2:
        i = 1 + n % (len(world.model) - 2)
        world.model[i], world.model[i + 1] = world.model[i + 1], world.model[i]


def more_or_fewer_layers(world: World, n: int) -> None:
    if n % 2 and len(world.model) > 1:
        del world.model[-1]
    else:
        world.model.append(LAYERS[sorted(LAYERS)[n % len(LAYERS)]]().double())


def move_parameter(world: World, n: int) -> None:
    at, name = owner(world, n)
    other, other_name = owner(world, n // 3)
    first, second = getattr(at, name), getattr(other, other_name)
    if first.shape == second.shape:
        setattr(at, name, second)
        setattr(other, other_name, first)


def own_forward(world: World, n: int) -> None:
    it = module(world, n)
    if it is world.model:
        return
    if "forward" in vars(it):
        del it.forward
    else:
        it.forward = lambda x, factor=1 + n % 3: x * factor  # type: ignore[method-assign]


def options(world: World, n: int) -> None:
    group = world.optimizer.param_groups[n % len(world.optimizer.param_groups)]
    group["lr"] = 0.01 * (1 + n % 9)
    group["weight_decay"] = 0.01 * (n % 2)
    if "betas" in group:
        group["betas"] = (0.1 * (5 + n % 4), 0.99)


def groups(world: World, n: int) -> None:
    known = world.optimizer.state
    new = [x for x in (*world.model.parameters(), *world.spare.parameters()) if x not in known]
    if n % 2 and new:
        world.optimizer.add_param_group({"params": new[:2], "lr": 0.07})
    elif len(world.optimizer.param_groups[0]["params"]) > 1:
        world.optimizer.param_groups[0]["params"].pop()


def load(world: World, n: int) -> None:
    world.model.load_state_dict(
        {
            name: like(x, n + i).abs() if x.dtype.kind == "f" else x
            for i, (name, x) in enumerate(world.model.state_dict().items())
        }
    )


def load_optimizer(world: World, n: int) -> None:
    state = copy.deepcopy(world.optimizer.state_dict()["param_groups"])
    world.optimizer.load_state_dict({"state": {}, "param_groups": state})


def new_optimizer(world: World, n: int) -> None:
    renew_optimizer(world)


def gradients(world: World, n: int) -> None:
    x = parameter(world, n)
    match n % 4:
        case 0:
            world.optimizer.zero_grad()
        case 1:
            x.grad = None
        case 2:
            x.grad = like(x, n)
        case 3:
            world.optimizer.zero_grad(set_to_none=False)


def keep_gradient(world: World, n: int) -> None:
    gradient = parameter(world, n).grad
    if gradient is not None:
        world.kept.append(gradient)


def backward(world: World, n: int) -> None:
    x = like(sg.zeros(4, WIDTH, dtype="float64"), n)
    world.loss(x, x).backward()


def buffers(world: World, n: int) -> None:
    for it in world.model.modules():
        if isinstance(it, nn.BatchNorm1d):
            it.running_mean = like(it.running_mean, n)


def own_scale(world: World, n: int) -> None:
    world.scale = 0.5 * (1 + n % 3)


CHANGES = (
    *(replace_parameter, replace_memory, change_in_place, there_and_back, freeze, add_hook),
    *(remove_hook, settings_of, train_or_eval, exchange_layers, more_or_fewer_layers),
    *(move_parameter, own_forward, options, groups, load, load_optimizer, new_optimizer),
    *(gradients, keep_gradient, backward, buffers, own_scale),
)


# --- Arguments ------------------------------------------------------------------------------


def gradient_or(x: sg.Tensor, other: sg.Tensor) -> sg.Tensor:
    return other if x.grad is None else x.grad.detach()


Arguments = Callable[[World, sg.Tensor], tuple[sg.Tensor, sg.Tensor]]

ARGUMENTS: dict[str, Arguments] = {
    "apart": lambda world, x: (x[:4].clone(), x[4:].clone()),
    "views of one": lambda world, x: (x[:4], x[4:]),
    "overlapping": lambda world, x: (x[:4], x[1:5]),
    "the same": lambda world, x: (x, x),
    "one memory": lambda world, x: (x, x.detach()),
    "strided": lambda world, x: (x[::2], x[1::2]),
    "backwards": lambda world, x: (x[::-1], x.clone()),
    "transposed": lambda world, x: (x[:3].T, x[3:6].T.clone().T),
    "a row for all": lambda world, x: (x, x[:1].clone()),
    "a parameter": lambda world, x: (x[:3], world.model[0].weight.detach()),
    "a gradient": lambda world, x: (x[:3], gradient_or(world.model[0].weight, x[3:6])),
    "one more": lambda world, x: (x, x.clone()),
}


class Twins(RuleBasedStateMachine):
    """The eager world, the jitted one, and the rules by which they change."""

    @initialize(
        layers=st.lists(st.sampled_from(sorted(LAYERS)), max_size=3),
        optimizer=st.sampled_from(sorted(OPTIMIZERS)),
    )
    def begin(self, layers: list[str], optimizer: str) -> None:
        global SHIFT
        SHIFT = 0.0
        sg.set_default_dtype("float32")
        self.worlds = []
        for _ in range(2):
            sg.manual_seed(5)
            self.worlds.append(World(layers, optimizer))
        self.eager, self.other = self.worlds
        self.steps = {name: sg.jit(getattr(self.other, name)) for name in STEPS}

    @rule(change=st.sampled_from(CHANGES), n=st.integers(0, 50))
    def change(self, change: Callable[[World, int], None], n: int) -> None:
        self.in_turns(lambda world: change(world, n))

    @rule(dtype=st.sampled_from(("float32", "float64")))
    def default_type(self, dtype: str) -> None:
        sg.set_default_dtype(dtype)

    @rule(value=st.sampled_from((0.0, -0.0, 0.25)))
    def variable(self, value: float) -> None:
        global SHIFT
        SHIFT = value

    @rule(seed=st.integers(0, 5))
    def seed(self, seed: int) -> None:
        sg.manual_seed(seed)

    @rule(
        name=st.sampled_from(STEPS),
        arguments=st.sampled_from(sorted(ARGUMENTS)),
        n=st.integers(0, 50),
        times=st.integers(1, 3),
        in_thread=st.booleans(),
    )
    def call(self, name: str, arguments: str, n: int, times: int, in_thread: bool) -> None:
        for k in range(times):
            given: list[tuple[sg.Tensor, ...]] = []

            def run(world: World, seed: int = n + k, given: Any = given) -> Any:
                x = like(sg.zeros(8, WIDTH, dtype="float64"), seed)
                step = getattr(world, name) if world is self.eager else self.steps[name]
                given.append((x, *ARGUMENTS[arguments](world, x)))
                return step(*given[-1][1:])

            results = self.in_turns(
                lambda world: threaded(lambda: run(world)) if in_thread else run(world)
            )
            assert_same(*results)
            assert_same(*given)

    def in_turns(self, action: Callable[[World], Any]) -> list[Any]:
        """What ``action`` gives for each, beginning with the same stream of random numbers."""
        state = sg.random.default_generator.state
        before, results, after = state.copy(), [], []
        for world in self.worlds:
            state[:] = before
            try:
                results.append(action(world))
            except Exception as error:
                results.append(type(error))
            after.append(state.copy())
        np.testing.assert_array_equal(*after)
        return results

    @precondition(lambda self: hasattr(self, "worlds"))
    @invariant()
    def are_the_same(self) -> None:
        states = []
        for world in self.worlds:
            parameters = [*world.model.parameters(), *world.spare.parameters()]
            states.append(
                [
                    *[[p, p.grad, p.requires_grad] for p in parameters],
                    list(world.model.buffers()),
                    world.optimizer.state_dict()["state"],
                    world.kept,
                ]
            )
        assert_same(*states)

    def teardown(self) -> None:
        sg.set_default_dtype("float32")


def threaded(action: Callable[[], Any]) -> Any:
    """What ``action`` gives in a thread of its own."""
    results: list[Any] = []

    def run() -> None:
        try:
            results.append(action())
        except Exception as error:
            results.append(type(error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return results[0]


def assert_same(got: Any, expected: Any) -> None:
    if isinstance(expected, sg.Tensor):
        assert got.dtype == expected.dtype
        assert got.requires_grad is expected.requires_grad or expected.node is not None
        np.testing.assert_allclose(
            got.numpy(force=True), expected.numpy(force=True), rtol=1e-7, atol=1e-9
        )
    elif isinstance(expected, dict):
        assert got.keys() == expected.keys()
        assert_same(list(got.values()), list(expected.values()))
    elif isinstance(expected, list | tuple):
        assert len(got) == len(expected)
        for x, y in zip(got, expected, strict=True):
            assert_same(x, y)
    else:
        assert got == expected


@pytest.fixture(params=["numpy", "numba"], autouse=True)
def backend(request: pytest.FixtureRequest, interpreted_loops: None) -> Iterator[None]:
    with sg.use_backend(request.param), np.errstate(all="ignore"):
        yield


@pytest.mark.filterwarnings("ignore:jit")
def test_twins() -> None:
    run_state_machine_as_test(Twins, settings=settings(stateful_step_count=20))
