"""Jacobians, Hessians and their products: closed forms, and each against the others."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import scratchgan as sg
from scratchgan.autograd import TapeError, functional, grad
from scratchgan.autograd.functional import hessian, hvp, jacobian, jvp, vhp, vjp

SIZES = st.integers(1, 4)
SHAPES = st.lists(st.integers(0, 3), max_size=2).map(tuple)


def draws(seed, *shapes, requires_grad=False):
    generator = np.random.default_rng(seed)
    return [sg.tensor(generator.normal(size=s), requires_grad=requires_grad) for s in shapes]


def close(x, expected, tolerance=1e-12):
    assert x.shape == np.shape(expected)
    np.testing.assert_allclose(x.numpy(force=True), expected, rtol=tolerance, atol=tolerance)


# --- Closed forms -------------------------------------------------------------------------


@given(SIZES, SIZES, st.integers(0, 99))
def test_of_a_linear_map_it_is_the_matrix(rows, columns, seed):
    a, x, v, u = draws(seed, (rows, columns), (columns,), (columns,), (rows,))
    for options in ({}, {"vectorize": True, "strategy": "forward-mode"}):
        close(jacobian(lambda x: a @ x, x, **options), a.numpy())
    outputs, along = jvp(lambda x: a @ x, x, v)
    close(outputs, (a @ x).numpy())
    close(along, (a @ v).numpy())
    close(vjp(lambda x: a @ x, x, u)[1], (u @ a).numpy())


@given(SIZES, st.integers(0, 99))
def test_of_a_quadratic_form_it_is_the_matrix_and_its_transpose(size, seed):
    a, x, v = draws(seed, (size, size), (size,), (size,))
    expected = (a + a.T).numpy()
    for options in ({}, {"vectorize": True, "outer_jacobian_strategy": "forward-mode"}):
        close(hessian(lambda x: x @ a @ x, x, **options), expected)
    for product in (hvp, vhp):
        value, along = product(lambda x: x @ a @ x, x, v)
        close(value, (x @ a @ x).numpy())
        close(along, expected @ v.numpy())


@given(SHAPES, st.integers(0, 99))
def test_of_an_elementwise_function_it_is_diagonal(shape, seed):
    (x,) = draws(seed, shape)
    expected = np.diag(np.cos(x.numpy()).ravel()).reshape((*shape, *shape))
    close(jacobian(lambda x: x.sin(), x), expected)
    close(jacobian(lambda x: x.sin(), x, vectorize=True, strategy="forward-mode"), expected)
    expected = np.diag(-np.sin(x.numpy()).ravel()).reshape((*shape, *shape))
    close(hessian(lambda x: x.sin().sum(), x), expected)


def blend(x, y):
    return (x.sin() * y.sum()).sum(dim=0), (y.exp() * x.mean(), x.square().sum() * y)[0]


def total(x, y):
    return sum((out * out).sum() for out in blend(x, y))


@given(SHAPES.filter(lambda s: s and all(s)), SHAPES.filter(all), st.integers(0, 99))
def test_the_products_are_those_with_the_matrices(of_x, of_y, seed):
    inputs = tuple(draws(seed, of_x, of_y))
    v = tuple(draws(seed + 1, of_x, of_y))
    matrices = jacobian(blend, inputs)
    outputs, along = jvp(blend, inputs, v)
    for output, product, row in zip(outputs, along, matrices, strict=True):
        parts = [
            np.tensordot(part.numpy(), one.numpy(), one.ndim)
            for part, one in zip(row, v, strict=True)
        ]
        close(product, sum(parts), 1e-11)
        assert output.shape == product.shape
    u = tuple(draws(seed + 2, *[x.shape for x in outputs]))
    for j, product in enumerate(vjp(blend, inputs, u)[1]):
        parts = [
            np.tensordot(one.numpy(), row[j].numpy(), one.ndim)
            for one, row in zip(u, matrices, strict=True)
        ]
        close(product, sum(parts), 1e-11)
    matrices = hessian(total, inputs)
    for product in (hvp, vhp):
        for one, row in zip(product(total, inputs, v)[1], matrices, strict=True):
            parts = [
                np.tensordot(part.numpy(), w.numpy(), w.ndim)
                for part, w in zip(row, v, strict=True)
            ]
            close(one, sum(parts), 1e-10)


@given(SIZES, st.integers(0, 99))
def test_a_jacobian_agrees_with_differences(size, seed):
    (x,) = draws(seed, (size,))

    def function(x):
        return x.tanh() * x.sum() + x.square()

    found = jacobian(function, x).numpy()
    for j in range(size):
        step = np.zeros(size)
        step[j] = 1e-5
        ahead, behind = (function(x + sign * sg.tensor(step)).numpy() for sign in (1, -1))
        np.testing.assert_allclose(found[:, j], (ahead - behind) / 2e-5, rtol=1e-6, atol=1e-8)


# --- How they are asked -------------------------------------------------------------------


def test_tuples_go_in_and_come_out():
    x, y = draws(0, (2,), (3,))
    alone = jacobian(lambda x: x * 2, x)
    assert isinstance(alone, sg.Tensor)
    assert jacobian(lambda x: (x * 2,), x)[0].shape == (2, 2)
    assert jacobian(lambda x: x * 2, (x,))[0].shape == (2, 2)
    matrices = jacobian(lambda x, y: (x.sum() * y, x * y.sum()), (x, y))
    assert [[part.shape for part in row] for row in matrices] == [
        [(3, 2), (3, 3)],
        [(2, 2), (2, 3)],
    ]
    assert [len(row) for row in hessian(lambda x, y: (x.sum() * y).sum(), (x, y))] == [2, 2]
    assert isinstance(vjp(lambda x: x.sum(), (x,))[1], tuple)
    assert isinstance(jvp(lambda x: (x.sum(),), x, x)[0], tuple)


def test_results_are_off_the_tape_and_no_leaf_is_touched():
    x, y = draws(0, (2,), (2,), requires_grad=True)
    for name in functional.__all__:
        v = () if name in ("jacobian", "hessian") else (x if name != "vjp" else None,)
        found = getattr(functional, name)(lambda x: (x * x * x * y).sum(), x, *v)
        results = found if isinstance(found, tuple) else (found,)
        assert not any(one.requires_grad for one in results)
    assert x.grad is None
    assert y.grad is None


def test_with_create_graph_they_can_be_differentiated():
    (x,) = draws(3, (3,), requires_grad=True)
    matrix = jacobian(lambda x: x.square() * x.sum(), x, create_graph=True)
    # diag(2 x s) + x^2 1^T, whose elements sum up to 2 s^2 + 3 (x^2).sum().
    s = x.sum().item()
    close(grad(matrix.sum(), x)[0], 4 * s + 6 * x.numpy(force=True))
    third = hessian(lambda x: (x * x * x).sum(), x, create_graph=True)
    close(grad(third.sum(), x)[0], np.full(3, 6.0))
    v = sg.ones(3, dtype=sg.float64, requires_grad=True)
    for product in (hvp, vhp):
        _, along = product(lambda x: (x * x * x).sum(), x, v, create_graph=True)
        of_x, of_v = grad(along.sum(), (x, v))
        close(of_x, np.full(3, 6.0))
        close(of_v, 6 * x.numpy(force=True))
    with sg.no_grad():
        close(jacobian(lambda x: x.sin(), x), np.diag(np.cos(x.numpy(force=True))))


def test_what_is_not_depended_on_is_zero_or_refused():
    x, y = draws(0, (2,), (3,))
    assert not jacobian(lambda x, y: x * 2, (x, y))[1].any()
    assert not hessian(lambda x: x.sum(), x).any()
    assert not jvp(lambda x: sg.ones(2), x, x)[1].any()
    assert not vhp(lambda x: sg.ones(()), x, x)[1].any()
    for call, message in (
        (lambda: jacobian(lambda x, y: x * 2, (x, y), strict=True), "input 1, output 0 has no"),
        (lambda: jacobian(lambda x: sg.ones(2), x, strict=True), "output 0 depends on no input"),
        (lambda: jacobian(lambda x: x * 2, x, True, True), "constant derivative, under strict"),
        (lambda: hessian(lambda x: x.sum(), x, strict=True), "hessian: .* constant derivative"),
        (lambda: hvp(lambda x: x.sum(), x, x, strict=True), "hvp: .* no derivative"),
    ):
        with pytest.raises(TapeError, match=message):
            call()


def test_what_is_refused():
    (x,) = draws(0, (2,))
    cases = [
        (lambda: jacobian(lambda x: 3, x), TypeError, "jacobian: the outputs of .*, not a int"),
        (lambda: jacobian(lambda x: x, [x]), TypeError, "jacobian: the inputs .*, not a list"),
        (lambda: jvp(lambda x: x, (x, 1)), TypeError, "jvp: the inputs .*, not with a int"),
        (lambda: vjp(lambda x: x, x), TapeError, "vjp: v may be left out only where the outputs"),
        (lambda: jvp(lambda x: x, x), TapeError, "jvp: v may be left out only where the inputs"),
        (lambda: vjp(lambda x: x, x, sg.ones(3)), TapeError, r"\[\(2,\)\], and was .*\[\(3,\)\]"),
        (lambda: hvp(lambda x: x.sum(), x, (x, x)), TapeError, "hvp: v is like the inputs"),
        (lambda: hessian(lambda x: x, x), TapeError, "hessian: .* one element, and returned"),
        (lambda: vhp(lambda x: (x.sum(),), x, x), TapeError, "vhp: the function returns a tensor"),
        (lambda: jacobian(lambda x: x, x, strategy="up"), ValueError, "not 'up'"),
        (lambda: jacobian(lambda x: x, x, strict=True, vectorize=True), RuntimeError, "strict"),
        (
            lambda: jacobian(lambda x: x, x, strategy="forward-mode"),
            NotImplementedError,
            "forward mode is with vectorize=True",
        ),
        (lambda: jacobian(lambda x: x, sg.ones(2).long()), RuntimeError, "floating"),
    ]
    for call, error, message in cases:
        with pytest.raises(error, match=message):
            call()


def test_within_jit():
    def step(x):
        return jacobian(lambda x: x.sin() * x.sum(), x)

    jitted = sg.jit(step)
    for seed in range(3):
        (x,) = draws(seed, (3,))
        close(jitted(x), step(x).numpy())
    assert len(jitted.recordings) == 1
