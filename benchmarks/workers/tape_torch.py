"""The same chain with PyTorch."""

from benchmarks.worker import Ready, peak_resident, resident, serve, timed, versions


def prepare(depth: int, seconds: float) -> Ready:
    import torch

    x, factor = torch.ones(4, requires_grad=True), torch.ones(4)
    g = torch.ones(4)

    def chain() -> None:
        y = x
        for _ in range(depth):
            y = y * factor
        y.backward(g)
        x.grad = None

    (x * factor).backward(g)
    before = resident()
    chain()
    memory = peak_resident() - before
    # A full garbage collection comes once in some 80,000 nodes, however long the chains are.
    seconds_of_chain = timed(chain, seconds, block_seconds=seconds)
    return Ready(lambda: {**seconds_of_chain(), "bytes": memory}, {"versions": versions("torch")})


if __name__ == "__main__":
    serve(prepare)
