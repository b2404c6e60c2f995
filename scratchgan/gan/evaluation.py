"""Evaluation: how good the images of a generator are, judged by a classifier of digits."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scratchgan.data import MNIST, Subject
from scratchgan.gan.classifier import digit_classifier
from scratchgan.gan.files import RunError
from scratchgan.gan.measures import (
    class_shares,
    distance_from_uniform,
    frechet_distance,
    kernel_distance,
    nearest,
    shares,
)

#: Real images that samples are compared with: the last of MNIST's training images.
REFERENCE = 10_000

#: Images whose nearest training image is looked for.
_LOOKED_UP = 500

#: Fewest images that say anything.
LEAST = 100


@dataclass(frozen=True)
class Evaluation:
    """The measures of a set of images; see :mod:`scratchgan.gan.measures` for each.

    Attributes:
        n: How many images there were.
        frechet_distance: From real images, on the features of the classifier.
        kernel_distance: The same by another measure, which is unbiased.
        precision: Share of the images that could be real.
        recall: Share of real images that the generator could have made.
        density: Precision that outliers do not spoil.
        coverage: Share of real images with one of these nearby.
        classes: Share of each digit, 0 to 9.
        imbalance: Total variation distance of those from a tenth each.
        nearest: Median distance of an image to the nearest training image, in pixels from 0 to 1.
        label_accuracy: Share of the images that are taken for what was asked for; None where
            nothing was.
    """

    n: int
    frechet_distance: float
    kernel_distance: float
    precision: float
    recall: float
    density: float
    coverage: float
    classes: tuple[float, ...]
    imbalance: float
    nearest: float
    label_accuracy: float | None = None

    def numbers(self) -> dict[str, float]:
        """The measures by name, each share of a class as one: ``"share_of_0"`` and so on."""
        values = asdict(self)
        del values["n"], values["classes"]
        if self.label_accuracy is None:
            del values["label_accuracy"]
        return values | {f"share_of_{digit}": part for digit, part in enumerate(self.classes)}


def require_digits(subject: Subject, what: str) -> None:
    """Raise a RunError unless images are of what the classifier knows; ``what`` asks for it."""
    if subject != Subject():
        height, width = subject.shape
        raise RunError(
            f"{what}, but only MNIST's ten digits of 28x28 pixels can be judged, and these are "
            f"images of {width}x{height} pixels in the classes {', '.join(subject.names[:20])}"
        )


def evaluate(
    images: NDArray[np.uint8], labels: NDArray[np.integer[Any]] | None = None
) -> Evaluation:
    """Compare images of digits with training images that the classifier has not seen.

    Distances and shares depend on the number of images: compare what comes from equally many, and
    see :func:`of_real_digits` for what real ones get.

    Args:
        images: uint8 (n, 28, 28), from 100 on; 10,000 for figures to compare with others'.
        labels: (n,), which digits they are to be.

    Raises:
        RunError: They are too few.
    """
    if images.shape[1:] != Subject().shape:
        raise RunError(f"images of shape {images.shape[1:]} cannot be judged; digits have (28, 28)")
    if len(images) < LEAST:
        raise RunError(f"{len(images)} images are too few to be judged; take {LEAST} or more")
    training = MNIST().images
    classifier = digit_classifier()
    real, _ = classifier.judge(training[-REFERENCE:])
    fake, classes = classifier.judge(images)
    found = shares(real, fake)
    parts = class_shares(classes)
    looked_up = images[:: max(1, len(images) // _LOOKED_UP)][:_LOOKED_UP]
    _, distances = nearest(_rows(looked_up), _rows(training))
    return Evaluation(
        n=len(images),
        frechet_distance=frechet_distance(real, fake),
        kernel_distance=kernel_distance(real, fake),
        precision=found.precision,
        recall=found.recall,
        density=found.density,
        coverage=found.coverage,
        classes=tuple(parts.tolist()),
        imbalance=distance_from_uniform(parts),
        nearest=float(np.median(distances)),
        label_accuracy=None if labels is None else float(np.mean(classes == labels)),
    )


def of_real_digits(n: int) -> Evaluation:
    """The measures of ``n`` of MNIST's 10,000 test images: the best a generator can hope for."""
    real = MNIST(train=False)
    n = max(LEAST, min(n, len(real.images)))
    return evaluate(real.images[:n], real.labels[:n])


def _rows(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    rows = images.reshape(len(images), -1).astype(np.float32)
    rows /= np.float32(255)
    return rows
