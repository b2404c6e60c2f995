"""Choosing a backend, and the kernels that no primitive reaches."""

import os
import platform
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import scratchgan as sg
from scratchgan import BackendError
from scratchgan.autograd.primitive import REGISTRY
from scratchgan.backend import CPU_BACKENDS, kernels_for, reference
from scratchgan.backend.cpu import kernels as numba_kernels
from scratchgan.backend.scalar import DEFINITIONS

TYPES = st.sampled_from(["float32", "float64"])
SIZES = st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple)


def test_choosing():
    before = sg.get_backend()
    with sg.use_backend("numpy"):
        assert sg.get_backend() == "numpy"
        with pytest.raises(KeyError), sg.use_backend("numba"):
            assert sg.get_backend() == "numba"
            raise KeyError
        assert sg.get_backend() == "numpy"
        assert repr(kernels_for[np.ndarray]) == "<backend numpy>"
    assert sg.get_backend() == before
    with pytest.raises(BackendError, match="there is no backend named 'tpu'; choose one of numpy"):
        sg.set_backend("tpu")
    assert sg.get_backend() == before
    with pytest.raises(AttributeError, match=r"the .* backend has no kernel named 'convolve'"):
        kernels_for[np.ndarray].convolve  # noqa: B018


@pytest.mark.parametrize(
    ("setting", "expected"),
    [(None, "numba"), ("numpy", "numpy"), ("tpu", "no backend named 'tpu'")],
)
def test_the_environment_chooses_the_first(setting, expected):
    environment = {k: v for k, v in os.environ.items() if k != "SCRATCHGAN_BACKEND"}
    if setting:
        environment["SCRATCHGAN_BACKEND"] = setting
    code = "import scratchgan as sg; print(sg.get_backend())"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert expected in done.stdout + done.stderr


def test_the_reference_translates_a_definition_once(monkeypatch):
    translated = []
    translate = reference.as_numpy
    monkeypatch.setattr(
        reference, "as_numpy", lambda definition: translated.append(1) or translate(definition)
    )
    layer = sg.nn.Sequential(sg.nn.Linear(3, 4), sg.nn.LeakyReLU(0.1), sg.nn.Linear(4, 2))
    with sg.use_backend("numpy"):
        for _ in range(10):
            sg.sigmoid(layer(sg.ones(2, 3))).sum().backward()
            sg.nn.functional.linear(sg.ones(2, 3), sg.ones(4, 3), sg.ones(4), activation="sigmoid")
    assert len(translated) <= 6  # leaky_relu, sigmoid, their derivatives


def laid_out(array, layout):
    """The same values in rows, in columns, or with gaps."""
    if layout == "gaps":
        wide = np.zeros((*array.shape, 2), array.dtype)
        wide[..., 0] = array
        return wide[..., 0]
    return np.array(array, order={"rows": "C", "columns": "F"}[layout])


LAYOUTS = st.sampled_from(["rows", "columns", "gaps"])


def on_each(name, inputs, out, **keywords):
    """What each backend leaves in ``out``."""
    results = []
    for backend in CPU_BACKENDS:
        copies = [x.copy(order="K") for x in out] if isinstance(out, tuple) else out.copy(order="K")
        with sg.use_backend(backend):
            getattr(kernels_for[np.ndarray], name)(*inputs, out=copies, **keywords)
        results.append(copies)
    return results


def assert_agree(results, dtype):
    tolerance = 1e-14 if dtype == "float64" else 2e-6
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def takes_plain_tensors_alone(primitive):
    definition = DEFINITIONS.get(primitive.name)
    if definition is None or definition.is_of_bits:
        return False
    return not definition.scalars and len(definition.inputs) <= 2


