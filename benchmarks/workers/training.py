"""A whole training on MNIST by one command, with its files: this project or PyTorch."""

import tempfile
from importlib.util import find_spec
from pathlib import Path

from benchmarks import process
from benchmarks.worker import Ready, Skip, serve

IMAGES = Path(__file__).parents[2] / "scratchgan/data/mnist/train-images-idx3-ubyte.gz"

COMMANDS = {
    "scratchgan": (*process.SCRATCHGAN, "train", "--recipe", "seed", "--no-evaluate"),
    "torch": ("-m", "benchmarks.programs.torch_gan", str(IMAGES)),
}
HAS_CUDA = {
    "scratchgan": "import scratchgan; print(scratchgan.cuda.is_available())",
    "torch": "import torch; print(torch.cuda.is_available())",
}


def run(package: str, epochs: int, batch: int, folder: str, *options: str) -> process.Spent:
    """Train in a fresh process, which writes into ``folder``."""
    return process.run(
        *COMMANDS[package],
        *("--epochs", str(epochs), "--batch-size", str(batch), "--out", folder),
        *options,
    )


def warm_up(package: str, batch: int) -> None:
    """Have the kernels compiled, so that nothing is when it counts."""
    if package == "scratchgan":
        with tempfile.TemporaryDirectory() as folder:
            out = ("--batch-size", str(batch), "--out", str(Path(folder) / "run"))
            process.run("-m", "benchmarks.programs.first_step", "train", "--recipe", "seed", *out)


def prepare(package: str, epochs: int, batch: int, device: str) -> Ready:
    if find_spec(package) is None:
        raise Skip(f"{package} is not installed")
    if device == "cuda" and process.run("-c", HAS_CUDA[package]).output.strip() != "True":
        raise Skip(f"{package} finds no CUDA device")
    options = ("--device", device) if device != "cpu" else ()

    def sample() -> dict[str, float]:
        with tempfile.TemporaryDirectory() as folder:
            spent = run(package, epochs, batch, str(Path(folder) / "run"), *options)
        return {"seconds": spent.seconds, "bytes": spent.bytes}

    warm_up(package, batch)
    return Ready(sample, {})


if __name__ == "__main__":
    serve(prepare)
