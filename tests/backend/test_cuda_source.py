"""The CUDA source of every kernel compiles, for every type and architecture, without a GPU.

NVRTC, the compiler that CuPy calls on a machine with a GPU, also runs on one without: it gives PTX,
the assembly that the driver would take.
"""

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import scratchgan as sg
from scratchgan import nn
from scratchgan.backend import kernels_for
from scratchgan.backend.cuda import source as cuda_source
from scratchgan.backend.cuda.loops import COPY, loop_kernel, loop_of
from scratchgan.backend.cuda.source import C_TYPES
from scratchgan.backend.scalar import DEFINITIONS
from scratchgan.gan import Config, Game
from scratchgan.jit import Jitted
from scratchgan.jit.lower import cuda
from scratchgan.jit.passes.fuse import Fused
from scratchgan.jit.passes.plan import make_plan
from scratchgan.jit.record import Recording
from scratchgan.ops import ACTIVATIONS

nvrtc = pytest.importorskip(
    "cupy_backends.cuda.libs.nvrtc",
    reason="CuPy or NVRTC is not installed; the extra 'dev' has both on Linux",
    exc_type=ImportError,
)

# They import CuPy.
from scratchgan.backend.cuda import kernels, launch  # noqa: E402

#: Compute capabilities; from CUDA 13 on, NVRTC knows 7.0 (Volta) no more.
ARCHITECTURES = sorted({70, 75, 80, 86, 89, 90}.intersection(nvrtc.getSupportedArchs()))

#: Here the compiler optimizes as in use; elsewhere it hurries, which takes an eighth of the time.
FULLY = 80

DTYPES = tuple(C_TYPES)
FLOATS = ("float32", "float64")


def real_of(dtype: str) -> str:
    """The C type in which kernels on arrays of ``dtype`` compute."""
    return C_TYPES[dtype] if dtype in FLOATS else "long long"


def compiled(source: str, architecture: int) -> str:
    """The PTX of a translation unit."""
    program = nvrtc.createProgram(source, "kernels.cu", (), ())
    options = [f"--gpu-architecture=compute_{architecture}", "-std=c++17", *cuda_source.OPTIONS]
    options.append("-ftz=true")  # as CuPy adds
    if architecture != FULLY:
        options.append("--Ofast-compile=max")
    try:
        nvrtc.compileProgram(program, tuple(options))
    except nvrtc.NVRTCError:
        pytest.fail(f"{nvrtc.getProgramLog(program)}\n{source}")
    ptx: bytes = nvrtc.getPTX(program)
    nvrtc.destroyProgram(program)
    return ptx.decode()


def entries(ptx: str) -> dict[str, str]:
    """The text of each kernel by its name."""
    parts = re.split(r"\.visible \.entry (\w+)\(", ptx)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


# --- The kernels of eager calls -------------------------------------------------------

#: A kernel's text, and the definitions that it calls.
Kernel = tuple[str, tuple[str, ...]]


def elementwise(dtype: str) -> Iterator[Kernel]:
    """Every definition on arrays of ``dtype``, and conversions from it to all types."""
    real, array = real_of(dtype), C_TYPES[dtype]
    for definition in DEFINITIONS.values():
        if definition.is_real and dtype not in FLOATS:
            continue  # computed in a floating type
        if definition.is_of_bits and dtype in FLOATS:
            continue  # refused
        loop = loop_of(definition)
        arrays = [array] * len(definition.inputs)
        ways: list[tuple[list[str | None], str, int]] = [([*arrays], array, 1)]
        if dtype in FLOATS:  # also: axes that do not merge, booleans, numbers, a single element
            ways.append(([*arrays], "bool", 3))
            ways.append((["bool", *arrays[1:]], array, 2))
            ways.append(([array, *[None] * (len(arrays) - 1)], array, 0))
        for k, (inputs, out, axes) in enumerate(ways):
            name = f"{definition.name}_{k}"
            text = loop_kernel(loop, real, inputs, out, axes, name=name)
            yield text, loop.definitions
    for other in DTYPES:
        name = f"to_{other}"
        yield (
            loop_kernel(COPY, real, [array], C_TYPES[other], 2, name=name),
            COPY.definitions,
        )


#: The axes that are kept, of how many.
PATTERNS = {"all": ((), 1), "rows": ((0,), 2), "columns": ((1,), 2), "middle": ((0, 2), 3)}


def reductions(dtype: str) -> Iterator[Kernel]:
    """Sums and extremes of arrays of ``dtype``, whole and in parts."""
    real, array = real_of(dtype), C_TYPES[dtype]
    for loop in launch.SUMS, launch.LARGEST, launch.SMALLEST:
        accumulator, _ = cuda_source.accumulator_of(loop.loop.total, real)
        part = "double" if accumulator == "compensated" else accumulator
        for pattern, (kept, axes) in PATTERNS.items():
            for k, total in enumerate({array, part}):
                name = f"{loop.loop.name}_{pattern}_{k}"
                text = loop_kernel(loop.loop, real, [array], None, axes, kept, total, name)
                yield text, loop.loop.definitions


def layers(dtype: str) -> Iterator[Kernel]:
    """Bias with activation, and the way back, where arrays lie in order and where they do not."""
    real = real_of(dtype)
    for activation in ("none", *ACTIVATIONS):
        name = f"forward_{activation}"
        loop = kernels.with_bias(activation, DEFINITIONS.get(activation)).loop
        yield (
            loop_kernel(loop, real, [real, real], real, 2, name=name),
            loop.definitions,
        )
    for activation in ("none", *ACTIVATIONS):
        loop = kernels.backward_of(activation, DEFINITIONS.get(f"{activation}_backward")).loop
        inputs = [real] * (1 if activation == "none" else 2)
        for k, out in enumerate({real, "double"}):
            name = f"backward_{activation}_{k}"
            text = loop_kernel(loop, real, inputs, real, 2, (1,), out, name)
            yield text, loop.definitions


