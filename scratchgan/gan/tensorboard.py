"""A training in TensorBoard: its metrics, its samples and its weights."""

from pathlib import Path
from typing import Any

import numpy as np

from scratchgan.gan.files import RunError
from scratchgan.gan.runs import Run
from scratchgan.gan.sampling import GRID_ROWS
from scratchgan.gan.trainer import Callback, Trainer
from scratchgan.viz.figures import grid


class TensorBoard(Callback):
    """Writes the folder ``tensorboard`` of a run, for ``tensorboard --logdir``.

    It gets the rows of metrics as scalars and, after each epoch, a grid of samples as an image and
    the weights of both players as histograms.

    Args:
        run: Whose folder it is.

    Raises:
        RunError: The package tensorboardX is missing.
    """

    def __init__(self, run: Run) -> None:
        try:
            import tensorboardX
        except ImportError as fault:
            raise RunError(
                f"TensorBoard's files cannot be written ({fault}); "
                "pip install 'scratchgan[tensorboard]' brings what is missing"
            ) from None
        self._writer_of = tensorboardX.SummaryWriter
        self._folder: Path = run.folder / "tensorboard"
        self._writer: Any = None  # once it is known from which step on
        self._told = 0  # rows

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Write what is new."""
        if self._writer is None:
            before = (trainer.epoch - 1) * trainer.steps_per_epoch
            if self._folder.exists():  # an earlier process has told what was before
                self._told = sum(row["step"] <= before for row in trainer.rows)
            # What it told of steps that were taken again is void.
            # Files are named after the second, in which another may have been begun.
            self._writer = self._writer_of(
                str(self._folder), purge_step=before + 1, filename_suffix=f".{before}"
            )
        writer = self._writer
        for row in trainer.rows[self._told :]:
            for name, value in row.items():
                if name not in ("step", "epoch"):
                    writer.add_scalar(name.replace(".", "/", 1), value, int(row["step"]))
        self._told = len(trainer.rows)
        picture = grid(trainer.sample_grid(), GRID_ROWS)
        writer.add_image("samples", picture, trainer.step, dataformats="HW")
        for player in ("generator", "discriminator"):
            for name, weights in getattr(trainer.game, player).named_parameters():
                values = np.asarray(weights.numpy(force=True))
                writer.add_histogram(f"{player}/{name}", values, trainer.step)
        writer.flush()

    def on_train_end(self, trainer: Trainer) -> None:
        """Close the files."""
        if self._writer is not None:
            self._writer.close()
