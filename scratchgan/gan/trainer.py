"""The training loop. It prints nothing and writes nothing: that is for callbacks."""

import copy
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scratchgan import data, nn
from scratchgan.autograd import detect_anomaly
from scratchgan.autograd.anomaly import AnomalyError
from scratchgan.autograd.tensor import Tensor
from scratchgan.creation import as_tensor
from scratchgan.data import Images
from scratchgan.data.batches import index_batches, to_float
from scratchgan.gan.config import SCHEDULES, Config
from scratchgan.gan.evaluation import require_digits
from scratchgan.gan.files import RunError
from scratchgan.gan.game import Game, Moves, retake_statistics
from scratchgan.gan.sampling import GRID_ROWS, Stream, class_labels, draw, noise
from scratchgan.gan.signals import Stopped, stops_between_steps
from scratchgan.jit import jit
from scratchgan.random import default_generator, manual_seed, randn

#: Steps from one row of metrics to the next.
LOG_EVERY = 100

#: Noise vectors on which the statistics of batch norm are taken before G draws.
_STATISTICS = 4096

#: A row of metrics: numbers by name, "step" and "epoch" among them.
Row = dict[str, float]

#: The bytes of a step's images, and their labels in a conditional game.
Batch = tuple[Tensor, Tensor | None]

#: The attributes of a trainer that say how far it is.
_PROGRESS = ("step", "seconds", "rows", "row", "lr_factor")


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


class Diverged(RunError):
    """A nan or an inf appeared in a training; the message says where, and what may help."""


class Callback:
    """A listener to a training; a subclass overrides the events that it wants to know."""

    def on_step_end(self, trainer: "Trainer", row: Row | None) -> None:
        """A step is done; ``row`` holds its metrics, where they were read."""

    def on_epoch_end(self, trainer: "Trainer") -> None:
        """An epoch is done, or as much of it as there was when the training was asked to stop."""

    def on_train_end(self, trainer: "Trainer") -> None:
        """The training is done, or was asked to stop."""


