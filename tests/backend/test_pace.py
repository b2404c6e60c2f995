"""The number of threads that work gets: as many as are quickest, found out at little cost."""

from collections.abc import Callable

import numpy as np
import pytest

from scratchgan.backend.cpu.threads.pace import Pace

#: Seconds that a turn takes with so many threads, at a moment.
Work = Callable[[int, float], float]


def worked(pace: Pace, work: Work, seconds: float, start: float = 0.0) -> tuple[float, int]:
    """How many turns a second are done, and the number of threads that most of them had."""
    now, turns = start, []
    while now < start + seconds:
        turns.append(pace.threads)
        spent = work(pace.threads, now)
        pace.took(spent)
        now += spent
    return len(turns) / seconds, int(np.bincount(turns).argmax())


def started(most: int) -> Pace:
    pace = Pace()
    pace.start(most)
    return pace


@pytest.mark.parametrize("turn", [1e-4, 1e-3, 5e-2])
@pytest.mark.parametrize("most", [1, 2, 3, 8])
def test_all_threads_work_where_that_is_quickest(most: int, turn: float) -> None:
    def work(threads: int, now: float) -> float:
        return turn * (0.1 + 0.9 / threads)

    turns, threads = worked(started(most), work, 30)
    assert threads == most
    assert turns > 0.98 / work(most, 0)  # what trying costs


def test_a_trial_that_promises_nothing_ends_soon() -> None:
    def work(threads: int, now: float) -> float:
        return 1e-4 / threads

    turns, _ = worked(started(2), work, 2)  # trials are most frequent at first
    assert turns > 0.99 / work(2, 0)


@pytest.mark.parametrize("most", [2, 8])
def test_one_works_where_others_hinder_each_other(most: int) -> None:
    def work(threads: int, now: float) -> float:
        return 1e-3 if threads == 1 else 5e-3

    turns, threads = worked(started(most), work, 30)
    assert threads == 1
    assert turns > 0.95 / 1e-3


def test_some_work_where_some_cores_are_free() -> None:
    def work(threads: int, now: float) -> float:
        return 1e-3 / threads if threads <= 4 else 1e-2

    turns, threads = worked(started(16), work, 30)
    assert threads == 4
    assert turns > 0.9 / work(4, 0)


def test_it_follows_what_other_programs_do() -> None:
    pace = started(2)

    def alone(threads: int, now: float) -> float:
        return 1e-3 / threads

    def beside_others(threads: int, now: float) -> float:
        return 1e-3 if threads == 1 else 6e-3

    worked(pace, alone, 5)
    turns, _ = worked(pace, beside_others, 0.2)  # it notices at once
    assert turns > 0.4 / 1e-3
    turns, threads = worked(pace, beside_others, 20)
    assert threads == 1
    assert turns > 0.95 / 1e-3
    worked(pace, alone, 5)  # and that they have gone before long
    _, threads = worked(pace, alone, 1)
    assert threads == 2


def test_noise_does_not_drive_it_about() -> None:
    random = np.random.default_rng(0)

    def work(threads: int, now: float) -> float:
        return float(random.lognormal(0, 0.3)) * (1.0e-3 if threads == 1 else 0.55e-3)

    turns, threads = worked(started(2), work, 60)
    assert threads == 2
    assert turns > 0.95 / (0.55e-3 * np.exp(0.3**2 / 2))


def test_another_team_begins_anew() -> None:
    pace = started(8)
    worked(pace, lambda threads, now: 1e-3 * threads, 5)
    assert pace.threads < 8
    pace.start(3)
    assert (pace.threads, pace.most) == (3, 3)
