"""Primitives: how they are called, declared, recorded and registered."""

import inspect
import math

import numpy as np
import pytest

import scratchgan as sg
from scratchgan import Tensor, ops
from scratchgan.autograd.observe import observe
from scratchgan.autograd.primitive import REGISTRY, Primitive, primitive
from scratchgan.backend import kernels_for
from scratchgan.backend.scalar import DefinitionError

# --- Calling --------------------------------------------------------------------------


def test_arguments_are_bound_as_python_binds_them():
    x = sg.tensor([-2.0, 0.5, 3.0])
    for call in (
        lambda: ops.clip(x, -1.0, 1.0),
        lambda: ops.clip(x, min=-1.0, max=1.0),
        lambda: ops.clip(x, -1.0, max=1.0),
        lambda: ops.clip(x=x, max=1.0, min=-1.0),
        lambda: x.clip(-1.0, 1.0),
        lambda: x.clamp(max=1.0, min=-1.0),
    ):
        assert call().tolist() == [-1.0, 0.5, 1.0]
    assert ops.clip(x, min=0.0).tolist() == [0.0, 0.5, 3.0]  # the default of the other stays
    assert ops.sub(y=1.0, x=x).tolist() == ops.sub(x, y=1.0).tolist() == [-3.0, -0.5, 2.0]
    assert ops.cat(x, x, axis=0).shape == ops.cat(x, x).shape == (6,)


def test_arguments_that_do_not_fit():
    x = sg.ones(2)
    for call, message in (
        (lambda: ops.add(x), "add: lacks the argument 'y'"),
        (lambda: ops.add(x, x, x), "add: takes x, y; 3 arguments were given"),
        (lambda: ops.where(x, x), "where: lacks the argument 'y'"),
        (lambda: ops.clip(x, 0.0, 1.0, 2.0), "clip: takes x, min, max; 4 arguments were given"),
        (lambda: ops.exp(x, base=2), "exp: has no argument 'base'"),
        (lambda: ops.permute(x), "permute: lacks the argument 'dims'"),
        (lambda: ops.add(2.0, 3.0), "add: one of its inputs must be a tensor, not a number"),
        (lambda: ops.add(x, "1"), "add: takes tensors, arrays and numbers, not str"),
        (lambda: ops.exp(None), "exp: takes tensors, arrays and numbers, not NoneType"),
    ):
        with pytest.raises(TypeError, match=message):
            call()


def test_arrays_are_taken_as_constants():
    x = sg.ones(2, requires_grad=True)
    y = ops.mul(x, np.array([2.0, 3.0], np.float32))
    y.sum().backward()
    assert x.grad.tolist() == [2.0, 3.0]
    assert ops.exp(np.zeros(2)).tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda a, b: ops.add(a, b), r"add: the shapes \(2, 3\) and \(2,\) do not broadcast"),
        (lambda a, b: ops.where(a > 0, a, b), r"where: the shapes \(2, 3\) and .* \(2,\)"),
        (lambda a, b: ops.maximum(b, a), r"maximum: the shapes \(2,\) and \(2, 3\)"),
        (lambda a, b: a == b, "eq: the shapes"),
        (
            lambda a, b: ops.matmul(a, a),
            r"matmul: cannot multiply the shapes \(2, 3\) and \(2, 3\)",
        ),
        (
            lambda a, b: ops.matmul(a.expand(4, 2, 3), a.T.expand(5, 3, 2)),
            r"matmul: the leading axes of \(4, 2, 3\) and \(5, 3, 2\) do not broadcast",
        ),
        (
            lambda a, b: ops.linear(a, a.T, b),
            r"linear: an input of shape \(2, 3\) does not fit a weight of shape \(3, 2\)",
        ),
        (
            lambda a, b: ops.linear(a, a, a),
            r"linear: a bias of shape \(2, 3\) does not fit a weight of shape \(2, 3\)",
        ),
        (
            lambda a, b: ops.linear(a, a, b, activation="gelu"),
            "linear: no activation 'gelu'; choose one of none, relu, leaky_relu, ",
        ),
        (
            lambda a, b: ops.cat(a, a.T),
            r"cat: the shapes \(2, 3\) and \(3, 2\) differ beside dim 0",
        ),
        (lambda a, b: ops.cat(), "cat: no tensors were given"),
        (lambda a, b: ops.cat(a, dim=2), "cat: dim 2 is out of range"),
        (lambda a, b: ops.log_softmax(a, axis=-3), "log_softmax: dim -3 is out of range"),
        (lambda a, b: ops.sum(a, axis=(0, 2)), "sum: dim 2 is out of range for 2 dimensions"),
        (lambda a, b: ops.amin(a[:0], dim=0), "amin: no elements to reduce over dim 0"),
    ],
)
def test_shapes_that_do_not_fit_are_named_with_the_primitive(call, message):
    with pytest.raises((ValueError, IndexError), match=message):
        call(sg.ones(2, 3), sg.ones(2))


