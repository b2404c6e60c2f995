"""What is written while a training goes on: each callback writes one kind of file of a run."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from scratchgan import viz
from scratchgan.gan.evaluation import evaluate
from scratchgan.gan.files import RunError, whole
from scratchgan.gan.runs import Run
from scratchgan.gan.sampling import GRID_ROWS, Stream
from scratchgan.gan.trainer import Callback, Row, Trainer


class MetricsTable(Callback):
    """Writes metrics.csv: a row of numbers every 100 steps, and where digits were judged.

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
        _write_table(self.folder / "metrics.csv", tuple(names) or COLUMNS, trainer.rows)
        _write_table(self.folder / "timings.csv", ("step", "seconds"), trainer.rows)


def _write_table(path: Path, columns: Sequence[str], rows: Sequence[Row]) -> None:
    """Write these columns of all rows as CSV."""
    text = io.StringIO()
    table = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    table.writeheader()
    for row in rows:
        table.writerow({name: f"{x:.6g}" if isinstance(x, float) else x for name, x in row.items()})
    with whole(path) as file:
        file.write(text.getvalue().encode())


class SampleGrid(Callback):
    """Writes samples/epoch-0001.png and so on: what G makes of the same noise after each epoch.

    Args:
        run: Whose files they are.
    """

    def __init__(self, run: Run) -> None:
        self.run = run

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Draw, and write."""
        rows = trainer.classes if trainer.config.conditional else GRID_ROWS
        images = trainer.generate(rows * GRID_ROWS, Stream.SAMPLE)
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
        found = evaluate(trainer.generate(self.n, Stream.GENERATE)).numbers()
        if trainer.rows and trainer.rows[-1]["step"] == trainer.step:
            trainer.rows.pop()
        trainer.rows.append({**trainer.row, **found})


#: The columns of metrics.csv where there is no row yet.
COLUMNS = ("step", "epoch", "discriminator_loss", "generator_loss", "d_real", "d_fake")


def writing_to(run: Run) -> Sequence[Callback]:
    """The callbacks that write all files of ``run``, as its settings say."""
    every = run.config.evaluate_every
    judges = [Evaluation(every)] if every else []
    return [*judges, SampleGrid(run), MetricsTable(run), Weights(run), Curves(run)]
