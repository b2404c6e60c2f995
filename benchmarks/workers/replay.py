"""Growth of the process and page faults in many runs of a step."""

import resource
from collections.abc import Callable

import numpy as np

import scratchgan as sg
from benchmarks import problem
from benchmarks.worker import Ready, blas_threads, resident, serve, versions
from benchmarks.workers.step_products import products
from benchmarks.workers.step_scratchgan import gan_step

BATCH = 64


def replay() -> Callable[[], object]:
    pool = [tuple(map(sg.from_numpy, arrays)) for arrays in problem.batches(BATCH)]
    run, _ = problem.running(sg.jit(gan_step(BATCH, 1, "cpu")), pool)
    return run


def prepare(what: str, count: int) -> Ready:
    run = replay() if what == "jit" else products(BATCH, np)
    for _ in range(count // 10):
        run()

    def sample() -> dict[str, float]:
        memory, faults = resident(), resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(count):
            run()
        return {
            "faults": resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults,
            "bytes": resident() - memory,
        }

    return Ready(sample, {"versions": versions("numpy", "numba"), "threads": blas_threads()})


if __name__ == "__main__":
    serve(prepare)
