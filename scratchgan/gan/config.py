"""The settings of a run: the same settings and the same backend give the same bytes.

Each setting is declared here once, with its default, its range and a line of help. The command line
makes an option of each, a recipe may give any of them, and config.json of a run holds all.
"""

import dataclasses
import math
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from scratchgan.backend.devices import is_device
from scratchgan.gan import recipes
from scratchgan.gan.files import RunError
from scratchgan.gan.models import MODELS
from scratchgan.gan.objectives import OBJECTIVES
from scratchgan.gan.penalties import PENALTIES
from scratchgan.messages import one_line, shown

#: How many seeds there are.
SEEDS = 1 << 64

#: No number of epochs, images or the like is larger.
_MOST = (1 << 63) - 1
#: Enough for any noise and any layer; how many weights there may be, the model says.
_MAX_WIDTH = 1 << 16
_MAX_LAYERS = 32


def _setting(
    default: Any, help: str, expected: str, is_fine: Callable[[Any], bool]
) -> Any:  # as dataclasses.field is typed
    about = {"help": help, "expected": expected, "is_fine": is_fine}
    return field(default=default, metadata=about)


def _integer(default: int, help: str, lowest: int, highest: int | None = None) -> Any:
    most = _MOST if highest is None else highest
    to = "on" if highest is None else f"to {highest}"
    expected = f"an integer from {lowest} {to}"
    return _setting(default, help, expected, lambda x: type(x) is int and lowest <= x <= most)


def _number(default: float | None, help: str, expected: str, lies: Callable[[float], bool]) -> Any:
    def is_fine(x: Any) -> bool:
        if x is None:
            return default is None
        return type(x) in (int, float) and abs(x) <= sys.float_info.max and lies(x)

    return _setting(default, help, f"a number {expected}", is_fine)


def _share(default: float, help: str) -> Any:
    return _number(default, help, "from 0 to less than 1", lambda x: 0 <= x < 1)


def _choice(default: str, help: str, choices: Collection[str]) -> Any:
    names = ", ".join(choices)
    is_fine = lambda x: isinstance(x, str) and x in choices  # noqa: E731
    return _setting(default, f"{help}: {names}.", f"one of {names}", is_fine)


def _switch(default: bool, help: str) -> Any:
    return _setting(default, help, "true or false", lambda x: isinstance(x, bool))


def _widths(default: tuple[int, ...], help: str) -> Any:
    def is_fine(x: Any) -> bool:
        return (
            isinstance(x, tuple)
            and len(x) <= _MAX_LAYERS
            and all(type(width) is int and 1 <= width <= _MAX_WIDTH for width in x)
        )

    expected = f"up to {_MAX_LAYERS} integers from 1 to {_MAX_WIDTH}, as in 256,512"
    return _setting(default, help, expected, is_fine)


#: The objectives whose D looks at a label of real images.
_LABELLED = ", ".join(name for name, objective in OBJECTIVES.items() if objective.has_labels)

#: How the learning rate falls from its first value: a function of the share of steps done.
SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda done: 1.0,
    "linear": lambda done: 1.0 - done,
    "cosine": lambda done: (1 + math.cos(math.pi * done)) / 2,
}


