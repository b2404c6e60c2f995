"""How good samples are: distances between two sets of features, and shares of one in the other.

All functions take features, float arrays (n, d) of real and of generated images, from a classifier
(:mod:`scratchgan.gan.evaluation`). What a number means depends on that classifier: compare numbers
that come from the same one, from as many samples, and beside what real images get.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.floating]

#: Rows whose distances to all others are computed at once.
_AT_ONCE = 1000


def frechet_distance(real: Features, fake: Features) -> float:
    """The squared Fréchet distance of two normal distributions, fitted to the sets.

    ‖μ − ν‖² + tr(Σ + T − 2 (Σ T)^½), known as FID where the classifier is Inception (Heusel et
    al. 2017, "GANs trained by a two time-scale update rule", eq. 6). It is 0 for equal
    distributions, and biased upwards by about tr(Σ) d / n for few samples: use 10,000, and the same
    number for all that is compared. It sees means and covariances alone.

    Raises:
        ValueError: A set has fewer than two samples, or the sets have features of other lengths.
    """
    _check(real, fake, least=2)
    real, fake = real.astype(np.float64), fake.astype(np.float64)
    first, second = np.cov(real, rowvar=False), np.cov(fake, rowvar=False)
    first, second = np.atleast_2d(first), np.atleast_2d(second)
    # The eigenvalues of Σ T are those of Σ^½ T Σ^½, which is symmetric and has no negative ones.
    values, vectors = np.linalg.eigh(first)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    product = np.linalg.eigvalsh(root @ second @ root)
    overlap = np.sqrt(np.maximum(product, 0)).sum()
    means = np.square(real.mean(0) - fake.mean(0)).sum()
    return float(means + np.trace(first) + np.trace(second) - 2 * overlap)


def kernel_distance(real: Features, fake: Features) -> float:
    """The squared maximum mean discrepancy with the kernel (x·y / d + 1)³.

    Known as KID (Bińkowski et al. 2018, "Demystifying MMD GANs", section 4). The estimate is
    unbiased, so that it may be below 0, and that a few thousand samples do.

    Raises:
        ValueError: As :func:`frechet_distance`.
    """
    _check(real, fake, least=2)

    def total(x: Features, y: Features) -> float:
        kernel = 0.0
        for start in range(0, len(x), _AT_ONCE):
            rows = x[start : start + _AT_ONCE].astype(np.float64)
            one = rows @ y.T / x.shape[1] + 1
            kernel += float((one * one * one).sum())  # a power takes ten times as long
        return kernel

    def among(x: Features) -> float:
        itself = ((np.square(x.astype(np.float64)).sum(1) / x.shape[1] + 1) ** 3).sum()
        return (total(x, x) - float(itself)) / (len(x) * (len(x) - 1))

    return among(real) + among(fake) - 2 * total(real, fake) / (len(real) * len(fake))


class Shares(NamedTuple):
    """How much of one set lies within the other, by balls around its samples.

    Attributes:
        precision: Share of generated images that lie in the ball of some real one.
        recall: Share of real images that lie in the ball of some generated one.
        density: How many balls of real images a generated one lies in, relative to what is
            expected; may exceed 1.
        coverage: Share of real images whose ball holds a generated one.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def shares(real: Features, fake: Features, k: int = 3, k_density: int = 5) -> Shares:
    """Improved precision and recall, density and coverage.

    A ball around a sample reaches to its k-th nearest neighbour in its own set. Precision and
    recall are those of Kynkäänniemi et al. 2019, "Improved precision and recall metric for
    assessing generative models", section 2, with k = 3; density and coverage those of Naeem et al.
    2020, "Reliable fidelity and diversity metrics for generative models", section 3, with k = 5,
    which outliers among the real images do not spoil. All grow or shrink with the numbers of
    samples: use 10,000 of each.

    Args:
        real: (n, d), more than ``k`` and ``k_density`` rows.
        fake: (m, d), as many at least.
        k: For precision and recall.
        k_density: For density and coverage.

    Raises:
        ValueError: There are too few samples, or the sets have features of other lengths.
    """
    _check(real, fake, least=max(k, k_density) + 1)
    real, fake = real.astype(np.float64), fake.astype(np.float64)
    real_radii = _radii(real, (k, k_density))
    fake_radii = _radii(fake, (k,))
    precise = 0
    recalled = np.zeros(len(real), bool)
    covered = np.zeros(len(real), bool)
    balls = 0
    for distances in _distances(fake, real):
        rows = slice(distances.start, distances.start + len(distances.squared))
        within = distances.squared <= real_radii[0]
        precise += int(within.any(1).sum())
        recalled |= (distances.squared <= fake_radii[0][rows, None]).any(0)
        within = distances.squared <= real_radii[1]
        balls += int(within.sum())
        covered |= within.any(0)
    return Shares(
        precise / len(fake),
        float(recalled.mean()),
        balls / (k_density * len(fake)),
        float(covered.mean()),
    )


