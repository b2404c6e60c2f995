"""Every optimizer under jit: each option means what it means eagerly, and may change on the way."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import scratchgan as sg
from scratchgan import nn, optim
from scratchgan.optim.lr_scheduler import ReduceLROnPlateau, StepLR

#: The options that come into play beside the learning rate, and others to which they change.
OPTIONS: dict[type[optim.Optimizer], tuple[dict[str, Any], dict[str, Any]]] = {
    optim.SGD: ({"momentum": 0.9, "weight_decay": 0.1}, {"momentum": 0.5, "weight_decay": 0.2}),
    optim.Adam: ({"weight_decay": 0.1}, {"weight_decay": 0.2, "betas": (0.5, 0.9), "eps": 1e-3}),
    optim.AdamW: ({"weight_decay": 0.1}, {"weight_decay": 0.2, "betas": (0.5, 0.9), "eps": 1e-3}),
    optim.RMSprop: (
        {"weight_decay": 0.1, "momentum": 0.9, "centered": True},
        {"weight_decay": 0.2, "alpha": 0.5, "eps": 1e-3},
    ),
    optim.Adagrad: ({"weight_decay": 0.1, "lr_decay": 0.1}, {"weight_decay": 0.2, "lr_decay": 0.3}),
}


def trained(kind: type[optim.Optimizer], first: Any, later: Any, *, jit: bool) -> Any:
    """A weight after a few steps, with other options from the fourth on, and the recordings."""
    rng = np.random.default_rng(0)
    layer = nn.Linear(20, 7)
    layer.load_state_dict({"weight": rng.standard_normal((7, 20)), "bias": rng.random(7)})
    optimizer: Any = kind(layer.parameters(), lr=0.01, **first)  # type: ignore[call-arg]

    def step(x: sg.Tensor) -> None:
        optimizer.zero_grad()
        layer(x).tanh().square().mean().backward()
        optimizer.step()

    run = sg.jit(step) if jit else step
    for i in range(6):
        if i == 3:
            optimizer.param_groups[0].update(lr=0.03, **later)
        run(sg.tensor(rng.standard_normal((16, 20)).astype(np.float32)))
    return layer.weight.detach().numpy(), len(run.recordings) if jit else None


def test_no_optimizer_is_left_out() -> None:
    public = [getattr(optim, name) for name in optim.__all__ if name != "Optimizer"]
    assert {*OPTIONS} == {x for x in public if isinstance(x, type)}


@pytest.mark.parametrize("backend", sg.backend.CPU_BACKENDS)
@pytest.mark.parametrize("kind", OPTIONS)
def test_options_are_those_of_the_eager_step(kind: type[optim.Optimizer], backend: str) -> None:
    with sg.use_backend(backend):
        eager, _ = trained(kind, *OPTIONS[kind], jit=False)
        replayed, recordings = trained(kind, *OPTIONS[kind], jit=True)
    np.testing.assert_array_equal(replayed, eager)
    assert recordings == 1


@pytest.mark.parametrize(
    "later", [{"momentum": 0.9}, {"centered": True}], ids=lambda later: next(iter(later))
)
def test_an_option_that_decides_what_is_computed_is_recorded_anew(later: dict[str, Any]) -> None:
    eager, _ = trained(optim.RMSprop, {}, later, jit=False)
    replayed, recordings = trained(optim.RMSprop, {}, later, jit=True)
    np.testing.assert_array_equal(replayed, eager)
    assert recordings == 2


def test_an_option_that_is_new_is_noticed() -> None:
    w = nn.Parameter(sg.ones(2))
    optimizer = optim.SGD([w], lr=0.1)

    @sg.jit
    def step(x: sg.Tensor) -> sg.Tensor:
        optimizer.zero_grad()
        (w * x).sum().backward()
        optimizer.step()
        return x * 2.0 if "boost" in optimizer.param_groups[0] else x

    x = sg.ones(1)
    assert step(x).item() == step(x).item() == 1.0
    optimizer.param_groups[0]["boost"] = True
    assert step(x).item() == 2.0


def rate_of(lr: float, **_: Any) -> float:
    return lr


def first_of(read: Callable[[], list[float]]) -> Callable[[], float]:
    return lambda: read()[0]


#: Ways to read an option, none of which has its name in the code.
LOOKS: dict[str, Callable[[Any], Callable[[], float]]] = {
    "keywords": lambda o: lambda: rate_of(**o.param_groups[0]),
    "a loop": lambda o: lambda: max(x for x in o.param_groups[0].values() if type(x) is float),
    "a variable": lambda o: lambda group=o.param_groups[0]: rate_of(**group),
    "a tuple": lambda o: lambda groups=(o.param_groups[0],): rate_of(**groups[0]),
    "a method": lambda o: lambda items=o.param_groups[0].items: rate_of(**dict(items())),
    "its state": lambda o: lambda: rate_of(**[*o.state_dict().values()][1][0]),
    "its text": lambda o: lambda: float(repr(o).split("lr: ")[1].split()[0]),
    "a schedule": lambda o: first_of(StepLR(o, 9).get_last_lr),
    "a plateau": lambda o: first_of(ReduceLROnPlateau(o).get_last_lr),
}


@pytest.mark.parametrize("way", LOOKS)
def test_an_option_that_the_step_itself_reads_is_noticed(way: str) -> None:
    w = nn.Parameter(sg.ones(2))
    optimizer = optim.SGD([w], lr=0.25)
    look = LOOKS[way](optimizer)

    @sg.jit
    def step(x: sg.Tensor) -> sg.Tensor:
        optimizer.zero_grad()
        (w * x).sum().backward()
        optimizer.step()
        return x * look()

    for lr in (0.25, 0.25, 0.5):
        optimizer.param_groups[0]["lr"] = lr
        assert step(sg.ones(1)).item() == lr
    assert len(step.recordings) == 2
