"""What the threads of a team run: tasks one after another, each thread its share of every task.

After each task all lanes meet, so that the next one sees what this one wrote. They meet many times
in a millisecond: who comes first waits in a busy loop, since to be woken takes longer.

The *board* is memory that all threads of a team read and write. Its slots lie apart, so that no
two share a line of a cache.
"""

from typing import Any

from numba import njit

from scratchgan.backend.native import (
    SCRATCH,
    add,
    call,
    compiled,
    integers_at,
    read,
    swap,
    yield_core,
)

SLOT = 128  # bytes
#: How many times work was posted, the tasks and their count, how many lanes have arrived where
#: they meet, and how many times they have met. Then for each lane two slots: whether its thread
#: sleeps, and the last posting that it has seen.
POSTED, TASKS, COUNT, ARRIVED, MET, LANES = (i * SLOT for i in range(6))

#: How often a waiting thread looks before it lets others have the core between looks, and how
#: often before it goes to sleep.
LOOKS, LOOKS_AWAKE = 4000, 8000


@njit
def _wait_while(address: Any, value: Any, looks: Any) -> Any:
    """Wait for another value at ``address``; False if it is still there after so many looks."""
    look = 0
    while read(address) == value:
        look += 1
        if look > LOOKS:
            if look == looks:
                return False
            yield_core()
    return True


@njit
def _meet(board: Any, lanes: Any) -> None:
    """Wait until all lanes have come here."""
    met = read(board + MET)
    if add(board + ARRIVED, 1) == lanes - 1:
        swap(board + ARRIVED, 0)
        swap(board + MET, met + 1)
    else:
        _wait_while(board + MET, met, -1)


@compiled
def run(board: Any, scratch: Any, tasks: Any, count: Any, lane: Any, lanes: Any) -> None:
    """Run ``count`` tasks from the table at ``tasks``: function, arguments, numbers of each."""
    table = integers_at(tasks, 0)
    for i in range(count):
        own = scratch + lane * SCRATCH
        call(table[3 * i], lane, lanes, own, table[3 * i + 1], table[3 * i + 2])
        if lanes > 1:
            _meet(board, lanes)


@compiled
def post(board: Any, tasks: Any, count: Any, lanes: Any) -> Any:
    """Have the helpers run these tasks; gives how many of them must be woken first."""
    swap(board + TASKS, tasks)
    swap(board + COUNT, count)
    add(board + POSTED, 1)
    asleep = 0
    for lane in range(1, lanes):
        asleep += swap(board + LANES + 2 * SLOT * lane, 0)
    return asleep


@compiled
def help(board: Any, scratch: Any, lane: Any, lanes: Any) -> None:
    """Run what is posted; return, to sleep, when nothing has been for a while."""
    sleeps = board + LANES + 2 * SLOT * lane
    seen = integers_at(sleeps + SLOT, 0)
    while True:
        if not _wait_while(board + POSTED, seen[0], LOOKS_AWAKE):
            swap(sleeps, 1)
            # Work posted just now must not be slept over. Whoever posted it may have seen the
            # mark, and then wakes this thread once more than it needs.
            if read(board + POSTED) == seen[0]:
                return
            swap(sleeps, 0)
        seen[0] += 1
        run(board, scratch, read(board + TASKS), read(board + COUNT), lane, lanes)
