"""Promotion of types: PyTorch's rules, from its table of 2.13."""

import inspect
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import scratchgan as sg
from scratchgan import dtypes
from scratchgan.autograd.primitive import REGISTRY
from scratchgan.testing import strategies

NAMES = ("bool", "uint8", "int32", "int64", "float32", "float64")
CATEGORY = {"bool": 0, "uint8": 1, "int32": 1, "int64": 1, "float32": 2, "float64": 2}

#: Two tensors that both have dimensions, or both have none.
TABLE = """
bool    uint8   int32   int64   float32 float64
uint8   uint8   int32   int64   float32 float64
int32   int32   int32   int64   float32 float64
int64   int64   int64   int64   float32 float64
float32 float32 float32 float32 float32 float64
float64 float64 float64 float64 float64 float64
"""
EQUALS = {
    (a, b): result
    for a, row in zip(NAMES, TABLE.split("\n")[1:-1], strict=True)
    for b, result in zip(NAMES, row.split(), strict=True)
}
PAIRS = list(itertools.product(NAMES, NAMES))


@pytest.mark.parametrize(("a", "b"), PAIRS)
@pytest.mark.parametrize("shape", [(2,), ()])
def test_two_tensors_alike(a, b, shape):
    assert sg.add(sg.ones(*shape, dtype=a), sg.ones(*shape, dtype=b)).dtype == EQUALS[a, b]


@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_a_tensor_with_dimensions_goes_before_one_without(a, b):
    expected = b if CATEGORY[b] > CATEGORY[a] else a
    assert dtypes.promote([np.ones(2, a), np.ones((), b)]) == expected
    assert dtypes.promote([np.ones((), b), np.ones(2, a)]) == expected


@pytest.mark.parametrize("a", NAMES)
@pytest.mark.parametrize(("number", "own"), [(True, "bool"), (2, "int64"), (2.5, "float32")])
@pytest.mark.parametrize("shape", [(2,), ()])
def test_a_python_number_never_promotes_within_its_category(a, number, own, shape):
    expected = own if CATEGORY[own] > CATEGORY[a] else a
    x = sg.ones(*shape, dtype=a)
    assert (x + number).dtype == (number + x).dtype == expected
    assert (x + np.float64(number)).dtype == (x + float(number)).dtype  # NumPy's are numbers, too
    assert (np.float64(number) + x).dtype == (x + float(number)).dtype


def test_functions_of_integers_are_of_the_default_type():
    x = sg.arange(3)
    assert (x / 2).dtype == ((x + 1) / (x + 1)).dtype == sg.exp(x).dtype == np.float32
    np.testing.assert_allclose(sg.exp(x).numpy(), np.exp([0, 1, 2]), rtol=1e-6)
    assert (x**2).dtype == (x * x).dtype == sg.abs(x).dtype == np.int64
    assert (x > 1).dtype == (x == 1).dtype == bool


def test_the_default_type_can_be_changed():
    assert sg.get_default_dtype() == np.float32
    try:
        sg.set_default_dtype("float64")
        assert sg.tensor([1.5]).dtype == sg.zeros(1).dtype == sg.rand(1).dtype == np.float64
        assert (sg.arange(2) / 2).dtype == np.float64
        assert "dtype" not in repr(sg.zeros(1))
    finally:
        sg.set_default_dtype("float32")
    with pytest.raises(TypeError, match="float16 is neither float32 nor float64"):
        sg.set_default_dtype("float16")


def test_several_at_once():
    arrays = [np.ones(2, np.float32), np.ones((), np.float64), np.ones(3, np.int64)]
    assert dtypes.promote([*arrays, 2.5]) == np.float32
    assert dtypes.promote([True, 1, 2.0]) == np.float32
    assert sg.concatenate([sg.zeros(1), sg.zeros(1, dtype="float64")]).dtype == np.float64
    assert sg.where(sg.tensor([True]), sg.arange(1), 0.5).dtype == np.float32


# --- The argument dtype -----------------------------------------------------------------------

