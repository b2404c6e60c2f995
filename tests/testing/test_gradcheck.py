"""gradcheck and gradgradcheck: what passes, what is caught, and what the report says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import scratchgan as sg
from scratchgan import Tensor, autograd, nn, ops
from scratchgan.testing import GradcheckError, KinkError, gradcheck, gradgradcheck

random = np.random.default_rng(0)


def leaf(values, requires_grad=True):
    return sg.tensor(np.asarray(values, np.float64), requires_grad=requires_grad)


def normal(*shape):
    return leaf(random.standard_normal(shape))


def as_leaf(array):
    """A leaf on the memory of ``array`` itself, in its layout."""
    return Tensor(array, requires_grad=True)


def both(fn, inputs):
    """Both orders, in both modes."""
    return all(
        check(fn, inputs, fast_mode=fast) for check in (gradcheck, gradgradcheck) for fast in (0, 1)
    )


# --- What is right passes -------------------------------------------------------------


@pytest.mark.parametrize(
    ("fn", "inputs"),
    [
        (lambda x, w: sg.tanh(x @ w), (normal(3, 4), normal(4, 2))),
        (lambda x, y: (x * y, sg.exp(x), (x - y).sum(0)), (normal(2, 3), normal(3))),
        (lambda x, y: x * y + x, (normal(), normal(2, 1, 2))),
        (lambda x: sg.sigmoid(x).sum(), (normal(0, 3),)),
        (lambda x: sg.concatenate([x, x * x]), (normal(0),)),
        (lambda x: x, (normal(3),)),
        (lambda x, n, index, k: x[index] ** k + n, (normal(4), 2.0, sg.tensor([1, 1, 3]), 3)),
        (lambda x: (x * x, (x > 0), x.detach()), (normal(3),)),
        (lambda x, y: (x * x, sg.sin(y)), (normal(2), normal(3))),
    ],
    ids=["matmul", "outputs", "0-d", "size-0", "all-size-0", "identity", "others", "no-gradient"]
    + ["unrelated"],
)
def test_right_gradients_pass(fn, inputs):
    assert both(fn, inputs)


BASE = random.standard_normal((4, 6))


@pytest.mark.parametrize(
    "x",
    [BASE.T, BASE[::2, ::3], BASE[::-1, ::-2], BASE[1], BASE[:, :1][..., None]]
    + [
        np.broadcast_to(BASE[0], (3, 6)),
        np.broadcast_to(BASE[0, 0], (2, 2)),
        BASE[2:2],
        BASE[0, 0],
    ],
    ids=["transposed", "strided", "reversed", "row", "column", "expanded", "expanded-scalar"]
    + ["empty", "0-d"],
)
def test_any_memory_layout(x):
    before = BASE.copy()
    assert both(lambda x: sg.sin(x) * x.sum(), as_leaf(np.asarray(x)))
    np.testing.assert_array_equal(BASE, before)


def test_elements_of_an_expanded_input_count_each_by_itself():
    # One number in memory, three elements: differences that moved all at once would see 3 times
    # the derivative of each.
    x = as_leaf(np.broadcast_to(np.array(0.3), (3,)))
    assert gradcheck(lambda x: x * leaf([1.0, 2.0, 3.0], requires_grad=False), x)


def test_inputs_that_share_memory():
    memory = random.standard_normal((3, 3))
    x, y, z = as_leaf(memory), as_leaf(memory.T), as_leaf(memory[::-1, 1])
    assert both(lambda x, y, z: x @ y * z, (x, y, z))
    assert both(lambda x, y: sg.tanh(x) * y, (x, x))  # one tensor given twice is two inputs


def test_an_input_in_the_middle_of_a_tape():
    x = normal(3)
    assert both(lambda y: sg.exp(y), (x * 2,))
    assert x.grad is None


def test_a_network_passes_in_fast_mode():
    # Far too many derivatives for a Jacobian: 40 x 30 inputs by 40 x 20 outputs.
    inputs = normal(40, 30), normal(20, 30), normal(20)
    assert gradcheck(lambda x, w, b: ops.linear(x, w, b, activation="tanh"), inputs, fast_mode=True)


# --- What is wrong is named -----------------------------------------------------------


@pytest.fixture
def wrong_cube(own_primitives):
    @sg.elementwise(x=lambda g, x: ops.mul(g, ops.mul(2.0, ops.square(x))))  # 3 would be right
    def wrong_cube(x):
        return x * x * x

    return wrong_cube


@pytest.mark.parametrize("fast_mode", [False, True])
def test_the_wrong_primitive_of_a_composition_is_named(wrong_cube, fast_mode):
    def network(x, weight):
        return sg.tanh(wrong_cube(sg.sin(x)) @ weight)

    x, weight = normal(2, 3), normal(3, 2)
    with pytest.raises(GradcheckError) as caught:
        gradcheck(network, (x, weight), fast_mode=fast_mode)
    report = str(caught.value)
    assert "with respect to input 0 ('x') is wrong" in report
    assert "the derivative of 'wrong_cube' for 'x' is wrong" in report
    for innocent in ("tanh", "sin", "matmul"):
        assert innocent not in report
    assert gradcheck(network, (x, weight), raise_exception=False, fast_mode=fast_mode) is False
    assert gradcheck(network, (x.detach(), weight), fast_mode=fast_mode)  # its side is right


def test_the_report_has_the_index_and_both_numbers(wrong_cube):
    with pytest.raises(GradcheckError) as caught:
        gradcheck(lambda scale, x: wrong_cube(x) * scale, (leaf(1.0), leaf([[0.0, 0.0, 2.0]])))
    report = str(caught.value)
    assert "at index (0, 2), output index (0, 2): 8 by the tape, 12 by" in report
    assert "1 of 12 derivatives differ" in report


def test_only_the_second_derivative_is_wrong(own_primitives):
    @sg.elementwise(x=lambda g, x: ops.mul(g, ops.mul(2.0, x.detach())))  # right, but off the tape
    def first_order_square(x):
        return x * x

    def fn(x):
        return sg.exp(first_order_square(x))

    x = leaf([0.3, -0.8])
    assert gradcheck(fn, x)
    with pytest.raises(GradcheckError, match="second derivative of 'first_order_square' for 'x'"):
        gradgradcheck(fn, x)
    assert gradgradcheck(fn, x, raise_exception=False) is False


def test_the_vjp_of_a_vjp_is_named(own_primitives):
    @sg.elementwise(  # the gradient for y should have a factor 2 more
        gradient=lambda g, y: wrong_backward(g, y),
        y=lambda g, gradient: ops.mul(g, gradient),
    )
    def wrong_backward(gradient, y):
        return 2 * gradient * y

    @sg.elementwise(x=lambda g, x: wrong_backward(g, x))
    def twice_square(x):
        return x * x

    with pytest.raises(GradcheckError, match="derivative of 'wrong_backward' for 'y' is wrong"):
        gradgradcheck(lambda x: twice_square(x).sum(), leaf([1.0, 2.0]))


def test_a_value_taken_off_the_tape_is_said_to_be():
    with pytest.raises(
        GradcheckError, match=r"each primitive on the tape \(mul\) agrees by itself"
    ):
        gradcheck(lambda x: x * x.detach(), normal(2))


def test_what_has_no_derivative_is_not_blamed_on_a_rule():
    """Neither a kink, nor a pole or jump, nor float32 makes a primitive wrong."""
    with pytest.raises(GradcheckError) as caught:
        gradcheck(lambda x: sg.abs(x) + x * x.detach(), leaf([0.0, 1.0]))
    report = str(caught.value)
    assert "'abs' for 'x' has a kink" in report
    assert "otherwise each primitive on the tape (abs, mul, add) agrees by itself" in report
    for fn in (sg.sqrt, lambda x: sg.sign(x) + x):
        with pytest.raises(GradcheckError, match="does not exist: it jumps there, or leaves its"):
            gradcheck(fn, leaf([0.0]))
    with pytest.raises(GradcheckError, match="'cast' gives float32, in which differences resolve"):
        gradcheck(lambda x: (x.float() * 3).double(), leaf([1.1]))


def test_a_wrong_rule_is_found_behind_a_cast(wrong_cube):
    with pytest.raises(GradcheckError, match="the derivative of 'wrong_cube' for 'x' is wrong"):
        gradcheck(lambda x: wrong_cube(x.float()).double(), leaf([1.1]), eps=1e-2)


def test_gradgradcheck_names_the_gradient_that_is_wrong(own_primitives):
    @sg.elementwise(x=lambda g, y: ops.mul(g, y), y=lambda g, x: ops.mul(g, x.detach()))
    def product(x, y):
        return x * y

    with pytest.raises(GradcheckError) as caught:  # the first input has no gradient at all
        gradgradcheck(lambda unused, x, y: product(x, y), (normal(2), normal(2), normal(2)))
    assert str(caught.value).startswith(
        "gradgradcheck: the gradient of the gradient of input 2 ('y') with respect to input 1 "
        "('x') is wrong\n"
    )


@given(st.floats(0.005, 0.5), st.booleans(), st.integers(1, 4))
def test_a_small_error_in_the_gradient_is_caught(error, fast_mode, n):
    # One number for the whole Jacobian shows an error of the whole, not of any one element.
    scale = np.full(n, 1 + error if fast_mode else 1.0)
    scale[-1] = 1 + error

    def skewed(x):
        y = sg.exp(x)
        y.register_hook(lambda g: g * leaf(scale, requires_grad=False))
        return y

    x = leaf(np.linspace(-1, 1, n))
    assert not gradcheck(skewed, x, raise_exception=False, fast_mode=fast_mode)


def test_functions_that_cannot_be_checked():
    with pytest.raises(ValueError, match="no input requires a gradient"):
        gradcheck(sg.exp, leaf([1.0], requires_grad=False))
    with pytest.raises(ValueError, match="input 1 is float32"):
        gradcheck(sg.mul, (leaf([1.0]), sg.ones(1, requires_grad=True)))
    with pytest.raises(GradcheckError, match=r"output 0 at \(1,\) is -inf"):
        gradcheck(sg.log, leaf([1.0, 0.0]))
    weight = leaf([2.0])
    with pytest.raises(ValueError, match="it must compute with its arguments"):
        gradcheck(lambda *_: sg.exp(weight), (weight,))  # else a check of nothing, that passes
    for nothing in (3.0, None, (leaf([1.0]), "text")):
        with pytest.raises(TypeError, match=r"must give a tensor or several, not (float|None|str)"):
            gradcheck(lambda x, y=nothing: y, leaf([1.0]))
    with pytest.raises(GradcheckError, match="gives another value for output 0"):
        gradcheck(lambda x: x + sg.rand(1), leaf([1.0]))


def test_a_steep_slope_is_no_jump(wrong_cube):
    for scale, eps in ((1e6, 1e-6), (1.0, 0.01)):
        with pytest.raises(GradcheckError) as caught:
            gradcheck(lambda x, scale=scale: wrong_cube(x) * scale, leaf([1.0]), eps=eps)
        assert "'wrong_cube' for 'x' is wrong" in str(caught.value)
        assert "jumps" not in str(caught.value)


def test_a_jump_is_a_failure_that_says_so():
    with pytest.raises(GradcheckError, match="jumps there, or leaves its domain"):
        gradcheck(lambda x: x + sg.sign(x), leaf([0.0]))
    assert gradcheck(lambda x: sg.sign(x), leaf([1.0]))  # no gradient is a gradient of zero


# --- Kinks ----------------------------------------------------------------------------

KINKS = {
    "relu": (sg.relu, [1.0, 0.0]),
    "leaky_relu": (ops.leaky_relu, [0.0]),
    "abs": (sg.abs, [0.0, 1.0]),  # its central difference at 0 is what the tape says, too
    "clip": (lambda x: sg.clip(x, min=-1.0, max=2.0), [-1.0, 0.0, 2.0]),
    "maximum": (lambda x: sg.maximum(x, leaf(0.5)), [0.5]),
    "minimum": (lambda x: sg.minimum(x, leaf([0.5, 1.0])), [0.5, 0.6]),
    "amax": (lambda x: sg.amax(x, dim=1), [[1.0, 3.0, 3.0]]),
    "amin": (lambda x: sg.amin(x), [[1.0, 3.0], [1.0, 2.0]]),
}


@pytest.mark.parametrize("fast_mode", [False, True])
@pytest.mark.parametrize("name", KINKS)
def test_kinks_are_neither_failures_nor_passes(name, fast_mode):
    fn, at = KINKS[name]
    for raise_exception in (True, False):
        with pytest.raises(KinkError, match=f"'{name}' for 'x' has a kink"):
            gradcheck(lambda x: sg.exp(0.3 * fn(x)), leaf(at), 1e-6, 1e-5, 1e-3, raise_exception)
    with pytest.raises(KinkError):
        gradgradcheck(fn, leaf(at), fast_mode=fast_mode)


def test_a_kink_does_not_hide_a_wrong_gradient(own_primitives, wrong_cube):
    with pytest.raises(GradcheckError, match="'wrong_cube'"):
        gradcheck(lambda x, y: (sg.relu(x), wrong_cube(y)), (leaf([0.0]), leaf([1.0])))

    @sg.elementwise(x=lambda g: ops.neg(g))  # neither slope, nor anything between them
    def wrong_at_the_kink(x):
        return 0 if x <= 0 else x

    with pytest.raises(GradcheckError, match="'wrong_at_the_kink'"):
        gradcheck(wrong_at_the_kink, leaf([0.0]))


def test_a_kink_of_the_second_derivative_belongs_to_gradgradcheck():
    def fn(x):
        return x * sg.abs(x)  # its derivative, 2 |x|, has a kink at 0

    assert gradcheck(fn, leaf([0.0, 1.0]))
    with pytest.raises(KinkError):
        gradgradcheck(fn, leaf([0.0, 1.0]))


@given(st.floats(-12, -2), st.sampled_from([-1, 1]), st.booleans())
def test_near_a_kink_nothing_is_called_wrong(exponent, side, fast_mode):
    x = leaf([side * 10.0**exponent, 1.0])
    try:
        assert gradcheck(lambda x: 2 * sg.relu(x) + sg.exp(x), x, fast_mode=fast_mode)
    except KinkError:
        assert exponent < -7


@given(st.floats(1, 1e4), st.floats(-3, 3))
def test_a_sharp_bend_is_no_kink(sharpness, x):
    # The second derivative of tanh(a x) reaches 0.77 a**2, of sin(a x) a**2.
    scale = 1 / sharpness
    assert gradcheck(lambda x: sg.tanh(x * sharpness) * scale, leaf([x * scale]))
    assert gradcheck(lambda x: sg.sin(x * sharpness) * scale, leaf([x * scale]))


def test_gradcheck_under_no_grad_records_what_it_checks():
    with autograd.no_grad():
        assert gradcheck(sg.exp, leaf([1.0]))


@pytest.mark.parametrize("options", [{"eps": 0.0}, {"eps": np.nan}, {"atol": -1.0}, {"rtol": -1.0}])
def test_tolerances_that_make_no_sense(options):
    with pytest.raises(
        ValueError, match="gradcheck: eps must be above 0, atol and rtol at least 0"
    ):
        gradcheck(sg.exp, leaf([1.0]), **options)


@pytest.mark.usefixtures("own_primitives")
def test_the_input_of_a_module_has_the_name_that_it_has_in_forward():
    @sg.elementwise(x=lambda g: g * 2.0)
    def own_tripled(x):
        return x * 3.0

    class Tripled(nn.Module):
        def forward(self, embedding):
            return own_tripled(embedding)

    def tripled(*inputs, **keywords):
        return own_tripled(*inputs, **keywords)

    x = sg.ones(2, dtype="float64", requires_grad=True)
    for function, name in ((Tripled(), r"input 0 \('embedding'\)"), (tripled, "input 0")):
        with pytest.raises(GradcheckError, match=f"with respect to {name} is wrong"):
            gradcheck(function, (x,))
