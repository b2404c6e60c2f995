"""Names that PyTorch has mean here what they mean there: where NumPy, or an easier way, differs."""

import math
import operator

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import scratchgan as sg
from scratchgan import nn
from scratchgan.autograd.primitive import REGISTRY
from scratchgan.nn import functional
from scratchgan.testing.strategies import arrays, shapes

INTEGERS = (np.int8, np.int16, np.int32, np.int64, np.uint8)
both_backends = pytest.mark.parametrize("backend", ["numpy", "numba"])


# --- Reductions -----------------------------------------------------------------------------


@given(hnp.arrays(np.float64, hnp.array_shapes(max_side=4), elements=st.integers(-3, 3)), st.data())
def test_an_extreme_along_a_dimension_has_its_place(x, data):
    dim = data.draw(st.integers(-x.ndim, x.ndim - 1))
    for name, along in (("max", x.argmax), ("min", x.argmin)):
        t = sg.tensor(x, requires_grad=True)
        values, indices = getattr(sg, name)(t, dim)
        np.testing.assert_array_equal(indices.numpy(), along(axis=dim))
        np.testing.assert_array_equal(values.numpy(force=True), getattr(x, name)(axis=dim))
        values.sum().backward()  # the gradient goes to that place alone, also where others tie
        expected = np.zeros(x.shape)
        np.put_along_axis(expected, np.expand_dims(along(axis=dim), dim), 1.0, dim)
        np.testing.assert_array_equal(t.grad.numpy(), expected)
    other = sg.tensor(-x)
    assert sg.max(sg.tensor(x), other).tolist() == np.maximum(x, -x).tolist()


@pytest.mark.parametrize("dtype", [*INTEGERS, np.bool_])
@both_backends
def test_sums_of_integers_do_not_wrap(dtype, backend):
    with sg.use_backend(backend):
        x = sg.tensor(np.full((3, 100), 1 if dtype is np.bool_ else 100, dtype))
        for total in (x.sum(), x.sum(0).sum(), x.sum(1)[0] * 3):
            assert total.dtype == np.int64
            assert total.item() == 300 * int(x[0, 0])
        assert x.prod(0).dtype == x.cumsum(1).dtype == np.int64


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layout", ["rows", "columns", "gaps"])
@both_backends
def test_the_error_of_a_sum_does_not_grow_with_the_rows(dtype, layout, backend):
    """On either axis, whatever the layout: docs/gradients.md states the bound."""
    count = 1 << 20
    x = np.full((count, 2), 0.1, dtype)
    x = {"rows": x, "columns": np.asfortranarray(x), "gaps": np.repeat(x, 2, 1)[:, ::2]}[layout]
    exact = float(dtype(0.1)) * count
    with sg.use_backend(backend):
        t = sg.Tensor(x, requires_grad=True)
        for found in (t.sum(0), t.detach().T.sum(1), t.sum().reshape(1) / 2):
            error = np.abs(found.numpy(force=True).astype(np.float64) / exact - 1).max()
            assert error <= 128 * np.finfo(dtype).eps


@given(hnp.arrays(np.float64, hnp.array_shapes(min_dims=0, max_side=3)))
def test_a_number_has_dimensions_0_and_minus_1(x):
    t = sg.tensor(x)
    for dim in (0, -1) if not x.ndim else range(-x.ndim, x.ndim):
        with np.errstate(all="ignore"):
            for name in ("sum", "mean", "prod", "amax", "cumsum", "argmax", "softmax", "flip"):
                getattr(t, name)(dim)
        assert t.squeeze(dim).numel() == t.numel()
    for dim in (max(x.ndim, 1), -max(x.ndim, 1) - 1):
        for name in ("sum", "mean", "amax", "argmax", "max", "var", "softmax", "cumsum", "sort"):
            with pytest.raises(IndexError, match=f"dim {dim} is out of range"):
                getattr(t, name)(dim)


