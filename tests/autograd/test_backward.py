"""The tape: what travels back, what is refused, and what is freed when."""

import asyncio
import copy
import gc
import itertools
import threading
import weakref
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import scratchgan as sg
from scratchgan import autograd, ops
from scratchgan.autograd import TapeError, enable_grad, grad, no_grad, set_grad_enabled, tape
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


# --- grad() ---------------------------------------------------------------------------


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


# --- Safety ---------------------------------------------------------------------------


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


def change_by_add(x):
    x.add_(1.0)


def change_by_iadd(x):
    x += 1.0


def change_by_setitem(x):
    x[0] = 9.0


def change_by_copy(x):
    x.copy_(x + 1)


CHANGES = (change_by_add, change_by_iadd, change_by_setitem, change_by_copy)

VIEWS = {
    "itself": lambda x: x,
    "detached": lambda x: x.detach(),
    "slice": lambda x: x[1:],
    "row": lambda x: x[0],
    "transposed": lambda x: x.T,
    "reshaped": lambda x: x.reshape(-1),
    "split": lambda x: x.split(1)[1],
    "view of a view": lambda x: x[1:].T[0].unsqueeze(0),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_a_saved_tensor_changed_in_place_is_noticed(view, change):
    x = leaf([1.0, 2.0], [3.0, 4.0])
    y = (x * 1.0).detach().requires_grad_()
    z = y * y
    with no_grad():
        change(view(y))
    with pytest.raises(TapeError, match=r"'mul' needs '[xy]' as it was.*changed in place"):
        z.sum().backward()


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_a_view_that_was_saved_notices_a_change_of_the_whole(view):
    x = leaf([1.0, 2.0], [3.0, 4.0])
    z = sg.square(view(x) if view is not VIEWS["detached"] else x)
    with no_grad():
        x.mul_(2.0)
    with pytest.raises(TapeError, match="'square' needs 'x'"):
        z.sum().backward()


INDEXED = {
    "integers": lambda x, i: x[i],
    "beside integers": lambda x, i: x[[0, 1], i],
    "twice": lambda x, i: x[i, i],
    "along a slice": lambda x, i: x[:, i],
    "before a slice": lambda x, i: x[i, 1:],
    "int32": lambda x, i: x[i.to(sg.int32)],
    "a mask": lambda x, i: x[:2][i == 1],
    "its own mask": lambda x, i: x[:2][i.to(sg.bool)],
    "gather": lambda x, i: x.gather(1, i.reshape(2, 1)),
    "index_select": lambda x, i: x.index_select(0, i),
    "index_add": lambda x, i: x.index_add(0, i, x[:2] * 3),
    "take": lambda x, i: x.take(i),
    "put": lambda x, i: x.put(i, x[0, :2] * 3),
    "scatter": lambda x, i: x.scatter(1, i.reshape(2, 1), x[:, :1] * 3),
    "scatter_add": lambda x, i: x.scatter_add(1, i.reshape(2, 1), x[:, :1] * 3),
    "index_put": lambda x, i: x.index_put((i,), x[:2] * 3),
    "where": lambda x, i: sg.where(i.reshape(2, 1) == 0, x[:2], x[1:]),
    "embedding": lambda x, i: sg.nn.functional.embedding(i, x),
    "cross_entropy": lambda x, i: sg.nn.functional.cross_entropy(x[:2], i),
    "repeat_interleave": lambda x, i: x[:2].repeat_interleave(i, 0),
}


@pytest.mark.parametrize("name", INDEXED)
def test_an_index_changed_in_place_is_noticed_or_does_not_matter(name):
    def gradient(change):
        x = sg.arange(9.0).reshape(3, 3).requires_grad_()
        i = sg.tensor([0, 1])
        y = INDEXED[name](x, i)
        if change:
            i.add_(1)
        (y * y).sum().backward()
        return x.grad.tolist()

    expected = gradient(change=False)
    try:
        assert gradient(change=True) == expected
    except TapeError as error:
        assert "changed in place" in str(error)


def test_a_saved_result_changed_in_place_is_noticed():
    x = leaf(1.0, 2.0)
    y = sg.exp(x)
    with no_grad():
        y.zero_()
    with pytest.raises(TapeError, match="'exp' needs 'out'"):
        y.sum().backward()


def test_a_change_that_nobody_needs_is_no_error():
    x = leaf(1.0, 2.0)
    y = x + 1.0
    with no_grad():
        x.add_(5.0)
        y.zero_()
    y.sum().backward()
    assert x.grad.tolist() == [1.0, 1.0]


def test_only_what_is_wanted_must_not_be_freed():
    x, w = leaf(2.0), leaf(3.0)
    y = x * x
    y.backward()
    z = y * w
    assert grad(z, w, retain_graph=True)[0].item() == 4.0  # not through the freed part
    with pytest.raises(TapeError, match="second time to 'mul'"):
        grad(z, x)


def test_a_parameter_updated_between_forward_and_backward():
    w = leaf(2.0)
    loss = (w * w).sum()
    with no_grad():
        w.sub_(0.1)
    with pytest.raises(TapeError, match="changed in place"):
        loss.backward()
    loss = (w * w).sum()  # the version of the forward counts, not the first one
    loss.backward()


def test_leaves_that_record_are_not_changed_in_place():
    for change in (*CHANGES, lambda x: x.zero_(), lambda x: x.clamp_(0.0)):
        x = leaf(1.0)
        with pytest.raises(RuntimeError, match="a leaf that requires a gradient cannot be changed"):
            change(x)
        assert x.tolist() == [1.0]


#: Changes in place by a tensor on the tape or not, and the same as a new tensor.
IN_PLACE = {
    "add": (lambda y, w: y.add_(w), lambda y, w: y + w),
    "sub with alpha": (lambda y, w: y.sub_(w, alpha=2), lambda y, w: y - 2 * w),
    "mul": (lambda y, w: y.mul_(w), lambda y, w: y * w),
    "div": (lambda y, w: y.div_(w), lambda y, w: y / w),
    "mul by itself": (lambda y, w: y.mul_(y), lambda y, w: y * y),
    "pow": (lambda y, w: y.pow_(3), lambda y, w: y**3),
    "exp": (lambda y, w: y.exp_(), lambda y, w: y.exp()),
    "tanh": (lambda y, w: y.tanh_(), lambda y, w: y.tanh()),
    "relu": (lambda y, w: y.relu_(), lambda y, w: y.relu()),
    "clamp": (lambda y, w: y.clamp_(1.0, 2.5), lambda y, w: y.clamp(1.0, 2.5)),
    "zero": (lambda y, w: y.zero_(), lambda y, w: y * 0.0),
    "fill": (lambda y, w: y.fill_(3.0), lambda y, w: y * 0.0 + 3.0),
    "copy": (lambda y, w: y.copy_(w), lambda y, w: y * 0.0 + w),
    "item": (
        lambda y, w: y.__setitem__(1, w[0]),
        lambda y, w: sg.stack([y[0], w[0], y[2]]),
    ),
    "slice": (
        lambda y, w: y.__setitem__(slice(1, 3), 5.0),
        lambda y, w: sg.cat([y[:1], w[:2] * 0 + 5]),
    ),
    "integers": (
        lambda y, w: y.__setitem__([2, 0], w[:2]),
        lambda y, w: sg.stack([w[1], y[1], w[0]]),
    ),
    "mask": (
        lambda y, w: y.__setitem__(sg.tensor([True, False, True]), w[1]),
        lambda y, w: sg.stack([w[1], y[1], w[1]]),
    ),
}


@pytest.mark.parametrize("name", IN_PLACE)
def test_a_result_may_be_changed_in_place(name):
    """Values, gradients and second gradients are those of the same computation without it."""
    change, compute = IN_PLACE[name]

    def outcome(step):
        x, w = leaf(1.0, 2.0, 3.0), leaf(0.5, 1.5, 2.0)
        z = step(x * w, w)
        loss = (z.square() * x).sum()
        first = grad(loss, (x, w), create_graph=True)
        second = grad(sum(g.square().sum() for g in first), (x, w))
        return [z, *first, *second]

    def in_place(y, w):
        same, array = y, y.array
        change(y, w)
        assert same is y
        assert y.array is array
        return y

    for found, expected in zip(outcome(in_place), outcome(compute), strict=True):
        np.testing.assert_allclose(found.numpy(force=True), expected.numpy(force=True), 1e-12)


def test_another_name_of_a_changed_result_sees_the_change():
    y = leaf(0.5, 1.5, 2.0) * 2
    z = y
    y += 1
    assert z is y
    assert z.tolist() == [2.0, 4.0, 5.0]


def test_what_joins_the_tape_by_a_change_in_place():
    total, x = sg.zeros(2, dtype="float64"), leaf(1.0, 2.0)
    for factor in (1.0, 2.0, 3.0):
        total += x * factor
    assert total.requires_grad
    total.sum().backward()
    assert x.grad.tolist() == [6.0, 6.0]


def test_a_change_in_place_of_what_an_earlier_step_saved_is_noticed():
    x = leaf(1.0, 2.0)
    y = x * 2.0
    z = y * y
    y += 1.0
    with pytest.raises(TapeError, match="'mul' needs"):
        z.sum().backward()


@pytest.mark.parametrize(
    "shared",
    [
        lambda y: y[0],
        lambda y: y.reshape(-1),
        lambda y: (y.reshape(-1), y)[1],
        lambda y: (y.T, y)[1],
        lambda y: y.detach(),
    ],
)
def test_memory_that_a_view_on_the_tape_shares_is_not_changed(shared):
    y = shared(leaf([1.0, 2.0], [3.0, 4.0]) * 2.0)
    x = leaf(1.0)
    before = y.tolist()
    with pytest.raises(RuntimeError, match="shares its memory with another"):
        y += x[0]
    assert y.tolist() == before


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


# --- Hooks ----------------------------------------------------------------------------


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


# --- Recording or not -----------------------------------------------------------------


def test_modes_nest_and_end():
    x = leaf(1.0)
    recorded = []
    with no_grad():
        recorded.append((x * 2).requires_grad)
        with enable_grad():
            recorded.append((x * 2).requires_grad)
            with set_grad_enabled(False):
                recorded.append((x * 2).requires_grad)
            recorded.append(sg.is_grad_enabled())
        recorded.append((x * 2).requires_grad)
    recorded.append((x * 2).requires_grad)
    assert recorded == [False, True, False, True, False, True]
    with pytest.raises(ZeroDivisionError), no_grad():
        1 / 0  # noqa: B018
    assert sg.is_grad_enabled()


def test_modes_decorate_also_recursive_functions():
    @no_grad()
    def factorial(x, n):
        assert not sg.is_grad_enabled()
        return x if n == 1 else factorial(x, n - 1) * n

    assert not factorial(leaf(1.0), 5).requires_grad
    assert sg.is_grad_enabled()

    @enable_grad()
    def recorded(x):
        return x * 2

    with no_grad():
        assert recorded(leaf(1.0)).requires_grad
        assert not sg.is_grad_enabled()


def test_the_mode_belongs_to_a_thread():
    found = {}
    inside, done = threading.Event(), threading.Event()

    def other():
        inside.wait()
        found["other"] = sg.is_grad_enabled()
        done.set()

    thread = threading.Thread(target=other)
    thread.start()
    with no_grad():
        inside.set()
        done.wait()
    thread.join()
    assert found == {"other": True}


def test_the_mode_belongs_to_a_task():
    """Tasks take turns in one thread; each keeps its own mode."""

    async def inside(mode, turns):
        seen = []
        with mode():
            for _ in range(turns):
                await asyncio.sleep(0)
                seen.append(autograd.is_grad_enabled())
        return seen, autograd.is_grad_enabled()

    async def both():
        return await asyncio.gather(inside(autograd.no_grad, 3), inside(autograd.enable_grad, 5))

    assert asyncio.run(both()) == [([False] * 3, True), ([True] * 5, True)]
    assert autograd.is_grad_enabled()


def test_backward_in_a_hook_and_backward_leave_the_mode_as_it_was():
    x = leaf(1.0)
    y = x * 2
    modes = []
    y.register_hook(lambda g: modes.append(sg.is_grad_enabled()))
    y.backward(retain_graph=True)
    y.backward(create_graph=True)
    assert modes == [False, True]
    assert sg.is_grad_enabled()
    with pytest.raises(TapeError):
        (x * x).backward(sg.ones(5))
    assert sg.is_grad_enabled()


def test_detach_shares_memory_and_leaves_the_tape():
    x = leaf(1.0, 2.0)
    y = x.detach()
    assert not y.requires_grad
    assert np.shares_memory(x.array, y.array)
    (x * y).sum().backward()
    assert x.grad.tolist() == [1.0, 2.0]


def test_threads_have_tapes_of_their_own():
    rng = np.random.default_rng(0)
    weights = [rng.standard_normal((8, 8)) for _ in range(8)]

    def gradient(weight):
        w = sg.tensor(weight, requires_grad=True)
        x = w
        for _ in range(30):
            x = sg.tanh(x @ w)
        x.sum().backward()
        return w.grad.numpy()

    expected = [gradient(w) for w in weights]
    found = [None] * len(weights)

    def work(i):
        found[i] = gradient(weights[i])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(weights))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)


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
        before = nodes_alive()
        for _ in range(20_000):
            y = sg.sin(y)
        assert nodes_alive() == before + 20_000
        del y
        assert nodes_alive() == before


