"""The laboratory of generative adversarial networks: players, games, trainings, runs on disk."""

from scratchgan.gan.callbacks import writing_to
from scratchgan.gan.config import Config
from scratchgan.gan.evaluation import evaluate
from scratchgan.gan.files import RunError
from scratchgan.gan.game import Game
from scratchgan.gan.models import MODELS
from scratchgan.gan.objectives import OBJECTIVES
from scratchgan.gan.penalties import PENALTIES
from scratchgan.gan.recipes import RECIPES
from scratchgan.gan.runs import Run
from scratchgan.gan.sampling import generate
from scratchgan.gan.trainer import Callback, Trainer, load_images

__all__ = [
    "MODELS",
    "OBJECTIVES",
    "PENALTIES",
    "RECIPES",
    "Callback",
    "Config",
    "Game",
    "Run",
    "RunError",
    "Trainer",
    "evaluate",
    "generate",
    "load_images",
    "writing_to",
]
