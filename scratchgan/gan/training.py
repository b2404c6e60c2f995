"""A run, trained with all its files: from the beginning, or from where it was stopped."""

from collections.abc import Callable, Sequence

from scratchgan.data import Images
from scratchgan.gan.callbacks import writing_to
from scratchgan.gan.checkpoints import Checkpoints, Pace, resume
from scratchgan.gan.runs import Run
from scratchgan.gan.trainer import Callback, Diverged, Trainer

#: The choices when a training diverges.
ON_DIVERGENCE = ("stop", "restore")

#: A training that diverges again and again is given up when its learning rate is this share of what
#: it should be.
_LEAST_LR_FACTOR = 2.0**-10

#: How often a checkpoint is written if nothing else is asked for.
PACE = Pace(seconds=30)


def train(
    run: Run,
    images: Images,
    callbacks: Sequence[Callback] = (),
    *,
    pace: Pace = PACE,
    keep_every: int = 0,
    on_divergence: str = "stop",
    tell: Callable[[str], None] = lambda sentence: None,
) -> None:
    """Train a run to its end, from its newest sound checkpoint if there is one.

    What comes of it is, byte for byte, what comes of a run that was never stopped.

    Args:
        run: With its settings.
        images: What :func:`gan.load_images` gives for them.
        callbacks: Who is told about it beside those that write the files.
        pace: How often a checkpoint is written.
        keep_every: The checkpoint at the end of every so many epochs stays; 0 for none but the two
            newest.
        on_divergence: ``"restore"`` to go back one checkpoint, and on with half the learning rate.
        tell: Is told in a sentence what is out of the ordinary.

    Raises:
        RunInUse: Another process trains the run.
        RunError: It cannot be written; no checkpoint of it is sound, or they are of a training
            with other settings or images.
        Diverged: A loss is not finite.
        KeyboardInterrupt: As :meth:`gan.Trainer.run` says; there is a checkpoint of the last step
            then.
    """
    lr_factor = 1.0
    with run.locked():
        while True:
            trainer = Trainer(run.config, images)
            start = resume(trainer, run)
            for fault in start.faults:
                tell(f"{fault}; it is left out")
            if start.checkpoint is not None:
                tell(f"Going on from step {trainer.step:,}, as {start.checkpoint} has it")
            trainer.lr_factor = min(lr_factor, trainer.lr_factor)
            checkpoints = Checkpoints(run, pace, keep_every)
            if start.checkpoint is None:  # or weights might be all that is left
                checkpoints.write(trainer)
            try:
                trainer.run([*writing_to(run), *callbacks, checkpoints])
            except Diverged as fault:
                lr_factor = trainer.lr_factor / 2
                if on_divergence != "restore" or lr_factor < _LEAST_LR_FACTOR:
                    raise
                tell(f"{fault}: going back, and on with {lr_factor:g} of the learning rate")
            else:
                return
