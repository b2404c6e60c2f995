"""With how many threads work is done quickest, found out while it is done."""

#: Seconds of work that are averaged: some turns of a scheduler. Whether more threads are quicker is
#: watched for so many of these windows, since for a moment the cores may happen to be free. A trial
#: first runs for a part of one, and ends there if it promises nothing, as most do.
WINDOW, WINDOWS_OF_MORE, PART_OF_A_WINDOW = 0.02, 3, 0.2
#: Seconds of work from one trial to the next, which double as long as trials change nothing.
SHORTEST_PAUSE, LONGEST_PAUSE = 0.25, 4.0
#: A window that takes this many times what the one before it took calls for a trial of fewer.
DISTURBED = 1.25
#: A trial must take less than this part of the time to be worth a change.
WORTH_A_CHANGE = 0.95


class Pace:
    """How many threads work that comes again and again is done with.

    Threads that wait for each other lose more than they share where other programs want the cores
    too: then fewer are quicker. Nobody tells a process so, hence it is tried: now and then, and
    when the work takes longer than it did, fewer threads or more do it for some turns, and stay if
    that was quicker. Results do not depend on the number.

    Attributes:
        most: The number to begin with; there will never be more.
        threads: How many the next turn should have.
    """

    def __init__(self) -> None:
        self.start(0)

    def start(self, most: int) -> None:
        """Begin with ``most`` threads, and nothing known."""
        self.most = self.threads = most
        self._settled = most  # what trials are compared with
        self._mean = 0.0  # seconds of a turn with that many, on average of late
        self._pause = SHORTEST_PAUSE
        self._until_trial = 0.0
        self._tries_more = self._tries_half = False
        self._turns, self._seconds = 0, 0.0
        self._windows: float = 0  # that the turns are watched for

    def took(self, seconds: float) -> None:
        """Note how long a turn with :attr:`threads` threads took."""
        self._turns += 1
        self._seconds += seconds
        if self._seconds >= WINDOW * self._windows:
            self._end_of_window()

    def _end_of_window(self) -> None:
        mean, seconds = self._seconds / self._turns, self._seconds
        self._turns, self._seconds = 0, 0.0
        if self._windows == 0:  # the first turn of all: threads woke up, memory was touched
            self._windows = 1
        elif self.threads != self._settled:
            self._end_trial(mean)
        else:
            is_disturbed = 0 < DISTURBED * self._mean < mean
            self._mean = mean if self._mean == 0 else self._mean + (mean - self._mean) / 4
            self._until_trial -= seconds
            if self._until_trial <= 0 or (is_disturbed and self._settled > 1):
                self._begin_trial(fewer=is_disturbed)

    def _begin_trial(self, fewer: bool) -> None:
        """Try fewer threads, or twice as many: one after the other, where both can be.

        Fewer are half as many or one: it may be that all but one are in each other's way.
        """
        self._tries_more = self._settled < self.most and (
            self._settled == 1 or not (fewer or self._tries_more)
        )
        self._windows = PART_OF_A_WINDOW
        if self._tries_more:
            self.threads = min(self.most, 2 * self._settled)
        else:
            self._tries_half = not self._tries_half
            self.threads = max(1, self._settled // 2) if self._tries_half else 1

    def _end_trial(self, mean: float) -> None:
        is_worth_it = mean < WORTH_A_CHANGE * self._mean
        if is_worth_it and self._windows == PART_OF_A_WINDOW:  # it is watched for longer
            self._windows = WINDOWS_OF_MORE if self._tries_more else 1
            return
        if is_worth_it:
            self._settled, self._mean = self.threads, mean
            self._pause = SHORTEST_PAUSE
        else:
            self.threads = self._settled
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
        self._until_trial = self._pause
        self._windows = 1
