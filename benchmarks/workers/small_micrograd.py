"""One small operation and its backward, with micrograd: an array is a list of its scalars."""

from benchmarks.worker import Ready, Skip, serve, timed, versions


def prepare(operation: str, seconds: float) -> Ready:
    from micrograd.engine import Value

    xs, ys = ([Value(value) for _ in range(4)] for value in (0.5, 1.5))

    def mul() -> None:
        for x, y in zip(xs, ys, strict=True):
            (x * y).backward()

    def total() -> None:
        a, b, c, d = xs
        (a + b + c + d).backward()

    runs = {"mul": mul, "sum": total}
    if operation not in runs:
        raise Skip(f"micrograd has no {operation}")
    return Ready(timed(runs[operation], seconds), {"versions": versions("micrograd")})


if __name__ == "__main__":
    serve(prepare)
