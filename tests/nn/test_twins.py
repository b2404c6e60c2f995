"""Every module is what it is in PyTorch: values, first and second gradients, names, refusals.

A row is an expression that is evaluated with this package's names, and with PyTorch's where that is
installed. Where it is not, the values that were written by hand remain (test_by_hand.py).
"""

import inspect
import warnings
from collections import OrderedDict

import numpy as np
import pytest

import scratchgan as sg
from scratchgan import nn

RNG = np.random.default_rng(0)


def x(*shape):
    """Numbers that require gradients, away from the joints of what is made of straight pieces."""
    return "x", np.round(RNG.uniform(-4, 4, shape)) + RNG.uniform(0.1, 0.4, shape)


def p(*shape):
    return "x", RNG.uniform(0.1, 0.9, shape)


def shares(*shape):
    found = RNG.uniform(0.1, 0.9, shape)
    return "x", found / found.sum(1, keepdims=True)


def i(high, *shape):
    return "i", RNG.integers(0, high, shape)


def signs(*shape):
    return "constant", RNG.choice([-1.0, 1.0], shape)


def fixed(kind, values):
    return kind, np.array(values)


#: Of each module: how it is made, and what it is called with.
ROWS = [
    ("Linear(5, 3)", x(4, 5)),
    ("Linear(5, 3, bias=False)", x(2, 4, 5)),
    ("Linear(5, 3, dtype=float64)", x(5)),
    ("Bilinear(3, 4, 2)", x(5, 3), x(5, 4)),
    ("Bilinear(3, 4, 2, bias=False)", x(2, 5, 3), x(2, 5, 4)),
    ("Identity(3, a=2)", x(3)),
    ("Flatten()", x(2, 3, 4)),
    ("Unflatten(1, (2, -1))", x(3, 4)),
    ("Unflatten(-1, [2, 2])", x(3, 4)),
    ("Dropout(0.0)", x(3)),
    ("Dropout(0.5).eval()", x(3)),
    ("Embedding(4, 2)", i(4, 3, 2)),
    ("Embedding(4, 2, padding_idx=1)", fixed("i", [[1, 3], [2, 1]])),
    ("Embedding(4, 2, padding_idx=-1)", fixed("i", [[1, 3], [2, 1]])),
    ("Embedding.from_pretrained(t([[1.0, 2], [3, 4]]), freeze=False)", i(2, 3)),
    ("BatchNorm1d(3)", x(6, 3)),
    ("BatchNorm1d(3)", x(4, 3, 5)),
    ("BatchNorm1d(3, momentum=None)", x(4, 3)),
    ("BatchNorm1d(3, track_running_stats=False)", x(4, 3)),
    ("BatchNorm1d(3, track_running_stats=False).eval()", x(4, 3)),
    ("BatchNorm1d(3, affine=False, eps=0.1)", x(4, 3)),
    ("BatchNorm1d(3).eval()", x(1, 3)),
    ("InstanceNorm1d(3)", x(2, 3, 4)),
    ("InstanceNorm1d(3, affine=True)", x(3, 4)),
    ("InstanceNorm1d(3, track_running_stats=True)", x(2, 3, 4)),
    ("InstanceNorm1d(3, track_running_stats=True).eval()", x(2, 3, 4)),
    ("LayerNorm(4)", x(3, 4)),
    ("LayerNorm([3, 4], eps=0.1)", x(2, 3, 4)),
    ("LayerNorm(4, elementwise_affine=False)", x(3, 4)),
    ("LayerNorm(4, bias=False)", x(3, 4)),
    ("GroupNorm(2, 4)", x(3, 4)),
    ("GroupNorm(2, 4, affine=False)", x(2, 4, 3)),
    ("RMSNorm(4)", x(3, 4)),
    ("RMSNorm((3, 4), eps=0.1, elementwise_affine=False)", x(2, 3, 4)),
    ("ReLU()", x(3, 4)),
    ("LeakyReLU(0.2)", x(3, 4)),
    ("Tanh()", x(3, 4)),
    ("Sigmoid()", x(3, 4)),
    ("Softplus()", x(3, 4)),
    ("Softplus(2.0, 3.0)", x(3, 4)),
    ("Softplus(threshold=2.0)", x(3, 4)),
    ("ELU(0.7)", x(3, 4)),
    ("SELU()", x(3, 4)),
    ("CELU(0.5)", x(3, 4)),
    ("GELU()", x(3, 4)),
    ("GELU('tanh')", x(3, 4)),
    ("SiLU()", x(3, 4)),
    ("Mish()", x(3, 4)),
    ("PReLU()", x(3, 4)),
    ("PReLU(4, 0.1)", x(3, 4, 2)),
    ("PReLU(1)", x(3)),
    ("RReLU().eval()", x(3, 4)),
    ("GLU()", x(3, 4)),
    ("GLU(0)", x(4, 3)),
    ("Hardtanh()", x(3, 4)),
    ("Hardtanh()", fixed("x", [-1.0, 1.0, 0.0, np.inf])),
    ("Hardtanh(-2.5, 0.5)", x(3, 4)),
    ("ReLU6()", x(3, 4)),
    ("ReLU6()", fixed("x", [0.0, 6.0, 7.0])),
    ("Hardsigmoid()", x(3, 4)),
    ("Hardsigmoid()", fixed("x", [-3.0, 3.0, 4.0])),
    ("Hardswish()", x(3, 4)),
    ("Hardshrink()", x(3, 4)),
    ("Hardshrink(1.0)", fixed("x", [-1.0, 1.0, 0.0, 2.0])),
    ("Softshrink(1.0)", x(3, 4)),
    ("Softshrink(1.0)", fixed("x", [-1.0, 1.0, 0.0, -2.0])),
    ("Tanhshrink()", x(3, 4)),
    ("Softsign()", x(3, 4)),
    ("Threshold(1.0, 20.0)", x(3, 4)),
    ("LogSigmoid()", x(3, 4)),
    ("LogSigmoid()", fixed("x", [-800.0, 800.0])),
    ("Softmin(1)", x(3, 4)),
    ("Softmax(-1)", x(3, 4)),
    ("LogSoftmax(0)", x(3, 4)),
    ("BCELoss()", p(3, 2), p(3, 2)),
    ("BCELoss(t([0.5, 2.0]))", p(3, 2), p(3, 2)),
    ("BCELoss(weight=t([[0.5], [2.0]]), reduction='sum')", p(2, 3), p(2, 3)),
    ("BCEWithLogitsLoss()", x(3, 2), p(3, 2)),
    ("BCEWithLogitsLoss(t([0.5, 2.0]), pos_weight=t([3.0, 0.1]))", x(3, 2), p(3, 2)),
    ("MSELoss()", x(3, 2), x(3, 2)),
    ("MSELoss(reduction='sum')", x(3, 2), x(3, 2)),
    ("L1Loss()", x(3, 2), x(3, 2)),
    ("SmoothL1Loss()", x(3, 2), x(3, 2)),
    ("SmoothL1Loss(beta=3.0)", x(3, 2), x(3, 2)),
    ("SmoothL1Loss(beta=0.0, reduction='none')", x(3, 2), x(3, 2)),
    ("HuberLoss()", x(3, 2), x(3, 2)),
    ("HuberLoss('sum', 3.0)", x(3, 2), x(3, 2)),
    ("KLDivLoss(reduction='batchmean')", x(3, 2), p(3, 2)),
    ("KLDivLoss(reduction='sum', log_target=True)", x(3, 2), x(3, 2)),
    ("NLLLoss()", x(4, 3), i(3, 4)),
    ("NLLLoss(t([1.0, 2.0, 3.0]), ignore_index=1)", x(4, 3), fixed("i", [0, 1, 2, 1])),
    ("NLLLoss(reduction='none')", x(2, 3, 4), i(3, 2, 4)),
    ("NLLLoss()", x(3), fixed("i", 2)),
    ("CrossEntropyLoss()", x(4, 3), i(3, 4)),
    ("CrossEntropyLoss()", x(4, 3), fixed("i", [0, -100, 2, 1])),
    ("CrossEntropyLoss()", x(2, 3), fixed("i", [-100, -100])),
    ("CrossEntropyLoss(reduction='none')", x(2, 3, 2, 2), i(3, 2, 2, 2)),
    ("CrossEntropyLoss(t([1.0, 2.0, 3.0]), label_smoothing=0.2)", x(4, 3), i(3, 4)),
    ("CrossEntropyLoss(ignore_index=0, label_smoothing=0.2)", x(4, 3), fixed("i", [0, 1, 0, 2])),
    ("CrossEntropyLoss(label_smoothing=0.2, reduction='none')", x(2, 3, 4), i(3, 2, 4)),
    ("CrossEntropyLoss(label_smoothing=0.1)", x(3), fixed("i", 2)),
    ("CrossEntropyLoss()", x(4, 3), shares(4, 3)),
    ("CrossEntropyLoss(t([1.0, 2.0, 3.0]), label_smoothing=0.2)", x(2, 3, 2), shares(2, 3, 2)),
    ("CrossEntropyLoss(reduction='none')", x(3), fixed("x", [0.2, 0.5, 0.3])),
    ("SoftMarginLoss()", x(3, 2), signs(3, 2)),
    ("HingeEmbeddingLoss()", x(3, 2), signs(3, 2)),
    ("HingeEmbeddingLoss(2.0, reduction='none')", x(3, 2), signs(3, 2)),
    ("MarginRankingLoss(0.5)", x(5), x(5), signs(5)),
    ("CosineEmbeddingLoss()", x(4, 3), x(4, 3), signs(4)),
    ("CosineEmbeddingLoss(0.3, reduction='none')", x(3), x(3), fixed("constant", 1.0)),
    ("TripletMarginLoss()", x(4, 3), x(4, 3), x(4, 3)),
    ("TripletMarginLoss(2.0, p=1.0, swap=True, reduction='none')", x(4, 3), x(4, 3), x(4, 3)),
    ("TripletMarginLoss(p=3.0)", x(3), x(3), x(3)),
    ("PoissonNLLLoss()", x(3, 2), p(3, 2)),
    ("PoissonNLLLoss(False, True)", p(3, 2), fixed("constant", [[0.0, 1], [2, 3], [4, 5]])),
    ("GaussianNLLLoss()", x(3, 2), x(3, 2), p(3, 2)),
    ("GaussianNLLLoss(full=True, reduction='none')", x(3, 2), x(3, 2), p(3, 1)),
    ("GaussianNLLLoss(eps=0.5)", x(3, 2), x(3, 2), p(3)),
    ("CosineSimilarity()", x(4, 3), x(4, 3)),
    ("CosineSimilarity(0, 0.1)", x(4, 3), x(4, 1)),
    ("PairwiseDistance()", x(4, 3), x(4, 3)),
    ("PairwiseDistance(1.0, keepdim=True)", x(4, 3), x(3)),
    ("PairwiseDistance(inf)", x(4, 3), x(4, 3)),
    (
        "Sequential(Linear(3, 4), ReLU(True), Linear(4, 2), Softplus(2.0), LeakyReLU(0.1, True))",
        x(5, 3),
    ),
    ("Sequential(OrderedDict(first=Linear(3, 4), act=Tanh()))", x(5, 3)),
    ("Sequential(BatchNorm1d(3), ELU(inplace=True), Dropout(0.0, True))", x(5, 3)),
    ("ModuleList([Linear(2, 2), ReLU()])",),
    ("ModuleDict({'a': Linear(2, 2), 'b': ReLU()})",),
    ("ParameterList([t([1.0, 2.0]), t([[3.0]])])",),
    ("ParameterDict({'b': t([1.0, 2.0]), 'a': t([[3.0]])})",),
]


