"""Callbacks that write while a training goes on, each one kind of file of a run."""

from collections.abc import Sequence
from contextlib import suppress

import numpy as np

from scratchgan import viz
from scratchgan.data import DataError, read_picture
from scratchgan.gan.evaluation import evaluate
from scratchgan.gan.files import RunError, whole
from scratchgan.gan.reports import write_report
from scratchgan.gan.runs import Run
from scratchgan.gan.sampling import GRID_ROWS, Stream, class_labels
from scratchgan.gan.tables import write_table
from scratchgan.gan.trainer import Callback, Trainer
from scratchgan.gan.vitals import VitalSigns, add_to_row

#: Most grids in a film.
_MOST_FRAMES = 90


class MetricsTable(Callback):
    """Writes metrics.csv: a row every 100 steps, and where the game was measured.

    Columns that a row has no number for are left empty. The seconds are in timings.csv, so that the
    same settings give the same bytes.

    Args:
        run: Whose files they are.
    """

    def __init__(self, run: Run) -> None:
        self.folder = run.folder

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Write all rows until now."""
        names = {name: None for row in trainer.rows for name in row if name != "seconds"}
        write_table(self.folder / "metrics.csv", tuple(names) or COLUMNS, trainer.rows)
        write_table(self.folder / "timings.csv", ("step", "seconds"), trainer.rows)


class SampleGrid(Callback):
    """Writes samples/epoch-0001.png and so on: what G makes of the same noise after each epoch.

    Args:
        run: Whose files they are.
    """

    def __init__(self, run: Run) -> None:
        self.run = run

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Draw, and write."""
        images = trainer.sample_grid()
        path = self.run.sample_path(trainer.epoch)
        try:
            path.parent.mkdir(exist_ok=True)
        except OSError as fault:
            raise RunError(f"{path.parent}: cannot be made ({fault.strerror})") from None
        with whole(path) as file:
            viz.save_grid(file, images, columns=GRID_ROWS)


class Weights(Callback):
    """Writes both networks: of G, the average that draws, if there is one.

    Args:
        run: Whose files they are.
    """

    def __init__(self, run: Run) -> None:
        self.run = run

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Write them as they are by now."""
        self.run.save_weights(trainer.drawing_generator(), trainer.game.discriminator)


class Curves(Callback):
    """Writes losses.png, the metrics as curves, when the training ends.

    Args:
        run: Whose file it is.
    """

    def __init__(self, run: Run) -> None:
        self.path = run.folder / "losses.png"

    def on_train_end(self, trainer: Trainer) -> None:
        """Draw, and write."""
        try:
            with whole(self.path) as file:
                viz.save_losses(file, trainer.rows)
        except ImportError as fault:
            raise RunError(f"{self.path}: cannot be drawn ({fault})") from None


class Film(Callback):
    """Writes training.gif, the sample grids one after another, when the training ends.

    Args:
        run: Whose file it is.
    """

    def __init__(self, run: Run) -> None:
        self.run = run

    def on_train_end(self, trainer: Trainer) -> None:
        """Read the grids, and write."""
        count = min(trainer.epoch, _MOST_FRAMES)
        epochs = np.linspace(1, trainer.epoch, count).astype(int).tolist()
        frames = []
        for epoch in epochs:
            with suppress(DataError):
                frames.append(viz.in_16_greys(read_picture(self.run.sample_path(epoch), grey=True)))
        if frames:
            with whole(self.run.folder / "training.gif") as file:
                viz.save_film(file, frames, scale=1, rest=2.0)


class Report(Callback):
    """Writes report.html, all that the run tells as a page, when the training ends.

    Args:
        run: Whose file it is.
    """

    def __init__(self, run: Run) -> None:
        self.run = run

    def on_train_end(self, trainer: Trainer) -> None:
        """Read what the others have written, and write."""
        write_report(self.run)


class Evaluation(Callback):
    """Judges the digits every some whole epochs, and puts the measures into a row of metrics.

    Args:
        every: Epochs from one to the next.
        n: How many digits are judged.
    """

    def __init__(self, every: int, n: int = 10_000) -> None:
        self.every = every
        self.n = n

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Judge, if it is time to."""
        if trainer.epoch % self.every or trainer.is_within_epoch:
            return
        labels = class_labels(self.n, trainer.classes) if trainer.config.conditional else None
        asked = None if labels is None else labels.numpy()
        found = evaluate(trainer.generate(self.n, Stream.GENERATE), asked)
        add_to_row(trainer, found.numbers())


#: The columns of metrics.csv where there is no row yet.
COLUMNS = ("step", "epoch", "discriminator_loss", "generator_loss", "d_real", "d_fake")


def writing_to(run: Run) -> Sequence[Callback]:
    """The callbacks that write all files of ``run``, as its settings say."""
    every = run.config.evaluate_every
    judges = [Evaluation(every)] if every else []
    of_epochs = [VitalSigns(run), *judges, SampleGrid(run), MetricsTable(run), Weights(run)]
    # The curves come last: it is Matplotlib that may be out of order.
    return [*of_epochs, Film(run), Report(run), Curves(run)]
