"""How long an image takes in training: the arguments are a package and settings as JSON.

Measured apart from the trainings, which take hours, and in turns, so that all contenders see the
same machine.
"""

import json
import statistics
import sys
import time
from dataclasses import replace

from scratchgan.gan import Callback, Config, Trainer, load_images
from scratchgan.gan.trainer import Row


class Clock(Callback):
    """Notes when each step was done."""

    def __init__(self) -> None:
        self.moments: list[float] = []

    def on_step_end(self, trainer: Trainer | None = None, row: Row | None = None) -> None:
        self.moments.append(time.perf_counter())

    @property
    def seconds(self) -> float:
        """The median of a step; the first, which compiles or records, is none of them."""
        between = zip(self.moments, self.moments[1:], strict=False)
        return statistics.median(end - begin for begin, end in between)


def main() -> None:
    package, settings = sys.argv[1:]
    config = replace(Config.from_dict(json.loads(settings)), epochs=1)
    clock = Clock()
    if package == "torch":
        from benchmarks.quality.with_torch import Twin, steps

        for _ in steps(Twin(config)):
            clock.on_step_end()
    else:
        Trainer(config, load_images(config)).run([clock])
    print(clock.seconds / (config.batch_size * config.discriminator_steps))


if __name__ == "__main__":
    main()
