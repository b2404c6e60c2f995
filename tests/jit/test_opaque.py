"""Code of others that computes on arrays: a replay calls it again, whatever it does with them."""

import math
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import scratchgan as sg
from scratchgan import Tensor, nn, optim
from scratchgan.backend import Array, define, kernels_for
from scratchgan.jit import JitError
from scratchgan.testing import gradcheck

pytestmark = pytest.mark.usefixtures("own_primitives")


@pytest.fixture(params=sg.backend.CPU_BACKENDS, autouse=True)
def backend(request: pytest.FixtureRequest) -> Any:
    with sg.use_backend(request.param):
        yield


# --- Optimizers ---------------------------------------------------------------------------


@define
def own_descended(p: float, g: float, *, rate: float) -> float:
    """A weight a step further down."""
    return p - rate * g


def by_numpy(kernels: Any, g: Array, p: Array, mean: Array, s: Any) -> None:
    mean *= s["beta"]
    mean += (1 - s["beta"]) * g
    p -= s["lr"] * mean


def by_both(kernels: Any, g: Array, p: Array, mean: Array, s: Any) -> None:
    kernels.own_descended(p, g, rate=s["lr"], out=p)
    np.clip(p, -1, 0.9, out=p)


def by_the_norm(kernels: Any, g: Array, p: Array, mean: Array, s: Any) -> None:
    kernels.own_descended(p, g, rate=s["lr"] / float(np.linalg.norm(g)), out=p)


def by_a_comparison(kernels: Any, g: Array, p: Array, mean: Array, s: Any) -> None:
    kernels.own_descended(p, g, rate=s["lr"] if s["beta"] > 0.4 else 0.0, out=p)


def by_another_rate(kernels: Any, g: Array, p: Array, mean: Array, s: Any) -> None:
    kernels.own_descended(p, g, rate=math.sqrt(s["lr"]) * (1 - s["beta"]), out=p)


def by_an_input(kernels: Any, g: Array, p: Array, mean: Array, s: Any) -> None:
    step = kernels.mul(g, s["lr"], out=kernels.empty(g.shape, g.dtype, like=g))
    kernels.sub(p, step, out=p)


def by_a_name(kernels: Any, g: Array, p: Array, mean: Array, s: Any) -> None:
    assert type(s["times"]) is int
    for _ in range(s["times"]):
        p -= s["lr"] * (np.sign(g) if s["kind"] == "sign" else g)


def by_a_changed_gradient(kernels: Any, g: Array, p: Array, mean: Array, s: Any) -> None:
    g += 0.1 * p
    p -= s["lr"] * g


UPDATES = [
    *(by_numpy, by_both, by_the_norm, by_a_comparison, by_another_rate, by_an_input, by_a_name),
    by_a_changed_gradient,
]


class Own(optim.Optimizer):
    """An optimizer of a user's, whose :meth:`update` is one of those above."""

    def __init__(self, params: Any, rule: Callable[..., None]) -> None:
        options = {"lr": 0.1, "beta": 0.5, "kind": "sign", "times": 2}
        super().__init__(params, options)
        self.rule = rule

    def new_state(self, parameter: Tensor) -> dict[str, Tensor]:
        return {"mean": sg.zeros_like(parameter)}

    def hyperparameters(self, group: dict[str, Any]) -> dict[str, Any]:
        return {name: group[name] for name in ("lr", "beta", "kind", "times")}

    def update(self, kernels: Any, gradient: Array, out: Any, **scalars: Any) -> None:
        self.rule(kernels, gradient, *out, scalars)


class Slower(optim.Adam):
    """A class of this package's, in which one method is another."""

    def update_all(self, kernels: Any, gradients: Any, outs: Any, **scalars: float) -> None:
        if scalars["beta1"] > 0.6:
            scalars["lr"] *= 1 - scalars["beta2"]
        super().update_all(kernels, gradients, outs, **scalars)


def trained(
    make: Callable[[Any], optim.Optimizer], later: dict[str, Any], *, jit: bool
) -> SimpleNamespace:
    rng = np.random.default_rng(0)
    layer = nn.Linear(5, 3)
    layer.load_state_dict({"weight": rng.standard_normal((3, 5)), "bias": rng.random(3)})
    optimizer = make(layer.parameters())

    def step(x: Tensor) -> None:
        optimizer.zero_grad()
        layer(x).tanh().square().mean().backward()
        optimizer.step()

    run = sg.jit(step) if jit else step
    for i in range(6):
        if i == 3:
            optimizer.param_groups[0].update(later)
        run(sg.tensor(rng.standard_normal((4, 5)).astype(np.float32)))
    tensors = [layer.weight, layer.weight.grad, *optimizer.state[layer.weight].values()]
    return SimpleNamespace(arrays=[x.numpy(force=True) for x in tensors], run=run)


