"""Function: a user's forward and backward, on the tape as primitives are."""

import gc
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import scratchgan as sg
from scratchgan.autograd import Function, TapeError, grad, no_grad
from scratchgan.autograd.anomaly import AnomalyError
from scratchgan.autograd.function import once_differentiable
from scratchgan.jit import JitError
from scratchgan.testing import GradcheckError, gradcheck, gradgradcheck


def leaf(*values):
    return sg.tensor(values, dtype=sg.float64, requires_grad=True)


class Cube(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x * x

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 3 * x * x * g


class Exp(Function):
    """Saves its output, through which higher derivatives go."""

    @staticmethod
    def forward(x):
        return x.exp()

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx, g):
        (out,) = ctx.saved_tensors
        return g * out


class Polar(Function):
    """Several inputs and outputs, of which the second saved one is an output."""

    @staticmethod
    def forward(ctx, x, y):
        r = (x * x + y * y).sqrt()
        angle = sg.atan2(y, x)
        ctx.save_for_backward(x, r, y)
        Polar.last = weakref.ref(ctx)
        return r, angle

    @staticmethod
    def backward(ctx, gr, ga):
        x, r, y = ctx.saved_tensors
        return (gr * x / r - ga * y / r.square(), gr * y / r + ga * x / r.square())


def polar(x, y):
    return (x * x + y * y).sqrt(), sg.atan2(y, x)


# --- Derivatives --------------------------------------------------------------------------

POSITIVE = st.floats(0.5, 2)


@pytest.mark.parametrize(
    ("function", "count"),
    [(Cube.apply, 1), (Exp.apply, 1), (Polar.apply, 2), (lambda x, y: Polar.apply(x, y)[1], 2)],
)
@given(values=st.tuples(POSITIVE, POSITIVE, POSITIVE, POSITIVE))
def test_first_and_second_derivatives(function, count, values):
    inputs = [leaf(*values[2 * i : 2 * i + 2]) for i in range(count)]
    assert gradcheck(function, inputs)
    assert gradgradcheck(function, inputs)


@pytest.mark.parametrize(
    ("made", "function"),
    [
        (lambda x: Cube.apply(x) * x.exp(), lambda x: x * x * x * x.exp()),
        (lambda x: Exp.apply(x) * x, lambda x: x.exp() * x),
        (lambda x: Polar.apply(x, x * 2)[0], lambda x: polar(x, x * 2)[0]),
        (lambda x: sum(Polar.apply(x, 1 / x)), lambda x: sum(polar(x, 1 / x))),
    ],
)
@given(value=POSITIVE)
def test_derivatives_of_any_order_are_those_of_primitives(made, function, value):
    x = leaf(value)
    ours, expected = made(x), function(x)
    for _ in range(4):
        np.testing.assert_allclose(ours.tolist(), expected.tolist(), rtol=1e-9, atol=1e-12)
        (ours,) = grad(ours.sum(), x, create_graph=True)
        (expected,) = grad(expected.sum(), x, create_graph=True)


def test_a_saved_output_that_nobody_has_is_on_the_tape_all_the_same():
    x = leaf(1.0, 2.0)
    y = leaf(3.0, 4.0)
    angle = Polar.apply(x, y)[1]  # r, which backward needs, is gone
    first, second = (grad(z.sum(), x, create_graph=True)[0] for z in (angle, polar(x, y)[1]))
    np.testing.assert_allclose(
        grad(first.sum(), y)[0].tolist(), grad(second.sum(), y)[0].tolist(), rtol=1e-12
    )


def test_a_gradient_goes_to_an_output_that_backward_saved():
    x, y = leaf(1.0), leaf(2.0)
    r, angle = Polar.apply(x, y)
    (gx,) = grad(angle.sum(), x, create_graph=True)
    # angle's gradient is -y / r^2, whose derivative with respect to r is 2 y / r^3.
    np.testing.assert_allclose(grad(gx.sum(), r)[0].item(), 4 / 5**1.5, rtol=1e-12)