@pytest.mark.parametrize("unbiased", [True, False])
def test_the_second_place_of_a_variance_says_whether_it_is_unbiased(unbiased):
    x = sg.tensor([[1.0, 3.0], [2.0, 7.0]])
    expected = np.var([[1.0, 3.0], [2.0, 7.0]], axis=1, ddof=int(unbiased))
    for found in (x.var(1, unbiased), x.var(1, unbiased=unbiased), x.var(1, correction=unbiased)):
        assert found.tolist() == expected.tolist()
    assert x.var(unbiased).item() == pytest.approx(np.var(x.numpy(), ddof=int(unbiased)))
    assert x.var(1, unbiased, True).shape == (2, 1)


# --- Numbers in the place of tensors ---------------------------------------------------------


@pytest.mark.parametrize("name", ["maximum", "minimum", "atan2", "logaddexp", "heaviside"])
@given(number=st.one_of(st.integers(-5, 5), st.floats(-5, 5), st.booleans()))
def test_of_two_tensors_none_may_be_a_number(name, number):
    x = sg.tensor([1.0, 2.0])
    for inputs in ((x, number), (number, x)):
        with pytest.raises(TypeError, match=r"is a tensor, not (int|float|bool);"):
            getattr(sg, name)(*inputs)


OF_ONE = {"log_softmax": {"dim": 0}, "permute": {"dims": (0,)}, "cat": {"dim": 0}}


@pytest.mark.parametrize("name", ["mean", "sum", "amax", "clone", *OF_ONE])
@pytest.mark.parametrize("number", [3, 2.5, True, np.float32(1)], ids=repr)
def test_what_is_reduced_or_moved_is_a_tensor(name, number):
    with pytest.raises(
        TypeError, match=rf"^{name}: \w+(\[0\])? is a tensor, not (int|float|bool);"
    ):
        REGISTRY[name](number, **OF_ONE.get(name, {}))


@pytest.mark.parametrize("name", ["eq", "ne", "lt", "le", "gt", "ge"])
@given(number=st.integers(-3, 3))
def test_what_is_compared_is_a_tensor(name, number):
    x = sg.tensor([-1, 0, 1])
    with pytest.raises(TypeError, match=f"{name}: x is a tensor, not int"):
        getattr(sg, name)(number, x)
    compare, values = getattr(operator, name), x.tolist()
    assert getattr(sg, name)(x, number).tolist() == [compare(v, number) for v in values]
    assert compare(number, x).tolist() == [compare(number, v) for v in values]  # the operator


@given(st.lists(st.integers(-2, 2), max_size=5))
def test_where_with_two_others_or_alone(values):
    x = sg.tensor(values, dtype=sg.int64)
    chosen = [v if v > 0 else 7 for v in values]
    for found in (sg.where(x > 0, x, 7), sg.where(x > 0, input=x, other=7), x.where(x > 0, 7)):
        assert found.tolist() == chosen
    (places,) = sg.where(x)
    assert places.dtype == np.int64
    assert places.tolist() == [i for i, v in enumerate(values) if v]
    with pytest.raises(TypeError, match="where: lacks the argument 'other'"):
        sg.where(x > 0, x)
    with pytest.raises(TypeError, match="where: lacks the argument 'input'"):
        sg.where(x > 0, other=x)
    assert sg.where((x > 0).to(sg.uint8), x, 7).tolist() == chosen
    for choose in (lambda: sg.where(x, x, x), lambda: x.where(x, x)):
        with pytest.raises(TypeError, match="where: condition is made of booleans, not int64"):
            choose()


