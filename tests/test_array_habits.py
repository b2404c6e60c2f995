"""Above the kernels, arrays are touched through kernels alone.

The tape, primitives, functions, modules, losses and optimizers run here on an array type that
tells its shape, type, size, strides and device, and refuses everything else. A NumPy habit in one
of these rooms fails at once; it would keep other array libraries out.
"""

import inspect
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings

import scratchgan as sg
from scratchgan import Tensor, autograd, functions, nn, ops, optim
from scratchgan.autograd.primitive import REGISTRY
from scratchgan.backend import Backend, kernels_for
from scratchgan.testing import gradcheck, gradgradcheck
from scratchgan.testing.samplers import SAMPLERS
from scratchgan.testing.strategies import graphs, samples


class HabitError(AssertionError):
    """An array was touched in a way that only NumPy's allow."""


class Opaque:
    """What is known of an array without its values."""

    def __init__(self, hidden):
        self._hidden = hidden

    shape = property(lambda self: self._hidden.shape)
    dtype = property(lambda self: self._hidden.dtype)
    ndim = property(lambda self: self._hidden.ndim)
    size = property(lambda self: self._hidden.size)
    strides = property(lambda self: self._hidden.strides)
    flags = property(lambda self: self._hidden.flags)
    device = SimpleNamespace(id=0)
    __array_ufunc__ = None  # np.exp(x), np_array + x


def refuse(name):
    def method(self, *_, **__):
        raise HabitError(f"{name} of an array, above the kernels")

    return method


for _name in (
    *("__array__", "__array_function__", "__array_interface__", "__dlpack__", "__getattr__"),
    *("__bool__", "__float__", "__int__", "__index__", "__complex__", "__len__", "__iter__"),
    *("__getitem__", "__setitem__", "__contains__", "__eq__", "__ne__", "__lt__", "__le__"),
    *("__gt__", "__ge__", "__add__", "__radd__", "__sub__", "__rsub__", "__mul__", "__rmul__"),
    *("__truediv__", "__rtruediv__", "__pow__", "__rpow__", "__neg__", "__matmul__", "__iadd__"),
    *("__isub__", "__imul__", "__abs__", "__invert__", "__and__", "__or__"),
):
    setattr(Opaque, _name, refuse(_name))
Opaque.__hash__ = object.__hash__


def hidden(x):
    if isinstance(x, tuple | list):
        return type(x)(map(hidden, x))
    return x._hidden if isinstance(x, Opaque) else x


def opaque(x):
    if isinstance(x, tuple):
        return tuple(map(opaque, x))
    return Opaque(x) if isinstance(x, np.ndarray) else x


class OpaqueKernels:
    """The reference kernels, for these arrays."""

    def __getattr__(self, name):
        with sg.use_backend("numpy"):
            kernel = getattr(kernels_for[np.ndarray], name)

        def call(*inputs, **keywords):
            keywords = {k: hidden(v) for k, v in keywords.items() if k != "like"}
            result = kernel(*map(hidden, inputs), **keywords)
            return result if name == "to_host" else opaque(result)

        return call


@pytest.fixture(autouse=True, scope="module")
def opaque_backend():
    kernels_for[Opaque] = Backend("opaque", OpaqueKernels())
    yield
    del kernels_for[Opaque]


def as_opaque(x):
    """A tensor's twin on an opaque array, with memory of its own in the same layout."""
    if not isinstance(x, Tensor):
        return x
    return Tensor(Opaque(x.array.copy(order="K")), requires_grad=x.requires_grad)


def values(x):
    return hidden(x.array)


def assert_same(twins, plain):
    for a, b in zip(twins, plain, strict=True):
        assert isinstance(a.array, Opaque)
        # Products and sums of another memory layout may be added in another order.
        np.testing.assert_allclose(values(a), b.numpy(force=True), 1e-12, 1e-13)


