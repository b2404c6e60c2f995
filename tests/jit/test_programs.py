"""Random programs: the first call, and replays on other values, give what eager and PyTorch do."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_programs import Program, digest, random_program

import scratchgan as sg

with np.load(Path(__file__).parents[1] / "golden" / "programs.npz") as file:
    GOLDEN = dict(file)


@pytest.fixture(params=["numpy", "numba"], autouse=True)
def backend(request: pytest.FixtureRequest, interpreted_loops: None) -> Iterator[None]:
    with sg.use_backend(request.param), np.errstate(all="ignore"):
        yield


def digests(program: Program, calls: int, jits: bool) -> list[np.ndarray]:
    state = sg.zeros((), dtype="float64")

    def run(*inputs: sg.Tensor) -> tuple[list[sg.Tensor], list[sg.Tensor | None]]:
        return program(sg, state, *inputs)

    step = sg.jit(run) if jits else run
    rows = [digest(*step(*map(sg.from_numpy, program.inputs(call)))) for call in range(calls)]
    assert not jits or len(step.recordings) == 1  # type: ignore[union-attr]
    return rows


@pytest.mark.parametrize("seed", range(len(GOLDEN)))
def test_programs_give_what_pytorch_gave(seed: int) -> None:
    program, expected = random_program(seed), GOLDEN[str(seed)]
    for jits in (False, True):
        got = digests(program, len(expected), jits)
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-10, err_msg=str(program))


@settings(max_examples=settings().max_examples)
@given(st.integers(1000, 2**32 - 1))
def test_replays_give_what_eager_gives(seed: int) -> None:
    program = random_program(seed)
    got, expected = digests(program, 3, jits=True), digests(program, 3, jits=False)
    np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-11, err_msg=str(program))


@given(st.integers(1000, 2**32 - 1))
def test_replays_give_what_pytorch_gives(seed: int) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    program = random_program(seed)
    state = torch.zeros((), dtype=torch.float64)
    expected = [
        digest(*program(torch, state, *map(torch.tensor, program.inputs(call))))
        for call in range(3)
    ]
    got = digests(program, 3, jits=True)
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-10, err_msg=str(program))
