"""The settings of a run: the same settings and the same backend give the same bytes."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from scratchgan.backend.devices import is_device
from scratchgan.gan.files import RunError
from scratchgan.gan.objectives import OBJECTIVES

#: How many seeds there are.
SEEDS = 1 << 64

#: Enough for any noise, and little enough that a forged config.json makes nothing huge.
_MAX_LATENT_DIM = 1 << 16


@dataclass(frozen=True)
class Config:
    """The settings of a run.

    Attributes:
        data: Folder of IDX files in MNIST's naming; None for the embedded MNIST.
        epochs: Passes through the images, from 1 on.
        batch_size: Number of real images in a step, at least 1; fakes are equal in number.
        objective: What G minimises, a name in :data:`scratchgan.gan.objectives.OBJECTIVES`.
        latent_dim: Length of the noise vectors, from 1 on.
        lr: Learning rate of both players, more than 0.
        seed: Of the first weights, the order of the images and the noise, 0 to 2**64 - 1.
        backend: Name of the backend that computes on the CPU.
        device: Where the training runs: ``"cpu"``, or a GPU, ``"cuda:0"``.
        jit: Whether the steps are recorded once and replayed.

    Raises:
        RunError: A setting has the wrong type or is outside its range.
    """

    data: str | None = None
    epochs: int = 30
    batch_size: int = 64
    objective: str = "non-saturating"
    latent_dim: int = 100
    lr: float = 2e-4
    seed: int = 0
    backend: str = "numba"
    device: str = "cpu"
    jit: bool = True

    def __post_init__(self) -> None:
        data_is_fine = self.data is None or isinstance(self.data, str)
        self._require("data", data_is_fine, "the name of a folder, or none")
        for name in ("epochs", "batch_size"):
            value = getattr(self, name)
            self._require(name, type(value) is int and value >= 1, "an integer from 1 on")
        known = ", ".join(OBJECTIVES)
        objective_is_fine = isinstance(self.objective, str) and self.objective in OBJECTIVES
        self._require("objective", objective_is_fine, f"one of {known}")
        self._require_integer("latent_dim", 1, _MAX_LATENT_DIM)
        lr_is_fine = type(self.lr) in (int, float) and 0 < self.lr < math.inf
        self._require("lr", lr_is_fine, "a number above 0")
        self._require_integer("seed", 0, SEEDS - 1)
        self._require("backend", isinstance(self.backend, str), "the name of a backend")
        self._require("device", is_device(self.device), "cpu, cuda or cuda:0, cuda:1, ...")
        self._require("jit", isinstance(self.jit, bool), "true or false")

    def _require(self, name: str, is_fine: bool, expected: str) -> None:
        if not is_fine:
            raise RunError(f"{name} is {getattr(self, name)!r}; it must be {expected}")

    def _require_integer(self, name: str, lowest: int, highest: int) -> None:
        value = getattr(self, name)
        is_fine = type(value) is int and lowest <= value <= highest
        self._require(name, is_fine, f"an integer from {lowest} to {highest}")

    def to_dict(self) -> dict[str, Any]:
        """The settings by name."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, settings: Any) -> "Config":
        """The reverse of :meth:`to_dict`.

        Raises:
            RunError: A setting is missing, unknown, or not as it must be.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        if not isinstance(settings, dict):
            raise RunError(f"it holds a {type(settings).__name__}, not settings by name")
        for name in names:
            if name not in settings:
                raise RunError(f"the setting {name!r} is missing")
        for name in settings:
            if name not in names:
                raise RunError(f"there is no setting {name!r}")
        return cls(**settings)
