"""Whether primitives leave nodes behind: ``no_grad`` and its kin."""

from contextlib import ContextDecorator

from scratchgan.autograd.tape import Mode, mode


class set_grad_enabled(ContextDecorator):
    """Context or decorator within which primitives are recorded, or not."""

    def __init__(self, enabled: bool) -> None:
        self.enabled = enabled
        self.before: list[bool] = []  # a stack: one instance may decorate a recursive function

    def __enter__(self) -> None:
        now = mode.get()
        self.before.append(now.is_recording)
        mode.set(Mode(self.enabled, now.watchers, now.changed))

    def __exit__(self, *_: object) -> None:
        now = mode.get()
        mode.set(Mode(self.before.pop(), now.watchers, now.changed))


class no_grad(set_grad_enabled):
    """Context or decorator within which nothing is recorded: results require no gradient."""

    def __init__(self) -> None:
        super().__init__(False)


class enable_grad(set_grad_enabled):
    """Context or decorator that records again inside :class:`no_grad`."""

    def __init__(self) -> None:
        super().__init__(True)


def is_grad_enabled() -> bool:
    """Whether primitives are recorded at this moment, in this thread."""
    return mode.get().is_recording
