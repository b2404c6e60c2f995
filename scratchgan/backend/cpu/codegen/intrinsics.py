"""Tasks and loops, and what Numba has no words for: addresses, and numbers changed by many.

A *task* is compiled code, ``task(thread, threads, scratch, arguments, numbers)``. It does the part
of ``thread``, one of ``threads`` threads, with integers (sizes, strides, addresses) and numbers
that it reads from memory, and may use the memory at ``scratch``.
:mod:`scratchgan.backend.cpu.threads.pool` runs it.

A *loop*, ``loop(addresses, sizes, steps)``, is the inside of a NumPy ufunc, which
:mod:`scratchgan.backend.cpu.elementwise` makes of it.
"""

import operator
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from llvmlite import ir
from numba import types
from numba.core.imputils import lower_builtin
from numba.extending import intrinsic as _intrinsic
from numba.extending import models, register_model

from scratchgan.backend.cpu.codegen.numba_target import njit
from scratchgan.backend.cpu.processor import target
from scratchgan.backend.cpu.threads.layout import MEMORIES

_INT = ir.IntType(64)
#: Numba's: its types take what is called from Numba for what is called from Python.
intrinsic: Callable[..., Any] = _intrinsic
lowers: Callable[..., Callable[[Any], Any]] = lower_builtin
with_literals: Callable[[Any], Any] = _intrinsic(prefer_literal=True)
_pointer: Any = types.CPointer
_integers, _numbers = _pointer(types.intp), _pointer(types.float64)


class Entry(NamedTuple):
    """A function that Python or NumPy will call, with its parameters' types, Numba's and LLVM's."""

    function: Callable[..., None]
    parameters: tuple[Any, ...]
    kinds: tuple[str, ...]


_TASK = (types.intp, types.intp, types.intp, _integers, _numbers)


def task(function: Callable[..., None]) -> Entry:
    """Decorator: it becomes a task, with an address that :func:`call` takes."""
    return Entry(function, _TASK, ("i64", "i64", "i64", "ptr", "ptr"))


def loop(function: Callable[..., None]) -> Entry:
    """Decorator: it becomes the loop of a ufunc, as NumPy calls it."""
    return Entry(function, (_integers, _integers, _integers), ("ptr", "ptr", "ptr"))


