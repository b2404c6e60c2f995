"""Extreme values: what comes out of functions at ±1e4, ±inf, nan and where they have poles.

The values are the limits, except where a function is a difference of infinities; nan says so.
Gradients are finite wherever the exact ones are.
"""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import scratchgan as sg
from scratchgan import Tensor, ops

# With NumPy's own functions as kernels its warnings come, too.
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

INF, NAN = math.inf, math.nan

#: By function: input, value, derivative. All hold in both types: what differs is too small for one.
OF_ONE_INPUT = {
    ops.sigmoid: [
        (1e4, 1.0, 0.0),
        (-1e4, 0.0, 0.0),
        (INF, 1.0, 0.0),
        (-INF, 0.0, 0.0),
        (NAN, NAN, NAN),
    ],
    ops.tanh: [
        (1e4, 1.0, 0.0),
        (-1e4, -1.0, 0.0),
        (INF, 1.0, 0.0),
        (-INF, -1.0, 0.0),
        (NAN, NAN, NAN),
        (1e-30, 1e-30, 1.0),
    ],
    ops.softplus: [
        (1e4, 1e4, 1.0),
        (-1e4, 0.0, 0.0),
        (INF, INF, 1.0),
        (-INF, 0.0, 0.0),
        (NAN, NAN, NAN),
        (-50.0, math.exp(-50), math.exp(-50)),
    ],
    ops.relu: [
        (1e4, 1e4, 1.0),
        (-1e4, 0.0, 0.0),
        (INF, INF, 1.0),
        (-INF, 0.0, 0.0),
        (NAN, NAN, 1.0),  # as in PyTorch, the gradient passes
        (0.0, 0.0, 0.0),
    ],
    ops.abs: [(INF, INF, 1.0), (-INF, INF, -1.0), (NAN, NAN, NAN), (0.0, 0.0, 0.0)],
    ops.square: [(1e4, 1e8, 2e4), (-INF, INF, -INF), (NAN, NAN, NAN)],
    ops.exp: [
        (1e4, INF, INF),
        (-1e4, 0.0, 0.0),
        (INF, INF, INF),
        (-INF, 0.0, 0.0),
        (NAN, NAN, NAN),
    ],
    ops.expm1: [
        (1e4, INF, INF),
        (-1e4, -1.0, 0.0),
        (INF, INF, INF),
        (-INF, -1.0, 0.0),
        (NAN, NAN, NAN),
        (1e-30, 1e-30, 1.0),
    ],
    ops.log: [
        (1e4, math.log(1e4), 1e-4),
        (INF, INF, 0.0),
        (0.0, -INF, INF),
        (NAN, NAN, NAN),
        (1e-30, math.log(1e-30), 1e30),
    ],
    ops.erf: [(INF, 1.0, 0.0), (-INF, -1.0, 0.0), (NAN, NAN, NAN), (1e4, 1.0, 0.0)],
    ops.erfc: [(INF, 0.0, 0.0), (-INF, 2.0, 0.0), (NAN, NAN, NAN), (-1e4, 2.0, 0.0)],
    ops.log1p: [
        (1e4, math.log1p(1e4), 1 / (1 + 1e4)),
        (INF, INF, 0.0),
        (-1.0, -INF, INF),
        (NAN, NAN, NAN),
        (1e-30, 1e-30, 1.0),
    ],
    ops.sqrt: [
        (1e4, 100.0, 0.005),
        (INF, INF, 0.0),
        (0.0, 0.0, INF),
        (-1.0, NAN, NAN),
        (NAN, NAN, NAN),
    ],
    ops.sin: [(INF, NAN, NAN), (NAN, NAN, NAN), (1e4, math.sin(1e4), math.cos(1e4))],
    ops.cos: [(-INF, NAN, NAN), (NAN, NAN, NAN), (1e4, math.cos(1e4), -math.sin(1e4))],
}

