"""What a plan consists of: what is fused, what is left out, and where results lie."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import scratchgan as sg
from scratchgan import nn, optim
from scratchgan.jit import Jitted
from scratchgan.jit.passes.fuse import Fused
from scratchgan.jit.passes.plan import Plan, lay_out
from scratchgan.jit.record import Call, Memory, Operand


@pytest.fixture(autouse=True)
def numba() -> Any:
    with sg.use_backend("numba"):
        yield


def plan_of(function: Jitted[Any, Any]) -> Plan:
    assert function._latest is not None
    return function._latest.program.plan


def gelu(x: sg.Tensor) -> sg.Tensor:
    """Hendrycks & Gimpel 2016, section 2."""
    return 0.5 * x * (1.0 + (math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)).tanh())


def test_a_users_gelu_becomes_one_loop_without_temporaries() -> None:
    x = sg.randn(5, 7)
    jitted = sg.jit(gelu)
    np.testing.assert_array_equal(jitted(x).numpy(), gelu(x).numpy())
    np.testing.assert_array_equal(jitted(x).numpy(), gelu(x).numpy())
    plan = plan_of(jitted)
    assert len(plan.recorded) > 5
    (item,) = plan.items
    assert isinstance(item, Fused)
    assert len(item.loops) == 1
    assert len(item.outs) == 1
    assert plan.arena_bytes == 0


def test_a_layer_and_its_backward_are_products_and_one_loop_each() -> None:
    model = nn.Sequential(nn.Linear(6, 5), nn.Tanh())
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    @sg.jit
    def step(x: sg.Tensor) -> sg.Tensor:
        optimizer.zero_grad()
        loss = model(x).square().sum()
        loss.backward()
        optimizer.step()
        return loss

    step(sg.randn(4, 6))
    kinds = [item.kernel if isinstance(item, Call) else "fused" for item in plan_of(step).items]
    assert kinds == ["matmul", "fused", "matmul", "sgd", "sgd"]


def test_what_nobody_reads_is_not_computed() -> None:
    @sg.jit
    def step(x: sg.Tensor) -> sg.Tensor:
        (x @ x).exp()
        return x * 2.0

    step(sg.ones(3, 3))
    assert [str(call.kernel) for call in plan_of(step).recorded] == ["matmul", "exp", "mul"]
    (item,) = plan_of(step).items
    assert isinstance(item, Fused)


def test_parts_of_a_concatenation_are_computed_in_place() -> None:
    def step(x: sg.Tensor, y: sg.Tensor) -> sg.Tensor:
        both = sg.concatenate([x, (y @ y).tanh()])
        return both @ y

    x, y = sg.randn(2, 3), sg.randn(3, 3)
    jitted = sg.jit(step)
    jitted(x, y)
    np.testing.assert_array_equal(jitted(x + 1.0, y).numpy(), step(x + 1.0, y).numpy())
    kinds = [item.kernel if isinstance(item, Call) else "fused" for item in plan_of(jitted).items]
    assert kinds == ["matmul", "fused", "matmul"]


def test_a_concatenated_part_that_changes_afterwards_is_copied() -> None:
    def step(x: sg.Tensor) -> tuple[sg.Tensor, sg.Tensor]:
        part = x * 2.0
        both = sg.concatenate([part, x])
        part.add_(1.0)
        return both * 1.0, part * 1.0

    x = sg.randn(2, 3)
    jitted = sg.jit(step)
    for _ in range(2):
        for got, expected in zip(jitted(x), step(x), strict=True):
            np.testing.assert_array_equal(got.numpy(), expected.numpy())


CONSTANT = sg.randn(4, 4, generator=sg.Generator(7))


def in_place(x: sg.Tensor) -> sg.Tensor:
    return (x @ x).tanh() @ x


def read_by_two(x: sg.Tensor) -> sg.Tensor:
    y, z = x @ x, x @ (x + 1.0)
    return (y * z) @ (y - z)


def beside_its_transpose(x: sg.Tensor) -> sg.Tensor:
    y = x @ x
    return (y + y.T) @ x


def beside_a_row_of_it(x: sg.Tensor) -> sg.Tensor:
    y = x @ x
    return (y * y[0]) @ x


def read_later(x: sg.Tensor) -> sg.Tensor:
    y = x @ x
    return y.tanh() @ y


def read_after_it_moved(x: sg.Tensor) -> sg.Tensor:
    y = (x @ x).tanh()
    return (y * (y @ x)) @ y


def not_of_what_is_never_stored(x: sg.Tensor) -> sg.Tensor:
    y = x @ x
    return ((x * 2.0) * y) @ x


def in_a_part_of_larger_memory(x: sg.Tensor) -> sg.Tensor:
    y, whole = x @ x, sg.empty(9, 4)
    whole[:4].copy_(y)
    whole[4:8].copy_(x)
    whole[8].copy_(x[0])
    return whole @ x


def of_a_constant(x: sg.Tensor) -> sg.Tensor:
    return (x @ CONSTANT) @ (CONSTANT + 1.0)


def into_what_was_there(x: sg.Tensor) -> sg.Tensor:
    y, z = x @ x, x @ (x + 1.0)
    y.add_(z)
    return y @ x


def over_an_argument_that_changed(x: sg.Tensor) -> sg.Tensor:
    x.mul_(2.0)
    return sg.cat([x, x @ CONSTANT]).tanh() @ CONSTANT


@pytest.mark.parametrize(
    ("step", "memories"),
    [
        (in_place, 1),
        (read_by_two, 3 + 1),  # and x + 1.0
        (beside_its_transpose, 2),
        (beside_a_row_of_it, 2),
        (read_later, 2),
        (read_after_it_moved, 2),
        (not_of_what_is_never_stored, 1),
        (in_a_part_of_larger_memory, 2),
        (of_a_constant, 2),
        (into_what_was_there, 2 + 1),
        (over_an_argument_that_changed, 2),
    ],
)
def test_a_result_takes_the_place_of_what_nobody_reads_any_more(step: Any, memories: int) -> None:
    jitted = sg.jit(step)
    for seed in range(3):
        x = sg.randn(4, 4, generator=sg.Generator(seed))
        given = x.clone()
        np.testing.assert_array_equal(jitted(given).numpy(), step(x).numpy())
        np.testing.assert_array_equal(given.numpy(), x.numpy())
    assert len(plan_of(jitted).offsets) == memories


def test_explain_shows_calls_source_arena_and_shares_and_changes_nothing() -> None:
    w = sg.ones(3, requires_grad=True)
    optimizer = optim.SGD([w], lr=0.1)

    @sg.jit
    def step(x: sg.Tensor) -> sg.Tensor:
        optimizer.zero_grad()
        loss = (w * x).tanh().sum()
        loss.backward()
        optimizer.step()
        return loss

    step(sg.ones(3))
    before = w.numpy(force=True).copy()
    page = step.explain(repeats=3)
    np.testing.assert_array_equal(w.numpy(force=True), before)
    for part in ("kernel calls recorded", "Arena", "def fused(", "sgd(", "%", "tanh"):
        assert part in page


def test_explain_breaks_the_lines_of_long_calls() -> None:
    parameters = [sg.ones(3, requires_grad=True) for _ in range(6)]
    optimizer = optim.Adam(parameters)

    @sg.jit
    def step() -> None:
        for parameter in parameters:
            parameter.grad = sg.ones_like(parameter)
        optimizer.step()

    step()
    page, _, _ = step.explain(repeats=1).partition("Fused function")
    assert page.count("weight_decay=0.0") == 2  # recorded, and replayed
    assert max(map(len, page.splitlines())) <= 100


@given(
    st.lists(
        st.tuples(st.integers(0, 20), st.integers(0, 20), st.integers(0, 1000)),
        min_size=1,
        max_size=15,
    )
)
def test_memories_in_use_at_the_same_time_do_not_overlap(lives: list[tuple[int, int, int]]) -> None:
    memories = [Memory(i, "temporary", None, nbytes) for i, (_, _, nbytes) in enumerate(lives)]
    byte = np.dtype(np.uint8)
    items: list[Any] = [Call("nothing", (), (), {}) for _ in range(21)]
    for position in range(21):
        used = tuple(
            Operand(i, 0, (nbytes,), (1,), byte)
            for i, (a, b, nbytes) in enumerate(lives)
            if position in (a, b)
        )
        items[position] = Call("use", (), used, {})
    offsets, size = lay_out(items, memories, {}, set())
    for i, (a, b, nbytes) in enumerate(lives):
        assert offsets[i] % 64 == 0
        assert offsets[i] + nbytes <= size
        for j, (c, d, other) in enumerate(lives[:i]):
            if min(a, b) <= max(c, d) and min(c, d) <= max(a, b) and nbytes and other:
                assert offsets[i] + nbytes <= offsets[j] or offsets[j] + other <= offsets[i]
