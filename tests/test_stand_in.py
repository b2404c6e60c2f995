"""All that stands above the kernels, on arrays that behave as CuPy's: a GAN's training, with jit.

NumPy's kernels compute here; tests/cuda has the CUDA kernels themselves. tests/test_array_habits.py
holds single primitives to an array that refuses even more.
"""

import itertools
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from standin import arrays, cupy

import scratchgan as sg
from scratchgan import Tensor, functions, ops, optim
from scratchgan.backend import kernels_for
from scratchgan.gan import Config, Game


@pytest.fixture(autouse=True, scope="module")
def stand_in() -> Iterator[None]:
    with cupy.install(emulated=False), sg.use_backend("numpy"):
        yield


def steps(device: str, jit: bool, count: int = 3) -> tuple[Game, list[list[Tensor]]]:
    """A GAN after some steps, and what came of them; nothing is read meanwhile."""
    sg.manual_seed(0)
    gan = Game(Config.from_recipe("seed", device=device))
    step = sg.jit(gan.step) if jit else gan.step
    stream = sg.Generator(1)
    moves = []
    for _ in range(count):
        real = sg.rand(8, 1, 28, 28, generator=stream, device=device)
        noises = [sg.randn(8, 100, generator=stream, device=device) for _ in range(2)]
        moves.append(list(step(real, *noises)))
    return gan, moves


@pytest.mark.parametrize("jit", [False, True], ids=["eager", "jit"])
def test_the_whole_step(jit: bool) -> None:
    before = arrays.reads
    gan, moves = steps("cuda", jit)
    assert arrays.reads == before  # nothing waited for the GPU
    expected_gan, expected = steps("cpu", jit)
    for got, wanted in zip(moves, expected, strict=True):
        assert [x.device for x in got] == ["cuda:0"] * 4
        np.testing.assert_array_equal([x.item() for x in got], [x.item() for x in wanted])
    for name in ("generator", "discriminator"):
        pairs = zip(
            getattr(gan, name).parameters(), getattr(expected_gan, name).parameters(), strict=True
        )
        for p, q in pairs:
            np.testing.assert_array_equal(p.numpy(force=True), q.numpy(force=True))


# --- It notices -----------------------------------------------------------------------


def asarray_in_the_tape(patch: pytest.MonkeyPatch) -> None:
    start = sys.modules["scratchgan.autograd.backward"].start

    def planted(name: str, root: Tensor, g: Any) -> Any:
        edge, seed = start(name, root, g)
        return edge, Tensor(np.asarray(seed.array))

    patch.setattr(sys.modules["scratchgan.autograd.backward"], "start", planted)


def float_in_the_tape(patch: pytest.MonkeyPatch) -> None:
    start = sys.modules["scratchgan.autograd.backward"].start

    def planted(name: str, root: Tensor, g: Any) -> Any:
        edge, seed = start(name, root, g)
        return edge, seed * float(root.array)

    patch.setattr(sys.modules["scratchgan.autograd.backward"], "start", planted)


def truth_in_the_tape(patch: pytest.MonkeyPatch) -> None:
    start = sys.modules["scratchgan.autograd.backward"].start
    patch.setattr(
        sys.modules["scratchgan.autograd.backward"],
        "start",
        lambda name, root, g: start(name, root, g) if root.array else None,
    )


def item_in_an_optimizer(patch: pytest.MonkeyPatch) -> None:
    step = optim.Adam.step

    def planted(self: optim.Adam) -> None:
        for state in self.state.values():
            state["step"].array.item()
        step(self)

    patch.setattr(optim.Adam, "step", planted)


def numpy_function(patch: pytest.MonkeyPatch) -> None:
    loss = ops.binary_cross_entropy_with_logits
    patch.setitem(loss.primitive.vjps, "x", lambda g, x: g * Tensor(np.square(x.array)))
    patch.setattr(loss.primitive, "rules", {})


def numpy_index(patch: pytest.MonkeyPatch) -> None:
    def planted(x: Tensor, sizes: Any, axis: int = 0) -> tuple[Tensor, ...]:
        ends = itertools.pairwise(np.cumsum([0, *sizes]))
        return tuple(Tensor(x.array[np.arange(start, end)]) for start, end in ends)

    patch.setattr(Tensor, "split", planted)


def numpy_values_set(patch: pytest.MonkeyPatch) -> None:
    cat = functions.cat

    def planted(tensors: Any, dim: int = 0) -> Tensor:
        result = cat(tensors, dim)
        result.array[0] = np.zeros(result.shape[1:], np.float32)
        return result

    patch.setattr("scratchgan.gan.game.cat", planted)


def object_array(patch: pytest.MonkeyPatch) -> None:
    def planted(self: Tensor) -> Tensor:
        kernels = kernels_for[type(self.array)]
        return Tensor(kernels.empty(self.shape, object, like=self.array))

    patch.setattr(Tensor, "ones_like", planted)


HABITS = {
    asarray_in_the_tape: "Implicit conversion",
    float_in_the_tape: "waits for the GPU",
    truth_in_the_tape: "waits for the GPU",
    item_in_an_optimizer: "waits for the GPU",
    numpy_function: "Implicit conversion",
    numpy_index: "Unsupported type",
    numpy_values_set: "cannot be used for setitem",
    object_array: "Unsupported dtype",
}


@pytest.mark.parametrize(("plant", "message"), HABITS.items())
def test_a_planted_habit_fails(plant: Any, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    if plant in (asarray_in_the_tape, item_in_an_optimizer):
        steps("cpu", jit=False, count=1)  # where nobody would notice
    with pytest.raises((arrays.Waits, TypeError, IndexError, ValueError), match=message):
        steps("cuda", jit=False, count=1)


# --- What the stand-in does as CuPy -----------------------------------------------------


def test_no_implicit_conversion() -> None:
    x = arrays.new(np.arange(3.0))
    for convert in (np.asarray, np.exp, float, bool, list, lambda x: np.ones(3) + x):
        with pytest.raises((TypeError, arrays.Waits)):
            convert(x)


def test_results_without_dimensions_stay_arrays() -> None:
    x = arrays.new(np.arange(3.0))
    assert isinstance(x[1], arrays.ndarray)
    assert isinstance(x[arrays.new(1)], arrays.ndarray)
    assert x[1].shape == ()


def test_indices_and_values() -> None:
    x = arrays.new(np.arange(4.0))
    with pytest.raises(IndexError, match="Unsupported type"):
        x[np.array([0])]
    with pytest.raises(ValueError, match="cannot be used for setitem"):
        x[:2] = np.zeros(2)
    with pytest.raises(ValueError, match="Unsupported dtype object"):
        arrays.ndarray(3, object)
    assert arrays.asnumpy(x[arrays.new([5, -1])]).tolist() == [
        1.0,
        3.0,
    ]  # beyond the bounds: around
    x[arrays.new([0, 0])] = arrays.new([7.0, 8.0])
    assert arrays.asnumpy(x)[0] == 7.0  # any of the two, so not the one that NumPy keeps


def test_memory() -> None:
    x = arrays.new(np.arange(12.0).reshape(3, 4))
    v = x[1:].transpose((1, 0))[::2]
    assert v.base is x
    assert v.data.ptr - x.data.ptr == 32
    assert v.strides == (16, 32)
    assert not v.flags.c_contiguous