#: By function: inputs, value, derivative for each input.
OF_TWO_INPUTS = {
    ops.binary_cross_entropy: [
        ((0.0, 0.0), 0.0, (0.0, 100.0)),
        ((1.0, 1.0), 0.0, (0.0, -100.0)),
        ((0.0, 1.0), 100.0, (-1e12, 100.0)),  # logarithms are held above -100,
        ((1.0, 0.0), 100.0, (1e12, -100.0)),  # and p (1 - p) above 1e-12
        ((1e-30, 1.0), -math.log(1e-30), (-1e12, -math.log(1e-30))),
        ((NAN, 0.5), NAN, (NAN, NAN)),
    ],
    ops.binary_cross_entropy_with_logits: [
        ((1e4, 1.0), 0.0, (0.0, -1e4)),
        ((1e4, 0.0), 1e4, (1.0, -1e4)),
        ((-1e4, 1.0), 1e4, (-1.0, 1e4)),
        ((-1e4, 0.0), 0.0, (0.0, 1e4)),
        ((1e4, 0.25), 7.5e3, (0.75, -1e4)),
        ((INF, 0.0), INF, (1.0, -INF)),
        ((-INF, 1.0), INF, (-1.0, INF)),
        ((INF, 1.0), NAN, (0.0, -INF)),  # inf - inf, as in PyTorch; the gradient is 0
        ((-INF, 0.0), NAN, (0.0, INF)),
        ((NAN, 0.5), NAN, (NAN, NAN)),
    ],
    ops.div: [
        ((1.0, 0.0), INF, (INF, -INF)),
        ((0.0, 0.0), NAN, (INF, NAN)),
        ((1e4, INF), 0.0, (0.0, 0.0)),
        ((INF, 2.0), INF, (0.5, -INF)),
    ],
    ops.pow: [
        ((0.0, 0.0), 1.0, (0.0, 0.0)),
        ((0.0, 2.0), 0.0, (0.0, 0.0)),
        ((0.0, 1.0), 0.0, (1.0, 0.0)),
        ((2.0, -1e4), 0.0, (0.0, 0.0)),
        ((-2.0, 3.0), -8.0, (12.0, NAN)),
        ((-2.0, 0.5), NAN, (NAN, NAN)),
    ],
    ops.maximum: [
        ((NAN, 1.0), NAN, (0.0, 0.0)),
        ((INF, 1e4), INF, (1.0, 0.0)),
        ((-INF, -INF), -INF, (0.5, 0.5)),
        ((2.0, 2.0), 2.0, (0.5, 0.5)),
    ],
    ops.minimum: [
        ((1.0, NAN), NAN, (0.0, 0.0)),
        ((INF, 1e4), 1e4, (0.0, 1.0)),
        ((2.0, 2.0), 2.0, (0.5, 0.5)),
    ],
}


def along_rows(function):
    return lambda x: function(x, dim=-1)


#: A row, its log_softmax, and the gradient of the first element of that.
LOG_SOFTMAX = [
    ((1e4, 0.0, -1e4), (0.0, -1e4, -2e4), (0.0, 0.0, 0.0)),
    ((-1e4, 0.0, 1e4), (-2e4, -1e4, 0.0), (1.0, 0.0, -1.0)),
    ((0.0, -INF), (0.0, -INF), (0.0, 0.0)),
    ((-INF, 0.0), (-INF, 0.0), (1.0, -1.0)),
    ((INF, 0.0), (NAN, NAN), (NAN, NAN)),
    ((-INF, -INF), (NAN, NAN), (NAN, NAN)),
    ((NAN, 0.0), (NAN, NAN), (NAN, NAN)),
]

both_types = pytest.mark.parametrize("dtype", [np.float32, np.float64])
both_backends = pytest.mark.parametrize("backend", ["numpy", "numba"])


def gradients(function, inputs, dtype, pick=None):
    """The value and the gradients of the inputs, as lists."""
    leaves = [Tensor(np.array(x, dtype), requires_grad=True) for x in inputs]
    out = function(*leaves)
    start = out if pick is None else out[pick]
    found = sg.autograd.grad(start, leaves, start.ones_like())
    return out.numpy(force=True), [g.numpy() for g in found]


