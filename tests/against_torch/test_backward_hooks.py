"""Backward hooks of modules see and replace what PyTorch's do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import scratchgan as sg

torch = pytest.importorskip("torch", reason="compares with PyTorch")

pytestmark = pytest.mark.filterwarnings("ignore:Full backward hook is firing")


def listed(gradients):
    return [None if g is None else g.tolist() for g in gradients]


def trace(package, grads, uses, hooked, order):
    """What hooks see of a module with several inputs and outputs, and the gradients."""
    nn, seen = package.nn, []

    class Mixed(nn.Module):
        def forward(self, x, y, word):
            return x * 2 + y, word, x * y, y.sum()

    net = Mixed()
    for number, kind in enumerate(hooked):
        if kind == "pre":
            net.register_full_backward_pre_hook(
                lambda m, go, n=number: (
                    seen.append((n, listed(go))),
                    tuple(None if g is None else g * (n + 2) for g in go),
                )[1],
                prepend=bool(number % 2),
            )
        else:
            net.register_full_backward_hook(
                lambda m, gi, go, n=number: (
                    seen.append((n, listed(gi), listed(go))),
                    tuple(None if g is None else g + n for g in gi) if any(grads) else None,
                )[1],
            )
    x, y = (
        package.tensor(values, dtype=package.float64, requires_grad=needed)
        for values, needed in zip(([1.0, 2.0], [3.0, 5.0]), grads, strict=True)
    )
    outputs = net(x, y, "word")
    outputs = [out for out in outputs if hasattr(out, "sum")]
    value = sum(out.sum() for out, used in zip(outputs, uses, strict=True) if used)
    requires = getattr(value, "requires_grad", False)
    if requires:
        value.backward(retain_graph=True)
        if order == 2:
            powers = sum((out * out).sum() for out in outputs if out.requires_grad)
            leaves = [leaf for leaf in (x, y) if leaf.requires_grad]
            first = package.autograd.grad(powers, leaves, create_graph=True, allow_unused=True)
            sum((g * g).sum() for g in first if g is not None).backward()
    return requires, seen, listed([x.grad, y.grad])


@given(
    st.tuples(st.booleans(), st.booleans()),
    st.tuples(st.booleans(), st.booleans(), st.booleans()),
    st.lists(st.sampled_from(["pre", "full"]), min_size=1, max_size=3),
    st.sampled_from([1, 2]),
)
def test_the_same_calls_with_the_same_gradients(grads, uses, hooked, order):
    assert trace(sg, grads, uses, hooked, order) == trace(torch, grads, uses, hooked, order)
