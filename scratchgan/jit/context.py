"""What code above must tell a recording, so that a replay does as it would have done.

Outside of a recording these functions cost next to nothing.
"""

from collections.abc import Callable


class JitError(RuntimeError):
    """A step cannot be recorded; the message says which operation, and what to do instead."""


class LiveScalars:
    """Keyword numbers of a kernel that are read anew before every replay."""

    def __init__(self, read: Callable[[], dict[str, float]]) -> None:
        self._read = read
        self.values = read()

    def refresh(self) -> None:
        """Read them again; the dict stays the same object."""
        self.values.update(self._read())


class LiveScalar(float):
    """One of :class:`LiveScalars` on its way through a kernel call."""

    source: LiveScalars


class Notes:
    """What a recording was told."""

    def __init__(self) -> None:
        self.live: list[LiveScalars] = []
        self.read: list[tuple[object, str]] = []


_current: Notes | None = None


def begin() -> Notes:
    """Start to take notes."""
    global _current
    _current = Notes()
    return _current


def end() -> None:
    """Take no more notes."""
    global _current
    _current = None


def live(read: Callable[[], dict[str, float]]) -> dict[str, float]:
    """``read()``, whose numbers a replay must read again: a learning rate may change any time."""
    if _current is None:
        return read()
    source = LiveScalars(read)
    _current.live.append(source)
    scalars: dict[str, float] = {}
    for name, value in source.values.items():
        scalar = LiveScalar(value)
        scalar.source = source
        scalars[name] = scalar
    return scalars


def depends_on(owner: object, attribute: str) -> None:
    """What is recorded holds only as long as ``owner.attribute`` is what it is after the step."""
    if _current is not None:
        _current.read.append((owner, attribute))
