"""Whether primitives leave nodes behind: ``no_grad`` and its kin."""

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from scratchgan.autograd.tape import Mode, mode

F = TypeVar("F", bound=Callable[..., Any])


class _GradMode:
    """A context, or a decorator, within which primitives are recorded, or not.

    It may decorate a function, which may be recursive; a generator, between whose values the mode
    is the caller's; or a class, of which the making is meant.
    """

    def __init__(self, enabled: bool) -> None:
        self.enabled = enabled
        self.before: list[bool] = []  # a stack: one instance may be entered again

    def __enter__(self) -> None:
        self.before.append(_exchange(self.enabled))

    def __exit__(self, *_: object) -> None:
        _exchange(self.before.pop())

    def __call__(self, function: F) -> F:
        if inspect.isclass(function):
            making: Any = function
            making.__init__ = self(making.__init__)
            return function
        made = _generating if inspect.isgeneratorfunction(function) else _calling
        return functools.wraps(function)(made(function, self.enabled))  # type: ignore[return-value]


def _exchange(enabled: bool) -> bool:
    """Record from now on, or not; what was so before."""
    now = mode.get()
    mode.set(Mode(enabled, now.watchers, now.changed))
    return now.is_recording


def _calling(function: Callable[..., Any], enabled: bool) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        with _GradMode(enabled):
            return function(*args, **kwargs)

    return call


def _generating(function: Callable[..., Any], enabled: bool) -> Callable[..., Any]:
    def generate(*args: Any, **kwargs: Any) -> Iterator[Any]:
        generator = function(*args, **kwargs)
        go_on: Callable[[], Any] = functools.partial(next, generator)
        while True:
            with _GradMode(enabled):
                try:
                    value = go_on()
                except StopIteration as end:
                    return end.value  # type: ignore[no-any-return]
            try:
                sent = yield value
            except GeneratorExit:
                generator.close()
                raise
            except BaseException as error:
                go_on = functools.partial(generator.throw, error)
            else:
                go_on = functools.partial(generator.send, sent)

    return generate


class no_grad(_GradMode):
    """Context or decorator within which nothing is recorded: results require no gradient."""

    def __init__(self, orig_func: Any = None) -> None:
        super().__init__(False)

    def __new__(cls, orig_func: Any = None) -> Any:  # noqa: D102, as a decorator without ()
        return super().__new__(cls) if orig_func is None else cls()(orig_func)


class enable_grad(_GradMode):
    """Context or decorator that records again inside :class:`no_grad`."""

    def __init__(self, orig_func: Any = None) -> None:
        super().__init__(True)

    def __new__(cls, orig_func: Any = None) -> Any:  # noqa: D102
        return super().__new__(cls) if orig_func is None else cls()(orig_func)


class inference_mode(_GradMode):
    """Context or decorator within which nothing is recorded, as in :class:`no_grad`.

    Args:
        mode: Whether so; False records again.
    """

    def __init__(self, mode: Any = True) -> None:
        super().__init__(not mode)

    def __new__(cls, mode: Any = True) -> Any:  # noqa: D102
        return super().__new__(cls) if isinstance(mode, bool) else cls()(mode)


class set_grad_enabled(_GradMode):
    """Record from now on, or no more: as a statement; or as a context or decorator.

    Args:
        mode: Whether primitives are recorded.
    """

    def __init__(self, mode: bool) -> None:
        super().__init__(mode)
        self._outside = _exchange(mode)

    def __enter__(self) -> None:
        self.before.append(self._outside)
        _exchange(self.enabled)

    def __call__(self, function: F) -> F:  # noqa: D102, as that of all
        _exchange(self._outside)  # it was meant for the function alone
        return super().__call__(function)


def is_grad_enabled() -> bool:
    """Whether primitives are recorded at this moment, in this thread."""
    return mode.get().is_recording
