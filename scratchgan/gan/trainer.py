"""The training loop. It prints nothing and writes nothing: that is for callbacks."""

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from scratchgan import data
from scratchgan.autograd.tensor import Tensor
from scratchgan.creation import as_tensor
from scratchgan.data import Images
from scratchgan.data.batches import index_batches, to_float
from scratchgan.gan.config import SCHEDULES, Config
from scratchgan.gan.evaluation import require_digits
from scratchgan.gan.files import RunError
from scratchgan.gan.game import Game, Moves, retake_statistics
from scratchgan.gan.sampling import Stream, class_labels, draw, noise
from scratchgan.jit import jit
from scratchgan.random import default_generator, manual_seed, randn

#: Steps from one row of metrics to the next.
LOG_EVERY = 100

#: Noise vectors on which the statistics of batch norm are taken before G draws.
_STATISTICS = 4096

#: A row of metrics: numbers by name, "step" and "epoch" among them.
Row = dict[str, float]


def load_images(config: Config) -> Images:
    """The training images that ``config`` names.

    Raises:
        DataError: They cannot be read.
        RunError: They are fewer than a step takes.
    """
    images = data.load_images(config.data, config.image_size, config.grey)
    needed = config.batch_size * config.discriminator_steps
    if needed > len(images.pixels):
        times = f" × {config.discriminator_steps}" if config.discriminator_steps > 1 else ""
        raise RunError(
            f"batch_size is {config.batch_size}{times}, but {config.data or 'MNIST'} holds only "
            f"{len(images.pixels)} images"
        )
    if config.evaluate_every:
        require_digits(images.subject, f"evaluate_every is {config.evaluate_every}")
    return images


class Callback:
    """What is told how a training goes; a subclass overrides what it wants to know."""

    def on_step_end(self, trainer: "Trainer", row: Row | None) -> None:
        """A step is done; ``row`` holds its metrics, where they were read."""

    def on_epoch_end(self, trainer: "Trainer") -> None:
        """An epoch is done, or as much of it as there was before an interrupt."""

    def on_train_end(self, trainer: "Trainer") -> None:
        """The training is done, or was interrupted."""