@pytest.mark.parametrize("later", [{}, {"lr": 0.3}, {"beta": 0.2}, {"kind": "", "times": 3}])
@pytest.mark.parametrize("rule", UPDATES)
def test_an_optimizer_with_an_update_of_its_own(
    rule: Callable[..., None], later: dict[str, Any]
) -> None:
    eager, replayed = (trained(lambda p: Own(p, rule), later, jit=jit) for jit in (False, True))
    for a, b in zip(replayed.arrays, eager.arrays, strict=True):
        np.testing.assert_array_equal(a, b)
    assert len(replayed.run.recordings) == 1 + bool(later)
    assert f"{__name__}.Own.update(" in replayed.run.explain()


@pytest.mark.parametrize("later", [{}, {"lr": 0.3}, {"betas": (0.5, 0.9)}])
def test_an_optimizer_that_changes_an_inherited_update(later: dict[str, Any]) -> None:
    eager, replayed = (trained(Slower, later, jit=jit) for jit in (False, True))
    for a, b in zip(replayed.arrays, eager.arrays, strict=True):
        np.testing.assert_array_equal(a, b)
    assert len(replayed.run.recordings) == 1 + ("lr" in later)  # which its code mentions


# --- Primitives ---------------------------------------------------------------------------


def normed(x: Array) -> Array:
    kernels = kernels_for[type(x)]
    norm = float(np.linalg.norm(x))
    return kernels.div(x, norm, out=kernels.empty(x.shape, x.dtype, like=x))


FORWARDS: dict[str, Callable[..., Array]] = {
    "new": lambda x: np.roll(x, 1) * 2,
    "a number from an array": normed,
    "all elements": lambda x: x.sum(),  # a number of NumPy's
    "a view": lambda x: x[::-1],
    "the input": lambda x: x,
    "a class of arrays": lambda x: np.ma.masked_array(x * 2),
    "integers": lambda x: np.argsort(x),
    "none": lambda x: x[:0],
}


@pytest.mark.parametrize("name", FORWARDS)
def test_a_primitive(name: str) -> None:
    forward = FORWARDS[name]

    @sg.primitive()
    def own_forward(x: Array) -> Array:
        return forward(x)

    def step(x: Tensor) -> tuple[Tensor, ...]:
        y = own_forward(x + 1.0)
        return y, y * 2, own_forward(x)

    replayed = sg.jit(step)
    rng = np.random.default_rng(0)
    for _ in range(3):
        x = sg.tensor(rng.standard_normal(7).astype(np.float32))
        before = x.tolist()
        for a, b in zip(replayed(x), step(x), strict=True):
            assert (a.shape, a.dtype, a.tolist()) == (b.shape, b.dtype, b.tolist())
            assert type(a.array) is type(b.array) is np.ndarray
        assert x.tolist() == before
    assert len(replayed.recordings) == 1


def test_a_primitive_with_numbers_keywords_and_derivatives() -> None:
    @sg.primitive(
        x=lambda g, y, power: own_power(g, y, power=power),
        y=lambda g, x, y, power: g * x * (power * y ** (power - 1)),
    )
    def own_power(x: Array, y: Any, *, power: int = 1) -> Array:
        assert type(power) is int
        return np.asarray(x * y**power)

    def step(x: Tensor, w: Tensor, times: int) -> tuple[Tensor, ...]:
        y = own_power(own_power(x, 3.0), w, power=2).sum()
        (first,) = sg.autograd.grad(y * times, w, create_graph=True)
        (second,) = sg.autograd.grad(first.sum(), w)
        return y.detach(), first.detach(), second

    replayed = sg.jit(step)
    for seed in range(3):
        rng = np.random.default_rng(seed)
        x, w = (sg.tensor(rng.standard_normal(5), requires_grad=True) for _ in range(2))
        for a, b in zip(replayed(x, w, 2), step(x, w, 2), strict=True):
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-14)
        assert gradcheck(lambda x, w: own_power(x, w, power=2), (x, w))
    assert len(replayed.recordings) == 1


def test_what_a_primitive_leaves_beside_its_result_it_leaves_in_each_replay() -> None:
    seen = []

    @sg.primitive()
    def own_noted(x: Array) -> Array:
        seen.append(float(x.sum()))
        return x * 1

    step = sg.jit(lambda x: own_noted(x) + 1.0)
    for i in range(4):
        step(sg.ones(2) * i)
    assert seen == [0.0, 2.0, 4.0, 6.0]


