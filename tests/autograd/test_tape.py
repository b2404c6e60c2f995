"""The tape: what a node keeps, for how long, and what a reader sees of it."""

import functools
import gc
import os
import subprocess
import sys
import traceback
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import scratchgan as sg
from scratchgan import Tensor, ops, primitive
from scratchgan.autograd.tape import Node
from scratchgan.backend import CPU_BACKENDS, Array


def alive(make: Any) -> list[bool]:
    """Which of the tensors that ``make`` gives outlive it beside its result."""
    gc.disable()
    try:
        _kept, *tensors = make()
        watched = [weakref.ref(x) for x in tensors]
        tensors.clear()
        return [x() is not None for x in watched]
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        (lambda x, y: x + y, [False, False]),
        (lambda x, y: x * y, [True, True]),
        (lambda x, y: x.detach() * y, [False, False]),  # x is kept, as a constant without its past
        (lambda x, y: (x * 2.0) + y.detach(), [False, False]),
        (lambda x, y: x.tanh() + y, [False, False]),
        (lambda x, y: x.square() - y, [True, False]),
        (lambda x, y: ops.cat(x, y), [False, False]),
        (lambda x, y: ops.linear(x, y, sg.ones(3)), [True, True]),
    ],
)
def test_what_no_vjp_names_is_not_kept_alive(operation: Any, expected: list[bool]) -> None:
    def make() -> list[Tensor]:
        x, y = (sg.ones(3, 3, requires_grad=True) + 0.0 for _ in range(2))
        return [operation(x, y), x, y]

    assert alive(make) == expected


def test_backward_lets_go_of_what_was_saved() -> None:
    x, y = sg.ones(3, requires_grad=True), sg.ones(3) + 0.0
    z = x * y
    watched = weakref.ref(y)
    del y
    z.sum().backward(retain_graph=True)
    assert watched() is not None and not z.node.is_freed
    z.sum().backward()
    assert watched() is None and z.node.is_freed
    assert z.node.edges[0] is x and z.node.name == "mul"
    with pytest.raises(sg.autograd.TapeError, match="came a second time to 'mul'"):
        z.sum().backward()


def test_an_input_without_a_vjp_leaves_no_edge(own_primitives: None) -> None:
    @primitive(x=lambda g: g)
    def own_noisy(x: Array, noise: Array) -> Array:
        return x + noise

    x, noise = (sg.ones(3, requires_grad=True) for _ in range(2))
    assert own_noisy(x, noise).node.edges == (x, None)
    assert own_noisy(x.detach(), noise).node is None


def test_numbers_of_nodes_are_an_order_of_time() -> None:
    x = sg.ones(3, requires_grad=True)
    nodes: list[Node] = [y.node for y in (x * 2.0, x.tanh(), x.sum())]
    assert [n.number for n in nodes] == sorted(n.number for n in nodes)
    assert len(set(nodes)) == 3


def test_a_reader_sees_what_a_node_is() -> None:
    x = sg.ones(2, 3, requires_grad=True)
    y = x.tanh()
    shown = repr((y * x).node)
    for line in (
        "mul, node ",
        "(2, 3) float32",
        "lambda g, y: g * y",
        "lambda g, x: g * x",
        "ops/elementwise.py:",
        f"tanh, node {y.node.number}",
        "a leaf of shape (2, 3)",
        "saved: y (2, 3), x (2, 3)",
    ):
        assert line in shown, shown
    z = (x * 2.0).sum()
    assert "y = 2.0" in repr(z.node.edges[0])
    assert "saved: x_shape = (2, 3), dim = None, keepdim = False" in repr(z.node)
    z.backward()
    assert "freed" in repr(z.node)


def test_a_vjp_of_several_lines_is_shown_whole() -> None:
    x = sg.ones(2, requires_grad=True)
    shown = repr(ops.leaky_relu(x, negative_slope=0.5).node)
    assert "lambda g, x, negative_slope: leaky_relu_backward(g, x, negative_slope=" in shown
    assert "def _pow_vjp_x(g: Any, x: Any, y: Any)" in repr(ops.pow(x, x).node)


@pytest.mark.usefixtures("own_primitives")
@pytest.mark.parametrize("name", ["own_op", "_1x_2", "<lambda>"])
def test_a_primitive_may_have_any_name(name: str) -> None:
    def forward(x: Array) -> Array:
        return x * 2

    forward.__name__ = name
    y = primitive(x=lambda g: g * 2.0)(forward)(sg.ones(1, requires_grad=True))
    assert y.node.name == name
    y.backward()


@pytest.mark.usefixtures("own_primitives")
def test_inputs_and_keywords_may_have_any_names() -> None:
    @primitive(
        node=lambda g, kind, out_x: g * kind * out_x,
        kind=lambda g, node, out_x: g * node * out_x,
        __x=lambda g, to_node: g * to_node,
        shared={"to_node": lambda node, name: node * name},
    )
    def colliding(
        node: Array, kind: Array, __x: Array, *, name: float, out_x: float = 2.0
    ) -> Array:
        return np.asarray(node * kind * out_x + node * name * __x)

    inputs = [sg.tensor([v], "float64", requires_grad=True) for v in (2.0, 3.0, 5.0)]
    colliding(*inputs, name=7.0).backward()
    assert [x.grad.item() for x in inputs if x.grad] == [6.0, 4.0, 14.0]


