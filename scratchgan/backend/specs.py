"""Descriptions of kernels: facts besides what they compute, stated where they are defined."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class KernelSpec:
    """The description of a kernel.

    Attributes:
        kind: ``"compute"`` writes ``out``; ``"allocate"`` gives new memory, and ``"constant"``
            new memory with the same values each time; ``"view"`` gives another view of its
            input's; ``"query"`` tells something of an array without its values; ``"transfer"``
            makes values of Python's, or an array whose shape depends on values, which a replay
            could not do again.
        changes_inputs: Whether it changes its inputs too.
        scalars: Its keywords, in order.
        decomposition: What jit records in its place: a function of the kernels of a backend and of
            the kernel's own arguments.
        refusal: For a transfer, what it does and what to do instead.
    """

    kind: Literal["compute", "allocate", "constant", "view", "query", "transfer"] = "compute"
    changes_inputs: bool = False
    scalars: tuple[str, ...] = ()
    decomposition: Callable[..., None] | None = None
    refusal: tuple[str, str] = ("", "")


#: The kernels that have something to be told, by name.
SPECS: dict[str, KernelSpec] = {}
_COMPUTES = KernelSpec()


def spec_of(kernel: str) -> KernelSpec:
    """The description of a kernel by its name."""
    return SPECS.get(kernel, _COMPUTES)


def kernel(**facts: Any) -> Callable[[F], F]:
    """Decorator: describes the kernel; ``facts`` are those of :class:`KernelSpec`."""

    def describe(function: F) -> F:
        code = function.__code__
        keywords = code.co_varnames[code.co_argcount :][: code.co_kwonlyargcount]
        scalars = tuple(name for name in keywords if name != "out")
        SPECS[function.__name__] = KernelSpec(scalars=scalars, **facts)
        return function

    return describe
