"""The two players: a generator and a discriminator of 28x28 grey images, fully connected."""

from scratchgan import nn
from scratchgan.autograd.tensor import Tensor


class AsImages(nn.Module):
    """The last layer of a generator: rows of 784 numbers seen as images."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, 784) to (N, 1, 28, 28), sharing memory."""
        return x.view(-1, 1, 28, 28)


def generator(latent_dim: int = 100) -> nn.Sequential:
    """G: noise (N, latent_dim) to images (N, 1, 28, 28) with elements in (-1, 1).

    Its weights are drawn from the default stream, which :func:`scratchgan.manual_seed` seeds.
    """
    return nn.Sequential(
        nn.Linear(latent_dim, 128),
        nn.ReLU(),
        nn.Linear(128, 256),
        nn.ReLU(),
        nn.Linear(256, 784),
        nn.Tanh(),
        AsImages(),
    )


def discriminator() -> nn.Sequential:
    """D: images (N, 1, 28, 28), or (N, 784), to the probability (N, 1) that each is real.

    Its weights are drawn from the default stream, which :func:`scratchgan.manual_seed` seeds.
    """
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(784, 256),
        nn.ReLU(),
        nn.Linear(256, 128),
        nn.ReLU(),
        nn.Linear(128, 1),
        nn.Sigmoid(),
    )
