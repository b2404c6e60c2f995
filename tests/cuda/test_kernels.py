"""The kernels of the cupy backend where the registry's small samples do not reach."""

import itertools
import math
from typing import Any

import numpy as np
import pytest

import scratchgan as sg
from scratchgan import Tensor, ops
from scratchgan.autograd.primitive import REGISTRY
from scratchgan.backend import Backend, kernels_for
from scratchgan.backend.cuda import source as cuda_source
from scratchgan.backend.scalar import DEFINITIONS, Definition
from scratchgan.random import Generator

FLOATS = (np.float32, np.float64)
ROUNDING = {np.float32: 1e-6, np.float64: 1e-14}


@pytest.fixture
def kernels() -> Backend:
    """The backend of the GPU."""
    return kernels_for[type(sg.empty(0, device="cuda").array)]


def normal(*shape: int, dtype: Any = np.float64, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def gpu(values: Any) -> Tensor:
    return sg.tensor(values, device="cuda")


def assert_close(got: Tensor, expected: Any, tolerance: float) -> None:
    expected = np.asarray(expected)
    assert got.shape == expected.shape
    np.testing.assert_allclose(got.numpy(), expected, rtol=tolerance, atol=tolerance)


# --- Noise ------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("draw", [sg.rand, sg.randn])
def test_noise_is_the_cpus_to_the_bit(draw: Any, dtype: Any) -> None:
    ours, theirs = Generator(5, 3), Generator(5, 3)
    for shape in ((), (1,), (257, 300), (0,), (3, 5)):
        got = draw(*shape, dtype=dtype, device="cuda", generator=ours)
        expected = draw(*shape, dtype=dtype, generator=theirs)
        np.testing.assert_array_equal(got.numpy(), expected.numpy())
    np.testing.assert_array_equal(ours.state, theirs.state)


def test_noise_into_a_view(kernels: Backend) -> None:
    whole = sg.zeros(6, 4, dtype=np.float64, device="cuda")
    kernels.normal(Generator(1).state, out=whole[::2].array)
    expected = np.zeros((6, 4))
    expected[::2] = sg.randn(3, 4, dtype=np.float64, generator=Generator(1)).numpy()
    np.testing.assert_array_equal(whole.numpy(), expected)


# --- Reductions ---------------------------------------------------------------------------

SHAPES = {
    (1000,): [0],
    (7, 300): [0, 1, None],
    (300, 7): [0, 1, None],
    (8192, 3): [0, 1],
    (9, 1, 20, 31): [(0, 2), (1, 3), (2,), (0, 3)],
    (70_000,): [0],
    (200, 401): [None, 0],
}
REDUCTIONS = [(shape, axis) for shape, axes in SHAPES.items() for axis in axes]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(("shape", "axis"), REDUCTIONS)
def test_reductions(shape: tuple[int, ...], axis: Any, dtype: Any) -> None:
    values = normal(*shape, dtype=dtype)
    x = gpu(values)
    expected = values.astype(np.float64).sum(axis)
    got = x.sum(axis)
    assert_close(got, expected, ROUNDING[dtype] * 100)
    np.testing.assert_array_equal(got.numpy(), x.sum(axis).numpy())  # the same bits each time
    np.testing.assert_array_equal(
        x.amax(axis, keepdim=True).numpy(), values.max(axis, keepdims=True)
    )
    np.testing.assert_array_equal(x.amin(axis).numpy(), values.min(axis))
    values.flat[-1] = np.nan
    np.testing.assert_array_equal(gpu(values).amax(axis).numpy(), values.max(axis))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("axis", [0, 1, (0, 1)])
def test_the_error_of_a_sum_does_not_grow_with_the_rows(
    axis: Any, dtype: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a thread has many numbers to add, as it has where there are many results."""

    def one_thread(results: int, reduced: int, rows: bool) -> cuda_source.ReductionLaunch:
        return cuda_source.ReductionLaunch((results, 1), (1, 1), reduced, 1)

    monkeypatch.setattr(cuda_source, "reduction_launch", one_thread)
    rows = 1 << 18
    for values in (np.full((rows, 2), 0.1, dtype), normal(rows, 2, dtype=dtype)):
        x = gpu(values if axis != 1 else values.T)
        jitted = sg.jit(lambda t: (t * 0.5).sum(axis))
        jitted(x)
        columns = values.astype(np.float64).T if axis != (0, 1) else values.reshape(1, -1)
        exact = np.array([math.fsum(column) for column in columns])
        bound = 128 * np.finfo(dtype).eps * np.abs(columns).sum(1)
        for found in (x.sum(axis), jitted(x) * 2):
            assert (np.abs(found.numpy().reshape(-1) - exact) <= bound).all()


def test_large_sums_are_computed_in_parts() -> None:
    grid, _, span, parts = cuda_source.reduction_launch(1, 70_000, rows=True)
    assert parts > 1
    assert grid == (1, parts)
    assert (parts - 1) * span < 70_000 <= parts * span


@pytest.mark.parametrize(
    ("results", "reduced", "rows"),
    list(itertools.product((1, 3, 32, 10_000), (0, 1, 5, 10**6), (True, False))),
)
def test_every_element_is_reduced_once(results: int, reduced: int, rows: bool) -> None:
    (across, parts), block, span, again = cuda_source.reduction_launch(results, reduced, rows)
    assert parts == again >= 1
    assert (parts - 1) * span < max(reduced, 1) <= parts * span
    lanes, width = block if rows else block[::-1]
    assert math.log2(lanes).is_integer()
    assert lanes * width <= cuda_source.THREADS
    assert across * width >= min(results, 65535)


def test_integers_are_summed_exactly() -> None:
    values = np.array([2**62, 2**61 + 1, -5] * 100)
    assert gpu(values[:3]).sum().item() == int(values[:3].sum())
    assert gpu(values % 2 == 1).sum().item() == 200
    assert gpu(values[:3]).max().item() == 2**62
    small = np.arange(250, 256, dtype=np.uint8)
    assert gpu(small).sum().item() == int(small.sum())


def test_few_blocks_do_all_of_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_source, "_MOST_BLOCKS", 2)
    values = normal(40, 300)
    assert_close(gpu(values).exp(), np.exp(values), 1e-14)
    assert_close(gpu(values).sum(0), values.sum(0), 1e-13)
    assert_close(gpu(values).sum(1), values.sum(1), 1e-13)


def test_positions_of_64_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    from scratchgan.backend.cuda import launch

    monkeypatch.setattr(cuda_source, "LARGEST_INT", 1)
    launch._walk.cache_clear()
    values = normal(5, 6, 7)
    x = gpu(values)
    expected = (values + values[:, :1]).transpose(2, 0, 1) * values[0, 0, 0]
    assert_close((x + x[:, :1]).permute(2, 0, 1) * x[0, 0, 0], expected, 1e-14)
    assert_close(x.sum((0, 2)), values.sum((0, 2)), 1e-13)
    launch._walk.cache_clear()


# --- Elementwise --------------------------------------------------------------------------

SPECIAL = [0.0, -0.0, 1.0, -1.0, 1e-30, -1e-30, 0.5, 3.0, 88.0, -88.0, 1e4, -1e4]
SPECIAL += [np.inf, -np.inf, np.nan]


def takes_one_float(definition: Definition) -> bool:
    return len(definition.inputs) == 1 and not (definition.scalars or definition.is_of_bits)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(
    "name",
    [n for n in REGISTRY if n in DEFINITIONS and takes_one_float(DEFINITIONS[n])],
)
def test_functions_at_special_values(name: str, dtype: Any, kernels: Backend) -> None:
    values = np.array(SPECIAL, dtype)
    got, expected = gpu(np.zeros_like(values)), np.zeros_like(values)
    getattr(kernels, name)(gpu(values).array, out=got.array)
    with sg.use_backend("numpy"), np.errstate(all="ignore"):
        getattr(kernels_for[np.ndarray], name)(values, out=expected)
    tolerance = 4 * float(np.finfo(dtype).eps)
    if name in ("sin", "cos"):  # far from 0 libraries reduce the argument each in its way
        tolerance = 1e-3 if dtype is np.float32 else 1e-12
    # CuPy has every kernel flush float32 results below the smallest normal number to zero.
    smallest = float(np.finfo(np.float32).tiny) if dtype is np.float32 else 0
    np.testing.assert_allclose(got.numpy(), expected, rtol=tolerance, atol=smallest)
    if name in ("neg", "abs", "relu"):
        is_number = ~np.isnan(expected)  # the sign of a nan says nothing
        np.testing.assert_array_equal(
            np.signbit(got.numpy())[is_number], np.signbit(expected)[is_number]
        )
    found = []
    with sg.use_backend("numpy"), np.errstate(all="ignore"):
        for x in (sg.tensor(values), gpu(values)):
            out = REGISTRY[name](x.requires_grad_())
            if out.requires_grad:
                out.sum().backward()
                assert x.grad is not None
                found.append(x.grad.numpy())
    if found:
        np.testing.assert_allclose(found[1], found[0], rtol=2 * tolerance, atol=smallest)


TYPES = [np.bool_, np.uint8, np.int8, np.int32, np.int64, np.float32, np.float64]


@pytest.mark.parametrize("source", TYPES)
def test_conversions(source: Any) -> None:
    values = np.array([0, 1, 2, 100, 3], source)
    for target in TYPES:
        got = gpu(values).to(target)
        np.testing.assert_array_equal(got.numpy(), values.astype(target))
        assert got.dtype == target


def test_integers_beyond_the_doubles() -> None:
    large = 2**60 + 1
    x = gpu(np.array([large, -large]))
    assert (x + 1).tolist() == [large + 1, 1 - large]
    assert (x * 3).tolist() == [3 * large, -3 * large]
    assert abs(x).tolist() == [large, large]
    assert sg.maximum(x, gpu(np.array(5))).tolist() == [large, 5]
    assert (x == large).tolist() == [True, False]


def test_types_beside_each_other() -> None:
    whole, half = gpu(np.array([1, 2, 3])), gpu(np.array([0.5, 1.5, 2.5], np.float32))
    for got in (whole + half, half + whole):
        assert got.dtype == np.float32
        assert got.tolist() == [1.5, 3.5, 5.5]
    assert (whole / 2).dtype == np.float32
    assert (whole > 1.5).tolist() == [False, True, True]
    assert (gpu(np.array([250, 10], np.uint8)) + 10).tolist() == [4, 20]  # as NumPy's uint8
    assert sg.where(whole > 1, half, 0.0).tolist() == [0.0, 1.5, 2.5]
    assert sg.clip(half, min=-1e300, max=2).tolist() == [0.5, 1.5, 2.0]


def test_a_result_over_a_shifted_input() -> None:
    values = normal(5, 4)
    x = gpu(values)
    x[1:] = x[:-1]
    expected = values.copy()
    expected[1:] = values[:-1]
    np.testing.assert_array_equal(x.numpy(), expected)
    x.sub_(x[2])
    np.testing.assert_array_equal(x.numpy(), expected - expected[2])


def test_results_without_dimensions_stay_arrays() -> None:
    x = gpu(normal(3, 3))
    for got in (x[0, 0], x.sum(), x[gpu(np.array(1)), gpu(np.array(2))], x.max() * 2):
        assert got.shape == ()
        assert got.device == "cuda:0"


# --- Indices ------------------------------------------------------------------------------


def test_indices() -> None:
    values = normal(6, 5, 4)
    x = gpu(values)
    i, j = np.array([[0, -1], [3, 0]]), np.array([1, 4])
    for index in (
        i,
        (i, j),
        (slice(None), j),
        (slice(1, 5, 2), None, j),
        (i, slice(None), 2),
        (..., np.array([1, 3])),
    ):
        np.testing.assert_array_equal(x[index].numpy(), values[index])
    np.testing.assert_array_equal(x[values > 0].numpy(), values[values > 0])
    x[gpu(j)] = 1.5
    x[:, [0, 2]] = gpu(normal(6, 2, 4, seed=1))
    values[j] = 1.5
    values[:, [0, 2]] = normal(6, 2, 4, seed=1)
    np.testing.assert_array_equal(x.numpy(), values)


def test_an_element_that_is_taken_twice_has_both_gradients() -> None:
    x = gpu(normal(4, 3)).requires_grad_()
    x[[1, 1, 3]].sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [[0.0] * 3, [2.0] * 3, [0.0] * 3, [1.0] * 3]


# --- Products and layers ------------------------------------------------------------------


def layouts(values: np.ndarray[Any, Any]) -> dict[str, Tensor]:
    """A matrix in memory in several ways."""
    rows, columns = values.shape
    wide = gpu(np.full((rows, columns + 3), np.nan, values.dtype))
    wide[:, 1 : columns + 1] = values
    apart = gpu(np.full((2 * rows, 2 * columns), np.nan, values.dtype))
    apart[::2, ::2] = values
    return {
        "in order": gpu(values),
        "transposed": gpu(np.ascontiguousarray(values.T)).T,
        "part of wider rows": wide[:, 1 : columns + 1],
        "apart": apart[::2, ::2],
        "backwards": gpu(values[::-1].copy())[::-1],
    }


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("sizes", [(4, 3, 5), (1, 3, 5), (4, 1, 5), (4, 3, 1), (1, 1, 1)])
def test_products_of_any_layout(sizes: tuple[int, int, int], dtype: Any, kernels: Backend) -> None:
    n, k, m = sizes
    a, b = normal(n, k, dtype=dtype), normal(k, m, dtype=dtype, seed=1)
    for (_, x), (_, y) in itertools.product(layouts(a).items(), layouts(b).items()):
        assert_close(x @ y, a @ b, ROUNDING[dtype])
    for name, out in layouts(np.zeros((n, m), dtype)).items():
        kernels.matmul(gpu(a).array, gpu(b).array, out=out.array)
        np.testing.assert_allclose(out.numpy(), a @ b, rtol=ROUNDING[dtype], err_msg=name)


def test_other_products() -> None:
    for a, b in (
        ((3, 2, 4), (4, 5)),
        ((2, 4), (3, 4, 5)),
        ((4,), (4, 2)),
        ((3, 4), (4,)),
        ((4,), (4,)),
    ):
        x, y = normal(*a), normal(*b)
        assert_close(gpu(x) @ gpu(y), x @ y, 1e-14)
    assert (sg.zeros(3, 0, device="cuda") @ sg.zeros(0, 2, device="cuda")).tolist() == [
        [0.0, 0.0]
    ] * 3
    assert (sg.zeros(0, 3, device="cuda") @ sg.zeros(3, 2, device="cuda")).shape == (0, 2)
    mixed = gpu(normal(2, 3, dtype=np.float32)) @ gpu(normal(3, 2))
    assert mixed.dtype == np.float64
    whole = np.arange(6).reshape(2, 3)
    np.testing.assert_array_equal((gpu(whole) @ gpu(whole.T.copy())).numpy(), whole @ whole.T)


def test_reduced_precision_is_asked_for() -> None:
    a, b = normal(20, 64, dtype=np.float32), normal(64, 30, dtype=np.float32, seed=1)
    exact = a.astype(np.float64) @ b
    plain = np.abs((gpu(a) @ gpu(b)).numpy() - exact).max()
    try:
        sg.cuda.set_matmul_precision("tf32")
        assert_close(gpu(a) @ gpu(b), exact, 0.05)
        sg.cuda.set_matmul_precision("float16")
        half = np.abs((gpu(a) @ gpu(b)).numpy() - exact).max()
        assert_close(gpu(a.astype(np.float64)) @ gpu(b.astype(np.float64)), exact, 1e-12)
        with pytest.raises(ValueError, match="there is no 'int4'; choose one of float32, tf32"):
            sg.cuda.set_matmul_precision("int4")
    finally:
        sg.cuda.set_matmul_precision("float32")
    assert 10 * plain < half < 0.05


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("sizes", [(1, 1, 1), (5, 30, 7), (300, 3, 40), (700, 2, 1)])
@pytest.mark.parametrize("activation", ["none", *ops.ACTIVATIONS])
def test_layers(activation: str, sizes: tuple[int, int, int], dtype: Any, kernels: Backend) -> None:
    n, k, m = sizes
    scalars = (0.2,) if activation == "leaky_relu" else ()
    x, weight, bias = normal(n, k, dtype=dtype), normal(m, k, dtype=dtype), normal(m, dtype=dtype)
    g = normal(n, m, dtype=dtype, seed=2)
    found = []
    with sg.use_backend("numpy"):
        for place in ("cpu", "cuda"):
            backend = kernels_for[type(sg.empty(0, device=place).array)]
            arrays = [sg.tensor(v, device=place).array for v in (x, weight, bias, g)]
            y, before = (sg.zeros(n, m, dtype=dtype, device=place) for _ in range(2))
            gradient = sg.zeros(m, dtype=dtype, device=place)
            backend.linear(*arrays[:3], activation=activation, scalars=scalars, out=y.array)
            backend.linear_backward(
                *(arrays[3], y.array),
                activation=activation,
                scalars=scalars,
                out=(before.array, gradient.array),
            )
            found.append([y.numpy(), before.numpy(), gradient.numpy()])
    for got, expected in zip(*found[::-1], strict=True):
        np.testing.assert_allclose(got, expected, rtol=0, atol=ROUNDING[dtype] * 50)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(
    ("shape", "axis"), [((3, 500), 1), ((500, 3), 0), ((4, 30, 5), 1), ((6,), 0)]
)
def test_log_softmax(shape: tuple[int, ...], axis: int, dtype: Any) -> None:
    values = normal(*shape, dtype=dtype) * 30
    values.flat[1] = -np.inf
    with sg.use_backend("numpy"):
        expected = sg.log_softmax(sg.tensor(values), axis=axis).numpy()
    assert_close(sg.log_softmax(gpu(values), axis=axis), expected, ROUNDING[dtype] * 4)


# --- Optimizers ---------------------------------------------------------------------------

OPTIMIZERS = {
    "adam": lambda p: sg.optim.Adam(p, 0.01, betas=(0.5, 0.999), weight_decay=0.1),
    "sgd": lambda p: sg.optim.SGD(p, 0.1),
    "momentum": lambda p: sg.optim.SGD(p, 0.1, momentum=0.9, dampening=0.3, weight_decay=0.1),
    "nesterov": lambda p: sg.optim.SGD(p, 0.1, momentum=0.9, nesterov=True),
}


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers(name: str, dtype: Any) -> None:
    outcomes = []
    with sg.use_backend("numpy"):
        for place in ("cpu", "cuda"):
            values = normal(70, 9, dtype=dtype)
            in_order = sg.tensor(values, device=place).requires_grad_()
            transposed = sg.tensor(values, device=place).T.detach().requires_grad_()
            optimizer = OPTIMIZERS[name]([in_order, transposed])
            for step in range(4):
                for p in (in_order, transposed):
                    p.grad = sg.tensor(normal(*p.shape, dtype=dtype, seed=step), device=place)
                optimizer.step()
            states = [x.numpy() for state in optimizer.state.values() for x in state.values()]
            outcomes.append([in_order.numpy(force=True), transposed.numpy(force=True), *states])
    for got, expected in zip(*outcomes[::-1], strict=True):
        np.testing.assert_allclose(got, expected, rtol=ROUNDING[dtype], atol=ROUNDING[dtype])