@given(st.lists(st.booleans(), min_size=2, max_size=2).filter(any), st.booleans())
def test_outputs_without_a_gradient_get_zeros_or_none(uses, materializes):
    seen = []

    class Two(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.set_materialize_grads(materializes)
            index = x.long()
            constant = x + 1
            ctx.mark_non_differentiable(constant)
            return x * 2, x.sum(), "word", index, constant

        @staticmethod
        def backward(ctx, *gradients):
            seen.extend(gradients)
            ones = sg.ones(3, dtype=sg.float64)
            return sum(
                g * n * ones for g, n in zip(gradients[:2], (2, 1), strict=True) if g is not None
            )

    x = leaf(1.0, 2.0, 3.0)
    outputs = Two.apply(x)
    assert [getattr(out, "requires_grad", None) for out in outputs] == [
        *(True, True, None, False, False)
    ]
    sum(out.sum() for out, used in zip(outputs, uses, strict=False) if used).backward()
    for g, used, shape in zip(seen, uses, ((3,), ()), strict=False):
        assert (g is not None) == (used or materializes)
        assert g is None or (g.shape == shape and g.any() == used)
    assert seen[2] is None
    if materializes:
        assert (seen[3].dtype, seen[3].shape, seen[4].shape) == (np.int64, (3,), (3,))
        assert not seen[4].any()
    else:
        assert seen[3:] == [None, None]
    assert x.grad.tolist() == [2.0 * uses[0] + uses[1]] * 3


def test_inputs_of_any_kind_and_none_for_those_without_a_gradient():
    class Scaled(Function):
        @staticmethod
        def forward(ctx, x, by, word, y=None):
            ctx.by = by
            assert ctx.needs_input_grad == (True, False, False, False)
            return x * by

        @staticmethod
        def backward(ctx, g):
            return g * ctx.by, None, None, None, None  # one too many is none

    x = leaf(1.0, 2.0)
    Scaled.apply(x, 3, "word", y=sg.ones(2)).sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]
    with no_grad():
        assert not Scaled.apply(x, 3, "word", sg.ones(2)).requires_grad


def test_setup_context_gets_what_is_by_default_too():
    seen = []

    class Scaled(Exp):
        @staticmethod
        def forward(x, by=2.0):
            return x * by

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.by = inputs[1]
            seen.append((len(inputs), output.tolist()))

        @staticmethod
        def backward(ctx, g):
            return g * ctx.by, None

    x = leaf(1.0)
    (Scaled.apply(x) + Scaled.apply(x, by=5.0)).backward()
    assert (x.grad.item(), seen) == (7.0, [(2, [2.0]), (2, [5.0])])


def test_a_gradient_is_summed_and_converted_as_any():
    class Wide(Function):
        @staticmethod
        def forward(ctx, x):
            return x.double().reshape(1, -1) * sg.ones(3, 1, dtype=sg.float64)

        @staticmethod
        def backward(ctx, g):
            return g

    x = sg.ones(2, requires_grad=True)
    Wide.apply(x).sum().backward()
    assert (x.grad.tolist(), x.grad.dtype) == ([3.0, 3.0], np.float32)


def test_no_gradient_goes_beside_the_path():
    x, y = leaf(1.0), leaf(2.0) * 1
    r, _ = Polar.apply(x, y)
    seen = []
    y.register_hook(seen.append)
    grad(r, x, retain_graph=True)
    assert not seen
    grad(r, (x, y))
    assert len(seen) == 1


# --- The tape -----------------------------------------------------------------------------


def test_a_second_backward_and_what_was_changed_in_place_are_errors():
    x = leaf(1.0, 2.0)
    y = Cube.apply(leaf(1.0))
    y.backward()
    with pytest.raises(TapeError, match=r"second time to 'Cube'.*retain_graph=True"):
        y.backward()
    y = Cube.apply(x).sum()
    with no_grad():
        x.mul_(2)
    with pytest.raises(
        TapeError, match=r"backward of 'Cube' needs its saved tensor 0, of .*\(2,\)"
    ):
        y.backward()
    out = Exp.apply(x)
    with no_grad():
        out.mul_(2)
    with pytest.raises(TapeError, match="'Exp' needs its saved tensor 0"):
        out.sum().backward()


