"""The players: sizes, shapes, ranges."""

import numpy as np
import pytest

import scratchgan as sg
from scratchgan.gan.models import mlp

WIDTHS = {"generator_widths": (128, 256), "discriminator_widths": (256, 128)}


def shapes(module):
    return {name: tensor.shape for name, tensor in module.state_dict().items()}


@pytest.mark.parametrize("latent_dim", [1, 100])
def test_generator(latent_dim):
    g = mlp((28, 28), latent_dim, **WIDTHS).generator

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
    d = mlp((28, 28), 100, **WIDTHS).discriminator

    assert shapes(d) == {
        **{"1.weight": (256, 784), "1.bias": (256,)},
        **{"3.weight": (128, 256), "3.bias": (128,)},
        **{"5.weight": (1, 128), "5.bias": (1,)},
    }
    images = sg.rand(5, 1, 28, 28) * 2 - 1
    logits = d(images).detach().numpy()
    assert logits.shape == (5, 1)
    np.testing.assert_array_equal(d(images.view(5, 784)).detach().numpy(), logits)


def test_the_seed_decides_the_first_weights():
    first, second, other = [], [], []
    for seed, into in ((3, first), (3, second), (4, other)):
        sg.manual_seed(seed)
        into.append(
            mlp((28, 28), 100, **WIDTHS).generator.state_dict()["0.weight"].numpy().tobytes()
        )
    assert first == second != other


def test_remedies_have_their_places():
    """Batch norm before each activation of G, dropout after each of D, and labels in both."""
    g, d = mlp(
        (8, 6),
        5,
        generator_widths=(4, 3),
        discriminator_widths=(7,),
        negative_slope=0.2,
        batch_norm=True,
        dropout=0.3,
        classes=10,
    )
    kinds = [type(layer).__name__ for layer in g.body]
    hidden = ["Linear", "BatchNorm1d", "LeakyReLU"]
    assert kinds == [*hidden, *hidden, "Linear", "Tanh", "AsImages"]
    assert [type(layer).__name__ for layer in d.body] == [
        *("Flatten", "Linear", "LeakyReLU", "Dropout")
    ]
    assert g.body[0].in_features == 5 + 10
    assert d.of_class.weight.shape == (10, 7)
    labels = sg.tensor([0, 9, 3])
    images = g(sg.randn(3, 5), labels)
    assert images.shape == (3, 1, 8, 6)
    assert d(images, labels).shape == (3, 1)


def test_a_conditional_player_sees_the_label():
    g, d = mlp((4, 4), 3, generator_widths=(8,), discriminator_widths=(8,), classes=4)
    z, images = sg.randn(1, 3), sg.rand(1, 1, 4, 4)
    for player, x in ((g, z), (d, images)):
        seen = {player(x, sg.tensor([label])).detach().numpy().tobytes() for label in range(4)}
        assert len(seen) == 4
