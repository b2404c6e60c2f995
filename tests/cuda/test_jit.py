"""Replays on a GPU: fused kernels, sums of every kind, noise, and no allocation."""

from typing import Any

import numpy as np
import pytest

import scratchgan as sg
from scratchgan import Tensor, nn
from scratchgan.jit import JitError


def gpu(*shape: int, seed: int = 0) -> Tensor:
    values = np.random.default_rng(seed).standard_normal(shape)
    return sg.tensor(values, device="cuda")


def replayed(step: Any, *arguments: Tensor) -> tuple[list[np.ndarray[Any, Any]], Any]:
    """What the second call of the jitted ``step`` gives, and the jitted function."""
    jitted = sg.jit(step)
    jitted(*arguments)
    return [x.numpy() for x in jitted(*arguments)], jitted


def test_elementwise_chains_give_the_bits_of_eager() -> None:
    def step(x: Tensor, y: Tensor) -> list[Tensor]:
        gelu = 0.5 * x * (1 + sg.tanh(0.79788456 * (x + 0.044715 * x**3)))
        return [gelu * y + x, sg.where(x > y, gelu, -1.0), (x > 0) & (y > 0), gelu.T - y[0, 0]]

    x, y = gpu(30, 20), gpu(30, 20, seed=1)
    got, jitted = replayed(step, x, y)
    for a, b in zip(got, step(x, y), strict=True):
        np.testing.assert_array_equal(a, b.numpy())
    assert "2 of them fused" in jitted.explain(1) or "1 of them fused" in jitted.explain(1)
    assert "__global__ void kernel0" in jitted.explain(1)


def test_sums_of_every_kind_in_one_loop() -> None:
    def step(x: Tensor) -> list[Tensor]:
        y = x.square()
        sums = [y.sum(), y.sum(0), y.sum(1), x.sum((0, 1), keepdims=True), (y + x).mean(0)]
        return [*sums, y]

    for shape in ((7, 5), (20_000, 3), (3, 20_000), (1, 9), (0, 4)):
        x = gpu(*shape)
        got, _ = replayed(step, x)
        for a, b in zip(got, step(x), strict=True):
            np.testing.assert_allclose(a, b.numpy(), rtol=1e-13, atol=1e-13)


def test_more_sums_than_fit_into_one_kernel() -> None:
    def step(x: Tensor) -> list[Tensor]:
        return [(x * k).sum(0) for k in range(40)]

    x = gpu(50, 6)
    got, _ = replayed(step, x)
    for a, b in zip(got, step(x), strict=True):
        np.testing.assert_allclose(a, b.numpy(), rtol=1e-13, atol=1e-13)


def test_constants_lie_beside_the_argument() -> None:
    def step(x: Tensor) -> list[Tensor]:
        made = {"device": x.device, "dtype": x.dtype}
        products = [x * sg.arange(4, **made), x @ sg.eye(4, 3, **made)]
        return [*products, x.repeat_interleave(2, 1), sg.pdist(x), x.quantile(0.3, 1)]

    jitted = sg.jit(step)
    for x in (gpu(5, 4), gpu(5, 4, seed=1)):
        for got, expected in zip(jitted(x), step(x), strict=True):
            np.testing.assert_allclose(got.numpy(), expected.numpy(), rtol=1e-13)
    assert len(jitted.recordings) == 1


def test_noise_moves_on() -> None:
    drop = nn.Dropout(0.5)
    outcomes = []
    for wrap in (lambda f: f, sg.jit):
        sg.manual_seed(7)
        step = wrap(lambda x: drop(x))
        outcomes.append([step(sg.ones(50, device="cuda")).numpy() for _ in range(3)])
    for a, b in zip(*outcomes, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(outcomes[0][0], outcomes[0][1])


def training_step() -> tuple[Any, list[Tensor]]:
    sg.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 9), nn.BatchNorm1d(9), nn.Tanh(), nn.Linear(9, 3))
    model.double().to("cuda")
    optimizer = sg.optim.Adam(model.parameters(), 0.01)

    def step(x: Tensor, y: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step, [*model.parameters(), *model.buffers()]


def test_a_training_step_follows_eager() -> None:
    outcomes = []
    for wrap in (lambda f: f, sg.jit):
        step, state = training_step()
        step = wrap(step)
        losses = [step(gpu(8, 6, seed=i), gpu(8, 3, seed=9 + i)).item() for i in range(5)]
        outcomes.append([np.array(losses), *[x.numpy(force=True) for x in state]])
    for a, b in zip(*outcomes, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-13)


def test_a_replay_allocates_nothing() -> None:
    import cupy

    step, _ = training_step()
    jitted = sg.jit(step)
    jitted(gpu(8, 6), gpu(8, 3))
    jitted(gpu(8, 6), gpu(8, 3))
    assert jitted._latest is not None

    def refuse(nbytes: int) -> Any:
        raise AssertionError(f"a replay allocates {nbytes} bytes")

    with cupy.cuda.using_allocator(refuse):
        jitted._latest.program()
        with pytest.raises(AssertionError, match="allocates"):
            gpu(2)


def test_several_kernels_are_one_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    from scratchgan.backend.cuda import launch

    sizes = []
    as_graph = launch.as_graph
    monkeypatch.setattr(
        launch, "as_graph", lambda launches: sizes.append(len(launches)) or as_graph(launches)
    )

    def step(x: Tensor, w: Tensor) -> Tensor:
        return sg.exp((x * 2).sum(0) @ (w / w.sum())).mean()

    x, w = gpu(4, 6), gpu(6, 6)
    jitted = sg.jit(step)
    for _ in range(3):
        got = jitted(x, w)
    np.testing.assert_allclose(got.numpy(), step(x, w).numpy(), rtol=1e-13)
    assert sizes
    assert min(sizes) > 1


def test_a_value_cannot_be_read() -> None:
    with pytest.raises(JitError, match="reads a value"):
        sg.jit(lambda x: x * x.sum().item())(gpu(3))


def test_a_step_on_two_devices_is_refused() -> None:
    weight = gpu(3)
    with pytest.raises(JitError, match=r"calls .* of the cupy backend"):
        sg.jit(lambda x: (weight * 2).sum())(sg.ones(3))
    with pytest.raises(JitError, match=r"of the (numba|numpy) backend"):
        sg.jit(lambda x: x + sg.zeros(3).to("cuda"))(gpu(3))