def class_shares(classes: NDArray[np.integer], count: int = 10) -> NDArray[np.float64]:
    """The share of each class from 0 to ``count`` - 1 among ``classes`` (n,)."""
    shares: NDArray[np.float64] = np.bincount(classes, minlength=count) / max(1, len(classes))
    return shares


def distance_from_uniform(shares: NDArray[np.float64]) -> float:
    """The total variation distance of class shares from equal ones: 0 for equal, near 1 for one."""
    return float(np.abs(shares - 1 / len(shares)).sum() / 2)


def effective_classes(shares: NDArray[np.float64]) -> float:
    """How many equally common classes would be as hard to guess as these: from 1 to their number.

    It is the exponential of Shannon's entropy, −Σ p log p, of shares (n,) that sum to 1 (Hill
    1973, "Diversity and evenness", eq. 4 with a = 1).
    """
    present = shares[shares > 0]
    return float(np.exp(-(present * np.log(present)).sum()))


def mean_distance(features: Features) -> float:
    """The mean Euclidean distance of two different rows of ``features`` (n, d): 0 where all agree.

    Raises:
        ValueError: There are fewer than two.
    """
    _check(features, features, least=2)
    # Around their mean, or the squares of large numbers would hide what differs.
    centred = features.astype(np.float64) - features.mean(0, dtype=np.float64)
    total = sum(float(np.sqrt(each.squared).sum()) for each in _distances(centred, centred))
    return total / (len(features) * (len(features) - 1))


def nearest(
    images: Features, among: Features, k: int = 1
) -> tuple[NDArray[np.intp], NDArray[np.floating]]:
    """For each row of ``images`` (n, d) the ``k`` nearest of ``among`` (m, d), nearest first.

    Returns:
        Their positions and Euclidean distances in the precision given, each (n, k).
    """
    _check(images, among, least=1)
    positions, lengths = [], []
    for distances in _distances(images, among):
        best = np.argpartition(distances.squared, k - 1, axis=1)[:, :k]
        found = np.take_along_axis(distances.squared, best, 1)
        order = np.argsort(found, axis=1, kind="stable")
        positions.append(np.take_along_axis(best, order, 1))
        lengths.append(np.sqrt(np.take_along_axis(found, order, 1)))
    return np.concatenate(positions), np.concatenate(lengths)


class _Distances(NamedTuple):
    """Squared distances of the rows from ``start`` on to all of another set."""

    start: int
    squared: NDArray[np.floating]


def _distances(x: Features, y: Features) -> Iterator[_Distances]:
    lengths = np.square(y).sum(1)
    for start in range(0, len(x), _AT_ONCE):
        rows = x[start : start + _AT_ONCE]
        squared = np.square(rows).sum(1)[:, None] + lengths - 2 * (rows @ y.T)
        yield _Distances(start, np.maximum(squared, 0, out=squared))


def _radii(x: Features, ks: tuple[int, ...]) -> list[NDArray[np.floating]]:
    """The squared distances of each sample to its k-th nearest neighbours, for each k."""
    radii = []
    for distances in _distances(x, x):
        rows = np.arange(len(distances.squared))
        distances.squared[rows, distances.start + rows] = -1.0  # itself comes first
        nearest = np.partition(distances.squared, ks, axis=1)
        radii.append(nearest[:, list(ks)].T)
    return list(np.concatenate(radii, axis=1))


def _check(one: Features, other: Features, least: int) -> None:
    for features in (one, other):
        if features.ndim != 2 or len(features) < least:
            raise ValueError(
                f"measures: features of shape {features.shape}; expected (n, d) with n from "
                f"{least} on"
            )
    if one.shape[1] != other.shape[1]:
        raise ValueError(
            f"measures: features of lengths {one.shape[1]} and {other.shape[1]} cannot be compared"
        )
