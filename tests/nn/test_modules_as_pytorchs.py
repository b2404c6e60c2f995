"""What a program written for PyTorch does with modules beside calling them."""

import copy
import pickle
from collections import OrderedDict

import numpy as np
import pytest

import scratchgan as sg
from scratchgan import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(OrderedDict(fc=nn.Linear(3, 4), act=nn.ReLU()))
        self.register_parameter("scale", nn.Parameter(sg.ones(4)))
        self.register_parameter("shift", None)
        self.register_buffer("steps", sg.zeros(1))
        self.register_buffer("cache", sg.zeros(2), persistent=False)
        self.register_buffer("later", None)
        self.add_module("head", nn.Linear(4, 1))

    def forward(self, x):
        return self.head(self.body(x) * self.scale)


def test_names_and_paths():
    net = Net()
    assert list(net.state_dict()) == [
        *("scale", "steps", "body.fc.weight", "body.fc.bias", "head.weight", "head.bias")
    ]
    assert type(net.state_dict()) is OrderedDict
    assert [name for name, _ in net.named_buffers()] == ["steps", "cache"]
    assert [name for name, _ in net.named_parameters("net", recurse=False)] == ["net.scale"]
    assert len(list(net.parameters(recurse=False))) == 1
    assert [name for name, _ in net.head.named_parameters(prefix="h")] == ["h.weight", "h.bias"]
    assert [name for name, _ in net.named_modules(prefix="net")][:2] == ["net", "net.body"]
    assert net.get_submodule("body.fc") is net.body.fc is net.body[0]
    assert net.get_parameter("body.fc.weight") is net.body.fc.weight
    assert net.get_buffer("steps") is net.steps
    assert net.get_submodule("") is net
    for method, path in (("get_submodule", "body.x"), ("get_parameter", "x"), ("get_buffer", "x")):
        with pytest.raises(AttributeError, match=f"{method}: "):
            getattr(net, method)(path)
    assert {"fc", "act"} <= set(dir(net.body))
    assert {"body", "scale", "steps"} <= set(dir(net))


def test_state_with_a_prefix_and_on_the_tape():
    net = Net()
    state = net.state_dict(prefix="net.", keep_vars=True)
    assert state["net.scale"] is net.scale
    found = {}
    assert net.head.state_dict(destination=found, prefix="h.") is found
    assert list(found) == ["h.weight", "h.bias"]


def test_loading():
    net = Net()
    keys = net.load_state_dict(Net().state_dict())
    assert str(keys) == "<All keys matched successfully>"
    with pytest.raises(TypeError, match=r"load_state_dict: takes a dict of tensors .* not list"):
        net.load_state_dict([1])
    with pytest.raises(RuntimeError, match="'weight' is a list, expected a tensor or an array"):
        net.head.load_state_dict({"weight": [[1.0] * 4], "bias": sg.zeros(1)})
    state = {name: value.double() + 1 for name, value in net.state_dict().items()}
    net.load_state_dict(state, assign=True)
    assert net.head.weight.dtype == sg.float64
    assert net.head.weight.requires_grad
    assert net.head.weight.array is state["head.weight"].array
    assert net.steps.tolist() == [1]


def test_registering_refuses_what_pytorch_refuses():
    net = Net()
    for register, name, value, error in (
        ("register_buffer", "scale", sg.ones(1), KeyError),
        ("register_buffer", "a.b", None, KeyError),
        ("register_buffer", "", None, KeyError),
        ("register_buffer", "b", 3, TypeError),
        ("register_buffer", 3, None, TypeError),
        ("register_parameter", "forward", None, KeyError),
        ("register_parameter", "p", sg.ones(1), TypeError),
        ("add_module", "scale", nn.ReLU(), KeyError),
        ("register_module", "m", 3, TypeError),
    ):
        with pytest.raises(error, match=r"register_|add_module"):
            getattr(net, register)(name, value)
    for name, value in (("scale", sg.ones(4)), ("steps", 3), ("head", 3), ("body", sg.ones(1))):
        with pytest.raises(TypeError, match=f"Net: '{name}' is a .* and cannot become a"):
            setattr(net, name, value)
    with pytest.raises(TypeError, match="'fc' is a module and cannot become a int"):
        net.body.fc = 3
    net.later = sg.ones(1)
    assert "later" in net.state_dict()
    del net.later
    assert "later" not in net.state_dict()
    net.head = None
    assert "head.weight" not in net.state_dict()


