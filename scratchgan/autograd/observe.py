"""Watching primitives run: for jit, anomaly detection, and finding the one whose VJP is wrong."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from scratchgan.autograd import tape
from scratchgan.autograd.primitive import Primitive

if TYPE_CHECKING:
    from scratchgan.tensor import Tensor

#: Called after a primitive ran: with the primitive, its inputs, its keywords and its result.
Watcher = Callable[[Primitive, tuple[Any, ...], dict[str, Any], "Tensor"], None]


class _Watching(threading.local):
    watchers: tuple[Watcher, ...] = ()


_watching = _Watching()
_lock = threading.Lock()
_blocks = 0  # with-blocks of observe() that are entered now, in all threads


def _tell(
    primitive: Primitive, inputs: tuple[Any, ...], keywords: dict[str, Any], result: "Tensor"
) -> None:
    for watcher in _watching.watchers:
        watcher(primitive, inputs, keywords, result)


def is_observed() -> bool:
    """Whether anyone watches the primitives that run in this thread."""
    return bool(_watching.watchers)


@contextmanager
def observe(watcher: Watcher) -> Iterator[None]:
    """Within the ``with`` block, ``watcher`` sees every primitive that runs in this thread."""
    global _blocks
    before = _watching.watchers
    with _lock:
        _blocks += 1
        tape.watch = _tell
    _watching.watchers = (*before, watcher)
    try:
        yield
    finally:
        _watching.watchers = before
        with _lock:
            _blocks -= 1
            if not _blocks:
                tape.watch = None
