"""One small operation and its backward, with PyTorch."""

from benchmarks.worker import Ready, serve, timed, versions


def prepare(operation: str, seconds: float) -> Ready:
    import torch

    x, y = (torch.full((4,), value, requires_grad=True) for value in (0.5, 1.5))
    g, one = torch.ones(4), torch.ones(())

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
    return Ready(timed(run, seconds), {"versions": versions("torch")})


if __name__ == "__main__":
    serve(prepare)
