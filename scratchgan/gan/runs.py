"""The folder of a run: what a training writes, and what is read back from it.

::

    config.json                 the settings, and the version that wrote them
    metrics.csv                 a row every 100 steps, and at the end of each epoch
    timings.csv                 how many seconds each of them had taken
    samples/epoch-0001.png      what G makes of the same noise, after each epoch
    histograms/epoch-0001.json  of weights and their updates (gan/vitals.py), after epochs
    losses.png                  the metrics as curves
    training.gif                the samples as a film
    report.html                 all of this as a page, with the generator in it
    generator.safetensors       the weights, by the names of ``state_dict``
    discriminator.safetensors
    checkpoints/                all that the training is at a step (gan/checkpoints.py)

Nothing is ever unpickled, and every file appears whole or not at all.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from scratchgan import nn
from scratchgan.data import Subject
from scratchgan.data.images import MOST_PIXELS
from scratchgan.gan.config import Config
from scratchgan.gan.files import RunError, read, whole
from scratchgan.gan.game import count_of_weights, new_players
from scratchgan.messages import one_line, shown

#: More bytes than any settings.
_MOST_SETTINGS = 1 << 20
#: How many classes there can be: labels are bytes.
_MOST_CLASSES = 256
_MNIST = Subject()
#: The file that a process holds while it trains the run; it stays, and means nothing.
LOCK = ".lock"
#: The checkpoint of a training that has taken no step.
_BEGINNING = "step-00000000.safetensors"


class FolderTaken(RunError):
    """A folder that is to be a run's holds something else."""


class RunInUse(RunError):
    """Another process trains a run, or sweeps a folder of them."""


