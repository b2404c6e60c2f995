"""Every operation that has PyTorch's name computes what PyTorch's does, on PyTorch's samples."""

import re
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="compares with PyTorch")
pytest.importorskip("expecttest", reason="PyTorch's samples need it")

from against_torch.operators import operations, refusals, run

OPERATIONS = {op.name: op for op in operations()}


def test_there_are_as_many_as_the_readme_says():
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    (said,) = re.findall(r"(\d+) operations agree with PyTorch", readme)
    assert len(OPERATIONS) >= int(said)


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation(name):
    counts, faults = run(OPERATIONS[name])
    assert not faults, "\n".join(faults[:5])
    assert counts["same"]


@pytest.mark.parametrize("name", OPERATIONS)
def test_what_is_refused(name):
    """All that PyTorch refuses, but for reflected operators, which Python calls with tensors."""
    assert name.startswith("__r") or not refusals(OPERATIONS[name])