class Trainer:
    """A training: the game, the images that it is played on, and how far it is.

    The result is a function of the settings and the images. All that is drawn, but for the order of
    images, comes from the default random stream, which is seeded anew in each step.

    Args:
        config: The settings.
        images: What to learn from, at least a step's.

    Attributes:
        game: The players.
        steps_per_epoch: How many there are; images that are left over wait for another epoch.
        step: Steps done.
        epoch: The epoch that is going on, from 1 on; 0 before the first.
        rows: The metrics every :data:`LOG_EVERY` steps.
        row: The metrics that were read last, there or at the end of an epoch.
    """

    def __init__(self, config: Config, images: Images) -> None:
        self.config = config
        self.images = images
        manual_seed(config.seed)
        self.game = Game(config, images.pixels.shape[1:], len(images.names))
        per_step = config.batch_size * config.discriminator_steps
        self.steps_per_epoch = len(images.pixels) // per_step
        self.step = self.epoch = 0
        self.rows: list[Row] = []
        self.row: Row = {}

    def run(self, callbacks: Sequence[Callback] = ()) -> None:
        """Train to the end.

        Args:
            callbacks: Who is told about it, in this order.

        Raises:
            RuntimeError: This training has been run.
            RunError: It diverged: a loss is not finite.
            KeyboardInterrupt: Ctrl-C was pressed, and the callbacks have been told that the epoch
                and the training have ended: at the end of a step, or in the middle of it if it was
                pressed twice.
        """
        if self.step:
            raise RuntimeError(f"this training is at step {self.step}; make a new Trainer")
        start = time.perf_counter()
        play = jit(self._play) if self.config.jit else self._play
        with interrupts_between_steps() as stop_if_interrupted:
            try:
                for epoch in range(1, self.config.epochs + 1):
                    self.epoch = epoch
                    for pixels, labels in self._batches():
                        self._prepare_step()
                        moves = play(pixels, labels)
                        self.step += 1
                        row = self._row(moves, time.perf_counter() - start)
                        for callback in callbacks:
                            callback.on_step_end(self, row)
                        stop_if_interrupted()
                    for callback in callbacks:
                        callback.on_epoch_end(self)
            except KeyboardInterrupt:
                for callback in callbacks:
                    callback.on_epoch_end(self)
                for callback in callbacks:
                    callback.on_train_end(self)
                raise
        for callback in callbacks:
            callback.on_train_end(self)

    def samples(self, noise: Tensor, labels: Tensor | None = None) -> NDArray[np.uint8]:
        """The images (n, height, width) that the generator makes of ``noise`` by now."""
        config, generator = self.config, self.game.average
        given = self._statistics_noise()
        seen = () if labels is None else (class_labels(len(given), self.classes, config.device),)
        retake_statistics(generator, given, *seen)
        was_training = generator.training
        try:
            return draw(generator.eval(), noise, labels)
        finally:
            generator.train(was_training)

    def generate(self, n: int, stream: Stream) -> NDArray[np.uint8]:
        """The images (n, height, width) that the generator makes by now of a stream of noise.

        Args:
            n: How many; of a conditional generator, in equal parts of all classes.
            stream: Of the run's noise; the same one gives the same noise each time.
        """
        config = self.config
        labels = class_labels(n, self.classes, config.device) if config.conditional else None
        return self.samples(
            noise(n, config.latent_dim, config.seed, stream, device=config.device), labels
        )

    @property
    def classes(self) -> int:
        """How many labels there are."""
        return len(self.images.names)

    def _statistics_noise(self) -> Tensor:
        config = self.config
        return noise(
            _STATISTICS, config.latent_dim, config.seed, Stream.STATISTICS, device=config.device
        )

    def _batches(self) -> Iterator[tuple[Tensor, Tensor | None]]:
        """The bytes of the images for each step of this epoch, and their labels."""
        config, (pixels, labels, _) = self.config, self.images
        size = config.batch_size * config.discriminator_steps
        on_cpu = config.device == "cpu"
        # A GPU gets all images once; on the CPU, NumPy takes batches faster than a tensor.
        held = pixels if on_cpu else as_tensor(pixels, device=config.device)
        for places in index_batches(len(pixels), size, seed=config.seed, epoch=self.epoch):
            chosen = places if on_cpu else as_tensor(places, device=config.device)
            batch = as_tensor(held[chosen])
            if not config.conditional:
                yield batch, None
            else:
                yield batch, as_tensor(labels[places].astype(np.int64), device=config.device)

    def _prepare_step(self) -> None:
        """Have the step draw its own numbers, at its own learning rate."""
        config, game = self.config, self.game
        default_generator.manual_seed(config.seed, Stream.STEP, self.step + 1)
        done = self.step / (config.epochs * self.steps_per_epoch)
        lr = config.lr * SCHEDULES[config.lr_schedule](done)
        for optimizer in (game.generator_optimizer, game.discriminator_optimizer):
            for group in optimizer.param_groups:
                group["lr"] = lr

    def _play(self, pixels: Tensor, labels: Tensor | None) -> Moves:
        """A step on a batch of bytes: with all that it computes, so that it can be replayed."""
        config = self.config
        d_noise = randn(len(pixels), config.latent_dim, device=config.device)
        g_noise = randn(config.batch_size, config.latent_dim, device=config.device)
        return self.game.step(to_float(pixels).unsqueeze(1), d_noise, g_noise, labels)

    def _row(self, moves: Moves, seconds: float) -> Row | None:
        """The metrics of a step, where they are read: it waits for what computes them."""
        ends_epoch = self.step % self.steps_per_epoch == 0
        if self.step % LOG_EVERY and not ends_epoch:
            return None
        values = dict(zip(moves._fields, moves.read(), strict=True))
        if not all(map(math.isfinite, values.values())):
            raise RunError(
                f"the training diverged: at step {self.step} the loss of D is "
                f"{values['discriminator_loss']} and that of G {values['generator_loss']}; a lower "
                "lr may help"
            )
        row: Row = {"step": self.step, "epoch": self.epoch, **values, "seconds": seconds}
        self.row = row
        if self.step % LOG_EVERY == 0:
            self.rows.append(row)
        return row


@contextmanager
def interrupts_between_steps() -> Iterator[Callable[[], None]]:
    """Hold Ctrl-C back until the yielded function is called, so that it cuts no step in half.

    Pressed a second time it strikes at once. Where Ctrl-C means something else than an interrupt,
    or in a thread that does not receive it, nothing is changed.
    """
    interrupted = False

    def hold(*_: object) -> None:
        nonlocal interrupted
        interrupted = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def stop_if_interrupted() -> None:
        if interrupted:
            raise KeyboardInterrupt

    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield stop_if_interrupted
        return
    signal.signal(signal.SIGINT, hold)
    try:
        yield stop_if_interrupted
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
