"""One small operation and its backward, with MyGrad."""

from benchmarks.worker import Ready, serve, timed, versions


def prepare(operation: str, seconds: float, guards: bool) -> Ready:
    import mygrad
    import numpy as np

    if not guards:  # against changes in place, which its documentation gives up for speed
        mygrad.turn_memory_guarding_off()
    x, y = (mygrad.tensor(np.full(4, value, np.float32)) for value in (0.5, 1.5))
    g = np.ones(4, np.float32)

    def mul() -> None:  # it forgets a gradient when the tensor is used again
        (x * y).backward(g)

    def tanh() -> None:
        mygrad.tanh(x).backward(g)

    def total() -> None:
        x.sum().backward(1.0)

    run = {"mul": mul, "tanh": tanh, "sum": total}[operation]
    return Ready(timed(run, seconds), {"versions": versions("mygrad", "numpy")})


if __name__ == "__main__":
    serve(prepare)
