"""What the threads of a team run: tasks one after another, each thread its share of every task.

After each task all lanes meet, so that the next one sees what this one wrote. They meet many times
in a millisecond: who comes first waits in a busy loop, since to be woken takes longer.

These are tasks themselves. Their arguments are those of
:class:`scratchgan.backend.cpu.threads.pool.Team`: the board, the tasks to run, their count, and a
place for how many helpers sleep.
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
    COUNT,
    END,
    FEWEST_LOOKS,
    FIRST,
    LANE,
    LANES,
    MEETINGS,
    MOST_LOOKS,
    PATIENCE,
    POSTED,
    SCRATCH,
    SEEN,
    SLEEPS,
    TASKS,
)

#: How often a helper without work looks further before it goes to sleep: for about two milliseconds
#: where nobody else wants the core.
LOOKS_AWAKE = 4_000


@njit
def _wait_for(address: Any, value: Any, own: Any, looks: Any) -> Any:
    """Wait until the integer at ``address`` is at least ``value``.

    Args:
        address: Where others write.
        value: What to wait for.
        own: Where the lane keeps what is its own.
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
def _run(board: Any, scratch: Any, tasks: Any, count: Any, lane: Any, lanes: Any) -> None:
    """Run ``count`` tasks from the table at ``tasks``: function, arguments, numbers of each.

    Meetings are numbered through all runs, and each lane writes down the last one that it has come
    to where no other writes: a line of the cache travels once, from who comes last.
    """
    table = integers_at(tasks, 0)
    own = board + LANES + LANE * lane
    meeting = read(board + FIRST)
    for i in range(count):
        place = scratch + lane * SCRATCH
        call(table[3 * i], lane, lanes, place, table[3 * i + 1], table[3 * i + 2])
        if lanes > 1:
            meeting += 1
            swap(own + MEETINGS, meeting)
            for other in range(lanes):
                if other != lane:
                    _wait_for(board + LANES + LANE * other + MEETINGS, meeting, own, -1)


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
    swap(board + AT_WORK, lanes)
    swap(board + FIRST, read(board + LANES + MEETINGS))
    asleep = 0
    for helper in range(1, lanes):
        own = board + LANES + LANE * helper
        add(own + POSTED, 1)
        asleep += swap(own + SLEEPS, 0)
    arguments[3] = asleep
    if asleep == 0:
        _run(board, scratch, arguments[1], arguments[2], lane, lanes)


@task
def help(lane: Any, lanes: Any, scratch: Any, arguments: Any, numbers: Any) -> None:
    """Run what is posted; return when nothing has been for a while, or for good."""
    board = arguments[0]
    own = board + LANES + LANE * lane
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
        count = read(board + COUNT)
        if count == END:
            return
        _run(board, scratch, read(board + TASKS), count, lane, read(board + AT_WORK))
