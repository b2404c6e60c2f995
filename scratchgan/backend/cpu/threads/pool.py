"""A team of threads, one for each core, that runs compiled tasks together.

See :mod:`scratchgan.backend.cpu.codegen.intrinsics` for what a task is, and
:mod:`scratchgan.backend.cpu.threads.worker` for how the threads wait for each other.
"""

import ctypes
import os
import struct
import threading
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from scratchgan.backend import MachineCodeError
from scratchgan.backend.cpu.addresses import Array, begin_of
from scratchgan.backend.cpu.threads import cores
from scratchgan.backend.cpu.threads.layout import (
    END,
    MOST_LOOKS,
    PATIENCE,
    SCRATCH,
    SLOT,
    THREAD,
    THREADS,
)
from scratchgan.backend.cpu.threads.pace import Pace
from scratchgan.locks import new_lock

#: To compute fewer numbers takes less time than it may take to wake another thread; 32
#: multiplications of a product count as one.
WORTH_SHARING = 1 << 15

#: The type of a task for Python, which lets other threads run meanwhile.
_CODE = ctypes.CFUNCTYPE(None, *[ctypes.c_ssize_t] * 3, ctypes.c_void_p, ctypes.c_void_p)


class Task(NamedTuple):
    """The address of compiled code, what it works on, and what must live as long."""

    function: int
    arguments: Array
    numbers: Array
    holds: Any = None


class Tasks:
    """Tasks to run one after another."""

    def __init__(self, tasks: list[Task]) -> None:
        self._tasks = tasks
        self._table = np.array(
            [(t.function, begin_of(t.arguments), begin_of(t.numbers)) for t in tasks], np.intp
        )
        self.address = begin_of(self._table)
        self.count = len(tasks)


class BoundCall:
    """Tasks on the same arguments and numbers, which each thread fills in anew for every call."""

    def __init__(self, functions: list[int], arguments: int, numbers: int) -> None:
        self._own = _OwnTasks(functions, arguments, numbers)
        # It takes a third of NumPy's time.
        self._fill_in: Callable[..., None] = struct.Struct(f"{arguments}n").pack_into

    def run(self, *arguments: int, numbers: Sequence[float] = (), work: int) -> None:
        """Run the tasks on these; ``work`` is about how many numbers they compute."""
        places, scalars, tasks, paces = self._own.parts
        self._fill_in(places, 0, *arguments)
        if numbers:
            scalars[:] = numbers
        thread_pool().run(tasks, paces[work.bit_length()] if work >= WORTH_SHARING else None)


class _OwnTasks(threading.local):
    """Holder of what each thread has of a :class:`BoundCall` for itself.

    Attributes:
        parts: Memory for the arguments and for the numbers, the tasks that read there, and paces
            by the length of the number ``work``: calls of about the same work take about the
            same time. They are one attribute because a ``threading.local`` is slow to ask.
    """

    def __init__(self, functions: list[int], arguments: int, numbers: int) -> None:
        places, scalars = np.empty(arguments, np.intp), np.empty(numbers)
        tasks = Tasks([Task(function, places, scalars) for function in functions])
        paces: dict[int, Pace] = defaultdict(Pace)
        self.parts = places, scalars, tasks, paces


