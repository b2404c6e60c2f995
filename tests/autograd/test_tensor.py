"""Tensor: operators, conversions, what other libraries see, changes in place."""

import math
import operator
import subprocess
import sys
from enum import IntEnum

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import scratchgan as sg
from scratchgan import Tensor
from scratchgan.testing import choices
from scratchgan.testing.strategies import broadcastable_shapes, drawn

POSITIVE = ((0.5, 3.0),)


def pairs():
    """Two tensors that broadcast together, in any layout, or a number in place of one."""

    def make(choice):
        a, b = choices.broadcastable(choice, 2)
        x, y = choices.tensor(choice, a, POSITIVE), choices.tensor(choice, b, POSITIVE)
        return choice.one_of(((x, y), (x, 1.5), (x, 2), (2.5, y), (x, y.numpy()), (x.numpy(), y)))

    return drawn(make)


def plain(x):
    return x.numpy() if isinstance(x, Tensor) else x


OPERATORS = ("add", "sub", "mul", "truediv", "pow", "eq", "ne", "lt", "le", "gt", "ge")


@pytest.mark.parametrize("name", OPERATORS)
@given(pair=pairs())
def test_operators_are_numpys(name, pair):
    function = getattr(operator, name)
    out = function(*pair)
    expected = function(*map(plain, pair))
    assert isinstance(out, Tensor)
    np.testing.assert_allclose(out.numpy(), expected, rtol=1e-14)
    assert out.shape == np.shape(expected)


def test_unary_operators_and_logic():
    x = sg.tensor([-1.0, 2.0])
    assert (-x).tolist() == [1.0, -2.0]
    assert abs(x).tolist() == [1.0, 2.0]
    a, b = x > 0, x < 5
    assert (~a).tolist() == [True, False]
    assert (a & b).tolist() == [False, True]
    assert (a | b).tolist() == [True, True]
    assert (a & b).dtype == (a | b).dtype == (~a).dtype == bool
    assert (x == None) is False  # noqa: E711
    assert (x != None) is True  # noqa: E711


def test_numbers_of_other_classes_are_numbers():
    class Size(IntEnum):
        TWO = 2

    x = sg.tensor([1.0, 2.0])
    for number in (np.float64(2), np.float32(2), np.int64(2), Size.TWO, True + True):
        assert (x * number).tolist() == (number * x).tolist() == [2.0, 4.0]
        assert (x * number).dtype == np.float32
    assert (x * np.True_).tolist() == [1.0, 2.0]


def test_what_is_no_operand():
    x = sg.ones(2)
    for other in ("a", None, [1.0, 2.0], object()):
        with pytest.raises(TypeError, match="add: takes tensors, arrays and numbers, not"):
            x + other


def test_powers():
    x = sg.tensor([-3.0, 2.0], requires_grad=True)
    assert (x**2).node.name == (x**2.0).node.name == "square"
    assert (x**3).tolist() == [-27.0, 8.0]
    assert (2.0**x).tolist() == [0.125, 4.0]
    assert (sg.tensor([4.0]) ** 0.5).tolist() == [2.0]
    assert (x**0).tolist() == [1.0, 1.0]


# --- Conversions ----------------------------------------------------------------------


def test_to_python():
    assert sg.tensor(2.5).item() == float(sg.tensor([2.5])) == 2.5
    assert int(sg.tensor([[7]])) == 7
    assert [10, 20, 30][sg.tensor(1)] == 20
    assert sg.tensor([[1, 2]]).tolist() == [[1, 2]]
    assert bool(sg.tensor(0.0)) is False
    assert len(sg.ones(3, 2)) == 3
    assert [row.tolist() for row in sg.arange(4).reshape(2, 2)] == [[0, 1], [2, 3]]
    for call, error, message in (
        (lambda: sg.ones(2).item(), ValueError, r"item: a tensor of shape \(2,\) has 2 elements"),
        (lambda: bool(sg.ones(2)), ValueError, "neither true nor false"),
        (lambda: [1, 2][sg.tensor(1.0)], TypeError, "index: a tensor of type float32"),
        (lambda: len(sg.tensor(1.0)), TypeError, "without dimensions has no length"),
    ):
        with pytest.raises(error, match=message):
            call()


def test_types_and_sizes():
    x = sg.zeros(2, 3, dtype="float64")
    assert (x.shape, x.ndim, x.size(), x.numel(), x.dtype) == ((2, 3), 2, (2, 3), 6, np.float64)
    assert (x.size(0), x.size(-1), x.dim(), x.element_size()) == (2, 3, 2, 8)
    assert x.float().dtype == np.float32
    assert x.double() is x  # nothing to convert
    assert x.to("int32").dtype == np.int32
    assert sg.tensor([-1.7, 2.7]).to("int64").tolist() == [-1, 2]
    y = sg.tensor([1.5], requires_grad=True)
    (y.double() * 2).sum().backward()
    assert y.grad.dtype == np.float32


