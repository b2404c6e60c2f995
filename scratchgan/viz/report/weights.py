"""A generator as a page holds it: matrices and activations, small enough to travel in the text."""

import base64
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

#: The activations that the page's script can compute after a product.
ACTIVATIONS = ("none", "leaky_relu", "tanh")

#: Most weights of a generator in a page; as text they take 2.7 bytes each.
MOST_WEIGHTS = 1_000_000


class Dense(NamedTuple):
    """A layer, f(W x + b).

    Attributes:
        weight: W, floats (out, in).
        bias: b, floats (out,).
        activation: The name of f, of :data:`ACTIVATIONS`.
        slope: Of a LeakyReLU below 0; 0 for a ReLU.
    """

    weight: NDArray[np.floating]
    bias: NDArray[np.floating]
    activation: str
    slope: float = 0.0


class DrawingNetwork(NamedTuple):
    """A generator that is a chain of layers.

    Attributes:
        layers: From the noise, and a share for each class after it, to pixels in (-1, 1).
        latent_dim: Length of the noise.
        classes: How many classes it can be asked for; 0 if it draws what it likes.
        shape: Height and width of its images.
    """

    layers: Sequence[Dense]
    latent_dim: int
    classes: int
    shape: tuple[int, int]


def as_text(network: DrawingNetwork) -> dict[str, Any] | None:
    """The network as JSON can say it, or None if a page cannot hold it.

    Matrices are rounded to half precision, 11 bits, which no eye can tell from more in an image of
    8; a number beyond 65,504 has none.
    """
    if sum(layer.weight.size for layer in network.layers) > MOST_WEIGHTS:
        return None
    layers = []
    for layer in network.layers:
        with np.errstate(over="ignore"):
            weight = np.ascontiguousarray(layer.weight, "<f2")
        if not (np.isfinite(weight).all() and np.isfinite(layer.bias).all()):
            return None
        layers.append(
            {
                **{"weight": _base64(weight), "bias": _base64(layer.bias.astype("<f4"))},
                **{"activation": layer.activation, "slope": layer.slope},
            }
        )
    about = {"latent_dim": network.latent_dim, "classes": network.classes}
    return {**about, "shape": list(network.shape), "layers": layers}


def _base64(array: NDArray[Any]) -> str:
    return base64.b64encode(array.tobytes()).decode("ascii")
