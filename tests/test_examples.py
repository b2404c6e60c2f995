"""The examples run, and do what they say."""

import runpy
from pathlib import Path

import numpy as np
import pytest

import scratchgan as sg

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(scope="module")
def mnist_gan():
    return runpy.run_path(str(EXAMPLES / "mnist_gan.py"))


def test_mnist_gan_trains_both_networks(mnist_gan, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first = mnist_gan["main"](steps=1)
    third = mnist_gan["main"](steps=3)

    for before, after in zip(first, third, strict=True):
        later = after.state_dict()
        for name, weight in before.state_dict().items():
            # Adam moves a weight by about the learning rate in each step.
            moved = np.abs(weight.numpy() - later[name].numpy()).max()
            assert 1e-4 < moved < 1e-3, name
    assert not list(tmp_path.iterdir())


def test_mnist_gan_draws_an_epoch(mnist_gan, tmp_path, monkeypatch, capsys):
    """With fewer images an epoch is short."""
    scope = mnist_gan["main"].__globals__
    images = scope["MNIST"]().images[: 64 * 100]
    monkeypatch.setitem(scope, "MNIST", lambda: type("Few", (), {"images": images}))
    monkeypatch.setitem(scope, "EPOCHS", 1)

    generator, _ = mnist_gan["main"](picture=str(tmp_path / "samples.png"))

    assert capsys.readouterr().out.startswith("epoch 1, step 100: D ")
    assert (tmp_path / "samples.png").read_bytes().startswith(b"\x89PNG")
    assert generator(sg.randn(2, 100)).shape == (2, 784)


# --- The tutorial's listing, with PyTorch's imports and with these -------------------------


def tutorial(library):
    return (EXAMPLES / f"tutorial_{library}.py").read_text()


def is_import(line):
    return line.startswith(("import ", "from "))


def test_the_tutorials_differ_in_their_imports_alone():
    one, other = (tutorial(library).splitlines() for library in ("torch", "scratchgan"))
    assert len(one) == len(other)
    apart = [(a, b) for a, b in zip(one, other, strict=True) if a != b]
    assert apart
    for a, b in apart:
        assert is_import(a)
        words = b.replace("scratchgan.vision", "torchvision").replace(
            "scratchgan as torch", "torch"
        )
        assert words.replace("scratchgan", "torch") == a


class Batches(list):
    """Images and labels, in the tensors of a library."""

    def __init__(self, tensor, count):
        random = np.random.default_rng(0)
        shape = (count, 16, 1, 28, 28)
        images = random.uniform(-1, 1, shape).astype(np.float32)
        super().__init__((tensor(x), None) for x in images)


def losses_of(module, tensor, state, monkeypatch):
    """The losses of the first steps, from given weights and noise, without dropout."""
    noise = np.random.default_rng(1)
    library = module["torch"]
    monkeypatch.setattr(
        library,
        "randn",
        lambda *size, device: tensor(noise.standard_normal(size).astype(np.float32)),
    )
    players = module["Generator"](), module["Discriminator"]()
    players[1].model[2].p = 0.0
    for player, given in zip(players, state, strict=True):
        player.load_state_dict({name: tensor(x) for name, x in given.items()})
    return module["train"](*players, Batches(tensor, 12), 1)


@pytest.fixture
def tutorial_losses(monkeypatch, capsys):
    monkeypatch.setenv("MPLBACKEND", "agg")
    sg.manual_seed(0)
    module = runpy.run_path(str(EXAMPLES / "tutorial_scratchgan.py"))
    state = [
        {name: x.numpy().copy() for name, x in module[player]().state_dict().items()}
        for player in ("Generator", "Discriminator")
    ]
    found = losses_of(module, sg.from_numpy, state, monkeypatch)
    assert capsys.readouterr().out.startswith("[1/1] [0/12] D loss: 0.")
    return state, found


def test_the_tutorial_learns(tutorial_losses):
    _, losses = tutorial_losses
    assert len(losses) == 12
    assert losses[-1][0] < losses[0][0]


def test_the_tutorial_loses_what_it_loses_with_pytorch(tutorial_losses, monkeypatch):
    torch = pytest.importorskip("torch")
    pytest.importorskip("torchvision")
    state, losses = tutorial_losses
    module = runpy.run_path(str(EXAMPLES / "tutorial_torch.py"))
    expected = losses_of(module, torch.from_numpy, state, monkeypatch)
    np.testing.assert_allclose(losses, expected, rtol=2e-4)
