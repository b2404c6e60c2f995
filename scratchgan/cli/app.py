"""The command line itself: its name, its help, and the commands' place."""

import typer

app = typer.Typer(
    help="Train a generative adversarial network on MNIST, with gradients computed from scratch.",
    add_completion=False,
    rich_markup_mode=None,  # plain help: rich would take a quarter of the time that --help may
    pretty_exceptions_enable=False,
)