def unit(dtype: str, kernels: list[Kernel], is_large: bool = False) -> str:
    definitions = [name for _, names in kernels for name in names]
    return cuda_source.module(real_of(dtype), definitions, [text for text, _ in kernels], is_large)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_elementwise_kernels(dtype: str, architecture: int) -> None:
    found = list(elementwise(dtype))
    ptx = compiled(unit(dtype, found), architecture)
    assert len(entries(ptx)) == len(found)
    assert f".target sm_{architecture}" in ptx


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_reductions(dtype: str, architecture: int) -> None:
    found = list(reductions(dtype))
    assert len(entries(compiled(unit(dtype, found), architecture))) == len(found)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("dtype", FLOATS)
def test_layers(dtype: str, architecture: int) -> None:
    found = list(layers(dtype))
    assert len(entries(compiled(unit(dtype, found), architecture))) == len(found)


@pytest.mark.parametrize("dtype", FLOATS)
def test_arrays_beyond_32_bits(dtype: str) -> None:
    """The same kernels with 64-bit positions."""
    found = [*elementwise(dtype), *reductions(dtype), *layers(dtype)]
    assert len(entries(compiled(unit(dtype, found, is_large=True), ARCHITECTURES[0]))) == len(found)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("dtype", FLOATS)
def test_hand_written_kernels(dtype: str, architecture: int) -> None:
    found = entries(compiled(cuda_source.hand_written(C_TYPES[dtype]), architecture))
    assert found.keys() == {"uniform", "normal", "sgd", "adam", "advance", "log_softmax"}
    # No product is contracted with a sum: so the noise is the CPU's to the bit.
    if architecture == FULLY:
        assert "fma." not in found["uniform"] + found["normal"]


def test_the_compiler_contracts_unless_it_is_told_not_to(monkeypatch: Any) -> None:
    monkeypatch.setattr(cuda_source, "OPTIONS", ())
    assert "fma." in entries(compiled(cuda_source.hand_written("float"), FULLY))["normal"]


# --- The kernels that jit writes --------------------------------------------------------


def fused_units(step: Jitted[Any, Any]) -> list[str]:
    """The CUDA source of the fused functions in the latest recording of ``step``."""
    assert step._latest is not None
    plan = step._latest.program.plan
    recording = Recording(kernels_for[np.ndarray], lambda *_: False, plan.recorded, plan.memories)
    items = make_plan(recording, [], fuses=True).items
    return [cuda.source_of(item).text for item in items if isinstance(item, Fused)]


def gan_step(dtype: str) -> list[str]:
    gan = Game(Config.from_recipe("seed"))
    for network in gan.generator, gan.discriminator:
        network.to(dtype)
    for optimizer in "generator", "discriminator":
        parameters = getattr(gan, optimizer).parameters()
        setattr(gan, f"{optimizer}_optimizer", sg.optim.Adam(parameters))
    step = sg.jit(gan.step)
    noise = [sg.randn(64, 100, dtype=dtype) for _ in range(2)]
    step(sg.rand(64, 1, 28, 28, dtype=dtype), *noise)
    return fused_units(step)


def other_step(dtype: str) -> list[str]:
    """Statistics, sums of several kinds, booleans, broadcasting, classes, SGD, large sums."""
    model = nn.Sequential(
        nn.Linear(6, 8), nn.BatchNorm1d(8), nn.LeakyReLU(), nn.Dropout(0.2), nn.Linear(8, 3)
    ).to(dtype)
    optimizer = sg.optim.SGD(model.parameters(), 0.1, momentum=0.9)

    def gelu(x: sg.Tensor) -> sg.Tensor:
        return 0.5 * x * (1 + sg.tanh(0.79788456 * (x + 0.044715 * x**3)))

    @sg.jit
    def step(x: sg.Tensor, classes: sg.Tensor, large: sg.Tensor) -> sg.Tensor:
        optimizer.zero_grad()
        y = model(gelu(x)) + large.exp().mean() + (large > 0).to(dtype).sum(0).max()
        loss = nn.functional.cross_entropy(sg.softmax(y, -1), classes) + sg.logsumexp(x, 0).std()
        loss.backward()
        optimizer.step()
        return loss

    data = np.random.default_rng(0)
    step(
        sg.tensor(data.standard_normal((10, 6)), dtype),
        sg.tensor(data.integers(0, 3, 10)),
        sg.tensor(data.standard_normal((20_000, 5)), dtype),
    )
    return fused_units(step)


STEPS = {"gan": gan_step, "other": other_step}


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("step", STEPS)
def test_fused_kernels(step: str, dtype: str) -> None:
    with sg.use_backend("numpy"):
        units = STEPS[step](dtype)
    assert units
    texts = []
    for k, text in enumerate(units):
        # One translation unit for all: each has its kernels and definitions in a namespace.
        texts.append(f"namespace fused{k} {{\n{text}\n}}".replace(" kernel", f" fused{k}_kernel"))
    source = "\n".join(texts)
    for architecture in ARCHITECTURES:
        assert len(entries(compiled(source, architecture))) == source.count("__global__")
