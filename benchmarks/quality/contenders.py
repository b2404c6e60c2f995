"""The table of what is trained."""

from dataclasses import dataclass, replace
from typing import Any

from scratchgan.gan import Config
from scratchgan.gan.objectives import OBJECTIVES
from scratchgan.gan.recipes import RECIPES

#: Each contender is trained once with each.
SEEDS = (0, 1, 2)

#: Passes through MNIST's 60,000 images, whatever the recipe says.
EPOCHS = 10

#: The recipe whose objective is exchanged, to compare objectives with all else equal.
BASE = "remedies"

PACKAGES = {"scratchgan": "", "torch": ", PyTorch"}


@dataclass(frozen=True)
class Contender:
    """A recipe, and what trains it.

    Attributes:
        name: As it stands in tables; a training of PyTorch's has the name of its twin and a word.
        recipe: The name without the package.
        package: Which of :data:`PACKAGES` trains it.
        config: All settings but the seed.
    """

    recipe: str
    package: str
    config: Config

    @property
    def name(self) -> str:
        return self.recipe + PACKAGES[self.package]


@dataclass(frozen=True)
class Trial:
    """One training of a contender."""

    contender: Contender
    seed: int

    @property
    def config(self) -> Config:
        return replace(self.contender.config, seed=self.seed)

    @property
    def folder(self) -> str:
        words = f"{self.contender.package} {self.contender.recipe} {self.seed}"
        return "-".join(words.replace(":", "").split())


def contenders(quick: bool = False) -> list[Contender]:
    """All of them, those of PyTorch's last."""
    few: dict[str, Any] = {"epochs": 1, "batch_size": 600} if quick else {"epochs": EPOCHS}
    recipes = {name: Config.from_recipe(name, **few) for name in RECIPES}
    # What has no bound of its own needs the paper's: without one it runs away.
    bounds = {"wasserstein": {"penalty": "gradient"}}
    exchanged = {
        f"{BASE}: {name}": Config.from_recipe(BASE, objective=name, **few, **bounds.get(name, {}))
        for name in OBJECTIVES
        if name != recipes[BASE].objective
    }
    ours = [
        Contender(name, "scratchgan", config) for name, config in {**recipes, **exchanged}.items()
    ]
    return [*ours, *[Contender(name, "torch", config) for name, config in recipes.items()]]


def trials(quick: bool = False) -> list[Trial]:
    """Every contender with every seed; all with the first seed come first."""
    seeds = SEEDS[:1] if quick else SEEDS
    return [Trial(contender, seed) for seed in seeds for contender in contenders(quick)]
