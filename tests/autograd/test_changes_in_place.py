"""Changes in place of what is on the tape: computed, noticed or refused."""

import numpy as np
import pytest

import scratchgan as sg
from scratchgan.autograd import TapeError, grad, no_grad


def leaf(*values):
    return sg.tensor(values, "float64", requires_grad=True)


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


@pytest.mark.usefixtures("own_primitives")
@pytest.mark.parametrize("several", [False, True])
def test_a_tensor_that_was_saved_as_a_keyword_is_noticed_too(several: bool) -> None:
    @sg.primitive(x=lambda g, masks: g * masks[0])
    def own_masked(x, *, masks):
        return x * masks[0].array

    mask = sg.tensor([0.0, 1.0])
    y = own_masked(sg.ones(2, requires_grad=True), masks=(mask, mask) if several else mask[None])
    mask.fill_(1.0)
    with pytest.raises(TapeError, match="'own_masked' needs 'masks' as it was"):
        y.sum().backward()


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