@pytest.mark.usefixtures("own_primitives")
def test_a_vjp_that_names_what_there_is_not_is_an_error() -> None:
    @primitive(x=lambda g, z: g)
    def own_mistaken(x: Array) -> Array:
        return x + 0

    with pytest.raises(TypeError, match="own_mistaken: a VJP has the parameter 'z', which is nei"):
        own_mistaken(sg.ones(2, requires_grad=True))
    assert own_mistaken(sg.ones(2)).tolist() == [1.0, 1.0]


@pytest.mark.usefixtures("own_primitives")
def test_a_vjp_may_be_anything_that_is_called() -> None:
    def scaled(factor: float, g: Tensor) -> Tensor:
        return g * factor

    for vjp in (functools.partial(scaled, 3.0), lambda g, factor=3.0: g * factor):

        @primitive(x=vjp)
        def own_tripled(x: Array) -> Array:
            return x * 3

        x = sg.ones(2, requires_grad=True)
        y = own_tripled(x)
        assert "own_tripled, node" in repr(y.node)
        y.sum().backward()
        assert x.grad is not None and x.grad.tolist() == [3.0, 3.0]


@pytest.mark.usefixtures("own_primitives")
def test_a_vjp_of_several_inputs_gives_a_gradient_for_each() -> None:
    @primitive(tensors=lambda g, tensors_shapes, tensors: [g * 2.0 for _ in tensors])
    def own_total(*tensors: Array) -> Array:
        return np.asarray(sum(tensors) * 2)

    x, y, z = sg.ones(2, requires_grad=True), sg.ones(2), sg.ones(2, requires_grad=True)
    own_total(x, y, z).sum().backward()
    assert x.grad.tolist() == z.grad.tolist() == [2.0, 2.0]
    assert y.grad is None
    assert own_total(x, y, z).node.edges == (x, None, z)


# --- No riddles: all that runs can be read ------------------------------------------------


def test_every_line_that_runs_stands_in_a_file(own_primitives: None) -> None:
    """Nothing is written at run time: a reader can set a breakpoint on every line."""

    @sg.elementwise(x=lambda g, y: g * y, y=lambda g, x: g * x)
    def own_product(x: float, y: float) -> float:
        return x * y

    seen: set[tuple[str, int]] = set()

    def trace(frame: Any, event: str, argument: Any) -> Any:
        seen.add((frame.f_code.co_filename, frame.f_lineno))
        return trace

    x, y = sg.ones(3, requires_grad=True), sg.ones(3, requires_grad=True)
    own_product(x.detach(), y.detach())  # kernels, which are compiled, are another matter
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        (x * y).backward(sg.ones(3))
        ops.sum(ops.cat(x, own_product(x, y))).backward()
    finally:
        sys.settrace(before)
    assert any("scratchgan" in file for file, _ in seen)
    for file, line in seen:
        if file.startswith("<frozen "):  # Python's own
            continue
        assert Path(file).is_file(), file
        assert line <= len(Path(file).read_text().splitlines())


#: Prints how many different functions the second product of a process runs, with its backward.
SECOND_PRODUCT = """
import sys
import scratchgan as sg

x, y, g = sg.ones(3, requires_grad=True), sg.ones(3, requires_grad=True), sg.ones(3)
functions = set()
(x * y).backward(g)
sys.settrace(lambda frame, event, argument: functions.add(frame.f_code))
(x * y).backward(g)
sys.settrace(None)
print(len(functions))
"""


@pytest.mark.parametrize("backend", CPU_BACKENDS)
def test_a_product_with_its_backward_runs_few_functions(backend: str) -> None:
    """It also adds to a gradient for the first time, for which it need not look for a kernel."""
    environment = {**os.environ, "SCRATCHGAN_BACKEND": backend}
    found = subprocess.check_output([sys.executable, "-c", SECOND_PRODUCT], env=environment)
    assert int(found) <= 15


@pytest.mark.usefixtures("own_primitives")
def test_a_traceback_leads_from_backward_to_the_vjp() -> None:
    def vjp(g: Tensor) -> Tensor:
        raise ZeroDivisionError

    @primitive(x=vjp)
    def own_failing(x: Array) -> Array:
        return x + 0

    with pytest.raises(ZeroDivisionError) as caught:
        own_failing(sg.ones(1, requires_grad=True)).backward()
    names = [frame.name for frame in traceback.extract_tb(caught.tb)]
    assert names[-2:] == ["pull_back", "vjp"]


# --- The functions that call primitives ---------------------------------------------------


def test_arguments_go_by_position_and_by_name() -> None:
    x = sg.tensor([[1.0, 2.0], [3.0, 4.0]])
    expected = [[3.0], [7.0]]
    assert ops.sum(x, 1, True).tolist() == expected
    assert ops.sum(x=x, keepdims=True, axis=1).tolist() == expected
    assert x.sum(1, keepdims=True).tolist() == expected
    assert ops.sum(x.numpy(), 1, True).tolist() == expected
    assert ops.sub(y=x, x=x + 1).tolist() == ops.sub(x + 1, x).tolist()


@pytest.mark.usefixtures("own_primitives")
def test_keywords_with_defaults_in_any_order() -> None:
    @primitive(x=lambda g, factor: g * factor)
    def own_scaled(x: Array, *, shift: float = 1.0, factor: float) -> Array:
        return np.asarray(x * factor + shift)

    x = sg.tensor([2.0], requires_grad=True)
    assert own_scaled(x, factor=3.0).item() == 7.0
    with pytest.raises(TypeError, match="own_scaled: lacks the argument 'factor'"):
        own_scaled(x)
    with pytest.raises(TypeError, match="own_scaled: has no argument 'facto'"):
        own_scaled(x, facto=3.0)
