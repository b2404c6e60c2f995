"""The context of a recording: what a replay must read again, and what it rests on.

Outside of a recording these functions cost next to nothing.
"""

from collections.abc import Callable


class JitError(RuntimeError):
    """A step cannot be recorded; the message says which operation, and what to do instead."""


class DynamicScalars:
    """Keyword numbers of a kernel that are read anew before every replay."""

    def __init__(self, read: Callable[[], dict[str, float]]) -> None:
        self._read = read
        self.values = read()

    def refresh(self) -> None:
        """Read them again; the dict stays the same object."""
        self.values.update(self._read())


class DynamicScalar(float):
    """One of :class:`DynamicScalars` on its way through a kernel call."""

    source: DynamicScalars


class RecordingContext:
    """Facts that are noted while a function is recorded."""

    def __init__(self) -> None:
        self.live: list[DynamicScalars] = []
        self.read: list[tuple[object, str]] = []


_current: RecordingContext | None = None


def begin() -> RecordingContext:
    """Start to take notes."""
    global _current
    _current = RecordingContext()
    return _current


def end() -> None:
    """Take no more notes."""
    global _current
    _current = None


def dynamic_scalars(read: Callable[[], dict[str, float]]) -> dict[str, float]:
    """``read()``, whose numbers a replay must read again: a learning rate may change any time."""
    if _current is None:
        return read()
    source = DynamicScalars(read)
    _current.live.append(source)
    scalars: dict[str, float] = {}
    for name, value in source.values.items():
        scalar = DynamicScalar(value)
        scalar.source = source
        scalars[name] = scalar
    return scalars


def depends_on(owner: object, attribute: str) -> None:
    """Record anew when ``owner.attribute`` is no longer what it is after the step."""
    if _current is not None:
        _current.read.append((owner, attribute))
