"""The command line of this project, but a training ends within its first epoch.

Its last line has the seconds that a step takes, and those that its replay takes, as JSON.
"""

import json
import os
import time
from collections.abc import Sequence

from scratchgan.cli import main
from scratchgan.gan import Callback, Trainer
from scratchgan.jit.executor import Program

run, replay = Trainer.run, Program.__call__
spent = 0.0


def timed_replay(program: Program) -> None:
    global spent
    begin = time.perf_counter()
    replay(program)
    spent += time.perf_counter() - begin


class Look(Callback):
    """Takes the time from the middle of the first epoch to its end, between two saves."""

    def __init__(self) -> None:
        self.marks: list[tuple[float, float]] = []

    def on_step_end(self, trainer: Trainer, row: object) -> None:
        first, last = trainer.steps_per_epoch // 2, trainer.steps_per_epoch - 1
        if trainer.step in (first, last):
            self.marks.append((time.perf_counter(), spent))
        if trainer.step == last:
            (begin, before), (end, after) = self.marks
            steps = last - first
            print(json.dumps([(end - begin) / steps, (after - before) / steps]), flush=True)
            os._exit(0)


def run_for_a_while(trainer: Trainer, callbacks: Sequence[Callback] = ()) -> None:
    run(trainer, [Look()])


Program.__call__ = timed_replay  # type: ignore[method-assign]
Trainer.run = run_for_a_while  # type: ignore[method-assign]
main()
