"""Machine code of tasks and loops, kept in files: where it is there, a start needs no compiler.

Numba turns the source of such a function into LLVM's language
(:mod:`scratchgan.backend.cpu.codegen.numba_target`), and LLVM that into an object file in the cache
folder (:mod:`scratchgan.backend.cpu.codegen.object_files`), under a name with a hash of all that it
was made from. To load one takes LLVM alone, which is quicker than to import Numba, and takes a
third of its memory.
"""

import ctypes
import functools
import hashlib
import linecache
import re
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from scratchgan.backend import MachineCodeError
from scratchgan.backend.cpu.codegen import object_files
from scratchgan.backend.cpu.codegen.object_files import ObjectFile
from scratchgan.backend.cpu.processor import Processor, compiling_for, host
from scratchgan.locks import ForkLock

_CPU = Path(__file__).parents[1]  #: The room ``scratchgan/backend/cpu``.

#: Called with the name of what is about to be compiled, which takes a second or so.
on_compile: Callable[[str], object] = lambda name: None  # noqa: E731

#: Code that could not be compiled or loaded in this process, by name, with the reason.
failures: dict[str, str] = {}

#: LLVM has locks of its own, and only one thread at a time is within it. A child that was forked
#: meanwhile would find them held.
_lock = ForkLock()


def load(name: str, source: str) -> dict[str, int]:
    """The addresses of the tasks and loops in ``source``, by their names.

    Args:
        name: Of the file, and for messages.
        source: A module; its functions with the decorators ``task`` and ``loop`` are meant.

    Raises:
        MachineCodeError: They cannot be compiled or loaded. The first time, a warning says so.
    """
    with suppress(Exception):  # which _load will tell of
        if not object_files.is_there(_file_name(name, source)):
            _import_numba()
    with _lock:
        loaded = _load(name, source)
    if isinstance(loaded, MachineCodeError):
        raise loaded
    return loaded


@functools.cache
def _import_numba() -> None:
    """Import what compiles.

    A child that was forked meanwhile would find the locks of modules held. It must come after
    ``logging``, whose lock a fork takes, and Numba too.
    """
    with _lock:
        import logging  # noqa: F401
    _lock.come_first()
    with _lock:
        import scratchgan.backend.cpu.codegen.numba_target  # noqa: F401
    _lock.come_first()


def load_for(name: str, dtype: str) -> dict[str, int]:
    """:func:`load` of the module ``name`` of ``backend/cpu``, compiled for ``dtype``."""
    return load(f"{name}_{dtype}", source_for(name, dtype))


@functools.cache
def source_for(name: str, dtype: str) -> str:
    """The source of the module ``name`` of ``backend/cpu``, which is written for float32."""
    path = _CPU.joinpath(*name.split(".")).with_suffix(".py")
    return path.read_text("utf-8").replace("float32", dtype)


@functools.cache
def may_use_matrix_unit() -> bool:
    """Whether this process may use the matrix unit: the processor has it, and Linux lends it."""
    if sys.platform != "linux" or not host().has_matrix_unit:
        return False
    # arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA): a process must ask for what threads then
    # need more memory for (Linux, Documentation/arch/x86/xstate.rst).
    refused: int = ctypes.CDLL(None).syscall(158, 0x1023, 18)
    return not refused


def _file_name(name: str, source: str) -> str:
    digest = hashlib.sha256(f"{_compiler(host())}\n{source}".encode()).hexdigest()[:32]
    return f"{name}_{digest}.o"


@functools.cache
def _load(name: str, source: str) -> dict[str, int] | MachineCodeError:
    try:
        file_name = _file_name(name, source)
        file = object_files.read(file_name)
        if file is None:
            on_compile(name)
            digest = Path(file_name).stem.removeprefix(f"{name}_")
            file = compiled(name, source, host(), suffix=digest)
            object_files.write(file_name, file)
        return linked(file)
    except Exception as fault:  # whatever went wrong, NumPy can do it
        return failed(name, fault)


def failed(name: str, fault: Exception) -> MachineCodeError:
    """Note, and warn once, that NumPy must do what ``name`` would have done; the error for it."""
    reason = f"{type(fault).__name__}: {fault}".splitlines()[0]
    error = MachineCodeError(f"{name} cannot be compiled or loaded ({reason})")
    error.__cause__ = fault
    if name not in failures:
        failures[name] = reason
        warnings.warn(
            f"scratchgan: the kernel {name} cannot be compiled or loaded for the processor "
            f"{_processor()} ({reason}); NumPy computes in its place, which is slower. Please "
            "report this as an issue of scratchgan, with what `scratchgan info` prints",
            RuntimeWarning,
            stacklevel=3,
        )
    return error


def _processor() -> str:
    try:
        return str(host())
    except Exception:
        return "of this machine, which LLVM does not tell"


@functools.cache
def _compiler(processor: Processor) -> str:
    """Everything but the source that the object code depends on."""
    from importlib.metadata import version  # here, because it takes long

    # Kernels inline functions of other modules; the source of all of them is part of the key.
    inlined = b"".join(
        path.read_bytes() for path in (*sorted(_CPU.rglob("*.py")), _CPU.parent / "counter_rng.py")
    )
    versions = version("numba"), version("llvmlite")
    return f"{versions}\n{processor!r}\n{hashlib.sha256(inlined).hexdigest()}"