class ThreadPool:
    """The calling thread and ``threads`` - 1 workers, which sleep while there is nothing to do.

    Attributes:
        threads: How many threads there are.
        most: How many of them work at a time: never more than there are cores for them.
    """

    def __init__(self, threads: int) -> None:
        from scratchgan.backend.cpu.codegen import machine_code

        try:
            code = machine_code.load_for("threads.worker", "float32")
        except MachineCodeError:
            code, threads = {}, 1
        self._leader, self._run, self._worker = (
            _CODE(code[name]) if code else _run_from_python for name in ("leader", "run", "worker")
        )
        self.threads = threads
        self.most = min(threads, cores.usable()[0])
        nbytes = THREADS + THREAD * threads
        self._memory = np.zeros(SLOT + nbytes + threads * SCRATCH, np.uint8)
        shared = -(-begin_of(self._memory) // SLOT) * SLOT
        for thread in range(threads):
            place = shared + THREADS + THREAD * thread + PATIENCE
            ctypes.c_ssize_t.from_address(place).value = MOST_LOOKS
        self._scratch = shared + nbytes
        #: The shared, the tasks that are to be run, their count, and how many workers sleep.
        self._request = (ctypes.c_ssize_t * 4)(shared)
        self._address = ctypes.addressof(self._request)
        self._lock = threading.Lock()
        self._is_over = False
        #: Each worker sleeps until it can acquire its own.
        self._semaphores = [threading.Lock() for _ in range(1, threads)]
        for thread, semaphore in enumerate(self._semaphores, 1):
            semaphore.acquire()
            name = f"scratchgan worker {thread}"
            threading.Thread(
                target=self._work, name=name, args=(thread, semaphore), daemon=True
            ).start()

    def run(self, tasks: Tasks, pace: Pace | None) -> None:
        """Run ``tasks`` with ``pace.threads`` threads; all are done when this returns.

        Without a pace this thread runs them, because they are too small to be worth a barrier.
        """
        with self._lock:
            # It is over if the caller got hold of it before another pool took its place.
            if pace is None or self._is_over:
                self._run_alone(tasks)
                return
            if pace.most != self.most:  # it is new, or the pool is
                pace.start(self.most)
            begin = time.perf_counter()
            if pace.threads == 1:
                self._run_alone(tasks)
            else:
                self._run_together(tasks, pace.threads)
            pace.took(time.perf_counter() - begin)

    def _run_alone(self, tasks: Tasks) -> None:
        request = self._request
        request[1], request[2] = tasks.address, tasks.count
        self._run(0, 1, self._scratch, self._address, None)

    def _run_together(self, tasks: Tasks, threads: int) -> None:
        request = self._request
        request[1], request[2], request[3] = tasks.address, tasks.count, 0
        try:
            self._leader(0, threads, self._scratch, self._address, None)
        finally:  # even if Ctrl-C was pressed, for some threads may have begun, and wait
            if request[3]:
                self._wake(threads)
                self._run(0, threads, self._scratch, self._address, None)

    def end(self) -> None:
        """Let the workers go; who still has tasks to run does so alone."""
        nothing = Tasks([])
        nothing.count = END
        with self._lock:
            was_over, self._is_over = self._is_over, True
            if self.threads > 1 and not was_over:
                self._run_together(nothing, self.threads)

    def _wake(self, threads: int) -> None:
        for semaphore in self._semaphores[: threads - 1]:
            if semaphore.locked():  # only its worker acquires it
                semaphore.release()

    def _work(self, thread: int, semaphore: threading.Lock) -> None:
        while True:
            self._worker(thread, self.threads, self._scratch, self._address, None)
            if self._is_over:
                return
            semaphore.acquire()


def _run_from_python(thread: int, threads: int, scratch: int, request: int, numbers: None) -> None:
    """The task ``run`` for a single thread, where there is no machine code of it."""
    _, table, count = (ctypes.c_ssize_t * 3).from_address(request)
    for function, arguments, values in (ctypes.c_ssize_t * 3 * count).from_address(table):
        _CODE(function)(thread, threads, scratch, arguments, values)


_making = new_lock()  #: Held by the thread that makes the pool, or takes it away.
_pool: ThreadPool | None = None
_threads: int | None = None


def thread_pool() -> ThreadPool:
    """The thread pool of this process, made when it is first needed."""
    global _pool
    pool = _pool
    if pool is None:
        with _making:
            pool = _pool = _pool or ThreadPool(get_num_threads())
    return pool


def get_num_threads() -> int:
    """How many threads the CPU's kernels use together, at the most.

    At first as many as this process may use cores, or ``OMP_NUM_THREADS`` if that is less. Where
    other programs want the cores too, fewer work as long as that is quicker.
    """
    global _threads
    if _threads is None:
        _threads = _first_number()[0]
    return _threads


def why_as_many() -> str:
    """A phrase that says what :func:`get_num_threads` comes from."""
    number, reason = _first_number()
    return reason if get_num_threads() == number else "set_num_threads() said so"


def _first_number() -> tuple[int, str]:
    count, reason = cores.usable()
    given = os.environ.get("OMP_NUM_THREADS", "").strip()
    outermost = given.partition(",")[0].strip()  # a list is for regions inside of others (OpenMP)
    if not given:
        return count, reason
    if not outermost.isdecimal() or not int(outermost):
        warnings.warn(
            f"OMP_NUM_THREADS is {given!r}, which is no number of threads; {count} are used "
            f"({reason})",
            RuntimeWarning,
            stacklevel=3,
        )
        return count, reason
    if int(outermost) > count:
        return count, f"{reason}; OMP_NUM_THREADS={given} would be more than these"
    return int(outermost), f"OMP_NUM_THREADS={given}"


def set_num_threads(n: int) -> None:
    """Use up to ``n`` threads from now on, but no more at a time than there are cores for them.

    Results do not depend on their number.

    Raises:
        ValueError: ``n`` is not a whole number above 0.
    """
    global _pool, _threads
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise ValueError(f"set_num_threads: {n!r} is not a whole number above 0")
    with _making:
        if _pool is not None:
            _pool.end()
        _pool, _threads = None, n


def _forget() -> None:
    """After a fork: the threads stayed with the parent."""
    global _pool
    _pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