# --- Integers and booleans ------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [*INTEGERS, np.bool_])
@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 5)), min_size=1))
def test_bits(dtype, pairs):
    x, y = (np.array(column).astype(dtype) for column in zip(*pairs, strict=True))
    a, b = sg.tensor(x), sg.tensor(y)
    for found, expected in ((a & b, x & y), (a | b, x | y), (a ^ b, x ^ y), (~a, ~x)):
        assert found.dtype == dtype
        np.testing.assert_array_equal(found.numpy(), expected)
    if dtype is not np.bool_:
        np.testing.assert_array_equal((a >> b).numpy(), x >> y)
        assert (3 & a).tolist() == (x & 3).tolist()
    with pytest.raises(TypeError, match="bitwise_and: takes integers and booleans, not float32"):
        sg.ones(2) & sg.ones(2)


@pytest.mark.parametrize("dtype", [*INTEGERS, np.bool_])
@pytest.mark.parametrize("name", ["sqrt", "exp", "sigmoid", "tanh", "log1p", "sin", "erf", "rsqrt"])
@both_backends
def test_functions_of_integers_are_computed_in_float32(dtype, name, backend):
    values = np.array([1, 1] if dtype is np.bool_ else [1, 100], dtype)
    with sg.use_backend(backend), np.errstate(all="ignore"):
        found = getattr(sg, name)(sg.tensor(values))
        expected = getattr(sg, name)(sg.tensor(values.astype(np.float32)))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-6)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: functional.leaky_relu(x),
        lambda x: functional.softplus(x),
        lambda x: functional.gelu(x),
        lambda x: x.mean(),
        lambda x: x.var(),
        lambda x: x.norm(),
        lambda x: nn.BCELoss()(x, x),
    ],
)
def test_integers_where_fractions_are_meant_are_refused(call):
    with pytest.raises(TypeError, match="floating point"):
        call(sg.tensor([1, 2]))


def test_powers_of_integers():
    x = sg.tensor([1, 2, -3])
    assert (x**2).dtype == np.int64
    assert (x**2.0).dtype == (x**0.5).dtype == np.float32
    assert (x ** sg.tensor([-1, -2, 3])).tolist() == [1, 0, -27]
    assert (sg.tensor(np.array([3], np.uint8)) * -1).tolist() == [253]  # it wraps


def test_a_minus_before_a_boolean_is_refused():
    with pytest.raises(TypeError, match="neg: takes numbers, not bool"):
        -sg.tensor([True])


@pytest.mark.parametrize("name", ["floor", "ceil", "round", "trunc", "frac"])
def test_booleans_are_not_rounded(name):
    with pytest.raises(TypeError, match="takes numbers, not bool"):
        getattr(sg, name)(sg.tensor([True]))


# --- Indices and views ------------------------------------------------------------------------


@given(arrays(shape=shapes(2, 2)), st.data())
def test_integers_beside_arrays_come_first(x, data):
    """``x[0, :, index]`` is ``x[0][:, index]``, where NumPy puts the array's dimension in front."""
    assume(x.ndim > 1)
    index = [0, 1, 0]
    x = np.concatenate([x, -x], -1)  # of two or more along the last dimension
    t = sg.tensor(x)
    first = data.draw(st.integers(0, x.shape[0] - 1))
    rest = (slice(None),) * (x.ndim - 2)
    expected = x[first][(*rest, index)]
    for array in (index, sg.tensor(index), np.array(index)):
        np.testing.assert_array_equal(t[(first, *rest, array)].numpy(), expected)
    changed = t.clone()
    changed[(first, *rest, sg.tensor(index))] = 7.0
    again = x.copy()
    again[first][(*rest, index)] = 7.0
    np.testing.assert_array_equal(changed.numpy(), again)


@pytest.mark.parametrize("length", [0, 1, 2, 4, 5])
def test_a_mask_of_another_length_is_refused(length):
    x, mask = sg.ones(3, 2), sg.tensor(np.ones(length, bool))
    uses = [lambda: x[mask], lambda: x.__setitem__(mask, 0.0)]
    if length != 2:
        uses.append(lambda: x[:, mask])
    for use in uses:
        with pytest.raises(IndexError, match="a mask of shape"):
            use()


