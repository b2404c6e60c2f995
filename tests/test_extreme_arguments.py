"""Composed functions where numbers are infinite, nan, equal, or too large to be squared.

Expected values are PyTorch's, but for the gradient of ``xlogy`` by a factor 0, which is log(y).
"""

from math import inf, log, nan

import numpy as np
import pytest

import scratchgan as sg

#: Functions of tensors of float32 with their inputs, their values, and the gradients of their sum.
CASES = {
    "logaddexp": (
        sg.logaddexp,
        ([inf, 0, inf, -inf, 1], [0, inf, inf, -inf, nan]),
        [inf, inf, inf, -inf, nan],
        ([1, 0, 0.5, 0.5, nan], [0, 1, 0.5, 0.5, nan]),
    ),
    "logaddexp2": (
        sg.logaddexp2,
        ([inf, 0, inf, -inf], [0, inf, inf, -inf]),
        [inf, inf, inf, -inf],
        ([1, 0, 0.5, 0.5], [0, 1, 0.5, 0.5]),
    ),
    "logcumsumexp": (lambda x: sg.logcumsumexp(x, 0), ([-inf, 0, inf],), [-inf, 0, inf], None),
    "hypot": (
        sg.hypot,
        ([1e-30, 1e30, 3e-23, 3, inf, nan], [1e-30, 1e30, 4e-23, 4, nan, inf]),
        [2**0.5 * 1e-30, 2**0.5 * 1e30, 5e-23, 5, inf, inf],
        None,
    ),
    "hypot's gradient": (
        sg.hypot,
        ([1e-30, 1e30, 3], [1e-30, 1e30, 4]),
        [2**0.5 * 1e-30, 2**0.5 * 1e30, 5],
        ([0.5**0.5, 0.5**0.5, 0.6], [0.5**0.5, 0.5**0.5, 0.8]),
    ),
    "fmod": (
        sg.fmod,
        ([5, -5, 5, 5, inf], [-inf, inf, inf, -3, 2]),
        [5, -5, 5, 2, nan],
        None,
    ),
    "xlogy": (
        sg.xlogy,
        ([0, 0, 0, 2], [0, nan, inf, inf]),
        [0, nan, 0, inf],
        None,
    ),
    "xlogy by 0": (sg.xlogy, ([0, 0], [2, 0]), [0, 0], ([log(2), 0], [0, 0])),
    "logit": (sg.logit, ([0, 1, 0.5],), [-inf, inf, 0], ([inf, inf, 4],)),
    "clamp at a bound": (
        lambda x, y: x.clamp(max=y),
        ([1, 2, 0], [1, 1, 1]),
        [1, 1, 0],
        ([1, 0, 1], [0, 1, 0]),
    ),
    "clamp at the lower": (
        lambda x, y: x.clamp(min=y),
        ([1, 2, 0, nan], [1, 1, 1, 1]),
        [1, 2, 1, nan],
        None,
    ),
    "ldexp": (sg.ldexp, ([1e-40, 3, 1], [200, 3, -1]), [1e-40 * 2.0**200, 24, 0.5], None),
    "quantile": (lambda x: sg.quantile(x, 0.25), ([-inf, 1, 2],), -inf, None),
    "lerp": (
        lambda x, y: sg.lerp(x, y, 1.0),
        ([1e8, -inf], [3, 5]),
        [3, nan],
        None,
    ),
}


@pytest.mark.parametrize("backend", ["numpy", "numba"])
@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients(name, backend):
    function, given, expected, gradients = CASES[name]
    inputs = [sg.tensor(x, "float32", requires_grad=True) for x in given]
    with sg.use_backend(backend), np.errstate(all="ignore"):
        found = function(*inputs)
        np.testing.assert_allclose(found.numpy(force=True), np.float32(expected), rtol=2e-6)
        if gradients is not None:
            found.sum().backward()
            for x, gradient in zip(inputs, gradients, strict=True):
                np.testing.assert_allclose(x.grad.numpy(), np.float32(gradient), rtol=2e-6)


def test_numbers_beside_tensors_do_not_widen_them():
    x = sg.tensor([1.0, 0.0])
    for found in (sg.xlogy(x, 3.0), sg.xlogy(x, 3), sg.xlogy(2, x), x.xlogy(3)):
        assert found.dtype == np.float32
    np.testing.assert_allclose(sg.jit(lambda x: sg.xlogy(x, 3.0))(x).numpy(), [np.log(3), 0], 1e-6)
    assert sg.hypot(sg.tensor([3]), sg.tensor(4.0, dtype=sg.float64)).dtype == np.float64


@pytest.mark.parametrize("name", ["add", "sub", "mul", "maximum", "bitwise_and", "floor_divide"])
@pytest.mark.parametrize("dtype", ["uint8", "int8", "int32"])
def test_an_integer_without_dimensions_widens_nothing(name, dtype):
    x, one = sg.tensor([100, 2], dtype=dtype), sg.tensor(3)
    expected = getattr(sg, name)(x, sg.tensor([3, 3], dtype=dtype))
    found = getattr(sg, name)(x, one)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found.numpy(), expected.numpy())


def test_a_letter_that_stands_twice_has_one_size():
    for equation, shapes in (("ii", [(2, 3)]), ("ii->i", [(2, 3)]), ("ij,jj->i", [(2, 3), (3, 4)])):
        with pytest.raises(ValueError, match=r"einsum: '.' stands twice for a tensor of shape"):
            sg.einsum(equation, *[sg.ones(*shape) for shape in shapes])


def test_what_cannot_be_drawn():
    x = sg.ones(2)
    for draw in (x.normal_, lambda *a: sg.nn.init.normal_(x, *a)):
        with pytest.raises(ValueError, match=r"normal_: std is -1; it must be 0 or more"):
            draw(0, -1)
    for draw in (x.uniform_, lambda *a: sg.nn.init.uniform_(x, *a)):
        with pytest.raises(ValueError, match=r"uniform_: b is 1, below a, which is 2"):
            draw(2, 1)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda x: x.fill_(2), "fill_"),
        (lambda x: x.add_(1), "add_"),
        (lambda x: x.exp_(), "exp_"),
        (lambda x: x.uniform_(), "uniform_"),
        (lambda x: x.__setitem__(0, 2.0), "setitem"),
    ],
)
def test_an_expanded_tensor_is_not_written(change, name):
    x = sg.ones(3)
    with pytest.raises(RuntimeError, match=rf"^{name}: this memory cannot be written"):
        change(x.expand(2, 3))
    assert x.tolist() == [1, 1, 1]


def test_numbers_beyond_the_integers_and_bytes_of_other_machines():
    with pytest.raises(TypeError, match=r"tensor: 9223372036854775808 is beyond int64"):
        sg.tensor([2**63])
    swapped = np.array([1.0, 2.0], ">f4")
    assert sg.tensor(swapped).dtype.isnative
    assert sg.tensor([1.0], dtype=">f4").dtype.isnative
    assert sg.tensor(swapped).tolist() == [1.0, 2.0]
    with pytest.raises(TypeError, match="from_numpy: >f4 is not in this machine's byte order"):
        sg.from_numpy(swapped)