@dataclass(frozen=True)
class Config:
    """The settings of a run; the ``help`` in each field's metadata says what it is.

    Raises:
        RunError: A setting has the wrong type or is outside its range.
    """

    # The images.
    data: str | None = _setting(
        None,
        "IDX files, a folder of pictures, *.npz or *.csv; the embedded MNIST if not given.",
        "the name of a file or a folder, or none",
        lambda x: x is None or (isinstance(x, str) and x != "" and "\0" not in x),
    )
    image_size: int = _integer(
        0, "Height and width that pictures are brought to; 0 if they have one.", 0, 256
    )
    grey: bool = _switch(False, "Turn pictures with colours to grey.")
    # How long.
    epochs: int = _integer(30, "Passes through the images.", 1)
    batch_size: int = _integer(64, "Real images in a move of D; fakes are equal in number.", 1)
    discriminator_steps: int = _integer(1, "Moves of D before each of G.", 1, 100)
    # The players.
    model: str = _choice("mlp", "The networks", MODELS)
    latent_dim: int = _integer(100, "Length of the noise vectors.", 1, _MAX_WIDTH)
    generator_widths: tuple[int, ...] = _widths((128, 256), "Hidden layers of G.")
    discriminator_widths: tuple[int, ...] = _widths((256, 128), "Hidden layers of D.")
    negative_slope: float = _number(
        0.0, "Of the LeakyReLU in both; 0 is ReLU.", "from 0 to 1", lambda x: 0 <= x <= 1
    )
    batch_norm: bool = _switch(False, "Normalize the hidden layers of G.")
    dropout: float = _share(0.0, "Share of D's hidden units that are dropped.")
    spectral_norm: bool = _switch(False, "Divide D's weights by their largest singular values.")
    conditional: bool = _switch(False, "Both players see the label, and digits can be asked for.")
    # Their objective.
    objective: str = _choice("non-saturating", "What the players minimise", OBJECTIVES)
    label_smoothing: float = _share(
        0.0, f"How far the label of real images is below 1, for {_LABELLED}."
    )
    penalty: str = _choice("none", "What keeps D from being steep", PENALTIES)
    penalty_weight: float | None = _number(
        None,
        "Its weight in the loss of D; its paper's if not given.",
        "from 0 on",
        lambda x: x >= 0,
    )
    weight_clip: float = _number(
        0.0, "Most that a weight of D may be; 0 for any size.", "from 0 on", lambda x: x >= 0
    )
    # How they learn.
    lr: float = _number(2e-4, "Learning rate of both (Adam).", "above 0", lambda x: x > 0)
    lr_schedule: str = _choice("constant", "How the learning rate falls", SCHEDULES)
    beta1: float = _number(
        0.5,
        "Of Adam, how long gradients are averaged.",
        "from 0 to less than 1",
        lambda x: 0 <= x < 1,
    )
    beta2: float = _number(
        0.999,
        "Of Adam, how long squared gradients are.",
        "from 0 to less than 1",
        lambda x: 0 <= x < 1,
    )
    ema_decay: float = _number(
        0.0,
        "What draws is a moving average of G, with this decay a step; 0 for G itself.",
        "from 0 to less than 1",
        lambda x: 0 <= x < 1,
    )
    # Where, and how it is told.
    seed: int = _integer(0, "Of weights, order of images, and noise.", 0, SEEDS - 1)
    backend: str = _setting(
        "numba",
        "What computes on the CPU: numba or numpy.",
        "the name of a backend",
        lambda x: isinstance(x, str),
    )
    device: str = _setting(
        "cpu", "Where to train: cpu, cuda or cuda:1.", "cpu, cuda or cuda:0, cuda:1, ...", is_device
    )
    jit: bool = _switch(True, "Record a step once, and replay it.")
    evaluate_every: int = _integer(0, "Epochs from one evaluation to the next; 0 for none.", 0)

    def __post_init__(self) -> None:
        for each in dataclasses.fields(self):
            given = getattr(self, each.name)
            value = tuple(given) if isinstance(given, list) else given  # JSON and TOML have lists
            object.__setattr__(self, each.name, value)
            if not each.metadata["is_fine"](value):
                must = f"it must be {each.metadata['expected']}"
                raise RunError(f"{each.name} is {shown(given)}; {must}")
        if self.batch_norm and self.batch_size < 2:
            raise RunError(
                f"batch_size is {self.batch_size}; batch_norm needs 2 images or more, so set it to "
                "false or take more"
            )

    def to_dict(self) -> dict[str, Any]:
        """The settings by name."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, settings: Any) -> "Config":
        """The reverse of :meth:`to_dict`.

        A setting that is missing was not there when they were written, and takes its default: so
        the default of a new setting must be what was done before there was one.

        Raises:
            RunError: A setting is unknown, or not as it must be.
        """
        check_names(settings)
        return cls(**settings)

    def differences(self, settings: dict[str, Any]) -> str:
        """Where ``settings`` say otherwise, in words; empty if nowhere."""
        own = self.to_dict()
        given = {n: tuple(x) if isinstance(x, list) else x for n, x in settings.items()}
        return "; ".join(
            f"{name} is {shown(own[name])}, not {shown(value)}"
            for name, value in given.items()
            if value != own[name]
        )

    @classmethod
    def from_recipe(cls, recipe: str, **settings: Any) -> "Config":
        """The settings of a recipe, but those that are given.

        Args:
            recipe: The name of one that comes with this package, or a TOML file.
            settings: Any.

        Raises:
            RunError: There is no such recipe, or a setting is not as it must be.
        """
        found = recipes.load(recipe)
        try:
            check_names(found)
            config = cls(**found)
        except RunError as fault:
            raise RunError(f"recipe {one_line(recipe, 1000)}: {fault}") from None
        check_names(settings)
        return dataclasses.replace(config, **settings)


def check_names(settings: Any) -> None:
    """Raise a RunError if ``settings`` is no dict by names of settings."""
    names = [each.name for each in dataclasses.fields(Config)]
    if not isinstance(settings, dict):
        raise RunError(f"it holds a {type(settings).__name__}, not settings by name")
    for name in settings:
        if name not in names:
            raise RunError(f"there is no setting {shown(name)}")