def test_memory_is_freed_as_backward_goes_and_nothing_is_a_cycle():
    gc.disable()
    try:
        x, y = leaf(1.0), leaf(2.0)
        outputs = Polar.apply(x * 1, y * 1)
        context = Polar.last
        outputs[0].backward(retain_graph=True)
        assert context() is not None
        sum(outputs).backward()
        assert context() is None
        outputs = Polar.apply(x * 1, y * 1)
        context = Polar.last
        del outputs
        assert context() is None
        out = Doubled.apply(x * 1, None)  # saves what it gives back itself
        context = Doubled.last
        del out
        assert context() is None
    finally:
        gc.enable()


def test_a_long_chain():
    class Same(Function):
        @staticmethod
        def forward(ctx, x):
            return x + 0

        @staticmethod
        def backward(ctx, g):
            return g

    x = y = leaf(1.0)
    for _ in range(3000):
        y = Same.apply(y)
    y.backward()
    assert x.grad.item() == 1.0


def test_a_leaf_gets_memory_of_its_own():
    constant = sg.ones(2, dtype=sg.float64)

    class Same(Function):
        @staticmethod
        def forward(ctx, x):
            return x + 0

        @staticmethod
        def backward(ctx, g):
            return constant

    x = leaf(1.0, 2.0)
    Same.apply(x).sum().backward()
    x.grad.zero_()
    assert constant.tolist() == [1.0, 1.0]


def test_the_tape_is_printed_with_the_users_backward():
    text = repr(Cube.apply(leaf(1.0)).node)
    assert "output 0 of <Cube" in text
    assert "def backward(ctx, g):" in text
    assert "test_function.py" in text
    assert "saved: ctx = <context of Cube, saved: (1,)>" in text


def test_hooks_and_retain_grad_of_an_output():
    x = leaf(1.0, 2.0)
    r, angle = Polar.apply(x, x)
    r.register_hook(lambda g: g * 2)
    angle.retain_grad()
    (r + angle * 3).sum().backward()
    assert angle.grad.tolist() == [3.0, 3.0]
    np.testing.assert_allclose(x.grad.tolist(), [2 * 2**0.5] * 2)


# --- In place, and views ------------------------------------------------------------------


class Doubled(Function):
    @staticmethod
    def forward(ctx, x, y):
        x.mul_(2)
        ctx.mark_dirty(x)
        ctx.save_for_backward(x)
        Doubled.last = weakref.ref(ctx)
        return x

    @staticmethod
    def backward(ctx, g):
        return g * 2, None


def test_an_input_that_is_changed_in_place():
    x = leaf(1.0, 2.0)
    z = x * 3
    before = z.exp()
    assert Doubled.apply(z, None) is z
    z.sum().backward()
    assert x.grad.tolist() == [6.0, 6.0]
    assert before.sum().requires_grad
    with pytest.raises(RuntimeError, match="Doubled: a leaf that requires"):
        Doubled.apply(x, None)
    z = x * 3
    part = z[:1]
    with pytest.raises(RuntimeError, match=r"Doubled: the input .* shares its memory"):
        Doubled.apply(z, None)
    assert part.tolist()

    class Lost(Doubled):
        @staticmethod
        def forward(ctx, x, y):
            ctx.mark_dirty(x if y is None else y)
            return x * 1

    with pytest.raises(RuntimeError, match=r"Lost: a tensor .* is no output"):
        Lost.apply(x * 1, None)
    with pytest.raises(RuntimeError, match=r"Lost: a tensor .* is no output"):
        Lost.apply(x * 1, sg.ones(2))