X = sg.ones(2, 3)
#: What each function that takes a dtype is called with beside it.
ARGUMENTS = {
    **dict.fromkeys(("zeros", "ones", "empty", "rand", "randn"), (2, 3)),
    **dict.fromkeys(("zeros_like", "ones_like", "empty_like", "rand_like", "randn_like"), (X,)),
    **dict.fromkeys(("tensor", "as_tensor"), ([1.0, 2.0],)),
    **dict.fromkeys(("linspace", "logspace"), (0, 1, 5)),
    **dict.fromkeys(("tril_indices", "triu_indices"), (2, 3)),
    **dict.fromkeys(("sum", "mean", "prod", "nansum", "nanmean", "norm"), (X,)),
    **dict.fromkeys(("cumsum", "cumprod", "softmax", "log_softmax"), (X, 0)),
    **{"full": ((2, 3), 1), "full_like": (X, 1), "scalar_tensor": (1.0,), "arange": (5,)},
    **{"eye": (3,), "randint": (0, 9, (2,)), "randint_like": (X, 9), "randperm": (5,)},
    "normal": (0, 1, (2,)),
}
FLOATS_ONLY = {"rand", "randn", "rand_like", "randn_like", "normal", "nanmean"}


def takes_dtype(function):
    made = getattr(function, "primitive", None)
    return "dtype" in (made.keywords if made else inspect.signature(function).parameters)


def test_every_function_that_takes_a_dtype_is_tested_here():
    functions = {
        name
        for name, value in vars(sg).items()
        if inspect.isfunction(value) and not name.startswith("_") and takes_dtype(value)
    }
    assert functions - {"set_default_dtype"} == set(ARGUMENTS)
    assert {name for name, one in REGISTRY.items() if "dtype" in one.keywords} <= {
        *ARGUMENTS,
        "cast",  # x.to(dtype), below
    }


@pytest.mark.parametrize("name", sorted(ARGUMENTS))
@pytest.mark.parametrize("dtype", [complex, str, object, "M8[s]", "V4", "nothing", 3, [1]], ids=str)
def test_what_is_no_type_of_real_numbers_is_refused(name, dtype):
    kind = "floating point" if name in FLOATS_ONLY else "real"
    with pytest.raises(
        TypeError, match=f"^{name}: .* is no (data type|type of {kind} numbers); take"
    ):
        getattr(sg, name)(*ARGUMENTS[name], dtype=dtype)
    with pytest.raises(TypeError, match=r"^to: "):
        X.to(dtype)


@pytest.mark.parametrize("name", sorted(ARGUMENTS))
@pytest.mark.parametrize("dtype", ["float64", np.float32, ">f8", sg.int32, "u1", bool], ids=str)
def test_a_result_is_of_the_type_that_is_asked_for(name, dtype):
    wanted = np.dtype(dtype).newbyteorder("=")
    needs_floats = FLOATS_ONLY | {"mean", "norm", "softmax", "log_softmax"}
    if wanted.kind == "f" or name not in needs_floats:
        found = getattr(sg, name)(*ARGUMENTS[name], dtype=dtype).dtype
        assert found.isnative
        assert found == wanted
    assert X.to(dtype).dtype == wanted


@pytest.mark.parametrize("dtype", [*"?bBhHiIlLqQefdg", ">f4", "<f4", ">i8", "<u2"])
def test_a_type_is_numpys_own_object_whatever_the_byte_order(dtype):
    # NumPy compares the types of two arrays by identity before anything else, and so do others.
    found = dtypes.of("f", dtype)
    assert found is np.dtype(found.type)
    assert found == np.dtype(dtype).newbyteorder("=")


def test_an_array_of_other_than_real_numbers_is_no_input():
    for array in (np.ones(3, complex), np.array(["a", "b", "c"]), np.ones(3, object)):
        for call in (lambda a: X * a, lambda a: sg.where(X > 0, X, a), sg.std, sg.from_dlpack):
            with pytest.raises((TypeError, BufferError), match=r"real|type"):
                call(array)


@pytest.mark.parametrize("name", ["sum", "mean", "softmax", "log_softmax"])
@given(x=strategies.tensors(st.just((3, 4)), st.just(sg.float32)))
def test_a_reduction_converts_before_it_reduces(name, x):
    function = getattr(sg, name)
    wide = x.double().requires_grad_()
    x.requires_grad_()
    found, expected = function(x, 1, dtype=sg.float64), function(wide, 1)
    assert found.dtype == sg.float64
    assert found.equal(expected)
    weights = sg.rand_like(expected)
    found.backward(weights)
    expected.backward(weights)
    assert x.grad.equal(wide.grad.float())
    recorded = sg.jit(lambda y: function(y, 1, dtype=sg.float64).detach())
    assert recorded(x).equal(expected)
    assert recorded(x).equal(expected)
