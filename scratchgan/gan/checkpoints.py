"""Checkpoints: all that a run is at a step, in one file, from which it goes on as if never stopped.

::

    checkpoints/step-00004700.safetensors

A checkpoint holds both players, the average, both optimizers and how far the training is, with the
settings and a checksum of the whole file. It appears whole or not at all, and the one before it
stays, so that there is a sound one at any moment: the first is written before the first step.
"""

import hashlib
import io
import math
import re
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from scratchgan import serialization
from scratchgan.data import Images
from scratchgan.files import remove_drafts
from scratchgan.gan.config import Config
from scratchgan.gan.files import RunError, read, whole
from scratchgan.gan.game import Moves
from scratchgan.gan.runs import Run
from scratchgan.gan.trainer import Callback, Row, Trainer, is_finite
from scratchgan.messages import one_line, shown
from scratchgan.serialization import LoadError

#: How many of the newest checkpoints stay.
NEWEST = 2

#: Of the format. A reader takes its own and those before it.
_FORMAT = 1
#: The other entries of a checkpoint, and the kind of each.
_PARTS: dict[str, type] = {"config": dict, "images": str, "training": dict}

#: The columns of every row of metrics.
_COLUMNS = {"step", "epoch", "seconds", *Moves._fields}

_FOLDER = "checkpoints"
_NAME = re.compile(r"step-[0-9]{8,18}\.safetensors")


@dataclass(frozen=True)
class Pace:
    """How often something is done: every so many steps, or seconds.

    Attributes:
        steps: From one time to the next, or None.
        seconds: The same.
    """

    steps: int | None = None
    seconds: float | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """``"500"`` is every 500 steps, ``"60s"`` every 60 seconds.

        Raises:
            RunError: It is neither.
        """
        if re.fullmatch(r"[1-9][0-9]{0,17}", text):
            return cls(steps=int(text))
        if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?s", text):
            return cls(seconds=float(text[:-1]))
        raise RunError(
            f"checkpoint_every is {text!r}; it must be a number of steps, as in 500, or of "
            "seconds, as in 60s"
        )


class Checkpoints(Callback):
    """Writes checkpoints: from time to time, and whenever a training ends or is asked to stop.

    It must be the last of the callbacks, so that at the end of an epoch a checkpoint says that the
    others have done their work.

    Args:
        run: Whose files they are.
        pace: How often one is written.
        keep_every: The checkpoint at the end of every so many epochs stays; 0 for none.
    """

    def __init__(self, run: Run, pace: Pace, keep_every: int = 0) -> None:
        self.run = run
        self.pace = pace
        self.keep_every = keep_every
        self._written = (-1, time.monotonic())  # the step of the newest, and when
        self._images = ""  # the checksum of the images, once it is known

    def on_step_end(self, trainer: Trainer, row: Row | None) -> None:
        """Write one if it is time to, and the epoch goes on."""
        if trainer.is_within_epoch and self._is_due(trainer):
            self.write(trainer)

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Write one if it is time to, or if there will be no other time."""
        is_last = trainer.epoch == trainer.config.epochs
        if trainer.is_within_epoch or is_last or self._stays(trainer) or self._is_due(trainer):
            self.write(trainer)

    def on_train_end(self, trainer: Trainer) -> None:
        """Write one if it was asked to stop just when an epoch had ended."""
        if trainer.step not in map(step_of, checkpoints_of(self.run)):
            self.write(trainer)

    def write(self, trainer: Trainer) -> None:
        """Write a checkpoint, and remove those that are no longer needed.

        A state with weights that are not finite is not written.

        Raises:
            RunError: It cannot be written.
        """
        state = trainer.state_dict()
        if not is_finite(state["game"]):
            return
        self._images = self._images or checksum(trainer.images)
        content = {
            **{"format": _FORMAT, "config": trainer.config.to_dict()},
            **{"images": self._images, "training": state},
        }
        folder = self.run.folder / _FOLDER
        try:
            folder.mkdir(exist_ok=True)
        except OSError as fault:
            raise RunError(f"{folder}: cannot be made ({fault.strerror})") from None
        with whole(folder / f"step-{trainer.step:08d}.safetensors") as file:
            serialization.save(content, file)
        self._written = (trainer.step, time.monotonic())
        for old in checkpoints_of(self.run)[NEWEST:]:
            if not self._stays_at(step_of(old), trainer):
                with suppress(OSError):  # it takes room, and does no harm
                    old.unlink()

    def _is_due(self, trainer: Trainer) -> bool:
        step, moment = self._written
        if self.pace.steps:
            return trainer.step // self.pace.steps > max(step, 0) // self.pace.steps
        return time.monotonic() - moment >= (self.pace.seconds or 0)

    def _stays(self, trainer: Trainer) -> bool:
        return self._stays_at(trainer.step, trainer)

    def _stays_at(self, step: int, trainer: Trainer) -> bool:
        is_asked = bool(self.keep_every) and step > 0
        return is_asked and step % (self.keep_every * trainer.steps_per_epoch) == 0


# --- Reading --------------------------------------------------------------------------------


class Resumed(NamedTuple):
    """From where a training goes on.

    Attributes:
        checkpoint: Its file; None at the very beginning.
        faults: What was wrong with newer ones, a sentence each.
    """

    checkpoint: Path | None
    faults: list[str]


def resume(trainer: Trainer, run: Run) -> Resumed:
    """Bring a new trainer to the newest sound checkpoint of its run.

    Raises:
        RunError: No checkpoint is sound, or the settings or images are not those of the run.
    """
    for folder in (".", _FOLDER, "samples", "histograms"):
        remove_drafts(run.folder / folder)
    found = checkpoints_of(run)
    faults = []
    for path in found:
        try:
            content = read_checkpoint(path)
            _require_same(content, trainer, path)
            _load(content, trainer, path)
        except _OtherTraining:
            raise
        except RunError as fault:
            faults.append(str(fault))
        else:
            return Resumed(path, faults)
    if faults:
        raise RunError(f"{run.folder}: no checkpoint is sound: {'; '.join(faults)}")
    if run.is_trained():
        raise RunError(
            f"{run.folder}: has weights but no checkpoint, so that nothing is known of how to go "
            "on; train a new run"
        )
    return Resumed(None, [])


def checkpoints_of(run: Run) -> list[Path]:
    """The files of a run's checkpoints, the newest first.

    Raises:
        RunError: It cannot be known which there are.
    """
    folder = run.folder / _FOLDER
    try:
        files = list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as fault:
        raise RunError(f"{folder}: cannot be read ({fault.strerror})") from None
    return sorted((path for path in files if _NAME.fullmatch(path.name)), key=step_of)[::-1]


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a checkpoint: ``format``, ``config``, ``images`` and ``training``.

    Raises:
        RunError: It cannot be read, is damaged, or was written by a newer version.
    """
    try:
        content = serialization.load(io.BytesIO(read(path, f"{path}: is not there")))
    except LoadError:
        raise RunError(f"{path}: is damaged, or is no checkpoint") from None
    version = content.get("format") if isinstance(content, dict) else None
    if type(version) is not int:
        raise RunError(f"{path}: is no checkpoint")
    if version > _FORMAT:
        raise RunError(f"{path}: was written by a newer version of scratchgan; install that")
    wrong = [name for name, kind in _PARTS.items() if not isinstance(content.get(name), kind)]
    if wrong:
        raise RunError(f"{path}: is no checkpoint, its {wrong[0]} is not as it must be")
    return content  # type: ignore[no-any-return]