def test_what_shares_memory_is_not_changed_past_the_tape():
    class Same(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return -g * x

    class Part(Same):
        @staticmethod
        def forward(ctx, x):
            return x[:1]

    x = leaf(1.0, 2.0)
    for function in (Same, Part):
        z = x * 1
        out = function.apply(z)
        assert out is not z
        for one in (out, z):
            with pytest.raises(RuntimeError, match="shares its memory"):
                one.add_(1)
    # What was saved is the input, from before the call.
    (first,) = grad(Same.apply(x).sum(), x, create_graph=True)
    assert grad(first.sum(), x)[0].tolist() == [-1.0, -1.0]
    fresh = Cube.apply(x)
    fresh.add_(1)  # is nobody else's
    fresh.sum().backward()
    assert x.grad.tolist() == [3.0, 12.0]


# --- What is refused ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_back", "error", "message"),
    [
        (lambda g: g, TapeError, r"returned 1 gradients, and forward took 2 inputs"),
        (lambda g: (g, None, g), TapeError, r"returned 3 gradients, and forward took 2"),
        (lambda g: None, TapeError, "returned 1 gradients"),
        (lambda g: [g, None], TypeError, "returned a list"),
        (lambda g: (1.0, None), TypeError, "a float as the gradient of input 0"),
        (lambda g: (g, g), TapeError, "gradient of input 1, which is no tensor"),
        (lambda g: (g[:2], None), TapeError, r"'inputs\[0\]' gave .* \(2,\) for .* \(3,\)"),
    ],
)
def test_gradients_that_do_not_fit(given_back, error, message):
    class Wrong(Function):
        @staticmethod
        def forward(ctx, x, by):
            return x * by

        @staticmethod
        def backward(ctx, g):
            return given_back(g)

    with pytest.raises(error, match=f"Wrong.*{message}"):
        Wrong.apply(leaf(1.0, 2.0, 3.0), 2.0).sum().backward()


def test_what_a_class_lacks():
    class Empty(Function):
        pass

    class Forward(Function):
        @staticmethod
        def forward(ctx, x, *, scale=1, y=None):
            return x * 1

    class Listed(Forward):
        @staticmethod
        def forward(ctx, x):
            return [x * 1]

    class Saves(Forward):
        @staticmethod
        def forward(ctx, x, method):
            getattr(ctx, method)(3)

    x = leaf(1.0)
    with pytest.raises(NotImplementedError, match="Empty: there is no forward"):
        Empty.apply(x)
    with pytest.raises(NotImplementedError, match=r"Forward\.backward: there is none"):
        Forward.apply(x).backward()
    with pytest.raises(TypeError, match=r"Forward\.forward: takes scale by keyword alone"):
        Forward.apply(x, scale=2)
    with pytest.raises(TypeError, match=r"Forward\.forward: .*unexpected"):
        Forward.apply(x, other=2)
    with pytest.raises(TypeError, match=r"Listed\.forward: returned a list"):
        Listed.apply(x)
    with pytest.raises(TypeError, match=r"Empty: .* call Empty\.apply"):
        Empty()
    for method in ("save_for_backward", "mark_dirty", "mark_non_differentiable"):
        with pytest.raises(TypeError, match=f"Saves: {method} takes tensors"):
            Saves.apply(x, method)


@pytest.mark.parametrize("name", ["forward", "backward", "setup_context"])
@pytest.mark.parametrize("kind", [lambda f: f, classmethod, property])
def test_methods_are_static(name, kind):
    with pytest.raises(TypeError, match=f"Bad: {name} is not static; write @staticmethod"):
        type("Bad", (Function,), {name: kind(lambda ctx, x: x)})


def test_once_differentiable():
    class Once(Cube):
        @staticmethod
        @once_differentiable
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            assert not sg.is_grad_enabled()
            return sg.tensor(3 * np.square(x.array)) * g

    x = leaf(1.0, 2.0)
    Once.apply(x).sum().backward()
    assert x.grad.tolist() == [3.0, 12.0]
    (first,) = grad(Once.apply(x).sum(), x, create_graph=True)
    assert first.tolist() == [3.0, 12.0]
    with pytest.raises(TapeError, match="Once: its backward is marked as once_differentiable"):
        first.sum().backward()
    v = leaf(1.0, 1.0)  # nor with respect to the gradient that came in
    (first,) = grad(Once.apply(x), x, v, create_graph=True)
    with pytest.raises(TapeError, match="Once: its backward is marked"):
        grad(first.sum(), v)
    with pytest.raises(TapeError, match="once_differentiable"):
        gradgradcheck(Once.apply, [x])


