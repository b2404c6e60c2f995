"""``scratchgan train``: an option for each setting, and what is said while a GAN learns."""

import dataclasses
import inspect
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from scratchgan import gan
from scratchgan.cli.app import app
from scratchgan.gan.config import Config
from scratchgan.gan.recipes import RECIPES, load
from scratchgan.progress import compilation_shown, say


def _with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Give ``command`` an option for each setting, as :class:`scratchgan.gan.Config` declares it.

    An option that is not given is None: the recipe decides.
    """
    options = []
    default = Config.from_recipe("default")
    for setting in dataclasses.fields(Config):
        kind = str if setting.type == tuple[int, ...] else setting.type
        shown = _as_option(getattr(default, setting.name)) or False
        about = typer.Option(help=setting.metadata["help"], show_default=shown)
        annotation = Annotated[kind | None, about]  # type: ignore[valid-type]
        options.append(
            inspect.Parameter(
                setting.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation
            )
        )
    own = inspect.signature(command).parameters.values()
    parameters = [each for each in own if each.kind is not inspect.Parameter.VAR_KEYWORD]
    command.__signature__ = inspect.Signature([*parameters, *options])  # type: ignore[attr-defined]
    command.__annotations__ |= {option.name: option.annotation for option in options}
    return command


def _as_option(value: Any) -> str:
    """A setting as one writes it on the command line."""
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return "" if value is None else str(value)


def _from_options(options: dict[str, Any]) -> dict[str, Any]:
    """The settings that were given, from what was written on the command line."""
    settings = {name: value for name, value in options.items() if value is not None}
    for name in ("generator_widths", "discriminator_widths"):
        if (text := settings.get(name)) is not None:
            with suppress(ValueError):  # Config says what is wrong with it
                settings[name] = tuple(int(width) for width in text.split(",")) if text else ()
    return settings


@app.command()
@_with_settings
def train(
    recipe: Annotated[
        str, typer.Option(help=f"Settings to start from: {', '.join(RECIPES)}, or a file *.toml.")
    ] = "default",
    out: Annotated[
        Path | None,
        typer.Option(help="The run folder, new or empty.", show_default="runs/mnist, mnist-2, ..."),
    ] = None,
    evaluate: Annotated[
        bool, typer.Option(help="Say at the end how good the digits are (10 seconds).")
    ] = True,
    **options: Any,
) -> None:
    """Train a GAN on MNIST and write a run folder.

    It gets the settings, metrics every 100 steps, samples of every epoch, the curves and the
    weights. Ctrl-C ends the training early, with all of this written. What is given as an option
    is taken in the place of what the recipe says.
    """
    from scratchgan.backend import devices, get_backend, set_backend
    from scratchgan.progress import Rows

    settings = _from_options(options)
    config = Config.from_recipe(recipe, **settings)
    if "backend" in load(recipe) | settings:
        set_backend(config.backend)
    config = dataclasses.replace(
        config, backend=get_backend(), device=devices.full_name(config.device)
    )
    if config.data is not None:
        with suppress(OSError):  # the current folder is gone; what is read will say so
            config = dataclasses.replace(config, data=os.path.realpath(config.data))
    images = gan.load_images(config)
    name = "mnist" if config.data is None else Path(config.data).stem
    run = (
        gan.Run.create_next(name, config, images.subject)
        if out is None
        else gan.Run.create(out, config, images.subject)
    )
    say(f"Training on {len(images.pixels):,} images, writing to {run.folder}")
    rows = None
    try:
        with compilation_shown() as notice, Rows(config, notice) as rows:
            trainer = gan.Trainer(config, images)
            trainer.run([*gan.writing_to(run), rows])
    except KeyboardInterrupt:
        kept = run.discard_if_untrained()
        say(
            f"Stopped after {rows.step if rows else 0:,} steps; what they gave is in {run.folder}"
            if kept
            else "Stopped before there was anything to keep"
        )
        raise typer.Exit(130) from None
    except BaseException as error:
        if run.discard_if_untrained() and isinstance(error, gan.RunError):
            raise gan.RunError(f"{error}; {run.folder} keeps what was written before") from None
        raise
    say(f"Done: {run.sample_path(config.epochs)} shows what the generator has learned")
    if evaluate and config.data is None:
        _say_how_good(run)


def _say_how_good(run: "gan.Run") -> None:
    """How good the digits of a run are, in three lines, and what to do with them."""
    from scratchgan.gan import evaluation, sampling

    n = 10_000
    found = evaluation.evaluate(sampling.generate(run, n, 0))
    real = evaluation.of_real_digits(n)
    say(
        f"{n:,} digits are at a Fréchet distance of {found.frechet_distance:.2f} from real ones "
        f"(real ones among themselves: {real.frechet_distance:.2f}),\n"
        f"with precision {found.precision:.2f} ({real.precision:.2f}) and recall "
        f"{found.recall:.2f} ({real.recall:.2f}); the rarest digit is {min(found.classes):.1%} of "
        f"them, the commonest {max(found.classes):.1%}."
    )
    say(
        f"Next: scratchgan generate {run.folder} --out digits.png, scratchgan evaluate {run.folder}"
    )
