"""A team of threads, one for each core, that runs compiled tasks together.

See :mod:`scratchgan.backend.native` for what a task is, and :mod:`scratchgan.backend.numba_team`
for how the threads wait for each other.
"""

import ctypes
import os
import struct
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from scratchgan.backend.addresses import Array, begin_of

#: Bytes that each lane has for itself while a task runs.
SCRATCH = 1 << 21
#: As many memories can a task tell apart, in which it then knows that nothing else is.
MEMORIES = 24

#: To compute fewer numbers takes less time than it may take to wake another thread.
WORTH_SHARING = 1 << 15

#: The board is memory that all threads of a team read and write; its slots lie so far apart, in
#: bytes, that no two share a line of a cache. They hold how many times work was posted, the tasks
#: and their count; then for each lane whether its thread sleeps, the last posting that it has seen,
#: and how many times it has come to where all meet.
SLOT = 128
POSTED, TASKS, COUNT, LANES = (i * SLOT for i in range(4))
SLEEPS, SEEN, MEETINGS, LANE = (i * SLOT for i in range(4))
#: The count that says that there will be no more.
END = -1

#: What tasks are to Python, which lets other threads run meanwhile.
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


class Prepared(threading.local):
    """Tasks on the same arguments and numbers, which each thread fills in anew for every call."""

    def __init__(self, functions: list[int], arguments: int, numbers: int) -> None:
        self._arguments = np.empty(arguments, np.intp)
        self._numbers = np.empty(numbers)
        self._tasks = Tasks([Task(f, self._arguments, self._numbers) for f in functions])
        # It takes a third of NumPy's time.
        self._fill_in: Callable[..., None] = struct.Struct(f"{arguments}n").pack_into

    def run(self, *arguments: int, numbers: Sequence[float] = (), is_large: bool) -> None:
        """Run the tasks on these; ``is_large`` says that it is worth to share them."""
        self._fill_in(self._arguments, 0, *arguments)
        if numbers:
            self._numbers[:] = numbers
        if is_large:
            team().run(self._tasks)
        else:
            team().run_alone(self._tasks)


class Team:
    """The calling thread and ``lanes`` - 1 helpers, which sleep while there is nothing to do."""

    def __init__(self, lanes: int) -> None:
        from scratchgan.backend import machine_code

        try:
            code = machine_code.load_for("numba_team", "float32")
        except machine_code.MachineCodeError:
            code, lanes = {}, 1
        self._lead, self._run, self._help = (
            _CODE(code[name]) if code else _run_from_python for name in ("lead", "run", "help")
        )
        self.lanes = lanes
        nbytes = LANES + LANE * lanes
        self._memory = np.zeros(SLOT + nbytes + lanes * SCRATCH, np.uint8)
        board = -(-begin_of(self._memory) // SLOT) * SLOT
        self._scratch = board + nbytes
        #: The board, the tasks that are to be run, their count, and how many helpers sleep.
        self._request = (ctypes.c_ssize_t * 4)(board)
        self._address = ctypes.addressof(self._request)
        self._lock = threading.Lock()
        self._is_over = False
        #: Each helper sleeps until it can acquire its own.
        self._bells = [threading.Lock() for _ in range(1, lanes)]
        for lane, bell in enumerate(self._bells, 1):
            bell.acquire()
            name = f"scratchgan lane {lane}"
            threading.Thread(target=self._work, name=name, args=(lane, bell), daemon=True).start()

    def run(self, tasks: Tasks) -> None:
        """Run ``tasks``; each of them is done when this returns."""
        if self.lanes == 1:
            self.run_alone(tasks)
            return
        request = self._request
        with self._lock:
            request[1], request[2], request[3] = tasks.address, tasks.count, 0
            try:
                self._lead(0, self.lanes, self._scratch, self._address, None)
            finally:  # even if Ctrl-C was pressed, for some lanes may have begun, and wait
                if request[3]:
                    self._wake()
                    self._run(0, self.lanes, self._scratch, self._address, None)

    def run_alone(self, tasks: Tasks) -> None:
        """Run ``tasks`` in this thread, because they are too small to be worth a meeting."""
        request = self._request
        with self._lock:
            request[1], request[2] = tasks.address, tasks.count
            self._run(0, 1, self._scratch, self._address, None)

    def end(self) -> None:
        """Let the helpers go."""
        self._is_over = True
        if self.lanes > 1:
            nothing = Tasks([])
            nothing.count = END
            self.run(nothing)

    def _wake(self) -> None:
        for bell in self._bells:
            if bell.locked():  # only its helper acquires it
                bell.release()

    def _work(self, lane: int, bell: threading.Lock) -> None:
        while True:
            self._help(lane, self.lanes, self._scratch, self._address, None)
            if self._is_over:
                return
            bell.acquire()


def _run_from_python(lane: int, lanes: int, scratch: int, request: int, numbers: None) -> None:
    """What the task ``run`` does, for a single lane, where there is no machine code of it."""
    _, table, count = (ctypes.c_ssize_t * 3).from_address(request)
    for function, arguments, values in (ctypes.c_ssize_t * 3 * count).from_address(table):
        _CODE(function)(lane, lanes, scratch, arguments, values)


_team: Team | None = None
_lanes: int | None = None


def team() -> Team:
    """The team of this process, made when it is first needed."""
    global _team
    if _team is None:
        _team = Team(get_num_threads())
    return _team


def get_num_threads() -> int:
    """How many threads the CPU's kernels use together.

    At first ``OMP_NUM_THREADS``, or else as many as this process may have cores.
    """
    global _lanes
    if _lanes is None:
        given = os.environ.get("OMP_NUM_THREADS", "")
        _lanes = int(given) if given.isdecimal() and int(given) else _cores()
    return _lanes


def set_num_threads(n: int) -> None:
    """Use ``n`` threads from now on. Results do not depend on their number.

    Raises:
        ValueError: ``n`` is not a whole number above 0.
    """
    global _team, _lanes
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise ValueError(f"set_num_threads: {n!r} is not a whole number above 0")
    if _team is not None:
        _team.end()
    _team, _lanes = None, n


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _forget() -> None:
    """After a fork: the threads stayed with the parent."""
    global _team
    _team = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