# --- Declaring ------------------------------------------------------------------------


FACTOR = 2.0


@pytest.mark.usefixtures("own_primitives")
class TestOwnPrimitives:
    def test_one_row_is_all_it_takes(self):
        @sg.elementwise(x=lambda g, x, slope: g * ops.where(x > 0, 1.0, slope))
        def own_leaky(x, *, slope=0.1):
            """Leaky, with another default."""
            return x if x > 0 else slope * x

        assert REGISTRY["own_leaky"] is own_leaky.primitive
        assert own_leaky.__doc__ == "Leaky, with another default."
        x = sg.tensor([-1.0, 2.0], requires_grad=True)
        own_leaky(x).sum().backward()
        np.testing.assert_allclose(x.grad.numpy(), [0.1, 1.0], rtol=1e-6)
        np.testing.assert_allclose(own_leaky(x, slope=0.5).tolist(), [-0.5, 2.0])

    def test_a_vjp_may_name_all_that_there_is(self):
        seen = {}

        def vjp(g, out, x, x_shape, power, both):
            seen.update(g=g, out=out, x=x, x_shape=x_shape, power=power, both=both)
            return g

        @sg.primitive(shared={"both": lambda x, power: (x, power)}, x=vjp)
        def named(x, *, power):
            return x**power

        x = sg.tensor([3.0], requires_grad=True)
        named(x, power=2).backward()
        assert (seen["g"].tolist(), seen["out"].tolist()) == ([1.0], [9.0])
        assert seen["x"] is x
        assert (seen["x_shape"], seen["power"], seen["both"]) == ((1,), 2, (x, 2))

    def test_what_no_vjp_names_is_not_kept(self):
        @sg.elementwise(x=lambda g: g, y=lambda g, x: g * x)
        def lopsided(x, y):
            return x + x * y

        x, y = sg.ones(2, requires_grad=True), sg.ones(2, requires_grad=True)
        assert lopsided(x, y).node.saved == {"x": x}
        assert lopsided(x, y.detach()).node.saved == {}  # only y's VJP asks for x
        assert lopsided(x.detach(), y.detach()).node is None

    def test_an_input_without_a_vjp_has_no_derivative(self):
        @sg.elementwise(x=lambda g: g)
        def with_noise(x, noise):
            return x + noise

        x, noise = sg.ones(2, requires_grad=True), sg.ones(2, requires_grad=True)
        with_noise(x, noise).sum().backward()
        assert noise.grad is None
        assert not with_noise(x.detach(), noise).requires_grad

    def test_what_cannot_be_a_primitive(self):
        with pytest.raises(TypeError, match="misnamed: a VJP is given for 'z', which is no input"):

            @sg.elementwise(z=lambda g: g)
            def misnamed(x):
                return x

    def test_a_body_that_cannot_be_translated(self):
        @sg.elementwise()
        def looped(x):
            for _ in range(3):
                x = x * x
            return x

        @sg.elementwise()
        def unknown(x):
            return math.erf(x)

        @sg.elementwise()
        def silent(x):
            y = x  # noqa: F841

        @sg.elementwise()
        def outside(x):
            return x * FACTOR

        @sg.elementwise()
        def by_numpy(x):
            return np.exp(x)

        @sg.elementwise()
        def turned(x):
            return x * math.pi

        @sg.elementwise()
        def nothing(x):
            return x if x > 0 else None

        for own, message in (
            (by_numpy, r"by_numpy: .* uses np.exp; it can only use math.exp, math.expm1, "),
            (turned, r"turned: .* uses math.pi; it can only use .* and numbers"),
            (nothing, "nothing: its scalar definition holds None; it computes with numbers"),
            (outside, "outside: its scalar definition reads 'FACTOR', which is neither"),
            (looped, "looped: line 3 of its scalar definition uses For"),
            (unknown, "unknown: its scalar definition calls 'erf'"),
            (silent, "silent: a scalar definition ends with a return"),
        ):
            with pytest.raises(DefinitionError, match=message):
                own(sg.ones(1))

    @pytest.mark.parametrize("backend", ["numpy", "numba"])
    def test_a_definition_may_be_replaced(self, backend):
        def first(x):
            return x + 1

        def second(x):
            return x + 2

        second.__name__ = first.__name__ = "replaced"
        with sg.use_backend(backend):
            for body, expected in ((first, 2.0), (second, 3.0), (first, 2.0)):
                # As where a notebook's cell is changed and runs again.
                assert sg.elementwise()(body)(sg.ones(1)).item() == expected

    @pytest.mark.parametrize("backend", ["numpy", "numba"])
    @pytest.mark.parametrize("was_called", [False, True])
    def test_of_two_with_one_name_each_is_itself(self, backend, was_called):
        def doubled(x):
            return 2 * x + 0 * math.exp(x)

        def tripled(x):
            return 3 * x + 0 * math.exp(x)

        tripled.__name__ = doubled.__name__ = "scaled"
        with sg.use_backend(backend):
            x = sg.tensor([1.0, -2.0], requires_grad=True)
            double = sg.elementwise(x=lambda g: 2.0 * g)(doubled)
            if was_called:
                double(x)
            triple = sg.elementwise(x=lambda g: 3.0 * g)(tripled)
            both = sg.jit(lambda x: (double(x), triple(x), triple(double(x))))
            for _ in range(2):
                eager = (double(x), triple(x), triple(double(x)))
                for found in (eager, both(x.detach())):
                    assert [y.tolist() for y in found] == [[2, -4], [3, -6], [6, -12]]
            (g,) = sg.autograd.grad(double(x).sum() + triple(x).sum(), x)
        assert g.tolist() == [5.0, 5.0]

    @pytest.mark.parametrize("name", ["mul", "softplus", "matmul", "linear"])
    def test_the_names_of_the_package_are_taken(self, name):
        def own(x):
            return x + 1

        own.__name__ = name
        with pytest.raises(
            TypeError, match=f"{name}: scratchgan has a (kernel|primitive) of this name"
        ):
            sg.elementwise()(own)
        assert (sg.ones(1) * 3.0).item() == 3.0
        primitive = REGISTRY.get(name)
        with pytest.raises(TypeError, match=f"{name}: scratchgan has a primitive of this name"):
            sg.primitive(x=lambda g: g)(own)
        assert REGISTRY.get(name) is primitive

    def test_definitions_may_rest_on_others(self):
        @sg.elementwise(x=lambda g, x: g * 4.0 * ops.square(x) * x)
        def fourth(x):
            y = square(x)  # noqa: F821
            return y * y

        x = sg.tensor([2.0], "float64", requires_grad=True)
        for backend in ("numpy", "numba"):
            with sg.use_backend(backend):
                assert fourth(x).item() == 16.0


