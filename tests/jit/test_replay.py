"""A replay gives what the function itself would have given."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import scratchgan as sg
from scratchgan import nn, optim
from scratchgan.jit import Jitted

BACKENDS = ("numpy", "numba")


@pytest.fixture(params=BACKENDS, autouse=True)
def backend(request: pytest.FixtureRequest) -> Any:
    with sg.use_backend(request.param):
        yield request.param


def data(*shape: int, seed: int = 0, dtype: Any = np.float64) -> sg.Tensor:
    return sg.tensor(np.random.default_rng(seed).standard_normal(shape).astype(dtype))


def assert_same_training(
    build: Callable[[], tuple[nn.Module, Callable[..., sg.Tensor]]], steps: int = 5
) -> None:
    """Losses, parameters, buffers and gradients over some steps, jitted against eager."""
    outcomes = []
    for wrap in (lambda step: step, sg.jit):
        sg.manual_seed(3)
        model, step = build()
        step = wrap(step)
        losses = [step(data(8, 6, seed=i), data(8, 3, seed=100 + i)).item() for i in range(steps)]
        state = {name: x.numpy(force=True).copy() for name, x in model.state_dict().items()}
        gradients = [p.grad.numpy().copy() for p in model.parameters() if p.grad is not None]
        outcomes.append((losses, state, gradients, sg.random.default_generator.state.copy()))
    (losses, state, gradients, stream), (jit_losses, jit_state, jit_gradients, jit_stream) = (
        outcomes
    )
    np.testing.assert_allclose(jit_losses, losses, rtol=1e-12)
    for name in state:
        np.testing.assert_allclose(jit_state[name], state[name], rtol=1e-10, atol=1e-13)
    for got, expected in zip(jit_gradients, gradients, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-13)
    np.testing.assert_array_equal(jit_stream, stream)


def training(model: nn.Module, optimizer: Any) -> Callable[..., sg.Tensor]:
    def step(x: sg.Tensor, y: sg.Tensor) -> sg.Tensor:
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


def mlp(*inside: nn.Module) -> nn.Module:
    model = nn.Sequential(nn.Linear(6, 5), *inside, nn.Linear(5, 3))
    return model.double()


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda p: optim.Adam(p, lr=0.01, weight_decay=0.1),
        lambda p: optim.SGD(p, lr=0.1),
        lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    ],
)
@pytest.mark.parametrize(
    "inside", [nn.Tanh, nn.ReLU, nn.Sigmoid, lambda: nn.LeakyReLU(0.2), nn.Softplus]
)
def test_training_is_the_same(optimizer: Any, inside: Any) -> None:
    def build() -> Any:
        model = mlp(inside())
        return model, training(model, optimizer(list(model.parameters())))

    assert_same_training(build)


@pytest.mark.parametrize("inside", [lambda: nn.Dropout(0.4), lambda: nn.BatchNorm1d(5)])
def test_noise_and_statistics_move_on(inside: Any) -> None:
    def build() -> Any:
        model = mlp(inside())
        return model, training(model, optim.Adam(model.parameters()))

    assert_same_training(build)


def test_accumulated_gradients_of_two_losses() -> None:
    def build() -> Any:
        model = mlp(nn.Tanh())
        optimizer = optim.Adam(model.parameters())

        def step(x: sg.Tensor, y: sg.Tensor) -> sg.Tensor:
            optimizer.zero_grad()
            first = nn.functional.mse_loss(model(x), y)
            first.backward()
            second = model(x).square().mean() * 0.1
            second.backward()
            optimizer.step()
            return first.detach() + second.detach()

        return model, step

    assert_same_training(build)


def test_gradient_penalty_with_create_graph() -> None:
    def build() -> Any:
        model = mlp(nn.Tanh())
        optimizer = optim.Adam(model.parameters())

        def step(x: sg.Tensor, y: sg.Tensor) -> sg.Tensor:
            optimizer.zero_grad()
            inner = (x + y.sum() * 0.0).requires_grad_()
            score = model(inner).sum()
            (slope,) = sg.autograd.grad(score, inner, create_graph=True)
            loss = (slope.square().sum(axis=1).sqrt() - 1.0).square().mean()
            loss.backward()
            optimizer.step()
            return loss

        return model, step

    assert_same_training(build)


def test_a_learning_rate_may_change_between_replays() -> None:
    def run(wrap: Any) -> Any:
        w = sg.tensor([1.0, 2.0], requires_grad=True)
        optimizer = optim.SGD([w], lr=0.5)

        def step() -> sg.Tensor:
            optimizer.zero_grad()
            loss = w.square().sum()
            loss.backward()
            optimizer.step()
            return loss

        step = wrap(step)
        for lr in (0.5, 0.1, 0.01, 0.3):
            optimizer.param_groups[0]["lr"] = lr
            step()
        return w.numpy(force=True).copy()

    np.testing.assert_array_equal(run(sg.jit), run(lambda step: step))


def test_an_option_is_read_anew_though_another_object_has_its_name() -> None:
    """A schedule sets the learning rate in each step, and the settings have one too."""

    @dataclass(frozen=True)
    class Settings:
        lr: float = 0.5
        factor: float = 1.0

        def __post_init__(self) -> None:
            object.__setattr__(self, "factor", 2 * self.factor)  # mentions the refusal by name

    settings = Settings()
    module = nn.Identity()  # whose class names what a frozen dataclass refuses with
    w = sg.tensor([1.0, 2.0], requires_grad=True)
    optimizer = optim.SGD([w], lr=settings.lr)

    @sg.jit
    def step() -> None:
        optimizer.zero_grad()
        (module(w) * settings.factor).sum().backward()
        optimizer.step()

    for lr in (0.5, 0.1, 0.01):
        optimizer.param_groups[0]["lr"] = lr
        step()
    assert recordings(step) == 1
    np.testing.assert_allclose(w.numpy(force=True), np.array([1.0, 2.0]) - 2 * 0.61, rtol=1e-6)


def recordings(function: Jitted[Any, Any]) -> int:
    return len(function.recordings)


def test_a_new_shape_records_anew_and_an_old_one_replays() -> None:
    double = sg.jit(lambda x: x * 2.0)
    for n in (2, 3, 2, 3):
        np.testing.assert_array_equal(double(data(n)).numpy(), 2 * data(n).numpy())
    assert recordings(double) == 2


def test_constants_among_the_arguments_are_part_of_the_recording() -> None:
    scale = sg.jit(lambda x, by: x * by)
    x = data(3)
    for by in (2.0, 3.0, 2.0):
        np.testing.assert_array_equal(scale(x, by).numpy(), x.numpy() * by)
    assert recordings(scale) == 2


def test_many_recordings_warn_and_the_oldest_is_dropped() -> None:
    double = sg.jit(lambda x: x * 2.0)
    for n in range(1, 9):
        double(data(n))
    with pytest.warns(UserWarning, match="has been recorded 8 times"):
        double(data(9))
    assert sum(map(len, double._replays.values())) == 8


def test_eval_mode_and_frozen_parameters_record_anew() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5)).double()
    forward = sg.jit(lambda x: model(x).detach())
    x = data(2, 4)
    forward(x)
    model.eval()
    np.testing.assert_allclose(forward(x).numpy(), model(x).numpy(force=True), rtol=1e-14)
    model.train()
    forward(x)
    assert recordings(forward) == 2

    weight = sg.ones(2, requires_grad=True)
    other = sg.ones(2, requires_grad=True)

    @sg.jit
    def step() -> sg.Tensor:
        weight.grad = other.grad = None
        loss = (weight * other).sum()
        loss.backward()
        return loss

    step()
    other.requires_grad_(False)
    other.grad = None
    step()
    assert other.grad is None
    other.requires_grad_()
    step()
    assert other.grad is not None
    assert recordings(step) == 2


def test_gradients_are_there_after_a_replay_whatever_was_before() -> None:
    w = sg.tensor([1.0, 2.0], requires_grad=True)

    @sg.jit
    def step(x: sg.Tensor) -> sg.Tensor:
        w.grad = None
        loss = (w * x).sum()
        loss.backward()
        return loss

    for k in (1.0, 2.0, 3.0):
        w.grad = None
        step(sg.tensor([k, -k]))
        np.testing.assert_array_equal(w.grad.numpy(), [k, -k])


def test_results_are_not_overwritten_by_later_replays() -> None:
    double = sg.jit(lambda x: {"a": (x * 2.0, x), "b": [x.sum()]})
    first = double(sg.tensor([1.0, 2.0]))
    second = double(sg.tensor([3.0, 4.0]))
    third = double(sg.tensor([5.0, 6.0]))
    for result, x in ((first, [1, 2]), (second, [3, 4]), (third, [5, 6])):
        np.testing.assert_array_equal(result["a"][0].numpy(), 2 * np.array(x))
        np.testing.assert_array_equal(result["a"][1].numpy(), x)
        assert result["b"][0].item() == sum(x)


def test_arguments_changed_in_place_are_changed_for_the_caller() -> None:
    @sg.jit
    def count(x: sg.Tensor) -> None:
        x.add_(1.0)

    x = sg.zeros(3)
    for _ in range(3):
        count(x)
    np.testing.assert_array_equal(x.numpy(), [3, 3, 3])


def test_arguments_get_their_gradients() -> None:
    @sg.jit
    def step(x: sg.Tensor) -> sg.Tensor:
        loss = x.square().sum()
        loss.backward()
        return loss

    for _ in range(3):
        x = sg.tensor([1.0, 2.0], requires_grad=True)
        step(x)
        np.testing.assert_array_equal(x.grad.numpy(), [2, 4])
    step(x)
    np.testing.assert_array_equal(x.grad.numpy(), [4, 8])


def test_strided_and_shared_arguments() -> None:
    @sg.jit
    def difference(x: sg.Tensor, y: sg.Tensor) -> sg.Tensor:
        return x.T @ y - y

    base = data(4, 4)
    for _ in range(2):
        np.testing.assert_allclose(
            difference(base.T, base).numpy(), base.numpy() @ base.numpy() - base.numpy(), rtol=1e-13
        )


def test_a_tape_from_before_notices_that_a_replay_changed_its_tensor() -> None:
    w = sg.tensor([1.0, 2.0], requires_grad=True)

    @sg.jit
    def shrink() -> None:
        with sg.no_grad():
            w.mul_(0.5)

    shrink()
    loss = w.square().sum()
    shrink()
    with pytest.raises(sg.autograd.TapeError, match="changed in place"):
        loss.backward()


def test_a_method_has_recordings_of_its_own_for_each_instance() -> None:
    class Scaler:
        def __init__(self, by: float) -> None:
            self.by = by

        @sg.jit
        def __call__(self, x: sg.Tensor) -> sg.Tensor:
            return x * self.by

        @sg.jit
        def scale(self, x: sg.Tensor) -> sg.Tensor:
            return x * self.by

    x = data(3)
    two, three = Scaler(2.0), Scaler(3.0)
    for _ in range(2):
        np.testing.assert_array_equal(two.scale(x).numpy(), 2 * x.numpy())
        np.testing.assert_array_equal(three.scale(x).numpy(), 3 * x.numpy())


def test_indices_that_change_are_read_anew() -> None:
    table = data(5, 3)
    pick = sg.jit(lambda i: table[i])
    for index in ([0, 1], [4, 4], [2, 0]):
        np.testing.assert_array_equal(pick(sg.tensor(index)).numpy(), table.numpy()[index])


def test_a_result_written_over_a_shifted_input() -> None:
    def step(x: sg.Tensor) -> tuple[sg.Tensor, sg.Tensor]:
        first_row_gone, shifted = x.clone(), x.clone()
        first_row_gone.sub_(first_row_gone[0])
        shifted[1:] = shifted[:-1]
        return first_row_gone, shifted

    x = data(5, 3)
    jitted = sg.jit(step)
    jitted(x)
    for got, expected in zip(jitted(x), step(x), strict=True):
        np.testing.assert_array_equal(got.numpy(), expected.numpy())


def test_indices_that_do_not_come_first() -> None:
    """NumPy lays such results out in another order, as views of what nobody else holds."""
    i = sg.tensor([1, 2])

    @sg.jit
    def step(x: sg.Tensor) -> list[sg.Tensor]:
        return [sg.tanh(x[:, i]), sg.tanh(x[:, i, i])]

    for seed in range(3):
        x = data(3, 4, 5, seed=seed)
        expected = np.tanh(x.numpy()[:, [1, 2]]), np.tanh(x.numpy()[:, [1, 2], [1, 2]])
        for got, wanted in zip(step(x), expected, strict=True):
            np.testing.assert_allclose(got.numpy(), wanted, rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("parts", [1, 2])
def test_pixels_become_floats_as_they_are_read(dtype, parts):
    def network_input(*images):
        floats = [(x.to(dtype) / 127.5 - 1).unsqueeze(1) for x in images]
        return sg.cat(floats), floats[0].sum()

    rng = np.random.default_rng(0)
    images = [sg.tensor(rng.integers(0, 256, (5, 4, 4), np.uint8)) for _ in range(parts)]
    jitted = sg.jit(network_input)
    expected, total = network_input(*images)
    for _ in range(2):
        got, got_total = jitted(*images)
        np.testing.assert_array_equal(got.numpy(), expected.numpy())
        np.testing.assert_allclose(got_total.item(), total.item(), rtol=1e-6)
    if sg.get_backend() == "numba":
        assert "bytes_at(arguments" in jitted.explain(1)
