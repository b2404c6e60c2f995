"""A tape in a terminal: a tree, and a walk back."""

import gc
import re
import weakref
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import scratchgan as sg
from scratchgan import nn
from scratchgan.autograd import TapeError


@pytest.fixture
def loss():
    x = sg.tensor([1.0, 2.0], requires_grad=True)
    w = sg.tensor([0.5, -1.0], requires_grad=True)
    return ((w * x).tanh() * x).sum(), {"x": x, "w": w}


def test_a_tree_has_names_shapes_values_gradients_and_rules(loss):
    tensor, names = loss
    assert str(sg.graph(tensor, names)) == (
        "sum () = -1.4659  ∇ 1.\n"
        "└─ mul (2)  ∇ [1., 1.]                                "
        "← _sum_vjp(g, x_shape, dim, keepdim)\n"
        "   ├─ tanh (2) = [ 0.4621, -0.964 ]  ∇ [1., 2.]       ← g * y\n"
        "   │  └─ mul (2)  ∇ [0.7864, 0.1413]                  ← tanh_backward(g, out)\n"
        "   │     ├─ w (2) = [ 0.5, -1. ]  ∇ [0.7864, 0.2826]  ← g * y\n"
        "   │     └─ x (2) = [1., 2.]  ∇ [ 0.8553, -1.1053]    ← g * x\n"
        "   └─ x (2) = [1., 2.]  ∇ [ 0.8553, -1.1053]          ← g * x"
    )


def test_a_walk_back_prints_what_arrives_the_rule_and_what_leaves(loss, capsys):
    tensor, names = loss
    sg.trace_backward(tensor, names)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "  1  sum ()   g = 1."
    assert lines[3] == "  2  mul (2)   g = [1., 1.]"
    assert lines[4].startswith("       x: g * y  # scratchgan/ops/elementwise.py:")
    assert lines[6].startswith("       y (x): g * x  # ")
    assert lines[-1] == "         (2) = [ 0.3932, -0.1413]"


def test_the_gradients_are_those_of_backward(loss):
    tensor, names = loss
    text = str(sg.graph(tensor, names))
    assert names["x"].grad is None
    tensor.backward()
    shown = np.array2string(names["x"].grad.numpy(), precision=4, separator=", ")
    assert f"x (2) = [1., 2.]  ∇ {shown}" in text


def test_parameters_are_named_after_their_module():
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    text = str(sg.graph(model(sg.ones(4, 2)).sum(), model))
    for name in ("0.weight (3, 2)", "0.bias (3)", "2.weight (1, 3)", "2.bias (1)"):
        assert f"─ {name} = " in text


def test_without_names_those_of_variables_are_taken(capsys):
    """Of a model that of the whole, though a variable holds a part of it or a parameter."""
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    last = model[2]
    weight, x = last.weight, sg.ones(4, 2)
    loss = model(x).sum() + weight.sum()
    names = ("x (4, 2)", *(f"model.{i}" for i in ("0.weight", "0.bias", "2.weight", "2.bias")))
    for shown in (str(sg.graph(loss)), sg.graph(loss)._repr_svg_()):
        assert all(name in shown for name in names)
        assert not re.search(r"last|(leaf|constant|parameter) \(", shown)
    sg.trace_backward(loss)
    assert "weight (model.2.weight): " in capsys.readouterr().out
    unnamed = str(sg.graph(loss, {}))
    assert unnamed.count("parameter (") == 5 and "model" not in unnamed


def test_variables_are_those_of_the_caller():
    """What a notebook keeps under a name with _ is none, nor what only passes for a tensor."""

    class Liar:
        @property
        def __class__(self):
            raise RuntimeError("asked")

    def shown(inner):
        liar = Liar()
        return str(sg.graph(inner * _1 * outer)), liar

    outer, _1 = sg.tensor(2.0), sg.tensor(3.0, requires_grad=True)
    lines = [line.split("─ ")[-1].split(" (")[0] for line in shown(sg.ones(1))[0].splitlines()]
    assert lines == ["mul", "mul", "inner", "leaf", "outer"]


