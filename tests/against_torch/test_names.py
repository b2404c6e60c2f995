"""What PyTorch has a name for, and this project has not: the error names it; changes in place."""

import inspect
import warnings
from types import ModuleType
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="compares with PyTorch")
pytest.importorskip("expecttest", reason="PyTorch's samples need it")

from against_torch.operators import (  # noqa: E402
    compare,
    here,
    leaves_of,
    operations,
    ours,
    samples,
    supported,
)

import scratchgan as sg  # noqa: E402
from scratchgan import missing  # noqa: E402
from scratchgan.utils import data  # noqa: E402

PLACES: dict[str, tuple[Any, Any]] = {
    "torch": (torch, sg),
    "Tensor": (torch.ones(1, 1), sg.ones(1, 1)),
    "nn": (torch.nn, sg.nn),
    "nn.functional": (torch.nn.functional, sg.nn.functional),
    "nn.init": (torch.nn.init, sg.nn.init),
    "nn.utils": (torch.nn.utils, sg.nn.utils),
    "optim": (torch.optim, sg.optim),
    "optim.lr_scheduler": (torch.optim.lr_scheduler, sg.optim.lr_scheduler),
    "autograd": (torch.autograd, sg.autograd),
    "utils.data": (torch.utils.data, data),
}


def names_of(place: Any) -> list[str]:
    """Public names that are not modules."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch calls some deprecated
        return [
            name
            for name in dir(place)
            if not name.startswith("_")
            and not isinstance(inspect.getattr_static(place, name, None), ModuleType)
        ]


@pytest.mark.parametrize("place", PLACES)
def test_every_name_is_here_or_the_error_names_it(place: str) -> None:
    theirs, mine = PLACES[place]
    says = "'Tensor' object has no attribute"
    if isinstance(mine, ModuleType):
        says = f"{mine.__name__} has no"
    for name in names_of(theirs):
        if not hasattr(mine, name):
            with pytest.raises(AttributeError, match=f"^{says} '{name}'"):
                getattr(mine, name)


def test_tensors_have_a_word_on_every_name_for_which_there_is_one() -> None:
    lacking = [x for x in names_of(torch.Tensor) if not hasattr(sg.Tensor, x)]
    assert {x for x in lacking if missing._advice(x)} <= {*missing.OF_TENSORS}


#: Operations of which there is a form in place, here and there.
IN_PLACE = [
    op
    for op in operations()
    if hasattr(sg.Tensor, f"{op.name}_") and hasattr(torch.Tensor, f"{op.name}_")
]


def test_there_are_many_in_place() -> None:
    assert len(IN_PLACE) >= 70


@pytest.mark.parametrize("op", IN_PLACE, ids=lambda op: op.name)
def test_in_place(op: Any) -> None:
    """The same elements and gradients; or both refuse."""
    compared = 0
    for dtype in (torch.float64, torch.int64):
        for sample in samples(op, dtype) if dtype in op.dtypes else ():
            arguments = (sample.input, sample.args, sample.kwargs)
            if not supported(arguments) or not isinstance(sample.input, torch.Tensor):
                continue
            leaves: list[sg.Tensor] = []
            input, args, kwargs = here(arguments, leaves)
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                try:
                    expected = getattr(sample.input * 1, f"{op.name}_")(*sample.args, **kwargs)
                except (RuntimeError, TypeError, IndexError):
                    continue
                if expected.shape != sample.input.shape:  # PyTorch gave it more memory
                    continue
                found = getattr(input * 1, f"{op.name}_")(*args, **kwargs)
            compare(found, expected, op.name, 1e-9)
            compared += 1
            if not expected.requires_grad or not expected.numel():
                continue
            theirs = list(leaves_of(arguments))
            try:
                gradients = torch.autograd.grad(expected.sum(), theirs, allow_unused=True)
            except NotImplementedError:  # there is none in PyTorch
                continue
            mine = sg.autograd.grad(found.sum(), leaves, allow_unused=True)
            for a, b, leaf in zip(mine, gradients, leaves, strict=True):
                x, y = (np.zeros(leaf.shape) if g is None else g.numpy(force=True) for g in (a, b))
                np.testing.assert_allclose(x, y, rtol=1e-9, atol=1e-9)
    assert compared
    assert ours(op.name)


# --- Functions that have no samples ------------------------------------------------------------


def both(name: str, *given: Any, **keywords: Any) -> None:
    """Ours and theirs give the same."""
    results = []
    for package, make in ((sg, sg.tensor), (torch, torch.tensor)):
        inputs = [make(x) if isinstance(x, np.ndarray) else x for x in given]
        results.append(getattr(package, name)(*inputs, **keywords))
    compare(*results, name, 1e-10)


def test_functions_without_samples() -> None:
    random = np.random.default_rng(0)
    vector, matrices = random.standard_normal(4), random.standard_normal((2, 3, 3))
    for x in (vector, np.array([1, 2, 3])):
        for count in (None, 0, 1, 6):
            both("vander", x, N=count)
            both("vander", x, N=count, increasing=True)
    for n in range(6):
        both("matrix_power", matrices, n)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch calls it deprecated
        both("chain_matmul", *matrices, matrices[0])
    for p in (0.0, 1.0, 2.0, 3.0, float("inf")):
        both("pdist", random.standard_normal((5, 3)), p)
    for x in (np.array(0.0), np.array([2]), np.array([[True]])):
        both("is_nonzero", x)
    assert torch.broadcast_shapes((2, 1), (3,), 1) == sg.broadcast_shapes((2, 1), (3,), 1)
    types = [(sg.int64, torch.int64), (sg.float32, torch.float32), (sg.uint8, torch.uint8)]
    types += [(sg.int8, torch.int8), (sg.bool, torch.bool), (sg.float64, torch.float64)]
    for a, theirs in types:
        for b, other in types:
            assert str(torch.promote_types(theirs, other)) == f"torch.{sg.promote_types(a, b)}"


#: What PyTorch's documentation calls otherwise than its operators do, or knows in Python alone.
DOCUMENTED = {
    "broadcast_shapes": {"shapes"},
    "einsum": {"operands"},
    "nonzero": {"as_tuple"},
    "result_type": {"tensor1", "tensor2"},
    "save": {"obj", "f"},
    "split": {"split_size_or_sections"},
    "tensordot": {"a", "b", "dims"},
    **{f"{way}split": {"indices_or_sections"} for way in ("d", "h", "v", "tensor_")},
}


def parameters_of_operator(name: str) -> set[str]:
    """The names of the parameters of PyTorch's operator, in any of its forms."""
    packet = getattr(torch.ops.aten, name)
    forms = [getattr(packet, form)._schema for form in packet.overloads()]
    return {parameter.name for form in forms for parameter in form.arguments}


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, function in vars(sg).items()
        if inspect.isfunction(function) and name[0] != "_" and hasattr(torch.ops.aten, name)
    ],
)
def test_parameters_are_called_as_there(name: str) -> None:
    function = getattr(sg, name)
    mine = set(inspect.signature(function).parameters)
    if hasattr(function, "primitive"):  # x and y are called input and other as well
        mine -= set(function.primitive.inputs)
    mine -= {"input", "tensor", "tensors", "requires_grad"} | DOCUMENTED.get(name, set())
    assert mine <= parameters_of_operator(name)
