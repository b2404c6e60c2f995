"""What is written while a training goes on: each callback writes one kind of file of a run."""

import csv
import io
from collections.abc import Sequence

from scratchgan import viz
from scratchgan.gan.evaluation import evaluate
from scratchgan.gan.files import RunError, whole
from scratchgan.gan.runs import Run
from scratchgan.gan.sampling import GRID_ROWS, Stream
from scratchgan.gan.trainer import Callback, Trainer


class MetricsTable(Callback):
    """Writes metrics.csv: a row of numbers every 100 steps, and where digits were judged.

    Columns that a row has no number for are left empty.

    Args:
        run: Whose file it is.
    """

    def __init__(self, run: Run) -> None:
        self.path = run.folder / "metrics.csv"

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Write all rows until now."""
        text = io.StringIO()
        names = {name: None for row in trainer.rows for name in row}
        table = csv.DictWriter(text, names or COLUMNS, lineterminator="\n")
        table.writeheader()
        for row in trainer.rows:
            table.writerow(
                {name: f"{x:.6g}" if isinstance(x, float) else x for name, x in row.items()}
            )
        with whole(self.path) as file:
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
        self.run.save_weights(trainer.game)


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
        is_cut_short = trainer.step % trainer.steps_per_epoch
        if trainer.epoch % self.every or is_cut_short:
            return
        found = evaluate(trainer.generate(self.n, Stream.GENERATE)).numbers()
        if trainer.rows and trainer.rows[-1]["step"] == trainer.step:
            trainer.rows.pop()
        trainer.rows.append({**trainer.row, **found})


#: The columns of metrics.csv where there is no row yet.
COLUMNS = (
    *("step", "epoch", "discriminator_loss", "generator_loss", "d_real", "d_fake", "seconds"),
)


def writing_to(run: Run) -> Sequence[Callback]:
    """The callbacks that write all files of ``run``, as its settings say."""
    every = run.config.evaluate_every
    judges = [Evaluation(every)] if every else []
    return [*judges, SampleGrid(run), MetricsTable(run), Weights(run), Curves(run)]
