"""Whole trainings, on the CPU and on a GPU."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

import scratchgan as sg
from scratchgan import cli
from scratchgan.data import batches
from scratchgan.gan import Config, Game, Run, Trainer, load_images, writing_to
from scratchgan.gan.sampling import Stream, noise

#: Steps and batch size, by how the GPU is computed on and the type of the weights. In float32 two
#: ways of rounding part after some 50 steps: a ReLU near zero is on in one and off in the other.
LENGTH = {
    ("emulated", np.float64): (4, 16),
    ("emulated", np.float32): (4, 16),
    ("real", np.float64): (200, 64),
    ("real", np.float32): (20, 64),
}


def trained(
    device: str, dtype: Any, jit: bool, steps: int, size: int
) -> list[np.ndarray[Any, Any]]:
    """Losses and scores of each step, and the weights at the end."""
    sg.manual_seed(0)
    gan = Game(Config.from_recipe("seed"))
    for name in ("generator", "discriminator"):
        network = getattr(gan, name).to(dtype).to(device)
        setattr(gan, f"{name}_optimizer", sg.optim.Adam(network.parameters(), 2e-4, (0.5, 0.999)))
    step = sg.jit(gan.step) if jit else gan.step
    images = np.random.default_rng(0).integers(0, 256, (20 * size, 28, 28), np.uint8)
    data = sg.tensor(images, device=device)
    taken = (b for epoch in range(99) for b in batches(data, size, seed=0, epoch=epoch))
    moves = []
    for number, batch in zip(range(steps), taken, strict=False):
        noises = [noise(size, 100, 0, s, number, device).to(dtype) for s in Stream][:2]
        moves.append([float(x) for x in step(batch.to(dtype), *noises)])
    weights = [*gan.generator.parameters(), *gan.discriminator.parameters()]
    return [np.array(moves), *[w.numpy(force=True) for w in weights]]


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-10), (np.float32, 2e-4)])
@pytest.mark.parametrize("jit", [False, True], ids=["eager", "jit"])
def test_a_training_is_that_of_the_cpu(dtype: Any, tolerance: float, jit: bool, way: str) -> None:
    steps, size = LENGTH[way, dtype]
    with sg.use_backend("numpy"):
        expected = trained("cpu", dtype, False, steps, size)
    got = trained("cuda", dtype, jit, steps, size)
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def test_batches_are_those_of_the_cpu() -> None:
    images = np.random.default_rng(0).integers(0, 256, (50, 28, 28), np.uint8)
    there = sg.tensor(images, device="cuda")
    assert there.dtype == sg.uint8
    pairs = zip(
        batches(images, 8, seed=1, epoch=2, start=1),
        batches(there, 8, seed=1, epoch=2, start=1),
        strict=True,
    )
    for a, b in pairs:
        assert b.device == "cuda:0"
        np.testing.assert_array_equal(a, b.numpy())


def test_a_run_on_a_gpu(tiny_mnist: Path, tmp_path: Path) -> None:
    """The files of a run, its samples and weights, from the GPU and from the CPU."""
    weights = []
    for device in ("cpu", "cuda:0"):
        config = Config.from_recipe(
            "seed", data=str(tiny_mnist), epochs=1, batch_size=64, latent_dim=5, device=device
        )
        run = Run.create(tmp_path / device.replace(":", ""), config)
        Trainer(config, load_images(config)).run(writing_to(run))
        assert Run.open(run.folder).config == config
        assert run.sample_path(1).exists()
        weights.append(load_file(run.folder / "generator.safetensors"))
    for name in weights[0]:
        np.testing.assert_allclose(weights[1][name], weights[0][name], rtol=2e-4, atol=2e-4)


def test_the_command_line_names_the_gpus(capsys: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("sys.argv", ["scratchgan", "info"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert not end.value.code
    assert f"cuda:0 is {sg.cuda.get_device_name()}" in capsys.readouterr().out