@njit
def share(n: Any, thread: Any, threads: Any, unit: Any) -> Any:
    """The thread's part of ``range(n)``, begin and end, in whole units but for the last."""
    units = -(-n // unit)
    return min(n, units * thread // threads * unit), min(n, units * (thread + 1) // threads * unit)


@intrinsic
def call(
    context: Any,
    function: Any,
    thread: Any,
    threads: Any,
    scratch: Any,
    arguments: Any,
    numbers: Any,
) -> Any:
    """Run the task at the address ``function``."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        kinds = [context.get_value_type(kind) for kind in _TASK]
        code = builder.inttoptr(values[0], ir.FunctionType(ir.VoidType(), kinds).as_pointer())
        pointers = [builder.inttoptr(*pair) for pair in zip(values[4:], kinds[3:], strict=True)]
        builder.call(code, [*values[1:4], *pointers])
        return context.get_dummy_value()

    return types.void(*[types.intp] * 6), generate


# --- Memory at an address -----------------------------------------------------------------


class Numbers(types.CPointer):
    """Numbers at an address, ``p[i]``, in one of the MEMORIES that a function can tell apart.

    LLVM turns a loop into vector instructions only where it knows that what is written is not read
    by a later pass. Numbers of different memories never are the same.
    """

    def __init__(self, dtype: Any, memory: int) -> None:
        self.memory = memory
        super().__init__(dtype)  # type: ignore[no-untyped-call]

    @property
    def key(self) -> Any:
        """The key by which Numba compares types."""
        return super().key, self.memory


register_model(Numbers)(models.PointerModel)


def _told_apart(module: Any, instruction: Any, memory: int) -> None:
    domain = module.add_metadata(["scratchgan"])
    scopes = [module.add_metadata([f"memory {i}", domain]) for i in range(MEMORIES)]
    others = scopes[:memory] + scopes[memory + 1 :]
    instruction.set_metadata("alias.scope", module.add_metadata([scopes[memory]]))
    instruction.set_metadata("noalias", module.add_metadata(others))


@lowers(operator.getitem, Numbers, types.Integer)
def _get(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    number = builder.load(builder.gep(values[0], [values[1]]))
    _told_apart(builder.module, number, signature.args[0].memory)
    return number


@lowers(operator.setitem, Numbers, types.Integer, types.Any)
def _set(context: Any, builder: Any, signature: Any, values: Any) -> None:
    store = builder.store(values[2], builder.gep(values[0], [values[1]]))
    _told_apart(builder.module, store, signature.args[0].memory)


def _numbers_at(dtype: Any) -> Any:
    """For Numba: ``f(address, memory)`` gives the numbers there; ``memory`` is a literal."""

    @with_literals
    def numbers_at(context: Any, address: Any, memory: Any) -> Any:
        kind = Numbers(dtype, memory.literal_value)

        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            return builder.inttoptr(values[0], context.get_value_type(kind))

        return kind(types.intp, memory), generate

    return numbers_at


integers_at = _numbers_at(types.intp)
bytes_at = _numbers_at(types.uint8)  # of booleans and of pixels
float32_at, float64_at = _numbers_at(types.float32), _numbers_at(types.float64)


@with_literals
def stack(context: Any, nbytes: Any) -> Any:
    """The address of as much memory, until the function that asks for it returns."""
    size = ir.ArrayType(ir.IntType(8), nbytes.literal_value)

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        with builder.goto_entry_block():
            place = builder.alloca(size)
            place.align = 64
        return builder.ptrtoint(place, _INT)

    return types.intp(nbytes), generate


@intrinsic
def forget_exceptions(context: Any) -> Any:
    """Forget what overflowed or had no result: NumPy would warn of it, PyTorch and CuPy do not."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        if target().is_x86:
            flags = builder.alloca(ir.IntType(32))
            _call_intrinsic(builder, "llvm.x86.sse.stmxcsr", flags)
            builder.store(
                builder.and_(builder.load(flags), ir.Constant(ir.IntType(32), -64)), flags
            )
            _call_intrinsic(builder, "llvm.x86.sse.ldmxcsr", flags)
        elif target().is_arm:
            _call_intrinsic(builder, "llvm.aarch64.set.fpsr", ir.Constant(_INT, 0))
        return context.get_dummy_value()

    return types.void(), generate


def _call_intrinsic(builder: Any, name: str, *arguments: Any) -> None:
    """Call a function of LLVM's own that gives nothing."""
    kind = ir.FunctionType(ir.VoidType(), [x.type for x in arguments])
    builder.call(
        builder.module.globals.get(name) or ir.Function(builder.module, kind, name), arguments
    )


@intrinsic
def relax(context: Any) -> Any:
    """Wait a moment, in which another thread on the same core gets on faster."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        if target().is_x86:
            _call_intrinsic(builder, "llvm.x86.sse2.pause")
        elif target().is_arm:  # whose yield instruction takes no time
            _call_intrinsic(builder, "llvm.aarch64.isb", ir.Constant(ir.IntType(32), 15))
        return context.get_dummy_value()

    return types.void(), generate


yield_core = types.ExternalFunction(
    "SwitchToThread" if sys.platform == "win32" else "sched_yield", types.int32()
)


def prefetch(builder: Any, address: Any, writes: bool) -> None:
    """Instructions that ask for the line of the cache at ``address``, which may be anywhere."""
    pointer = builder.inttoptr(address, ir.IntType(8).as_pointer())
    _call_intrinsic(builder, "llvm.prefetch.p0", pointer, *map(ir.IntType(32), (int(writes), 3, 1)))


@intrinsic
def prefetch_to_write(context: Any, address: Any) -> Any:
    """Ask for the line at ``address``, and that no other core keeps it."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        prefetch(builder, values[0], writes=True)
        return context.get_dummy_value()

    return types.void(types.intp), generate


# --- Integers that several threads change; in one order that all of them see --------------


def _place(builder: Any, address: Any) -> Any:
    return builder.inttoptr(address, _INT.as_pointer())


@intrinsic
def read(context: Any, address: Any) -> Any:
    """The integer at ``address``."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.load_atomic(_place(builder, values[0]), "seq_cst", 8)

    return types.intp(types.intp), generate


def _changing(operation: str) -> Any:
    @intrinsic
    def change(context: Any, address: Any, value: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            place = _place(builder, values[0])
            return builder.atomic_rmw(operation, place, values[1], "seq_cst")

        return types.intp(types.intp, types.intp), generate

    return change


#: ``add(address, value)`` and ``swap(address, value)``; both give what was there before.
add, swap = _changing("add"), _changing("xchg")
