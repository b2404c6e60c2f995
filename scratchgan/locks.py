"""Locks and forks: a forked process has one thread, and whatever the others held stays held.

A lock that another thread of the parent held at that moment would never be released in the child.
So locks are made here, and are open in a new child; or a fork waits until whoever holds them is
done, where what they guard must not be seen half done.
"""

import os
import threading
import weakref
from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")

_made: "weakref.WeakSet[Any]" = weakref.WeakSet()


def new_lock() -> Any:
    """A ``threading.Lock`` that is open in a forked child."""
    lock = threading.Lock()
    _made.add(lock)
    return lock


def new_rlock() -> Any:
    """A ``threading.RLock`` that is open in a forked child."""
    lock = threading.RLock()
    _made.add(lock)
    return lock


class computed_once(Generic[T]):
    """Decorator: a property that is computed when it is first asked for, and kept.

    ``functools.cached_property`` has a lock up to Python 3.11, which a child may find held.
    """

    def __init__(self, function: Callable[[Any], T]) -> None:
        self._function = function
        self.__doc__ = function.__doc__

    def __get__(self, instance: Any, owner: type) -> T:
        value = vars(instance)[self._function.__name__] = self._function(instance)
        return value


class ForkLock:
    """An ``RLock``, as a context, that is held while this process forks."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._holds = 0  # by forks
        self.come_first()

    def come_first(self) -> None:
        """Have a fork take this lock before those that Python was told of until now.

        Whoever holds this one may want them.
        """
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(
                before=self._hold, after_in_parent=self._let_go, after_in_child=self._let_go
            )

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def _hold(self) -> None:
        self._lock.acquire()
        self._holds += 1

    def _let_go(self) -> None:
        if self._holds:  # Python was told of it since this fork began
            self._holds -= 1
            self._lock.release()


class Passage:
    """A context that threads may be within side by side, and that a fork waits for them to leave.

    For what has locks of its own, out of Python's reach.
    """

    def __init__(self) -> None:
        self._within = 0
        self._changed = threading.Condition(threading.Lock())
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(
                before=self._close, after_in_parent=self._open, after_in_child=self._open_anew
            )

    def __enter__(self) -> None:
        with self._changed:
            self._within += 1

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._within -= 1
            if not self._within:
                self._changed.notify_all()

    def _close(self) -> None:
        """Wait until nobody is within, and let nobody enter."""
        self._changed.acquire()
        self._changed.wait_for(lambda: not self._within)

    def _open(self) -> None:
        self._changed.release()

    def _open_anew(self) -> None:
        self._changed = threading.Condition(threading.Lock())


def _open_all() -> None:
    for lock in _made:
        lock._at_fork_reinit()  # as Python does with its own


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_open_all)