@dataclass(frozen=True)
class Run:
    """A run folder and the settings in it; made by :meth:`create` or :meth:`open`.

    Attributes:
        folder: Where its files are.
        config: Its settings.
        subject: What its images are of.
        made: The folders that :meth:`create` made, innermost first.
    """

    folder: Path
    config: Config
    subject: Subject = _MNIST
    made: tuple[Path, ...] = field(default=(), compare=False, repr=False)

    @classmethod
    def create(
        cls,
        folder: str | os.PathLike[str],
        config: Config,
        subject: Subject = _MNIST,
        may_exist: bool = True,
    ) -> "Run":
        """A new run in ``folder``, which does not exist yet or is empty.

        Args:
            folder: Where its files will be.
            config: Its settings.
            subject: What its images are of.
            may_exist: False if even an empty folder is another's, which has just made it.

        Raises:
            FolderTaken: The folder holds a run or anything else.
            RunError: It cannot be written.
        """
        folder = Path(folder)
        made = tuple(path for path in (folder, *folder.parents) if not os.path.lexists(path))
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            # One that was not there a moment ago, and is now, is another's.
            folder.mkdir(exist_ok=may_exist and not made)
            present = {entry.name for entry in folder.iterdir()}
        except OSError as fault:
            _remove(made[1:])
            is_taken = isinstance(fault, FileExistsError) and os.path.lexists(folder)
            kind = FolderTaken if is_taken else RunError
            files = [path for path in (folder, *folder.parents) if os.path.isfile(path)]
            reason = f"{files[0]} is a file" if files else fault.strerror
            raise kind(f"{folder}: cannot be made a run folder ({reason})") from None
        if present:
            what = "another run" if "config.json" in present else "other files"
            raise FolderTaken(f"{folder}: already holds {what}; choose a new folder")
        from importlib.metadata import version  # here, because it takes as long as the rest

        about = {"scratchgan": version("scratchgan"), "shape": subject.shape}
        settings = {**about, "classes": subject.names, **config.to_dict()}
        run = cls(folder, config, subject, made)
        try:
            with whole(folder / "config.json") as file:
                file.write(json.dumps(settings, indent=2).encode() + b"\n")
        except BaseException:
            run.discard_if_untrained()
            raise
        return run

    @classmethod
    def create_next(cls, name: str, config: Config, subject: Subject = _MNIST) -> "Run":
        """A new run in the :func:`new_folder` of this name.

        Raises:
            RunError: It cannot be written.
        """
        while True:
            with suppress(FolderTaken):  # by a run that began at the same moment
                return cls.create(new_folder(name), config, subject, may_exist=False)

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> "Run":
        """The run that ``folder`` holds.

        Raises:
            RunError: It holds none, or its config.json is damaged.
        """
        folder = Path(folder)
        path = folder / "config.json"
        try:
            missing = f"{folder}: holds no run (there is no config.json)"
            settings = json.loads(read(path, missing, most=_MOST_SETTINGS))
        except (ValueError, RecursionError) as fault:
            if isinstance(fault, RunError):
                raise
            raise RunError(f"{path}: is no JSON ({one_line(fault)})") from None
        try:
            subject = _subject_in(settings)
            return cls(folder, Config.from_dict(settings), subject)
        except RunError as fault:
            raise RunError(f"{path}: {fault}") from None

    def discard_if_untrained(self) -> bool:
        """Remove what was written if no step of it was kept, so that the folder is free again.

        A folder that was there before the run stays, as do files that are not the run's.

        Returns:
            Whether something is kept: there are weights, or a checkpoint of some step, or another
            process trains the run.
        """
        try:
            with self.locked():  # or it would be taken from who trains it
                if self._has_steps():
                    return True
                self._remove_files()
        except RunInUse:
            return True
        except RunError:  # it cannot be locked; nor can it be trained
            if self._has_steps():
                return True
            self._remove_files()
        with suppress(OSError):
            (self.folder / LOCK).unlink()
        _remove(self.made)
        return False

    def _has_steps(self) -> bool:
        try:
            names = os.listdir(self.folder / "checkpoints")
        except (FileNotFoundError, NotADirectoryError):
            names = []
        except OSError:  # nobody knows
            return True
        checkpoints = {name for name in names if name.startswith("step-")}
        return self.is_trained() or bool(checkpoints - {_BEGINNING})

    def _remove_files(self) -> None:
        """Remove all files of a run but the lock, and the folders in it that are empty then."""
        samples, histograms = self.folder / "samples", self.folder / "histograms"
        checkpoints = self.folder / "checkpoints"
        tables = ("config.json", "metrics.csv", "timings.csv")
        shown = ("losses.png", "training.gif", "report.html")
        names = (*tables, *shown, "discriminator.safetensors")
        of_run = (checkpoints / _BEGINNING, *(self.folder / name for name in names))
        for path in (*samples.glob("epoch-*.png"), *histograms.glob("epoch-*.json"), *of_run):
            with suppress(OSError):
                path.unlink()
        _remove((samples, histograms, checkpoints))

    def sample_path(self, epoch: int) -> Path:
        """Where the sample grid of an epoch lies."""
        return self.folder / "samples" / f"epoch-{epoch:04d}.png"

    def histograms_path(self, epoch: int) -> Path:
        """Where the histograms of an epoch lie."""
        return self.folder / "histograms" / f"epoch-{epoch:04d}.json"

    def is_trained(self) -> bool:
        """Whether there are weights of a generator."""
        return (self.folder / "generator.safetensors").exists()

    def locked(self) -> AbstractContextManager[None]:
        """Hold this run: another process cannot, until the ``with`` block or this process ends.

        Raises:
            RunInUse: Another process holds it.
            RunError: It cannot be held.
        """
        return locked(self.folder, "trains this run")

    def save_weights(self, generator: nn.Module, discriminator: nn.Module) -> None:
        """Write both networks."""
        from safetensors.numpy import save

        for name, module in (("generator", generator), ("discriminator", discriminator)):
            state = module.state_dict()
            # safetensors writes memory as it lies, whatever the strides say.
            arrays = {
                key: np.array(tensor.numpy(force=True), order="C") for key, tensor in state.items()
            }
            with whole(self.folder / f"{name}.safetensors") as file:
                file.write(save(arrays))

    def load_generator(self) -> nn.Module:
        """The trained generator, in the mode for use.

        Raises:
            RunError: There is none yet, its file is damaged, or it is not of this run.
        """
        return self._load("generator")

    def load_discriminator(self) -> nn.Module:
        """The trained discriminator, in the mode for use.

        Raises:
            RunError: As :meth:`load_generator`.
        """
        return self._load("discriminator")

    def _load(self, name: str) -> nn.Module:
        from safetensors import SafetensorError
        from safetensors.numpy import load

        path = self.folder / f"{name}.safetensors"
        content = read(path, f"{self.folder}: holds no {name}.safetensors; train it first")
        try:
            state = load(content)
        except (SafetensorError, KeyError, ValueError) as fault:  # KeyError: a type NumPy has not
            raise RunError(f"{path}: is no safetensors file ({one_line(fault)})") from None
        is_not = f"{path}: is not the {name} of this run"
        # Counted first, so that the settings make nothing larger than the file.
        held = sum(array.size for array in state.values())
        shape, classes = self.subject.shape, len(self.subject.names)
        needed = count_of_weights(self.config, shape, classes, name)
        if held < needed:
            raise RunError(f"{is_not}: it holds {held:,} numbers, which has {needed:,} weights")
        if wrong := [x.dtype for x in state.values() if x.dtype.kind not in "fiu"]:
            raise RunError(f"{is_not}: it holds numbers of type {wrong[0]}")
        player: nn.Module = getattr(new_players(_only(self.config, name), shape, classes), name)
        try:
            with np.errstate(over="ignore", invalid="ignore"):  # it is seen below
                player.load_state_dict(state)
        except RuntimeError as fault:
            faults = "; ".join(line.strip() for line in str(fault).splitlines()[1:])
            raise RunError(f"{is_not}: {one_line(faults)}") from None
        if not all(np.isfinite(tensor.numpy()).all() for tensor in player.state_dict().values()):
            raise RunError(f"{path}: some weights are not finite, so the training had diverged")
        return player.eval()


