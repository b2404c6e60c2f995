"""``grad``: gradients of chosen tensors, which are returned."""

import numpy as np
import pytest

import scratchgan as sg
from scratchgan.autograd import TapeError, grad


def leaf(*values):
    return sg.tensor(values, "float64", requires_grad=True)


def test_grad_touches_no_grad():
    x, y = leaf(2.0), leaf(3.0)
    for_x, for_y = grad(x * y, (x, y))
    assert (for_x.tolist(), for_y.tolist()) == ([3.0], [2.0])
    assert x.grad is None and y.grad is None


def test_grad_of_what_is_in_the_middle():
    x = leaf(2.0)
    y = x * x
    z = y * y * x
    assert [g.tolist() for g in grad(z, (y, x), retain_graph=True)] == [[16.0], [80.0]]
    assert grad(z, (z,), retain_graph=True)[0].tolist() == [1.0]
    assert grad(z, y)[0].tolist() == [16.0]


def test_grad_goes_no_further_than_it_must():
    x = leaf(2.0)
    y = x * x
    z = y * 3
    grad(z, y)  # frees only what lies between
    assert grad(y, x)[0].tolist() == [4.0]


def test_grad_asks_no_more_of_a_primitive_with_many_inputs():
    x, y = (sg.ones(2, requires_grad=True) for _ in range(2))
    seen = []
    y.register_hook(seen.append)
    out = sg.cat([x, y * 2.0, y]).sum()
    assert [g.tolist() for g in grad(out, x)] == [[1.0, 1.0]]
    assert not seen


def test_an_unused_input():
    x, y = leaf(1.0), leaf(1.0)
    z = x * 2
    with pytest.raises(TapeError, match="do not depend on input 1; with allow_unused=True"):
        grad(z, (x, y))
    found = grad(x * 2, (x, y), allow_unused=True)
    assert found[0].tolist() == [2.0]
    assert found[1] is None


def test_what_grad_refuses():
    x = leaf(1.0, 2.0)
    with pytest.raises(TapeError, match="input 0 does not require a gradient"):
        grad(x.sum(), sg.ones(2))
    with pytest.raises(TapeError, match=r"shape \(2,\) has no single gradient to start from"):
        (x * 2).backward()
    with pytest.raises(TapeError, match=r"the gradient's shape \(3,\) is not the tensor's \(2,\)"):
        (x * 2).backward(sg.ones(3))
    with pytest.raises(TapeError, match="does not require a gradient"):
        sg.ones(1).backward()
    with pytest.raises(TapeError, match="2 gradients were given for 1 tensors"):
        grad(x.sum(), x, [sg.ones(()), sg.ones(())])


def test_integers_have_no_gradient():
    with pytest.raises(RuntimeError, match="only floating types have gradients, not int64"):
        sg.arange(3).requires_grad_()
    x = leaf(1.5)
    assert not (x > 1).requires_grad
    assert not x.to("int64").requires_grad


def test_only_what_is_wanted_must_not_be_freed():
    x, w = leaf(2.0), leaf(3.0)
    y = x * x
    y.backward()
    z = y * w
    assert grad(z, w, retain_graph=True)[0].item() == 4.0  # not through the freed part
    with pytest.raises(TapeError, match="second time to 'mul'"):
        grad(z, x)


# --- backward(inputs=...) -----------------------------------------------------------------


def test_backward_adds_to_the_inputs_that_are_named():
    x, y = leaf(2.0), leaf(3.0)
    z = x * y
    out = z * x
    out.backward(inputs=(x, z), retain_graph=True)
    assert (x.grad.tolist(), z.grad.tolist()) == ([12.0], [2.0])
    assert y.grad is None
    sg.autograd.backward(out, inputs=y)
    assert (y.grad.tolist(), x.grad.tolist()) == ([4.0], [12.0])


def test_inputs_that_nothing_depends_on_get_nothing():
    x, y = leaf(2.0), leaf(3.0)
    (x * 2).backward(inputs=[y])
    assert x.grad is None
    assert y.grad is None
    with pytest.raises(TapeError, match=r"^backward: input 1 does not require a gradient$"):
        (x * 2).backward(inputs=(x, x.detach()))
    with pytest.raises(TapeError, match=r"^backward: inputs is empty; leave it out"):
        (x * 2).backward(inputs=[])


@pytest.mark.parametrize("given", [1.0, "text", [1.0, 1.0], np.ones(2)], ids=repr)
def test_what_is_no_gradient(given):
    x = leaf(1.0, 2.0)
    for name, call in (
        ("backward", lambda: (x * 2).backward(given)),
        ("backward", lambda: sg.autograd.backward([x * 2], [given])),
        ("grad", lambda: grad([x * 2], x, [given])),
    ):
        with pytest.raises(TypeError, match=f"^{name}: gradient is a tensor, not"):
            call()


@pytest.mark.parametrize("given", [5, None, [5], "text"], ids=repr)
def test_what_is_no_tensor(given):
    x = leaf(1.0)
    for name, call in (
        ("backward", lambda: sg.autograd.backward(given)),
        ("backward", lambda: (x * 2).backward(inputs=given) if given else sg.autograd.backward(5)),
        ("grad", lambda: grad(given, x)),
        ("grad", lambda: grad(x * 2, given)),
    ):
        with pytest.raises(TypeError, match=f"^{name}: "):
            call()
