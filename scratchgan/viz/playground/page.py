"""One self-contained HTML file: it needs no network, and opens from disk."""

import html
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scratchgan.backend import reference
from scratchgan.files import atomic_write
from scratchgan.viz.playground.javascript import Printer, literal, of_objects, of_update

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Player:
    """An objective as the page needs it.

    Attributes:
        discriminator: From the logits of real points, those of fakes and the label of real points
            to D's loss, one expression.
        generator: From the logits of fakes to G's loss; where ``is_relative``, from both.
        is_relative: Whether G's loss looks at real points too.
        boundary: The logit above which a point counts as real, if there is one.
        weight_clip: Most that a weight of D may be when the objective is chosen; 0 for any size.
    """

    discriminator: Callable[..., Any]
    generator: Callable[..., Any]
    is_relative: bool
    boundary: float | None
    weight_clip: float


@dataclass(frozen=True)
class Settings:
    """With what the page starts.

    Attributes:
        objective: The name of one.
        beta1: Adam's first decay.
        beta2: Adam's second decay.
        eps: Adam's addition to the denominator.
        negative_slope: Of the LeakyReLU after each hidden layer.
    """

    objective: str
    beta1: float
    beta2: float
    eps: float
    negative_slope: float


def write_playground(
    path: str | os.PathLike[str], objectives: Mapping[str, Player], settings: Settings
) -> Path:
    """Write the page.

    Args:
        path: The file, ``*.html``.
        objectives: What the page offers, by name.
        settings: With what it starts.

    Returns:
        The file.

    Raises:
        JavaScriptError: An objective, or a primitive that it calls, cannot be printed.
        OSError: The file cannot be written.
    """
    path = Path(path)
    text = page(objectives, settings)
    with atomic_write(path) as file:
        file.write(text.encode())
    return path


def page(objectives: Mapping[str, Player], settings: Settings) -> str:
    """The page itself, as HTML."""
    rules = rules_of(objectives)
    # No text within a script may end it, or begin another.
    start = json.dumps(asdict(settings)).replace("<", "\\u003c")
    parts = {"rules": rules, "source": html.escape(rules), "settings": start}
    for name in ("tape.js", "game.js", "drawing.js", "page.js", "page.css"):
        parts[name.replace(".", "_")] = (_FOLDER / name).read_text("utf-8")
    text = (_FOLDER / "page.html").read_text("utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], text)


def rules_of(objectives: Mapping[str, Player]) -> str:
    """All that is printed: primitives with their VJPs, objectives, and Adam."""
    printer = Printer()
    # The operations that game.js calls itself: layers, and the clipping of weights.
    for name in ("add", "matmul", "leaky_relu", "clip"):
        printer.need(name)
    printer.by_hand("_transposed")
    scores = {
        name: {
            "discriminator": printer.of_function(player.discriminator),
            "generator": printer.of_function(player.generator),
            "isRelative": literal(player.is_relative),
            "boundary": literal(player.boundary),
            "weightClip": literal(player.weight_clip),
        }
        for name, player in objectives.items()
    }
    adam = f"const adam = {of_update(reference.adam_of_one)};"
    return "\n\n".join([printer.table(), of_objects("objectives", scores), adam])
