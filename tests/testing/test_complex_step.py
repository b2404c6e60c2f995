"""The complex-step derivative, held against exact derivatives from mpmath and against the tape."""

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import scratchgan as sg
from scratchgan import ops
from scratchgan.testing import GradcheckError, complex_step, complex_step_check

EXACT = {
    "exp": mpmath.exp,
    "expm1": mpmath.expm1,
    "sin": mpmath.sin,
    "cos": mpmath.cos,
    "tanh": mpmath.tanh,
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "softplus": lambda x: mpmath.log1p(mpmath.exp(x)),
    "square": lambda x: x * x,
}


@pytest.mark.parametrize("name", EXACT)
@given(x=st.floats(-5, 5).filter(lambda x: abs(x) > 1e-3))
def test_errors_are_near_the_rounding_of_the_function(name, x):
    (found,) = complex_step(getattr(ops, name), sg.tensor([x], "float64", requires_grad=True))
    with mpmath.workdps(40):
        exact = mpmath.diff(EXACT[name], x)
        assert abs(found.item() - exact) <= 4e-15 * max(1, abs(exact))


def leaf(*shape, seed=0):
    values = np.random.default_rng(seed).uniform(0.2, 0.8, shape)
    return sg.tensor(values, requires_grad=True)


def test_shape_is_that_of_the_output_then_of_the_input():
    x, w = leaf(2, 3), leaf(3, 4, seed=1)
    for_x, for_w = complex_step(lambda x, w: x @ w, (x, w))
    assert (for_x.shape, for_w.shape) == ((2, 4, 2, 3), (2, 4, 3, 4))
    np.testing.assert_allclose(for_w, np.einsum("ik,jl->ijkl", x.detach(), np.eye(4)), rtol=1e-15)
    assert complex_step(sg.exp, leaf(0, 2))[0].shape == (0, 2, 0, 2)


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_a_composition_agrees_with_the_tape(backend):
    def network(x, w, b):
        hidden = ops.linear(x, w, b, activation="tanh")
        return sg.log_softmax(hidden * sg.softplus(hidden), -1).sum(0), hidden.mean()

    with sg.use_backend(backend):
        assert complex_step_check(network, (leaf(2, 3), leaf(4, 3, seed=1), leaf(4, seed=2)))


def test_an_error_that_differences_cannot_see(own_primitives):
    @sg.elementwise(x=lambda g, out: ops.mul(g, ops.mul(out, 1 + 1e-10)))
    def nearly_exp(x):
        return math.exp(x)

    x = leaf(2)
    assert sg.testing.gradcheck(nearly_exp, x)
    assert complex_step_check(nearly_exp, x, raise_exception=False) is False
    with pytest.raises(GradcheckError, match="'nearly_exp' for 'x' is wrong"):
        complex_step_check(lambda x: sg.sin(nearly_exp(x)), x)


def test_a_function_that_is_not_analytic_is_said_to_need_another_witness():
    with pytest.raises(GradcheckError, match="derivatives of analytic functions only: abs"):
        complex_step_check(sg.abs, leaf(2))
