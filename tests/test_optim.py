"""Optimizers beyond their golden paths: groups, states, errors."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import scratchgan as sg
from scratchgan import nn, optim
from scratchgan.autograd import TapeError

KINDS = [
    (optim.SGD, {}),
    (optim.SGD, {"momentum": 0.9, "dampening": 0.1, "weight_decay": 0.01}),
    (optim.SGD, {"momentum": 0.9, "nesterov": True}),
    (optim.Adam, {}),
    (optim.Adam, {"betas": (0.5, 0.9), "weight_decay": 0.1}),
    (optim.AdamW, {}),
]
kinds = pytest.mark.parametrize(("kind", "options"), KINDS)


def parameters_of(seed=0):
    rng = np.random.default_rng(seed)
    return [nn.Parameter(rng.normal(size=shape)) for shape in [(2, 3), (4,), ()]]


def walk(optimizer, seed, steps):
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad = sg.tensor(rng.normal(size=parameter.shape))
        optimizer.step()


def values(parameters):
    return [parameter.tolist() for parameter in parameters]


# --- Steps ------------------------------------------------------------------------------------


@kinds
def test_what_has_no_gradient_stays_as_it_is(kind, options):
    first, second, third = parameters_of()
    optimizer = kind([first, second, third], **options)
    before = values([first, second, third])
    first.grad = sg.ones_like(first)

    optimizer.step()

    assert first.tolist() != before[0]
    assert values([second, third]) == before[1:]
    assert [optimizer.state[p]["step"].item() for p in (first, second, third)] == [1, 0, 0]


@kinds
def test_gradients_are_not_changed(kind, options):
    (parameter,) = parameters = [nn.Parameter(np.ones((3, 2)))]
    parameter.grad = sg.ones_like(parameter)
    optimizer = kind(parameters, **options)
    optimizer.step()
    optimizer.step()
    assert parameter.grad.tolist() == [[1, 1]] * 3


@kinds
def test_a_tape_notices_that_a_step_was_made(kind, options):
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    loss = net(sg.ones(3, 2)).sum()
    loss.backward(retain_graph=True)
    kind(net.parameters(), **options).step()
    with pytest.raises(TapeError, match="'linear' needs 'weight'"):
        loss.backward()


def test_the_first_step_of_adam_is_the_learning_rate():
    # Kingma & Ba, section 2.1: |step| is lr where the gradient is the first and eps is small.
    parameter = nn.Parameter(np.zeros(3))
    parameter.grad = sg.tensor([1e-3, -5.0, 1e6], "float64")
    optim.Adam([parameter], lr=0.1, eps=0.0).step()
    np.testing.assert_allclose(parameter.detach(), [-0.1, 0.1, -0.1], rtol=1e-6)


@kinds
def test_a_step_keeps_the_memory_and_its_type(kind, options):
    parameters = [nn.Parameter(p.detach().float()) for p in parameters_of()]
    optimizer = kind(parameters, **options)
    arrays = [p.array for p in parameters] + [
        tensor.array for state in optimizer.state.values() for tensor in state.values()
    ]
    for parameter in parameters:
        parameter.grad = sg.ones_like(parameter)

    optimizer.step()

    after = [p.array for p in parameters] + [
        tensor.array for state in optimizer.state.values() for tensor in state.values()
    ]
    assert all(a is b for a, b in zip(arrays, after, strict=True))
    assert {str(p.dtype) for p in parameters} == {"float32"}


@kinds
def test_a_group_may_mix_types(kind, options):
    mixed, alone = ([*parameters_of(0), *parameters_of(1)] for _ in range(2))
    for parameters in (mixed, alone):
        for parameter in parameters[1::2]:
            parameter.data = parameter.data.float()
    for parameters in (mixed, alone):
        for i, parameter in enumerate(parameters):
            parameter.grad = sg.full_like(parameter, i - 2.5)
    together = kind(mixed, **options)
    apart = [kind([parameter], **options) for parameter in alone]
    for _ in range(3):
        together.step()
        for optimizer in apart:
            optimizer.step()
    assert values(mixed) == values(alone)
    assert [str(p.dtype) for p in mixed[:2]] == ["float64", "float32"]


@kinds
def test_a_step_that_is_refused_changes_nothing_of_its_group(kind, options):
    parameters = parameters_of()
    optimizer = kind(parameters, **options)
    walk(optimizer, 0, 1)
    before = values(parameters)
    parameters[-1].data = parameters[-1].data.float()
    parameters[-1].grad = sg.ones_like(parameters[-1])
    with pytest.raises(RuntimeError, match="the state of parameter 2 does not fit it"):
        optimizer.step()
    assert values(parameters)[:-1] == before[:-1]


def test_zero_grad():
    parameter = nn.Parameter(np.ones(2))
    optimizer = optim.SGD([parameter])
    ((parameter * parameter).sum()).backward(create_graph=True)
    gradient = parameter.grad

    optimizer.zero_grad(set_to_none=False)
    assert parameter.grad.tolist() == [0, 0]
    assert parameter.grad.array is gradient.array
    assert not parameter.grad.requires_grad

    optimizer.zero_grad()
    assert parameter.grad is None
    optimizer.zero_grad(set_to_none=False)
    assert parameter.grad is None


# --- Groups -----------------------------------------------------------------------------------


def test_groups_have_options_of_their_own_and_defaults():
    a, b, c = parameters_of()
    optimizer = optim.Adam([{"params": a, "lr": 0.5}, {"params": [b]}], betas=(0.1, 0.2))
    optimizer.add_param_group({"params": [c], "eps": 1e-3, "name": "last"})

    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 1e-3, 1e-3]
    assert [group["betas"] for group in optimizer.param_groups] == [(0.1, 0.2)] * 3
    assert [group["eps"] for group in optimizer.param_groups] == [1e-8, 1e-8, 1e-3]
    assert [group["params"] for group in optimizer.param_groups] == [[a], [b], [c]]
    assert optimizer.param_groups[2]["name"] == "last"
    assert "Parameter Group 2\n    betas: (0.1, 0.2)\n    eps: 0.001\n" in repr(optimizer)


def test_parameters_may_come_from_a_generator():
    net = nn.Linear(2, 2)
    optimizer = optim.SGD(net.parameters())
    assert [id(p) for p in optimizer.param_groups[0]["params"]] == [id(net.weight), id(net.bias)]


# --- States -----------------------------------------------------------------------------------


@given(
    case=st.sampled_from(KINDS),
    before=st.integers(0, 4),
    after=st.integers(1, 4),
    lr=st.floats(1e-4, 1),
)
def test_a_run_goes_on_from_its_state_to_the_bit(case, before, after, lr):
    kind, options = case

    def made():
        a, b, c = parameters_of()
        return [a, b, c], kind([{"params": [a, b]}, {"params": c, "lr": 0.1}], **options)

    parameters, optimizer = made()
    walk(optimizer, 0, before)
    optimizer.param_groups[0]["lr"] = lr
    resumed_parameters, resumed = made()
    with sg.no_grad():
        for parameter, source in zip(resumed_parameters, parameters, strict=True):
            parameter.copy_(source)

    resumed.load_state_dict(optimizer.state_dict())

    assert resumed.param_groups[0]["lr"] == lr
    assert resumed.param_groups[1]["lr"] == 0.1
    walk(optimizer, 1, after)
    walk(resumed, 1, after)
    assert values(parameters) == values(resumed_parameters)


def test_the_layout_of_a_state_is_that_of_pytorch():
    parameters = parameters_of()
    groups = [{"params": parameters[:2]}, {"params": parameters[2:], "lr": 0.5}]
    optimizer = optim.Adam(groups)
    walk(optimizer, 0, 3)

    state = optimizer.state_dict()

    rest = {"betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0}
    assert state["param_groups"] == [
        {"params": [0, 1], "lr": 1e-3, **rest},
        {"params": [2], "lr": 0.5, **rest},
    ]
    assert list(state["state"]) == [0, 1, 2]
    assert {name: t.shape for name, t in state["state"][0].items()} == {
        "exp_avg": (2, 3),
        "exp_avg_sq": (2, 3),
        "step": (),
    }
    assert state["state"][2]["step"].item() == 3
    assert list(optim.SGD(parameters).state_dict()["state"][1]) == ["momentum_buffer", "step"]


def test_a_state_is_loaded_in_place_and_what_it_lacks_starts_anew():
    parameters = parameters_of()
    optimizer = optim.Adam(parameters)
    walk(optimizer, 0, 3)
    state = optimizer.state_dict()
    del state["state"][1]
    other = optim.Adam(parameters)
    arrays = [tensor.array for tensor in other.state[parameters[0]].values()]
    group = other.param_groups[0]
    walk(other, 1, 2)

    other.load_state_dict(state)

    loaded = list(other.state[parameters[0]].values())
    assert all(tensor.array is array for tensor, array in zip(loaded, arrays, strict=True))
    assert other.param_groups[0] is group
    assert other.state[parameters[0]]["step"].item() == 3
    assert other.state[parameters[1]]["step"].item() == 0
    assert not other.state[parameters[1]]["exp_avg"].any()


def test_every_fault_of_a_state_is_named_and_nothing_is_changed():
    parameters = parameters_of()
    optimizer = optim.Adam(parameters, lr=0.25)
    walk(optimizer, 0, 2)
    before = optimizer.state[parameters[0]]["exp_avg"].tolist()

    fewer = optim.Adam(parameters[:2]).state_dict()
    with pytest.raises(ValueError, match=r"Adam.load_state_dict: .* groups are \[2\], expected \["):
        optimizer.load_state_dict(fewer)

    turned = optim.Adam(parameters[::-1]).state_dict()
    with pytest.raises(ValueError, match=r"parameter 0: \{'exp_avg': \(\)") as caught:
        optimizer.load_state_dict(turned)
    assert "parameter 2: {'exp_avg': (2, 3)" in str(caught.value)
    assert "parameter 1" not in str(caught.value)

    with pytest.raises(ValueError, match="'momentum_buffer'"):
        optimizer.load_state_dict(optim.SGD(parameters).state_dict())

    wrong = optim.Adam(parameters).state_dict()
    wrong["param_groups"][0]["lr"] = -1.0
    with pytest.raises(ValueError, match="lr is -1"):
        optimizer.load_state_dict(wrong)

    assert optimizer.param_groups[0]["lr"] == 0.25
    assert optimizer.state[parameters[0]]["exp_avg"].tolist() == before


# --- Errors -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "options", "fault"),
    [
        (optim.SGD, {"lr": -0.1}, "SGD: lr is -0.1; it must be 0 or more"),
        (optim.SGD, {"lr": math.nan}, "SGD: lr is nan"),
        (optim.SGD, {"momentum": -1}, "SGD: momentum is -1"),
        (optim.SGD, {"weight_decay": -1}, "SGD: weight_decay is -1"),
        (optim.SGD, {"nesterov": True}, "momentum is 0; it must be more than 0 with nesterov"),
        (
            optim.SGD,
            {"nesterov": True, "momentum": 0.9, "dampening": 0.1},
            "dampening is 0.1; it must be 0 with nesterov",
        ),
        (optim.Adam, {"lr": -1}, "Adam: lr is -1"),
        (optim.Adam, {"eps": -1}, "Adam: eps is -1"),
        (optim.Adam, {"weight_decay": -1}, "Adam: weight_decay is -1"),
        (optim.Adam, {"betas": (1.0, 0.9)}, r"betas is \(1.0, 0.9\); it must be two numbers"),
        (optim.Adam, {"betas": (0.9, -0.1)}, "betas is"),
        (optim.Adam, {"betas": (0.9,)}, "betas is"),
    ],
)
def test_options_outside_their_range_are_refused(kind, options, fault):
    parameter = nn.Parameter(np.ones(2))
    with pytest.raises(ValueError, match=fault):
        kind([parameter], **options)
    with pytest.raises(ValueError, match=fault):
        kind([{"params": [parameter], **options}])


def test_parameters_that_cannot_be_optimized_are_refused():
    a, b, _ = parameters_of()
    for none in ([], [{"params": []}]):
        with pytest.raises(ValueError, match=r"SGD: .* no parameters"):
            optim.SGD(none)
    for one in (a, {"params": [a]}):
        with pytest.raises(TypeError, match="SGD: params is one"):
            optim.SGD(one)
    with pytest.raises(TypeError, match="a group is a dict with 'params'"):
        optim.SGD([{"parameters": [a]}])
    with pytest.raises(TypeError, match="a group is a dict with 'params'"):
        optim.SGD([{"params": a}, b])
    with pytest.raises(TypeError, match="optimizes tensors, not ndarray"):
        optim.SGD([np.ones(2)])
    with pytest.raises(ValueError, match=r"a parameter of shape \(2, 3\) is given twice"):
        optim.SGD([a, b, a])
    with pytest.raises(ValueError, match=r"a parameter of shape \(2, 3\) is given twice"):
        optim.SGD([{"params": [a, b]}, {"params": [a]}])
    with pytest.raises(ValueError, match="the result of an operation"):
        optim.SGD([a * 2])

    fixed = np.ones((2, 3), np.float32)
    fixed.flags.writeable = False
    with pytest.raises(ValueError, match=r"\(2, 3\) lies in memory that cannot be written"):
        optim.SGD([a, sg.from_numpy(fixed).requires_grad_()])

    optimizer = optim.Adam([a, b])
    a.grad, b.grad = sg.ones_like(a), sg.ones_like(b)
    b.array.flags.writeable = False
    with pytest.raises(
        RuntimeError, match=r"^Adam\.step: a parameter of shape .* cannot be written"
    ):
        optimizer.step()
    assert not any(x.any() for state in optimizer.state.values() for x in state.values())
    b.array.flags.writeable = True

    optimizer = optim.SGD([a])
    with pytest.raises(ValueError, match="given twice"):
        optimizer.add_param_group({"params": [b, a]})
    assert len(optimizer.state) == len(optimizer.param_groups) == 1  # a refused group: no trace


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda o: optim.lr_scheduler.StepLR(o, 0), "StepLR: step_size is 0; it must be 1 or more"),
        (lambda o: optim.lr_scheduler.CosineAnnealingLR(o, 0), "T_max is 0; it must be 1 or more"),
        (lambda o: optim.lr_scheduler.LinearLR(o, 0), r"start_factor is 0; it must be in \(0, 1\]"),
        (lambda o: optim.lr_scheduler.LinearLR(o, total_iters=0), "total_iters is 0; it must be 1"),
    ],
)
def test_schedules_that_lead_nowhere(make, message):
    with pytest.raises(ValueError, match=message):
        make(optim.SGD([sg.ones(1, requires_grad=True)], 0.1))


def own(**methods: Any) -> type[optim.Optimizer]:
    """An optimizer of a user's, with some methods as they are given."""

    def __init__(self: Any, params: Any) -> None:
        optim.Optimizer.__init__(self, params, {"lr": 0.1})

    methods = {
        "new_state": lambda self, parameter: {},
        "hyperparameters": lambda self, group: {"lr": group["lr"]},
        **methods,
    }
    return type("Own", (optim.Optimizer,), {"__init__": __init__, **methods})


