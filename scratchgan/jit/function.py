"""The function that the user sees: :func:`jit` and what it returns."""

import copy
import functools
import sys
import warnings
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, ParamSpec, TypeVar

import numpy as np

from scratchgan import autograd, dtypes
from scratchgan.autograd.observe import is_observed
from scratchgan.autograd.tensor import Tensor
from scratchgan.backend import kernels_for
from scratchgan.jit.arguments import Span, difference, overlaps, signature, span_of
from scratchgan.jit.context import JitError
from scratchgan.locks import new_lock

if TYPE_CHECKING:
    from scratchgan.jit.replay import Replay

# The modules that record and plan are imported by the first call of a jitted function.

P = ParamSpec("P")
R = TypeVar("R")

#: How many recordings one function keeps, the latest; beyond it jit warns once.
MOST_RECORDINGS = 8


class RecordingInfo(NamedTuple):
    """Why a recording was made, and whether it is replayed.

    Attributes:
        reason: What was other than in the recordings before.
        why_not: Why it cannot be replayed, so that the next call records again; empty if it can.
    """

    reason: str
    why_not: str


class Jitted(Generic[P, R]):
    """A function that is recorded when it is first called, and replayed while that holds.

    Attributes:
        recordings: Why each recording was made, in order; the last hundred.
    """

    __name__: str

    def __init__(self, function: Callable[P, R]) -> None:
        functools.update_wrapper(self, function)
        if not hasattr(function, "__name__"):  # a module, a partial
            self.__name__ = type(function).__name__
        self._function = function
        self._methods: dict[type, Jitted[Any, Any]] = {}
        self._replays: dict[Any, list[Replay]] = {}
        self._latest: Replay | None = None
        self._latest_key: Any = None
        self._lock = new_lock()  # of what is kept, not of what runs
        self._count = 0
        self.recordings: list[RecordingInfo] = []

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """As a method: each instance has recordings of its own."""
        if instance is None or isinstance(self._function, staticmethod):
            return self
        if isinstance(instance, type):  # of a classmethod
            return self._methods.setdefault(instance, Jitted(self._bound(instance, owner)))
        try:
            held = instance.__dict__.setdefault(_KEY, _OfInstance())
        except AttributeError:
            raise JitError(
                f"jit: {self.__name__} is a method of {type(instance).__name__}, whose objects "
                "have no __dict__ for their recordings; leave __slots__ out"
            ) from None
        if held.instance() is not instance:
            held = instance.__dict__[_KEY] = _OfInstance(instance)
        if self not in held.methods:
            held.methods[self] = Jitted(self._bound(instance, owner))
        return held.methods[self]

    def _bound(self, instance: Any, owner: type | None) -> Any:
        return self._function.__get__(instance, owner)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Jitted[P, R]":
        """A function like this, without recordings; a method is that of the copied object."""
        return Jitted(copy.deepcopy(self._function, memo))

    def __reduce__(self) -> Any:
        """Pickled as functions are: by its name, or with the function that it wraps."""
        module = sys.modules.get(self.__module__)
        if getattr(module, self.__name__, None) is self:
            return self.__name__
        return Jitted, (self._function,)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Replay the function, or run and record it.

        Where primitives are watched, as ``detect_anomaly`` and another recording do, it runs as it
        is.
        """
        if is_observed():
            return self._function(*args, **kwargs)
        tensors: list[Tensor] = []
        facts = signature(args, tensors), signature(kwargs, tensors)
        spans = [span_of(tensor.array) for tensor in tensors]
        key = (
            facts,
            overlaps(spans),
            autograd.is_grad_enabled(),
            dtypes.get_default_dtype(),
            kernels_for[np.ndarray].name,
        )
        for replay in self._replays.get(key, ()):
            if not replay.misfit(tensors, spans) and replay.guards.hold():
                self._latest = replay
                result: R = replay(tensors)
                return result
        return self._record(key, tensors, spans, args, kwargs)

    def _record(
        self, key: Any, tensors: list[Tensor], spans: list[Span], args: Any, kwargs: Any
    ) -> R:
        from scratchgan.jit.capture import Capture

        reason = self._reason(key, tensors, spans)
        capture = Capture(self.__name__, self._function, args, kwargs, tensors, spans)
        why_not = capture.why_not()
        self._count += 1
        self.recordings = [*self.recordings[-99:], RecordingInfo(reason, why_not)]
        if not why_not:
            capture.finish()
        result: R = capture.leave(tensors)
        if not why_not:
            self._keep(key, capture.replay(reason))
        if self._count == MOST_RECORDINGS + 1:
            warnings.warn(
                f"jit: {self.__name__} has been recorded {MOST_RECORDINGS} times; recording is "
                f"slow. The last time because: {reason}. Pass numbers that change as tensors, and "
                "keep shapes the same (drop the last, smaller batch); its recordings attribute "
                "has all reasons",
                stacklevel=3,
            )
        return result

    def _keep(self, key: Any, replay: "Replay") -> None:
        with self._lock:
            while sum(map(len, self._replays.values())) >= MOST_RECORDINGS:
                oldest = next(iter(self._replays))
                self._replays[oldest] = self._replays[oldest][1:]
                if not self._replays[oldest]:
                    del self._replays[oldest]
            self._replays[key] = [*self._replays.get(key, ()), replay]
            self._latest, self._latest_key = replay, key

    def _reason(self, key: Any, tensors: list[Tensor], spans: list[Span]) -> str:
        """Why the recordings so far do not do."""
        if not self.recordings:
            return "it is the first call"
        if self.recordings[-1].why_not:
            return self.recordings[-1].why_not
        if self._latest is None:
            return "no recording could be kept"
        found = [
            (replay.misfit(tensors, spans), "; ".join(replay.guards.changes()))
            for replay in reversed(self._replays.get(key, ()))
        ]
        # Rather what was changed since than what was other from the start.
        reasons = [changes for misfit, changes in found if not misfit]
        reasons += [misfit for misfit, _ in found]
        return reasons[0] if reasons else difference(self._latest_key, key)

    def explain(self, repeats: int = 100) -> str:
        """A page on the latest recording: why it was made, its calls, fused functions, time shares.

        The time of each part is its median in ``repeats`` further replays, which change
        parameters and state as steps do; they are put back afterwards.

        Raises:
            JitError: Nothing has been recorded yet.
        """
        if self._latest is None:
            raise JitError("explain: nothing has been recorded yet; call the function first")
        from scratchgan.jit import explain

        return explain.page(self.__name__, self._latest, repeats)


#: Where an object has its jitted methods; no name that an attribute could have.
_KEY = "jitted methods"


class _OfInstance:
    """The jitted methods of an object, among its attributes; a copy of the object has none."""

    def __init__(self, instance: Any = None) -> None:
        self.instance: Callable[[], Any] = (
            (lambda: None) if instance is None else weakref.ref(instance)
        )
        self.methods: dict[Jitted[Any, Any], Jitted[Any, Any]] = {}

    def __reduce__(self) -> Any:
        return _OfInstance, ()


def jit(function: Callable[P, R]) -> Jitted[P, R]:
    """Record ``function`` at its first call, and replay it without Python's tape from then on.

    ``function`` takes and returns tensors, in tuples, lists, dicts and dataclasses if need be, and
    may run backward and optimizer steps; other arguments are hashable constants, each value of
    which is a recording of its own.

    A replay gives what the call would give at that moment. So a recording rests on what the
    function can see: the variables and attributes that its code and that of the functions that it
    calls mention, and the tensors behind them. Where one of them was changed it is recorded anew,
    as it is for other shapes and types; ``explain()`` lists them, and ``recordings`` says why each
    recording was made. Values of tensors, gradients, learning rates and random streams may change
    any time.

    What cannot be replayed raises a :class:`JitError`: reading a value, booleans as an index, NumPy
    in the middle. Python itself runs only while recording: what it prints, or reads from a clock or
    a file, is not repeated. A function that changes variables or attributes that it mentions is
    recorded in each call, which is slow.

        @sg.jit
        def step(x, y):
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(x), y)
            loss.backward()
            optimizer.step()
            return loss
    """
    return Jitted(function)
