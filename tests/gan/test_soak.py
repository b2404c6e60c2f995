"""A training of very many steps: its memory is flat, and in pieces it is the same."""

import json
import os
import subprocess
import sys

import pytest

#: In `make test`, and in `make test-deep`.
STEPS = 50_000 if os.environ.get("HYPOTHESIS_PROFILE") == "deep" else 3_000

#: Two epochs of a small game, stopped after some steps; prints what it held, and its last losses.
TRAINING = """
import json, signal, sys
from contextlib import suppress
from pathlib import Path

import numpy as np

from scratchgan.data import Images
from scratchgan.gan import Callback, Config, Pace, Run, train
from scratchgan.gan.signals import Stopped

folder, steps, stops = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
pixels = np.random.default_rng(0).integers(0, 256, (2 * steps, 3, 2), np.uint8)
images = Images(pixels, np.zeros(2 * steps, np.uint8), ("a",))
config = Config.from_recipe(
    "default", epochs=2, batch_size=4, generator_widths=(3,), discriminator_widths=(3,)
)
held = []

class Watch(Callback):
    row = {}
    def __init__(self, stop):
        self.stop = stop
    def on_step_end(self, trainer, row):
        if trainer.step % 500 == 0:
            held.append(int(Path("/proc/self/statm").read_text().split()[1]) * 4096)
        if row:
            Watch.row = {name: x for name, x in row.items() if name != "seconds"}
        if trainer.step == self.stop:
            raise Stopped(signal.SIGINT)

run = Run.create(folder, config, images.subject)
for stop in [*stops, 0]:
    with suppress(Stopped):
        train(run, images, [Watch(stop)], pace=Pace(steps=1000))
print(json.dumps({"held": held, "row": Watch.row}))
"""


def trained(folder, stops):
    arguments = [str(folder), str(STEPS), json.dumps(stops)]
    done = subprocess.run(
        [sys.executable, "-c", TRAINING, *arguments], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
def test_memory_is_flat_and_pieces_are_the_whole(tmp_path):
    whole = trained(tmp_path / "whole", [])
    # What is drawn and measured at the end of an epoch takes memory the first time.
    settled, end = whole["held"][STEPS // 1000], whole["held"][-1]
    assert end - settled < 8 << 20
    pieces = trained(tmp_path / "pieces", [STEPS // 7, STEPS // 3, STEPS // 2, STEPS - 1])
    assert pieces["row"] == whole["row"]
    assert whole["row"]["step"] == STEPS