def assert_close(found, expected, dtype):
    tolerance = {np.float32: 3e-6, np.float64: 1e-14}[dtype]
    np.testing.assert_allclose(found, np.array(expected, dtype), rtol=tolerance, atol=1e-44)


@both_types
@both_backends
@pytest.mark.parametrize("function", OF_ONE_INPUT, ids=lambda f: f.__name__)
def test_of_one_input(function, backend, dtype):
    points, values, slopes = zip(*OF_ONE_INPUT[function], strict=True)
    with sg.use_backend(backend):
        out, (g,) = gradients(function, [points], dtype)
    assert_close(out, values, dtype)
    assert_close(g, slopes, dtype)


@both_types
@both_backends
def test_where_a_square_overflows(backend, dtype):
    """Where ``x * x`` is inf, asinh and acosh are not: they grow as a logarithm."""
    x = np.array([1e8, 1e10, 1e30, 3e38, INF], dtype)
    expected = [math.acosh(value) for value in x.tolist()]
    with sg.use_backend(backend):
        assert_close(ops.asinh(sg.tensor(x)).numpy(), expected, dtype)
        assert_close(ops.asinh(sg.tensor(-x)).numpy(), np.negative(expected), dtype)
        assert_close(ops.acosh(sg.tensor(x)).numpy(), expected, dtype)
        below = [0.5, -1.0, -3.0, -1e10, -3e38, -INF, NAN]
        assert np.isnan(ops.acosh(sg.tensor(np.array(below, dtype))).numpy()).all()


@both_types
@both_backends
@pytest.mark.parametrize("function", OF_TWO_INPUTS, ids=lambda f: f.__name__)
def test_of_two_inputs(function, backend, dtype):
    for inputs, value, slopes in OF_TWO_INPUTS[function]:
        with sg.use_backend(backend):
            out, found = gradients(function, inputs, dtype)
        assert_close(out, value, dtype)
        assert_close(found, slopes, dtype)


@both_types
@both_backends
def test_log_softmax(backend, dtype):
    for row, values, slopes in LOG_SOFTMAX:
        with sg.use_backend(backend):
            out, (g,) = gradients(along_rows(ops.log_softmax), [row], dtype, pick=0)
        assert_close(out, values, dtype)
        assert_close(g, slopes, dtype)


#: Their exact gradients are finite at every finite input.
ALWAYS_FINITE = {
    "sigmoid": ops.sigmoid,
    "tanh": ops.tanh,
    "softplus": ops.softplus,
    "relu": ops.relu,
    "log_softmax": along_rows(ops.log_softmax),
    "softmax": along_rows(sg.softmax),
    "logsumexp": along_rows(sg.logsumexp),
    "logits": lambda x: ops.binary_cross_entropy_with_logits(x, 0.25),
}


@both_types
@both_backends
@pytest.mark.parametrize("name", ALWAYS_FINITE)
def test_gradients_are_finite_at_every_finite_input(name, backend, dtype):
    width = 32 if dtype is np.float32 else 64
    finite = st.floats(allow_nan=False, allow_infinity=False, width=width)

    @given(st.lists(finite, min_size=1, max_size=4))
    def holds(row):
        with sg.use_backend(backend):
            x = Tensor(np.array(row, dtype), requires_grad=True)
            out = ALWAYS_FINITE[name](x)
            (g,) = sg.autograd.grad(out, x, out.ones_like(), create_graph=True)
            assert np.isfinite(g.numpy(force=True)).all()
            if name not in ("relu", "softmax", "logsumexp"):  # of primitives, second ones too
                (h,) = sg.autograd.grad(g, x, g.ones_like())
                assert np.isfinite(h.numpy()).all()

    holds()


@both_types
@both_backends
def test_cross_entropy_of_probabilities_has_finite_gradients(backend, dtype):
    probability = st.floats(0, 1, width=32 if dtype is np.float32 else 64)

    @given(probability, probability)
    def holds(p, target):
        with sg.use_backend(backend):
            out, found = gradients(ops.binary_cross_entropy, (p, target), dtype)
        assert np.isfinite([out, *found]).all()

    holds()
