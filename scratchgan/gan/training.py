"""The training loop. It prints nothing: who wants to see its progress watches."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from scratchgan.autograd.tensor import Tensor
from scratchgan.creation import as_tensor, randn
from scratchgan.data import MNIST
from scratchgan.data.batches import pixels_in_batches, to_float
from scratchgan.gan.adversary import GAN, Moves
from scratchgan.gan.config import Config
from scratchgan.gan.files import RunError
from scratchgan.gan.runs import Metrics, Run
from scratchgan.gan.sampling import Stream, draw, noise
from scratchgan.jit import jit
from scratchgan.random import Generator, manual_seed

#: Steps from one row of metrics.csv to the next.
LOG_EVERY = 100

#: What the noise of a step is for: each has a stream that (seed, use, step) decides.
STEP_STREAMS = (Stream.DISCRIMINATOR_STEP, Stream.GENERATOR_STEP)

#: Images in the grid that is drawn after each epoch.
SAMPLES = 64

#: Called after every step with its number, and with its metrics where they were read: every
#: :data:`LOG_EVERY` steps and at the end of an epoch.
Watch = Callable[[int, Metrics | None], object]


def load_images(config: Config) -> NDArray[np.uint8]:
    """The training images that ``config`` names, uint8 (n, 28, 28).

    Raises:
        DataError: They cannot be read.
        RunError: They are fewer than a batch.
    """
    data = MNIST(config.data)
    if config.batch_size > len(data):
        raise RunError(
            f"batch_size is {config.batch_size}, but {data.root} holds only {len(data)} images"
        )
    return data.images


def train(run: Run, images: NDArray[np.uint8], watch: Watch = lambda step, metrics: None) -> None:
    """Train as the settings of ``run`` say, and write all of its files.

    The result is a function of the settings and the images. The default random stream is seeded.

    Args:
        run: A new run.
        images: uint8 (n, 28, 28), at least a batch.
        watch: Called after every step.

    Raises:
        RunError: A file cannot be written.
        KeyboardInterrupt: Ctrl-C was pressed, and all files are written for what was done until
            then: up to the end of a step, or in the middle of it if it was pressed twice.
    """
    config = run.config
    manual_seed(config.seed)
    gan = GAN(config.latent_dim, config.objective, config.lr, config.device)
    streams = [Generator() for _ in STEP_STREAMS]

    def play_from(pixels: Tensor) -> Moves:
        """A step on a batch of bytes: with all that it computes, so that it can be replayed."""
        shape = config.batch_size, config.latent_dim
        noises = [randn(*shape, generator=stream, device=config.device) for stream in streams]
        return gan.step(to_float(pixels).unsqueeze(1), *noises)

    play = jit(play_from) if config.jit else play_from
    sample_noise = noise(
        SAMPLES, config.latent_dim, config.seed, Stream.SAMPLE, device=config.device
    )
    # A GPU gets all images once; on the CPU, NumPy takes batches faster than a tensor.
    data = images if config.device == "cpu" else as_tensor(images, device=config.device)
    steps_per_epoch = len(images) // config.batch_size
    rows: list[Metrics] = []
    step = epoch = 0
    start = time.perf_counter()

    def save() -> None:
        run.save_sample(epoch, draw(gan.generator, sample_noise))
        run.save_metrics(rows)
        run.save_weights(gan)

    with interrupts_between_steps() as stop_if_interrupted:
        try:
            for epoch in range(1, config.epochs + 1):
                for pixels in pixels_in_batches(
                    data, config.batch_size, seed=config.seed, epoch=epoch
                ):
                    step += 1
                    for stream, use in zip(streams, STEP_STREAMS, strict=True):
                        stream.manual_seed(config.seed, use, step)
                    moves = play(as_tensor(pixels))
                    metrics = None
                    if step % LOG_EVERY == 0 or step % steps_per_epoch == 0:
                        seconds = time.perf_counter() - start
                        metrics = Metrics(step, epoch, *moves.read(), seconds)
                    if metrics and step % LOG_EVERY == 0:
                        rows.append(metrics)
                    watch(step, metrics)
                    stop_if_interrupted()
                save()
        except KeyboardInterrupt:
            save()
            run.save_losses(rows)
            raise
    del images, data  # before Matplotlib needs about as much memory
    run.save_losses(rows)


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