# --- Compiling --------------------------------------------------------------------------


class Translated(NamedTuple):
    """Tasks and loops in LLVM's language."""

    text: str
    symbols: dict[str, str]  #: From the name of a function to that of its symbol.


def compiled(name: str, source: str, processor: Processor, suffix: str) -> ObjectFile:
    """The tasks and loops of ``source`` as an object file for any processor.

    Args:
        name: Of the source, for tracebacks.
        source: As for :func:`load`.
        processor: What the code is for.
        suffix: Tells symbols of the same name in one process apart.

    Raises:
        RuntimeError: A function needs Python or Numba where it runs.
    """
    return generated(translated(name, source, processor, suffix), processor)


def translated(name: str, source: str, processor: Processor, suffix: str) -> Translated:
    """Numba's part of :func:`compiled`, for which only what a processor has makes a difference."""
    import llvmlite.binding as llvm

    from scratchgan.backend.cpu.codegen.numba_target import llvm_of

    with compiling_for(processor):
        entries = _executed(name, source)
        module = llvm.parse_assembly("")
        for function, entry in entries.items():
            text, inner = llvm_of(entry.function, entry.parameters)
            module.link_in(llvm.parse_assembly(text))
            wrapper = _wrapper(f"{function}_{suffix}", inner, entry.kinds)
            module.link_in(llvm.parse_assembly(wrapper))
    return Translated(str(module), {function: f"{function}_{suffix}" for function in entries})


def generated(source: Translated, processor: Processor) -> ObjectFile:
    """LLVM's part of :func:`compiled`."""
    import llvmlite.binding as llvm

    module = llvm.parse_assembly(source.text)
    machine = _machine(processor)
    module.triple = processor.triple
    module.data_layout = str(machine.target_data)
    for function in module.functions:
        if not function.is_declaration and function.name not in source.symbols.values():
            function.linkage = "internal"
    _optimize(module, machine)
    needed = sorted(
        f.name for f in module.functions if f.is_declaration and not f.name.startswith("llvm.")
    )
    for name in needed:
        if re.match("numba|NRT|Py|_Py", name):
            raise RuntimeError(
                f"{', '.join(source.symbols)} calls {name}, which only Python or Numba has"
            )
    return ObjectFile(source.symbols, needed, machine.emit_object(module))


def _executed(name: str, source: str) -> dict[str, Any]:
    """The functions of a module that are decorated as tasks or loops."""
    from scratchgan.backend.cpu.codegen.intrinsics import Entry

    file = f"<scratchgan {name} {hashlib.sha256(source.encode()).hexdigest()[:16]}>"
    linecache.cache[file] = len(source), None, source.splitlines(True), file
    scope: dict[str, Any] = {"__name__": f"scratchgan.compiled.{name}"}
    code = compile(source, file, "exec")
    exec(code, scope)  # nosec B102
    return {key: value for key, value in scope.items() if isinstance(value, Entry)}


def _wrapper(symbol: str, inner: str, kinds: tuple[str, ...]) -> str:
    """LLVM's text of a function ``symbol`` that calls one of Numba's convention."""
    parameters = ", ".join(f"{kind} %x{i}" for i, kind in enumerate(kinds))
    return f"""
declare i32 @{inner}(ptr, ptr, {", ".join(kinds)})

define void @{symbol}({parameters}) {{
  %result = alloca ptr
  %error = alloca ptr
  %status = call i32 @{inner}(ptr %result, ptr %error, {parameters})
  ret void
}}
"""


def _machine(processor: Processor) -> Any:
    import llvmlite.binding as llvm

    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    target = llvm.Target.from_triple(processor.triple)
    return target.create_target_machine(
        cpu=processor.name,
        features=processor.features,
        opt=3,
        codemodel="jitdefault",
        jit=True,
    )


def _optimize(module: Any, machine: Any) -> None:
    """Twice, as Numba does: first so that loops have the form that vectorization looks for."""
    import llvmlite.binding as llvm

    for level in (0, 3):
        options = llvm.create_pipeline_tuning_options(speed_level=level)
        options.loop_vectorization = level > 0
        builder = llvm.create_pass_builder(machine, options)
        passes = builder.getModulePassManager()
        if level == 0:
            passes.add_loop_rotate_pass()
            passes.add_instruction_combine_pass()
            passes.add_jump_threading_pass()
        passes.run(module, builder)
    module.verify()


# --- Loading ----------------------------------------------------------------------------


@functools.cache
def _engine() -> Any:
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_triple(llvm.get_process_triple()).create_target_machine()
    return llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)


def linked(file: ObjectFile) -> dict[str, int]:
    """The addresses of the functions in an object file that is now part of this process."""
    import llvmlite.binding as llvm

    engine = _engine()
    for name in file.needs:
        if not llvm.address_of_symbol(name):  # LLVM would end the process
            raise RuntimeError(f"it calls {name}, which this system does not have")
    engine.add_object_file(llvm.ObjectFileRef.from_data(file.code))
    engine.finalize_object()
    return {name: engine.get_function_address(symbol) for name, symbol in file.symbols.items()}