@given(arrays(shape=shapes(1, 1)))
def test_views_share_memory(x):
    t = sg.tensor(x)
    for view in (
        t.T.unsqueeze(0),
        t.unsqueeze(-1).squeeze(),
        t.transpose(0, -1).unsqueeze(1),
        t.permute(*reversed(range(t.ndim))).T.reshape(t.shape),
        t.T.unsqueeze(0).squeeze(0),
        t.movedim(0, -1),
        t.view(t.shape).flatten(),
        t.unsqueeze(0).diagonal(),
        t.T.diagonal(0, 0, -1) if t.ndim > 1 else +t,
    ):
        assert not view.numel() or np.shares_memory(view.array, t.array)
    t.T.unsqueeze(0).zero_()
    assert not t.numpy().any()


def test_a_diagonal_is_a_view():
    x = sg.zeros(3, 4)
    x.diagonal(1).fill_(2.0)
    x.T[1:].diagonal()[0] = 5.0
    x.diag().fill_(9.0)
    assert x.tolist() == [[0, 5, 0, 0], [0, 0, 2, 0], [0, 0, 0, 2]]
    recorded = sg.jit(lambda x: (x.diagonal(-1).mul_(3.0), x + 0)[1])
    for _ in range(3):
        assert recorded(sg.ones(3, 3)).tolist() == [[1, 1, 1], [3, 1, 1], [1, 3, 1]]


@pytest.mark.parametrize(
    "name", ["add", "sub", "mul", "pow", "mod", "floordiv", "and", "or", "xor", "lshift", "rshift"]
)
def test_an_operator_with_an_equals_sign_changes_the_tensor_itself(name):
    x = sg.tensor([5, 6])
    expected = getattr(x, f"__{name}__")(2)
    assert getattr(operator, f"i{name}")(x, 2) is x
    assert x.tolist() == expected.tolist()


@given(arrays(shape=shapes(1, 1)))
def test_a_tensor_is_a_sequence_of_its_slices(x):
    t = sg.tensor(x)
    np.testing.assert_array_equal([one.numpy() for one in t], x)
    assert all(np.shares_memory(one.array, t.array) for one in t)
    np.testing.assert_array_equal(reversed(t).numpy(), x[::-1])
    assert x.flat[-1].item() in t
    assert t[-1] in t
    assert math.inf not in t


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.prod(0),
        lambda x: x.cumsum(0),
        lambda x: x.cumprod(0),
        lambda x: x.cummax(0).values,
        lambda x: x.logcumsumexp(0),
        lambda x: x[True],
        lambda x: x[0].masked_select(sg.tensor(True)),
        lambda x: x[0].gather(0, sg.tensor([0])),
        lambda x: sg.cat([x]),
    ],
)
def test_a_result_is_no_view_because_there_was_nothing_to_do(function):
    x = sg.ones(1)
    function(x).zero_()
    assert x.tolist() == [1.0]


def test_what_cannot_be_seen_otherwise():
    x = sg.ones(2, 3).T
    with pytest.raises(ValueError, match=r"view: a tensor of shape \(3, 2\) cannot be seen as"):
        x.view(6)
    assert x.reshape(6).shape == (6,)