class _OtherTraining(RunError):
    """A checkpoint is sound, but of a training with other settings or images."""


def _require_same(content: dict[str, Any], trainer: Trainer, path: Path) -> None:
    try:
        config = Config.from_dict(content["config"])
    except RunError as fault:
        raise RunError(f"{path}: {fault}") from None
    if differences := config.differences(trainer.config.to_dict()):
        raise _OtherTraining(f"{path}: is of a run with other settings: {differences}")
    if content["images"] != checksum(trainer.images):
        source = trainer.config.data or "MNIST"
        raise _OtherTraining(f"{path}: the images are not those that it was trained on ({source})")


def _load(content: dict[str, Any], trainer: Trainer, path: Path) -> None:
    training = content["training"]
    try:
        is_sound = (
            type(training["step"]) is int
            and 0 <= training["step"] <= trainer.config.epochs * trainer.steps_per_epoch
            and 0 < training["lr_factor"] <= 1
            and 0 <= training["seconds"] < math.inf
            and isinstance(training["rows"], list)
            and all(_is_row(row) for row in (training["row"], *training["rows"]))
            and all(row.keys() >= _COLUMNS for row in training["rows"])
            and is_finite(training["game"])
        )
        if not is_sound:
            raise ValueError("a number is not finite, or outside its range")
        _require_same_options(training["game"], trainer)
        trainer.load_state_dict(training)
    except (LookupError, TypeError, ValueError, RuntimeError, AttributeError) as fault:
        raise RunError(f"{path}: is not of this run ({one_line(fault)})") from None


def _is_row(row: Any) -> bool:
    numbers = row.items()
    return all(
        isinstance(name, str) and type(x) in (int, float) and not abs(x) > sys.float_info.max
        for name, x in numbers
    )


def _require_same_options(game: dict[str, Any], trainer: Trainer) -> None:
    """Raise a ValueError if an optimizer would go on with other options than the settings'."""
    for name in ("generator_optimizer", "discriminator_optimizer"):
        own = getattr(trainer.game, name).state_dict()["param_groups"]
        for group, given in zip(own, game[name]["param_groups"], strict=True):
            for option in group.keys() - {"lr"}:  # which is set anew in each step
                # As text: a file may hold a tensor there, whose comparison is another.
                if option in given and repr(given[option]) != repr(group[option]):
                    raise ValueError(f"{name} has {option} {shown(given[option])}")


def checksum(images: Images) -> str:
    """A number that other images do not have, as text."""
    found = hashlib.sha256(repr(images.pixels.shape).encode())
    for array in (images.pixels, images.labels):
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()


def step_of(path: Path) -> int:
    """The step of the checkpoint with this name."""
    return int(path.stem.removeprefix("step-"))
