"""A step of ``scratchgan train``, and how much of it is the replay of what was recorded."""

import json
import tempfile
from pathlib import Path

from benchmarks import process
from benchmarks.worker import Ready, serve
from benchmarks.workers.training import warm_up

PROGRAM = "benchmarks.programs.timed_steps"


def prepare(batch: int) -> Ready:
    def sample() -> dict[str, float]:
        with tempfile.TemporaryDirectory() as folder:
            out = ("--batch-size", str(batch), "--out", str(Path(folder) / "run"))
            spent = process.run("-m", PROGRAM, "train", "--recipe", "seed", *out)
        step, replay = json.loads(spent.output.splitlines()[-1])
        return {"seconds": step, "seconds of the replay": replay, "share": replay / step}

    warm_up("scratchgan", batch)
    return Ready(sample, {})


if __name__ == "__main__":
    serve(prepare)
