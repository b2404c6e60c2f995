"""Hooks, which see gradients pass and may replace them."""

import pytest

import scratchgan as sg
from scratchgan.autograd import TapeError, grad


def leaf(*values):
    return sg.tensor(values, "float64", requires_grad=True)


def test_a_hook_sees_the_whole_gradient_once_and_may_replace_it():
    x = leaf(1.0)
    y = x * 2
    seen = []
    y.register_hook(lambda g: seen.append(g.tolist()))
    handle = y.register_hook(lambda g: g * 10)
    y.register_hook(lambda g: seen.append(g.tolist()))
    (y * 3 + y * 4).backward(retain_graph=True)
    assert seen == [[7.0], [70.0]]  # in the order of registration, after all contributions
    assert x.grad.tolist() == [140.0]
    handle.remove()
    handle.remove()
    seen.clear()
    (y * 3).backward()
    assert seen == [[3.0], [3.0]]


def test_a_hook_is_of_one_node_alone():
    x = leaf(0.0)
    y = sg.expm1(x)
    seen = []
    y.register_hook(lambda g: seen.append(g.item()))
    (g,) = grad(y, x, create_graph=True)  # y + 1
    (g * 3.0).backward()
    assert seen == [1.0, 3.0]  # and not that of y + 1


def test_a_hook_stays_where_saved_values_were_freed():
    x = leaf(3.0)
    y = x * x
    seen = []
    y.register_hook(lambda g: seen.append(g.item()))
    y.backward()
    grad(y * 2.0, y)
    assert seen == [1.0, 2.0]


def test_a_hook_on_a_leaf():
    x = leaf(1.0)
    x.register_hook(lambda g: g + 0.5)
    (x * 2 + x * 3).backward()
    assert x.grad.tolist() == [5.5]
    assert grad(x * 2, x)[0].tolist() == [2.5]
    with pytest.raises(TapeError, match="does not require a gradient"):
        sg.ones(1).register_hook(print)


def test_a_hook_is_differentiable_with_create_graph():
    x = leaf(3.0)
    y = x * x
    y.register_hook(lambda g: g * x)
    (g,) = grad(y, x, create_graph=True)  # 2x * x
    assert grad(g, x)[0].tolist() == [12.0]


def test_retain_grad():
    x = leaf(1.0)
    x.retain_grad()  # a leaf keeps it anyway
    y = x * 2
    z = y * y
    y.retain_grad()
    z.backward(retain_graph=True)
    assert y.grad.tolist() == [4.0]
    z.backward()
    assert (y.grad.tolist(), x.grad.tolist()) == ([8.0], [16.0])
    assert z.grad is None
    with pytest.raises(TapeError, match="retain_grad: the tensor does not require a gradient"):
        x.detach().retain_grad()


def test_what_is_retained_is_what_hooks_have_made_of_it_and_once():
    y = leaf(1.0) * 2
    y.retain_grad()
    y.register_hook(lambda gradient: gradient * 5)
    y.retain_grad()
    y.register_hook(lambda gradient: gradient * 7)
    y.backward()
    assert y.grad.item() == 35


def test_what_is_retained_is_the_gradient_of_what_the_tensor_has_become():
    x = leaf(1.0)
    y = x * 2
    y.retain_grad()
    y.mul_(5)
    (y * 3).backward()
    assert (y.grad.tolist(), x.grad.tolist()) == ([3.0], [30.0])
