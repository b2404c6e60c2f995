"""Recipes: sets of settings as TOML files, which a person can read and change."""

import tomllib
from pathlib import Path
from typing import Any

from scratchgan.gan.files import RunError, read
from scratchgan.messages import one_line, shown

#: More than any recipe or sweep. What a name of many parts (a.a.a) takes grows with the square.
_MOST_BYTES = 1 << 14

_FOLDER = Path(__file__).parent

#: The recipes that come with this package, by name.
RECIPES = {path.stem: path for path in sorted(_FOLDER.glob("*.toml"))}


def load(recipe: str) -> dict[str, Any]:
    """The settings of a recipe by name, as they stand there.

    Args:
        recipe: A name in :data:`RECIPES`, or the path of a file that ends in .toml.

    Raises:
        RunError: There is no such recipe, or it is no TOML.
    """
    path = RECIPES.get(recipe, Path(recipe))
    if recipe not in RECIPES and path.suffix != ".toml":
        raise RunError(
            f"there is no recipe {shown(recipe)}; choose {', '.join(RECIPES)}, or a file *.toml"
        )
    return read_toml(path)


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file.

    Raises:
        RunError: It cannot be read, or is no TOML.
    """
    missing = f"{one_line(path, 1000)}: cannot be read (No such file or directory)"
    content = read(path, missing, _MOST_BYTES, "recipe or sweep")
    try:
        return tomllib.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as fault:  # no TOML, no UTF-8, or a trap
        raise RunError(f"{path}: is no TOML ({one_line(fault)})") from None