# --- Tape and primitives --------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in SAMPLERS if name != "to_device"])
def test_primitives(name):
    """Forward, backward, and the backward of the backward."""

    def computed(inputs, keywords):
        out = REGISTRY[name](*inputs, **keywords)
        leaves = [x for x in inputs if isinstance(x, Tensor) and x.requires_grad]
        results = [out]
        if out.requires_grad:
            first = autograd.grad(out.sum(), leaves, create_graph=True, allow_unused=True)
            found = [g for g in first if g is not None]
            results += found
            taped = [ops.sum(ops.square(g)) for g in found if g.requires_grad]
            if taped:
                second = autograd.grad(taped, leaves, retain_graph=True, allow_unused=True)
                results += [g for g in second if g is not None]
            ops.sum(out + 0.0).backward()
            results += [x.grad for x in leaves if x.grad is not None]
        return results

    @settings(max_examples=max(10, settings().max_examples // 5))
    @given(samples(SAMPLERS[name].sampler))
    def holds(sample):
        for x in sample.inputs:
            if isinstance(x, Tensor) and x.dtype.kind == "f":
                x.requires_grad_()
        with sg.use_backend("numpy"):
            plain = computed(sample.inputs, sample.keywords)
        assert_same(computed([as_opaque(x) for x in sample.inputs], sample.keywords), plain)

    holds()


@settings(max_examples=max(10, settings().max_examples // 5))
@given(graphs())
def test_whole_graphs(graph):
    leaves = [x.requires_grad_() for x in graph.leaves]
    with sg.use_backend("numpy"):
        plain = autograd.grad(graph(*leaves), leaves)
    steps = tuple(
        step._replace(sample=step.sample._replace(inputs=tuple(map(as_opaque, step.sample.inputs))))
        for step in graph.steps
    )
    twins = [as_opaque(x) for x in leaves]
    assert_same(autograd.grad(graph._replace(steps=steps)(*twins), twins), plain)


def test_gradcheck_itself():
    x = as_opaque(sg.tensor(np.linspace(-1, 1, 6).reshape(2, 3), requires_grad=True))
    assert gradcheck(lambda x: sg.tanh(x @ x.T).sum(0), x)
    assert gradgradcheck(lambda x: sg.sigmoid(x).mean(), x)


# --- Functions and changes in place ---------------------------------------------------


def classes(x):
    """Two, where ``x`` lies."""
    index = sg.tensor([2, 0])
    return as_opaque(index) if isinstance(x.array, Opaque) else index.to(x.device)


def columns(x):
    """A permutation of each row's columns, where ``x`` lies."""
    index = sg.tensor([[2, 0, 1], [1, 2, 0]])
    return as_opaque(index) if isinstance(x.array, Opaque) else index.to(x.device)


def targets(x):
    return sg.sigmoid(x.detach())


FUNCTIONS = {
    "mean": lambda x: x.mean(0),
    "var": lambda x: x.var(1, keepdim=True),
    "std": lambda x: x.std(),
    "softmax": lambda x: sg.softmax(x, 1),
    "logsumexp": lambda x: sg.logsumexp(x, 0),
    "argmax": lambda x: x.argmax(1),
    "argmin": lambda x: x.argmin(),
    "max": lambda x: x.max(1).values + x.min(1).values + x.max(),
    "min": lambda x: x.min(0).indices,
    "norm": lambda x: x.norm(dim=1) + x.norm(1) + x.norm(3),
    "dist": lambda x: x.dist(x * 2),
    "prod": lambda x: x.prod(1),
    "cumsum": lambda x: x.cumsum(1) * x.cumprod(0),
    "cumprod": lambda x: x.cumprod(1),
    "logcumsumexp": lambda x: x.logcumsumexp(1),
    "cummax": lambda x: x.cummax(1).values + x.cummin(1).values,
    "cummin": lambda x: x.cummin(0).indices,
    "sort": lambda x: x.sort(1).values * x.msort(),
    "msort": lambda x: x.msort(),
    "argsort": lambda x: x.argsort(1, descending=True),
    "topk": lambda x: x.topk(2).values,
    "kthvalue": lambda x: x.kthvalue(2).values,
    "median": lambda x: x.median() + x.median(1).values,
    "diff": lambda x: x.diff(dim=1),
    "count_nonzero": lambda x: x.count_nonzero(1),
    "nonzero": lambda x: x.nonzero(),
    "reshape": lambda x: x.T.reshape(-1),
    "view": lambda x: x.view(3, 2).view_as(x),
    "view_as": lambda x: x.view_as(x),
    "unflatten": lambda x: x.unflatten(1, (3, 1)),
    "movedim": lambda x: x.movedim(0, 1),
    "t": lambda x: x.t(),
    "expand": lambda x: x[:, :1].expand(-1, 3).expand_as(x),
    "expand_as": lambda x: x[:1].expand_as(x),
    "repeat": lambda x: x.repeat(2, 1, 2),
    "tile": lambda x: x.tile(2),
    "hstack": lambda x: sg.hstack([x, x]),
    "vstack": lambda x: sg.vstack([x, x]),
    "unbind": lambda x: x.unbind(1)[1],
    "select": lambda x: x.select(1, 2),
    "narrow": lambda x: x.narrow(1, 1, 2),
    "flip": lambda x: x.flip(0, 1),
    "roll": lambda x: x.roll(1, 1),
    "broadcast_tensors": lambda x: sg.broadcast_tensors(x, x[:1])[1],
    "meshgrid": lambda x: sg.meshgrid(x[0], x[1])[0],
    "gather": lambda x: x.gather(1, columns(x)),
    "take_along_dim": lambda x: x.take_along_dim(columns(x), 1),
    "index_select": lambda x: x.index_select(1, classes(x)),
    "index_add": lambda x: x.index_add(1, classes(x), x[:, :2]),
    "index_copy": lambda x: x.index_copy(1, classes(x), x[:, :2] * 2),
    "index_fill": lambda x: x.index_fill(1, classes(x), 5.0),
    "scatter": lambda x: x.scatter(1, columns(x), x * 2),
    "scatter_add": lambda x: x.scatter_add(1, columns(x), x),
    "masked_fill": lambda x: x.masked_fill(x > 0, 2.0),
    "masked_select": lambda x: x.masked_select(x > 0),
    "repeat_interleave": lambda x: x.repeat_interleave(2, 0),
    "diagonal": lambda x: x.diagonal(1) * x.diagonal()[0],
    "diag": lambda x: x[0].diag() + sg.diag(x[:, :2])[0],
    "diag_embed": lambda x: x.diag_embed(1),
    "diagflat": lambda x: x[0].diagflat(),
    "trace": lambda x: x.trace(),
    "tril": lambda x: x.tril() * x.triu(-1),
    "triu": lambda x: x.triu(),
    "mm": lambda x: x.mm(x.T),
    "mv": lambda x: x.mv(x[0]),
    "dot": lambda x: x[0].dot(x[1]),
    "bmm": lambda x: x.unsqueeze(0).bmm(x.T.unsqueeze(0)),
    "addmm": lambda x: (x @ x.T).addmm(x, x.T, beta=2, alpha=0.5),
    "addmv": lambda x: x[:, 0].addmv(x, x[0]),
    "addbmm": lambda x: (x @ x.T).addbmm(x.unsqueeze(0), x.T.unsqueeze(0)),
    "baddbmm": lambda x: (x @ x.T).unsqueeze(0).baddbmm(x.unsqueeze(0), x.T.unsqueeze(0)),
    "addr": lambda x: x.addr(x[:, 0], x[0]),
    "outer": lambda x: x[0].outer(x[1]),
    "inner": lambda x: x.inner(x),
    "vdot": lambda x: sg.vdot(x[0], x[1]),
    "tensordot": lambda x: sg.tensordot(x, x, ([1], [1])),
    "einsum": lambda x: sg.einsum("ij,kj->ik", x, x),
    "kron": lambda x: x.kron(x),
    "sub": lambda x: x.sub(x * 2, alpha=3),
    "rsub": lambda x: sg.rsub(x, 2.0),
    "mul": lambda x: x.mul(2.0),
    "div": lambda x: x.div(0.7, rounding_mode="trunc") + x.div(x + 9.0),
    "true_divide": lambda x: sg.true_divide(x, 3.0),
    "floor_divide": lambda x: x // 0.7,
    "remainder": lambda x: x % 0.7,
    "fmod": lambda x: x.fmod(0.7),
    "float_power": lambda x: x.float_power(2),
    "round": lambda x: x.round(decimals=1),
    "frac": lambda x: x.frac(),
    "sign": lambda x: x.sign(),
    "sgn": lambda x: x.sgn(),
    "signbit": lambda x: x.signbit(),
    "positive": lambda x: +x.positive(),
    "copysign": lambda x: x.copysign(-x),
    "heaviside": lambda x: x.heaviside(x),
    "logit": lambda x: sg.sigmoid(x).logit(),
    "xlogy": lambda x: x.xlogy(x.square()),
    "logaddexp": lambda x: x.logaddexp(x * 2),
    "hypot": lambda x: x.hypot(x + 1),
    "sinc": lambda x: x.sinc(),
    "deg2rad": lambda x: x.deg2rad().rad2deg(),
    "rad2deg": lambda x: x.rad2deg(),
    "nan_to_num": lambda x: x.nan_to_num(),
    "square": lambda x: x.square(),
    "fmax": lambda x: x.fmax(-x),
    "fmin": lambda x: x.fmin(-x),
    "ldexp": lambda x: x.ldexp(x),
    "logaddexp2": lambda x: x.logaddexp2(x * 2),
    "lerp": lambda x: x.lerp(x * 2, 0.3),
    "addcmul": lambda x: x.addcmul(x, x, value=2),
    "addcdiv": lambda x: x.addcdiv(x, x.square() + 1, value=2),
    "clamp": lambda x: x.clamp(-0.5, 0.5),
    "clamp_min": lambda x: x.clamp_min(0.0),
    "clamp_max": lambda x: x.clamp_max(0.0),
    "bitwise_not": lambda x: ~(x > 0),
    "logical_not": lambda x: x.logical_not(),
    "logical_and": lambda x: x.logical_and(x),
    "logical_or": lambda x: x.logical_or(x),
    "logical_xor": lambda x: x.logical_xor(x),
    "isclose": lambda x: x.isclose(x + 1e-9),
    "allclose": lambda x: x * float(x.allclose(x)),
    "isfinite": lambda x: x.isfinite(),
    "isinf": lambda x: x.isinf(),
    "isneginf": lambda x: x.isneginf(),
    "isposinf": lambda x: x.isposinf(),
    "permute": lambda x: x.permute(1, 0),
    "transpose": lambda x: x.transpose(0, 1),
    "swapaxes": lambda x: x.swapaxes(0, 1),
    "flatten": lambda x: x.T.flatten(),
    "squeeze": lambda x: x[:1].squeeze(0),
    "unsqueeze": lambda x: x.unsqueeze(1),
    "cat": lambda x: sg.cat([x, x * 2], 1),
    "stack": lambda x: sg.stack([x, x]),
    "row_stack": lambda x: sg.row_stack([x, x]),
    "column_stack": lambda x: sg.column_stack([x, x[:, 0]]),
    "dstack": lambda x: sg.dstack([x, x]),
    "block_diag": lambda x: sg.block_diag(x, x[0]),
    "atleast_1d": lambda x: sg.atleast_1d(x.sum()),
    "atleast_2d": lambda x: sg.atleast_2d(x[0]),
    "atleast_3d": lambda x: sg.atleast_3d(x),
    "ravel": lambda x: x.T.ravel(),
    "reshape_as": lambda x: x.T.reshape_as(x),
    "broadcast_shapes": lambda x: x.expand(sg.broadcast_shapes(x.shape, (4, 1, 1))),
    "cartesian_prod": lambda x: sg.cartesian_prod(x[0], x[1]),
    "combinations": lambda x: x[0].combinations(),
    "split_with_sizes": lambda x: x.split_with_sizes([1, 2], 1)[1],
    "tensor_split": lambda x: x.tensor_split(2, 1)[1],
    "hsplit": lambda x: x.hsplit(3)[1],
    "vsplit": lambda x: x.vsplit(2)[1],
    "dsplit": lambda x: sg.dstack([x, x]).dsplit(2)[1],
    "fliplr": lambda x: x.fliplr(),
    "flipud": lambda x: x.flipud(),
    "rot90": lambda x: x.rot90(),
    "select_scatter": lambda x: x.select_scatter(x[0] * 2, 0, 1),
    "slice_scatter": lambda x: x.slice_scatter(x[:, :1] * 2, 1, 2),
    "diagonal_scatter": lambda x: x.diagonal_scatter(x[0, :2] * 2),
    "take": lambda x: x.take(sg.argsort(x[0])),
    "put": lambda x: x.put(sg.argsort(x[0]), x[1]),
    "index_put": lambda x: x.T.index_put((classes(x),), x.T[:2] * 2, accumulate=True),
    "masked_scatter": lambda x: x.masked_scatter(x > 0, x * 2),
    "bincount": lambda x: classes(x).bincount(minlength=4),
    "histc": lambda x: x.histc(4),
    "searchsorted": lambda x: sg.searchsorted(x[0].sort().values, x[1]),
    "bucketize": lambda x: sg.bucketize(x, x[0].sort().values),
    "isin": lambda x: sg.isin(x, x[0]),
    "argwhere": lambda x: (x > 0).argwhere(),
    "unique": lambda x: (x > 0).long().unique(),
    "unique_consecutive": lambda x: (x > 0).long().unique_consecutive(),
    "mode": lambda x: x.mode(1).values,
    "aminmax": lambda x: x.aminmax(dim=1).max,
    "var_mean": lambda x: sg.var_mean(x, 1)[0],
    "std_mean": lambda x: sg.std_mean(x, 1)[0],
    "nansum": lambda x: x.nansum(1),
    "nanmean": lambda x: x.nanmean(1),
    "nanmedian": lambda x: x.nanmedian(1).values,
    "quantile": lambda x: x.quantile(0.3, 1),
    "nanquantile": lambda x: x.nanquantile(0.3, 1),
    "cov": lambda x: x.cov(),
    "corrcoef": lambda x: x.corrcoef(),
    "trapezoid": lambda x: sg.trapezoid(x, x * x),
    "cumulative_trapezoid": lambda x: sg.cumulative_trapezoid(x),
    "cdist": lambda x: sg.cdist(x, x * 2),
    "pdist": lambda x: sg.pdist(x),
    "renorm": lambda x: x.renorm(2, 0, 0.5),
    "cross": lambda x: x.cross(x.flip(0), 1),
    "matrix_power": lambda x: (x @ x.T).matrix_power(3),
    "chain_matmul": lambda x: sg.chain_matmul(x, x.T, x),
    "vander": lambda x: sg.vander(x[0]),
    "split": lambda x: sg.cat(x.split(1, 1)[::-1], 1),
    "chunk": lambda x: x.chunk(2, 1)[0],
    "getitem": lambda x: x[1:, ::-1],
    "integers": lambda x: x[[1, 0, 0], [0, 2, 2]],
    "mask": lambda x: x[x > 0],
    "where": lambda x: sg.where(x > 0, x * 2, 7.0),
    "matmul": lambda x: x @ x[0],
    "to": lambda x: x.to("float32").double(),
    "isnan": lambda x: sg.isnan(x),
    "broadcast_to": lambda x: x.broadcast_to(3, 2, 3),
    "sum_to_size": lambda x: x.sum_to_size(1, 3),
    "all": lambda x: x * float((x > -9).all()),
    "any": lambda x: x * float((x > 9).any()),
    "add_": lambda x: x.detach().clone().add_(1.0).mul_(x.detach()),
    "iadd": lambda x: changed(x.detach().clone()),
    "copy_": lambda x: x.detach().clone().copy_(x.detach()[0]),
    "fill_": lambda x: x.detach().clone().fill_(2.0),
    "linear": lambda x: nn.functional.linear(x.unsqueeze(0), x * 2, x[:, 0], "tanh"),
    "embedding": lambda x: nn.functional.embedding(classes(x), sg.stack([x, -x, x]).sum(1)),
    "dropout": lambda x: nn.functional.dropout(x, 0.4),
    "batch_norm": lambda x: nn.functional.batch_norm(x, weight=x[0], bias=x[1], training=True),
    "binary_cross_entropy": lambda x: nn.functional.binary_cross_entropy(sg.sigmoid(x), targets(x)),
    "binary_cross_entropy_with_logits": lambda x: nn.functional.binary_cross_entropy_with_logits(
        x, targets(x)
    ),
    "mse_loss": lambda x: nn.functional.mse_loss(x, targets(x), reduction="sum"),
    "nll_loss": lambda x: nn.functional.nll_loss(sg.log_softmax(x, 1), classes(x)),
    "cross_entropy": lambda x: nn.functional.cross_entropy(x, classes(x)),
    "like": lambda x: sg.zeros_like(x) + sg.ones_like(x) * sg.full_like(x, 2.0),
}


def changed(x):
    x += x
    x[0] = 5.0
    x[:, 1] = x[:, 0]
    return x


def test_no_function_is_left_out():
    names = {name for name in functions.__all__ if inspect.isfunction(getattr(functions, name))}
    # What moves between devices and types, knows of no array, or is an operator.
    others = {
        *("cpu", "cuda", "destination", "of_type", "type_as", "is_floating_point", "sizes_of"),
        *("parse_index", "truth_of_index", "without_negatives"),
        *("equal", "equals", "differs", "power", "add"),
        *("is_complex", "is_contiguous", "is_nonzero", "is_same_size", "is_signed", "is_tensor"),
        *("detach", "isreal", "numel", "result_type", "trapz"),
    }
    assert names - others <= FUNCTIONS.keys()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name):
    x = sg.tensor(np.random.default_rng(0).standard_normal((2, 3)), requires_grad=True)
    twin = as_opaque(x)
    sg.manual_seed(0)
    with sg.use_backend("numpy"):
        plain = FUNCTIONS[name](x)
        if plain.requires_grad:
            plain.sum().backward()
    sg.manual_seed(0)
    out = FUNCTIONS[name](twin)
    assert_same([out], [plain])
    if out.requires_grad:
        out.sum().backward()
        assert_same([twin.grad], [x.grad])


# --- Modules, losses, optimizers ------------------------------------------------------


def network():
    sg.manual_seed(0)
    return nn.Sequential(
        nn.Linear(4, 6),
        nn.BatchNorm1d(6),
        nn.LeakyReLU(0.2),
        nn.Linear(6, 5),
        nn.Tanh(),
        nn.Dropout(0.3),
        nn.Linear(5, 3),
        nn.Softplus(),
        nn.Linear(3, 1),
        nn.Sigmoid(),
    )


OPTIMIZERS = {
    "adam": lambda parameters: optim.Adam(parameters, 0.01, betas=(0.5, 0.999), weight_decay=0.01),
    "sgd": lambda parameters: optim.SGD(parameters, 0.1, momentum=0.9, nesterov=True),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training(name):
    x = sg.tensor(np.random.default_rng(0).standard_normal((8, 4)), "float32")
    target = (x.sum(1, keepdims=True) > 0).to("float32")

    def trained(convert):
        model = network()
        for tensor in (*model.parameters(), *model.buffers()):
            tensor.array = convert(tensor).array
        optimizer = OPTIMIZERS[name](model.parameters())
        losses = []
        for _ in range(3):
            optimizer.zero_grad()
            loss = nn.BCELoss()(model(convert(x)), convert(target))
            loss.backward()
            optimizer.step()
            losses.append(loss)
        model.eval()
        return [*losses, model(convert(x)), *model.parameters()]

    with sg.use_backend("numpy"):
        plain = trained(lambda tensor: tensor)
    # Generators live on the host and feed both.
    assert_same(trained(as_opaque), plain)


@pytest.mark.parametrize(
    ("loss", "target"),
    [
        (nn.MSELoss(), [[0.1, 0.2, 0.3]] * 2),
        (nn.BCEWithLogitsLoss(), [[0.0, 1.0, 0.5]] * 2),
        (nn.CrossEntropyLoss(), [2, 0]),
    ],
    ids=lambda x: type(x).__name__,
)
def test_losses(loss, target):
    x = sg.tensor(np.random.default_rng(0).standard_normal((2, 3)), "float32", requires_grad=True)
    twin, target = as_opaque(x), sg.tensor(target)
    with sg.use_backend("numpy"):
        plain = loss(x, target)
        plain.backward()
    out = loss(twin, as_opaque(target))
    out.backward()
    assert_same([out, twin.grad], [plain, x.grad])


# --- It notices -----------------------------------------------------------------------

HABITS = {
    "asarray": lambda out: np.asarray(out.array).dtype,
    "float": lambda out: float(out.array),
    "bool": lambda out: bool(out.array),
    "method": lambda out: out.array.sum(),
    "operator": lambda out: out.array * 2,
    "comparison": lambda out: out.array > 0,
    "ufunc": lambda out: np.tanh(out.array),
    "function": lambda out: np.sum(out.array),
    "index": lambda out: out.array[...],
    "iteration": lambda out: list(out.array),
    "address": lambda out: out.array.ctypes,
}


@pytest.mark.parametrize("name", HABITS)
def test_a_planted_habit_fails(name, monkeypatch):
    def vjp(g, out):
        HABITS[name](out)
        return ops.tanh_backward(g, out)

    monkeypatch.setitem(ops.tanh.primitive.vjps, "x", vjp)
    monkeypatch.setattr(ops.tanh.primitive, "rules", {})
    x = sg.ones((), requires_grad=True)
    if name != "iteration":
        sg.tanh(x).backward()  # on NumPy's arrays nobody would notice
    with pytest.raises((HabitError, TypeError)):
        sg.tanh(as_opaque(x)).backward()