def names(library):
    """What an expression may say."""
    found = dict(vars(library.nn))
    found["t"] = lambda values: library.tensor(values, dtype=library.float64)
    found |= {"float64": library.float64, "inf": float("inf"), "OrderedDict": OrderedDict}
    return found


def made(expression, library, state=None):
    module = eval(expression, names(library)).double()
    if state is not None:
        module.load_state_dict({name: library.tensor(value) for name, value in state.items()})
    return module


def tensors(inputs, library):
    found = []
    for kind, values in inputs:
        tensor = library.tensor(values)
        found.append(tensor.requires_grad_() if kind == "x" else tensor)
    return found


def array(tensor):
    return None if tensor is None else tensor.detach().numpy(force=True)


def computed(expression, inputs, library, state):
    """The output, its gradients, the gradients of their squares, and the state afterwards."""
    module = made(expression, library, state)
    given = tensors(inputs, library)
    out = module(*given)
    leaves = [one for one in (*given, *module.parameters()) if one.requires_grad]
    weights = library.tensor(np.cos(np.arange(out.detach().numpy().size)).reshape(out.shape))
    grad = library.autograd.grad
    first = grad((out * weights).sum(), leaves, create_graph=True, allow_unused=True)
    second = [None] * len(leaves)
    total = sum(((g * g).sum() for g in first if g is not None and g.requires_grad), 0.0)
    if getattr(total, "requires_grad", False):
        try:
            second = grad(total, leaves, allow_unused=True)
        except RuntimeError as error:
            if "is not implemented" not in str(error):
                raise
            second = [NotImplemented] * len(leaves)
    after = {name: array(value) for name, value in module.state_dict().items()}
    return (
        array(out),
        [array(g) for g in first],
        [g if g is NotImplemented else array(g) for g in second],
        after,
    )


