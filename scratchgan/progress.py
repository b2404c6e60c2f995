"""The display of the command line while it works: the rows of a training, and compilation."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Self

import typer

from scratchgan.gan.config import Config
from scratchgan.gan.standing import HEADINGS, Standing
from scratchgan.gan.trainer import Callback, Row, Trainer

if TYPE_CHECKING:
    from rich.table import Table

#: The width of a console that is a file or a pipe: more than any table needs.
UNFOLDED = 1000


def say(line: str) -> None:
    """Print a line of progress; see :func:`unread_is_fine`."""
    with unread_is_fine():
        typer.echo(line)


def print_table(table: "Table") -> None:
    """Print a table: as wide as the terminal, or in a file or a pipe as wide as it needs to be."""
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else UNFOLDED).print(table)


@contextmanager
def unread_is_fine() -> Iterator[None]:
    """Have work go on where what the ``with`` block prints cannot be read.

    The disk may be full, a pipe without a reader, or a terminal gone. All further output of this
    process is lost then.
    """
    try:
        yield
    except OSError:
        discard_output()


def discard_output() -> None:
    """Have all further output of this process go nowhere, also what Python still holds of it."""
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, sys.stdout.fileno())
    except (OSError, ValueError):  # it is no file: a test's
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, it stays open
    finally:
        os.close(null)


# --- Compilation ----------------------------------------------------------------------


class _Notice:
    """Says that kernels are compiled: in a terminal which, on a line that goes away."""

    def __init__(self) -> None:
        self._stream = sys.stderr  # not what the rows will put in its place, who know only lines
        # A terminal that knows no escape codes is a pipe to us, as it is to rich.
        is_dumb = os.environ.get("TERM", "").lower() in ("dumb", "unknown")
        self._is_terminal = self._stream.isatty() and not is_dumb
        self._count = 0
        self._is_shown = False

    def show(self, name: str) -> None:
        """``name`` is about to be compiled."""
        self._count += 1
        if self._is_terminal:
            name = name.replace("_", " ").replace(".", " ")
            text = f"Compiling kernels for this processor, once: {name} ({self._count})"
            self._write(f"\r\x1b[2K{text[: self._width() - 1]}")
            self._is_shown = True
        elif self._count == 1:
            self._write("Compiling kernels for this processor, once; it takes some seconds\n")

    def clear(self) -> None:
        """Take the line away, since something else is about to be shown."""
        if self._is_shown:
            self._write("\r\x1b[2K")
            self._is_shown = False

    def _width(self) -> int:
        with suppress(OSError):  # it has gone away
            return os.get_terminal_size(self._stream.fileno()).columns or 80  # 0 is unknown
        return 80

    def _write(self, text: str) -> None:
        with suppress(OSError):  # nobody can read it
            self._stream.write(text)
            self._stream.flush()


@contextmanager
def compilation_shown() -> Iterator[_Notice]:
    """Within the ``with`` block, say so where kernels must be compiled before they run."""
    from scratchgan.backend.cpu.codegen import machine_code

    notice, before = _Notice(), machine_code.on_compile
    machine_code.on_compile = notice.show
    try:
        yield notice
    finally:
        machine_code.on_compile = before
        notice.clear()


# --- What a training looks like --------------------------------------------------------


class Rows(Callback):
    """A row for each epoch: it grows in a terminal, and is a plain line elsewhere.

    Args:
        config: Of the training.
        notice: What else may be shown on the same screen.
    """

    _WIDTHS = (9, 8, 8, 6, 9, 10, 11)
    _REDRAW = 0.1  # seconds

    def __init__(self, config: Config, notice: _Notice) -> None:
        from rich.console import Console
        from rich.live import Live

        self.standing = Standing(config)
        self.drawn = 0.0
        self.notice = notice
        console = Console(highlight=False, markup=False)
        is_live = sys.stdout.isatty() and not console.is_dumb_terminal
        self.live = Live(console=console, auto_refresh=False, transient=True) if is_live else None

    def __enter__(self) -> Self:
        with unread_is_fine():
            if self.live:
                self.live.start()
        self._print(HEADINGS)
        return self

    def __exit__(self, *_: object) -> None:
        with unread_is_fine():
            if self.live:
                self.live.stop()

    def on_step_end(self, trainer: Trainer, row: Row | None) -> None:
        """Show that a step is done."""
        self.standing.on_step_end(trainer, row)
        now = time.perf_counter()
        if self.standing.step_of_epoch == self.standing.steps_per_epoch:
            self._print(self.standing.cells())
        elif self.live and now - self.drawn > self._REDRAW:
            self.notice.clear()
            with unread_is_fine():
                self.live.update(self._row(self.standing.cells()), refresh=True)
            self.drawn = now

    def tell(self, sentence: str) -> None:
        """Print a sentence between the rows."""
        self.notice.clear()
        if not self.live:
            say(sentence)
            return
        with unread_is_fine():
            self.live.console.print(sentence)

    def _print(self, cells: tuple[str, ...]) -> None:
        self.notice.clear()
        if not self.live:
            say("".join(self._aligned(cells)))
            return
        with unread_is_fine():
            self.live.update("", refresh=True)  # or the row that grew would stay below this one
            self.live.console.print(self._row(cells))

    def _aligned(self, cells: tuple[str, ...]) -> list[str]:
        """The cells as wide as their columns; a number that needs more room shifts the others."""
        first, *rest = zip(cells, self._WIDTHS, strict=True)
        return [first[0].rjust(first[1]), *(f" {cell}".rjust(width) for cell, width in rest)]

    def _row(self, cells: tuple[str, ...]) -> "Table":
        """The cells that fit into the terminal's width, and a bar in the rest."""
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        assert self.live
        room = self.live.console.width - 1
        epoch, *rest = self._aligned(cells)
        while rest and len(epoch) + sum(map(len, rest)) > room:
            rest.pop()
        bar_width = max(0, min(30, room - len(epoch) - sum(map(len, rest)) - 1))
        done, steps = self.standing.step_of_epoch, self.standing.steps_per_epoch
        bar = ProgressBar(steps, done, bar_width) if done and bar_width else ""
        row = Table.grid()
        row.add_column(no_wrap=True)
        row.add_column(width=bar_width)
        row.add_column(no_wrap=True)
        row.add_row(epoch[-room:] + (" " if bar_width else ""), bar, "".join(rest))
        return row
