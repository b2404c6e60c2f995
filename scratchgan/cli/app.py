"""The command line itself: its name, its help, and the commands' place."""

from typing import Annotated

import typer

app = typer.Typer(
    help="Train a generative adversarial network on MNIST, with gradients computed from scratch.",
    add_completion=False,
    rich_markup_mode=None,  # plain help: rich would take a quarter of the time that --help may
    pretty_exceptions_enable=False,
)


def _show_version(is_asked: bool) -> None:
    if is_asked:
        from importlib.metadata import version

        typer.echo(f"scratchgan {version('scratchgan')}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Options of the command itself."""
