"""Watching primitives run: for jit, anomaly detection, and finding the one whose VJP is wrong."""

from collections.abc import Iterator
from contextlib import contextmanager

from scratchgan.autograd.tape import Mode, Watcher, mode


def is_observed() -> bool:
    """Whether anyone watches the primitives that run in this thread."""
    return bool(mode.get().watchers)


@contextmanager
def observe(watcher: Watcher) -> Iterator[None]:
    """Within the ``with`` block, ``watcher`` sees every primitive that runs in this thread."""
    before = mode.get()
    mode.set(Mode(before.is_recording, (*before.watchers, watcher), before.changed))
    try:
        yield
    finally:
        now = mode.get()
        mode.set(Mode(now.is_recording, before.watchers, now.changed))
