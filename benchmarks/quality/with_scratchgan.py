"""A training with this project; the arguments are its settings as JSON, and a folder."""

import json
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.record import DIGITS, Record
from scratchgan.gan import Callback, Config, Trainer, load_images
from scratchgan.gan.sampling import Stream


class Watch(Callback):
    """Adds a point after each epoch."""

    digits: NDArray[np.uint8]

    def __init__(self, record: Record) -> None:
        self.record = record

    def on_epoch_end(self, trainer: Trainer) -> None:
        self.digits = trainer.generate(DIGITS, Stream.GENERATE)
        self.record.add(trainer.epoch * len(trainer.images.pixels), self.digits)


def main() -> None:
    settings, folder = sys.argv[1:]
    config = Config.from_dict(json.loads(settings))
    watch = Watch(Record())
    trainer = Trainer(config, load_images(config))
    trainer.run([watch])
    watch.record.write(Path(folder), watch.digits)


if __name__ == "__main__":
    main()
