"""Module: what it finds among its attributes, and what saving, loading and casting do to it."""

import copy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import scratchgan as sg
from scratchgan import nn
from scratchgan.autograd import TapeError


class Net(nn.Module):
    """Parameters before and after a child, a buffer, and things that are none of these."""

    def __init__(self):
        self.first = nn.Linear(3, 2)
        self.scale = nn.Parameter(sg.tensor([2.0, 3.0]))
        self.layers = nn.ModuleList([nn.BatchNorm1d(2), nn.Linear(2, 2, bias=False)])
        self.register_buffer("offset", sg.tensor([0.5, -0.5]))
        self.width = 3
        self.constant = sg.ones(2)

    def forward(self, x):
        x = self.first(x) * self.scale + self.offset
        for layer in self.layers:
            x = layer(x)
        return x


NAMES = (
    ("scale", "offset", "first.weight", "first.bias")
    + ("layers.0.weight", "layers.0.bias", "layers.0.running_mean", "layers.0.running_var")
    + ("layers.0.num_batches_tracked", "layers.1.weight")
)
BUFFERS = ("offset",) + tuple(name for name in NAMES if "running" in name or "num" in name)


def test_what_a_module_is_made_of():
    net = Net()

    # PyTorch's order: of each module its parameters, its buffers, then its children.
    assert tuple(net.state_dict()) == NAMES
    assert tuple(name for name, _ in net.named_buffers()) == BUFFERS
    parameters = dict(net.named_parameters())
    assert tuple(parameters) == tuple(name for name in NAMES if name not in BUFFERS)
    assert parameters["layers.1.weight"] is net.layers[1].weight
    assert list(map(id, net.parameters())) == list(map(id, parameters.values()))
    assert [name for name, _ in net.named_modules()] == [
        *("", "first", "layers", "layers.0", "layers.1")
    ]
    assert list(net.children()) == [net.first, net.layers]
    assert list(net.modules())[3:] == list(net.layers)


def test_what_is_shared_counts_once_and_is_saved_under_each_name():
    net = nn.Module()
    net.a = nn.Linear(2, 2)
    net.b = net.a
    net.c = nn.Linear(2, 2)
    net.c.weight = net.a.weight

    assert [name for name, _ in net.named_parameters()] == ["a.weight", "a.bias", "c.bias"]
    assert len(list(net.modules())) == 3
    assert list(net.state_dict()) == [f"{module}.{name}" for module in "abc" for name in NAMES_OF]


NAMES_OF = ("weight", "bias")


def test_a_parameter_cannot_be_lost_by_assignment():
    layer = nn.Linear(2, 2)

    with pytest.raises(TypeError, match="Linear: 'weight' is a parameter and cannot become a Tens"):
        layer.weight = layer.weight * 2

    layer.bias = None
    assert [name for name, _ in layer.named_parameters()] == ["weight"]
    layer.bias = nn.Parameter(sg.zeros(2))
    del layer.weight
    assert [name for name, _ in layer.named_parameters()] == ["bias"]


def test_a_module_without_forward_says_so():
    class Empty(nn.Module):
        pass

    with pytest.raises(NotImplementedError, match="Empty has no forward"):
        Empty()(1)


def test_parameter_is_a_leaf_that_shares_memory_and_results_are_plain_tensors():
    data = sg.ones(3) * 2
    parameter = nn.Parameter(data)

    assert parameter.requires_grad
    assert parameter.is_leaf
    assert type(parameter * 2) is sg.Tensor
    assert str(parameter) == repr(parameter)
    assert repr(parameter).startswith("Parameter containing:\ntensor([2., 2., 2.]")
    loss = (parameter * parameter).sum()
    data.zero_()  # the same memory: the tape must notice
    with pytest.raises(TapeError, match="changed in place"):
        loss.backward()
    assert not nn.Parameter(np.ones(2), requires_grad=False).requires_grad


# --- Saving and loading -----------------------------------------------------------------------


@given(st.integers(0, 2**32), st.sampled_from([np.float32, np.float64]))
def test_a_state_goes_round(seed, dtype):
    sg.manual_seed(seed)
    trained, other = Net().to(dtype), Net()
    x = sg.randn(5, 3, dtype=dtype)
    trained(x)  # moves the running statistics
    arrays = {name: id(tensor.array) for name, tensor in other.named_parameters()}

    keys = other.to(dtype).load_state_dict(trained.state_dict())

    assert keys == ([], [])
    for (name, a), (other_name, b) in zip(
        trained.state_dict().items(), other.state_dict().items(), strict=True
    ):
        assert name == other_name
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a.numpy(), b.numpy())
        assert not np.shares_memory(a.array, b.array)
    np.testing.assert_array_equal(trained.eval()(x).detach(), other.eval()(x).detach())
    if dtype == np.float32:  # to() had nothing to convert: copied in place
        assert arrays == {name: id(tensor.array) for name, tensor in other.named_parameters()}


def test_a_state_shares_memory_and_takes_arrays_of_any_type():
    layer = nn.Linear(2, 1)
    state = layer.state_dict()
    assert not state["weight"].requires_grad

    layer.load_state_dict({"weight": np.array([[3, 4]], np.int8), "bias": np.array([0.5])})

    assert state["weight"].tolist() == [[3, 4]]
    assert state["weight"].dtype == np.float32
    assert layer(sg.tensor([[1.0, 1.0]])).item() == 7.5


