"""One small operation and its backward, with HIPS autograd: its vector-Jacobian products."""

from benchmarks.worker import Ready, serve, timed, versions


def prepare(operation: str, seconds: float) -> Ready:
    import autograd
    import autograd.numpy as np

    x, y = (np.full(4, value, np.float32) for value in (0.5, 1.5))
    g, one = np.ones(4, np.float32), np.float32(1)
    of_mul = autograd.make_vjp(lambda x, y: x * y, (0, 1))
    of_tanh = autograd.make_vjp(np.tanh)
    of_sum = autograd.make_vjp(np.sum)

    def mul() -> None:
        vjp, _ = of_mul(x, y)
        vjp(g)

    def tanh() -> None:
        vjp, _ = of_tanh(x)
        vjp(g)

    def total() -> None:
        vjp, _ = of_sum(x)
        vjp(one)

    run = {"mul": mul, "tanh": tanh, "sum": total}[operation]
    return Ready(timed(run, seconds), {"versions": versions("autograd", "numpy")})


if __name__ == "__main__":
    serve(prepare)
