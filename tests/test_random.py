"""Random streams: the same bits on every backend, in any cut, and the right distributions."""

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import scratchgan as sg
from scratchgan import Generator
from scratchgan.backend import counter_rng, kernels_for

both_backends = pytest.mark.parametrize("backend", ["numpy", "numba"])
draws = pytest.mark.parametrize("draw", [sg.rand, sg.randn])
SEEDS = st.integers(0, 2**64 - 1)


def on_each_backend(make):
    results = []
    for backend in ("numpy", "numba"):
        with sg.use_backend(backend):
            results.append(make())
    return results


@draws
@given(SEEDS, st.sampled_from([(), (0,), (1,), (7,), (3, 5), (40, 50)]), st.integers(0, 3))
def test_both_backends_draw_the_same_bits(draw, seed, shape, skip):
    for dtype in ("float32", "float64"):

        def make(dtype=dtype):
            generator = Generator(seed)
            draw(skip, generator=generator)
            return draw(shape, dtype=dtype, generator=generator), generator.state

        (a, state_a), (b, state_b) = on_each_backend(make)
        np.testing.assert_array_equal(a.numpy(), b.numpy())
        assert state_a.tolist() == state_b.tolist()
        assert a.dtype == dtype


@draws
@both_backends
@given(SEEDS, st.lists(st.integers(0, 9), max_size=4))
def test_a_stream_can_be_cut_anywhere(draw, backend, seed, cuts):
    with sg.use_backend(backend):
        whole, parts = Generator(seed), Generator(seed)
        once = draw(sum(cuts), dtype="float64", generator=whole)
        pieces = [draw(n, dtype="float64", generator=parts) for n in cuts]
    assert once.tolist() == [number for piece in pieces for number in piece.tolist()]
    assert whole.state.tolist() == parts.state.tolist()


def test_the_first_numbers_are_known():
    # They are part of what a run is: if these change, old runs can no longer be repeated.
    generator = Generator(0)
    assert sg.rand(3, dtype="float64", generator=generator).tolist() == RAND
    assert sg.randn(3, dtype="float64", generator=generator).tolist() == RANDN


RAND = [0.6524484863740322, 0.7012121095215252, 0.3871241409757855]
RANDN = [0.40269503640924176, 0.7992541338861663, -1.0527200595002988]


def test_seeds_and_paths_name_streams_of_their_own():
    streams = [Generator(0), Generator(1), Generator(0, 0), Generator(0, 1), Generator(1, 0)]
    first = [sg.rand(2, dtype="float64", generator=g).tolist() for g in streams]
    assert len({tuple(pair) for pair in first}) == len(streams)
    again = Generator(5).manual_seed(0, 1)
    assert sg.rand(2, dtype="float64", generator=again).tolist() == first[3]
    keys = {Generator(seed, step).state[0] for seed in range(50) for step in range(50)}
    assert len(keys) == 2500


def test_manual_seed_starts_the_default_stream():
    sg.manual_seed(7)
    first = sg.randn(3), sg.rand(2)
    sg.rand(1, generator=Generator(7))  # another stream does not move it
    second = sg.randn(3)
    sg.manual_seed(7)
    assert [x.tolist() for x in (sg.randn(3), sg.rand(2))] == [x.tolist() for x in first]
    assert sg.randn(3).tolist() == second.tolist()
    assert sg.rand(3, generator=Generator(7)).tolist() != sg.rand(3).tolist()


@both_backends
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_uniform_numbers(backend, dtype):
    n = 200_000
    with sg.use_backend(backend):
        x = sg.rand(n, dtype=dtype, generator=Generator(3)).numpy()
    assert x.min() >= 0
    assert x.max() < 1
    # Each tenth holds a tenth, within five standard deviations; so do pairs of neighbours.
    tenths = np.histogram(x, 10, (0, 1))[0]
    assert np.abs(tenths - n / 10).max() < 5 * np.sqrt(n * 0.09)
    pairs = np.histogram2d(x[::2], x[1::2], 5, ((0, 1), (0, 1)))[0]
    assert np.abs(pairs - n / 50).max() < 5 * np.sqrt(n / 50)


def test_float32_uniforms_never_reach_1(monkeypatch):
    # The largest of the 53-bit numbers would be rounded up.
    state = np.zeros(2, np.uint64)
    monkeypatch.setattr(counter_rng, "uniform", lambda state, n: np.full(n, 1 - 2.0**-53))
    with sg.use_backend("numpy"):
        out = np.empty(3, np.float32)
        kernels_for[np.ndarray].uniform(state, out=out)
    assert (out < 1).all()
    assert (out > 0.9999999).all()


@both_backends
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_normal_numbers(backend, dtype):
    n = 200_000
    with sg.use_backend(backend):
        x = sg.randn(n, dtype=dtype, generator=Generator(4)).numpy().astype(np.float64)
    assert np.isfinite(x).all()
    for power, moment, deviation in ((1, 0, 1), (2, 1, 2**0.5), (3, 0, 15**0.5), (4, 3, 96**0.5)):
        assert abs((x**power).mean() - moment) < 5 * deviation / np.sqrt(n)
    assert abs(np.corrcoef(x[:-1], x[1:])[0, 1]) < 5 / np.sqrt(n)
    beyond = [(np.abs(x) > k).mean() for k in (1, 2, 3)]
    expected = np.array([0.31731, 0.04550, 0.00270])
    assert (np.abs(beyond - expected) < 5 * np.sqrt(expected / n)).all()


def test_normal_numbers_are_the_inverse_of_the_distribution(monkeypatch):
    uniforms = np.array([*np.arange(1, 400) / 400, 0.0, 2.0**-53, 1e-12, 1e-6, 1 - 1e-6])
    monkeypatch.setattr(counter_rng, "uniform", lambda state, n: uniforms)
    found = counter_rng.normal(np.zeros(2, np.uint64), len(uniforms))
    with mpmath.workdps(40):
        for uniform, z in zip(uniforms.tolist(), found.tolist(), strict=True):
            p = mpmath.mpf(uniform) + mpmath.mpf(2) ** -54  # the middle of the number's interval
            exact = mpmath.sqrt(2) * mpmath.erfinv(2 * p - 1)
            assert abs(z - exact) <= 1e-10 * max(1e-4, abs(exact)), uniform


@given(st.integers(-5, 5), st.integers(1, 9))
def test_randint(low, width):
    x = sg.randint(low, low + width, (500,), generator=Generator(width)).numpy()
    assert x.dtype == np.int64
    assert set(x.tolist()) == set(range(low, low + width))


def test_draws_with_gradients_and_types():
    assert sg.randn(2, requires_grad=True).requires_grad
    assert sg.rand((2, 3)).shape == sg.randn(2, 3).shape == (2, 3)
    assert sg.rand(1).dtype == np.float32