def test_every_fault_of_a_state_is_named_and_nothing_is_copied():
    net = Net()
    before = {name: tensor.tolist() for name, tensor in net.state_dict().items()}
    state = {name: sg.zeros_like(tensor) for name, tensor in net.state_dict().items()}
    del state["first.bias"], state["layers.0.num_batches_tracked"]
    state |= {"scale": sg.zeros(3), "layers.1.weight": sg.zeros(2, 3), "extra": sg.zeros(1)}

    with pytest.raises(RuntimeError) as caught:
        net.load_state_dict(state)

    assert str(caught.value).splitlines() == [
        "load_state_dict: the state does not fit Net:",
        "  the shape of 'scale' is (3,), expected (2,)",
        "  the shape of 'layers.1.weight' is (2, 3), expected (2, 2)",
        "  'first.bias' is missing",
        "  'layers.0.num_batches_tracked' is missing",
        "  'extra' is not expected",
    ]
    assert {name: tensor.tolist() for name, tensor in net.state_dict().items()} == before


def test_without_strict_names_may_differ_and_shapes_may_not():
    net = nn.Linear(2, 2)
    missing, unexpected = net.load_state_dict({"bias": sg.ones(2), "more": sg.ones(1)}, False)
    assert (missing, unexpected) == (["weight"], ["more"])
    assert net.bias.tolist() == [1, 1]

    with pytest.raises(RuntimeError, match=r"shape of 'bias' is \(3,\), expected \(2,\)"):
        net.load_state_dict({"bias": sg.ones(3)}, strict=False)


@pytest.mark.parametrize(
    "change",
    [
        lambda net: net.load_state_dict(net.state_dict()),
        lambda net: net.double(),
        lambda net: net.apply(lambda module: nn.init.zeros_(module.weight)),
    ],
)
def test_a_tape_notices_that_its_module_changed(change):
    net = nn.Linear(2, 2)
    loss = net(sg.ones(1, 2, requires_grad=True)).sum()
    change(net)
    with pytest.raises(TapeError, match="weight"):
        loss.backward()


def test_a_copy_is_independent():
    net = Net()
    twin = copy.deepcopy(net)
    x = sg.randn(4, 3)
    np.testing.assert_array_equal(net.eval()(x).detach(), twin.eval()(x).detach())

    with sg.no_grad():
        net.scale.zero_()

    assert twin.scale.tolist() == [2, 3]
    assert isinstance(twin.scale, nn.Parameter)
    assert tuple(twin.state_dict()) == NAMES


# --- Changing everything at once --------------------------------------------------------------


def test_train_and_eval_reach_every_module():
    net = nn.Sequential(nn.Dropout(), nn.ModuleList([nn.Dropout()]))
    assert all(module.training for module in net.modules())
    assert net.eval() is net
    assert not any(module.training for module in net.modules())
    net.train()
    assert all(module.training for module in net.modules())
    with pytest.raises(TypeError, match=r"^train: mode is a boolean, not 5$"):
        net.train(5)


def test_requires_grad_holds_parameters_fixed():
    net = Net()
    assert net.requires_grad_(False) is net
    assert not net(sg.ones(2, 3)).requires_grad
    net.requires_grad_()
    assert all(parameter.requires_grad for parameter in net.parameters())
    assert not any(buffer.requires_grad for buffer in net.buffers())


def test_zero_grad_forgets_every_gradient():
    net = Net()
    net(sg.randn(4, 3)).sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())
    net.zero_grad()
    assert all(parameter.grad is None for parameter in net.parameters())


def test_apply_comes_to_the_children_first():
    net, seen = Net(), []
    assert net.apply(seen.append) is net
    assert seen == [net.first, *net.layers, net.layers, net]


def test_to_converts_what_is_floating_with_its_gradients():
    net = Net()
    net(sg.randn(4, 3)).sum().backward()
    values = {name: tensor.tolist() for name, tensor in net.state_dict().items()}
    gradients = [parameter.grad.tolist() for parameter in net.parameters()]
    identities = list(map(id, net.parameters()))

    assert net.double() is net

    assert {str(t.dtype) for t in net.parameters()} == {"float64"}
    assert {str(t.dtype) for t in net.buffers()} == {"float64", "int64"}
    assert {name: tensor.tolist() for name, tensor in net.state_dict().items()} == values
    assert [parameter.grad.tolist() for parameter in net.parameters()] == gradients
    assert {str(parameter.grad.dtype) for parameter in net.parameters()} == {"float64"}
    assert list(map(id, net.parameters())) == identities
    assert net(sg.randn(4, 3, dtype=sg.float64)).dtype == sg.float64
    assert net.float().scale.dtype == sg.float32
    with pytest.raises(TypeError, match="floating types, not int64"):
        net.to(np.int64)


def test_the_representation_shows_the_tree():
    assert repr(Net()) == (
        "Net(\n"
        "  (first): Linear(in_features=3, out_features=2, bias=True)\n"
        "  (layers): ModuleList(\n"
        "    (0): BatchNorm1d(2, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)\n"
        "    (1): Linear(in_features=2, out_features=2, bias=False)\n"
        "  )\n"
        ")"
    )
    assert repr(nn.Embedding(3, 2)) == "Embedding(3, 2)"
    assert repr(nn.LeakyReLU(0.2)) == "LeakyReLU(negative_slope=0.2)"
    assert repr(nn.Dropout(0.1)) == "Dropout(p=0.1, inplace=False)"
    assert repr(nn.Flatten()) == "Flatten(start_dim=1, end_dim=-1)"
    assert repr(nn.BCELoss()) == "BCELoss()"