@pytest.mark.parametrize("state", [None, [], {"mean": np.zeros(2)}], ids=repr)
def test_a_state_is_a_dict_of_tensors(state: Any) -> None:
    kind = own(new_state=lambda self, parameter: state)
    with pytest.raises(TypeError, match=r"^Own.new_state: gives a dict of tensors by name, not "):
        kind([nn.Parameter(sg.ones(2))])


@pytest.mark.parametrize("jit", [False, True], ids=["eager", "jit"])
@pytest.mark.parametrize(
    ("kind", "error", "message"),
    [
        (own(), NotImplementedError, "Own has neither a kernel nor an update method"),
        (
            own(hyperparameters=lambda self, group: 0.1, update=lambda *_: None),
            TypeError,
            "Own.hyperparameters: gives a dict of options by name, not 0.1",
        ),
        (own(kernel="own_missing"), AttributeError, "no kernel named 'own_missing'"),
    ],
    ids=["update", "hyperparameters", "kernel"],
)
def test_what_an_optimizer_of_ones_own_lacks(
    kind: type[optim.Optimizer], error: type[Exception], message: str, jit: bool
) -> None:
    w = nn.Parameter(sg.ones(2))
    optimizer = kind([w])  # type: ignore[call-arg]

    def step() -> None:
        w.sum().backward()
        optimizer.step()

    with pytest.raises(error, match=message):
        (sg.jit(step) if jit else step)()
    assert w.tolist() == [1.0, 1.0]