# --- Together with the rest ---------------------------------------------------------------


def test_gradcheck_finds_a_wrong_backward():
    class Wrong(Cube):
        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return 2 * x * x * g

    with pytest.raises(GradcheckError):
        gradcheck(Wrong.apply, [leaf(1.0, 2.0)])


def test_detect_anomaly_names_the_primitive_within():
    class Root(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x.sqrt()

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g / (2 * x.sqrt())

    with sg.autograd.detect_anomaly(), np.errstate(divide="ignore"):
        y = Root.apply(leaf(0.0, 1.0))
        with pytest.raises(AnomalyError, match=r"'div'.*\n.* in backward: return g /"):
            y.sum().backward()


SCALE = 1.0


class Scaled(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x * SCALE

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 2 * x * g * SCALE


class Noticing(Scaled):
    """Looks at a variable in its backward alone."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 2 * x * g * SCALE


class Penalized(sg.nn.Module):
    def __init__(self, function):
        self.weight = sg.nn.Parameter(sg.tensor([1.0, -2.0, 3.0]))
        self.function = function

    def forward(self, x):
        return self.function.apply(self.weight * x)


@pytest.mark.parametrize("function", [Scaled, Noticing])
@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_jit_gives_what_the_call_gives(function, backend, monkeypatch):
    def step(model, x):
        y = model(x).sum()
        y.backward()
        return y.detach()

    with sg.use_backend(backend):
        ours, twin = Penalized(function), Penalized(function)
        jitted = sg.jit(lambda x: step(ours, x))
        for round_, scale in enumerate((1.0, 1.0, 1.0, 2.0, 2.0, 1.0)):
            monkeypatch.setattr(f"{__name__}.SCALE", scale)
            x = sg.tensor([1.0, 2.0, 3.0 + round_])
            np.testing.assert_allclose(jitted(x).item(), step(twin, x).item(), rtol=1e-6)
            np.testing.assert_allclose(
                ours.weight.grad.tolist(), twin.weight.grad.tolist(), rtol=1e-6
            )
        reasons = [info.reason for info in jitted.recordings]
        assert any("SCALE was 1.0" in reason for reason in reasons)
        assert not any(info.why_not for info in jitted.recordings)


def test_jit_notices_another_backward_and_what_requires_a_gradient(monkeypatch):
    class Copied(Function):
        """Takes its input with no primitive."""

        @staticmethod
        def forward(ctx, x):
            return ones * 1

        @staticmethod
        def backward(ctx, g):
            return g * 5

    ones, x = sg.ones(2), sg.ones(2, requires_grad=True)

    @sg.jit
    def step():
        x.grad = None
        y = Copied.apply(x).sum()
        if y.requires_grad:
            y.backward()
        return y.detach()

    for _ in range(2):
        step()
        assert x.grad.tolist() == [5.0, 5.0]
    monkeypatch.setattr(Copied, "backward", staticmethod(lambda ctx, g: g * 7))
    step()
    assert x.grad.tolist() == [7.0, 7.0]
    x.requires_grad_(False)
    step()
    assert x.grad is None


def test_jit_refuses_what_it_cannot_replay():
    class Reads(Cube):
        @staticmethod
        def forward(ctx, x):
            return x * x.sum().item()

    class Leaves(Cube):
        @staticmethod
        def forward(ctx, x):
            return sg.tensor(np.exp(x.array))

    x = sg.ones(2)
    for function in (Reads, Leaves):
        with pytest.raises(JitError):
            sg.jit(lambda x, function=function: function.apply(x))(x)
    outside = sg.ones(2, requires_grad=True) * 2

    @sg.jit
    def step(x):
        return (Cube.apply(outside) + x).sum().detach()

    with pytest.raises(JitError, match=r"Cube takes a tensor .* outside of the step"):
        step(x)
