"""The classifier that judges, and what it says of images whose faults are known."""

import numpy as np
import pytest

from scratchgan.data import MNIST
from scratchgan.gan import evaluation
from scratchgan.gan.classifier import digit_classifier
from scratchgan.gan.evaluation import evaluate, of_real_digits
from scratchgan.gan.files import RunError

N = 1000


@pytest.fixture(autouse=True)
def fewer_real_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "REFERENCE", 2000)


@pytest.fixture(scope="module")
def digits() -> MNIST:
    return MNIST(train=False)


def test_the_classifier_names_digits(digits: MNIST) -> None:
    features, classes = digit_classifier().judge(digits.images)
    assert features.shape == (10_000, 16)
    assert (classes == digits.labels).mean() >= 0.985


def test_real_digits_are_good() -> None:
    real = of_real_digits(N)
    assert real.n == N
    assert min(real.precision, real.density, real.coverage) > 0.6
    assert real.frechet_distance < 2
    assert abs(real.kernel_distance) < 1
    assert real.imbalance < 0.1
    assert sum(real.classes) == pytest.approx(1)
    assert real.label_accuracy is not None
    assert real.label_accuracy > 0.97


def test_digits_that_are_others_than_asked_for(digits: MNIST) -> None:
    images, labels = digits.images[:N], digits.labels[:N].astype(int)
    right = evaluate(images, labels).label_accuracy
    spoilt = np.where(np.arange(N) % 4 == 0, (labels + 1) % 10, labels)
    assert right is not None
    assert evaluate(images, spoilt).label_accuracy == pytest.approx(0.75 * right, abs=0.02)
    without = evaluate(images)
    assert without.label_accuracy is None
    assert "label_accuracy" not in without.numbers()


def test_what_is_no_digit() -> None:
    real = of_real_digits(N)
    rng = np.random.default_rng(0)
    noise = evaluate(rng.integers(0, 256, (N, 28, 28), np.uint8))
    assert noise.frechet_distance > 50 * real.frechet_distance
    assert noise.kernel_distance > 50 * abs(real.kernel_distance)
    assert noise.precision == noise.recall == noise.coverage == 0
    assert noise.nearest > 2 * real.nearest


def test_images_of_another_size_are_refused() -> None:
    with pytest.raises(RunError, match="cannot be judged; digits have"):
        evaluate(np.zeros((N, 20, 28), np.uint8))


def test_one_digit_again_and_again(digits: MNIST) -> None:
    found = evaluate(np.repeat(digits.images[:1], N, 0))
    assert found.recall < 0.01
    assert found.imbalance == pytest.approx(0.9)
    assert max(found.classes) == 1.0


def test_a_digit_that_is_missing(digits: MNIST) -> None:
    real = of_real_digits(N)
    found = evaluate(digits.images[digits.labels != 3][:N])
    assert found.classes[3] < 0.01
    assert found.frechet_distance > 1.5 * real.frechet_distance
    assert found.precision > real.precision - 0.03  # nothing is wrong with what is there
    assert found.recall < real.recall + 0.03


def test_copies_of_training_images() -> None:
    found = evaluate(MNIST().images[:N])
    assert found.nearest < 1e-3


def test_too_few_images() -> None:
    with pytest.raises(RunError, match="99 images are too few"):
        evaluate(np.zeros((99, 28, 28), np.uint8))