def first_state(expression):
    sg.manual_seed(0)
    rng = np.random.default_rng(1)
    state = made(expression, sg).state_dict()
    return {
        name: rng.uniform(0.5, 1.5, value.shape) if value.dtype.kind == "f" else value.numpy()
        for name, value in state.items()
    }


#: Where PyTorch has constants of less precision.
ROUGH = {"Hardsigmoid()": 1e-7}


def assert_alike(got, expected, rtol=1e-10):
    """Equal within rounding; None is a gradient of zeros, NotImplemented what PyTorch lacks."""
    if expected is NotImplemented:
        return
    if got is None or expected is None:
        for one in (got, expected):
            assert one is None or not np.asarray(one).any()
        return
    assert got.shape == expected.shape
    assert got.dtype == expected.dtype
    np.testing.assert_allclose(got, expected, rtol=rtol, atol=1e-12)


def over(rows):
    """A test for each row."""
    numbered = [pytest.param(row, id=f"{position}-{row[0]}") for position, row in enumerate(rows)]
    return pytest.mark.parametrize("row", numbered)


CALLED = [row for row in ROWS if len(row) > 1]


@over(CALLED)
def test_values_and_gradients(row):
    torch = pytest.importorskip("torch")
    expression, *inputs = row
    state = first_state(expression)
    out, first, second, after = computed(expression, inputs, sg, state)
    expected = computed(expression, inputs, torch, state)
    assert_alike(out, expected[0])
    for got, wanted in zip((*first, *second), (*expected[1], *expected[2]), strict=True):
        assert_alike(got, wanted, ROUGH.get(expression, 1e-10))
    assert list(after) == list(expected[3])
    for name, value in after.items():
        assert_alike(value, expected[3][name])


