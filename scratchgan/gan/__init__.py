"""The laboratory of generative adversarial networks: players, games, trainings, runs on disk."""

from scratchgan.gan.callbacks import writing_to
from scratchgan.gan.checkpoints import Pace
from scratchgan.gan.config import Config
from scratchgan.gan.evaluation import evaluate
from scratchgan.gan.files import RunError
from scratchgan.gan.game import Game
from scratchgan.gan.models import MODELS
from scratchgan.gan.notebook import NotebookDisplay
from scratchgan.gan.objectives import OBJECTIVES
from scratchgan.gan.penalties import PENALTIES
from scratchgan.gan.recipes import RECIPES
from scratchgan.gan.runs import Run
from scratchgan.gan.sampling import generate
from scratchgan.gan.trainer import Callback, Diverged, Trainer, load_images
from scratchgan.gan.training import ON_DIVERGENCE, train

__all__ = [
    "MODELS",
    "OBJECTIVES",
    "ON_DIVERGENCE",
    "PENALTIES",
    "RECIPES",
    "Callback",
    "Config",
    "Diverged",
    "Game",
    "NotebookDisplay",
    "Pace",
    "Run",
    "RunError",
    "Trainer",
    "evaluate",
    "generate",
    "load_images",
    "train",
    "writing_to",
]
