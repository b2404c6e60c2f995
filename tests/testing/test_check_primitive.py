"""check_primitive: what a user sees when one of the rules for primitives is broken."""

import math
import re

import numpy as np
import pytest

import scratchgan as sg
from scratchgan import ops
from scratchgan.autograd.primitive import Primitive
from scratchgan.backend import kernels_for
from scratchgan.testing import (
    GradcheckError,
    KinkError,
    PrimitiveError,
    Sample,
    check,
    check_primitive,
)
from scratchgan.testing.choices import laid_out, numbers
from scratchgan.testing.samplers import SAMPLERS

pytestmark = pytest.mark.usefixtures("own_primitives")


def notes(error):
    return "\n".join(error.__notes__)


def test_a_right_primitive_passes():
    @sg.elementwise(x=lambda g, x: ops.mul(g, ops.mul(3.0, ops.square(x))))
    def right_cube(x):
        return x * x * x

    check_primitive(right_cube, is_analytic=True)


def test_the_report_on_a_wrong_vjp_is_the_one_that_the_documentation_shows():
    @sg.elementwise(x=lambda g, x: g * 2.0 * x * x)
    def cube(x):
        return x * x * x

    with pytest.raises(GradcheckError) as caught:
        check_primitive(cube)
    shown = re.search(r"GradcheckError: (gradcheck.*?) of shape \(\): \.\.\.", DOCUMENTED, re.S)
    for line in shown[1].splitlines():
        assert line.strip() in str(caught.value)
    assert DOCUMENTED.splitlines()[-1].strip() in notes(caught.value)


DOCUMENTED = check_primitive.__doc__.partition("This raises::")[2].partition("Args:")[0].rstrip()


def test_small_samples_come_first():
    @sg.elementwise(x=lambda g, x: ops.where(ops.gt(x, 1.5), 0.0, g))
    def wrong_beyond(x):
        return x + 1

    with pytest.raises(GradcheckError) as caught:
        check_primitive(wrong_beyond)
    at = re.search(r"called with x = tensor\(([^,]*)", notes(caught.value))
    assert float(at[1]) > 1.5  # one number, and no more


def test_domains_keep_the_inputs_away_from_poles():
    @sg.elementwise(x=lambda g, out: ops.neg(g * out * out))
    def reciprocal_root(x):
        return 1 / math.sqrt(x * x - 1)

    # The rule is that of 1/x; what counts here is that x stays in its domain.
    with pytest.raises(GradcheckError):
        check_primitive(reciprocal_root, domains={"x": ((1.5, 3.0), (-3.0, -1.5))})

    @sg.elementwise(x=lambda g, x, out: ops.neg(g * x * out * out * out))
    def right_reciprocal_root(x):
        return 1 / math.sqrt(x * x - 1)

    domains = {"x": ((1.5, 3.0), (-3.0, -1.5))}
    check_primitive(right_reciprocal_root, domains=domains, is_analytic=True)
    with pytest.raises(TypeError, match="'right_reciprocal_root' has no input 'y'"):
        check_primitive(right_reciprocal_root, domains={"y": ((1.5, 3.0),)})
    for domain in ((0.5, 2.0), (), ((2.0, 0.5),), ((0.5, 1.0, 2.0),), ((0.5, 1.0), 2.0), 2.0, None):
        with pytest.raises(TypeError, match=r"the domain of 'x' is a tuple of intervals, as"):
            check_primitive(right_reciprocal_root, domains={"x": domain})


def test_a_kink_in_the_domain_is_called_one():
    @sg.elementwise(x=lambda g, x: ops.where(ops.gt(x, 0.0), g, 0.0))
    def ramp(x):
        return 0 if x <= 0 else x

    with pytest.raises(KinkError, match="'ramp' for 'x' has a kink"):
        check_primitive(ramp)
    check_primitive(ramp, domains={"x": ((0.1, 1.0), (-1.0, -0.1))})


def test_what_is_not_elementwise_needs_a_sampler():
    @sg.primitive(x=lambda g, x_shape: ops.expand(g, shape=x_shape))
    def total(x):
        kernels = kernels_for[type(x)]
        out = kernels.empty((), x.dtype)
        kernels.sum(x, axis=tuple(range(x.ndim)), keepdims=False, out=out)
        return out

    with pytest.raises(TypeError, match="'total' is not elementwise"):
        check_primitive(total)

    def sampler(choices):
        return Sample((laid_out(choices, numbers(choices, (2, 3), ((-1.0, 1.0),))),), {})

    check_primitive(total, sampler, is_analytic=True)