def test_repr():
    x = sg.tensor([1.0, 2.5])
    assert repr(x) == "tensor([1. , 2.5])"
    assert repr(x.double()) == "tensor([1. , 2.5], dtype=float64)"
    assert repr(x.requires_grad_()) == "tensor([1. , 2.5], requires_grad=True)"
    assert repr(x * 2) == "tensor([2., 5.], node=mul)"
    assert repr(sg.tensor([3, 4]) > 3) == "tensor([False,  True])"
    assert repr(sg.tensor(3)) == "tensor(3)"
    assert repr(sg.tensor(3, dtype=sg.int32)) == "tensor(3, dtype=int32)"
    assert repr(sg.zeros(0, dtype=sg.int64)) == "tensor([], dtype=int64)"
    assert repr(sg.zeros(2, 0)) == "tensor([], size=(2, 0))"


def test_numpy_and_back():
    x = sg.tensor([1.0, 2.0])
    assert np.shares_memory(x.numpy(), x.array)
    assert np.asarray(x).dtype == np.float32
    assert np.asarray(x, np.float64).dtype == np.float64
    assert np.shares_memory(np.asarray(x), x.array)
    assert not np.shares_memory(np.array(x), x.array)
    np.testing.assert_array_equal(np.add(np.asarray(x), 1), [2, 3])
    y = sg.tensor([1.0], requires_grad=True)
    for call in (y.numpy, lambda: np.asarray(y), lambda: (y * 2).numpy()):
        with pytest.raises(RuntimeError, match=r"tensor.detach\(\).numpy\(\)"):
            call()
    assert y.numpy(force=True).tolist() == y.detach().numpy().tolist() == [1.0]
    assert isinstance(np.ones(2) + x, Tensor)
    assert isinstance(np.float64(2) * x, Tensor)


def test_dlpack():
    x = sg.arange(6).reshape(2, 3)
    array = np.from_dlpack(x)
    assert np.shares_memory(array, x.array)
    assert np.shares_memory(sg.from_dlpack(x.T).array, x.array)
    assert x.__dlpack_device__() == array.__dlpack_device__()
    with pytest.raises(BufferError, match="requires a gradient"):
        np.from_dlpack(sg.ones(2, requires_grad=True))


@pytest.mark.parametrize(
    "other",
    [
        np.arange(9.0, dtype=np.float32).reshape(3, 3),
        np.arange(18.0, dtype=np.float32).reshape(3, 6)[:, ::2],
        np.arange(9.0, dtype=np.float32).reshape(3, 3).T,
    ],
    ids=["of rows", "with gaps", "of columns"],
)
def test_other_data(other):
    x, y = sg.ones(3, 3), sg.full((3, 3), 2.0)
    assert (x * y).tolist() == (x * 2.0).tolist() == [[2] * 3] * 3
    x.array = other
    assert x.array is other
    for result in (x * x, -x, x * 2.0, x.square().sqrt()):
        assert type(result.array) is np.ndarray
        assert (result.shape, result.array.flags.c_contiguous) == (other.shape, True)
    np.testing.assert_array_equal((x * x).numpy(), other * other)
    np.testing.assert_array_equal((x * 1.0 + y[0, 0]).numpy(), other + 2)


def test_gradients_have_the_kind_of_their_tensor():
    x = sg.ones(2, 3, requires_grad=True)
    (x.T * x.T).sum().backward()
    assert (x.grad.shape, x.grad.dtype) == (x.shape, x.dtype)
    x = sg.tensor(0.5, requires_grad=True)
    y = x.tanh() * x
    y.backward()
    assert type(y.array) is type(x.grad.array) is np.ndarray
    assert x.grad.item() == pytest.approx(np.tanh(0.5) + 0.5 * (1 - np.tanh(0.5) ** 2))


def test_tensors_hash_by_identity():
    x, y = sg.ones(1), sg.ones(1)
    assert len({x, y, x}) == 2
    assert {x: 1}[x] == 1


# --- Data -----------------------------------------------------------------------------


def test_data_is_a_tensor_on_the_same_memory_off_the_tape():
    w = sg.tensor([1.0, -2.0], requires_grad=True)
    assert isinstance(w.data, sg.Tensor)
    assert np.shares_memory(w.data.array, w.array)
    assert not w.data.requires_grad
    w.data.mul_(3.0)
    w.data -= 1.0
    assert w.tolist() == [2.0, -7.0]
    assert w.data.cpu().numpy().tolist() == [2.0, -7.0]
    assert w.requires_grad
    assert w.is_leaf


def test_data_that_is_changed_is_noticed_by_the_tape():
    w = sg.tensor([1.0, 2.0], requires_grad=True)
    for change in (lambda: w.data.mul_(2.0), lambda: setattr(w, "data", sg.zeros(2))):
        y = (w * w).sum()
        change()
        with pytest.raises(sg.autograd.TapeError, match="as it was in the forward"):
            y.backward()


