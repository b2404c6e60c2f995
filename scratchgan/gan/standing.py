"""Where a training stands, in the few words that every display of it shows."""

import time
from datetime import timedelta

from scratchgan.gan.config import Config
from scratchgan.gan.trainer import Row, Trainer

#: The names of a row's cells.
HEADINGS = ("epoch", "loss D", "loss G", "D(x)", "D(G(z))", "images/s", "time left")


class Standing:
    """How far a training is, how it goes, and how fast.

    Args:
        config: Of the training.

    Attributes:
        step: Steps done.
        steps_per_epoch: How many there are; 0 until the first step.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.step = 0
        self.steps_per_epoch = 0
        self._metrics: Row | None = None  # the last that were read
        # Speed is measured from here: the end of an epoch's first step, because before that lie the
        # samples of the last epoch, or the compilation of kernels.
        self._mark = (0, 0.0)

    def on_step_end(self, trainer: Trainer, row: Row | None) -> None:
        """A step is done; ``row`` holds its metrics, where they were read."""
        self.step, self.steps_per_epoch = trainer.step, trainer.steps_per_epoch
        self._metrics = row or self._metrics
        if self.step_of_epoch == 1:
            self._mark = (self.step, time.perf_counter())

    @property
    def step_of_epoch(self) -> int:
        """The last step's number within its epoch, from 1 on; 0 before the first."""
        return (self.step - 1) % self.steps_per_epoch + 1 if self.step else 0

    def cells(self) -> tuple[str, ...]:
        """A text for each of :data:`HEADINGS`; a dash where nothing is known yet."""
        epoch = -(-self.step // self.steps_per_epoch) if self.step else 0
        speed = left = loss_d = loss_g = d_real = d_fake = "-"
        steps, start = self._mark
        if self.step > steps:
            rate = (self.step - steps) / (time.perf_counter() - start)
            remaining = self.config.epochs * self.steps_per_epoch - self.step
            per_step = self.config.batch_size * self.config.discriminator_steps
            speed = f"{rate * per_step:,.0f}"
            left = _duration(remaining, rate)
        if self._metrics:
            loss_d = f"{self._metrics['discriminator_loss']:.3f}"
            loss_g = f"{self._metrics['generator_loss']:.3f}"
            d_real, d_fake = f"{self._metrics['d_real']:.2f}", f"{self._metrics['d_fake']:.2f}"
        return f"{epoch}/{self.config.epochs}", loss_d, loss_g, d_real, d_fake, speed, left


def _duration(steps: int, rate: float) -> str:
    """The duration of N steps, or a dash where it is beyond all calendars."""
    try:
        return str(timedelta(seconds=round(steps / rate)))
    except OverflowError:
        return "-"
