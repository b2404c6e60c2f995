"""Functions that no module computes, against values by hand and against PyTorch."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import scratchgan as sg
from scratchgan.nn import functional
from scratchgan.testing import gradcheck, gradgradcheck

RNG = np.random.default_rng(0)


def both(function, *arrays):
    """What ``function`` of a library and of tensors gives here and in PyTorch, with gradients."""
    torch = pytest.importorskip("torch")
    results = []
    for library in (sg, torch):
        given = [library.tensor(a) for a in arrays]
        leaves = [x.requires_grad_() for x in given if "float" in str(x.dtype)]
        out = function(library, *given)
        found = [out]
        if out.requires_grad:
            first = library.autograd.grad((out * out).sum(), leaves, create_graph=True)
            second = library.autograd.grad(sum((g * g).sum() for g in first), leaves)
            found += [*first, *second]
        results.append([x.detach().numpy() for x in found])
    for got, expected in zip(*results, strict=True):
        assert got.dtype == expected.dtype
        np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12)


# --- By hand ----------------------------------------------------------------------------------

#: Function, input, output.
BY_HAND = [
    (functional.gelu, [0.0, 1.0, -1.0], [0, 0.8413447460685429, -0.15865525393145707]),
    (functional.elu, [2.0, -1.0], [2, math.exp(-1) - 1]),
    (functional.silu, [1.0, -1.0], [0.7310585786300049, -0.2689414213699951]),
    (functional.mish, [1.0], [0.8650983882673103]),
    (functional.selu, [1.0, -1.0], [1.0507009873554805, -1.1113307378125627]),
    (functional.hardtanh, [-3.0, 0.5, 3.0], [-1, 0.5, 1]),
    (functional.relu6, [-3.0, 0.5, 7.0], [0, 0.5, 6]),
    (functional.hardswish, [-3.0, 0.0, 1.0, 4.0], [0, 0, 2 / 3, 4]),
    (functional.hardsigmoid, [-3.0, 0.0, 1.0, 4.0], [0, 0.5, 2 / 3, 1]),
    (functional.hardshrink, [-0.5, 0.6], [0, 0.6]),
    (functional.softshrink, [-0.75, 0.5, 2.0], [-0.25, 0, 1.5]),
    (functional.softsign, [1.0, -3.0], [0.5, -0.75]),
    (functional.logsigmoid, [0.0, -800.0], [-math.log(2), -800]),
    (lambda x: functional.softplus(x, 2.0, 4.0), [0.0, 3.0], [math.log(2) / 2, 3]),
    (lambda x: functional.threshold(x, 1.0, 9.0), [1.0, 1.5], [9, 1.5]),
    (lambda x: functional.glu(x), [3.0, 0.0], [1.5]),
    (lambda x: functional.leaky_relu(x, 0.5), [3.0, -3.0], [3, -1.5]),
    (lambda x: functional.normalize(x, dim=0), [3.0, 4.0], [0.6, 0.8]),
    (lambda x: functional.layer_norm(x, (2,), eps=0.0), [3.0, 5.0], [-1, 1]),
    (lambda x: functional.rms_norm(x, (2,), eps=0.0), [1.0, 7.0], [0.2, 1.4]),
    (lambda x: functional.huber_loss(x, 0.0, "none"), [0.5, 3.0], [0.125, 2.5]),
    (lambda x: functional.smooth_l1_loss(x, 0.0, beta=2.0, reduction="none"), [1, 3.0], [0.25, 2]),
    (lambda x: functional.l1_loss(x, 1.0), [0.0, 4.0], 2),
    (lambda x: functional.pad(x, (1, 2), value=7.0), [1.0], [7, 1, 7, 7]),
    (lambda x: functional.pad(x, (-1, 1)), [1.0, 2.0], [2, 0]),
]


@pytest.mark.parametrize("row", range(len(BY_HAND)))
def test_values_by_hand(row):
    function, given, expected = BY_HAND[row]
    out = function(sg.tensor(given, dtype=sg.float64))
    np.testing.assert_allclose(out.numpy(), expected, rtol=1e-14, atol=1e-15)


def test_one_hot():
    assert functional.one_hot(sg.tensor([[0, 2], [1, 0]])).tolist() == [
        [[1, 0, 0], [0, 0, 1]],
        [[0, 1, 0], [1, 0, 0]],
    ]
    assert functional.one_hot(sg.tensor([1]), 4).dtype == sg.int64
    for classes, count in (([-1], -1), ([3], 3), ([], -1), ([0], 0)):
        with pytest.raises(ValueError, match="one_hot: "):
            functional.one_hot(sg.tensor(classes, dtype=sg.int64), count)
    with pytest.raises(TypeError, match="one_hot: classes are integers, not float32"):
        functional.one_hot(sg.zeros(2))


def test_softmax_without_a_dimension_takes_pytorchs_with_a_warning():
    for shape, dim in (((3,), 0), ((2, 3), 1), ((2, 3, 2), 0), ((2, 3, 2, 2), 1)):
        x = sg.tensor(RNG.normal(size=shape))
        for name in ("softmax", "log_softmax", "softmin"):
            function = getattr(functional, name)
            with pytest.warns(UserWarning, match=f"{name}: .*give dim") as caught:
                got = function(x)
            assert caught[0].filename == __file__
            np.testing.assert_array_equal(got, function(x, dim))
    assert functional.softmax(sg.tensor([1, 1]), 0, dtype=sg.float64).tolist() == [0.5, 0.5]


# --- Against PyTorch --------------------------------------------------------------------------

PADS = [
    ((2, 3), (1, 2), "constant"),
    ((2, 3), (1, 2, 3, 0), "constant"),
    ((2, 3, 4), (-1, 2, 1, -1), "constant"),
    *[((2, 3, 4), (1, 2), mode) for mode in ("reflect", "replicate", "circular")],
    *[((2, 3, 4, 4), (1, 2, 0, 3), mode) for mode in ("reflect", "replicate", "circular")],
    ((2, 4), (-1, 2), "replicate"),
    ((3, 4), (0, 6), "replicate"),
]


@pytest.mark.parametrize(("shape", "widths", "mode"), PADS)
def test_pad(shape, widths, mode):
    both(lambda lib, x: lib.nn.functional.pad(x, widths, mode), RNG.normal(size=shape))


def test_pad_refuses_what_does_not_fit():
    x = sg.ones(2, 3)
    for widths, mode in (
        *(((3, 0), "reflect"), ((4, 0), "circular"), ((1,), "constant"), ((1,) * 6, "constant")),
        *(((-2, -2), "constant"), ((1, 1), "mirror")),
    ):
        with pytest.raises(ValueError, match="pad: "):
            functional.pad(x, widths, mode)
    with pytest.raises(NotImplementedError, match="pad: mode 'reflect' with 2 widths is for 2 or"):
        functional.pad(sg.ones(3), (1, 1), "reflect")
    with pytest.raises(ValueError, match="pad: mode 'reflect' takes no value"):
        functional.pad(x, (1, 1), "reflect", 2.0)


@pytest.mark.parametrize("options", [{}, {"is_causal": True}, {"scale": 0.3}])
def test_attention(options):
    arrays = [RNG.normal(size=shape) for shape in ((2, 3, 4), (2, 5, 4), (2, 5, 2))]
    both(lambda lib, *x: lib.nn.functional.scaled_dot_product_attention(*x, **options), *arrays)


@pytest.mark.parametrize("mask", [RNG.random((3, 5)) > 0.5, RNG.normal(size=(2, 1, 5))])
def test_attention_with_a_mask(mask):
    arrays = [RNG.normal(size=shape) for shape in ((2, 3, 4), (2, 5, 4), (2, 5, 2))]
    if mask.dtype == bool:
        mask[1] = False  # a query that looks at nothing

    def attend(lib, *x):
        return lib.nn.functional.scaled_dot_product_attention(*x, attn_mask=lib.tensor(mask))

    both(attend, *arrays)


@pytest.mark.parametrize("p", [0.0, 1.0, 2.0, 3.0, math.inf])
def test_pdist_and_normalize(p):
    rows = RNG.normal(size=(4, 3))
    if p not in (0.0, math.inf):
        assert gradcheck(lambda x: functional.pdist(x, p), [sg.tensor(rows, requires_grad=True)])
    torch = pytest.importorskip("torch")
    for name in ("pdist", "normalize"):
        got = getattr(functional, name)(sg.tensor(rows), p)
        expected = getattr(torch.nn.functional, name)(torch.tensor(rows), p)
        np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_what_is_zero_has_a_norm_with_a_derivative():
    x = sg.zeros(2, 3, dtype=sg.float64, requires_grad=True)
    for out in (
        functional.normalize(x),
        functional.pairwise_distance(x, x, eps=0.0),
        functional.pdist(x),
        functional.cosine_similarity(x, x),
    ):
        (gradient,) = sg.autograd.grad(out.sum(), x, create_graph=True)
        assert np.isfinite(gradient.numpy(force=True)).all()
        assert not out.detach().any()


@pytest.mark.parametrize("check", [gradcheck, gradgradcheck])
@pytest.mark.parametrize("name", ["layer_norm", "group_norm", "instance_norm", "rms_norm"])
def test_derivatives_of_normalization(name, check):
    x = sg.tensor(RNG.normal(size=(2, 4, 3)), requires_grad=True)
    options = {
        **{"layer_norm": ((4, 3),), "group_norm": (2,), "instance_norm": (), "rms_norm": ((3,),)},
    }
    assert check(lambda x: getattr(functional, name)(x, *options[name]), [x])


# --- In place ---------------------------------------------------------------------------------

IN_PLACE = [
    *("relu", "leaky_relu", "elu", "selu", "celu", "silu", "mish", "rrelu", "hardtanh", "relu6"),
    *("hardsigmoid", "hardswish"),
]


@pytest.mark.parametrize("name", IN_PLACE)
def test_in_place_changes_the_tensor_and_keeps_the_gradient(name):
    function = getattr(functional, name)
    x = sg.tensor(RNG.normal(size=(3, 4)), requires_grad=True)
    results = []
    for inplace in (False, True):
        y = x * 2
        out = function(y, inplace=inplace)
        assert (out is y) == inplace
        (first,) = sg.autograd.grad((out * out).sum(), x, create_graph=True)
        (second,) = sg.autograd.grad((first * first).sum(), x)
        results.append([out.detach(), first.detach(), second])
    for plain, changed in zip(*results, strict=True):
        np.testing.assert_allclose(changed, plain, rtol=1e-14)
    data = sg.tensor([-1.0, 2.0])
    assert function(data, inplace=True) is data
    with pytest.raises(
        RuntimeError, match=f"{'leaky_relu|' * (name == 'rrelu')}{name} with inplace=True"
    ):
        function(sg.ones(2, requires_grad=True), inplace=True)
    with pytest.raises(RuntimeError, match=r"inplace=True: .*shares its memory"):
        function((x * 2)[0], inplace=True)


def test_dropout_in_place():
    x = sg.ones(50)
    assert functional.dropout(x, 0.5, inplace=True) is x
    assert set(x.tolist()) == {0.0, 2.0}
    x = functional.dropout(sg.ones(50, requires_grad=True) * 1, 0.5, True, True)
    assert set(x.tolist()) == {0.0, 2.0}
    with pytest.raises(TypeError, match="dropout: input has floating point elements, not int64"):
        functional.dropout(sg.tensor([1]))


# --- Losses -----------------------------------------------------------------------------------


def test_the_old_words_of_reduction_warn_and_count():
    x = sg.tensor([1.0, 3.0])
    for words, expected in (
        ({"size_average": False}, 10),
        ({"size_average": True}, 5),
        ({"reduce": True}, 5),
        ({"reduce": False}, [1, 9]),
        ({"size_average": False, "reduce": False}, [1, 9]),
    ):
        with pytest.warns(UserWarning, match="mse_loss: size_average and reduce are deprecated"):
            assert functional.mse_loss(x, 0.0, **words).tolist() == expected
    with pytest.raises(TypeError, match=r"size_average is a boolean .* reduction='sum'"):
        functional.mse_loss(x, 0.0, "sum")


def test_targets_that_are_no_tensors_are_refused():
    x = sg.tensor([0.5, 0.5])
    for loss in (functional.binary_cross_entropy, functional.mse_loss, functional.cross_entropy):
        with pytest.raises(TypeError, match=r"target is a tensor.*, not ndarray"):
            loss(x, np.ones(2, np.float32))
    with pytest.raises(TypeError, match="target has floating point elements, not int64"):
        functional.binary_cross_entropy(x, sg.tensor([0, 1]))


@pytest.mark.parametrize("backend", ["numpy", "numba"])
@given(
    st.lists(st.floats(-0.5, 1.5, width=32) | st.sampled_from([0.0, -0.0, 1.0, np.nan, np.inf])),
    st.sampled_from(["mean", "sum", "none"]),
    st.sampled_from([None, 0.0, 0.5]),
    st.data(),
)
def test_bce_refuses_what_is_no_probability(backend, values, reduction, factor, data):
    share = st.floats(0, 1, width=32)
    target = sg.tensor([data.draw(share) for _ in values])
    weight = None if factor is None else sg.full((len(values),), factor)
    with sg.use_backend(backend), warnings.catch_warnings():
        warnings.simplefilter("error")
        p = sg.tensor(values, dtype=sg.float32)
        if all(0 <= value <= 1 for value in values):
            functional.binary_cross_entropy(p, target, weight, reduction=reduction)
            return
        with pytest.raises(RuntimeError, match="all elements of input should be between 0 and 1"):
            functional.binary_cross_entropy(p, target, weight, reduction=reduction)


def test_bce_refuses_what_is_no_probability_before_anomalies_are_found():
    with (
        sg.autograd.detect_anomaly(),
        pytest.raises(RuntimeError, match="all elements of input should be between 0 and 1"),
    ):
        functional.binary_cross_entropy(sg.tensor([1.5], requires_grad=True), sg.tensor([1.0]))


def test_bce_looks_at_the_probabilities_and_not_while_jit_records():
    bad, target = sg.tensor([1.5]), sg.tensor([1.0])
    with pytest.raises(RuntimeError, match="all elements of input should be between 0 and 1"):
        functional.binary_cross_entropy(bad, target)
    run = sg.jit(lambda p: functional.binary_cross_entropy(p, target))
    assert run(sg.tensor([0.5])).item() == pytest.approx(math.log(2))
    assert run(sg.tensor([1.0])).item() == 0


def test_classes_are_checked_in_a_replay_too():
    run = sg.jit(lambda x, y: functional.cross_entropy(x, y))
    x = sg.zeros(2, 3)
    assert run(x, sg.tensor([0, 2])).item() == pytest.approx(math.log(3))
    assert run(x, sg.tensor([0, -100])).item() == pytest.approx(math.log(3))
    with pytest.raises(IndexError):
        run(x, sg.tensor([0, -1]))


def test_options_of_embedding_that_are_not_there_are_named():
    table, index = sg.ones(3, 2), sg.tensor([0])
    for option, value in (("max_norm", 1.0), ("scale_grad_by_freq", True), ("sparse", True)):
        with pytest.raises(NotImplementedError, match=f"embedding: {option}={value}"):
            functional.embedding(index, table, **{option: value})
        with pytest.raises(NotImplementedError, match=f"embedding: {option}={value}"):
            sg.nn.Embedding(3, 2, **{option: value})
