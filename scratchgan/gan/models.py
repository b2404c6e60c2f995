"""The players: a generator and a discriminator of grey images, by name.

Their weights are drawn from the default stream, which :func:`scratchgan.manual_seed` seeds.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from scratchgan import nn
from scratchgan.autograd.tensor import Tensor
from scratchgan.creation import eye
from scratchgan.functions import cat, flatten
from scratchgan.nn.functional import embedding


class Players(NamedTuple):
    """The two networks.

    Attributes:
        generator: Noise (N, latent_dim), and labels (N,) if it is conditional, to images
            (N, 1, height, width) with elements in (-1, 1).
        discriminator: Images (N, 1, height, width), and labels (N,) if it is conditional, to logits
            (N, 1).
    """

    generator: nn.Module
    discriminator: nn.Module


class AsImages(nn.Module):
    """The last layer of a generator: rows of numbers seen as images.

    Args:
        height: Of an image.
        width: Of an image.
    """

    def __init__(self, height: int, width: int) -> None:
        self.height = height
        self.width = width

    def forward(self, x: Tensor) -> Tensor:
        """(N, height * width) to (N, 1, height, width), sharing memory."""
        return x.view(-1, 1, self.height, self.width)


class WithLabel(nn.Module):
    """A generator that sees, beside its noise, which class it is to draw.

    The class comes as a row of zeros with a one in it, after the numbers of the input (Mirza &
    Osindero 2014, "Conditional generative adversarial nets", section 3.2).

    Args:
        body: The network; its input is longer by the number of classes.
        classes: How many there are.
    """

    one_hot: Tensor

    def __init__(self, body: nn.Module, classes: int) -> None:
        self.body = body
        self.register_buffer("one_hot", eye(classes))

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """The output of ``body`` for ``x`` (N, ...) and ``labels``.

        Args:
            x: (N, ...).
            labels: Integers (N,), or mixtures of classes, floats (N, classes).
        """
        seen = embedding(labels, self.one_hot) if labels.ndim == 1 else labels
        return self.body(cat([flatten(x, 1), seen], 1))  # type: ignore[no-any-return]


class Projection(nn.Module):
    """A discriminator that asks how well an image goes with its class.

    The logit is w·h + b + v·h, with h what ``body`` makes of the image and v a learned vector of
    its class (Miyato & Koyama 2018, "cGANs with projection discriminator", eq. 5).

    Args:
        body: Images (N, ...) to features (N, features).
        score: Features to logits (N, 1).
        classes: How many there are.
        features: Length of a row of features.
    """

    def __init__(self, body: nn.Module, score: nn.Module, classes: int, features: int) -> None:
        self.body = body
        self.score = score
        self.of_class = nn.Embedding(classes, features)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Images (N, ...) and their classes, integers (N,), to logits (N, 1)."""
        features = self.body(images)
        fit: Tensor = (self.of_class(labels) * features).sum(1, keepdim=True)
        return fit + self.score(features)  # type: ignore[no-any-return]


def mlp(
    shape: tuple[int, int],
    latent_dim: int,
    *,
    generator_widths: Sequence[int],
    discriminator_widths: Sequence[int],
    negative_slope: float = 0.0,
    batch_norm: bool = False,
    dropout: float = 0.0,
    spectral_norm: bool = False,
    classes: int = 0,
) -> Players:
    """Fully connected players.

    Args:
        shape: Height and width of an image.
        latent_dim: Length of a noise vector.
        generator_widths: Sizes of the hidden layers of G, from noise to image.
        discriminator_widths: Sizes of the hidden layers of D, from image to logit.
        negative_slope: Of the LeakyReLU after each hidden layer; 0 makes it a ReLU.
        batch_norm: Whether each hidden layer of G is normalized.
        dropout: Share of D's hidden units that are dropped in training.
        spectral_norm: Whether the weights of D are divided by their largest singular values.
        classes: If not 0, both players see the label, which is less than this.
    """
    height, width = shape

    def activation() -> nn.Module:
        return nn.LeakyReLU(negative_slope) if negative_slope else nn.ReLU()

    def linear(inputs: int, outputs: int) -> nn.Module:
        """A layer of D."""
        layer = nn.Linear(inputs, outputs)
        return nn.utils.spectral_norm(layer) if spectral_norm else layer

    layers: list[nn.Module] = []
    size = latent_dim + classes
    for hidden in generator_widths:
        layers += [nn.Linear(size, hidden), *[nn.BatchNorm1d(hidden)] * batch_norm, activation()]
        size = hidden
    layers += [nn.Linear(size, height * width), nn.Tanh(), AsImages(height, width)]
    generator = nn.Sequential(*layers)

    layers = [nn.Flatten()]
    size = height * width
    for hidden in discriminator_widths:
        layers += [linear(size, hidden), activation(), *[nn.Dropout(dropout)] * bool(dropout)]
        size = hidden
    score = linear(size, 1)
    if not classes:
        return Players(generator, nn.Sequential(*layers, score))
    discriminator = Projection(nn.Sequential(*layers), score, classes, size)
    return Players(WithLabel(generator, classes), discriminator)


#: The players, by the names that the command line takes.
MODELS: dict[str, Callable[..., Players]] = {"mlp": mlp}
