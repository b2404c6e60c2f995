"""What a user adds outside of the package, one row each: all else comes by itself."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from standin import cupy, emulator

import scratchgan as sg
from scratchgan import Tensor, nn, ops
from scratchgan.backend import Array, kernels_for
from scratchgan.ops import ACTIVATIONS
from scratchgan.testing import gradcheck, gradgradcheck

pytestmark = pytest.mark.usefixtures("own_primitives")


@pytest.fixture(params=["numpy", "numba", "cupy"])
def device(request: pytest.FixtureRequest) -> Iterator[str]:
    """Where to compute, on every backend; CUDA kernels run in an emulation."""
    if request.param == "cupy":
        if emulator.COMPILER is None:
            pytest.skip("g++ is not installed, which compiles the CUDA kernels for the CPU")
        emulator.folder = request.config.cache.mkdir("emulated-kernels")
        with cupy.install(emulated=True):
            yield "cuda"
    else:
        with sg.use_backend(request.param):
            yield "cpu"


# --- An activation: x where it is positive, else alpha (e ** x - 1) (Clevert et al. 2016, eq. 15)
# --


@pytest.fixture
def elu() -> Iterator[Any]:
    @sg.elementwise(
        gradient=lambda g, y, alpha: own_elu_backward(g, y, alpha=alpha),
        y=lambda g, gradient, y: ops.where(y > 0, 0.0, g * gradient),
    )
    def own_elu_backward(gradient: float, y: float, *, alpha: float) -> float:
        return gradient if y > 0 else gradient * (y + alpha)

    @sg.elementwise(x=lambda g, out, alpha: own_elu_backward(g, out, alpha=alpha))
    def own_elu(x: float, *, alpha: float = 1.0) -> float:
        return x if x > 0 else alpha * math.expm1(x)

    ACTIVATIONS["own_elu"] = own_elu_backward  # the row
    yield own_elu
    del ACTIVATIONS["own_elu"]


class ELU(nn.layers.Activation):
    activation = "own_elu"

    def __init__(self, alpha: float) -> None:
        self.alpha = alpha


def reference(x: Any, alpha: float) -> Any:
    return np.where(x > 0, x, alpha * np.expm1(x))


def operands(device: str, dtype: Any) -> list[Tensor]:
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape).astype(dtype) for shape in ((70, 5), (3, 5), (3,))]
    return [sg.tensor(a, device=device, requires_grad=True) for a in arrays]


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-5), (np.float64, 1e-12)])
def test_an_activation_in_a_layer(device: str, elu: Any, dtype: Any, tolerance: float) -> None:
    x, weight, bias = operands(device, dtype)
    out = ops.linear(x, weight, bias, activation="own_elu", scalars=(0.7,))
    assert out.node.name == "linear"
    a, w, b = (v.numpy(force=True).astype(np.float64) for v in (x, weight, bias))
    before = a @ w.T + b
    np.testing.assert_allclose(
        out.numpy(force=True), reference(before, 0.7), rtol=0, atol=tolerance
    )
    out.sum().backward()
    slope = np.where(before > 0, 1, 0.7 * np.exp(before))
    for leaf, expected in ((x, slope @ w), (weight, slope.T @ a), (bias, slope.sum(0))):
        assert leaf.grad is not None
        np.testing.assert_allclose(leaf.grad.numpy(), expected, rtol=0, atol=100 * tolerance)


def test_an_activation_is_gradient_checked(device: str, elu: Any) -> None:
    x, weight, bias = operands(device, np.float64)
    inputs = [v.detach()[:3].requires_grad_() for v in (x, weight, bias)]

    def layer(*tensors: Tensor) -> Tensor:
        return ops.linear(*tensors, activation="own_elu", scalars=(0.7,))

    assert gradcheck(layer, inputs)
    assert gradgradcheck(layer, inputs)


def test_an_activation_under_jit_and_in_a_sequential(device: str, elu: Any) -> None:
    def trained(jit: bool) -> list[Any]:
        sg.manual_seed(0)
        model = nn.Sequential(nn.Linear(5, 4), ELU(0.7), nn.Linear(4, 1)).double().to(device)
        assert model[:2](sg.ones(2, 5, dtype="float64", device=device)).node.name == "linear"
        adam = sg.optim.Adam(model.parameters(), 0.01)

        def step(x: Tensor) -> Tensor:
            adam.zero_grad()
            loss = model(x).square().mean()
            loss.backward()
            adam.step()
            return loss.detach()

        run = sg.jit(step) if jit else step
        x = sg.randn(6, 5, dtype="float64", device=device)
        return [run(x).item() for _ in range(4)]

    eager, replayed = trained(False), trained(True)
    np.testing.assert_allclose(replayed, eager, rtol=1e-12)
    assert eager[-1] < eager[0]


def test_what_the_activation_takes(elu: Any) -> None:
    x, weight, bias = operands("cpu", np.float32)
    default = nn.functional.linear(x, weight, bias, "own_elu")
    given = nn.functional.linear(x, weight, bias, "own_elu", alpha=1.0)
    np.testing.assert_array_equal(default.numpy(force=True), given.numpy(force=True))
    gradients = [sg.autograd.grad(out.sum(), (x, weight, bias)) for out in (default, given)]
    for a, b in zip(*gradients, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    with pytest.raises(
        TypeError, match=r"'own_elu' takes the keywords \['alpha'\], not \['beta'\]"
    ):
        nn.functional.linear(x, weight, bias, "own_elu", beta=1.0)


def test_a_row_that_lacks_a_primitive(elu: Any) -> None:
    x, weight, bias = operands("cpu", np.float32)
    message = "linear: the row {0!r} of ACTIVATIONS needs two elementwise primitives, {0!r} and"
    for name, backward in (("own_relu", ops.relu_backward), ("own_elu", ops.relu_backward)):
        ACTIVATIONS[name] = backward
        with pytest.raises(ValueError, match=message.format(name)):
            nn.functional.linear(x, weight, bias, name, alpha=1.0)
    ACTIVATIONS["own_relu"] = lambda gradient, y: gradient  # type: ignore[assignment]
    with pytest.raises(ValueError, match=message.format("own_relu")):
        nn.functional.linear(x, weight, bias, "own_relu")
    del ACTIVATIONS["own_relu"]

    class Misspelt(nn.layers.Activation):
        activation = "own_eru"

    with pytest.raises(ValueError, match="Misspelt: there is no primitive named 'own_eru'"):
        nn.Sequential(nn.Linear(5, 3), Misspelt())(x)


# --- A primitive, elementwise and not --------------------------------------------------------


def test_an_elementwise_primitive(device: str) -> None:
    @sg.elementwise(x=lambda g, x, out: g * x / out, y=lambda g, y, out: g * y / out)
    def own_hypot(x: float, y: float) -> float:
        return math.sqrt(x * x + y * y)

    x = sg.tensor([[0.3, -0.2], [3.0, 0.5]], "float64", device=device, requires_grad=True)
    y = sg.tensor([1.0, 1.5], "float64", device=device, requires_grad=True)
    expected = np.hypot(x.numpy(force=True), y.numpy(force=True))
    np.testing.assert_allclose(own_hypot(x, y).numpy(force=True), expected, rtol=1e-14)
    replayed = sg.jit(lambda x, y: own_hypot(x, y) * 2.0)(x.detach(), y.detach())
    np.testing.assert_allclose(replayed.numpy(), 2 * expected, rtol=1e-14)
    assert gradcheck(own_hypot, (x, y))
    assert gradgradcheck(own_hypot, (x, y))


def test_an_elementwise_primitive_of_integers(device: str) -> None:
    @sg.elementwise(x=lambda g: g * 0.5)
    def own_half(x: float) -> float:
        return x * 0.5

    @sg.elementwise(x=lambda g, factor: g * factor)
    def own_scaled(x: float, *, factor: float) -> float:
        return x * factor

    @sg.elementwise()
    def own_step(x: float) -> float:
        return 1 if x > 1.5 else 0  # a condition only chooses

    x = sg.tensor([1, 2, 3], device=device)
    numbers = (0.5, np.float64(0.5), np.float32(0.5), np.array(0.5))
    for found in (own_half(x), *[own_scaled(x, factor=number) for number in numbers]):
        assert (found.dtype, found.tolist()) == (np.float32, [0.5, 1.0, 1.5])
    doubled = own_scaled(x, factor=2)
    assert (doubled.dtype, doubled.tolist()) == (np.int64, [2, 4, 6])
    assert own_half(x > 1).tolist() == [0.0, 0.5, 0.5]
    assert own_step(x).dtype == np.int64 and own_step(x).tolist() == [0, 1, 1]
    for keyword in ("2", None, sg.ones(1), np.complex64(1), np.ones(2)):
        with pytest.raises(TypeError, match="own_scaled: factor is a number, not "):
            own_scaled(x, factor=keyword)


def test_a_primitive_on_arrays(device: str) -> None:
    @sg.primitive(x=lambda g, shift: own_roll(g, shift=-shift))
    def own_roll(x: Array, *, shift: int) -> Array:
        kernels = kernels_for[type(x)]
        return kernels.from_host(np.roll(kernels.to_host(x), shift), x.dtype, like=x)

    x = sg.tensor([1.0, 2.0, 3.0], "float64", device=device, requires_grad=True)
    weights = sg.tensor([1.0, 10.0, 100.0], "float64", device=device)
    (own_roll(x, shift=1) * weights).sum().backward()
    assert x.grad is not None and x.grad.tolist() == [10.0, 100.0, 1.0]
    replayed = sg.jit(lambda x: own_roll(x * 2.0, shift=1) + 1.0)
    for k in range(3):
        assert replayed(x.detach() + k).tolist() == [7.0 + 2 * k, 3.0 + 2 * k, 5.0 + 2 * k]
    assert len(replayed.recordings) == 1
    assert gradcheck(lambda x: own_roll(x, shift=1), (x,))
    assert gradgradcheck(lambda x: own_roll(x, shift=1), (x,))
