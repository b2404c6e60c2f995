"""Ctrl-C and SIGTERM end a training between two steps."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Stopped(KeyboardInterrupt):
    """A training was asked to stop, by Ctrl-C or by SIGTERM.

    Attributes:
        number: Of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.number = number


#: The signals that ask for it, and their handlers where nobody wants something else of them.
_USUAL: dict[signal.Signals, Any] = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
}


@contextmanager
def stops_between_steps() -> Iterator[Callable[[], None]]:
    """Hold both signals back until the yielded function is called.

    So none cuts a step in half. The function raises :class:`Stopped`. A second signal strikes at
    once. Where a signal means something else already, or in a thread that does not receive it,
    nothing is changed.
    """
    first: list[int] = []

    def hold(number: int, _: object) -> None:
        if first:
            for held in handled:
                signal.signal(held, _USUAL[held])
            signal.raise_signal(number)
        first.append(number)

    def stop_if_asked() -> None:
        if first:
            raise Stopped(first[0])

    in_main = threading.current_thread() is threading.main_thread()
    handled = [s for s, usual in _USUAL.items() if in_main and signal.getsignal(s) is usual]
    for number in handled:
        signal.signal(number, hold)
    try:
        yield stop_if_asked
    finally:
        for number in handled:
            signal.signal(number, _USUAL[number])
