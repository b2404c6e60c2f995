"""One text of Functions, run here and in PyTorch: values, first and second gradients, refusals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import scratchgan as sg

torch = pytest.importorskip("torch", reason="compares with PyTorch")


def functions(package):
    """The same classes, of either package."""

    class Product(package.autograd.Function):
        """Two inputs, a number, two outputs; saves an input and an output."""

        @staticmethod
        def forward(ctx, x, y, by):
            first = x * y * by
            ctx.save_for_backward(x, y, first)
            ctx.by = by
            return first, first.exp()

        @staticmethod
        def backward(ctx, g, h):
            x, y, first = ctx.saved_tensors
            g = g + h * first.exp()
            assert ctx.needs_input_grad == (True, True, False)
            return g * y * ctx.by, g * x * ctx.by, None

    class Doubled(package.autograd.Function):
        """Changes its input in place."""

        @staticmethod
        def forward(ctx, x):
            x.mul_(2)
            ctx.mark_dirty(x)
            return x

        @staticmethod
        def backward(ctx, g):
            return g * 2

    class Powers(package.autograd.Function):
        """With a context that is set up apart, and an output without a gradient."""

        @staticmethod
        def forward(x, n=3):
            return x**n, x * 0 + n

        @staticmethod
        def setup_context(ctx, inputs, output):
            x, ctx.n = inputs
            ctx.save_for_backward(x)
            ctx.mark_non_differentiable(output[1])

        @staticmethod
        def backward(ctx, g, nothing):
            (x,) = ctx.saved_tensors
            return ctx.n * x ** (ctx.n - 1) * g + nothing, None

    class Reversed(package.autograd.Function):
        """Returns its input as it is, and another gradient; leaves None as None."""

        @staticmethod
        def forward(ctx, x, y):
            ctx.set_materialize_grads(False)
            return x, y

        @staticmethod
        def backward(ctx, g, h):
            return None if g is None else -g, h

    return Product, Doubled, Powers, Reversed


def results(package, x, y, by, which):
    """Value, gradients, and gradients of a gradient's square."""
    product, doubled, powers, reverse = functions(package)
    x, y = (package.tensor(v, dtype=package.float64, requires_grad=True) for v in (x, y))
    value = {
        "both outputs": lambda: sum(out.sum() for out in product.apply(x, y, by)),
        "the second output": lambda: product.apply(x, y, by)[1].sum(),
        "in place": lambda: (doubled.apply(x * by).sin() * y).sum(),
        "set up apart": lambda: (powers.apply(x)[0] * powers.apply(y, 2)[0]).sum(),
        "reversed": lambda: (reverse.apply(x.sin(), y)[0] * y).sum(),
    }[which]()
    first = package.autograd.grad(value, (x, y), create_graph=True)
    norm = sum((g * g).sum() for g in first)
    second = package.autograd.grad(norm, (x, y), allow_unused=True)
    found = [value, *first, *[g for g in second if g is not None]]
    return [len(second), *[np.asarray(g.detach().numpy()) for g in found]]


@given(
    st.lists(st.floats(-1.5, 1.5), min_size=1, max_size=4),
    st.floats(0.25, 2),
    st.sampled_from(["both outputs", "the second output", "in place", "set up apart", "reversed"]),
)
def test_gradients(values, by, which):
    x, y = np.array(values), np.array(values[::-1]) + 0.5
    for ours, theirs in zip(
        results(sg, x, y, by, which), results(torch, x, y, by, which), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


GIVEN_BACK = {
    "right": lambda g: (g, None),
    "more nones": lambda g: (g, None, None),
    "all none": lambda g: (None, None),
    "too few": lambda g: g,
    "too many": lambda g: (g, None, g),
    "of a number": lambda g: (g, g),
    "broadcast": lambda g: (g * g.new_ones(4, 3), None),
    "too small": lambda g: (g[:1], None),
    "no tensor": lambda g: (2.0, None),
    "a list": lambda g: [g, None],
}


@pytest.mark.parametrize("case", GIVEN_BACK)
def test_what_backward_may_return(case):
    def gradient(package):
        class Scaled(package.autograd.Function):
            @staticmethod
            def forward(ctx, x, by):
                return x * by

            @staticmethod
            def backward(ctx, g):
                return GIVEN_BACK[case](g)

        x = package.ones(3, requires_grad=True)
        Scaled.apply(x, 2.0).sum().backward()
        return None if x.grad is None else x.grad.tolist()

    try:
        expected = gradient(torch)
    except (RuntimeError, TypeError):
        with pytest.raises((RuntimeError, TypeError), match="Scaled"):
            gradient(sg)
    else:
        assert gradient(sg) == expected
