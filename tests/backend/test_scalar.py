"""Scalar definitions mean what Python says they mean, on every backend."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import scratchgan as sg
from scratchgan.backend import CPU_BACKENDS, define, kernels_for, use_backend
from scratchgan.backend.scalar import DEFINITIONS, as_numba, as_numpy

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def language_choice(x, y):
    return x if x > y else (y if y > 1 else -y)


def language_logic(x, y):
    inside = x > -1 and x <= 1 and not y == 0  # noqa: SIM201
    return (1 if inside else 2) + (3 if x > 2 or y > 2 or not inside else 0)


def language_names(x, y):
    s = x + y
    d = x - y
    s = s * d
    return s / 3 - d


def language_functions(x, y):
    a = math.exp(-(x * x)) + math.sin(y) * math.cos(x)
    b = math.log(1 + x * x) + math.sqrt(1 + y * y) + math.tanh(x)
    c = math.expm1(x / 8) - math.log1p(y * y)
    return a + b * c + math.floor(x) + math.pow(1 + x * x, y / 4)


def language_scalars(x, y, *, low, high=2.5):
    return low if x < low else (high if x > high else x * y)


def language_comparisons(x, y):
    return (
        (1 if x < y else 0)
        + (2 if x <= y else 0)
        + (4 if x > y else 0)
        + (8 if x >= y else 0)
        + (16 if x == y else 0)
        + (32 if x != y else 0)
    )


FUNCTIONS = [value for name, value in list(globals().items()) if name.startswith("language_")]
NUMBERS = st.integers(-32, 32).map(lambda n: n / 8)  # exact in both types; ties are common


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("backend", ["numpy", "numba"])
@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_arrays_are_computed_as_python_computes_numbers(function, backend, dtype, own_primitives):
    primitive = sg.elementwise()(function)
    keywords = {"low": -1.25} if "scalars" in function.__name__ else {}
    tolerance = 1e-14 if dtype == "float64" else 2e-6

    @given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=8), st.booleans())
    def holds(points, number):
        x, y = (sg.tensor(list(v), dtype) for v in zip(*points, strict=True))
        second = 0.5 if number else y
        with sg.use_backend(backend):
            out = primitive(x, second, **keywords)
        assert out.dtype == dtype
        expected = [function(a, 0.5 if number else b, **keywords) for a, b in points]
        np.testing.assert_allclose(out.numpy(), expected, rtol=tolerance, atol=tolerance)

    holds()


def test_the_nan_of_a_comparison_is_false():
    def picks(x, y):
        return 1 if x > y else 0

    definition = define(picks)
    try:
        assert as_numpy(definition)(np.array([np.nan, 2.0]), 1.0).tolist() == [0, 1]
    finally:
        del DEFINITIONS["picks"]


def test_sources_can_be_read():
    assert as_numba(DEFINITIONS["tanh_backward"]).splitlines() == [
        "@njit",
        "def tanh_backward(gradient, y):",
        "    return gradient * (real(1) - y * y)",
    ]
    assert DEFINITIONS["softplus"].calls == ("abs",)
    assert DEFINITIONS["div"].is_real
    assert not DEFINITIONS["mul"].is_real


@pytest.mark.usefixtures("own_primitives")
@pytest.mark.parametrize(
    "name", ["mul", "tanh", "sigmoid_backward", "decayed", "sgd", "matmul", "normal"]
)
def test_the_names_of_the_package_are_taken(name):
    def own(x):
        return x + 1

    own.__name__ = name
    before = dict(DEFINITIONS)
    with pytest.raises(TypeError, match=f"{name}: scratchgan has a kernel of this name"):
        define(own)
    assert before == DEFINITIONS


@pytest.mark.usefixtures("own_primitives")
@pytest.mark.parametrize("backend", CPU_BACKENDS)
@pytest.mark.parametrize("name", ["products", "layer_forward", "builtins", "ufunc_of", "WIDEST"])
def test_what_a_backend_imports_takes_no_name(name, backend):
    def own(x):
        return x + 1

    own.__name__ = name
    with use_backend(backend):
        kernels = kernels_for[np.ndarray]
        vars(kernels).pop(name, None)
        define(own)
        out = np.empty(3, np.float32)
        getattr(kernels, name)(np.ones(3, np.float32), out=out)
        vars(kernels).pop(name)
    assert out.tolist() == [2.0, 2.0, 2.0]


@pytest.mark.usefixtures("own_primitives")
@pytest.mark.parametrize("backend", CPU_BACKENDS)
def test_a_definition_takes_the_place_of_an_older_one(backend):
    def kernel_of(function):
        function.__name__ = "own_moved"
        return define(function)

    with use_backend(backend):
        kernels = kernels_for[np.ndarray]
        x, out = np.ones(3, np.float32), np.empty(3, np.float32)

        def up(x, *, step):
            return x + step

        older = kernel_of(up)
        kernels.own_moved(x, step=2.0, out=out)
        assert out.tolist() == [3.0, 3.0, 3.0]

        def down(x, *, step):
            return x - step

        kernel_of(down)
        kernels.own_moved(x, step=2.0, out=out)
        assert out.tolist() == [-1.0, -1.0, -1.0]
        getattr(kernels, older.kernel)(x, step=2.0, out=out)  # its primitive may be in use
        assert out.tolist() == [3.0, 3.0, 3.0]
