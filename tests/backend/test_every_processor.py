"""Machine code for processors that this machine is not: every task and every loop is compiled.

What a kernel asks of a processor by name (an instruction, a width) goes wrong where nobody tests.
So all of them are compiled here for processors of every kind, whatever machine runs the tests.
"""

import functools
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import scratchgan as sg
from scratchgan import optim
from scratchgan.autograd.primitive import REGISTRY
from scratchgan.backend.cpu import linear as layers
from scratchgan.backend.cpu.codegen import machine_code
from scratchgan.backend.cpu.elementwise import FLOATS, loop_source
from scratchgan.backend.cpu.kernels import is_compiled
from scratchgan.backend.cpu.processor import Processor
from scratchgan.backend.scalar import DEFINITIONS
from scratchgan.gan import Config, Game
from scratchgan.ops.products import ACTIVATIONS

LINUX = "x86_64-unknown-linux-gnu"
AVX2 = "+sse4.2,+avx,+avx2,+fma"
AVX512 = AVX2 + ",+avx512f,+avx512bw,+avx512cd,+avx512dq,+avx512vl"
PROCESSORS = {
    x.name: x
    for x in (
        Processor(LINUX, "x86-64", "-avx"),
        Processor(LINUX, "haswell", AVX2),
        Processor(LINUX, "skylake-avx512", AVX512),
        Processor(LINUX, "sapphirerapids", AVX512 + ",+amx-tile,+amx-bf16"),
        Processor(LINUX, "znver3", AVX2),
        Processor(LINUX, "znver5", AVX512),
        Processor("aarch64-unknown-linux-gnu", "neoverse-n1", ""),
        Processor("arm64-apple-macosx", "apple-m1", "+neon"),
    )
}

#: What code may call of the system: the mathematical library, and a word to the scheduler.
CALLED = {"sched_yield", "SwitchToThread"} | {
    name + kind
    for name in ("cos", "exp", "expm1", "floor", "log", "log1p", "pow", "sin", "sqrt", "tanh")
    for kind in ("", "f")
}


@functools.cache
def fused_loops() -> dict[str, str]:
    """Sources of the loops that jit makes of a step of the GAN, and of a step with all else."""
    found: dict[str, str] = {}
    load = machine_code.load

    def noting(name: str, source: str) -> dict[str, int]:
        if name == "fused":
            found.setdefault(source, f"fused {len(found)}")
        return load(name, source)

    @sg.jit
    def everything(x: Any, mask: Any) -> Any:
        y = sg.where(mask, x.softmax(axis=1), x.sum(axis=0)).var(axis=0)
        return y.sum() + (x.clip(-1, 1) > 0).sum()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(machine_code, "load", noting)
        gan = Game(Config.from_recipe("seed", latent_dim=3))
        sg.jit(gan.step)(sg.randn(70, 1, 28, 28), sg.randn(70, 3), sg.randn(70, 3))
        for dtype in (sg.float32, sg.float64):
            everything(sg.randn(300, 5).to(dtype), sg.randn(300, 5) > 0)
    return {name: source for source, name in found.items()}


def sources(processor: Processor) -> dict[str, str]:
    """All that is ever compiled for the processor, by name."""
    found = {}
    files = [file for file in vars(optim).values() if isinstance(file, ModuleType)]
    of_optimizers = {name for file in files for name in vars(file)}
    for dtype in FLOATS.values():
        for name in ("loops", "gemm.microkernel", "reductions"):
            found[f"{name} {dtype}"] = machine_code.source_for(name, dtype)
        for activation in ("none", *ACTIVATIONS):
            found[f"layer {activation} {dtype}"] = layers.source_of(dtype, activation)
        for definition in DEFINITIONS.values():
            is_ours = definition.name in REGISTRY or definition.name in of_optimizers
            if is_ours and is_compiled(definition.name):  # and not of another test
                found[f"{definition.name} {dtype}"] = loop_source(definition, dtype)
    found["threads.worker"] = machine_code.source_for("threads.worker", "float32")
    if processor.has_matrix_unit:
        found["gemm.amx.microkernel"] = machine_code.source_for("gemm.amx.microkernel", "float32")
    return found | fused_loops()


@functools.cache
def translated(name: str, source: str, traits: frozenset[object]) -> machine_code.Translated:
    """In LLVM's language, for any processor with these traits."""
    like = next(x for x in PROCESSORS.values() if traits <= traits_of(x))
    return machine_code.translated(name, source, like, "1")


def traits_of(processor: Processor) -> set[object]:
    """All that is asked of a processor before LLVM generates code."""
    widths = processor.vector_bytes, processor.vector_registers
    return {"x86" if processor.is_x86 else "arm", widths}


def traits_that_matter(source: str, processor: Processor) -> frozenset[object]:
    """Those that the source asks for; others need no translation of their own."""
    found: set[object] = set()
    if "forget_exceptions" in source or "relax" in source:
        found |= traits_of(processor) & {"x86", "arm"}
    if "tile_of" in source:
        found |= traits_of(processor)
    return frozenset(found)


FORMATS = {"linux": b"\x7fELF", "apple": b"\xcf\xfa\xed\xfe"}


@pytest.mark.parametrize("name", PROCESSORS)
def test_everything_compiles(name: str) -> None:
    processor = PROCESSORS[name]
    (head,) = [start for system, start in FORMATS.items() if system in processor.triple]
    for key, source in sources(processor).items():
        text = translated(key, source, traits_that_matter(source, processor))
        file = machine_code.generated(text, processor)
        assert file.code.startswith(head), key
        assert set(file.needs) <= CALLED, key


def test_only_processors_with_all_of_it_use_the_matrix_unit() -> None:
    assert [x for x in PROCESSORS if PROCESSORS[x].has_matrix_unit] == ["sapphirerapids"]
    without_avx = Processor(LINUX, "sapphirerapids", "+amx-tile,+amx-bf16,-avx512f")
    assert not without_avx.has_matrix_unit


def test_tiles_fit_the_registers() -> None:
    for processor in PROCESSORS.values():
        with machine_code.compiling_for(processor):
            from scratchgan.backend.cpu.codegen.simd import tile_of  # it brings Numba

            for real in (np.float32, np.float64):
                tile = tile_of(real)
                assert tile.lanes * real(0).nbytes == processor.vector_bytes
                # The tile, two vectors of B, and one that holds a number of A.
                assert 2 * tile.rows + 3 <= processor.vector_registers
