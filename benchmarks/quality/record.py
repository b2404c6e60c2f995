"""What a training leaves: its digits, and how they got better."""

import json
import time
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
    """Follows a training; the clock stands still while digits are judged.

    Attributes:
        points: Images seen, seconds trained, and the Fréchet distance of the digits then.
    """

    def __init__(self) -> None:
        self.classifier = digit_classifier()
        self.real, _ = self.classifier.judge(MNIST().images[-REFERENCE:])
        self.points: list[dict[str, float]] = []
        self._spent = 0.0
        self._begin = time.perf_counter()

    def pause(self) -> None:
        """Stop the clock: what follows, until the next point is added, is not training."""
        self._spent += time.perf_counter() - self._begin

    def add(self, images: int, digits: NDArray[np.uint8]) -> None:
        """Judge what the generator draws after so many images, and start the clock again."""
        features, _ = self.classifier.judge(digits)
        distance = frechet_distance(self.real, features)
        self.points.append({"images": images, "seconds": self._spent, "distance": distance})
        self._begin = time.perf_counter()

    def write(self, folder: Path, digits: NDArray[np.uint8]) -> None:
        """Leave the points and the last digits in ``folder``."""
        np.save(folder / "digits.npy", digits)
        (folder / "curve.json").write_text(json.dumps(self.points))
