"""Rules: what VJPs are written out as."""

import traceback

import numpy as np
import pytest

import scratchgan as sg
from scratchgan import Tensor, ops, primitive
from scratchgan.autograd.rules import is_written_out
from scratchgan.backend import Array


def test_a_rule_keeps_what_its_vjps_name_and_nothing_else() -> None:
    x, y, z = sg.ones(3, requires_grad=True), sg.ones(3, requires_grad=True), sg.ones(3)
    for out, kept in (
        (x * y, {"to_x": x, "to_y": y, "x": x, "y": y}),
        (x * z, {"to_x": x, "y": z}),
        (x * 2.0, {"to_x": x, "y": 2.0}),
        (x + z, {"to_x": x}),
    ):
        found = {slot: getattr(out.node, slot) for slot in out.node.__slots__}
        assert {name: id(one) for name, one in found.items()} == {
            name: id(one) for name, one in kept.items()
        }
    assert "vjp_x(g, y)" in (x * y).node.source
    assert "vjp_y" not in (x * 2.0).node.source


def test_a_rule_is_written_once_for_a_case() -> None:
    x, y = sg.ones(3, requires_grad=True), sg.ones(3)
    assert type((x * y).node) is type((x * x.detach()).node)
    assert type((x * y).node) is not type((x * 2.0).node)
    assert type((x * y).node) is not type((y * x).node)


def test_nodes_are_their_numbers() -> None:
    x = sg.ones(3, requires_grad=True)
    y = x * 2.0
    z = y.tanh()
    assert y.node < z.node < (x * y).node
    assert len({y.node, z.node, y.node}) == 2
    assert repr(z.node) == f"<tanh node {int(z.node)}, shape (3,)>"


@pytest.mark.parametrize("hooked", [False, True])
def test_a_freed_node_keeps_its_edges_alone(hooked: bool) -> None:
    x = sg.ones(3, requires_grad=True)
    y = x * x.detach()
    passed = []
    if hooked:
        y.register_hook(passed.append)
    y.sum().backward(retain_graph=True)
    assert y.node.y is not None and not y.node.is_freed
    y.sum().backward()
    assert y.node.y is None and y.node.is_freed
    assert y.node.edges == [x] and y.node.name == "mul"
    assert len(passed) == 2 * hooked
    with pytest.raises(sg.autograd.TapeError, match="came a second time to 'mul'"):
        y.sum().backward()


@pytest.mark.usefixtures("own_primitives")
@pytest.mark.parametrize(
    ("name", "class_name"),
    [("own_op", "OwnOpNode"), ("_1x_2", "_1x_2Node"), ("<lambda>", "LambdaNode")],
)
def test_a_primitive_may_have_any_name(name: str, class_name: str) -> None:
    def forward(x: Array) -> Array:
        return x * 2

    forward.__name__ = name
    y = primitive(x=lambda g: g * 2.0)(forward)(sg.ones(1, requires_grad=True))
    assert type(y.node).__name__ == class_name
    assert repr(y.node).startswith(f"<{name} node")


@pytest.mark.usefixtures("own_primitives")
def test_names_of_inputs_and_keywords_may_be_any() -> None:
    @primitive(
        node=lambda g, kind, out_x: g * kind * out_x,
        kind=lambda g, node, out_x: g * node * out_x,
        __x=lambda g, to_node: g * to_node,
        common={"to_node": lambda node, name: node * name},
    )
    def colliding(
        node: Array, kind: Array, __x: Array, *, name: float, out_x: float = 2.0
    ) -> Array:
        return np.asarray(node * kind * out_x + node * name * __x)

    inputs = [sg.tensor([v], "float64", requires_grad=True) for v in (2.0, 3.0, 5.0)]
    colliding(*inputs, name=7.0).backward()
    assert [x.grad.item() for x in inputs] == [6.0, 4.0, 14.0]


@pytest.mark.usefixtures("own_primitives")
def test_a_vjp_that_names_what_there_is_not_is_an_error() -> None:
    @primitive(x=lambda g, z: g)
    def own_mistaken(x: Array) -> Array:
        return x + 0

    with pytest.raises(TypeError, match="own_mistaken: a VJP names 'z', which there is not"):
        own_mistaken(sg.ones(2, requires_grad=True))
    assert own_mistaken(sg.ones(2)).tolist() == [1.0, 1.0]


@pytest.mark.usefixtures("own_primitives")
def test_a_traceback_shows_the_lines_of_a_rule() -> None:
    def vjp(g: Tensor) -> Tensor:
        raise ZeroDivisionError

    @primitive(x=vjp)
    def own_failing(x: Array) -> Array:
        return x + 0

    with pytest.raises(ZeroDivisionError) as caught:
        own_failing(sg.ones(1, requires_grad=True)).backward()
    lines = [f.line for f in traceback.extract_tb(caught.tb) if is_written_out(f.filename)]
    assert lines == ["of_x = vjp_x(g)"]


# --- The functions that call primitives --------------------------------------------------


def test_arguments_go_by_position_and_by_name() -> None:
    x = sg.tensor([[1.0, 2.0], [3.0, 4.0]])
    expected = [[3.0], [7.0]]
    assert ops.sum(x, 1, True).tolist() == expected
    assert ops.sum(x=x, keepdims=True, axis=1).tolist() == expected
    assert x.sum(1, keepdims=True).tolist() == expected
    assert ops.sum(x.numpy(), 1, True).tolist() == expected
    assert ops.sub(y=x, x=x + 1).tolist() == ops.sub(x + 1, x).tolist()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: ops.mul(x), r"mul\(\) missing 1 required positional argument: 'y'"),
        (lambda x: ops.tanh(x, x), r"tanh\(\) takes 1 positional argument but 2 were given"),
        (lambda x: ops.sum(x, axes=0), r"sum\(\) got an unexpected keyword argument 'axes'"),
        (lambda x: ops.expand(x), r"expand\(\) missing 1 required positional argument: 'shape'"),
    ],
)
def test_arguments_that_do_not_fit_are_named(call: object, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        call(sg.ones(2))


@pytest.mark.usefixtures("own_primitives")
def test_keywords_with_defaults_in_any_order() -> None:
    @primitive(x=lambda g, factor: g * factor)
    def own_scaled(x: Array, *, shift: float = 1.0, factor: float) -> Array:
        return np.asarray(x * factor + shift)

    x = sg.tensor([2.0], requires_grad=True)
    assert own_scaled(x, factor=3.0).item() == 7.0
    with pytest.raises(TypeError, match="own_scaled: lacks the argument 'factor'"):
        own_scaled(x)
