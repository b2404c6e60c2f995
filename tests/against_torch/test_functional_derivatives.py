"""Jacobians, Hessians and their products are PyTorch's, on random functions of random shapes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import scratchgan as sg
from scratchgan.autograd import functional

torch = pytest.importorskip("torch", reason="compares with PyTorch")

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")

SHAPES = st.lists(st.integers(1, 3), max_size=2).map(tuple)
UNARY = ("sin", "tanh", "exp", "square", "sigmoid")


@st.composite
def programs(draw):
    """Shapes of the inputs, and functions of each and of pairs of them, by their names."""
    shapes = draw(st.lists(SHAPES, min_size=1, max_size=3))
    terms = st.tuples(
        st.sampled_from(range(len(shapes))),
        st.sampled_from(range(len(shapes))),
        st.sampled_from(UNARY),
        st.sampled_from(UNARY),
    )
    return shapes, draw(st.lists(terms, min_size=1, max_size=3))


def function_of(terms, gives):
    """The function that ``terms`` describe, for the tensors of either package."""

    def outputs(*inputs):
        found = []
        for i, j, first, second in terms:
            x, y = getattr(inputs[i], first)(), getattr(inputs[j], second)()
            found.append(x * y.sum() + (x * 0.5).sum())
        if gives == "number":
            return sum(x.sum() for x in found)
        return tuple(found) if gives == "tuple" else found[0]

    return outputs


def arrays(shapes, seed):
    generator = np.random.default_rng(seed)
    return [np.asarray(generator.normal(size=shape)) for shape in shapes]


def same(ours, theirs, is_on_tape=None):
    """Equal; on the tape where PyTorch's is, if nothing else is said."""
    if isinstance(theirs, tuple | list):  # lists in forward mode, unlike what it documents
        assert isinstance(ours, tuple)
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            same(one, other, is_on_tape)
        return
    assert ours.shape == tuple(theirs.shape)
    assert ours.requires_grad == (theirs.requires_grad if is_on_tape is None else is_on_tape)
    np.testing.assert_allclose(
        ours.numpy(force=True), theirs.detach().numpy(), rtol=1e-12, atol=1e-12
    )


def of_both(values, is_tuple, requires_grad):
    both = []
    for make in (
        lambda x: sg.tensor(x, dtype=sg.float64, requires_grad=requires_grad),
        lambda x: torch.tensor(x, dtype=torch.float64, requires_grad=requires_grad),
    ):
        made = tuple(make(x) for x in values)
        both.append(made if is_tuple else made[0])
    return both


@settings(max_examples=40, deadline=None)
@given(
    programs(),
    st.sampled_from(["jacobian", "forward", "hessian", "forward hessian"]),
    st.sampled_from(["tensor", "tuple"]),
    st.booleans(),
    st.integers(0, 1000),
)
def test_matrices(program, which, gives, create_graph, seed):
    shapes, terms = program
    is_hessian = "hessian" in which
    func = function_of(terms, "number" if is_hessian else gives)
    is_tuple = len(shapes) > 1 or seed % 2
    ours, theirs = of_both(arrays(shapes, seed), is_tuple, create_graph)
    options = {"create_graph": create_graph}
    if "forward" in which:
        word = "outer_jacobian_strategy" if is_hessian else "strategy"
        options = {"vectorize": True, word: "forward-mode"}
    name = "hessian" if is_hessian else "jacobian"
    expected = getattr(torch.autograd.functional, name)(func, theirs, **options)
    # In forward mode PyTorch's Hessian is left on the tape.
    is_on_tape = False if "forward" in which else None
    same(getattr(functional, name)(func, ours, **options), expected, is_on_tape)


@settings(max_examples=60, deadline=None)
@given(
    programs(),
    st.sampled_from(["vjp", "jvp", "vhp", "hvp"]),
    st.sampled_from(["tensor", "tuple"]),
    st.booleans(),
    st.integers(0, 1000),
)
def test_products(program, name, gives, create_graph, seed):
    shapes, terms = program
    func = function_of(terms, "number" if "h" in name else gives)
    is_tuple = bool(len(shapes) > 1 or seed % 2)
    ours, theirs = of_both(arrays(shapes, seed), is_tuple, create_graph)
    outputs = func(*(ours if is_tuple else (ours,)))
    like, v_tuple = (ours, is_tuple) if name != "vjp" else (outputs, isinstance(outputs, tuple))
    sizes = [x.shape for x in (like if v_tuple else (like,))]
    v, their_v = of_both(arrays(sizes, seed + 1), v_tuple, create_graph)
    expected = getattr(torch.autograd.functional, name)(func, theirs, their_v, create_graph)
    same(getattr(functional, name)(func, ours, v, create_graph), expected)


STRICT = {
    "an input is unused": lambda x, y: x.sin(),
    "an output is constant": lambda x, y: (x * y, x.detach()),
    "linear": lambda x, y: (x + y) * 2,
    "all is there": lambda x, y: (x * y).sin() * x * y,
}


@pytest.mark.parametrize("name", functional.__all__)
@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("case", STRICT)
def test_strict_refuses_what_pytorch_refuses(name, create_graph, case):
    def func(*inputs):
        found = STRICT[case](*inputs)
        return found.sum() if "h" in name and not isinstance(found, tuple) else found

    def call(package, inputs, sizes):
        v = () if name in ("jacobian", "hessian") else (sizes,)
        return getattr(package, name)(func, inputs, *v, create_graph=create_graph, strict=True)

    ours, theirs = of_both([np.ones(2), np.ones(2)], True, create_graph)
    v, their_v = of_both([np.ones(2), np.ones(2)], True, False)
    if name == "vjp" and case != "an output is constant":
        v, their_v = v[0], their_v[0]
    try:
        expected = call(torch.autograd.functional, theirs, their_v)
    except RuntimeError:
        with pytest.raises(RuntimeError, match=name):
            call(functional, ours, v)
    else:
        same(call(functional, ours, v), expected)
