"""A whole training on MNIST by one command, with its files: this project or PyTorch."""

import tempfile
from importlib.util import find_spec
from pathlib import Path

from benchmarks import process
from benchmarks.worker import Ready, Skip, serve

IMAGES = Path(__file__).parents[2] / "scratchgan/data/mnist/train-images-idx3-ubyte.gz"

COMMANDS = {
    "scratchgan": (*process.SCRATCHGAN, "train"),
    "torch": ("-m", "benchmarks.programs.torch_gan", str(IMAGES)),
}
HAS_CUDA = {
    "scratchgan": "import scratchgan; print(scratchgan.cuda.is_available())",
    "torch": "import torch; print(torch.cuda.is_available())",
}


def prepare(package: str, epochs: int, batch: int, device: str) -> Ready:
    if find_spec(package) is None:
        raise Skip(f"{package} is not installed")
    if device == "cuda" and process.run("-c", HAS_CUDA[package]).output.strip() != "True":
        raise Skip(f"{package} finds no CUDA device")

    def sample() -> dict[str, float]:
        with tempfile.TemporaryDirectory() as folder:
            spent = process.run(
                *COMMANDS[package],
                *("--epochs", str(epochs), "--batch-size", str(batch)),
                *("--out", str(Path(folder) / "run")),
                *(("--device", device) if device != "cpu" else ()),
            )
        return {"seconds": spent.seconds, "bytes": spent.bytes}

    with tempfile.TemporaryDirectory() as folder:  # so that nothing is compiled when it counts
        out = ("--batch-size", str(batch), "--out", str(Path(folder) / "run"))
        if package == "scratchgan":
            process.run("-m", "benchmarks.programs.first_step", "train", *out)
    return Ready(sample, {})


if __name__ == "__main__":
    serve(prepare)
