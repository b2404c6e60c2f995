"""``scratchgan playground``: a page on which a small GAN trains while one watches."""

from pathlib import Path
from typing import Annotated

import typer

from scratchgan import gan
from scratchgan.cli.app import app


@app.command()
def playground(
    out: Annotated[Path, typer.Option(help="The page, *.html.")] = Path("playground.html"),
) -> None:
    """Write a page on which a GAN on points of the plane trains in the browser."""
    from scratchgan.gan.playground import playground as write

    if out.suffix.lower() != ".html":
        raise gan.RunError(f"{out}: is a page, so it must end in .html")
    write(out)
    typer.echo(f"{out}: open it in a browser")
