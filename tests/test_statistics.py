"""Statistics, counts, pieces and powers: what NumPy computes; derivatives; the same in jit."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import scratchgan as sg
from scratchgan.testing import gradcheck, gradgradcheck

WHOLE = st.integers(-4, 4)
FEW = hnp.array_shapes(min_dims=1, max_dims=3, max_side=5)


def reals(shape: Any = FEW) -> Any:
    return hnp.arrays(np.float64, shape, elements=st.integers(-50, 50).map(lambda n: n / 8))


def with_holes(shape: Any = FEW) -> Any:
    number = st.one_of(st.integers(-9, 9).map(float), st.just(np.nan))
    return hnp.arrays(np.float64, shape, elements=number)


# --- Statistics -----------------------------------------------------------------------------


@given(
    with_holes(),
    st.lists(st.floats(0, 1), min_size=1, max_size=4),
    st.sampled_from(["linear", "lower", "higher", "midpoint", "nearest"]),
    st.booleans(),
    st.data(),
)
def test_quantiles(x: Any, q: list[float], interpolation: str, keepdim: bool, data: Any) -> None:
    dim = data.draw(st.one_of(st.none(), st.integers(-x.ndim, x.ndim - 1)))
    for name in ("quantile", "nanquantile"):
        for share in (q, q[0]):
            with np.errstate(all="ignore"), pytest.MonkeyPatch.context() as patch:
                patch.setattr("warnings.warn", lambda *_, **__: None)  # of rows of nan alone
                expected = getattr(np, name)(x, share, dim, method=interpolation, keepdims=keepdim)
            given_q = sg.tensor(share, sg.float64) if isinstance(share, list) else share
            found = getattr(sg, name)(
                sg.tensor(x), given_q, dim, keepdim, interpolation=interpolation
            )
            assert found.shape == expected.shape
            if interpolation in ("linear", "midpoint"):
                np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)
            else:  # a rank that is whole but for rounding may go either way
                between = np.isin(found.numpy(), x) | np.isnan(found.numpy())
                assert between.all()


@given(with_holes(), st.booleans(), st.data())
def test_what_is_no_number_is_left_out(x: Any, keepdim: bool, data: Any) -> None:
    dim = data.draw(st.integers(-x.ndim, x.ndim - 1))
    t, mask = sg.tensor(x), np.isnan(x)
    np.testing.assert_array_equal(t.nansum(dim, keepdim), np.nansum(x, dim, keepdims=keepdim))
    count = (~mask).sum(dim, keepdims=keepdim)
    with np.errstate(all="ignore"):
        mean = np.where(mask, 0, x).sum(dim, keepdims=keepdim) / count
    np.testing.assert_allclose(t.nanmean(dim, keepdim).numpy(), mean)
    values, indices = t.nanmedian(dim, keepdim=True)
    np.testing.assert_array_equal(values, np.take_along_axis(x, indices.numpy(), dim))
    below = np.where(mask, False, x < values.numpy()).sum(dim, keepdims=True)
    rank = np.maximum((~mask).sum(dim, keepdims=True) - 1, 0) // 2
    assert (below <= rank).all()


@given(hnp.arrays(np.int64, FEW, elements=WHOLE), st.data())
def test_the_mode_is_most_frequent_and_smallest(x: Any, data: Any) -> None:
    dim = data.draw(st.integers(-x.ndim, x.ndim - 1))
    values, indices = sg.tensor(x).mode(dim)
    rows = np.moveaxis(x, dim, -1).reshape(-1, x.shape[dim])
    for row, value, index in zip(
        rows, values.numpy().reshape(-1), indices.numpy().reshape(-1), strict=True
    ):
        distinct, counts = np.unique(row, return_counts=True)
        assert value == distinct[counts.argmax()] == row[index]


@given(st.integers(1, 4), st.integers(2, 6), st.integers(0, 1), st.data())
def test_covariances(variables: int, observations: int, correction: int, data: Any) -> None:
    x = data.draw(reals((variables, observations)))
    often = data.draw(hnp.arrays(np.int64, observations, elements=st.integers(1, 5)))
    much = data.draw(hnp.arrays(np.float64, observations, elements=st.integers(1, 9))) / 4
    found = sg.tensor(x).cov(
        correction=correction, fweights=sg.tensor(often), aweights=sg.tensor(much)
    )
    expected = np.cov(x, ddof=correction, fweights=often, aweights=much)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-10)
    if (x.std(1) > 0).all():
        np.testing.assert_allclose(sg.corrcoef(sg.tensor(x)), np.corrcoef(x), atol=1e-12)


@given(reals(), st.data())
def test_areas(y: Any, data: Any) -> None:
    dim = data.draw(st.integers(-y.ndim, y.ndim - 1))
    x = data.draw(reals(y.shape[dim]))
    for keywords in ({}, {"dx": 0.25}, {"x": x}):
        given_x = {k: sg.tensor(v) if k == "x" else v for k, v in keywords.items()}
        found = sg.trapezoid(sg.tensor(y), dim=dim, **given_x)
        np.testing.assert_allclose(found, np.trapezoid(y, axis=dim, **keywords), atol=1e-12)
        running = sg.cumulative_trapezoid(sg.tensor(y), dim=dim, **given_x)
        assert running.shape[dim] == y.shape[dim] - 1
        if y.shape[dim] > 1:
            np.testing.assert_allclose(running.select(dim, -1), found, atol=1e-12)


@given(reals(), st.booleans(), st.data())
def test_two_statistics_at_once(x: Any, keepdim: bool, data: Any) -> None:
    dim = data.draw(st.integers(-x.ndim, x.ndim - 1))
    t = sg.tensor(x)
    bounds = sg.aminmax(t, dim=dim, keepdim=keepdim)
    assert (bounds.min.tolist(), bounds.max.tolist()) == (
        x.min(dim, keepdims=keepdim).tolist(),
        x.max(dim, keepdims=keepdim).tolist(),
    )
    for name in ("var", "std"):
        spread, mean = getattr(sg, f"{name}_mean")(t, dim, False, keepdim)
        np.testing.assert_allclose(spread, getattr(x, name)(dim, keepdims=keepdim), atol=1e-12)
        np.testing.assert_allclose(mean, x.mean(dim, keepdims=keepdim), atol=1e-12)


# --- Counted, looked up, told apart -----------------------------------------------------------


@given(st.lists(st.integers(0, 9), max_size=20), st.integers(0, 12))
def test_counts(numbers: list[int], minlength: int) -> None:
    x = np.array(numbers, np.int64)
    weights = np.linspace(0, 1, x.size)
    assert sg.bincount(sg.tensor(x), minlength=minlength).tolist() == (
        np.bincount(x, minlength=minlength).tolist()
    )
    np.testing.assert_allclose(
        sg.bincount(sg.tensor(x), sg.tensor(weights), minlength),
        np.bincount(x, weights, minlength),
    )


@given(reals(), st.integers(1, 16))
def test_a_histogram(x: Any, bins: int) -> None:
    found = sg.histc(sg.tensor(x), bins, -4, 4)
    np.testing.assert_array_equal(found, np.histogram(x, bins, (-4, 4))[0])
    assert sg.histc(sg.tensor(x), bins).sum() == x.size


@given(reals(st.integers(0, 9)), with_holes(), st.booleans())
def test_places_in_order(sequence: Any, values: Any, right: bool) -> None:
    sequence.sort()
    expected = np.searchsorted(sequence, values, "right" if right else "left")
    boundaries, t = sg.tensor(sequence), sg.tensor(values)
    for found in (
        sg.searchsorted(boundaries, t, right=right),
        sg.searchsorted(boundaries, t, side="right" if right else "left"),
        sg.bucketize(t, boundaries, right=right),
    ):
        np.testing.assert_array_equal(found, expected)
    rows = sg.searchsorted(boundaries.expand(*t.shape[:-1], -1).clone(), t, right=right)
    np.testing.assert_array_equal(rows, expected)


@given(hnp.arrays(np.int64, FEW, elements=WHOLE), st.data())
def test_what_differs(x: Any, data: Any) -> None:
    dim = data.draw(st.one_of(st.none(), st.integers(0, x.ndim - 1)))
    options = {"return_inverse": True, "return_counts": True}
    found, inverse, counts = sg.unique(sg.tensor(x), dim=dim, **options)
    expected, back, often = np.unique(x, axis=dim, **options)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(inverse.numpy().reshape(-1), back.reshape(-1))
    np.testing.assert_array_equal(counts, often)
    values, inverse, counts = sg.unique_consecutive(sg.tensor(x), **options)
    runs = [(value, len(list(run))) for value, run in itertools.groupby(x.reshape(-1).tolist())]
    assert list(zip(values.tolist(), counts.tolist(), strict=True)) == runs
    np.testing.assert_array_equal(values[inverse], x)


@given(hnp.arrays(np.int64, FEW, elements=WHOLE), st.lists(WHOLE), st.booleans())
def test_membership(x: Any, among: list[int], invert: bool) -> None:
    found = sg.isin(sg.tensor(x), sg.tensor(among, sg.int64), invert=invert)
    np.testing.assert_array_equal(found, np.isin(x, among, invert=invert))


# --- Pieces, powers, products -----------------------------------------------------------------


@given(reals(), st.integers(1, 6), st.lists(st.integers(-4, 6), max_size=3), st.data())
def test_pieces(x: Any, sections: int, places: list[int], data: Any) -> None:
    dim = data.draw(st.integers(0, x.ndim - 1))
    cuts = sorted(place % (x.shape[dim] + 1) for place in places)
    for how in (sections, cuts):
        found = sg.tensor_split(sg.tensor(x), how, dim)
        for a, b in zip(found, np.array_split(x, how, dim), strict=True):
            np.testing.assert_array_equal(a, b)
    for k in range(-2, 5) if x.ndim > 1 else ():
        np.testing.assert_array_equal(sg.rot90(sg.tensor(x), k), np.rot90(x, k))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=4))
def test_a_matrix_of_blocks(shapes: list[tuple[int, int]]) -> None:
    blocks = [np.full(shape, float(i + 1)) for i, shape in enumerate(shapes)]
    found = sg.block_diag(*map(sg.tensor, blocks)).numpy()
    assert found.shape == tuple(np.sum(shapes, 0))
    top = left = 0
    for block in blocks:
        rows, columns = block.shape
        np.testing.assert_array_equal(found[top : top + rows, left : left + columns], block)
        top, left = top + rows, left + columns
    assert found.sum() == sum(block.sum() for block in blocks)


@given(st.lists(st.integers(-9, 9), min_size=1, max_size=5), st.integers(0, 3), st.booleans())
def test_choices(numbers: list[int], r: int, again: bool) -> None:
    choose = itertools.combinations_with_replacement if again else itertools.combinations
    found = sg.combinations(sg.tensor(numbers), r, again)
    if r:
        assert found.tolist() == [list(choice) for choice in choose(numbers, r)]
    pairs = sg.cartesian_prod(sg.tensor(numbers), sg.tensor([1, 2]))
    assert pairs.tolist() == [list(pair) for pair in itertools.product(numbers, [1, 2])]


@given(reals(st.integers(0, 5)), st.integers(0, 5), st.booleans())
def test_powers(x: Any, n: int, increasing: bool) -> None:
    np.testing.assert_allclose(sg.vander(sg.tensor(x), n, increasing), np.vander(x, n, increasing))
    matrix = np.resize(x, (3, 3)) / 8 if x.size else np.zeros((3, 3))
    expected = np.linalg.matrix_power(matrix, n)
    np.testing.assert_allclose(sg.matrix_power(sg.tensor(matrix), n), expected, atol=1e-12)
    lines = np.resize(x, (2, 3)) if x.size else np.zeros((2, 3))
    crossed = sg.cross(sg.tensor(lines), sg.tensor(lines[::-1].copy()), dim=1)
    np.testing.assert_allclose(crossed, np.cross(lines, lines[::-1]), atol=1e-12)


@given(reals((4, 3)), reals((2, 3)), st.sampled_from([0.0, 1.0, 1.5, 2.0, np.inf]))
def test_distances(x: Any, y: Any, p: float) -> None:
    def length(line: Any) -> Any:
        return np.linalg.norm(line, p)

    expected = [[length(a - b) for b in y] for a in x]
    np.testing.assert_allclose(sg.cdist(sg.tensor(x), sg.tensor(y), p), expected, atol=1e-12)
    pairs = [length(a - b) for a, b in itertools.combinations(x, 2)]
    np.testing.assert_allclose(sg.pdist(sg.tensor(x), p), pairs, atol=1e-12)


# --- Written --------------------------------------------------------------------------------


@given(reals((3, 4)), st.lists(st.integers(-12, 11), min_size=1, max_size=5), st.booleans())
def test_copies_with_other_elements(x: Any, places: list[int], accumulate: bool) -> None:
    t, index, values = sg.tensor(x), np.array(places), np.arange(1.0, len(places) + 1)
    expected = x.copy()
    rows = index % 3
    given_values = np.outer(values, np.ones(4)) if accumulate else np.full((len(places), 4), 5.0)
    if accumulate:
        np.add.at(expected, rows, given_values)
    else:
        expected[rows] = given_values
    found = t.index_put((sg.tensor(rows),), sg.tensor(given_values), accumulate)
    np.testing.assert_array_equal(found, expected)
    line = x.reshape(-1).copy()
    if accumulate:
        np.add.at(line, index, values)
        found = t.put(sg.tensor(index), sg.tensor(values), accumulate=True)
        np.testing.assert_array_equal(found, line.reshape(x.shape))
    np.testing.assert_array_equal(t.take(sg.tensor(index)), x.reshape(-1)[index])
    masked = x.copy()
    masked[x > 0] = np.arange(12.0)[: (x > 0).sum()]
    np.testing.assert_array_equal(t.masked_scatter(t > 0, sg.arange(12.0).double()), masked)
    np.testing.assert_array_equal(t, x)  # they are copies


# --- Derivatives, and jit ---------------------------------------------------------------------


def points(*shape: int, seed: int = 0) -> sg.Tensor:
    """Numbers that all differ, none near 0."""
    values = np.random.default_rng(seed).permutation(np.prod(shape)).reshape(shape)
    return sg.tensor(0.3 * values - 1.1, sg.float64)


X, Y, SQUARE, LINE = points(3, 4), points(3, 4, seed=1), points(3, 3), points(5)
PLACES, ROWS = sg.tensor([0, -1, 3, 3]), sg.tensor([1, 1, 0])
MASK = sg.tensor([[True, False, True, False]] * 3)

#: Functions of tensors, each with a derivative.
DIFFERENTIABLE: dict[str, tuple[Any, tuple[sg.Tensor, ...]]] = {
    "quantile": (lambda x: sg.quantile(x, 0.3, 1), (X,)),
    "nanquantile": (lambda x: sg.nanquantile(x, 0.6), (X,)),
    "nanmedian": (lambda x: sg.nanmedian(x, 1).values, (X,)),
    "mode": (lambda x: sg.mode(x, 0).values, (X,)),
    "nanmean": (lambda x: sg.nanmean(x, 0), (X,)),
    "var_mean": (lambda x: sg.add(*sg.var_mean(x, 1)), (X,)),
    "aminmax": (lambda x: sg.sub(*sg.aminmax(x, dim=0)), (X,)),
    "cov": (sg.cov, (X,)),
    "corrcoef": (sg.corrcoef, (X,)),
    "trapezoid": (lambda y, x: sg.trapezoid(y, x), (X, Y)),
    "cumulative_trapezoid": (sg.cumulative_trapezoid, (X, Y)),
    "cdist": (sg.cdist, (X, Y)),
    "cdist of 1": (lambda x, y: sg.cdist(x, y, 1.0), (X, Y + 0.1)),
    "pdist": (sg.pdist, (X,)),
    "renorm": (lambda x: sg.renorm(x, 2.0, 0, 1.0), (X,)),
    "cross": (lambda x, y: sg.cross(x, y), (X, Y)),
    "matrix_power": (lambda x: sg.matrix_power(x, 3), (SQUARE,)),
    "chain_matmul": (sg.chain_matmul, (SQUARE, X, Y.T)),
    "vander": (lambda x: sg.vander(x, 4), (LINE,)),
    "fmax": (sg.fmax, (X, Y + 0.1)),
    "fmin": (sg.fmin, (X, Y + 0.1)),
    "ldexp": (sg.ldexp, (X, Y)),
    "logaddexp2": (sg.logaddexp2, (X, Y)),
    "rot90": (sg.rot90, (X,)),
    "block_diag": (sg.block_diag, (X, LINE)),
    "cartesian_prod": (sg.cartesian_prod, (LINE, points(2))),
    "combinations": (sg.combinations, (LINE,)),
    "stack": (lambda x, y: sg.stack([x, y], 1), (X, Y)),
    "stack last": (lambda x, y: sg.stack([x, y], -1), (X, Y)),
    "select_scatter": (lambda x, y: sg.select_scatter(x, y, 1, 2), (X, points(3))),
    "slice_scatter": (lambda x, y: sg.slice_scatter(x, y, 1, 0, 4, 2), (X, points(3, 2))),
    "diagonal_scatter": (lambda x, y: sg.diagonal_scatter(x, y, 1), (X, points(3))),
    "take": (lambda x: sg.take(x, PLACES), (X,)),
    "put": (lambda x, y: sg.put(x, PLACES[:2], y), (X, points(2))),
    "index_put": (
        lambda x, y: sg.index_put(x, (ROWS,), y, accumulate=True),
        (X, Y),
    ),
    "masked_scatter": (lambda x, y: sg.masked_scatter(x, MASK, y), (X, Y)),
}


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_derivatives(name: str) -> None:
    function, inputs = DIFFERENTIABLE[name]
    leaves = [x.clone().requires_grad_() for x in inputs]
    assert gradcheck(function, leaves)
    assert gradgradcheck(function, leaves)


def test_jit_refuses_to_count_values() -> None:
    with pytest.raises(sg.JitError, match="reads a value"):
        sg.jit(DIFFERENTIABLE["masked_scatter"][0])(X, Y)


@pytest.mark.parametrize("backend", ["numpy", "numba"])
@pytest.mark.parametrize("name", sorted({*DIFFERENTIABLE} - {"masked_scatter"}))
def test_jit(name: str, backend: str) -> None:
    function, inputs = DIFFERENTIABLE[name]
    with sg.use_backend(backend):
        jitted = sg.jit(function)
        jitted(*inputs)
        for factor in (1.0, -1.5):
            given_inputs = [x * factor for x in inputs]
            np.testing.assert_allclose(
                jitted(*given_inputs).numpy(), function(*given_inputs).numpy(), rtol=1e-12
            )
