"""``scratchgan train``: an option for each setting, and what is said while a GAN learns."""

import dataclasses
import inspect
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from scratchgan import gan
from scratchgan.cli.app import app
from scratchgan.data import Images
from scratchgan.gan.config import Config
from scratchgan.gan.recipes import RECIPES, load
from scratchgan.gan.runs import RunInUse
from scratchgan.gan.signals import Stopped
from scratchgan.messages import argument
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
        str | None,
        typer.Option(
            help=f"Settings to start from: {', '.join(RECIPES)}, or a file *.toml, whose settings "
            "change seed.",
            show_default="default",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The run folder, new or empty.", show_default="runs/mnist, mnist-2, ..."),
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Go on with the training of this run folder.")
    ] = None,
    checkpoint_every: Annotated[
        str, typer.Option(help="Steps from one checkpoint to the next, or seconds as in 60s.")
    ] = "30s",
    keep_every: Annotated[
        int,
        typer.Option(
            min=0, help="Also keep the checkpoint of every so many epochs; 0 for the newest two."
        ),
    ] = 0,
    on_divergence: Annotated[
        str,
        typer.Option(
            help="When a loss is not finite: stop, or restore the last checkpoint and go on with "
            "half the learning rate."
        ),
    ] = "stop",
    evaluate: Annotated[
        bool, typer.Option(help="Say at the end how good the digits are (10 seconds).")
    ] = True,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Also write for TensorBoard, into the run folder.")
    ] = False,
    **options: Any,
) -> None:
    """Train a GAN on MNIST and write a run folder.

    It gets the settings, metrics every 100 steps, samples of every epoch, the curves, the weights,
    checkpoints, and report.html, which shows all of them. Ctrl-C ends the training early, with all
    of this written, and --resume goes on with it. What is given as an option is taken in the place
    of what the recipe says.
    """
    from scratchgan.gan.tensorboard import TensorBoard
    from scratchgan.progress import Rows

    pace = gan.Pace.parse(checkpoint_every)
    if on_divergence not in gan.ON_DIVERGENCE:
        raise gan.RunError(f"on_divergence is {on_divergence!r}; it must be stop or restore")
    settings = _from_options(options)
    if resume is not None:
        run, images = _existing_run(resume, recipe, out, settings)
    else:
        run, images = _new_run(recipe or "default", out, settings)
    config, rows = run.config, None
    try:
        say(f"Training on {len(images.pixels):,} images, writing to {run.folder}")
        boards = [TensorBoard(run)] if tensorboard else []
        with compilation_shown() as notice, Rows(config, notice) as rows:
            gan.train(
                run,
                images,
                [rows, *boards],
                pace=pace,
                keep_every=keep_every,
                on_divergence=on_divergence,
                tell=rows.tell,
            )
    except KeyboardInterrupt as stop:
        at_once = not isinstance(stop, Stopped)
        _say_where_it_stopped(run, images, rows.standing.step if rows else 0, at_once)
        raise typer.Exit(128 + getattr(stop, "number", signal.SIGINT)) from None
    except RunInUse:
        raise
    except BaseException as error:
        if run.discard_if_untrained() and isinstance(error, gan.RunError):
            raise gan.RunError(f"{error}; {run.folder} keeps what was written before") from None
        raise
    _say_done(run)
    if evaluate and config.data is None:
        _say_how_good(run)


def _say_done(run: "gan.Run") -> None:
    say(f"Done: {run.sample_path(run.config.epochs)} shows what the generator has learned")


def _say_where_it_stopped(run: "gan.Run", images: Images, step: int, at_once: bool) -> None:
    """How far a training is that was stopped at ``step``, and from where it goes on.

    That is further back if it was stopped ``at_once``, and could write nothing.
    """
    from scratchgan.gan.checkpoints import checkpoints_of, step_of

    if not run.discard_if_untrained():
        say("Stopped before there was anything to keep")
        return
    kept = max(map(step_of, checkpoints_of(run)), default=0)
    per_step = run.config.batch_size * run.config.discriminator_steps
    if not at_once and kept == run.config.epochs * (len(images.pixels) // per_step):
        _say_done(run)
        return
    there = f" from step {kept:,}" if kept < step else ""
    say(
        f"Stopped after {max(kept, step):,} steps; "
        f"to go on{there}: scratchgan train --resume {argument(run.folder)}"
    )


def _new_run(recipe: str, out: Path | None, settings: dict[str, Any]) -> tuple["gan.Run", Images]:
    """A new run folder, and its images."""
    from scratchgan.backend import devices, get_backend, set_backend

    config = Config.from_recipe(recipe, **settings)
    if "backend" in load(recipe) | settings:
        set_backend(config.backend)
    config = dataclasses.replace(
        config,
        backend=get_backend(),
        device=devices.full_name(config.device),
        data=_full_name(config.data),
    )
    images = gan.load_images(config)
    name = "mnist" if config.data is None else Path(config.data).stem
    if out is None:
        return gan.Run.create_next(name, config, images.subject), images
    return gan.Run.create(out, config, images.subject), images


def _existing_run(
    folder: Path, recipe: str | None, out: Path | None, settings: dict[str, Any]
) -> tuple["gan.Run", Images]:
    """The run that is to go on, and its images.

    Raises:
        RunError: Settings were given that it does not have.
    """
    from scratchgan.backend import devices, set_backend
    from scratchgan.gan.checkpoints import checkpoints_of

    if out is not None:
        raise gan.RunError(f"--resume {folder} writes into that folder; leave --out away")
    run = gan.Run.open(folder)
    if recipe is not None:
        settings = {**load(recipe), **settings}
    given = Config.from_dict({**run.config.to_dict(), **settings})
    given = dataclasses.replace(
        given, device=devices.full_name(given.device), data=_full_name(given.data)
    )
    # The images may lie elsewhere by now: whether they are the same, a checkpoint knows.
    may_move = {"data": run.config.data} if checkpoints_of(run) else {}
    if differences := run.config.differences({**given.to_dict(), **may_move}):
        raise gan.RunError(
            f"{folder}: was begun with other settings, and goes on with them: {differences}"
        )
    set_backend(run.config.backend)
    return run, gan.load_images(given)


def _full_name(data: str | None) -> str | None:
    """The name of a data set from the root on."""
    if data is not None:
        with suppress(OSError):  # the current folder is gone; what is read will say so
            return os.path.realpath(data)
    return data


def _say_how_good(run: "gan.Run") -> None:
    """How good the digits of a run are, in three lines, and what to do with them."""
    from scratchgan.gan import evaluation, sampling

    n = 10_000
    found = evaluation.evaluate(sampling.generate(run, n, 0), sampling.labels_in_turn(run, n))
    real = evaluation.of_real_digits(n)
    say(
        f"{n:,} digits are at a Fréchet distance of {found.frechet_distance:.2f} from real ones "
        f"(real ones among themselves: {real.frechet_distance:.2f}),\n"
        f"with precision {found.precision:.2f} ({real.precision:.2f}) and recall "
        f"{found.recall:.2f} ({real.recall:.2f}); the rarest digit is {min(found.classes):.1%} of "
        f"them, the commonest {max(found.classes):.1%}."
    )
    ask = ""
    if found.label_accuracy is not None:
        say(f"{found.label_accuracy:.1%} of them are taken for the digit that was asked for.")
        ask = "--digit 7 "
    name = argument(run.folder)
    say(f"Next: scratchgan generate {name} {ask}--out digits.png, scratchgan evaluate {name}")