@over(ROWS)
def test_names_and_signatures(row):
    torch = pytest.importorskip("torch")
    here, there = made(row[0], sg), made(row[0], torch)
    for pairs in ("named_parameters", "named_buffers", "named_children", "named_modules"):
        found = [[name for name, _ in getattr(m, pairs)()] for m in (here, there)]
        assert found[0] == found[1]
    assert [x.shape for x in here.state_dict().values()] == [
        tuple(x.shape) for x in there.state_dict().values()
    ]
    first, second = (inspect.signature(type(m).__init__).parameters for m in (here, there))
    if not any(parameter.kind is parameter.VAR_POSITIONAL for parameter in second.values()):
        assert list(first) == list(second)
        for name, parameter in second.items():
            assert first[name].default == parameter.default


@over(CALLED)
def test_under_jit(row):
    expression, *inputs = row
    state = first_state(expression)
    modules = [made(expression, sg, state) for _ in range(2)]
    run = sg.jit(modules[1].__call__)
    for shift in (0.0, 0.03125):  # recorded, and replayed with other numbers
        given = [one + shift if one.requires_grad else one for one in tensors(inputs, sg)]
        given = [one.detach() for one in given]
        with sg.no_grad():
            assert_alike(array(run(*given)), array(modules[0](*given)))


def test_every_module_has_a_row():
    classes = {
        name
        for name in nn.__all__
        if isinstance(getattr(nn, name), type) and issubclass(getattr(nn, name), nn.Module)
    }
    assert classes - {row[0].split("(")[0].split(".")[0] for row in ROWS} == {"Module"}


def test_every_name_is_pytorchs():
    torch = pytest.importorskip("torch")
    assert [name for name in nn.__all__ if not hasattr(torch.nn, name)] == []
    for room in ("functional", "init", "utils"):
        there = getattr(torch.nn, room)
        own = getattr(nn, room)
        found = [
            name
            for name, value in vars(own).items()
            if inspect.isfunction(value) and value.__module__.startswith(own.__name__)
            if not name.startswith("_") and not hasattr(there, name)
        ]
        assert found == []


def test_functions_have_pytorchs_signatures():
    torch = pytest.importorskip("torch")
    compared = 0
    for room in ("functional", "init", "utils"):
        for name, here in vars(getattr(nn, room)).items():
            there = getattr(getattr(torch.nn, room), name, None)
            if name.startswith("_") or not inspect.isfunction(here) or not callable(there):
                continue
            try:
                expected = inspect.signature(there).parameters
            except ValueError:
                continue  # written in C++
            found = inspect.signature(here).parameters
            missing = [one for one in expected if one not in found]
            assert missing == UNSUPPORTED.get(name, []), name
            order = [one for one in expected if one in found]
            assert list(found)[: len(order)] == order, name
            for one in order:
                is_ours = name in ("batch_norm",) and one.startswith("running")
                assert is_ours or found[one].default == expected[one].default, (name, one)
            compared += 1
    assert compared > 40


