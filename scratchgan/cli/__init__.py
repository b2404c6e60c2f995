"""The command line. Nothing is computed here: it reads options, calls, and shows what comes.

Everything heavy is imported by the command that needs it, so that ``--help`` answers at once.
"""

import os
import sys
import warnings
from contextlib import suppress
from typing import Any

import typer

from scratchgan import gan
from scratchgan.cli import (  # noqa: F401, these add their commands
    comparison,
    images,
    inspection,
    machine,
    playground,
    sweep,
    training,
)
from scratchgan.cli.app import app
from scratchgan.gan.signals import ends_tidily
from scratchgan.messages import one_line
from scratchgan.progress import discard_output


def main() -> None:
    """Run the command; a user's mistake is one sentence on stderr and a non-zero exit."""
    _make_output_safe()
    warnings.showwarning = _show_warning  # type: ignore[assignment]
    try:
        with ends_tidily():
            code = app(sys.argv[1:] or ["--help"], prog_name="scratchgan", standalone_mode=False)
        sys.stdout.flush()
    except typer.TyperException as error:  # an option that does not exist, a value of a wrong type
        code = _refuse(error.format_message(), error.exit_code)
    except BrokenPipeError:  # whoever read the output has seen enough
        code = 1
        discard_output()
    except OSError as error:
        where = error.filename or "the output"
        code = _refuse(f"{where}: cannot be written ({error.strerror or error})", 1)
        if not error.filename:
            discard_output()
    except MemoryError as error:
        code = _refuse(f"there is not enough memory ({error or 'Python says no more'})", 1)
    except _user_errors() as error:
        code = _refuse(str(error), 1)
    sys.exit(code)


def _make_output_safe() -> None:
    """Have a place for what is printed where there is none, and for letters that it has not."""
    if None in (sys.stdin, sys.stdout, sys.stderr):  # closed, as by >&-
        # Or the next file that is opened would take the number, and get what is printed.
        while os.open(os.devnull, os.O_RDWR) < 3:
            pass
        sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115, they stay open
        sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _show_warning(message: Any, category: Any, *_: Any) -> None:
    _refuse(str(message).removeprefix("scratchgan: "), 0)


def _user_errors() -> tuple[type[Exception], ...]:
    """The errors whose messages are written for the user; asked for when one was raised."""
    from scratchgan.backend import BackendError
    from scratchgan.data import DataError

    return BackendError, DataError, gan.RunError


def _refuse(message: str, code: int) -> int:
    with suppress(OSError):  # a full disk
        # Names from files may be long, and hold codes that make a terminal do things.
        print(f"scratchgan: {one_line(message, 2000)}", file=sys.stderr)
    return code
