"""The playground: a GAN on points of the plane that trains in a browser, by these objectives."""

import os
from pathlib import Path

from scratchgan.gan.config import Config
from scratchgan.gan.objectives import OBJECTIVES
from scratchgan.viz.playground import Player, Settings, write_playground

#: Most that a weight of D may be where its score must not be steep: more than in a game of images,
#: since each unit of these narrow networks adds up fewer weights.
_WEIGHT_CLIP = 0.1

#: Adam's ε, as :class:`scratchgan.optim.Adam` has it by default.
_EPS = 1e-8

#: Of the LeakyReLU of both networks: DCGAN's (Radford et al. 2016, section 3).
_NEGATIVE_SLOPE = 0.2


def playground(path: str | os.PathLike[str]) -> Path:
    """Write the page, with all objectives of this package.

    Args:
        path: The file, ``*.html``.

    Returns:
        The file.

    Raises:
        OSError: The file cannot be written.
    """
    objectives = {
        name: Player(
            discriminator=row.discriminator,
            generator=row.generator,
            is_relative=row.is_relative,
            boundary=row.boundary,
            weight_clip=_WEIGHT_CLIP if name == "wasserstein" else 0.0,
        )
        for name, row in OBJECTIVES.items()
    }
    usual = Config()
    settings = Settings(usual.objective, usual.beta1, usual.beta2, _EPS, _NEGATIVE_SLOPE)
    return write_playground(path, objectives, settings)
