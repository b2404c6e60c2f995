"""The quality of digits by two classifiers: ``python -m benchmarks.quality.judges``.

The first is that of :func:`scratchgan.gan.evaluate`, fully connected. The second is a convolutional
network of PyTorch's, trained here when it is first needed; no setting of any recipe was chosen by
it.
"""

import itertools
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scratchgan.data import MNIST
from scratchgan.gan import evaluate
from scratchgan.gan.evaluation import REFERENCE
from scratchgan.gan.measures import class_shares, frechet_distance, shares

#: The second learns from so many of MNIST's training images, the first, in so many epochs.
LEARNED_FROM, EPOCHS, BATCH = 50_000, 3, 128

#: The last images are what digits are compared with: it has not seen them.
assert LEARNED_FROM + REFERENCE <= 60_000

#: Digits that are kept, for a row of the picture.
KEPT = 24


class Convolutional:
    """The second classifier: 784 pixels to 64 features, and those to ten classes.

    Args:
        path: Where its weights are, or will be.
    """

    def __init__(self, path: Path) -> None:
        import torch
        from safetensors.torch import load_file, save_file
        from torch import nn

        torch.manual_seed(0)
        self.features = nn.Sequential(
            *(nn.Conv2d(1, 16, 5, stride=2, padding=2), nn.ReLU()),
            *(nn.Conv2d(16, 32, 5, stride=2, padding=2), nn.ReLU()),
            *(nn.Flatten(), nn.Linear(32 * 49, 64), nn.ReLU()),
        )
        self.head = nn.Linear(64, 10)
        both = nn.ModuleList([self.features, self.head])
        if path.exists():
            both.load_state_dict(load_file(path))
        else:
            self._train()
            save_file(both.state_dict(), path)

    def _train(self) -> None:
        import torch

        data = MNIST()
        labels = torch.from_numpy(data.labels.astype(np.int64))
        parameters = itertools.chain(self.features.parameters(), self.head.parameters())
        adam = torch.optim.Adam(parameters, 1e-3)
        for _ in range(EPOCHS):
            for places in torch.randperm(LEARNED_FROM).split(BATCH):
                scores = self.head(self.features(self._pixels(data.images[places.numpy()])))
                loss = torch.nn.functional.cross_entropy(scores, labels[places])
                adam.zero_grad()
                loss.backward()
                adam.step()

    def judge(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
        """The features (n, 64) and the classes (n,) of images, uint8 (n, 28, 28)."""
        import torch

        with torch.no_grad():
            features = torch.cat(
                [self.features(self._pixels(part)) for part in np.array_split(images, 10)]
            )
            return features.numpy(), self.head(features).argmax(1).numpy()

    def _pixels(self, images: NDArray[np.uint8]) -> Any:
        import torch

        return torch.from_numpy(images).float().div(255).unsqueeze(1)


def measures(images: NDArray[np.uint8], judge: Convolutional) -> dict[str, Any]:
    """Distance, precision, recall and shares of the classes by the second classifier."""
    real, _ = judge.judge(MNIST().images[-REFERENCE:])
    fake, classes = judge.judge(images)
    found = shares(real, fake)
    return {
        "frechet_distance": frechet_distance(real, fake),
        "precision": found.precision,
        "recall": found.recall,
        "classes": class_shares(classes).tolist(),
    }


def main() -> None:
    """Judge ``digits.npy`` in a folder, keep a few of them, and write ``measures.json``.

    The arguments are the file of the second judge's weights, and the folder.
    """
    network, folder = map(Path, sys.argv[1:])
    digits = np.load(folder / "digits.npy")
    found = {
        "first": asdict(evaluate(digits)),
        "second": measures(digits, Convolutional(network)),
    }
    (folder / "measures.json").write_text(json.dumps(found))
    # A conditional generator draws class after class: some of all are kept.
    np.save(folder / "digits.npy", digits[:: max(len(digits) // KEPT, 1)][:KEPT])


if __name__ == "__main__":
    main()
