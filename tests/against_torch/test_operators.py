"""Every operation that has PyTorch's name computes what PyTorch's does, on PyTorch's samples."""

import pytest

pytest.importorskip("torch", reason="compares with PyTorch")
pytest.importorskip("expecttest", reason="PyTorch's samples need it")

from against_torch.operators import operations, refusals, run

OPERATIONS = {op.name: op for op in operations()}


def test_there_are_many():
    assert len(OPERATIONS) >= 150


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation(name):
    counts, faults = run(OPERATIONS[name])
    assert not faults, "\n".join(faults[:5])
    assert counts["same"]


@pytest.mark.parametrize("name", OPERATIONS)
def test_what_is_refused(name):
    """All that PyTorch refuses, but for reflected operators, which Python calls with tensors."""
    assert name.startswith("__r") or not refusals(OPERATIONS[name])
