"""Trains the classifier that judges the digits of a GAN, and writes its weights into the package.

    python examples/digit_classifier.py

It learns from the first 40,000 training images. The rest it has never seen, like the digits of a
GAN, so that those can be compared with them. A digit moved by two pixels is the same digit, so each
batch is moved at random. Two minutes on two cores.
"""

import math

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

import scratchgan as sg
from scratchgan import nn, optim
from scratchgan.data import MNIST
from scratchgan.data.batches import to_float
from scratchgan.gan.classifier import LEARNED_FROM, WEIGHTS, DigitClassifier

EPOCHS, BATCH, LR, SHIFT = 40, 256, 2e-3, 2

rng = np.random.default_rng(0)


def moved(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Each image moved by up to SHIFT pixels up or down, and left or right."""
    padded = np.pad(images, ((0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, images.shape[1:], axis=(1, 2))
    down, right = rng.integers(0, 2 * SHIFT + 1, (2, len(images)))
    return windows[np.arange(len(images)), down, right]


def main() -> None:
    """Train, test, write."""
    sg.manual_seed(0)
    train, test = MNIST(), MNIST(train=False)
    images, labels = train.images[:LEARNED_FROM], train.labels[:LEARNED_FROM].astype(np.int64)
    classifier = DigitClassifier()
    adam = optim.Adam(classifier.parameters(), LR)

    @sg.jit
    def step(pixels: sg.Tensor, classes: sg.Tensor) -> sg.Tensor:
        adam.zero_grad()
        loss = nn.functional.cross_entropy(classifier(to_float(pixels)), classes)
        loss.backward()
        adam.step()
        return loss

    batches = len(images) // BATCH
    for epoch in range(EPOCHS):
        order = rng.permutation(len(images))
        for number in range(batches):
            done = (epoch * batches + number) / (EPOCHS * batches)
            adam.param_groups[0]["lr"] = LR * (1 + math.cos(math.pi * done)) / 2
            part = order[number * BATCH : (number + 1) * BATCH]
            loss = step(sg.tensor(moved(images[part])), sg.tensor(labels[part]))
        print(f"epoch {epoch + 1}/{EPOCHS}: loss {loss.item():.3f}")

    _, classes = classifier.eval().judge(test.images)
    print(f"{(classes == test.labels).mean():.2%} of the test digits are named right")
    state = classifier.state_dict()
    save_file({name: x.numpy(force=True) for name, x in state.items()}, WEIGHTS)
    WEIGHTS.chmod(0o644)
    print(f"wrote {WEIGHTS}")


if __name__ == "__main__":
    main()
