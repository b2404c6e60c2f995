"""Promotion of types: PyTorch's rules, from its table of 2.13."""

import itertools

import numpy as np
import pytest

import scratchgan as sg
from scratchgan import dtypes

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
