"""Backward hooks of modules: what they see, what they replace, and that jit honours them."""

import copy
import gc
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import scratchgan as sg
from scratchgan import nn
from scratchgan.autograd import grad


def close(x, expected):
    np.testing.assert_allclose(x.numpy(force=True), expected, rtol=1e-5, atol=1e-6)


class Two(nn.Module):
    """Inputs and outputs of several kinds."""

    def forward(self, x, y, word, *, scale=1.0):
        return x * 2 * scale, word, x * y


@given(st.floats(-2, 2), st.floats(-2, 2))
def test_hooks_see_the_gradients_of_inputs_and_outputs(a, b):
    seen = []
    net = Two()
    net.register_full_backward_hook(lambda *given: seen.append(given))
    net.register_full_backward_pre_hook(lambda *given: seen.append(given))
    x = sg.tensor([1.0, 2.0], requires_grad=True)
    y = sg.tensor([3.0, 4.0])
    first, word, second = net(x, y, "word", scale=5.0)
    assert (word, second.requires_grad) == ("word", True)
    (first * a + second * b).sum().backward()
    (of, outputs), (module, inputs, again) = seen
    assert of is module is net
    assert again is outputs
    assert outputs[1] is inputs[2] is None
    close(outputs[0], np.full(2, np.float32(a)))
    close(outputs[2], np.full(2, np.float32(b)))
    close(inputs[0], 10 * np.float32(a) + y.numpy() * np.float32(b))
    assert not inputs[1].any()  # y requires none
    close(x.grad, inputs[0].numpy())
    seen.clear()
    net(x, y, "word")[0].sum().backward()
    assert seen[0][1][2] is None  # no gradient came to it


def test_hooks_replace_gradients_in_their_order():
    layer = nn.Linear(2, 2)
    x = sg.ones(1, 2, requires_grad=True)
    (expected,) = grad(layer(x).sum(), x)
    pre = layer.register_full_backward_pre_hook(lambda m, go: go[0] * 3)
    layer.register_full_backward_pre_hook(lambda m, go: (go[0] + 1,), prepend=True)
    post = layer.register_full_backward_hook(lambda m, gi, go: (gi[0] * go[0].sum(),))
    layer(x).sum().backward()
    close(layer.bias.grad, np.full(2, 6.0))  # (1 + 1) * 3
    close(x.grad, 6 * 12 * expected.numpy())
    pre.remove()
    post.remove()
    close(grad(layer(x).sum(), x)[0], 2 * expected.numpy())


def test_without_a_gradient_for_inputs_the_outputs_gradients_call_them():
    layer, seen = nn.Linear(2, 2), []
    layer.register_full_backward_hook(lambda *given: seen.append(given[1:]))
    layer(sg.ones(1, 2)).sum().backward()
    ((inputs, outputs),) = seen
    assert inputs == (None,)
    assert outputs[0].tolist() == [[1.0, 1.0]]
    with sg.no_grad():
        layer(sg.ones(1, 2, requires_grad=True))
    layer.requires_grad_(False)
    assert not layer(sg.ones(1, 2)).requires_grad
    assert len(seen) == 1


def test_second_derivatives_go_through_hooks():
    net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    twin = copy.deepcopy(net)
    seen = []
    for module in net:
        module.register_full_backward_hook(lambda *given: seen.append(given))
    norms = []
    for one in (net, twin):
        x = sg.tensor([[0.5, -1.0]], requires_grad=True)
        (gx,) = grad(one(x).sum(), x, create_graph=True)
        norms.append(gx.square().sum())
        norms[-1].backward()
    # In the second derivative gradients come to the outputs of the first layer alone, out of tanh.
    assert [module for module, *_ in seen] == [*list(net)[::-1], net[0]]
    assert not any(outputs is None for _, _, outputs in seen)
    for ours, expected in zip(net.parameters(), twin.parameters(), strict=True):
        assert (ours.grad is None) == (expected.grad is None)
        if ours.grad is not None:
            close(ours.grad, expected.grad.numpy())


def test_a_sequential_calls_hooks_of_what_it_would_run_together():
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    x, seen = sg.ones(1, 2, requires_grad=True), []
    handles = [
        module.register_full_backward_hook(lambda *given: seen.append(given[0])) for module in net
    ]
    net(x).sum().backward()
    assert seen == list(net)[::-1]
    for handle in handles:
        handle.remove()
    assert net(x).node.name == "linear"


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (lambda g: (g, g), r"Linear: the backward hook .* 2 gradients in the place of 1"),
        (lambda g: (None,), r"returned None at 0, where there is one"),
        (lambda g: g[:, :1], r"like those that it was given, but at 0 returned .*\(1, 1\)"),
        (lambda g: g.double(), r"at 0 returned .*float64"),
    ],
)
@pytest.mark.parametrize("is_before", [True, False])
def test_gradients_that_do_not_fit(found, message, is_before):
    layer = nn.Linear(2, 2)
    if is_before:
        layer.register_full_backward_pre_hook(lambda m, go: found(go[0]))
    else:
        layer.register_full_backward_hook(lambda m, gi, go: found(gi[0]))
    with pytest.raises(RuntimeError, match=message):
        layer(sg.ones(1, 2, requires_grad=True)).sum().backward()


def test_what_cannot_be_replaced_or_seen():
    layer = nn.Linear(2, 2)
    layer.register_full_backward_hook(lambda m, gi, go: (sg.ones(1, 2),))
    with pytest.raises(RuntimeError, match="returned a gradient at 0, where there is none"):
        layer(sg.ones(1, 2)).sum().backward()

    class Named(nn.Module):
        def forward(self, x):
            return {"y": x * 2}

    net = Named()
    net.register_full_backward_hook(print)
    with pytest.warns(UserWarning, match="Named: backward hooks .* not dict"):
        net(sg.ones(1, requires_grad=True))["y"].backward()


def test_outputs_cannot_be_changed_in_place_and_nothing_is_kept():
    layer = nn.Linear(2, 2)
    layer.register_full_backward_hook(lambda *given: None)
    x = sg.ones(1, 2, requires_grad=True)
    with pytest.raises(RuntimeError, match="shares its memory"):
        layer(x).add_(1)
    gc.disable()
    try:
        inner = x * 2
        watched = weakref.ref(inner)
        layer(inner).sum().backward()
        del inner
        assert watched() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("register", ["full_backward_hook", "full_backward_pre_hook"])
@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_jit_honours_them(register, backend):
    def step(net, x):
        net.zero_grad()
        net(x).sum().backward()
        return net[0].bias.grad

    with sg.use_backend(backend):
        net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
        jitted = sg.jit(lambda x: step(net, x))
        x = sg.ones(1, 2)

        def check():
            for _ in range(2):
                replayed = jitted(x).numpy(force=True)
                close(step(net, x), replayed)

        check()
        factor = sg.tensor(3.0)
        hooked = getattr(net[1], f"register_{register}")(
            lambda module, *gradients: (gradients[0][0] * factor,)
        )
        plain = step(net, x) / 3
        check()
        factor.mul_(2)
        check()
        hooked.remove()
        check()
        close(step(net, x), plain.numpy())
        reasons = [info.reason for info in jitted.recordings]
        assert len(reasons) == 3
        assert "hooks" in reasons[1]