@pytest.mark.parametrize("backend", CPU_BACKENDS)
@pytest.mark.parametrize(
    "name", [name for name in REGISTRY if takes_plain_tensors_alone(REGISTRY[name])]
)
@given(SIZES, TYPES, st.booleans())
def test_elementwise_kernels_make_their_result(name, backend, shape, dtype, beside_a_number):
    count = len(DEFINITIONS[name].inputs)
    arrays = np.random.default_rng(0).uniform(0.1, 0.9, (count, *shape)).astype(dtype)
    inputs = (arrays[0], 0.5) if beside_a_number and count == 2 else tuple(arrays)
    with sg.use_backend(backend):
        kernel = getattr(kernels_for[np.ndarray], name)
        made = kernel(*inputs)
        given_one = np.empty(shape, made.dtype)
        kernel(*inputs, out=given_one)
    assert type(made) is np.ndarray
    assert made.flags.c_contiguous
    assert not any(np.shares_memory(made, array) for array in arrays)
    np.testing.assert_array_equal(made, given_one)


@given(SIZES, TYPES, LAYOUTS, LAYOUTS, st.integers(0, 5), st.booleans())
def test_optimizers(shape, dtype, layout, gradient_layout, steps, decays):
    random = np.random.default_rng(0)

    def array():
        return laid_out(random.standard_normal(shape).astype(dtype), layout)

    gradient = laid_out(random.standard_normal(shape).astype(dtype), gradient_layout)
    step = np.array(steps)
    decay = 0.01 if decays else 0.0
    adam = {"lr": 0.1, "beta1": 0.5, "beta2": 0.999, "eps": 1e-8, "weight_decay": decay}
    state = (array(), array(), np.abs(array()), step)
    results = on_each("adam", [gradient], state, **adam)
    assert_agree(results, dtype)
    assert results[0][3] == results[1][3] == steps + 1
    both = (*state, array(), array(), np.abs(array()), np.array(steps + 2))
    together = on_each("adam", [gradient, -gradient], both, **adam)
    assert_agree(together, dtype)
    for alone, beside in zip(results, together, strict=True):
        for one, other in zip(alone, beside, strict=False):
            np.testing.assert_array_equal(one, other)
    sgd = {"lr": 0.1, "momentum": 0.9, "dampening": 0.1, "weight_decay": decay}
    for nesterov in (False, True):
        state = (array(), array(), step)
        assert_agree(on_each("sgd", [gradient], state, nesterov=nesterov, **sgd), dtype)


@given(
    st.integers(1, 5),
    st.integers(1, 5),
    TYPES,
    LAYOUTS,
    st.sampled_from(["none", "relu", "tanh", "sigmoid"]),
)
def test_linear_backward(n, m, dtype, layout, activation):
    random = np.random.default_rng(0)
    g, y = (laid_out(random.uniform(0.1, 0.9, (n, m)).astype(dtype), layout) for _ in range(2))
    y -= (y < 0.3) * y  # for relu, some that are exactly 0
    out = np.empty((n, m), dtype), np.empty(m, dtype)
    results = on_each("linear_backward", [g, y], out, activation=activation, scalars=())
    assert_agree(results, dtype)
    factors = {"none": 1, "relu": y > 0, "tanh": 1 - y * y, "sigmoid": y * (1 - y)}
    np.testing.assert_allclose(results[0][0], g * factors[activation], rtol=1e-6)
    np.testing.assert_allclose(results[0][1], (g * factors[activation]).sum(0), rtol=2e-6)


