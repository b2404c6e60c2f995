"""The record of a training: its digits, and how they got better."""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scratchgan.data import MNIST
from scratchgan.gan.classifier import digit_classifier
from scratchgan.gan.evaluation import REFERENCE
from scratchgan.gan.measures import frechet_distance

#: Digits that are judged at each point, and at the end.
DIGITS = 10_000


class Record:
    """Follows a training.

    Attributes:
        points: Images seen, and the Fréchet distance of the digits then.
    """

    def __init__(self) -> None:
        self.classifier = digit_classifier()
        self.real, _ = self.classifier.judge(MNIST().images[-REFERENCE:])
        self.points: list[dict[str, float]] = []

    def add(self, images: int, digits: NDArray[np.uint8]) -> None:
        """Judge what the generator draws after so many images."""
        features, _ = self.classifier.judge(digits)
        distance = frechet_distance(self.real, features)
        self.points.append({"images": images, "distance": distance})

    def write(self, folder: Path, digits: NDArray[np.uint8]) -> None:
        """Leave the points and the last digits in ``folder``."""
        np.save(folder / "digits.npy", digits)
        (folder / "curve.json").write_text(json.dumps(self.points))
