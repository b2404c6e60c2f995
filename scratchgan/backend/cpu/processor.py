"""The processor that machine code is made for.

One :class:`Processor` decides all that depends on it: what LLVM generates, which instructions the
kernels ask for by name, how large their tiles are, which way a product is computed, and the name
of a file in the cache. It may be another one than this machine's: code is compiled for any.
"""

import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True)
class Processor:
    """A processor in LLVM's words.

    Attributes:
        triple: Architecture and system, such as ``"x86_64-unknown-linux-gnu"``.
        name: What LLVM calls it, such as ``"haswell"``.
        features: What it has and lacks beyond its name: ``"+avx2,-avx512f"``.
    """

    triple: str
    name: str
    features: str

    def has(self, *features: str) -> bool:
        """Whether all of these are among its features."""
        return set(features) <= {x[1:] for x in self.features.split(",") if x.startswith("+")}

    @property
    def is_x86(self) -> bool:
        """Whether it is an x86-64."""
        return self.triple.startswith("x86_64")

    @property
    def is_arm(self) -> bool:
        """Whether it is an AArch64."""
        return self.triple.startswith(("aarch64", "arm64"))

    @property
    def vector_bytes(self) -> int:
        """Bytes of a vector register."""
        return 64 if self.has("avx512f") else 32 if self.has("avx") else 16

    @property
    def vector_registers(self) -> int:
        """How many vector registers there are."""
        return 32 if self.has("avx512f") or self.is_arm else 16

    @property
    def has_matrix_unit(self) -> bool:
        """Whether it has Intel's AMX for bfloat16 numbers, and vectors as wide as its tiles."""
        return self.has("amx-tile", "amx-bf16", "avx512f")

    def __str__(self) -> str:
        return f"{self.name} ({self.triple})"


@functools.cache
def host() -> Processor:
    """The processor of this process, less what Numba's variables hide.

    ``NUMBA_CPU_NAME`` and ``NUMBA_CPU_FEATURES`` replace what LLVM finds, and
    ``NUMBA_ENABLE_AVX=0`` takes all of AVX away, as Numba's manual says.
    """
    import llvmlite.binding as llvm

    name = os.environ.get("NUMBA_CPU_NAME") or llvm.get_host_cpu_name()
    features = os.environ.get("NUMBA_CPU_FEATURES")
    if features is None:
        features = "" if name.lower() == "generic" else _found()
    if os.environ.get("NUMBA_ENABLE_AVX") == "0":
        features = ",".join(
            f"-{x[1:]}" if x.startswith(("+avx", "+amx")) else x for x in features.split(",")
        )
    return Processor(llvm.get_process_triple(), name, features)


def _found() -> str:
    import llvmlite.binding as llvm

    try:
        features: str = llvm.get_host_cpu_features().flatten()
    except RuntimeError:  # LLVM cannot ask this kind of processor
        return ""
    return features


_target: ContextVar[Processor] = ContextVar("target")


def target() -> Processor:
    """The processor that code is being compiled for at this moment."""
    return _target.get()


@contextmanager
def compiling_for(processor: Processor) -> Iterator[None]:
    """Within the ``with`` block, :func:`target` is ``processor``."""
    token = _target.set(processor)
    try:
        yield
    finally:
        _target.reset(token)
