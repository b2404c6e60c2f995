"""A training in a notebook: a line of progress that is kept up to date, and the digits below it."""

import base64
import io
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from scratchgan import viz
from scratchgan.gan.files import RunError
from scratchgan.gan.sampling import GRID_ROWS
from scratchgan.gan.standing import HEADINGS, Standing
from scratchgan.gan.trainer import Callback, Row, Trainer

if TYPE_CHECKING:
    from IPython.display import DisplayHandle

#: Seconds from one line to the next, within an epoch.
_REDRAW = 0.2


class NotebookDisplay(Callback):
    """Shows a training below the cell of a notebook that runs it.

    A line says the epoch and the step, the losses, the scores, the speed and the time that is left;
    below it stand the digits that G makes of the same noise after each epoch. Both are changed in
    place: ``Trainer(config, images).run([NotebookDisplay()])``.

    Raises:
        RunError: This is no notebook, or IPython is not installed.
    """

    def __init__(self) -> None:
        try:
            from IPython.core.getipython import get_ipython
        except ImportError as fault:
            raise RunError(
                f"NotebookDisplay shows in a notebook, and there is none ({fault}); leave it out, "
                "or pip install notebook"
            ) from None
        if get_ipython() is None:
            raise RunError(
                "NotebookDisplay shows in a notebook, and IPython is not running; leave it out, or "
                "let a callback of your own print"
            )
        self._standing: Standing | None = None
        self._line: DisplayHandle | None = None
        self._digits: DisplayHandle | None = None
        self._drawn = 0.0

    def on_step_end(self, trainer: Trainer, row: Row | None) -> None:
        """Bring the line up to date, a few times in a second and where an epoch ends."""
        if self._standing is None:
            self._standing = Standing(trainer.config)
        self._standing.on_step_end(trainer, row)
        now = time.perf_counter()
        if now - self._drawn > _REDRAW or not trainer.is_within_epoch:
            self._line = _show(self._line, _line(self._standing))
            self._drawn = now

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Show what G makes by now."""
        file = io.BytesIO()
        viz.save_grid(file, trainer.sample_grid(), columns=GRID_ROWS)
        self._digits = _show(
            self._digits,
            {
                "image/png": base64.b64encode(file.getvalue()).decode(),
                "text/plain": f"the digits after epoch {trainer.epoch}",
            },
        )


def _line(standing: Standing) -> dict[str, str]:
    """Where a training stands, as a row of a table and as text."""
    epoch, *others = standing.cells()
    steps, done = standing.steps_per_epoch, standing.step_of_epoch
    cells = {"epoch": epoch, "step": f"{done:,}/{steps:,}"}
    cells |= dict(zip(HEADINGS[1:], others, strict=True))
    names = "".join(f"<th>{name}</th>" for name in cells)
    texts = "".join(f"<td>{text}</td>" for text in cells.values())
    bar = f"<progress value='{done}' max='{steps}'></progress>"
    return {
        "text/html": f"<table><tr>{names}<th></th></tr><tr>{texts}<td>{bar}</td></tr></table>",
        "text/plain": ", ".join(f"{name} {text}" for name, text in cells.items()),
    }


def _show(handle: "DisplayHandle | None", data: Mapping[str, str]) -> "DisplayHandle":
    """Show ``data``, by MIME type, in the place of what ``handle`` shows, or in a new one."""
    from IPython.display import display

    if handle is None:
        handle = display(dict(data), raw=True, display_id=True)
    else:
        handle.update(dict(data), raw=True)
    return handle
