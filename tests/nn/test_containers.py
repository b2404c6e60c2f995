"""ModuleList is a list; Sequential gives the same with its modules fused as without."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import scratchgan as sg
from scratchgan import nn
from scratchgan.autograd import grad

ACTIVATIONS = [nn.ReLU, nn.Tanh, nn.Sigmoid, nn.LeakyReLU, nn.Softplus]


class Scaled(nn.Linear):
    """Not what its base class computes: it must not be fused."""

    def forward(self, x):
        return super().forward(x) * 2


@st.composite
def stacks(draw):
    """Modules that fit one after another, from 3 features."""
    modules, width = [], 3
    for kind in draw(st.lists(st.sampled_from([nn.Linear, Scaled, *ACTIVATIONS]), max_size=8)):
        if issubclass(kind, nn.Linear):
            out = draw(st.integers(1, 4))
            modules.append(kind(width, out, bias=draw(st.booleans())))
            width = out
        else:
            modules.append(kind())
    return [module.double() for module in modules]


def one_by_one(modules, x):
    for module in modules:
        x = module(x)
    return x


def assert_same(got, expected):
    np.testing.assert_allclose(got.detach(), expected.detach(), rtol=1e-12, atol=1e-14)


@given(modules=stacks(), rows=st.integers(0, 4), batch=st.sampled_from([(), (2,)]))
def test_fused_equals_unfused_to_second_order(modules, rows, batch):
    x = sg.randn(*batch, rows, 3, dtype=sg.float64, requires_grad=True)
    leaves = [x, *nn.ModuleList(modules).parameters()]

    results = []
    for out in (nn.Sequential(*modules)(x), one_by_one(modules, x)):
        loss = (out * out * out).sum()
        first = grad(loss, leaves, create_graph=True)
        second = grad(sum((g * g).sum() for g in first), leaves, allow_unused=True)
        results.append((out, *first, *[g for g in second if g is not None]))

    assert len(results[0]) == len(results[1])
    for fused, plain in zip(*results, strict=True):
        assert_same(fused, plain)


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh, nn.Sigmoid, nn.LeakyReLU, nn.Softplus])
def test_a_linear_and_its_activation_are_one_operation(activation):
    x = sg.randn(2, 3)
    assert nn.Sequential(nn.Linear(3, 4), activation())(x).node.name == "linear"
    # A second activation has no Linear before it.
    assert nn.Sequential(nn.Linear(3, 4), nn.Tanh(), activation())(x).node.name != "linear"


EDITS = st.lists(
    st.tuples(
        st.sampled_from(["append", "insert", "set", "delete", "extend", "slice", "pop"]),
        st.integers(0, 7),
        st.sampled_from(["linear", "scaled", *ACTIVATIONS]),
    ),
    max_size=12,
)


@given(EDITS)
def test_edits_act_as_on_a_list_and_are_seen_by_forward(edits):
    made = {"linear": lambda: nn.Linear(3, 3).double(), "scaled": lambda: Scaled(3, 3).double()}
    sequential, plain = nn.Sequential(), []
    x = sg.randn(2, 3, dtype=sg.float64)
    for edit, position, kind in edits:
        module = made.get(kind, kind)()
        for modules in (sequential, plain):
            i = position % (len(modules) + 1)
            if edit == "append":
                modules.append(module)
            elif edit == "insert":
                modules.insert(i, module)
            elif edit == "extend":
                modules.extend([module, module])
            elif edit == "slice":
                modules[i:] = [module]
            elif i < len(modules):
                if edit == "set":
                    modules[i] = module
                elif edit == "delete":
                    del modules[i]
                else:
                    assert modules.pop(i) is not None
        assert list(sequential) == plain
        assert_same(sequential(x), one_by_one(plain, x))
        assert_same(sequential[1:](x), one_by_one(plain[1:], x))
    names = [name for name, _ in sequential.named_children()]
    assert names == [str(i) for i in range(len(plain))]


def test_an_empty_sequential_gives_what_it_got():
    x = sg.ones(2)
    assert nn.Sequential()(x) is x


def test_slices_share_their_modules():
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    head = net[-1:]
    assert type(head) is nn.Sequential
    assert head[0] is net[2]
    assert list(head.state_dict()) == ["2.weight", "2.bias"]  # as in PyTorch
    assert len(net) == 3


def test_a_list_finds_parameters_and_can_be_subclassed():
    class Tower(nn.ModuleList):
        def __init__(self):
            super().__init__(nn.Linear(2, 2, bias=False) for _ in range(2))
            self.head = nn.Linear(2, 1, bias=False)

    tower = Tower()
    assert list(tower.state_dict()) == ["0.weight", "1.weight", "head.weight"]


@pytest.mark.parametrize(
    "misuse",
    [
        lambda: nn.Sequential(nn.ReLU(), sg.relu),
        lambda: nn.ModuleList([1]),
        lambda: nn.ModuleList([nn.ReLU()]).append(None),
        lambda: nn.ModuleList([nn.ReLU()]).__setitem__(0, nn.ReLU),
        lambda: nn.ModuleList([nn.ReLU()]).__setitem__(slice(None), ["x"]),
    ],
)
def test_only_modules_are_held(misuse):
    with pytest.raises(TypeError, match=r"holds modules, and .* is a"):
        misuse()
