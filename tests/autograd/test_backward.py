"""The backward pass: what travels back, what is refused, and what is freed when."""

import copy
import gc
import itertools
import weakref
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import scratchgan as sg
from scratchgan import autograd, ops
from scratchgan.autograd import TapeError, grad, no_grad, tape
from scratchgan.autograd.primitive import primitive
from scratchgan.ops.reductions import SMALL


def leaf(*values):
    return sg.tensor(values, "float64", requires_grad=True)


# --- Gradients ------------------------------------------------------------------------


def test_backward_adds_to_the_leaves():
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    (x * y + x).sum().backward()
    assert x.grad.tolist() == [4.0, 5.0]
    assert y.grad.tolist() == [1.0, 2.0]
    assert (x.grad.dtype, x.grad.requires_grad) == (np.float64, False)
    (x * 10).sum().backward()
    assert x.grad.tolist() == [14.0, 15.0]


@given(st.integers(1, 40))
def test_a_tensor_used_again_and_again(n):
    x = leaf(1.0)
    y = x
    for _ in range(n):
        y = y + y  # 2**n paths, n nodes
    y.backward()
    assert x.grad.tolist() == [2.0**n]


def test_gradients_arrive_in_the_type_of_the_leaf():
    x = sg.tensor([1.0, 2.0], "float32", requires_grad=True)
    y = sg.tensor([3.0, 4.0], "float64", requires_grad=True)
    z = x * y
    assert z.dtype == np.float64
    z.sum().backward()
    assert (x.grad.dtype, y.grad.dtype) == (np.float32, np.float64)


def test_several_starts_with_gradients_of_their_own():
    x = leaf(1.0, 2.0)
    y, z = x * 2, x.sum()
    autograd.backward([y, z], [sg.tensor([1.0, 10.0], "float64"), None])
    assert x.grad.tolist() == [3.0, 21.0]
    # One start lies behind the other; each counts.
    y = x * 2
    assert grad([y * 3, y], x, [y.ones_like(), y.ones_like()])[0].tolist() == [8.0, 8.0]


def test_a_leaf_as_the_start():
    x = leaf(5.0)
    x.backward()
    assert x.grad.tolist() == [1.0]
    seed = sg.tensor([7.0], "float64")
    y = leaf(5.0)
    y.backward(seed)
    seed.zero_()
    assert y.grad.tolist() == [7.0]  # the leaf has memory of its own


def test_each_leaf_has_memory_of_its_own():
    given = sg.tensor([1.0, 2.0])
    outside = np.array([3.0, 4.0], np.float32)
    x, y, z, w = (sg.zeros(2, requires_grad=True) for _ in range(4))
    z.register_hook(lambda g: sg.from_numpy(outside))
    w.register_hook(lambda g: given.detach())
    ((x + y + z + w) * 2.0).backward(given)  # one new gradient goes to all four
    arrays = [given.array, outside, *[leaf.grad.array for leaf in (x, y, z, w)]]
    for one, other in itertools.combinations(arrays, 2):
        assert not np.shares_memory(one, other)
    assert [leaf.grad.tolist() for leaf in (x, y, z, w)] == [[2, 4], [2, 4], [3, 4], [1, 2]]
    x.sum().backward()
    x.grad.zero_()
    (x * 2.0).backward(x.grad)  # a gradient that is itself where to start
    assert x.grad.tolist() == [0.0, 0.0]


def test_leaves_do_not_share_the_memory_of_their_gradients():
    x, y, z = leaf(1.0, 2.0), leaf(1.0, 2.0), leaf(3.0)
    seed = sg.ones(2, dtype="float64")
    (x + y + z).backward(seed)
    with no_grad():
        x.grad.add_(100.0)
    assert y.grad.tolist() == seed.tolist() == [1.0, 1.0]
    assert z.grad.tolist() == [2.0]
    w = leaf(1.0, 2.0)
    w.sum().backward()  # expanded from one number; it can still be changed
    w.grad[0] = 5.0
    assert w.grad.tolist() == [5.0, 1.0]


def test_higher_derivatives():
    x = leaf(0.7)
    y = sg.sin(x)
    for k in range(1, 6):
        (y,) = grad(y, x, create_graph=True)
        np.testing.assert_allclose(y.numpy(force=True), np.sin(0.7 + k * np.pi / 2), rtol=1e-14)
    x = leaf(2.0)
    y = x**5
    for expected in (80.0, 160.0, 240.0, 240.0, 120.0):
        (y,) = grad(y, x, create_graph=True)
        assert y.tolist() == [expected]


def test_create_graph_lets_backward_be_differentiated():
    x = leaf(3.0)
    (x * x * x).backward(create_graph=True)
    assert x.grad.requires_grad
    (x.grad * x).backward()  # d/dx 3x^3 = 9x^2, added to 3x^2
    assert x.grad.tolist() == [27.0 + 81.0]


# --- What is refused ------------------------------------------------------------------


def test_a_second_backward_names_the_primitive():
    x = leaf(2.0)
    y = sg.exp(x)
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.item() == pytest.approx(2 * np.exp(2.0))
    with pytest.raises(TapeError, match=r"a second time to 'exp'.*retain_graph=True"):
        y.backward()


def test_a_freed_part_that_two_share_is_noticed():
    x = leaf(2.0)
    shared = sg.sin(x)
    first, second = shared * 2, shared * 3
    first.backward()
    with pytest.raises(TapeError, match="'sin'"):
        second.backward()


