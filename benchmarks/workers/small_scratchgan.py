"""One small operation and its backward, with this project."""

import scratchgan as sg
from benchmarks.worker import Ready, serve, timed, versions


def prepare(operation: str, seconds: float) -> Ready:
    x, y = (sg.full((4,), value, requires_grad=True) for value in (0.5, 1.5))
    g, one = sg.ones(4), sg.ones()

    def mul() -> None:
        (x * y).backward(g)
        x.grad = y.grad = None

    def tanh() -> None:
        x.tanh().backward(g)
        x.grad = None

    def total() -> None:
        x.sum().backward(one)
        x.grad = None

    run = {"mul": mul, "tanh": tanh, "sum": total}[operation]
    about = {"versions": versions("numpy", "numba"), "backend": sg.get_backend()}
    return Ready(timed(run, seconds), about)


if __name__ == "__main__":
    serve(prepare)
