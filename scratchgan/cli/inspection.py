"""``scratchgan inspect``: a page on which one steps through a step of the GAN."""

from pathlib import Path
from typing import Annotated

import typer

from scratchgan import gan
from scratchgan.cli.app import app


@app.command()
def inspect(
    run: Annotated[
        Path | None,
        typer.Argument(help="A run folder.", show_default="the tutorial's GAN, untrained"),
    ] = None,
    out: Annotated[Path, typer.Option(help="The page, *.html.")] = Path("inspector.html"),
    seed: Annotated[int, typer.Option(help="Of the noise.")] = 0,
) -> None:
    """Write a page that shows a step of the GAN: forward, backward and update, node by node."""
    from scratchgan.gan.inspection import inspect as write

    if out.suffix.lower() != ".html":
        raise gan.RunError(f"{out}: is a page, so it must end in .html")
    write(None if run is None else gan.Run.open(run), out, seed)
    typer.echo(f"{out}: open it in a browser")
