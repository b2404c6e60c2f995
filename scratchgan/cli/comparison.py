"""``scratchgan compare``: trainings side by side, on a page."""

from pathlib import Path
from typing import Annotated

import typer

from scratchgan import gan
from scratchgan.cli.app import app


@app.command()
def compare(
    runs: Annotated[list[Path], typer.Argument(help="Two run folders or more.")],
    out: Annotated[Path, typer.Option(help="*.html: the page.")] = Path("compare.html"),
) -> None:
    """Put runs side by side on a page: settings that differ, samples, measures, curves."""
    from scratchgan.gan import reports

    reports.compare([gan.Run.open(run) for run in runs], out)
    typer.echo(f"{out}: {len(runs)} runs")
