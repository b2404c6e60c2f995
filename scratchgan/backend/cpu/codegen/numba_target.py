"""Numba's front end: from Python functions to LLVM's language, for no processor in particular.

Numba compiles for this machine's processor, and loads what it has compiled. Here it is a *target*
of its own ("Notes on target extensions" in Numba's manual), whose functions become LLVM's language
and nothing else: :mod:`scratchgan.backend.cpu.codegen.machine_code` makes code of it, for any
processor.
"""

import functools
from collections.abc import Callable
from typing import Any, TypeVar, overload

from numba import types
from numba.core import codegen, cpu, dispatcher, target_extension
from numba.core.descriptors import TargetDescriptor
from numba.core.typing.context import Context

F = TypeVar("F", bound=Callable[..., Any])

NAME = "scratchgan"


class _Library(codegen.AOTCodeLibrary):
    """Functions as Numba wrote them: neither optimized nor loaded."""

    def _optimize_functions(self, module: Any) -> None:
        module.data_layout = self._codegen._data_layout

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_specific(self) -> None:
        pass

    def get_pointer_to_function(self, name: str) -> int:
        self._ensure_finalized()  # type: ignore[no-untyped-call]
        return 0  # nobody calls it from Python


class _Codegen(codegen.AOTCPUCodegen):
    _library_class = _Library

    def set_env(self, name: str, environment: Any) -> None:
        pass  # what a function needs of Python is refused later


class _Hardware(target_extension.CPU):
    """The target's name for Numba."""


target_extension.target_registry[NAME] = _Hardware


class _Target(TargetDescriptor):
    options = cpu.CPUTargetOptions

    def __init__(self) -> None:
        super().__init__(NAME)  # type: ignore[no-untyped-call]
        self._typing_context = Context()
        context = cpu.CPUContext(self._typing_context, NAME)
        self._context = context.subtarget(
            _internal_codegen=_Codegen(NAME)  # type: ignore[no-untyped-call]
        )

    @property
    def typing_context(self) -> Any:
        return self._typing_context

    @property
    def target_context(self) -> Any:
        return self._context


class _Dispatcher(dispatcher.Dispatcher):
    targetdescr = _Target()


def _compiled(function: Callable[..., Any], **options: Any) -> Any:
    settings = {"nopython": True, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    return _Dispatcher(function, targetoptions={**settings, **options})


@overload
def njit(function: F) -> F: ...
@overload
def njit(*, fastmath: set[str]) -> Callable[[F], F]: ...
def njit(function: Any = None, **options: Any) -> Any:
    """Decorator: a function that others compiled for this target may call; options as Numba's."""
    if function is None:
        return functools.partial(_compiled, **options)
    return _compiled(function, **options)


def _jit(*_: Any, **options: Any) -> Callable[[F], F]:
    """The decorator that Numba uses for its own functions: those behind ``min``, say."""
    return njit


target_extension.dispatcher_registry[_Hardware] = _Dispatcher
target_extension.jit_registry[_Hardware] = _jit


def llvm_of(function: Callable[..., Any], parameters: tuple[Any, ...]) -> tuple[str, str]:
    """A function and all that it calls in LLVM's language, and its name there.

    The name stands for ``i32 (ptr result, ptr error, parameters...)``, which is Numba's convention.

    Args:
        function: Returns nothing.
        parameters: Their types, Numba's.
    """
    compiled = _compiled(function, error_model="numpy")
    with target_extension.target_override(NAME):
        compiled.compile(types.void(*parameters))
    (overload,) = compiled.overloads.values()
    return overload.library.get_llvm_str(), overload.fndesc.mangled_name
