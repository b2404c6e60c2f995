"""The command: ``python -m benchmarks [NAME ...]``."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks import machine, plots, report, runner
from benchmarks.measurements import MEASUREMENTS, ON_CUDA
from scratchgan.progress import UNFOLDED

#: Compares digits, not times, and takes hours: it runs where it is named.
QUALITY = "quality"


def main(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help=f"Any of {', '.join((*MEASUREMENTS, QUALITY))}.",
            show_default=f"all but {QUALITY}",
        ),
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Rounds of turns.")] = 7,
    quick: Annotated[
        bool, typer.Option("--quick", help="Few small cases, short turns: to see that it works.")
    ] = False,
    out: Annotated[Path, typer.Option(help="Folder for tables and plots.")] = Path(
        "build/benchmarks"
    ),
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
) -> None:
    """Measure scratchgan and its peers side by side.

    Results of other measurements that are already in the folder stay there.
    """
    if device not in ("cpu", "cuda"):
        raise typer.BadParameter(f"there is no device {device!r}; choose cpu or cuda")
    possible = ON_CUDA if device == "cuda" else (*MEASUREMENTS, QUALITY)
    for name in names or ():
        if name not in possible:
            raise typer.BadParameter(
                f"there is no measurement {name!r} on {device}; choose of {', '.join(possible)}"
            )
    console = Console(width=None if sys.stdout.isatty() else UNFOLDED)
    if machine.is_busy(machine.describe()):
        console.print("This machine is busy with other work; the figures will be off.")
    given = shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]])
    results = report.load(out)
    failures = 0
    for name in names or (ON_CUDA if device == "cuda" else MEASUREMENTS):
        if name == QUALITY:
            failures += _quality(out / QUALITY, quick, given, console)
            continue
        for measurement in MEASUREMENTS[name](quick, device):
            with console.status("") as status:
                section = runner.measure(measurement, repeats, status.update)
            key = measurement.key if device == "cpu" else f"{measurement.key} on {device}"
            results[key] = {**section, "command": given}
            for table in report.tables(section):
                console.print(report.for_terminal(table))
            for line in report.absent(section):
                console.print(line, highlight=False, markup=False)
            failures += report.failures(section)
            # After each, so that what was measured is there when a later one is interrupted.
            report.save(out, results)
            plots.save(out, key, section)
    console.print(f"Tables and plots are in {out}")
    if failures:
        raise typer.Exit(1)


def _quality(out: Path, quick: bool, command: str, console: Console) -> int:
    """Train everything, and show the table; how many trainings failed."""
    from rich.markdown import Markdown

    from benchmarks.quality.run import run

    with console.status("") as status:
        failures = run(out, quick, command, status.update)
    console.print(Markdown((out / "quality.md").read_text()))
    return failures


if __name__ == "__main__":
    typer.run(main)
