"""A chain of small products, forward and backward: how the tape grows with its depth."""

import scratchgan as sg
from benchmarks.worker import Ready, peak_resident, resident, serve, timed, versions


def prepare(depth: int, seconds: float) -> Ready:
    x, factor = sg.ones(4, requires_grad=True), sg.ones(4)
    g = sg.ones(4)

    def chain() -> None:
        y = x
        for _ in range(depth):
            y = y * factor
        y.backward(g)
        x.grad = None

    (x * factor).backward(g)  # what the first call of all imports is no part of the tape
    before = resident()
    chain()
    memory = peak_resident() - before
    # A full garbage collection comes once in some 80,000 nodes, however long the chains are.
    seconds_of_chain = timed(chain, seconds, block_seconds=seconds)
    about = {"versions": versions("numpy", "numba"), "backend": sg.get_backend()}
    return Ready(lambda: {**seconds_of_chain(), "bytes": memory}, about)


if __name__ == "__main__":
    serve(prepare)