@contextmanager
def locked(folder: Path, use: str) -> Iterator[None]:
    """Hold a folder: another process cannot, until the ``with`` block or this process ends.

    Args:
        folder: Which.
        use: What another process does that holds it, in words.

    Raises:
        RunInUse: Another process holds it.
        RunError: It cannot be held.
    """
    from filelock import FileLock, Timeout

    path = folder / LOCK
    lock = FileLock(path, blocking=False)
    try:
        lock.acquire()
    except Timeout:
        raise RunInUse(f"{folder}: another process {use}") from None
    except (OSError, NotImplementedError) as fault:
        reason = getattr(fault, "strerror", None) or fault
        raise RunError(f"{path}: cannot be locked ({reason})") from None
    try:
        yield
    finally:
        lock.release()


def _only(config: Config, name: str) -> Config:
    """Settings for the player ``name`` as it is, and for another that is as small as can be."""
    if name == "generator":
        return replace(config, discriminator_widths=())
    return replace(config, generator_widths=(), latent_dim=1)


def _subject_in(settings: Any) -> Subject:
    """The subject of a run's images; taken out of what its config.json holds.

    Raises:
        RunError: It says something else than a height, a width, and names.
    """
    if not isinstance(settings, dict):
        return _MNIST  # Config says what is wrong
    if not isinstance(settings.pop("scratchgan", None), str):
        raise RunError("it says nothing of the version that wrote it, so it is not of a run")
    # The first versions knew no other images than MNIST's.
    shape, names = settings.pop("shape", [28, 28]), settings.pop("classes", list(_MNIST.names))
    is_shape = isinstance(shape, list) and len(shape) == 2
    if not is_shape or not all(type(x) is int and 1 <= x <= MOST_PIXELS for x in shape):
        raise RunError(f"shape is {shown(shape)}; it must be a height and a width to {MOST_PIXELS}")
    is_list = isinstance(names, list) and 1 <= len(names) <= _MOST_CLASSES
    if not is_list or not all(isinstance(x, str) for x in names):
        raise RunError(f"classes is {shown(names)}; it must be a list of names")
    return Subject((shape[0], shape[1]), tuple(names))


def new_folder(name: str) -> Path:
    """``runs/name``, or the first of ``runs/name-2``, ``runs/name-3``, ... that does not exist."""
    folder, number = Path("runs", name), 1
    while os.path.lexists(folder):  # also a link to nowhere
        number += 1
        folder = Path("runs", f"{name}-{number}")
    return folder


def _remove(folders: Sequence[Path]) -> None:
    """Remove those that are empty, in this order."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()
