"""A step of the GAN for the inspector: a move of D, and a move of G, each as a recording."""

import dataclasses
import os
from pathlib import Path

import numpy as np

from scratchgan import nn
from scratchgan.autograd.tensor import Tensor
from scratchgan.creation import as_tensor
from scratchgan.data.batches import to_float
from scratchgan.gan.config import Config
from scratchgan.gan.game import Game
from scratchgan.gan.runs import Run
from scratchgan.gan.sampling import check_seed
from scratchgan.gan.trainer import load_images
from scratchgan.random import manual_seed, randn
from scratchgan.viz.inspector import record, write_page

#: Images in a move: as many as the page shows side by side.
_BATCH = 16


def inspect(run: Run | None, path: str | os.PathLike[str], seed: int = 0) -> Path:
    """Write the page on which one steps through a move of D and one of G.

    Args:
        run: Whose trained players move, on its own images; None for those of the tutorial with
            their first weights, on MNIST.
        path: The file, ``*.html``.
        seed: Of the noise, and of first weights.

    Raises:
        RunError: The weights or the images of the run cannot be loaded.
        OSError: The file cannot be written.
    """
    check_seed(seed)
    config = Config.from_recipe("seed") if run is None else run.config
    # The average that draws is a copy, whose moves would only stand in the way.
    config = dataclasses.replace(config, batch_size=_BATCH, ema_decay=0.0, discriminator_steps=1)
    images = load_images(config)
    pixels, labels = images.pixels[:_BATCH], images.labels[:_BATCH]
    manual_seed(seed)
    game = Game(config, images.subject.shape, len(images.names))
    if run is not None:
        game.generator.load_state_dict(run.load_generator().state_dict())
        game.discriminator.load_state_dict(run.load_discriminator().state_dict())
    real = to_float(as_tensor(pixels)).unsqueeze(1)
    noise = [randn(_BATCH, config.latent_dim) for _ in range(2)]
    seen = as_tensor(labels.astype(np.int64)) if config.conditional else None
    names: dict[str, nn.Module | Tensor] = {
        **{"generator": game.generator, "discriminator": game.discriminator},
        **{"real images": real, "noise of D's move": noise[0], "noise of G's move": noise[1]},
    }
    if seen is not None:
        names["labels"] = seen
    recordings = {
        "D moves": record(lambda: game.discriminator_step(real, noise[0], seen), names),
        "G moves": record(lambda: game.generator_step(noise[1], real, seen), names),
    }
    title = "A step of the GAN" if run is None else f"A step of {run.folder.resolve().name}"
    return write_page(path, recordings, image=images.subject.shape, title=title)