#: Parameters of PyTorch's functions that are not here.
UNSUPPORTED = {"normalize": ["out"]}


#: Of each: how a module is made, and arguments that both refuse.
REFUSED = [
    ("Linear(3, 2)", x(2, 4)),
    ("Bilinear(3, 4, 2)", x(5, 3), x(5, 3)),
    ("Embedding(3, 2)", fixed("i", [3])),
    ("Embedding(3, 2)", fixed("i", [-1])),
    ("Embedding(3, 2)", x(2)),
    ("BatchNorm1d(3)", x(2, 4)),
    ("BatchNorm1d(3)", x(3)),
    ("BatchNorm1d(3)", x(1, 3)),
    ("InstanceNorm1d(3, affine=True)", x(2, 4, 3)),
    ("InstanceNorm1d(3)", x(2, 3, 1)),
    ("LayerNorm(3)", x(2, 4)),
    ("GroupNorm(2, 4)", x(2, 3)),
    ("RMSNorm(3)", x(2, 4)),
    ("PReLU(3)", x(2, 4)),
    ("GLU()", x(2, 3)),
    ("Softshrink(-1.0)", x(2)),
    ("Unflatten(1, (2, 2))", x(2, 3)),
    ("Softmax(2)", x(2, 3)),
    ("ELU()", i(3, 2)),
    ("Softplus()", i(3, 2)),
    ("LeakyReLU()", i(3, 2)),
    ("GELU('other')", x(2)),
    ("Dropout(1.5)", x(2)),
    ("CELU(0.0)", x(2)),
    ("Hardtanh(1.0, -1.0)", x(2)),
    ("BCELoss()", fixed("x", [1.5]), fixed("x", [1.0])),
    ("BCELoss()", fixed("x", [-0.1]), fixed("x", [1.0])),
    ("BCELoss()", fixed("x", [np.nan]), fixed("x", [1.0])),
    ("BCELoss()", p(2), i(2, 2)),
    ("BCELoss()", p(2, 1), p(2)),
    ("BCELoss('sum')", p(2), p(2)),
    ("BCEWithLogitsLoss()", x(2), i(2, 2)),
    ("BCEWithLogitsLoss()", x(2, 1), p(2)),
    ("CrossEntropyLoss()", x(2, 3), fixed("i", [0, 3])),
    ("CrossEntropyLoss()", x(2, 3), fixed("i", [0, -1])),
    ("CrossEntropyLoss()", x(2, 3), x(2)),
    ("CrossEntropyLoss()", x(2, 3), i(2, 3)),
    ("CrossEntropyLoss()", x(2, 3), i(2, 2, 3)),
    ("CrossEntropyLoss(label_smoothing=1.5)", x(2, 3), i(2, 2)),
    ("CrossEntropyLoss(t([1.0, 2.0]))", x(2, 3), i(2, 2)),
    ("CrossEntropyLoss(ignore_index=1)", x(2, 3), shares(2, 3)),
    ("NLLLoss()", x(2, 3), fixed("i", [0, -1])),
    ("MSELoss(reduction='average')", x(2), x(2)),
    ("SmoothL1Loss(beta=-1.0)", x(2), x(2)),
    ("HuberLoss(delta=0.0)", x(2), x(2)),
    ("GaussianNLLLoss()", x(2), x(2), fixed("x", [1.0, -1.0])),
    ("GaussianNLLLoss()", x(2, 3), x(2, 3), p(3)),
    ("MarginRankingLoss()", x(2), x(2), signs(2, 1)),
    ("TripletMarginLoss(margin=0.0)", x(2, 2), x(2, 2), x(2, 2)),
    ("CosineEmbeddingLoss()", x(2, 2), x(2), signs(2)),
    ("CosineSimilarity()", x(4, 3), x(3, 3)),
    ("Sequential(3)",),
    ("Sequential([ReLU()])",),
    ("ModuleDict({'a.b': ReLU()})",),
    ("ModuleList([1])",),
]


@pytest.mark.parametrize("library", ["scratchgan", "torch"])
@over(REFUSED)
def test_both_refuse(row, library):
    library = pytest.importorskip(library)
    expression, *inputs = row
    expected = (ValueError, TypeError, RuntimeError, IndexError, KeyError)
    expected += (NotImplementedError, AssertionError)
    with warnings.catch_warnings(), pytest.raises(expected) as caught:
        warnings.simplefilter("ignore")
        made(expression, library)(*tensors(inputs, library))
    assert str(caught.value)
