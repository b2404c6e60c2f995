"""A classifier of digits, which judges samples: its weights come with the package.

``examples/digit_classifier.py`` made them; it names 98.9 % of the test digits right.
"""

import functools
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scratchgan import nn
from scratchgan.autograd import no_grad
from scratchgan.autograd.tensor import Tensor
from scratchgan.creation import as_tensor
from scratchgan.data.batches import to_float

#: It has seen so many of MNIST's training images, the first.
LEARNED_FROM = 40_000

#: Length of the features.
FEATURES = 16

WEIGHTS = Path(__file__).with_name("classifier.safetensors")

#: Images that are judged at once.
_AT_ONCE = 1000


class DigitClassifier(nn.Module):
    """Images to 16 features, and those to a score for each of ten classes.

    Attributes:
        features: (N, 1, 28, 28), or (N, 784), in [-1, 1] to (N, 16).
        head: (N, 16) to (N, 10).
    """

    def __init__(self) -> None:
        self.features = nn.Sequential(
            nn.Flatten(),
            nn.Linear(784, 512),
            nn.BatchNorm1d(512),
            nn.LeakyReLU(0.1),
            nn.Dropout(0.3),
            nn.Linear(512, FEATURES),
            nn.BatchNorm1d(FEATURES),
            nn.LeakyReLU(0.1),
        )
        self.head = nn.Sequential(nn.Dropout(0.3), nn.Linear(FEATURES, 10))

    def forward(self, x: Tensor) -> Tensor:
        """Images to scores (N, 10)."""
        scores: Tensor = self.head(self.features(x))
        return scores

    def judge(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
        """The features (n, 16) and the classes (n,) of images, uint8 (n, 28, 28)."""
        features, classes = [], []
        with no_grad():
            for start in range(0, len(images), _AT_ONCE):
                pixels = to_float(as_tensor(images[start : start + _AT_ONCE]))
                found = self.features(pixels.unsqueeze(1))
                features.append(found.numpy())
                classes.append(self.head(found).numpy().argmax(1))
        return np.concatenate(features), np.concatenate(classes)


@functools.cache
def digit_classifier() -> DigitClassifier:
    """The trained classifier, on the CPU, for use."""
    from safetensors.numpy import load_file

    classifier = DigitClassifier()
    classifier.load_state_dict(load_file(WEIGHTS))
    return classifier.eval()
