"""The command line. Nothing is computed here: it reads options, calls, and shows what comes.

Everything heavy is imported by the command that needs it, so that ``--help`` answers at once.
"""

import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from scratchgan.gan import Config, Metrics

app = typer.Typer(
    help="Train a generative adversarial network on MNIST, with gradients computed from scratch.",
    add_completion=False,
    rich_markup_mode=None,  # plain help: rich would take a quarter of the time that --help may
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Run the command; a user's mistake is one sentence on stderr and a non-zero exit."""
    try:
        code = app(sys.argv[1:] or ["--help"], prog_name="scratchgan", standalone_mode=False)
    except typer.TyperException as error:  # an option that does not exist, a value of a wrong type
        code = _refuse(error.format_message(), error.exit_code)
    except _user_errors() as error:
        code = _refuse(str(error), 1)
    sys.exit(code)


def _user_errors() -> tuple[type[Exception], ...]:
    """The errors whose messages are written for the user; asked for when one was raised."""
    from scratchgan.backend import BackendError
    from scratchgan.data import DataError
    from scratchgan.gan import RunError

    return BackendError, DataError, RunError


def _refuse(message: str, code: int) -> int:
    print(f"scratchgan: {' '.join(message.split())}", file=sys.stderr)
    return code


# --- The commands ---------------------------------------------------------------------


# The defaults are those of scratchgan.gan.Config, written here too because importing it takes
# longer than --help may; a test holds them equal.
@app.command()
def train(
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of IDX files named as MNIST's.", show_default="embedded MNIST"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The run folder, new or empty.", show_default="runs/mnist, mnist-2, ..."),
    ] = None,
    epochs: Annotated[int, typer.Option(help="Passes through the images.")] = 30,
    batch_size: Annotated[int, typer.Option(help="Real images in a step.")] = 64,
    objective: Annotated[
        str, typer.Option(help="What G minimises: non-saturating or minimax.")
    ] = "non-saturating",
    latent_dim: Annotated[int, typer.Option(help="Length of the noise vectors.")] = 100,
    lr: Annotated[float, typer.Option(help="Learning rate of Adam.")] = 2e-4,
    seed: Annotated[int, typer.Option(help="Of weights, order of images, and noise.")] = 0,
    backend: Annotated[
        str | None,
        typer.Option(help="What computes on the CPU: numba or numpy.", show_default="numba"),
    ] = None,
    device: Annotated[str, typer.Option(help="Where to train: cpu, cuda or cuda:1.")] = "cpu",
    jit: Annotated[
        bool, typer.Option("--jit/--no-jit", help="Record a step once, and replay it.")
    ] = True,
) -> None:
    """Train a GAN on MNIST and write a run folder.

    It gets the settings, metrics every 100 steps, samples of every epoch, the curves and the
    weights. Ctrl-C ends the training early, with all of this written.
    """
    from scratchgan.backend import devices, get_backend, set_backend
    from scratchgan.gan import Config, Run, load_images
    from scratchgan.gan import train as run_training
    from scratchgan.gan.runs import new_folder

    if backend is not None:
        set_backend(backend)
    config = Config(
        data=None if data is None else str(data.resolve()),
        epochs=epochs,
        batch_size=batch_size,
        objective=objective,
        latent_dim=latent_dim,
        lr=lr,
        seed=seed,
        backend=get_backend(),
        device=devices.full_name(device),
        jit=jit,
    )
    images = load_images(config)
    run = Run.create(out or new_folder("mnist" if data is None else data.resolve().name), config)
    typer.echo(f"Training on {len(images):,} images, writing to {run.folder}")
    display = _Display(config, len(images))
    held = [images]
    del images  # the training alone holds them, and lets go of them before it draws its curves
    try:
        with display:
            run_training(run, held.pop(), display)
    except KeyboardInterrupt:
        typer.echo(f"Stopped after {display.step:,} steps; what they gave is in {run.folder}")
        raise typer.Exit(130) from None
    typer.echo(f"Done: {run.sample_path(epochs)} shows what the generator has learned")


@app.command()
def generate(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    out: Annotated[
        Path,
        typer.Option(help="*.npz for an array 'images', uint8 (n, 28, 28); *.png for a grid."),
    ],
    n: Annotated[int, typer.Option(help="How many images.")] = 64,
    seed: Annotated[int, typer.Option(help="Of the noise.")] = 0,
) -> None:
    """Make images with the generator of a run."""
    from scratchgan.gan import Run, sampling

    sampling.check_name(out, n)
    sampling.save(out, sampling.generate(Run.open(run), n, seed))
    typer.echo(f"{out}: {n:,} images")


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
    for witness in ("differences", "complex steps"):
        table.add_column(witness, justify="right")
    table.add_column("verdict")
    fails = False
    for verdict in verdicts([primitive] if primitive else [], order, device=device):
        errors = [f"{e:.1e}" if e is not None else "-" for e in verdict.errors]
        word = "passes" if verdict.passes else "FAILS"
        table.add_row(verdict.primitive, *errors, word if verdict.errors[0] is not None else "-")
        fails |= not verdict.passes
    Console().print(table)
    if fails:
        raise typer.Exit(1)


