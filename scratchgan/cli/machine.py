"""The commands about the core and the machine: gradcheck, info, cache."""

import warnings
from contextlib import suppress
from typing import Annotated

import typer

from scratchgan.cli.app import app
from scratchgan.progress import compilation_shown, print_table


@app.command()
def gradcheck(
    primitive: Annotated[
        str | None, typer.Argument(help="Its name.", show_default="all of them")
    ] = None,
    backend: Annotated[
        str | None,
        typer.Option(help="What computes: numba or numpy.", show_default="numba"),
    ] = None,
    device: Annotated[str, typer.Option(help="Where: cpu, cuda or cuda:1.")] = "cpu",
    order: Annotated[int, typer.Option(help="Of the derivatives.", min=1, max=2)] = 1,
) -> None:
    """Hold derivatives of primitives against differences; exit 1 where one is wrong."""
    from rich.table import Table

    from scratchgan.backend import devices, get_backend, set_backend
    from scratchgan.testing.report import verdicts
    from scratchgan.testing.samplers import SAMPLERS

    if backend is not None:
        set_backend(backend)
    if primitive is not None and primitive not in SAMPLERS:
        raise typer.BadParameter(
            f"no primitive is named {primitive!r}; there are {', '.join(SAMPLERS)}"
        )
    device = devices.full_name(device)
    place = f"backend {get_backend()}" if device == devices.CPU else f"device {device}"
    table = Table("primitive", title=f"Derivatives of order {order}, {place}")
    table.caption = "largest errors against each, relative to 1 or the derivative if it is larger"
    for reference in ("differences", "complex steps"):
        table.add_column(reference, justify="right")
    table.add_column("verdict")
    fails = False
    with compilation_shown():
        found = list(verdicts([primitive] if primitive else [], order, device=device))
    for verdict in found:
        errors = [f"{e:.1e}" if e is not None else "-" for e in verdict.errors]
        word = "passes" if verdict.passes else "FAILS"
        table.add_row(verdict.primitive, *errors, word if verdict.errors[0] is not None else "-")
        fails |= not verdict.passes
    print_table(table)
    if fails:
        raise typer.Exit(1)


@app.command()
def info() -> None:
    """Show versions, processor, backends, threads, BLAS, data and cache."""
    import platform
    from importlib.metadata import version

    from scratchgan.backend.cpu.threads.pool import get_num_threads, why_as_many

    packages = ("scratchgan", "numpy", "numba", "llvmlite", "matplotlib", "safetensors")
    facts = {
        "versions": [f"{name} {version(name)}" for name in packages],
        "machine": [f"Python {platform.python_version()}, {platform.platform()}"],
        "processor": _processor(),
        "backends": _backends(),
        "GPUs": _gpus(),
        "threads": [f"{get_num_threads()} ({why_as_many()})"],
        "kernels": _kernels(),
        "BLAS": _blas(),
        "data": _data(),
        "cache": _cache_if_any(),
    }
    for label, lines in facts.items():
        for line in lines:
            typer.echo(f"{label:10}{line}")
            label = ""


@app.command()
def cache(
    verify: Annotated[bool, typer.Option("--verify", help="Check every file.")] = False,
    clear: Annotated[bool, typer.Option("--clear", help="Remove all files.")] = False,
) -> None:
    """Show the cache of compiled kernels, check it, or empty it.

    What is missing or damaged is compiled when it is needed next.
    """
    from scratchgan.backend.cpu.codegen import object_files

    if verify and clear:
        raise typer.BadParameter("--verify and --clear are two things; choose one")
    if clear:
        _, nbytes = object_files.size()
        count = object_files.clear()
        typer.echo(f"{object_files.folder()}: removed {count} files, {nbytes / 1e6:.1f} MB")
        return
    for line in _cache():
        typer.echo(line)
    if verify:
        damaged = [path for path, is_whole in object_files.checked() if not is_whole]
        for path in damaged:
            typer.echo(f"{path}: is damaged, and will be compiled anew")
        if damaged:
            raise typer.Exit(1)
        typer.echo("every file is as it was written")


def _processor() -> list[str]:
    from scratchgan.backend.cpu.codegen import machine_code
    from scratchgan.backend.cpu.processor import host

    try:
        processor = host()
        has_amx = machine_code.may_use_matrix_unit()
    except Exception as fault:  # without LLVM, NumPy computes
        return [f"unknown ({fault})"]
    named = ("sse4.2", "avx", "avx2", "fma", "avx512f", "neon")
    used = [name for name in named if processor.has(name)] or ["what every such processor has"]
    return [
        str(processor),
        f"{', '.join(used)}: {processor.vector_registers} vectors of "
        f"{8 * processor.vector_bytes} bits",
        "AMX computes large products of float32" if has_amx else "AMX cannot be used here",
    ]


def _kernels() -> list[str]:
    """Whether the kernels that every training needs are there; those that are not, and why."""
    from scratchgan.backend import MachineCodeError
    from scratchgan.backend.cpu.codegen import machine_code
    from scratchgan.backend.cpu.gemm import products

    modules = ("threads.worker", "loops", "reductions", "gemm.microkernel")
    with compilation_shown(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is said below
        for module in modules:
            with suppress(MachineCodeError):
                machine_code.load_for(module, "float32")
        products.on_matrix_unit()
    return [
        f"{name} fell back to NumPy: {reason}" for name, reason in machine_code.failures.items()
    ] or ["none fell back to NumPy"]


def _cache() -> list[str]:
    from scratchgan.backend.cpu.codegen import object_files

    count, nbytes = object_files.size()
    return [f"{object_files.folder()}: {count} files, {nbytes / 1e6:.1f} MB"]


def _cache_if_any() -> list[str]:
    try:
        return _cache()
    except OSError as error:
        return [f"none ({error.strerror or error})"]


def _backends() -> list[str]:
    from scratchgan.backend import CPU_BACKENDS, BackendError, get_backend, set_backend

    lines = []
    try:
        lines.append(f"{get_backend()} is in use")
    except BackendError as error:
        lines.append(str(error))
    for name in CPU_BACKENDS:
        try:
            set_backend(name)
            lines.append(f"{name} is available")
        except BackendError as error:
            lines.append(str(error))
    return lines


def _gpus() -> list[str]:
    from scratchgan import cuda
    from scratchgan.backend.cuda.fault import cuda_fault

    names = [f"cuda:{gpu}" for gpu in range(cuda.device_count())]
    return [f"{name} is {cuda.get_device_name(name)}" for name in names] or [
        f"none can be used: {cuda_fault()}"
    ]


def _blas() -> list[str]:
    import numpy  # noqa: F401  (it loads the BLAS that is looked for)
    from threadpoolctl import threadpool_info

    return [
        f"{pool['internal_api']} {pool['version']}, {pool['num_threads']} threads"
        for pool in threadpool_info()
        if pool["user_api"] == "blas"
    ] or ["none was found"]


def _data() -> list[str]:
    from scratchgan.data import MNIST, DataError

    try:
        return [str(MNIST(train=train)) for train in (True, False)]
    except DataError as error:
        return [str(error)]
