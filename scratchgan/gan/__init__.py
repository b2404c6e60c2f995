"""The generative adversarial network: its players, objectives, training, and runs on disk."""

from scratchgan.gan.adversary import GAN
from scratchgan.gan.config import Config
from scratchgan.gan.files import RunError
from scratchgan.gan.networks import discriminator, generator
from scratchgan.gan.objectives import OBJECTIVES
from scratchgan.gan.runs import Metrics, Run
from scratchgan.gan.sampling import generate
from scratchgan.gan.training import load_images, train

__all__ = [
    "GAN",
    "OBJECTIVES",
    "Config",
    "Metrics",
    "Run",
    "RunError",
    "discriminator",
    "generate",
    "generator",
    "load_images",
    "train",
]