class Trainer:
    """A training: the game, the images that it is played on, and how far it is.

    The result is a function of the settings and the images. All that is drawn, but for the order of
    images, comes from the default random stream, which is seeded anew in each step: so that all
    that later steps depend on is in :meth:`state_dict`.

    Args:
        config: The settings.
        images: What to learn from, at least a step's.

    Attributes:
        game: The players.
        steps_per_epoch: How many there are; images that are left over wait for another epoch.
        step: Steps done.
        seconds: How long they took, with all that callbacks did between them.
        rows: The metrics every :data:`LOG_EVERY` steps.
        row: The metrics that were read last, there or at the end of an epoch.
        lr_factor: What the learning rate of the settings is multiplied with.
    """

    def __init__(self, config: Config, images: Images) -> None:
        self.config = config
        self.images = images
        manual_seed(config.seed)
        self.game = Game(config, images.pixels.shape[1:], len(images.names))
        per_step = config.batch_size * config.discriminator_steps
        self.steps_per_epoch = len(images.pixels) // per_step
        self.step = 0
        self.seconds = 0.0
        self.rows: list[Row] = []
        self.row: Row = {}
        self.lr_factor = 1.0
        self._kept: dict[str, Any] | None = None  # the state some steps ago, once it runs
        self._drawing: nn.Module | None = None  # what draws, once it has been asked for

    @property
    def epoch(self) -> int:
        """The epoch of the last step, from 1 on; 0 before the first."""
        return -(-self.step // self.steps_per_epoch)

    @property
    def is_within_epoch(self) -> bool:
        """Whether steps of this epoch are still to be done."""
        return self.step % self.steps_per_epoch != 0

    def state_dict(self) -> dict[str, Any]:
        """All that the rest of the training depends on; tensors share memory with the game."""
        return {**{name: getattr(self, name) for name in _PROGRESS}, "game": self.game.state_dict()}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from what :meth:`state_dict` gave, of a training with the same settings and images.

        Raises:
            KeyError, RuntimeError, ValueError: It is of another game; nothing was changed.
        """
        progress = {name: copy.copy(state_dict[name]) for name in _PROGRESS}
        self.game.load_state_dict(state_dict["game"])
        for name, value in progress.items():
            setattr(self, name, value)
        self._drawing = None

    def run(self, callbacks: Sequence[Callback] = ()) -> None:
        """Train to the end.

        Args:
            callbacks: Who is told about it, in this order.

        Raises:
            RuntimeError: This training has been run.
            Diverged: A loss is not finite.
            RunError: There is not enough memory.
            KeyboardInterrupt: Ctrl-C was pressed, SIGTERM came, or the terminal was closed
                (:class:`gan.signals.Stopped`); the callbacks have been told that the epoch and the
                training have ended. A second one strikes at once, and nobody is told.
        """
        if self._kept is not None:
            raise RuntimeError(f"this training is at step {self.step}; make a new Trainer")
        try:
            with stops_between_steps() as stop_if_asked:
                try:
                    self._run(callbacks, stop_if_asked)
                except Stopped:
                    for callback in callbacks:
                        callback.on_epoch_end(self)
                    for callback in callbacks:
                        callback.on_train_end(self)
                    raise
        except MemoryError as fault:
            size = self.config.batch_size
            reason = f" ({fault})" if str(fault) else ""
            raise RunError(
                f"there is not enough memory for a step with batch_size {size}{reason}; take fewer "
                "images, or smaller networks"
            ) from None

    def _run(self, callbacks: Sequence[Callback], stop_if_asked: Callable[[], None]) -> None:
        self._keep()
        start = time.perf_counter() - self.seconds
        play = jit(self._play) if self.config.jit else self._play
        for _ in range(self.step // self.steps_per_epoch, self.config.epochs):
            for batch in self._batches():
                moves = self._take_step(play, batch)
                self.seconds = time.perf_counter() - start
                row = self._row(moves)
                for callback in callbacks:
                    callback.on_step_end(self, row)
                stop_if_asked()
            for callback in callbacks:
                callback.on_epoch_end(self)
        for callback in callbacks:
            callback.on_train_end(self)

    def drawing_generator(self) -> nn.Module:
        """A copy of what draws by now, in the mode for use.

        Its statistics of batch norm are taken anew. It is a copy, so that the training goes on as
        if nothing had been drawn; until the next step it is the same one, not to be changed.
        """
        if self._drawing is None:
            self._drawing = self._drawing_copy()
        return self._drawing

    def _drawing_copy(self) -> nn.Module:
        generator, config = copy.deepcopy(self.game.average), self.config
        device = config.device
        given = noise(_STATISTICS, config.latent_dim, config.seed, Stream.STATISTICS, device=device)
        labels = class_labels(len(given), self.classes, device) if config.conditional else None
        retake_statistics(generator, given, *(() if labels is None else (labels,)))
        return generator.eval()

    def samples(self, noise: Tensor, labels: Tensor | None = None) -> NDArray[np.uint8]:
        """The images (n, height, width) that the generator makes of ``noise`` by now."""
        return draw(self.drawing_generator(), noise, labels)

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

    def sample_grid(self) -> NDArray[np.uint8]:
        """The images that a grid of :data:`GRID_ROWS` columns shows, of the same noise each time.

        As many rows; of a conditional generator a row for each class.
        """
        rows = self.classes if self.config.conditional else GRID_ROWS
        return self.generate(rows * GRID_ROWS, Stream.SAMPLE)

    @property
    def classes(self) -> int:
        """How many labels there are."""
        return len(self.images.names)

    def _batches(self) -> Iterator[Batch]:
        """The bytes of the images for each step that this epoch still has, and their labels."""
        config, (pixels, labels, _) = self.config, self.images
        size = config.batch_size * config.discriminator_steps
        on_cpu = config.device == "cpu"
        # A GPU gets all images once; on the CPU, NumPy takes batches faster than a tensor.
        held = pixels if on_cpu else as_tensor(pixels, device=config.device)
        epoch, done = divmod(self.step, self.steps_per_epoch)
        for places in index_batches(
            len(pixels), size, seed=config.seed, epoch=epoch + 1, start=done
        ):
            chosen = places if on_cpu else as_tensor(places, device=config.device)
            batch = as_tensor(held[chosen])
            if not config.conditional:
                yield batch, None
            else:
                yield batch, as_tensor(labels[places].astype(np.int64), device=config.device)

    def _take_step(self, play: Callable[..., Moves], batch: Batch) -> Moves:
        self._prepare_step()
        moves = play(*batch)
        self.step += 1
        self._drawing = None
        return moves

    def _prepare_step(self) -> None:
        """Have the step draw its own numbers, at its own learning rate."""
        config, game = self.config, self.game
        default_generator.manual_seed(config.seed, Stream.STEP, self.step + 1)
        done = self.step / (config.epochs * self.steps_per_epoch)
        lr = config.lr * self.lr_factor * SCHEDULES[config.lr_schedule](done)
        for optimizer in (game.generator_optimizer, game.discriminator_optimizer):
            for group in optimizer.param_groups:
                group["lr"] = lr

    def _play(self, pixels: Tensor, labels: Tensor | None) -> Moves:
        """A step on a batch of bytes: with all that it computes, so that it can be replayed."""
        config = self.config
        d_noise = randn(len(pixels), config.latent_dim, device=config.device)
        g_noise = randn(config.batch_size, config.latent_dim, device=config.device)
        return self.game.step(to_float(pixels).unsqueeze(1), d_noise, g_noise, labels)

    def _row(self, moves: Moves) -> Row | None:
        """The metrics of a step, every :data:`LOG_EVERY` steps and at the end of an epoch.

        Raises:
            Diverged: They are not finite, or the weights are not.
        """
        is_told = self.step % LOG_EVERY == 0 or not self.is_within_epoch
        if not is_told and self.config.device != "cpu":
            return None  # to read a value would wait for the device
        values = dict(zip(moves._fields, moves.read(), strict=True))
        if not all(map(math.isfinite, values.values())):
            raise self._diverged()
        if not is_told:
            return None
        row: Row = {"step": self.step, "epoch": self.epoch, **values, "seconds": self.seconds}
        self.row = row
        if self.step % LOG_EVERY == 0:
            self.rows.append(row)
        self._keep()
        return row

    def _keep(self) -> None:
        """Keep the state in memory, to come back to if the training diverges."""
        state = copy.deepcopy(self.game.state_dict())
        if not is_finite(state):
            raise self._diverged()
        self._kept = {"step": self.step, "game": state}

    def _diverged(self) -> Diverged:
        """Say at which step, and where in it, a nan or an inf first appeared.

        The steps since the state that was kept are taken again, the last of them without jit.
        """
        kept, last = self._kept, self.step
        lr = self.game.generator_optimizer.param_groups[0]["lr"]
        advice = f"take a lower learning rate than {lr:g}"
        if kept is None:
            return Diverged(f"some weights are not finite before step {last + 1}")
        play = jit(self._play) if self.config.jit else self._play
        first = self._replay(kept, last, play)
        self._replay(kept, first - 1, play)
        where = "some weights are not finite after it"
        try:
            with detect_anomaly():
                self._take_step(self._play, next(self._batches()))
        except AnomalyError as found:
            where = f"{found.what} appears in {found.where}{self._place_of(found.module)}"
        return Diverged(f"the training diverged at step {first}: {where}; {advice}")

    def _replay(self, kept: dict[str, Any], last: int, play: Callable[..., Moves]) -> int:
        """Go back to ``kept``, and on to the first step that is not finite, or to ``last``."""
        self.game.load_state_dict(kept["game"])
        self.step = kept["step"]
        while self.step < last:
            for batch in self._batches():
                moves = self._take_step(play, batch)
                if self.step == last or not all(map(math.isfinite, moves.read())):
                    return self.step
        return self.step

    def _place_of(self, module: object) -> str:
        """Where ``module`` is among the players, in words."""
        for player in ("generator", "discriminator"):
            for name, known in getattr(self.game, player).named_modules(prefix=player):
                if known is module:
                    return f", of {name} ({type(module).__name__})"
        return ""


def is_finite(state: Any) -> bool:
    """Whether all numbers are finite in a tensor, or in dicts of them."""
    if isinstance(state, Mapping):
        return all(map(is_finite, state.values()))
    return not isinstance(state, Tensor) or bool(np.isfinite(state.numpy(force=True)).all())
