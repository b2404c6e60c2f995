"""Backends: the kernels that compute on arrays, and which ones are in force.

Above this room nothing knows what library an array comes from: it asks ``kernels_for[type(array)]``
for a :class:`Backend` and calls its kernels, ``kernel(*inputs, out=..., **scalars)``.
"""

import functools
import importlib
import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np

from scratchgan.backend.scalar import DEFINITIONS, Definition

#: An array of any backend. Each is typed by its own library; above the backends only `shape`,
#: `dtype`, `ndim`, `size`, `strides` and `flags` of it may be read.
Array = Any

Kernel = Callable[..., Any]

CPU_BACKENDS = ("numpy", "numba")

#: The module of each backend's kernels.
_MODULES = {"numpy": "reference", "numba": "cpu.kernels", "cupy": "cuda.kernels"}


class BackendError(RuntimeError):
    """A backend cannot be used here; the message says why and what to do."""


class ArrayTypeError(TypeError):
    """No backend computes on arrays of a type; the message says which."""


class MachineCodeError(RuntimeError):
    """Code cannot be compiled or loaded here; NumPy's kernel takes its place."""


class Backend:
    """Kernels by name, as attributes.

    A kernel that the backend's module holds is used as it is; any other name, and a user's, is
    looked up in :data:`scratchgan.backend.scalar.DEFINITIONS` and compiled by the module's
    ``compile_elementwise`` when it is first asked for.
    """

    def __init__(self, name: str, module: ModuleType) -> None:
        self.name = name
        self._module = module
        _backends.append(self)

    def __getattr__(self, name: str) -> Any:
        definition = DEFINITIONS.get(name)
        is_users = definition is not None and not is_own(definition.function)
        kernel = None if is_users else getattr(self._module, name, None)
        if kernel is None:
            if definition is None:
                raise AttributeError(f"the {self.name} backend has no kernel named {name!r}")
            kernel = self._module.compile_elementwise(definition)
        setattr(self, name, kernel)  # the next look-up finds it without coming here
        return kernel

    def __repr__(self) -> str:
        return f"<backend {self.name}>"


_backends: list[Backend] = []


def is_own(function: Callable[..., Any]) -> bool:
    """Whether a function is of this package, and not of a user's."""
    package = __name__.partition(".")[0]
    return (function.__module__ or "").partition(".")[0] == package


def define(function: Callable[..., Any]) -> Definition:
    """Make a function of numbers a kernel of every backend, under its name.

    :mod:`scratchgan.backend.scalar` says what it may contain. An older one of that name, whose
    primitive may still be used, gets another for its kernels.

    Raises:
        TypeError: This package has a kernel of that name, and the function is not its own.
    """
    name = function.__name__
    older = DEFINITIONS.get(name)
    if not is_own(function):
        is_taken = is_own(older.function) if older else hasattr(_load("numpy")._module, name)
        if is_taken:
            raise TypeError(f"{name}: scratchgan has a kernel of this name; give yours another")
    if older is not None:
        numbered = (f"{name}_{number}" for number in itertools.count(1))
        older.kernel = next(key for key in numbered if key not in DEFINITIONS)
        DEFINITIONS[older.kernel] = older
    for backend in _backends:  # as a notebook's cell runs again, it may hold another body
        vars(backend).pop(name, None)
    definition = DEFINITIONS[name] = Definition(function)
    return definition


@functools.cache
def _load(name: str) -> Backend:
    try:
        module = importlib.import_module(f"scratchgan.backend.{_MODULES[name]}")
    except ImportError as error:
        raise BackendError(f"the {name} backend is not available: {error}") from error
    backend = Backend(name, module)
    for kernel in DEFINITIONS:
        if hasattr(module, kernel):  # where nothing is to be compiled, no operation looks for it
            getattr(backend, kernel)
    return backend


class _KernelsFor(dict[type, Backend]):
    """From an array's type to its backend; filled as types are first met."""

    def __missing__(self, array_type: type) -> Backend:
        if (array_type.__module__, array_type.__qualname__) == ("cupy", "ndarray"):
            self[array_type] = _load("cupy")
            return self[array_type]
        if array_type is not np.ndarray:
            raise ArrayTypeError(
                f"no backend computes on arrays of type {array_type.__module__}."
                f"{array_type.__qualname__}; convert it with numpy.asarray first"
            )
        set_backend(os.environ.get("SCRATCHGAN_BACKEND", "numba"))
        return self[np.ndarray]


kernels_for = _KernelsFor()


def set_backend(name: str) -> None:
    """Choose the kernels that compute on NumPy arrays from now on: ``"numba"`` or ``"numpy"``.

    The environment variable ``SCRATCHGAN_BACKEND`` sets the one to start with; without it that
    is ``"numba"``.

    Raises:
        BackendError: There is no such backend, or what it needs is not installed.
    """
    if name == "cupy":
        from scratchgan.backend.cuda.fault import cuda_fault

        fault = cuda_fault()
        raise BackendError(
            "the cupy backend is not chosen, it computes on tensors that lie on a GPU: "
            "make them with device='cuda', or move them with .to('cuda')"
            + (f"; here it is not available: {fault}" if fault else "")
        )
    if name not in CPU_BACKENDS:
        raise BackendError(
            f"there is no backend named {name!r}; choose one of {', '.join(CPU_BACKENDS)}"
        )
    kernels_for[np.ndarray] = _load(name)


def get_backend() -> str:
    """Name of the backend that computes on NumPy arrays."""
    return kernels_for[np.ndarray].name


@contextmanager
def use_backend(name: str) -> Iterator[None]:
    """Within the ``with`` block, compute on NumPy arrays with backend ``name``."""
    before = get_backend()
    set_backend(name)
    try:
        yield
    finally:
        set_backend(before)


__all__ = [
    "CPU_BACKENDS",
    "Array",
    "ArrayTypeError",
    "Backend",
    "BackendError",
    "Kernel",
    "MachineCodeError",
    "define",
    "get_backend",
    "is_own",
    "kernels_for",
    "set_backend",
    "use_backend",
]