def test_what_is_not_there_says_what_to_use():
    net = Net()
    with pytest.raises(AttributeError, match=r"'Net' object has no attribute 'nothing'$"):
        net.nothing  # noqa: B018
    with pytest.raises(AttributeError, match="use register_full_backward_hook"):
        net.register_backward_hook(print)
    with pytest.raises(AttributeError, match="float32 and float64"):
        net.half()
    with pytest.raises(AttributeError, match="has no attribute 'missing'"):
        net.body.missing  # noqa: B018
    assert not hasattr(net, "bfloat16")


def test_zero_grad_and_type():
    net = Net()
    net(sg.ones(2, 3)).sum().backward()
    before = net.head.weight.grad
    net.zero_grad(set_to_none=False)
    assert net.head.weight.grad is before
    assert not before.any()
    net.zero_grad()
    assert net.head.weight.grad is None
    assert net.type(sg.float64).steps.dtype == sg.float64


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_copies(clone):
    net = Net()
    net.lists = nn.ParameterList([sg.ones(1)])
    net.named = nn.ModuleDict({"a": nn.ReLU()})
    twin = clone(net)
    assert list(twin.state_dict()) == list(net.state_dict())
    assert twin.body.fc is twin.body[0]
    assert twin.body.fc is not net.body.fc
    assert repr(twin) == repr(net)


def test_a_copy_computes_the_same_numbers_whichever_comes_first():
    """The types of unpickled arrays are equal to NumPy's, and not the same objects."""
    rng = np.random.default_rng(0)
    for sizes in ((70, 300, 130), (128, 784, 256)):
        layer = nn.Linear(*sizes[1:])
        x = sg.tensor(rng.standard_normal(sizes[:2]).astype(np.float32))
        twin = pickle.loads(pickle.dumps(layer))
        np.testing.assert_array_equal(twin(x).detach().numpy(), layer(x).detach().numpy())


# --- Hooks ------------------------------------------------------------------------------------


def test_hooks_see_and_replace():
    layer, seen = nn.Linear(2, 2), []
    x = sg.ones(1, 2)
    plain = layer(x).tolist()
    first = layer.register_forward_hook(lambda m, args, out: seen.append((m, args, out)))
    assert layer(x).tolist() == plain
    assert seen[0][0] is layer
    assert seen[0][1][0] is x
    assert seen[0][2].tolist() == plain
    first.remove()
    twice = layer.register_forward_hook(lambda m, args, out: out * 2)
    before = layer.register_forward_pre_hook(lambda m, args: args[0] * 0)
    assert layer(x).tolist() == (layer.bias * 2).reshape(1, 2).tolist()
    twice.remove()
    before.remove()
    assert layer(x).tolist() == plain


def test_hooks_with_keywords_and_in_order():
    class Scale(nn.Module):
        def forward(self, x, by=1.0):
            return x * by

    module, order = Scale(), []
    module.register_forward_pre_hook(
        lambda m, args, kwargs: (args, {"by": kwargs["by"] + 1}), with_kwargs=True
    )
    module.register_forward_hook(lambda *a: order.append("second"))
    module.register_forward_hook(lambda *a: order.append("first"), prepend=True)
    module.register_forward_hook(
        lambda m, args, kwargs, out: order.append(kwargs["by"]), with_kwargs=True
    )
    assert module(sg.ones(1), by=2.0).tolist() == [3]
    assert order == ["first", "second", 3.0]
    module.register_forward_pre_hook(lambda m, args, kwargs: 3, with_kwargs=True)
    with pytest.raises(TypeError, match=r"register_forward_pre_hook: .* not int"):
        module(sg.ones(1), by=2.0)
    with pytest.raises(NotImplementedError, match="always_call"):
        module.register_forward_hook(print, always_call=True)


def test_a_sequential_calls_hooks_of_what_it_would_run_together():
    net, x = nn.Sequential(nn.Linear(3, 4), nn.ReLU()), sg.randn(2, 3)
    assert net(x).node.name == "linear"
    seen = []
    handles = [module.register_forward_hook(lambda *a: seen.append(a[0])) for module in net]
    net(x)
    assert seen == list(net)
    for handle in handles:
        handle.remove()
    assert net(x).node.name == "linear"
    net[1].forward = lambda x: x * 0
    assert not net(x).any()


def test_jit_notices_a_hook():
    layer = nn.Linear(2, 2)
    run = sg.jit(lambda x: layer(x).detach())
    x = sg.ones(1, 2)
    for _ in range(2):
        np.testing.assert_allclose(run(x), layer(x).detach(), rtol=1e-6)
    handle = layer.register_forward_hook(lambda m, args, out: out * 3)
    np.testing.assert_allclose(run(x), layer(x).detach(), rtol=1e-6)
    handle.remove()
    np.testing.assert_allclose(run(x), layer(x).detach(), rtol=1e-6)


# --- Containers -------------------------------------------------------------------------------


