"""Ctrl-C, SIGTERM, a closed terminal: a training ends between two steps, a command tidily."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Stopped(KeyboardInterrupt):
    """A training was asked to stop, by Ctrl-C, by SIGTERM, or because its terminal was closed.

    Attributes:
        number: Of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.number = number


def end_command(number: int, _: object) -> None:
    """The handler of signals that end a command: with what it has begun put away, as by an error.

    Raises:
        SystemExit: With the code that a shell gives for this signal.
    """
    sys.exit(128 + number)


#: The signals that ask for it, and their handlers where nobody wants something else of them.
_USUAL: dict[signal.Signals, tuple[Any, ...]] = {
    signal.SIGINT: (signal.default_int_handler,),
    signal.SIGTERM: (signal.SIG_DFL, end_command),
}
if hasattr(signal, "SIGHUP"):  # Windows closes no terminals so
    _USUAL[signal.SIGHUP] = (signal.SIG_DFL, end_command)


@contextmanager
def ends_tidily() -> Iterator[None]:
    """Have all but Ctrl-C, with which Python does so itself, end a command by `end_command`.

    Where a signal means something else already, as after ``nohup``, nothing is changed.
    """
    is_main = threading.current_thread() is threading.main_thread()
    deadly = [n for n in _USUAL if is_main and signal.getsignal(n) is signal.SIG_DFL]
    for number in deadly:
        signal.signal(number, end_command)
    try:
        yield
    finally:
        for number in deadly:
            signal.signal(number, signal.SIG_DFL)


@contextmanager
def stops_between_steps() -> Iterator[Callable[[], None]]:
    """Hold these signals back until the yielded function is called, or until the block ends.

    So none cuts a step in half, and none is lost. Both raise :class:`Stopped`. A second signal
    strikes at once. Where a signal means something else already, or in a thread that does not
    receive it, nothing is changed.
    """
    first: list[int] = []

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def hold(number: int, _: object) -> None:
        if first:
            first.clear()
            restore()
            signal.raise_signal(number)
        else:
            first.append(number)

    def stop_if_asked() -> None:
        if first:
            raise Stopped(first[0])

    is_main = threading.current_thread() is threading.main_thread()
    found = {number: signal.getsignal(number) for number in _USUAL if is_main}
    before = {number: handler for number, handler in found.items() if handler in _USUAL[number]}
    for number in before:
        signal.signal(number, hold)
    try:
        yield stop_if_asked
    finally:
        restore()
    stop_if_asked()