def test_a_primitive_shows_its_signature():
    assert repr(ops.add.primitive) == "<primitive add>"
    assert list(inspect.signature(ops.clip).parameters) == ["x", "min", "max"]
    assert isinstance(ops.add.primitive, Primitive)


# --- Recording ------------------------------------------------------------------------


def test_a_view_is_one_and_a_copy_is_none():
    x = sg.arange(6, dtype="float64").reshape(2, 3)
    for name, keywords in (
        ("reshape", {"shape": (6,)}),
        ("permute", {"dims": (1, 0)}),
        ("expand", {"shape": (4, 2, 3)}),
        ("view", {"index": (slice(1),)}),
        ("diagonal", {"offset": 1, "dims": (0, 1)}),
    ):
        out = REGISTRY[name](x, **keywords)
        assert np.shares_memory(out.array, x.array)
        assert out.version is x.version
    for out in (
        ops.clone(x),
        ops.cast(x, dtype=np.dtype("float64")),
        ops.neg(x),
        x.contiguous() + 0,
    ):
        assert not np.shares_memory(out.array, x.array)
        assert out.version is not x.version
    assert x.contiguous() is x


def test_results_without_dimensions_stay_arrays():
    x = sg.ones(2, 2)
    for out in (x.sum(), x[0, 0], x.max(), x.mean(), x.sum() * 2, x[0] @ x[0]):
        assert isinstance(out.array, np.ndarray)
        assert out.shape == ()