@pytest.mark.parametrize("given", [None, 3.0])
def test_a_vjp_that_gives_no_tensor_names_primitive_and_input(own_primitives, given):
    @sg.elementwise(x=lambda g: given)
    def wrong(x):
        return x + 0

    with pytest.raises(TapeError, match=f"the VJP of 'wrong' for 'x' gave {given} for an input"):
        wrong(sg.ones(2, requires_grad=True)).sum().backward()


def test_a_vjp_of_too_few_inputs_says_so(own_primitives):
    @primitive(xs=lambda g: [g])
    def joined(*xs):
        return xs[0] + xs[1]

    x = sg.ones(2, requires_grad=True)
    with pytest.raises(TapeError, match="the VJP of 'joined' for 'xs' gave 1 gradients for 2"):
        joined(x, x).sum().backward()


def test_a_vjp_of_a_wrong_shape_names_primitive_and_input(own_primitives):
    @sg.elementwise(x=lambda g: ops.reshape(g, shape=(2, 3)))
    def turned(x):
        return x + 0

    x = sg.ones(3, 2, requires_grad=True)
    message = r"the VJP of 'turned' for 'x' gave a gradient of shape \(2, 3\) .* of shape \(3, 2\)"
    with pytest.raises(TapeError, match=message):
        turned(x).sum().backward()


# --- Depth and memory -----------------------------------------------------------------


@contextmanager
def without_gc():
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@pytest.mark.parametrize("create_graph", [False, True])
def test_a_chain_of_100_000_operations(create_graph):
    n = 100_000
    x = leaf(1.0)
    y = x
    for _ in range(n // 2):
        y = y * 1.0001
        y = y + 1e-6
    (g,) = grad(y, x, create_graph=create_graph)
    assert g.item() == pytest.approx(1.0001 ** (n // 2), rel=1e-9)
    del y, g  # freeing it must not recurse either


def test_a_deep_chain_is_freed_without_the_collector():
    with without_gc():
        x = leaf(1.0)
        y = x
        before = alive(tape.Node)
        for _ in range(20_000):
            y = sg.sin(y)
        assert alive(tape.Node) == before + 20_000
        del y
        assert alive(tape.Node) == before


def composed(x):
    """Every kind of node: views, reductions, saved results, indices, several inputs."""
    h = ops.linear(x, x, x[:, 0], activation="tanh")
    h = sg.concatenate([h, sg.sigmoid(h).T, h[sg.tensor([1, 0])]])
    h = sg.where(h > 0, sg.exp(h), sg.maximum(h, 0.1 * h)).reshape(-1)
    return sg.log_softmax(h, -1).max() + (h**2).mean() + h.std()


def alive(*classes):
    # Not isinstance(), which asks an object for its class: a dead weak proxy has none, and some
    # of PyTorch's warn.
    return sum(issubclass(type(x), classes) for x in gc.get_objects())


@pytest.mark.parametrize("how", ["backward", "grad", "second order", "forward", "hooks"])
def test_nothing_is_left_over_without_the_collector(how):
    x = sg.tensor(np.random.default_rng(0).standard_normal((2, 2)), requires_grad=True)

    def step():
        y = composed(x)
        if how == "backward":
            y.backward()
        elif how == "grad":
            grad(y, x)
        elif how == "second order":
            (g,) = grad(y, x, create_graph=True)
            (g * g).sum().backward()
        elif how == "hooks":
            z = y * 2
            z.retain_grad()
            z.register_hook(lambda g: g * 1.0)
            z.backward()
        x.grad = None

    step()
    with without_gc():
        before = alive(sg.Tensor, tape.Node)
        for _ in range(3):
            step()
        assert alive(sg.Tensor, tape.Node) == before


def test_backward_frees_saved_values_as_it_goes():
    with without_gc():
        x = sg.ones(1000, requires_grad=True)
        y = sg.exp(x)
        saved = weakref.ref(y.array)
        z = sg.sin(y)
        del y
        assert saved() is not None
        alive = []
        z.register_hook(lambda g: alive.append(saved() is not None))
        hook = weakref.ref(next(iter(z.node.hooks.values())))
        z.backward(sg.ones(1000))
        assert alive == [True]
        assert saved() is None
        assert z.node is not None
        del z
        assert hook() is None


@pytest.mark.parametrize("size", [SMALL, SMALL + 1])
def test_the_gradient_of_a_sum_is_the_same_for_few_and_many(size):
    x, y = (sg.ones(size, requires_grad=True) for _ in range(2))
    seed = sg.tensor(2.0)
    (x.sum() + (y * 3.0).sum(axis=0, keepdims=True)).sum().backward(seed)
    assert set(x.grad.tolist()) == {2.0}
    assert set(y.grad.tolist()) == {6.0}
    x.grad += 1.0  # it is no view of one number
    assert x.grad.array.sum() == 3.0 * size
    assert seed.item() == 2.0


def test_a_result_on_the_tape_is_not_copied_with_it():
    x = leaf(1.0, 2.0)
    x.sum().backward()
    again = copy.deepcopy(x)
    assert again is not x
    assert not np.shares_memory(again.array, x.array)
    assert again.requires_grad
    assert again.grad.tolist() == [1.0, 1.0]
    assert again.grad is not x.grad
    with pytest.raises(RuntimeError, match="deepcopy: of a result on the tape"):
        copy.deepcopy(x * 2)
    copied = copy.deepcopy((x * 2).detach())
    assert copied.tolist() == [2.0, 4.0]
