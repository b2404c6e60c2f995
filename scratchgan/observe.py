"""Watching primitives run: for anomaly detection, and for finding the one whose VJP is wrong."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from scratchgan.primitive import Primitive

if TYPE_CHECKING:
    from scratchgan.tensor import Tensor

#: Called after a primitive ran: with the primitive, its inputs, its keywords and its result.
Watcher = Callable[[Primitive, tuple[Any, ...], dict[str, Any], "Tensor"], None]


class _Watching(threading.local):
    watchers: tuple[Watcher, ...] = ()


_watching = _Watching()
_call = Primitive.__call__
_lock = threading.Lock()
_blocks = 0  # with-blocks of observe() that are entered now, in all threads


def _watched_call(self: Primitive, *inputs: Any, **keywords: Any) -> "Tensor":
    inputs, keywords = self._bound(inputs, keywords)
    inputs = tuple([self._lifted(x) for x in inputs])
    result = _call(self, *inputs, **keywords)
    for watcher in _watching.watchers:
        watcher(self, inputs, keywords, result)
    return result


@contextmanager
def observe(watcher: Watcher) -> Iterator[None]:
    """Within the ``with`` block, ``watcher`` sees every primitive that runs in this thread.

    Another ``__call__`` takes the place of :class:`Primitive`'s meanwhile: while nobody watches,
    a call does not even ask whether somebody does.
    """
    global _blocks
    before = _watching.watchers
    with _lock:
        _blocks += 1
        Primitive.__call__ = _watched_call  # type: ignore[method-assign]
    _watching.watchers = (*before, watcher)
    try:
        yield
    finally:
        _watching.watchers = before
        with _lock:
            _blocks -= 1
            if not _blocks:
                Primitive.__call__ = _call  # type: ignore[method-assign]