@pytest.mark.parametrize("drawn", [sg.ones(3), (sg.ones(3),), (sg.ones(3), {}), None, "ab"])
def test_a_sampler_that_gives_something_else_is_told_so(drawn):
    with pytest.raises(TypeError, match=r"^check_primitive: sampler gave .*; it gives Sample"):
        check_primitive(sg.exp, lambda choices: drawn)


def test_a_pair_is_a_sample_too():
    check_primitive(sg.exp, lambda choices: ((sg.tensor([0.5], "float64"),), {}))


def test_a_keyword_without_default_needs_a_sampler():
    @sg.elementwise(x=lambda g, factor: ops.mul(g, factor))
    def scaled(x, *, factor):
        return factor * x

    with pytest.raises(TypeError, match="'scaled' needs the keyword 'factor'"):
        check_primitive(scaled)


# --- The rules, each broken once ------------------------------------------------------


def doubled(x, out):
    kernels_for[type(x)].mul(x, 2.0, out=out)


def own(vjp, body=doubled, make=np.empty_like, is_view=False):
    """A primitive ``2 x`` whose forward is ``body(x, out)`` and VJP is ``vjp``."""

    @sg.primitive(x=vjp, is_view=is_view)
    def double(x):
        out = make(x)
        body(x, out)
        return out

    return double


def copies(choices):
    return Sample((laid_out(choices, numbers(choices, (2,), ((0.5, 1.0),))),), {})


def broken(primitive, message, error=PrimitiveError):
    with pytest.raises(error, match=message):
        check_primitive(primitive, copies)


def test_rule_by_rule():
    check_primitive(own(lambda g: g * 2.0), copies)
    broken(own(lambda g: sg.abs(g) * 2.0), "the VJP is not linear in the output's gradient")
    broken(
        own(lambda g: g * 2.0 + (1e-7 if sg.is_grad_enabled() else 0.0)),
        "gradients without and with create_graph differ",
    )
    broken(
        own(lambda g: g * 2.0, make=lambda x: np.empty(x.shape)),
        "double: gives float64 for float32, not float32",
    )
    broken(own(lambda g: (g * 2.0).detach()), "'double'", GradcheckError)

    def in_place(x, out):
        doubled(x, out)
        x *= 1.0000001

    broken(own(lambda g: g * 2.0, in_place), "changes the memory of an input")

    def by_backend(x, out):
        doubled(x, out)
        out *= 1 + 1e-11 * (sg.get_backend() == "numba")

    broken(own(lambda g: g * 2.0, by_backend), "numpy and numba do not agree in float64")


def test_a_view_that_is_not_said_to_be_one():
    def whole(x):
        return x[:]

    broken(
        Primitive(whole, {"x": lambda g: g}).function,
        "its result shares memory with an input, though",
    )
    check_primitive(sg.primitive(x=lambda g: g)(whole), copies)  # a user's is copied
    check_primitive(sg.primitive(x=lambda g: g, is_view=True)(whole), copies)


def test_an_asymmetric_hessian_is_noticed_by_itself():
    @sg.elementwise(x=lambda g, y: g * y.detach(), y=lambda g, x: g * x)
    def product(x, y):
        return x * y

    inputs = sg.tensor([2.0], "float64"), sg.tensor([3.0], "float64")
    check._symmetric_hessian(check.Call(ops.mul.primitive, Sample(inputs, {})))
    with pytest.raises(PrimitiveError, match="the Hessian is not symmetric"):
        check._symmetric_hessian(check.Call(product.primitive, Sample(inputs, {})))


def test_the_primitives_of_the_registry_bring_their_samplers():
    check_primitive(ops.softplus)
    with pytest.raises(KinkError):  # but a sampler that is given goes first
        check_primitive(ops.relu, lambda choices: Sample((sg.tensor([0.0], "float64"),), {}))
    assert SAMPLERS["softplus"].is_analytic


def test_what_is_no_primitive_is_named():
    for other in (np.tanh, lambda x: x, ops.tanh.primitive):
        with pytest.raises(TypeError, match="check_primitive: takes a function that was declared"):
            check_primitive(other)