def composed(x):
    """Every kind of node: views, reductions, saved results, indices, several inputs."""
    h = ops.linear(x, x, x[:, 0], activation="tanh")
    h = sg.concatenate([h, sg.sigmoid(h).T, h[sg.tensor([1, 0])]])
    h = sg.where(h > 0, sg.exp(h), sg.maximum(h, 0.1 * h)).reshape(-1)
    return sg.log_softmax(h, -1).max() + (h**2).mean() + h.std()


def nodes_alive():
    return sum(isinstance(one, tape.Node) for one in gc.get_objects())


def tensors_alive():
    # Not isinstance(), which asks a dead weak proxy for its class.
    return sum(issubclass(type(x), sg.Tensor | tape.Node) for x in gc.get_objects())


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
        before = tensors_alive()
        for _ in range(3):
            step()
        assert tensors_alive() == before


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


# --- Modes -----------------------------------------------------------------------------


def test_a_mode_as_a_statement_a_context_and_a_decorator():
    x = leaf(1.0)
    sg.set_grad_enabled(False)
    try:
        assert not (x * 2).requires_grad
        with sg.set_grad_enabled(True):
            assert (x * 2).requires_grad
        assert not (x * 2).requires_grad
        with sg.enable_grad():
            assert (x * 2).requires_grad
    finally:
        sg.set_grad_enabled(True)

    @sg.set_grad_enabled(False)
    def recorded():
        return (x * 2).requires_grad

    assert sg.is_grad_enabled()  # it is meant for the function alone
    assert not recorded()
    assert sg.is_grad_enabled()
    assert (x * 2).requires_grad


@pytest.mark.parametrize("decorate", [sg.no_grad(), sg.no_grad])
def test_a_generator_and_a_method_and_a_class_without_a_tape(decorate):
    x = leaf(1.0)

    @decorate
    def halves(count):
        """Says so."""
        for _ in range(count):
            sent = yield (x * 2).requires_grad
            assert not sg.is_grad_enabled()
            if sent == "fail":
                raise ValueError(sent)
        return "end"

    running = halves(3)
    assert next(running) is False
    assert (x * 2).requires_grad  # between two values the mode is the caller's
    with sg.no_grad():
        assert running.send(None) is False
    with pytest.raises(ValueError, match="fail"):
        running.send("fail")
    assert sg.is_grad_enabled()
    assert list(halves(2)) == [False, False]
    assert halves.__doc__ == "Says so."

    class Thing:
        @decorate
        def compute(self):
            return (x * 2).requires_grad

    assert Thing().compute() is False


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