def test_module_dict_acts_as_a_dict_and_jit_sees_its_modules():
    modules = nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.Tanh()})
    run = sg.jit(lambda x: modules["b"](modules["a"](x)).detach())
    x = sg.ones(1, 2)
    for _ in range(2):
        np.testing.assert_allclose(run(x), modules.b(modules.a(x)).detach(), rtol=1e-6)
    modules["a"] = nn.Linear(2, 2)
    np.testing.assert_allclose(run(x), modules.b(modules.a(x)).detach(), rtol=1e-6)
    assert list(modules) == list(modules.keys()) == ["a", "b"]
    assert "a" in modules
    assert len(modules) == 2
    assert [type(m).__name__ for m in modules.values()] == ["Linear", "Tanh"]
    modules.update({"c": nn.ReLU()})
    assert isinstance(modules.pop("c"), nn.ReLU)
    assert [name for name, _ in modules.items()] == ["a", "b"]
    with pytest.raises(KeyError):
        modules["c"]
    with pytest.raises(KeyError):
        del modules["c"]
    modules.clear()
    assert len(modules) == 0


def test_parameters_in_lists_and_dicts_are_learned_and_replayed():
    class Bank(nn.Module):
        def __init__(self):
            self.many = nn.ParameterList(sg.ones(2) * k for k in range(3))
            self.named = nn.ParameterDict({"gain": sg.ones(2)})

        def forward(self, x):
            return sum((w * x for w in self.many), self.named["gain"] * 0)

    bank = Bank()
    assert list(bank.state_dict()) == ["many.0", "many.1", "many.2", "named.gain"]
    optimizer = sg.optim.SGD(bank.parameters(), 0.5)

    def step(x):
        optimizer.zero_grad()
        loss = bank(x).sum()
        loss.backward()
        optimizer.step()
        return loss.detach()

    run = sg.jit(step)
    losses = [run(sg.ones(2)).item() for _ in range(3)]
    assert losses == [6.0, 3.0, 0.0]
    bank.many.append(sg.ones(2))
    bank.many += [sg.ones(2)]
    bank.many[0] = sg.zeros(2)
    assert len(bank.many) == 5
    assert isinstance(bank.many[0], nn.Parameter)
    assert len(bank.many[1:3]) == 2
    with pytest.raises(TypeError, match="ParameterList: holds parameters, and 3 is a int"):
        bank.many.append(3)
    assert "gain" in bank.named
    assert list(bank.named) == list(bank.named.keys()) == ["gain"]
    assert bank.named.pop("gain").shape == (2,)
    assert "Parameter containing: [float32 of size 2]" in repr(bank)


def test_modules_of_a_list_that_are_attributes_are_run_too():
    class Tower(nn.Sequential):
        def __init__(self):
            super().__init__(nn.Linear(2, 2), nn.ReLU())
            self.head = nn.Linear(2, 1)

    tower = Tower()
    assert tower(sg.ones(3, 2)).shape == (3, 1)
    assert len(tower) == 3
    assert tower.head is tower[2]
    del tower.head
    assert len(tower) == 2
    more = tower + [nn.Tanh()]
    assert (len(more), len(tower)) == (3, 2)
    tower.register_module("last", nn.Linear(2, 5))
    assert tower(sg.ones(3, 2)).shape == (3, 5)


def test_parameters_and_their_module():
    from scratchgan.nn.parameter import Parameter

    assert Parameter is nn.Parameter
    assert nn.Parameter().shape == (0,)
    layer = nn.Linear(2, 3, dtype=sg.float64)
    assert layer.weight.dtype == layer.bias.dtype == sg.float64
    assert nn.BatchNorm1d(3, dtype=sg.float64).running_mean.dtype == sg.float64
    assert nn.BatchNorm1d(3, bias=False).bias is None


def test_padding_of_an_embedding_is_not_learned():
    layer = nn.Embedding(3, 2, padding_idx=-1)
    assert layer.padding_idx == 2
    assert layer.weight[2].tolist() == [0, 0]
    layer(sg.tensor([2, 1])).sum().backward()
    assert layer.weight.grad.tolist() == [[0, 0], [1, 1], [0, 0]]
    assert not nn.Embedding.from_pretrained(sg.ones(2, 2)).weight.requires_grad
    with pytest.raises(ValueError, match="padding_idx is 3; there are 3 rows"):
        nn.Embedding(3, 2, padding_idx=3)
    with pytest.raises(ValueError, match="Embedding: a table of shape"):
        nn.Embedding(3, 2, _weight=sg.ones(2, 2))


def test_softmax_without_a_dimension_warns():
    with pytest.warns(UserWarning, match="softmax: .*give dim"):
        nn.Softmax()(sg.ones(2))
