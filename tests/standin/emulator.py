"""CUDA kernels on the CPU: their source compiled by g++, run thread by thread.

It checks what a GPU would not: that the arguments of a launch are of the parameters' types.
"""

import ctypes
import functools
import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
COMPILER = shutil.which("g++")
# Products and sums are not contracted here either: see scratchgan.backend.cuda.source.OPTIONS.
OPTIONS = ("-O1", "-ffp-contract=off", "-std=c++17", "-shared", "-fPIC", "-w", "-Wl,-Bsymbolic")

#: Where compiled kernels are kept; the fixtures set it.
folder: Path | None = None


def _built(text: str, *libraries: Path) -> Path:
    """The shared library of a C++ text."""
    assert COMPILER is not None and folder is not None
    digest = hashlib.sha256("\0".join((text, *OPTIONS)).encode()).hexdigest()[:20]
    library = folder / f"{digest}.so"
    if not library.exists():
        partial = library.with_suffix(f".{os.getpid()}")  # others may compile it at the same time
        command = (COMPILER, *OPTIONS, "-x", "c++", "-", "-x", "none", *libraries, "-o", partial)
        subprocess.run(command, input=text.encode(), check=True)
        partial.rename(library)
    return library


@functools.cache
def _runtime() -> Path:
    return _built((HERE / "emulator.cpp").read_text())


@functools.cache
def _header() -> str:
    return (HERE / "emulator.h").read_text()


def compiled(source: str) -> ctypes.CDLL:
    """The shared library of a translation unit, with ``launch_<kernel>`` and ``types_<kernel>``."""
    entries = []
    for kernel in re.split(r"(?=extern \"C\" __global__)", source)[1:]:
        name = re.search(r"__global__ void (\w+)\(", kernel)[1]  # type: ignore[index]
        waits = "true" if "__syncthreads" in kernel else "false"
        entries.append(
            f'extern "C" void launch_{name}(void** values, unsigned* grid, unsigned* block)'
            f" {{ emulator::start({name}, values, grid, block, {waits}); }}\n"
            f'extern "C" void types_{name}(char* text) {{ emulator::describe({name}, text); }}\n'
        )
    return ctypes.CDLL(str(_built("\n".join((_header(), source, *entries)), _runtime())))


class RawKernel:
    """A kernel, called as CuPy's: ``kernel(grid, block, arguments)``."""

    def __init__(self, library: ctypes.CDLL, name: str) -> None:
        self._launch = library[f"launch_{name}"]
        self.name = name
        text = ctypes.create_string_buffer(4096)
        library[f"types_{name}"](text)
        self._types = text.value.decode().split()

    def __call__(
        self, grid: tuple[int, ...], block: tuple[int, ...], arguments: tuple[Any, ...]
    ) -> None:
        """Run all threads of all blocks."""
        values = [_value(x) for x in arguments]
        given = [kind for kind, _ in values]
        if given != self._types:
            raise TypeError(f"{self.name} takes {self._types}, was launched with {given}")
        if np.prod(block) > 1024 or any(n < 1 for n in (*grid, *block)):
            raise ValueError(f"{self.name}: a GPU refuses the grid {grid} of blocks {block}")
        pointers = (ctypes.c_void_p * len(values))(*[value.ctypes.data for _, value in values])
        three = ctypes.c_uint * 3
        sizes = (three(*(grid + (1, 1))[:3]), three(*(block + (1, 1))[:3]))
        if Stream.captured is None:
            self._launch(pointers, *sizes)
        else:
            assert self._is_compiled, "a kernel is compiled while a graph is made"
            Stream.captured.append((self._launch, pointers, sizes, values))

    _is_compiled = False

    def compile(self) -> None:
        """Nothing is left to do, but a graph needs it done."""
        self._is_compiled = True


class Stream:
    """``cupy.cuda.Stream``, to make a graph of what is launched."""

    #: What has been launched since :meth:`begin_capture`; None outside of it.
    captured: list[Any] | None = None

    def __init__(self, non_blocking: bool) -> None:
        assert non_blocking  # CUDA captures nothing on others

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        assert Stream.captured is None

    def begin_capture(self) -> None:
        Stream.captured = []

    def end_capture(self) -> "Graph":
        assert Stream.captured
        graph = Graph(Stream.captured)
        Stream.captured = None
        return graph


class Graph:
    """``cupy.cuda.Graph``."""

    def __init__(self, launches: list[Any]) -> None:
        self._launches = launches

    def launch(self) -> None:
        """Run all kernels again, with the arguments of then."""
        for start, pointers, sizes, _ in self._launches:
            start(pointers, *sizes)


def _value(x: Any) -> tuple[str, np.ndarray[Any, Any]]:
    """The type of an argument, and the argument in memory, as CuPy hands it over."""
    if hasattr(x, "data") and hasattr(x.data, "ptr"):
        return "p" + _kind(x.dtype), np.array(x.data.ptr, np.uint64)
    value = np.asarray(x, np.int64 if type(x) is int else None)
    return _kind(value.dtype), value


def _kind(dtype: np.dtype[Any]) -> str:
    return f"{dtype.kind}{dtype.itemsize}"
