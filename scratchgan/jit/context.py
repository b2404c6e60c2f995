"""The context of a recording: where it is noted what a replay must read again.

Each thread and each asynchronous task has its own. Outside of a recording these functions cost next
to nothing.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from scratchgan.backend import opaque


class JitError(RuntimeError):
    """A step cannot be recorded; the message says which operation, and what to do instead."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        context = current.get()
        if context is not None and context.refusal is None:
            context.refusal = self  # the step may catch it, and go on with something else


class DynamicScalars:
    """Keyword numbers of a kernel that are read anew before every replay, from ``source``.

    Attributes:
        values: The numbers by name.
        deciding: The names of those that decided what is computed: a change is recorded anew.
    """

    def __init__(self, read: Callable[[], dict[str, Any]], source: Mapping[str, Any]) -> None:
        self._read = read
        self.source = source
        self.values = read()
        self.deciding: set[str] = set()

    def refresh(self) -> None:
        """Read them again; the dict stays the same object."""
        self.values.update(self._read())


class DynamicScalar(float):
    """One of :class:`DynamicScalars`, called ``name`` there, on its way to a kernel call."""

    origin: DynamicScalars
    name: str

    def __bool__(self) -> bool:
        self.origin.deciding.add(self.name)
        return float(self) != 0.0


class RecordingContext:
    """A recording that is being made in this context.

    Attributes:
        backends: For the name of each backend what takes its place meanwhile.
        live: The numbers that a replay reads anew.
        shown: The options that the function has been shown, as they are.
        refusal: The first operation that cannot be recorded.
    """

    def __init__(self, backends: Mapping[str, Any]) -> None:
        self.backends = backends
        self.live: list[DynamicScalars] = []
        self.shown: list[Mapping[str, Any]] = []
        self.refusal: JitError | None = None


#: The recording that is being made in the current context, or None.
current: ContextVar[RecordingContext | None] = ContextVar("recording", default=None)


@contextmanager
def unrecorded() -> Iterator[None]:
    """Within the ``with`` block nothing is written down."""
    kernels, calls = current.set(None), opaque.recorder.set(None)
    try:
        yield
    finally:
        opaque.recorder.reset(calls)
        current.reset(kernels)


def dynamic_scalars(
    read: Callable[[], dict[str, Any]], source: Mapping[str, Any]
) -> dict[str, Any]:
    """``read()``, whose numbers a replay must read again: a learning rate may change any time.

    Args:
        read: Gives the numbers.
        source: Where it reads them.
    """
    context = current.get()
    if context is None:
        return read()
    origin = DynamicScalars(read, source)
    context.live.append(origin)
    scalars: dict[str, Any] = {}
    for name, value in origin.values.items():
        if not isinstance(value, float | int):
            scalars[name] = value  # a guard notices when the option is another
            continue
        scalar = DynamicScalar(value)
        scalar.origin, scalar.name = origin, name
        scalars[name] = scalar
    return scalars


def shown(options: Mapping[str, Any]) -> Mapping[str, Any]:
    """``options``, which the caller hands out: what is recorded may do anything with their values.

    They are the source of :func:`dynamic_scalars`, which otherwise may change without notice.
    """
    context = current.get()
    if context is not None:
        context.shown.append(options)
    return options