def test_a_graph_holds_no_module():
    def made():
        model = nn.Linear(2, 1)
        return sg.graph(model(sg.ones(1, 2))), weakref.ref(model)

    graph, held = made()
    gc.collect()
    assert held() is None
    assert "model.weight" in str(graph)


def test_what_is_used_twice_is_shown_once():
    x = sg.tensor(2.0, requires_grad=True)
    y = x.exp()
    text = str(sg.graph(y * y, {"x": x}))
    assert text.count("exp ()") == 2
    assert text.count("x ()") == 1
    assert text.splitlines()[-1].split("  ∇")[0].endswith("exp () = 7.3891")
    assert text.splitlines()[-1].endswith("(shown above)")


def test_a_constant_below_what_was_shown_is_itself():
    x = sg.tensor(2.0, requires_grad=True)
    y = x * 5
    lines = str(sg.graph(y + y * 3)).splitlines()
    assert [line.split("─ ")[-1].split(" ")[0] for line in lines[1:]] == [
        *("mul", "x", "5", "mul", "mul", "3")
    ]


@pytest.mark.parametrize("length", [1, 2, 1500])
def test_a_chain_of_any_length(length):
    y = x = sg.tensor(1.0, requires_grad=True)
    for _ in range(length):
        y = -y
    lines = str(sg.graph(y, {"x": x})).splitlines()
    assert len(lines) == min(length, 50) + 1
    assert ("(goes on; sg.inspect draws it)" in lines[-1]) == (length > 50)


def test_of_many_elements_there_are_mean_and_spread_and_how_many_are_not_finite(capsys):
    x = sg.tensor([1.0, 3.0] * 4 + [float("nan"), float("inf")], requires_grad=True)
    large = sg.tensor([1e300, 3e300] * 3, dtype=sg.float64, requires_grad=True)
    none = sg.full((5,), float("nan"), requires_grad=True)
    for given, shown in (
        (x, "(10) = 2 ± 1 and 2 not finite"),
        (large, "(6) = 2e+300 ± 1e+300"),
        (none, "(5) = 5 not finite"),
    ):
        assert str(sg.graph(given * 1, {"x": given})).splitlines()[1].startswith(f"├─ x {shown}  ∇")


def test_a_name_stays_in_its_line():
    x = sg.tensor(1.0, requires_grad=True)
    graph = sg.graph(-x, {"a\nb\0\ud800é": x})
    assert str(graph).splitlines()[1].startswith("└─ a\\nb\\x00\\ud800é () = 1.")
    ET.fromstring(graph._repr_svg_())


def test_what_has_no_tape():
    for show in (sg.graph, sg.trace_backward):
        with pytest.raises(TapeError, match=r"shape \(2,\) is a leaf: no primitive made it"):
            show(sg.ones(2, requires_grad=True))
    with pytest.raises(TapeError, match="does not require a gradient"):
        sg.graph(sg.ones(2))
    x = sg.tensor(1.0, requires_grad=True)
    y = x * x
    y.backward()
    with pytest.raises(TapeError, match="freed"):
        sg.graph(y)


@pytest.mark.parametrize("wrong", ["x", None, 3.0, [1.0], np.ones(2)])
def test_a_graph_of_no_tensor_and_names_of_nothing(wrong, loss, tmp_path):
    tensor, _ = loss
    for show in (sg.graph, sg.trace_backward):
        with pytest.raises(TypeError, match="a graph is that of a tensor, not of"):
            show(wrong)
    with pytest.raises(TypeError, match="a function without arguments or a tensor, not"):
        sg.inspect(wrong, tmp_path / "page.html")
    for show in (sg.graph, sg.trace_backward, lambda x, names: sg.inspect(x, names=names)):
        with pytest.raises(TypeError, match="names must map names to modules and tensors, not 'w'"):
            show(tensor, names={"w": wrong})
        if wrong is not None:
            with pytest.raises(TypeError, match="names must be a module, or map names to modules"):
                show(tensor, names=wrong)
