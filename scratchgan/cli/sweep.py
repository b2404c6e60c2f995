"""``scratchgan sweep``: many trainings, and a table of what came of them."""

import math
from pathlib import Path
from typing import Annotated

import typer

from scratchgan.cli.app import app
from scratchgan.progress import print_table, say

#: The measures that the table shows, and their headings.
_SHOWN = {
    "frechet_distance": "Fréchet",
    "precision": "precision",
    "recall": "recall",
    "imbalance": "imbalance",
}


@app.command()
def sweep(
    file: Annotated[Path, typer.Argument(help="A sweep, as TOML; docs/gan.md shows one.")],
    out: Annotated[
        Path | None,
        typer.Option(help="Where the runs will be.", show_default="runs/ and the file's name"),
    ] = None,
    workers: Annotated[
        int, typer.Option(help="Trainings at once.", min=0, show_default="one on two cores")
    ] = 0,
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a Dask scheduler, to run them there.")
    ] = None,
) -> None:
    """Train with many settings, and say which draws the best digits.

    What was done before is not done again: an interrupted sweep goes on.
    """
    from rich.table import Table

    from scratchgan.gan import sweep as sweeps

    trials = sweeps.read_sweep(file)
    folder = Path("runs", file.stem) if out is None else out
    say(f"{len(trials)} trainings, writing to {folder}")
    results = []
    try:
        for result in sweeps.run_sweep(trials, folder, workers, scheduler):
            results.append(result)
            told = result.fault if result.measures is None else _told(result.measures)
            say(f"{len(results)}/{len(trials)} {result.trial.name}: {told}")
    except (KeyboardInterrupt, SystemExit) as stop:  # Ctrl-C, and other signals
        say(f"Stopped after {len(results)} of {len(trials)}; the same command goes on")
        raise typer.Exit(getattr(stop, "code", 130)) from None
    done = [result for result in results if result.measures is not None]
    done.sort(key=lambda result: result.measures["frechet_distance"] if result.measures else 0.0)
    table = Table(*trials[0].varied, *_SHOWN.values(), title=f"{len(done)} of {len(trials)}")
    for result in done:
        assert result.measures is not None
        varied = [str(value) for value in result.trial.varied.values()]
        table.add_row(*varied, *(f"{result.measures.get(name, math.nan):.3f}" for name in _SHOWN))
    print_table(table)
    winner = sweeps.best(results, lambda measures: float(measures["frechet_distance"]))
    if winner is None:
        say("No training came to its end")
        raise typer.Exit(1)
    say(f"The best is {folder / winner.trial.name}")


def _told(measures: dict[str, float]) -> str:
    shown = ((heading, measures.get(name, math.nan)) for name, heading in _SHOWN.items())
    return ", ".join(f"{heading} {value:.3f}" for heading, value in shown)