@pytest.mark.parametrize("first", [[1.0, -1.0, 2.0], [-1.0, -1.0, -1.0]])
def test_a_primitive_whose_shape_follows_from_values(first: list[float]) -> None:
    @sg.primitive()
    def own_positive(x: Array) -> Array:
        return x[x > 0]

    step = sg.jit(lambda x: own_positive(x) * 2.0)
    expected = [2 * x for x in first if x > 0]
    message = (
        rf"{__name__}.*own_positive gives an array of shape \(3,\) .* one of shape "
        rf"\({len(expected) or '0'},\)"
    )
    for _ in range(2):
        assert step(sg.tensor(first)).tolist() == expected
        with pytest.raises(JitError, match=message):
            step(sg.tensor([1.0, 2.0, 3.0]))


def test_a_keyword_that_the_step_changes_afterwards() -> None:
    @sg.primitive()
    def own_rolled(x: Array, *, shifts: Any) -> Array:
        return np.roll(x, int(np.sum(shifts)))

    def step(x: Tensor) -> list[Tensor]:
        shifts, array, out = [0], np.zeros(2), []
        for _ in range(2):
            shifts[0] += 1
            array[1] += 1
            out += [own_rolled(x, shifts=shifts), own_rolled(x, shifts=array)]
        return out

    replayed = sg.jit(step)
    for k in range(2):
        x = sg.arange(4.0) + k
        assert [y.tolist() for y in replayed(x)] == [y.tolist() for y in step(x)]


def test_a_primitive_gives_a_new_array_eagerly_too() -> None:
    @sg.primitive(x=lambda g: g)
    def own_same(x: Array) -> Array:
        return x[...]

    def step(x: Tensor) -> tuple[Tensor, Tensor]:
        a = x + 1.0
        y = own_same(a)
        y.add_(1.0)
        return y, a

    for call in (step, sg.jit(step)):
        assert [t.tolist() for t in call(sg.zeros(2))] == [[2.0, 2.0], [1.0, 1.0]]


def test_a_primitive_that_changes_its_input() -> None:
    @sg.primitive()
    def own_doubled(x: Array) -> Array:
        x *= 2
        return x + 1

    with pytest.raises(JitError, match="own_doubled changes its input, which a primitive must not"):
        sg.jit(own_doubled)(sg.ones(2))


def test_a_primitive_that_only_looks() -> None:
    @sg.primitive()
    def own_finite(x: Array) -> Array:
        if not np.isfinite(x).all():
            raise FloatingPointError("not finite")
        return x

    def step(x: Tensor) -> Tensor:
        own_finite(x)
        return x * 2.0

    replayed = sg.jit(step)
    for _ in range(2):
        assert replayed(sg.ones(2)).tolist() == [2.0, 2.0]
        with pytest.raises(FloatingPointError, match="not finite"):
            replayed(sg.tensor([1.0, np.inf]))


def test_an_error_that_the_step_catches() -> None:
    @sg.primitive()
    def own_picky(x: Array) -> Array:
        if x[0] == 2:
            raise KeyError("two")
        return x * 2

    def step(x: Tensor) -> Tensor:
        try:
            return own_picky(x)
        except KeyError:
            return x * 5.0

    with pytest.raises(JitError, match=r"goes on after an error of .*own_picky.*KeyError\('two'\)"):
        sg.jit(step)(sg.tensor([2.0]))
    with pytest.raises(KeyError, match="two"):
        sg.jit(own_picky)(sg.tensor([2.0]))


def test_a_page_that_fails_leaves_no_trace() -> None:
    @sg.primitive(w=lambda g, w: w * 0.0 + 1.0)
    def own_positive(w: Array) -> Array:
        return w[w > 0]

    w = sg.tensor([1.0, 2.0], requires_grad=True)
    optimizer = optim.SGD([w], lr=0.3)

    @sg.jit
    def step() -> None:
        optimizer.zero_grad()
        own_positive(w).sum().backward()
        optimizer.step()

    step()
    before = w.tolist()
    with pytest.raises(JitError, match=r"gives an array of shape \(1,\)"):
        step.explain(repeats=20)
    assert w.tolist() == before


@pytest.mark.parametrize(
    "forward", [np.flip, partial(np.roll, shift=1), abs], ids=["NumPy's", "partial", "built in"]
)
def test_a_forward_is_written_in_python(forward: Any) -> None:
    with pytest.raises(TypeError, match="primitive: the forward is a function written in Python"):
        sg.primitive()(forward)


@pytest.mark.parametrize("value", [3.0, None, [1.0]])
def test_a_primitive_that_gives_no_array(value: Any) -> None:
    @sg.primitive()
    def own_value(x: Array) -> Any:
        return value

    message = rf"own_value: the forward gives an array, not {type(value).__name__}"
    for call in (own_value, sg.jit(own_value)):
        with pytest.raises(TypeError, match=message):
            call(sg.ones(2))
