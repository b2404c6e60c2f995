"""How a worker times, counted on a clock of its own."""

import pytest

from benchmarks import problem, worker


class Clock:
    def __init__(self) -> None:
        self.now = 0.0
        self.runs = self.waits = 0

    def run(self) -> None:
        self.runs += 1
        self.now += 0.004

    def finish(self) -> None:
        self.waits += 1
        self.now += 0.010


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(worker.time, "perf_counter", lambda: clock.now)
    return clock


def test_a_sample_is_the_time_of_one_run(clock):
    sample = worker.timed(clock.run, 0.5)

    assert sample() == {"seconds": pytest.approx(0.004)}


def test_a_block_ends_when_its_results_are_there(clock):
    sample = worker.timed(clock.run, 0.5, clock.finish)
    runs, waits, begin = clock.runs, clock.waits, clock.now
    seconds = sample()["seconds"]

    assert clock.now - begin >= 0.5
    per_block = (clock.runs - runs) / (clock.waits - waits)
    assert seconds == pytest.approx(0.004 + 0.010 / per_block)


def test_all_steps_run_on_the_same_numbers_and_give_what_the_last_checked_one_gave():
    seen = []

    def step(*batch):
        seen.append(batch)
        return (len(seen),)

    pool = [(i,) for i in range(problem.POOL)]
    run, check = problem.running(step, pool)
    run()

    assert check == [problem.CHECKED_STEPS]
    assert seen == [(i % problem.POOL,) for i in range(problem.CHECKED_STEPS + 1)]
