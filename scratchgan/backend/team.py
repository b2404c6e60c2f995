"""A team of threads, one for each core, that runs compiled tasks together.

See :mod:`scratchgan.backend.native` for what a task is, and :mod:`scratchgan.backend.numba_team`
for how the threads wait for each other.
"""

import os
import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]

#: As many memories can a task tell apart, in which it then knows that nothing else is.
MEMORIES = 24


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
            [(t.function, t.arguments.ctypes.data, t.numbers.ctypes.data) for t in tasks], np.intp
        )
        self.address = self._table.ctypes.data
        self.count = len(tasks)


class Prepared(threading.local):
    """Tasks on the same arguments and numbers, which each thread fills in anew for every call."""

    def __init__(self, functions: list[Any], arguments: int, numbers: int) -> None:
        self.arguments = np.empty(arguments, np.intp)
        self.numbers = np.empty(numbers)
        self.tasks = Tasks([Task(f.address, self.arguments, self.numbers) for f in functions])

    def run(self, *arguments: int, numbers: Sequence[float] = (), is_large: bool) -> None:
        """Run the tasks on these; ``is_large`` says that it is worth to share them."""
        self.arguments[:] = arguments
        self.numbers[:] = numbers
        if is_large:
            team().run(self.tasks)
        else:
            team().run_alone(self.tasks)


class Team:
    """The calling thread and ``lanes`` - 1 helpers, which sleep while there is nothing to do."""

    def __init__(self, lanes: int) -> None:
        from scratchgan.backend import cache
        from scratchgan.backend.native import SCRATCH

        module = cache.load_for("numba_team", np.dtype(np.float32))
        slot = module.SLOT
        self.lanes = lanes
        nbytes = module.LANES + 2 * slot * lanes
        self._memory = np.zeros(slot + nbytes + lanes * SCRATCH, np.uint8)
        self._board = -(-self._memory.ctypes.data // slot) * slot
        self._scratch = self._board + nbytes
        self._run = cache.entry_point(module.run, (0,) * 6)
        self._post = cache.entry_point(module.post, (0,) * 4)
        self._help = cache.entry_point(module.help, (0,) * 4)
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
        address, count, lanes = tasks.address, tasks.count, self.lanes
        with self._lock:
            if lanes > 1 and self._post(self._board, address, count, lanes):
                self._wake()
            self._run(self._board, self._scratch, address, count, 0, lanes)

    def run_alone(self, tasks: Tasks) -> None:
        """Run ``tasks`` in this thread, because they are too small to be worth a meeting."""
        with self._lock:
            self._run(self._board, self._scratch, tasks.address, tasks.count, 0, 1)

    def end(self) -> None:
        """Let the helpers go."""
        self._is_over = True
        self.run(Tasks([]))

    def _wake(self) -> None:
        for bell in self._bells:
            if bell.locked():  # only its helper acquires it
                bell.release()

    def _work(self, lane: int, bell: threading.Lock) -> None:
        while True:
            self._help(self._board, self._scratch, lane, self.lanes)
            if self._is_over:
                return
            bell.acquire()


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
