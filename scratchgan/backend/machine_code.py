"""Machine code of tasks and loops, kept in files: where it is there, a start needs no compiler.

Numba turns the source of such a function into LLVM's language, and LLVM that into an object file in
the cache folder, under a name with a hash of all that it was made from. To load one takes LLVM
alone, which is quicker than to import Numba, and takes a third of its memory.
"""

import ctypes
import functools
import hashlib
import os
import re
import sys
from typing import Any

from scratchgan.backend import cache


@functools.cache
def load(name: str, source: str) -> dict[str, int]:
    """The addresses of the tasks and loops in ``source``, by name; ``name`` is that of the file."""
    functions = re.findall(r"^@(?:task|loop)\ndef (\w+)", source, re.MULTILINE)
    digest = hashlib.sha256(f"{_compiler()}\n{source}".encode()).hexdigest()[:16]
    path = cache.folder() / f"{name}_{digest}.o"
    symbols = {function: f"{function}_{digest}" for function in functions}
    if not path.exists():
        cache.write(path, _compiled(name, source, symbols))
    return _linked(path.read_bytes(), symbols)


@functools.cache
def load_for(name: str, dtype: str) -> dict[str, int]:
    """Those of the module ``name`` of this folder, whose source is for float32, for a type."""
    return load(name, cache.source_for(name, dtype))


@functools.cache
def has_matrix_unit() -> bool:
    """Whether this process may use AMX: the processor has it for bfloat16, and Linux allows it."""
    enabled = set(_features().split(","))
    if sys.platform != "linux" or not {"+amx-tile", "+amx-bf16", "+avx512f"} <= enabled:
        return False
    # arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA): a process must ask for what threads then
    # need more memory for (Linux, Documentation/arch/x86/xstate.rst).
    refused: int = ctypes.CDLL(None).syscall(158, 0x1023, 18)
    return not refused


@functools.cache
def _features() -> str:
    """Those of the processor that code is made for: the one at hand, or what Numba was told."""
    import llvmlite.binding as llvm

    told = os.environ.get("NUMBA_CPU_FEATURES")
    if told is None and os.environ.get("NUMBA_CPU_NAME", "").lower() == "generic":
        told = ""
    return llvm.get_host_cpu_features().flatten() if told is None else told


@functools.cache
def _compiler() -> str:
    """What decides besides the source what machine code comes out."""
    from importlib.metadata import version  # here, because it takes long

    import llvmlite.binding as llvm

    name = os.environ.get("NUMBA_CPU_NAME") or llvm.get_host_cpu_name()
    return "\n".join([version("numba"), name, _features(), cache.digest_of_functions()])


def _compiled(name: str, source: str, symbols: dict[str, str]) -> bytes:
    """An object file with the functions of ``source`` under the names ``symbols``."""
    import llvmlite.binding as llvm
    from numba.core.registry import cpu_target

    module = cache.load(name, source)
    _, cpu, features = cpu_target.target_context.codegen().magic_tuple()
    machine = llvm.Target.from_default_triple().create_target_machine(
        cpu=cpu, features=features, opt=3, codemodel="jitdefault", jit=True
    )
    whole: Any = None
    for function, symbol in symbols.items():
        part = llvm.parse_assembly(_without_python(getattr(module, function), symbol))
        if whole is None:
            whole = part
        else:
            whole.link_in(part)
    code: bytes = machine.emit_object(whole)
    return code


def _without_python(function: Any, symbol: str) -> str:
    """LLVM's text of a function, without Numba's errors, which need Python and Numba."""
    wrapper: str = function.native_name
    text: str = function.inspect_llvm()
    begin = text.index(f"define ptr @{wrapper}(")
    given = re.findall(r"(i64|ptr) [^,{]*?(%[.\w]+)", text[begin : text.index("{", begin)])
    parameters = ", ".join(f"{kind} {parameter}" for kind, parameter in given)
    text = text[:begin] + text[text.index("\n}\n", begin) + 3 :]
    for name in re.findall(r"^declare .*@((?:numba|NRT|Py)\w+)\(", text, re.MULTILINE):
        if text.count(f"@{name}(") > 1:  # it is not only declared
            raise RuntimeError(f"{symbol} calls {name}, which only Numba has")
    inner = wrapper.removeprefix("cfunc.")
    return f"""{text}
define void @{symbol}({parameters}) {{
  %result = alloca ptr
  %error = alloca ptr
  %status = call i32 @{inner}(ptr %result, ptr %error, {parameters})
  ret void
}}
"""


@functools.cache
def _engine() -> Any:
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine()
    return llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)


def _linked(code: bytes, symbols: dict[str, str]) -> dict[str, int]:
    """The addresses of functions in an object file that is now part of this process."""
    import llvmlite.binding as llvm

    engine = _engine()
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    return {name: engine.get_function_address(symbol) for name, symbol in symbols.items()}