@pytest.mark.parametrize("backend", CPU_BACKENDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_error_of_a_bias_gradient_does_not_grow_with_the_rows(backend, dtype):
    g = np.full((1 << 20, 2), 0.1, dtype)
    before, bias = np.empty_like(g), np.empty(2, dtype)
    with sg.use_backend(backend):
        kernels_for[np.ndarray].linear_backward(
            g, g, activation="none", scalars=(), out=(before, bias)
        )
    exact = float(g[0, 0]) * len(g)
    assert np.abs(bias.astype(np.float64) / exact - 1).max() <= 128 * np.finfo(dtype).eps


@given(SIZES, TYPES, LAYOUTS)
def test_copies_convert_and_broadcast(shape, dtype, layout):
    values = np.random.default_rng(0).uniform(0, 9, shape)
    for target in (np.float32, np.float64, np.int64):
        out = laid_out(np.zeros((2, *shape), target), layout)
        a, b = on_each("copy", [values.astype(dtype)], out)
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a[1], values.astype(dtype).astype(target))


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
def test_large_copies_that_threads_share(dtype, threads, monkeypatch):
    monkeypatch.setattr(numba_kernels, "LARGE_COPY", 200)
    before = sg.get_num_threads()
    sg.set_num_threads(threads)
    x = np.random.default_rng(0).uniform(0, 99, (37, 23)).astype(dtype)
    for axis in (0, 1):
        parts = x, x[:, ::-1], x[:3] if axis == 0 else x[:, :3]
        a, b = on_each("concatenate", parts, np.concatenate(parts, axis) * 0, axis=axis)
        np.testing.assert_array_equal(a, b)
    a, b = on_each("copy", [x[0]], np.zeros_like(x))
    np.testing.assert_array_equal(a, b)
    with sg.use_backend("numba"):
        shifted = x.copy()  # what is copied lies in part where it goes
        kernels_for[np.ndarray].copy(shifted[:-1], out=shifted[1:])
    np.testing.assert_array_equal(shifted[1:], x[:-1])
    sg.set_num_threads(before)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc's memory only")
def test_memory_of_large_arrays_is_used_again():
    program = """
import resource
import numpy as np
from scratchgan.backend import kernels_for

kernels = kernels_for[np.ndarray]
for turn in range(20):
    arrays = [kernels.empty((3 << 18,), np.float32) for _ in range(20)]
    for array in arrays:
        array.fill(0)
    del arrays, array
    if turn == 9:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert int(found.stdout) < 100  # of 150,000 pages that were written


def test_scatter_adds_what_is_named_twice():
    indices = np.array([0, 2, 0, 0])
    values = np.array([1.0, 2.0, 3.0, 4.0])
    a, b = on_each("scatter_add", [values, indices], np.full(3, 9.0), template=("array",))
    assert a.tolist() == b.tolist() == [8.0, 0.0, 2.0]
    a, b = on_each("scatter", [np.array([1.0, 2.0])], np.full(3, 9.0), index=(slice(1, None),))
    assert a.tolist() == b.tolist() == [0.0, 1.0, 2.0]


@given(SIZES, TYPES)
def test_argmax_takes_the_first(shape, dtype):
    x = np.random.default_rng(0).integers(0, 3, shape).astype(dtype)
    for axis in range(len(shape)):
        out = np.empty(shape[:axis] + shape[axis + 1 :], np.int64)
        a, b = on_each("argmax", [x], out, axis=axis)
        np.testing.assert_array_equal(a, x.argmax(axis))
        np.testing.assert_array_equal(b, a)


@pytest.mark.parametrize("backend", CPU_BACKENDS)
@pytest.mark.parametrize(
    ("dtype", "of"),
    [("float32", "float32"), ("float32", "float64"), ("float64", "float64"), ("bool", "int64")],
)
def test_the_sum_of_everything(backend, dtype, of):
    with sg.use_backend(backend):
        kernels = kernels_for[np.ndarray]
        for shape in ((), (0,), (5,), (3, 4), (2, 3, 700)):
            x = np.asarray(np.arange(np.prod(shape, dtype=int)).reshape(shape) % 5, dtype)
            frozen = x.copy()
            frozen.flags.writeable = False
            for array in (x, frozen, x.T, np.repeat(x[None], 2, 0)[1:], x[::-1] if x.ndim else x):
                out, kept = np.empty((), of), np.empty((1,) * array.ndim, of)
                kernels.sum_all(array, out=out)
                kernels.sum(array, axis=tuple(range(array.ndim)), keepdims=True, out=kept)
                assert out == kept.item() == np.sum(x, dtype=of)