# --- Derivatives at edges ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "at", "expected"),
    [
        (lambda x: x.std(), [2.0, 2.0], [0.0, 0.0]),
        (lambda x: x.norm(), [0.0, 0.0], [0.0, 0.0]),
        (lambda x: x.abs().sum(), [0.0, -1.0], [0.0, -1.0]),
        (lambda x: ((-2.0) ** x).sum(), [2.0, 3.0], [math.nan, math.nan]),
        (lambda x: (0.0**x).sum(), [2.0, 0.0], [0.0, 0.0]),
        (lambda x: x.clamp(min=None, max=1.5).sum(), [1.0, 2.0], [1.0, 0.0]),
        (lambda x: x.prod(), [0.0, 3.0], [3.0, 0.0]),
        (lambda x: x.cumprod(0).sum(), [0.0, 3.0], [4.0, 0.0]),
        (lambda x: x.max(), [1.0, 1.0], [0.5, 0.5]),
        (lambda x: sg.xlogy(x, 0.0 * x).sum(), [0.0, 0.0], [0.0, 0.0]),
        (lambda x: functional.hardswish(x).sum(), [math.inf, -math.inf, 3.0, -3.0], [1, 0, 1, 0]),
        (lambda x: functional.elu(x).sum(), [math.nan, 2.0], [1, 1]),
        (lambda x: functional.celu(x).sum(), [math.nan, 2.0], [1, 1]),
    ],
)
def test_derivatives_at_edges(function, at, expected):
    x = sg.tensor(at, requires_grad=True)
    with np.errstate(all="ignore"):
        function(x).backward()
    np.testing.assert_array_equal(x.grad.numpy(), expected)


# --- Refusals -----------------------------------------------------------------------------------

