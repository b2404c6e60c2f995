"""Tensors that this package makes of a few numbers are the same in each replay, and new ones."""

from collections.abc import Callable

import numpy as np
import pytest

import scratchgan as sg
from scratchgan.jit import JitError
from scratchgan.nn import functional as F

MADE: dict[str, Callable[[], sg.Tensor]] = {
    "arange": lambda: sg.arange(5),
    "arange of floats": lambda: sg.arange(1.0, 0.0, -0.25),
    "no arange": lambda: sg.arange(0),
    "linspace": lambda: sg.linspace(0, 1, 5),
    "linspace of integers": lambda: sg.linspace(0.9, 8.9, 5, dtype=sg.int64),
    "logspace": lambda: sg.logspace(0, 2, 5),
    "eye": lambda: sg.eye(3, 2),
    "tril_indices": lambda: sg.tril_indices(3, 3),
    "triu_indices": lambda: sg.triu_indices(3, 4, 1),
}

COMPUTED: dict[str, Callable[[sg.Tensor], sg.Tensor]] = {
    "a penalty": lambda x: (x.T @ x - sg.eye(4)).square().sum(),
    "positions": lambda x: (x * sg.arange(4.0)).cos(),
    "arange that is changed": lambda x: sg.arange(4.0).add_(x[0]),
    "combinations": lambda x: sg.combinations(x[0], 2),
    "pdist": lambda x: sg.pdist(x),
    "F.pdist": lambda x: F.pdist(x),
    "pad by reflection": lambda x: F.pad(x, (2, 1), mode="reflect"),
    "repeat_interleave": lambda x: x.repeat_interleave(2, 1),
    "quantile": lambda x: x.quantile(0.3, 1),
    "nanquantile": lambda x: x.nanquantile(0.3),
    "searchsorted": lambda x: sg.searchsorted(x[0].sort().values, 0.1),
    "isin": lambda x: sg.isin(x, 0.5),
}


@pytest.mark.parametrize("backend", sg.backend.CPU_BACKENDS)
@pytest.mark.parametrize("name", MADE)
def test_a_tensor_that_is_made_is_a_new_one_each_time(name: str, backend: str) -> None:
    with sg.use_backend(backend):
        made = sg.jit(MADE[name])
        expected = MADE[name]()
        for _ in range(3):
            found = made()
            assert (found.dtype, found.tolist()) == (expected.dtype, expected.tolist())
            found.zero_()
    assert len(made.recordings) == 1


@pytest.mark.parametrize("backend", sg.backend.CPU_BACKENDS)
@pytest.mark.parametrize("name", COMPUTED)
def test_what_is_computed_with_it_follows_the_argument(name: str, backend: str) -> None:
    rng = np.random.default_rng(0)
    compute = COMPUTED[name]
    with sg.use_backend(backend):
        replayed = sg.jit(compute)
        kept = []
        for _ in range(3):
            x = sg.tensor(rng.standard_normal((3, 4)).astype(np.float32))
            kept.append((replayed(x), compute(x)))
    for found, expected in kept:
        np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-6)
    assert len(replayed.recordings) == 1


def test_gradients_pass_by_a_constant() -> None:
    w = sg.ones(4, requires_grad=True)

    @sg.jit
    def step(x: sg.Tensor) -> None:
        (w * sg.arange(4.0) * x.repeat_interleave(2)).sum().backward()

    for x in ([1.0, 2.0], [3.0, -1.0]):
        w.grad = None
        step(sg.tensor(x))
        assert w.grad.tolist() == [0.0, x[0], 2 * x[1], 3 * x[1]]
    assert len(step.recordings) == 1


def test_a_permutation_is_another_in_each_replay() -> None:
    shuffled = sg.jit(lambda x: x[sg.randperm(50)])
    x = sg.arange(50.0)
    sg.manual_seed(3)
    found = [shuffled(x).tolist() for _ in range(3)]
    sg.manual_seed(3)
    assert found == [sg.randperm(50).tolist() for _ in range(3)]
    assert len({tuple(order) for order in found}) == 3
    assert len(shuffled.recordings) == 1


@pytest.mark.parametrize(
    "read",
    [
        lambda x: x + sg.tensor([1.0, 2.0]),
        lambda x: x.repeat_interleave([1, 2]),
        lambda x: x[[1, 0]],
        lambda x: sg.searchsorted(x, [0.5]),
    ],
)
def test_what_may_be_data_is_refused(read: Callable[[sg.Tensor], sg.Tensor]) -> None:
    """As the indices of a batch are, which a replay would take again and again."""
    with pytest.raises(JitError, match="pass it as an argument"):
        sg.jit(read)(sg.ones(2))
