"""What the threads of a team run: tasks one after another, each thread its share of every task.

After each task all lanes meet, so that the next one sees what this one wrote. They meet many times
in a millisecond: who comes first waits in a busy loop, since to be woken takes longer.

These are tasks themselves. Their arguments are those of :class:`scratchgan.backend.team.Team`: the
board, the tasks to run, their count, and a place for how many helpers sleep.
"""

from typing import Any

from scratchgan.backend.native import add, call, integers_at, read, relax, swap, task, yield_core
from scratchgan.backend.numba_target import njit
from scratchgan.backend.team import (
    COUNT,
    END,
    LANE,
    LANES,
    MEETINGS,
    POSTED,
    SCRATCH,
    SEEN,
    SLEEPS,
    TASKS,
)

#: How often a waiting thread looks before it lets others have the core between looks, and how
#: often before it goes to sleep: after about half a millisecond, and two. A thread that
#: gives its core away too soon loses it for milliseconds where another process wants it.
LOOKS, LOOKS_AWAKE = 10_000, 14_000


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
        else:
            relax()
    return True


@njit
def _meet(board: Any, lane: Any, lanes: Any) -> None:
    """Wait until all lanes have come here.

    Each counts where no other writes: a line of the cache travels once, from who comes last.
    """
    meetings = board + LANES + MEETINGS
    met = add(meetings + LANE * lane, 1)
    for other in range(lanes):
        if other != lane:
            _wait_while(meetings + LANE * other, met, -1)


@njit
def _run(board: Any, scratch: Any, tasks: Any, count: Any, lane: Any, lanes: Any) -> None:
    """Run ``count`` tasks from the table at ``tasks``: function, arguments, numbers of each."""
    table = integers_at(tasks, 0)
    for i in range(count):
        own = scratch + lane * SCRATCH
        call(table[3 * i], lane, lanes, own, table[3 * i + 1], table[3 * i + 2])
        if lanes > 1:
            _meet(board, lane, lanes)


@task
def run(lane: Any, lanes: Any, scratch: Any, arguments: Any, numbers: Any) -> None:
    """Run the lane's part of tasks that were posted, or with one lane all that they are."""
    _run(arguments[0], scratch, arguments[1], arguments[2], lane, lanes)


@task
def lead(lane: Any, lanes: Any, scratch: Any, arguments: Any, numbers: Any) -> None:
    """Post the tasks and run this lane's part; not if helpers sleep, who must be woken first."""
    board = arguments[0]
    swap(board + TASKS, arguments[1])
    swap(board + COUNT, arguments[2])
    add(board + POSTED, 1)
    asleep = 0
    for helper in range(1, lanes):
        asleep += swap(board + LANES + LANE * helper + SLEEPS, 0)
    arguments[3] = asleep
    if asleep == 0:
        _run(board, scratch, arguments[1], arguments[2], lane, lanes)


@task
def help(lane: Any, lanes: Any, scratch: Any, arguments: Any, numbers: Any) -> None:
    """Run what is posted; return when nothing has been for a while, or for good."""
    board = arguments[0]
    own = board + LANES + LANE * lane
    sleeps, seen = own + SLEEPS, integers_at(own + SEEN, 0)
    while True:
        if not _wait_while(board + POSTED, seen[0], LOOKS_AWAKE):
            swap(sleeps, 1)
            # Work posted just now must not be slept over. Whoever posted it may have seen the
            # mark, and then wakes this thread once more than it needs.
            if read(board + POSTED) == seen[0]:
                return
            swap(sleeps, 0)
        seen[0] += 1
        count = read(board + COUNT)
        if count == END:
            return
        _run(board, scratch, read(board + TASKS), count, lane, lanes)