REFUSED = {
    "+ of booleans": (lambda: +sg.tensor([True]), "positive: booleans have no sign"),
    "list of a number": (lambda: list(sg.tensor(1.0)), "without dimensions has no slices"),
    "in": (lambda: "1" in sg.ones(2), "in: looks for a number or a tensor, not str"),
    "gather beyond": (lambda: sg.tensor(1.0).gather(0, sg.tensor([5])), "index 5 is out of bounds"),
    "x @ 2": (lambda: sg.ones(2) @ 2, "matmul: takes tensors, not int"),
    "arange": (lambda: sg.arange(0, 1, 0), "arange: from 0 to 1 in steps of 0 leads nowhere"),
    "arange away": (lambda: sg.arange(0, 1, -1), "leads nowhere"),
    "eye": (lambda: sg.eye(-1), "eye: the sizes are -1"),
    "norm": (lambda: sg.zeros(0).norm(-1), r"norm: a vector without elements .* p = -1"),
    "norm of none": (lambda: sg.zeros(0, 3).norm(math.inf, 0), r"the shape is \(0, 3\), dim 0"),
    "dist": (lambda: sg.dist(sg.zeros(0), sg.zeros(0), -2.5), "a vector without elements"),
    "linspace": (lambda: sg.linspace(0, 1, -1), "linspace: steps is -1"),
    "randint": (lambda: sg.randint(5, 3, (2,)), "there is no integer"),
    "randperm": (lambda: sg.randperm(-1), "randperm: n is -1"),
    "chunk 0": (lambda: sg.ones(3).chunk(0), "chunk: chunks is 0"),
    "chunk -1": (lambda: sg.ones(3).chunk(-1), "chunk: chunks is -1"),
    "split": (lambda: sg.ones(3).split([4, -1]), r"split: the sizes \[4, -1\]"),
    "split 0": (lambda: sg.ones(3).split(0), "split: pieces of 0"),
    "flatten": (lambda: sg.ones(2, 3).flatten(1, 0), "start_dim 1 comes after end_dim 0"),
    "clamp": (lambda: sg.ones(2).clamp(), "clamp: neither min nor max is given"),
    "narrow": (lambda: sg.ones(3).narrow(0, 2, 2), "narrow: there are no 2 slices from 2"),
    "topk": (lambda: sg.ones(3).topk(4), "topk: k is 4; there are 3"),
    "zeros": (lambda: sg.zeros(-1), "a shape is made of integers"),
    "gather": (lambda: sg.ones(3).gather(0, sg.tensor([-1])), "out of bounds"),
    "class": (
        lambda: functional.cross_entropy(sg.ones(1, 3), sg.tensor([-1])),
        "there is no such class",
    ),
    "embedding": (lambda: functional.embedding(sg.tensor([-1]), sg.ones(3, 2)), "embedding"),
    "probability": (
        lambda: nn.BCELoss()(sg.tensor([1.5]), sg.tensor([1.0])),
        "should be between 0 and 1",
    ),
    "target": (
        lambda: nn.BCELoss()(sg.full((3, 1), 0.5), sg.ones(3)),
        "binary_cross_entropy",
    ),
    "integer target": (lambda: nn.BCELoss()(sg.full((2,), 0.5), sg.tensor([0, 1])), "floating"),
    "NumPy target": (lambda: nn.BCELoss()(sg.full((2, 1), 0.5), np.ones(2, np.float32)), "target"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_is_in_this_projects_words(name):
    call, message = REFUSED[name]
    with pytest.raises((ValueError, TypeError, IndexError, RuntimeError), match=message) as caught:
        call()
    assert "numpy" not in str(caught.value).lower() or name == "NumPy target"


@pytest.mark.parametrize("number", [np.int64(0), np.int32(0), np.uint8(0)])
def test_numpys_integers_are_integers(number):
    x = sg.ones(2, 3)
    assert x.sum(number).shape == (3,)
    assert x.select(1, number).shape == (2,)
    assert x[number].shape == (3,)
    assert x.unsqueeze(number).shape == (1, 2, 3)


# --- Types, devices, formats ------------------------------------------------------------------


def test_numbers_are_formatted():
    loss = sg.tensor(0.123456, requires_grad=True)
    assert f"{loss:.4f}" == "0.1235"
    assert f"{sg.tensor([3]):04d}" == "0003"
    assert f"{loss * 1}".startswith("tensor(")
    with pytest.raises(TypeError, match=r"format: '.2f' is for one number, not for a tensor of"):
        f"{sg.ones(2):.2f}"


@pytest.mark.parametrize(
    ("given", "parts", "text"),
    [
        (("cpu",), ("cpu", None), "device(type='cpu')"),
        (("cuda",), ("cuda", None), "device(type='cuda')"),
        (("cuda:1",), ("cuda", 1), "device(type='cuda', index=1)"),
        (("cuda", 1), ("cuda", 1), "device(type='cuda', index=1)"),
    ],
)
def test_devices(given, parts, text):
    device = sg.device(*given)
    assert (device.type, device.index) == parts
    assert repr(device) == text
    assert device == sg.device(device) == str(device)
    assert sg.ones(1).device == sg.device("cpu")
    assert sg.ones(1, device=sg.device("cpu")).to(sg.device("cpu")).device.type == "cpu"


@pytest.mark.parametrize("given", [("tpu",), ("cuda:x",), ("cuda:0", 1), ("cpu", 3)])
def test_devices_that_are_none(given):
    with pytest.raises(ValueError, match=r"device|CPU"):
        sg.device(*given)


def test_types_by_their_names():
    x = sg.tensor([1.7, -2.0])
    for name, dtype in (("long", np.int64), ("int", np.int32), ("bool", np.bool_)):
        assert getattr(sg, name) == dtype
        assert getattr(x, name)().dtype == dtype
    assert x.long().tolist() == [1, -2]
    assert x.type() == "torch.FloatTensor"
    assert x.type(sg.LongTensor).dtype == x.type("torch.LongTensor").dtype == np.int64
    assert sg.FloatTensor(2, 3).fill_(1.0).tolist() == [[1.0] * 3] * 2
    assert sg.LongTensor([1, 2]).dtype == np.int64
    x = sg.autograd.Variable(sg.FloatTensor(np.arange(3)), requires_grad=True)
    assert x.requires_grad


@pytest.mark.parametrize(
    ("owner", "name", "advice"),
    [
        (sg, "compile", r"use scratchgan.jit\(function\)"),
        (sg, "bfloat16", "the floating types are float32 and float64"),
        (sg.ones(1), "grad_fn", "use node"),
        (sg.ones(1), "nonsense", "'Tensor' object has no attribute 'nonsense'$"),
    ],
)
def test_a_name_that_is_not_there_says_what_to_use(owner, name, advice):
    with pytest.raises(AttributeError, match=advice):
        getattr(owner, name)
