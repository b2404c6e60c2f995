"""An operation as a method and in place, and whose memory its result lies in, as in PyTorch."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="compares with PyTorch")
pytest.importorskip("expecttest", reason="PyTorch's samples need it")

from against_torch.operators import (  # noqa: E402
    PLACES,
    called,
    here,
    operations,
    supported,
    tensors_of,
)

import scratchgan as sg  # noqa: E402

OPERATIONS = {op.name: op for op in operations() if not op.name.endswith("_")}

#: PyTorch's gives a tensor another shape.
OTHERWISE = {"addbmm_"}


def samples(op: Any) -> Iterator[Any]:
    """Some samples of each type that both take, whose first input is a tensor in rows."""
    for dtype in {torch.float64, torch.int64, torch.bool} & set(op.dtypes):
        for sample in list(op.sample_inputs("cpu", dtype))[:25]:
            given = (sample.input, sample.args, sample.kwargs)
            is_tensor = isinstance(sample.input, torch.Tensor) and sample.input.is_contiguous()
            if not is_tensor or not supported(given) or done(op, *given) is None:
                continue
            if done(lambda x, *y, **z: called(op.name, x, y, z), *map(here, given)) is not None:
                yield sample


def done(function: Callable[..., Any], input: Any, args: Any, kwargs: Any) -> Any:
    """The result, or None where it is refused."""
    try:
        return function(input, *args, **kwargs)
    except Exception:
        return None


@pytest.mark.parametrize("name", OPERATIONS)
def test_it_shares_memory_where_pytorchs_does(name):
    op = OPERATIONS[name]
    for sample in samples(op):
        x = here(sample.input)
        theirs = tensors_of(op(sample.input, *sample.args, **sample.kwargs))
        ours = tensors_of(called(name, x, here(sample.args), here(sample.kwargs)))
        for expected, found in zip(theirs, ours, strict=True):
            memory = {t.untyped_storage().data_ptr() for t in (expected, sample.input)}
            shares = bool(expected.numel()) and len(memory) == 1
            assert np.shares_memory(found.array, x.array) == shares, sample


@pytest.mark.parametrize("name", OPERATIONS)
def test_it_does_the_same_in_place_and_as_a_method(name):
    op = OPERATIONS[name]
    for form in (op.inplace_variant, op.method_variant):
        method = getattr(form, "__name__", "<lambda>")
        if method == "<lambda>" or method in OTHERWISE or not hasattr(sg.Tensor, method):
            assert form is not op.method_variant or method in ("<lambda>", *OTHERWISE)
            continue
        for sample in samples(op):
            theirs, ours = sample.input.clone(), here(sample.input)
            expected = done(form, theirs, sample.args, sample.kwargs)
            if expected is None:
                with pytest.raises((TypeError, ValueError, RuntimeError, IndexError)):
                    getattr(ours, method)(*here(sample.args), **here(sample.kwargs))
                continue
            found = getattr(ours, method)(*here(sample.args), **here(sample.kwargs))
            assert (found is ours) == (expected is theirs)
            if name not in PLACES:
                for x, y in zip(tensors_of(expected), tensors_of(found), strict=True):
                    np.testing.assert_allclose(y.numpy(), x.numpy(), 1e-6, 1e-12)
