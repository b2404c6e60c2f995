"""The examples run, and do what they say."""

import re
import runpy
from pathlib import Path

import numpy as np
import pytest

import scratchgan as sg
from scratchgan.data import MNIST

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


def test_the_readme_does_what_it_says(monkeypatch, capsys):
    """Its Python blocks run, one after another, and print what stands behind each print."""
    text = (EXAMPLES.parent / "README.md").read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    few = type("Few", (), {"images": MNIST().images[:640]})
    monkeypatch.setattr("scratchgan.data.MNIST", few)
    scope = {}

    exec(code, scope)

    expected = re.findall(r"^print\(.*?\)  # (.*)$", code, re.MULTILINE)
    assert capsys.readouterr().out.splitlines() == expected
    assert len(expected) == 3
    assert 0 < scope["d_loss"].item() < 2 * np.log(2)  # it learned something in its ten steps
