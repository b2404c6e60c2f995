"""The command line. Nothing is computed here: it reads options, calls, and shows what comes.

Everything heavy is imported by the command that needs it, so that ``--help`` answers at once.
"""

import dataclasses
import inspect
import os
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from scratchgan import gan
from scratchgan.gan.config import Config
from scratchgan.gan.recipes import RECIPES
from scratchgan.progress import compilation_shown, discard_output, say

app = typer.Typer(
    help="Train a generative adversarial network on MNIST, with gradients computed from scratch.",
    add_completion=False,
    rich_markup_mode=None,  # plain help: rich would take a quarter of the time that --help may
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Run the command; a user's mistake is one sentence on stderr and a non-zero exit."""
    _make_output_safe()
    warnings.showwarning = _show_warning  # type: ignore[assignment]
    try:
        code = app(sys.argv[1:] or ["--help"], prog_name="scratchgan", standalone_mode=False)
        sys.stdout.flush()
    except typer.TyperException as error:  # an option that does not exist, a value of a wrong type
        code = _refuse(error.format_message(), error.exit_code)
    except BrokenPipeError:  # whoever read the output has seen enough
        code = 1
        discard_output()
    except OSError as error:
        where = error.filename or "the output"
        code = _refuse(f"{where}: cannot be written ({error.strerror or error})", 1)
        if not error.filename:
            discard_output()
    except MemoryError as error:
        code = _refuse(f"there is not enough memory ({error or 'Python says no more'})", 1)
    except _user_errors() as error:
        code = _refuse(str(error), 1)
    sys.exit(code)


def _make_output_safe() -> None:
    """Have a place for what is printed where there is none, and for letters that it has not."""
    if None in (sys.stdin, sys.stdout, sys.stderr):  # closed, as by >&-
        # Or the next file that is opened would take the number, and get what is printed.
        while os.open(os.devnull, os.O_RDWR) < 3:
            pass
        sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115, they stay open
        sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _show_warning(message: Any, category: Any, *_: Any) -> None:
    _refuse(str(message).removeprefix("scratchgan: "), 0)


def _user_errors() -> tuple[type[Exception], ...]:
    """The errors whose messages are written for the user; asked for when one was raised."""
    from scratchgan.backend import BackendError
    from scratchgan.data import DataError

    return BackendError, DataError, gan.RunError


def _refuse(message: str, code: int) -> int:
    with suppress(OSError):  # a full disk
        print(f"scratchgan: {' '.join(message.split())}", file=sys.stderr)
    return code


# --- The commands ---------------------------------------------------------------------


def _with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Give ``command`` an option for each setting, as :class:`scratchgan.gan.Config` declares it.

    An option that is not given is None: the recipe decides.
    """
    options = []
    for setting in dataclasses.fields(Config):
        kind = str if setting.type == tuple[int, ...] else setting.type
        shown = _as_option(setting.default) or False
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
        if text := settings.get(name):
            with suppress(ValueError):  # Config says what is wrong with it
                settings[name] = tuple(int(width) for width in text.split(","))
    if "data" in settings:
        with suppress(OSError):  # the current folder is gone; what is read will say so
            settings["data"] = os.path.realpath(settings["data"])
    return settings


@app.command()
@_with_settings
def train(
    recipe: Annotated[
        str | None,
        typer.Option(
            help=f"Settings to start from: {', '.join(RECIPES)}, or a file *.toml.",
            show_default="those shown here",
        ),
    ] = None,
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
    if "backend" in settings:
        set_backend(settings["backend"])
    config = Config.from_recipe(recipe, **settings) if recipe else Config(**settings)
    if recipe and "backend" not in settings:
        set_backend(config.backend)
    config = dataclasses.replace(
        config, backend=get_backend(), device=devices.full_name(config.device)
    )
    images = gan.load_images(config)
    name = "mnist" if config.data is None else Path(config.data).name
    run = gan.Run.create_next(name, config) if out is None else gan.Run.create(out, config)
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
    say(f"Next: scratchgan generate {run.folder} digits.png, scratchgan evaluate {run.folder}")


@app.command()
def generate(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    out: Annotated[
        Path,
        typer.Option(help="*.npz for an array 'images', uint8 (n, 28, 28); *.png for a grid."),
    ],
    n: Annotated[int, typer.Option(help="How many images.")] = 64,
    seed: Annotated[int, typer.Option(help="Of the noise.")] = 0,
    digit: Annotated[int | None, typer.Option(help="Which one, if the run is conditional.")] = None,
) -> None:
    """Make images with the generator of a run."""
    from scratchgan.gan import sampling

    sampling.check_name(out, n)
    with compilation_shown():
        images = sampling.generate(gan.Run.open(run), n, seed, digit)
    sampling.save(out, images)
    typer.echo(f"{out}: {n:,} images")


@app.command()
def evaluate(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    n: Annotated[int, typer.Option(help="How many images; figures depend on it.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Of the noise.")] = 0,
) -> None:
    """Measure how good the digits of a run are, beside real ones.

    A classifier that comes with this package judges them. Distances are 0 at best; precision is the
    share of digits that could be real, recall the share of real ones that could be made.
    """
    from rich.console import Console
    from rich.table import Table

    from scratchgan.gan import evaluation

    with compilation_shown():
        found = evaluation.evaluate(gan.generate(gan.Run.open(run), n, seed))
        real = evaluation.of_real_digits(n)
    table = Table("measure", title=f"{n:,} digits of {run}")
    table.add_column("samples", justify="right")
    table.add_column("real digits", justify="right")
    of_real = dataclasses.asdict(real)
    for name, value in dataclasses.asdict(found).items():
        if isinstance(value, float):
            table.add_row(name.replace("_", " "), f"{value:.3f}", f"{of_real[name]:.3f}")
    for digit, (share, real_share) in enumerate(zip(found.classes, real.classes, strict=True)):
        table.add_row(f"share of digit {digit}", f"{share:.1%}", f"{real_share:.1%}")
    Console().print(table)


@app.command()
def gradcheck(
    primitive: Annotated[
        str | None, typer.Argument(help="Its name.", show_default="all of them")
    ] = None,
    backend: Annotated[
        str | None,
        typer.Option(help="What computes: numba or numpy.", show_default="numba"),
    ] = None,
    device: Annotated[str, typer.Option(help="Where: cpu, cuda or cuda:1.")] = "cpu",
    order: Annotated[int, typer.Option(help="Of the derivatives.", min=1, max=2)] = 1,
) -> None:
    """Hold derivatives of primitives against differences; exit 1 where one is wrong."""
    from rich.console import Console
    from rich.table import Table

    from scratchgan.backend import devices, get_backend, set_backend
    from scratchgan.testing.report import verdicts
    from scratchgan.testing.samplers import SAMPLERS

    if backend is not None:
        set_backend(backend)
    if primitive is not None and primitive not in SAMPLERS:
        raise typer.BadParameter(
            f"no primitive is named {primitive!r}; there are {', '.join(SAMPLERS)}"
        )
    device = devices.full_name(device)
    place = f"backend {get_backend()}" if device == devices.CPU else f"device {device}"
    table = Table("primitive", title=f"Derivatives of order {order}, {place}")
    table.caption = "largest errors against each, relative to 1 or the derivative if it is larger"
    for reference in ("differences", "complex steps"):
        table.add_column(reference, justify="right")
    table.add_column("verdict")
    fails = False
    with compilation_shown():
        found = list(verdicts([primitive] if primitive else [], order, device=device))
    for verdict in found:
        errors = [f"{e:.1e}" if e is not None else "-" for e in verdict.errors]
        word = "passes" if verdict.passes else "FAILS"
        table.add_row(verdict.primitive, *errors, word if verdict.errors[0] is not None else "-")
        fails |= not verdict.passes
    Console().print(table)
    if fails:
        raise typer.Exit(1)


@app.command()
def info() -> None:
    """Show versions, processor, backends, threads, BLAS, data and cache."""
    import platform
    from importlib.metadata import version

    from scratchgan.backend.cpu.threads.pool import get_num_threads, why_as_many

    packages = ("scratchgan", "numpy", "numba", "llvmlite", "matplotlib", "safetensors")
    facts = {
        "versions": [f"{name} {version(name)}" for name in packages],
        "machine": [f"Python {platform.python_version()}, {platform.platform()}"],
        "processor": _processor(),
        "backends": _backends(),
        "GPUs": _gpus(),
        "threads": [f"{get_num_threads()} ({why_as_many()})"],
        "kernels": _kernels(),
        "BLAS": _blas(),
        "data": _data(),
        "cache": _cache_if_any(),
    }
    for label, lines in facts.items():
        for line in lines:
            typer.echo(f"{label:10}{line}")
            label = ""


@app.command()
def cache(
    verify: Annotated[bool, typer.Option("--verify", help="Check every file.")] = False,
    clear: Annotated[bool, typer.Option("--clear", help="Remove all files.")] = False,
) -> None:
    """Show the cache of compiled kernels, check it, or empty it.

    What is missing or damaged is compiled when it is needed next.
    """
    from scratchgan.backend.cpu.codegen import object_files

    if verify and clear:
        raise typer.BadParameter("--verify and --clear are two things; choose one")
    if clear:
        _, nbytes = object_files.size()
        count = object_files.clear()
        typer.echo(f"{object_files.folder()}: removed {count} files, {nbytes / 1e6:.1f} MB")
        return
    for line in _cache():
        typer.echo(line)
    if verify:
        damaged = [path for path, is_whole in object_files.checked() if not is_whole]
        for path in damaged:
            typer.echo(f"{path}: is damaged, and will be compiled anew")
        if damaged:
            raise typer.Exit(1)
        typer.echo("every file is as it was written")


def _processor() -> list[str]:
    from scratchgan.backend.cpu.codegen import machine_code
    from scratchgan.backend.cpu.processor import host

    try:
        processor = host()
        has_amx = machine_code.may_use_matrix_unit()
    except Exception as fault:  # without LLVM, NumPy computes
        return [f"unknown ({fault})"]
    named = ("sse4.2", "avx", "avx2", "fma", "avx512f", "neon")
    used = [name for name in named if processor.has(name)] or ["what every such processor has"]
    return [
        str(processor),
        f"{', '.join(used)}: {processor.vector_registers} vectors of "
        f"{8 * processor.vector_bytes} bits",
        "AMX computes large products of float32" if has_amx else "AMX cannot be used here",
    ]


def _kernels() -> list[str]:
    """Whether the kernels that every training needs are there; those that are not, and why."""
    from scratchgan.backend import MachineCodeError
    from scratchgan.backend.cpu.codegen import machine_code
    from scratchgan.backend.cpu.gemm import products

    modules = ("threads.worker", "loops", "reductions", "gemm.microkernel")
    with compilation_shown(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is said below
        for module in modules:
            with suppress(MachineCodeError):
                machine_code.load_for(module, "float32")
        products.on_matrix_unit()
    return [
        f"{name} fell back to NumPy: {reason}" for name, reason in machine_code.failures.items()
    ] or ["none fell back to NumPy"]


def _cache() -> list[str]:
    from scratchgan.backend.cpu.codegen import object_files

    count, nbytes = object_files.size()
    return [f"{object_files.folder()}: {count} files, {nbytes / 1e6:.1f} MB"]


def _cache_if_any() -> list[str]:
    try:
        return _cache()
    except OSError as error:
        return [f"none ({error.strerror or error})"]


def _backends() -> list[str]:
    from scratchgan.backend import CPU_BACKENDS, BackendError, get_backend, set_backend

    lines = []
    try:
        lines.append(f"{get_backend()} is in use")
    except BackendError as error:
        lines.append(str(error))
    for name in CPU_BACKENDS:
        try:
            set_backend(name)
            lines.append(f"{name} is available")
        except BackendError as error:
            lines.append(str(error))
    return lines


def _gpus() -> list[str]:
    from scratchgan import cuda
    from scratchgan.backend.cuda.fault import cuda_fault

    names = [f"cuda:{gpu}" for gpu in range(cuda.device_count())]
    return [f"{name} is {cuda.get_device_name(name)}" for name in names] or [
        f"none can be used: {cuda_fault()}"
    ]


def _blas() -> list[str]:
    import numpy  # noqa: F401  (it loads the BLAS that is looked for)
    from threadpoolctl import threadpool_info

    return [
        f"{pool['internal_api']} {pool['version']}, {pool['num_threads']} threads"
        for pool in threadpool_info()
        if pool["user_api"] == "blas"
    ] or ["none was found"]


def _data() -> list[str]:
    from scratchgan.data import MNIST, DataError

    try:
        return [str(MNIST(train=train)) for train in (True, False)]
    except DataError as error:
        return [str(error)]
