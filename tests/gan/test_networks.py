"""The players: sizes, shapes, ranges."""

import numpy as np
import pytest

import scratchgan as sg
from scratchgan.gan import discriminator, generator


def shapes(module):
    return {name: tensor.shape for name, tensor in module.state_dict().items()}


@pytest.mark.parametrize("latent_dim", [1, 100])
def test_generator(latent_dim):
    g = generator(latent_dim)

    assert shapes(g) == {
        **{"0.weight": (128, latent_dim), "0.bias": (128,)},
        **{"2.weight": (256, 128), "2.bias": (256,)},
        **{"4.weight": (784, 256), "4.bias": (784,)},
    }
    images = g(sg.randn(5, latent_dim) * 100).detach()
    assert images.shape == (5, 1, 28, 28)
    # Noise this large drives tanh to its ends, and nothing beyond them.
    assert np.abs(images.numpy()).max() == pytest.approx(1)
    assert images.numpy().min() == pytest.approx(-1)


def test_discriminator():
    d = discriminator()

    assert shapes(d) == {
        **{"1.weight": (256, 784), "1.bias": (256,)},
        **{"3.weight": (128, 256), "3.bias": (128,)},
        **{"5.weight": (1, 128), "5.bias": (1,)},
    }
    images = sg.rand(5, 1, 28, 28) * 2 - 1
    scores = d(images).detach().numpy()
    assert scores.shape == (5, 1)
    assert ((scores > 0) & (scores < 1)).all()
    np.testing.assert_array_equal(d(images.view(5, 784)).detach().numpy(), scores)


def test_the_seed_decides_the_first_weights():
    first, second, other = [], [], []
    for seed, into in ((3, first), (3, second), (4, other)):
        sg.manual_seed(seed)
        into.append(generator().state_dict()["0.weight"].numpy().tobytes())
    assert first == second != other