def test_data_that_is_assigned_brings_the_changes_of_its_owner():
    w, other = sg.ones(2, requires_grad=True), sg.tensor([3.0, 4.0])
    w.data = other
    y = (w * w).sum()
    other.add_(1.0)
    with pytest.raises(sg.autograd.TapeError, match="as it was in the forward"):
        y.backward()


def test_data_that_is_assigned_is_shared():
    w, other = sg.ones(2, requires_grad=True), sg.tensor([5.0, 6.0, 7.0])
    w.data = other
    other.mul_(2.0)
    assert w.tolist() == [10.0, 12.0, 14.0]
    w.sum().backward()
    assert w.grad.tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("dtype", ["int64", "bool"])
def test_what_has_no_gradient_cannot_require_one(dtype):
    x = sg.ones(2, dtype=dtype)
    for require in (lambda: setattr(x, "requires_grad", True), x.requires_grad_):
        with pytest.raises(RuntimeError, match=f"only floating types have gradients, not {dtype}"):
            require()
    assert not x.requires_grad


def test_a_result_goes_on_requiring_a_gradient():
    x = sg.ones(2)
    x.requires_grad = True
    y = x * 2
    y.requires_grad = True
    for refuse in (lambda: setattr(y, "requires_grad", False), lambda: y.requires_grad_(False)):
        with pytest.raises(RuntimeError, match=r"a result on the tape keeps it; use detach\(\)"):
            refuse()
    y.sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]
    x.requires_grad = False
    assert not (x * 2).requires_grad


# --- In place -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["add", "sub", "mul", "div"])
@given(shapes=broadcastable_shapes(2), number=st.booleans())
def test_in_place_arithmetic(name, shapes, number):
    whole = np.broadcast_shapes(*shapes)
    values = np.random.default_rng(0).uniform(0.5, 2, whole)
    x = sg.tensor(values)
    before = x.array
    y = 1.5 if number else sg.tensor(np.random.default_rng(1).uniform(0.5, 2, shapes[0]))
    expected = getattr(sg, name)(sg.tensor(values), y).numpy()
    assert getattr(x, name + "_")(y) is x
    assert x.array is before
    np.testing.assert_array_equal(x.numpy(), expected)
    z = sg.tensor(values)
    same = z
    if name == "add":
        z += y
    elif name == "sub":
        z -= y
    elif name == "mul":
        z *= y
    else:
        z /= y
    assert z is same
    np.testing.assert_array_equal(z.numpy(), expected)


def test_in_place_results_that_do_not_fit():
    with pytest.raises(ValueError, match=r"add_: a result of shape \(2, 3\) .* of shape \(3,\)"):
        sg.ones(3).add_(sg.ones(2, 3))
    with pytest.raises(
        ValueError, match=r"mul_: a result of .* type float32 does not fit into .*int"
    ):
        sg.arange(3).mul_(0.5)
    with pytest.raises(ValueError, match=r"add_: the shapes \(3,\) and \(2,\) do not broadcast"):
        sg.ones(3).add_(sg.ones(2))
    x = sg.ones(2)
    x.add_(sg.ones(2, dtype="float64"))  # the type of the tensor stays
    assert (x.dtype, x.tolist()) == (np.float32, [2.0, 2.0])


def test_fill_zero_copy():
    x = sg.ones(2, 2)
    x.fill_(3.0)[0].zero_()
    assert x.tolist() == [[0.0, 0.0], [3.0, 3.0]]
    x.copy_(sg.arange(2))
    assert x.tolist() == [[0.0, 1.0], [0.0, 1.0]]
    x[:, 1] = sg.tensor([5.0, 6.0])
    x[sg.tensor([True, False])] = -1.0
    assert x.tolist() == [[-1.0, -1.0], [0.0, 6.0]]
    x.fill_(math.nan)
    assert sg.isnan(x).all()


# --- Import ---------------------------------------------------------------------------

HEAVY = ("numba", "llvmlite", "matplotlib", "rich", "typer", "safetensors", "cupy", "hypothesis")
LAZY = (
    "scratchgan.testing",
    "scratchgan.jit",
    "scratchgan.gan",
    "scratchgan.viz",
    "scratchgan.cli",
)


def modules_after(code):
    report = f"{code}\nimport sys\nprint('\\n'.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", report], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_import_brings_numpy_and_nothing_heavier():
    modules = modules_after("import scratchgan")
    assert "numpy" in modules
    assert not modules.intersection(HEAVY)
    assert not modules.intersection(m for m in LAZY if m != "scratchgan.jit")


def test_the_numpy_backend_needs_no_numba_and_the_checks_no_hypothesis():
    modules = modules_after(
        "import scratchgan as sg\n"
        "sg.set_backend('numpy')\n"
        "from scratchgan.testing import gradcheck\n"
        "x = sg.tensor([1.0], 'float64', requires_grad=True)\n"
        "assert gradcheck(lambda x: sg.tanh(x).sum(), x)"
    )
    assert not modules.intersection(HEAVY)
