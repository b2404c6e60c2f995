"""Makes programs.npz: what PyTorch computes for the programs of tests/random_programs.py.

Run it with a Python that has PyTorch: ``python tests/golden/make_programs.py``.
"""

import sys
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from random_programs import digest, random_program  # noqa: E402

PROGRAMS = 150
CALLS = 3


def main() -> None:
    arrays = {}
    for seed in range(PROGRAMS):
        program = random_program(seed)
        state = torch.zeros((), dtype=torch.float64)
        rows = [
            digest(*program(torch, state, *map(torch.tensor, program.inputs(call))))
            for call in range(CALLS)
        ]
        arrays[str(seed)] = np.array(rows)
    np.savez_compressed(HERE / "programs.npz", **arrays)


if __name__ == "__main__":
    main()
