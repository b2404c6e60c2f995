"""The loop of each thread: it runs its share of one task after another.

After each task all threads wait at a barrier, so that the next one sees what this one wrote. They
do so many times in a millisecond: who comes first waits in a busy loop, since to be woken takes
longer.

These are tasks themselves. Their arguments are those of
:class:`scratchgan.backend.cpu.threads.pool.ThreadPool`: the shared, the tasks to run, their count,
and a place for how many workers sleep.
"""

from typing import Any

from scratchgan.backend.cpu.codegen.intrinsics import (
    add,
    call,
    integers_at,
    read,
    relax,
    swap,
    task,
    yield_core,
)
from scratchgan.backend.cpu.codegen.numba_target import njit
from scratchgan.backend.cpu.threads.layout import (
    AT_WORK,
    BARRIERS,
    COUNT,
    END,
    FEWEST_LOOKS,
    FIRST,
    MOST_LOOKS,
    PATIENCE,
    POSTED,
    SCRATCH,
    SEEN,
    SLEEPS,
    TASKS,
    THREAD,
    THREADS,
)

#: How often a worker without work looks further before it goes to sleep: for about two milliseconds
#: where nobody else wants the core.
LOOKS_AWAKE = 4_000


@njit
def _wait_for(address: Any, value: Any, own: Any, looks: Any) -> Any:
    """Wait until the integer at ``address`` is at least ``value``.

    Args:
        address: Where others write.
        value: What to wait for.
        own: Where the thread keeps what is its own.
        looks: How often to look further when patience has ended; -1 for ever.

    Returns:
        False if there is less after all these looks.
    """
    patience = integers_at(own + PATIENCE, 0)
    look = 0
    while read(address) < value:
        look += 1
        if look > patience[0]:
            if look - patience[0] == looks:
                return False
            yield_core()
        else:
            relax()
    if look > patience[0]:
        patience[0] = max(FEWEST_LOOKS, patience[0] // 2)
    elif look > 0:
        patience[0] = min(MOST_LOOKS, patience[0] + patience[0] // 64 + 1)
    return True


@njit
def _run(shared: Any, scratch: Any, tasks: Any, count: Any, thread: Any, threads: Any) -> None:
    """Run ``count`` tasks from the table at ``tasks``: function, arguments, numbers of each.

    Barriers are numbered through all runs, and each thread writes down the last one that it has
    come to where no other writes: a line of the cache travels once, from who comes last.
    """
    table = integers_at(tasks, 0)
    own = shared + THREADS + THREAD * thread
    barrier = read(shared + FIRST)
    for i in range(count):
        place = scratch + thread * SCRATCH
        call(table[3 * i], thread, threads, place, table[3 * i + 1], table[3 * i + 2])
        if threads > 1:
            barrier += 1
            swap(own + BARRIERS, barrier)
            for other in range(threads):
                if other != thread:
                    _wait_for(shared + THREADS + THREAD * other + BARRIERS, barrier, own, -1)


@task
def run(thread: Any, threads: Any, scratch: Any, arguments: Any, numbers: Any) -> None:
    """Run the thread's part of tasks that were posted, or with one thread all that they are."""
    _run(arguments[0], scratch, arguments[1], arguments[2], thread, threads)


@task
def leader(thread: Any, threads: Any, scratch: Any, arguments: Any, numbers: Any) -> None:
    """Post the tasks and run this thread's part; not if workers sleep, who must be woken first."""
    shared = arguments[0]
    swap(shared + TASKS, arguments[1])
    swap(shared + COUNT, arguments[2])
    swap(shared + AT_WORK, threads)
    swap(shared + FIRST, read(shared + THREADS + BARRIERS))
    asleep = 0
    for other in range(1, threads):
        own = shared + THREADS + THREAD * other
        add(own + POSTED, 1)
        asleep += swap(own + SLEEPS, 0)
    arguments[3] = asleep
    if asleep == 0:
        _run(shared, scratch, arguments[1], arguments[2], thread, threads)


@task
def worker(thread: Any, threads: Any, scratch: Any, arguments: Any, numbers: Any) -> None:
    """Run what is posted; return when nothing has been for a while, or for good."""
    shared = arguments[0]
    own = shared + THREADS + THREAD * thread
    seen = integers_at(own + SEEN, 0)
    while True:
        if not _wait_for(own + POSTED, seen[0] + 1, own, LOOKS_AWAKE):
            swap(own + SLEEPS, 1)
            # Work posted just now must not be slept over. Whoever posted it may have seen the
            # mark, and then wakes this thread once more than it needs.
            if read(own + POSTED) == seen[0]:
                return
            swap(own + SLEEPS, 0)
        seen[0] += 1
        count = read(shared + COUNT)
        if count == END:
            return
        _run(shared, scratch, read(shared + TASKS), count, thread, read(shared + AT_WORK))