def test_observe_sees_every_call_once_with_all_its_arguments():
    calls = []
    x = sg.tensor([1.0, 2.0], requires_grad=True)
    with observe(lambda *call: calls.append(call)):
        y = ops.clip(np.array([1.0, 5.0]), 0.0, max=2.0)
        z = 3 * x
    ops.exp(x)
    (first, second) = calls
    assert (first[0], first[2], first[3]) == (ops.clip.primitive, {"min": 0.0, "max": 2.0}, y)
    assert isinstance(first[1][0], Tensor)
    assert second == (ops.mul.primitive, (3, x), {}, z)


def test_observers_nest_and_end_with_an_error():
    outer, inner = [], []
    with observe(lambda p, *_: outer.append(p.name)):
        with pytest.raises(ValueError, match="add"), observe(lambda p, *_: inner.append(p.name)):
            ops.exp(sg.ones(1))
            ops.add(sg.ones(2), sg.ones(3))
        ops.log(sg.ones(1))
    ops.sin(sg.ones(1))
    assert (outer, inner) == (["exp", "log"], ["exp"])


def test_arrays_of_no_backend_are_refused():
    class Foreign:
        shape, dtype, ndim, size = (1,), np.dtype("float32"), 1, 1

    with pytest.raises(TypeError, match=r"no backend computes on arrays of type .*Foreign"):
        kernels_for[Foreign]
    with pytest.raises(TypeError, match="exp: takes tensors, arrays and numbers, not Foreign"):
        ops.exp(Foreign())


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (lambda x, scale: x.array, "x is a tensor, not float"),
        (lambda x, scale: kernels_for[type(x)], "x is a tensor, not float"),
        (lambda x, scale: [].sort(scale), r"sort\(\) takes no positional"),
        (lambda x, scale: scale.shape, "'NoneType' object has no attribute 'shape'"),
        (lambda x, scale: x * scale, "unsupported operand"),
    ],
)
def test_a_number_is_blamed_only_where_it_is_what_failed(body, message, own_primitives):
    @primitive(x=lambda g: g)
    def own_scaled(x, *, scale):
        return body(x, scale)

    with pytest.raises((TypeError, AttributeError), match=message):
        own_scaled(2.0, scale=None)


# --- Errors of kernels ----------------------------------------------------------------


def test_an_error_of_a_kernel_names_the_primitive_and_what_it_was_given():
    x = sg.ones(2, 3)
    five = sg.tensor([5])
    for call, error, message in (
        (lambda: ops.reshape(x, shape=(5,)), ValueError, "reshape of a tensor of shape (2, 3): "),
        (lambda: ops.permute(x, dims=(0, 0)), ValueError, "permute of a tensor of shape (2, 3): "),
        (lambda: ops.expand(x, shape=(4,)), ValueError, "expand of a tensor of shape (2, 3): "),
        (lambda: x[5], IndexError, "view of a tensor of shape (2, 3): "),
        (lambda: x[[5]], IndexError, "gather of a tensor of shape (2, 3) and (1,): "),
        (
            lambda: ops.scatter(x, shape=(4, 4), index=(0,)),
            ValueError,
            "scatter of a tensor of shape (2, 3): ",
        ),
        (
            lambda: ops.scatter_add(x, five, shape=(2, 3), template=("array",)),
            IndexError,
            "scatter_add of a tensor of shape (2, 3) and (1,): ",
        ),
        (
            lambda: ops.leaky_relu(x, negative_slope="a"),
            TypeError,
            "leaky_relu: negative_slope is a number, not 'a'",
        ),
    ):
        with pytest.raises(error) as caught:
            call()
        assert str(caught.value).startswith(message)


def test_a_function_without_a_module_can_become_a_primitive(own_primitives):
    namespace = {"__name__": None}
    exec("def homeless(x):\n    return x + x", namespace)
    function = namespace["homeless"]
    assert function.__module__ is None
    made = sg.elementwise()(function)
    with pytest.raises(TypeError, match="homeless: the source"):
        made(sg.ones(2))