@app.command()
def info() -> None:
    """Show versions, backends, threads, AMX, BLAS, data and cache."""
    import platform
    from importlib.metadata import version

    from scratchgan import get_num_threads
    from scratchgan.backend import machine_code, object_files

    has_amx = machine_code.may_use_matrix_unit()
    packages = ("scratchgan", "numpy", "numba", "matplotlib", "safetensors")
    facts = {
        "versions": [f"{name} {version(name)}" for name in packages],
        "machine": [f"Python {platform.python_version()}, {platform.platform()}"],
        "backends": _backends(),
        "cards": _cards(),
        "threads": [str(get_num_threads())],
        "AMX": ["computes large products of float32" if has_amx else "cannot be used here"],
        "BLAS": _blas(),
        "data": _data(),
        "cache": [str(object_files.folder())],
    }
    for label, lines in facts.items():
        for line in lines:
            typer.echo(f"{label:10}{line}")
            label = ""


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


def _cards() -> list[str]:
    from scratchgan import cuda
    from scratchgan.backend.devices import cuda_fault

    names = [f"cuda:{card}" for card in range(cuda.device_count())]
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


# --- What a training looks like --------------------------------------------------------


class _Display:
    """A row for each epoch: it grows in a terminal, and is a plain line elsewhere."""

    _HEADINGS = ("epoch", "loss D", "loss G", "D(x)", "D(G(z))", "images/s", "time left")
    _WIDTHS = (9, 8, 8, 6, 9, 10, 11)
    _REDRAW = 0.1  # seconds

    def __init__(self, config: "Config", images: int) -> None:
        from rich.console import Console
        from rich.live import Live

        self.config = config
        self.steps_per_epoch = images // config.batch_size
        self.step = 0
        self.metrics: Metrics | None = None  # the last that were read
        #: Speed is measured from here: the end of an epoch's first step, because before that lie
        #: the samples of the last epoch, or the compilation of kernels.
        self.mark = (0, 0.0)
        self.drawn = 0.0
        console = Console(highlight=False, markup=False)
        is_live = sys.stdout.isatty() and not console.is_dumb_terminal
        self.live = Live(console=console, auto_refresh=False, transient=True) if is_live else None
        # Next to the text, so wide that a row stays a row.
        self.bar_width = max(0, min(30, console.width - sum(self._WIDTHS) - 2))

    def __enter__(self) -> Self:
        if self.live:
            self.live.start()
        self._print(self._HEADINGS)
        return self

    def __exit__(self, *_: object) -> None:
        if self.live:
            self.live.stop()

    def __call__(self, step: int, metrics: "Metrics | None") -> None:
        """Show that ``step`` is done; see :data:`scratchgan.gan.training.Watch`."""
        now = time.perf_counter()
        self.step = step
        self.metrics = metrics or self.metrics
        position = (step - 1) % self.steps_per_epoch
        if position == 0:
            self.mark = (step, now)
        if position == self.steps_per_epoch - 1:
            self._print(self._cells(now))
        elif self.live and now - self.drawn > self._REDRAW:
            self.live.update(self._row(self._cells(now)), refresh=True)
            self.drawn = now

    def _cells(self, now: float) -> tuple[str, ...]:
        epoch = -(-self.step // self.steps_per_epoch)
        speed = left = loss_d = loss_g = d_real = d_fake = "-"
        steps, start = self.mark
        if self.step > steps:
            rate = (self.step - steps) / (now - start)
            remaining = self.config.epochs * self.steps_per_epoch - self.step
            speed = f"{rate * self.config.batch_size:,.0f}"
            left = str(timedelta(seconds=round(remaining / rate)))
        if self.metrics:
            loss_d = f"{self.metrics.discriminator_loss:.3f}"
            loss_g = f"{self.metrics.generator_loss:.3f}"
            d_real, d_fake = f"{self.metrics.d_real:.2f}", f"{self.metrics.d_fake:.2f}"
        return f"{epoch}/{self.config.epochs}", loss_d, loss_g, d_real, d_fake, speed, left

    def _print(self, cells: tuple[str, ...]) -> None:
        if self.live:
            self.live.update("")
            self.live.console.print(self._row(cells))
        else:
            typer.echo("".join(self._aligned(cells)))

    def _aligned(self, cells: tuple[str, ...]) -> list[str]:
        return [cell.rjust(width) for cell, width in zip(cells, self._WIDTHS, strict=True)]

    def _row(self, cells: tuple[str, ...]) -> "Table":
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        epoch, *rest = self._aligned(cells)
        done = (self.step - 1) % self.steps_per_epoch + 1 if self.step else 0
        bar = ProgressBar(self.steps_per_epoch, done, self.bar_width) if self.step else ""
        row = Table.grid()
        row.add_column(no_wrap=True)
        row.add_column(width=self.bar_width)
        row.add_column(no_wrap=True)
        row.add_row(epoch + " ", bar, "".join(rest))
        return row
