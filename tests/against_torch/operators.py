"""PyTorch's own samples of its operations, run here: values, first and second gradients.

Not a test by itself: ``test_operators.py`` runs it where PyTorch is installed.
"""

import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch.testing._internal.common_methods_invocations import op_db

import scratchgan as sg

#: Operations whose samples ask for what this project has not: complex numbers, other layouts,
#: results that are drawn at random, memory that is not initialised, or no tensors at all.
LEFT_OUT = {
    "empty", "empty_like", "new_empty", "randn", "randint", "rand_like", "randn_like",
    "randint_like", "bernoulli", "normal", "multinomial", "nn.functional.dropout",
    "nn.functional.rrelu", "nn.functional.dropout2d", "nn.functional.dropout3d",
    "nn.functional.alpha_dropout", "nn.functional.feature_alpha_dropout", "broadcast_shapes",
}  # fmt: skip

TYPES = {torch.float64: np.float64, torch.float32: np.float32, torch.int64: np.int64,
         torch.int32: np.int32, torch.int16: np.int16, torch.int8: np.int8,
         torch.uint8: np.uint8, torch.bool: np.bool_}  # fmt: skip


#: Operations whose samples stand in another order than their arguments.
ORDER: dict[str, Callable[..., tuple[Any, ...]]] = {
    "where": lambda input, condition, *rest: (condition, input, *rest),
    "nn.functional.embedding": lambda weight, index, *rest: (index, weight, *rest),
    "einsum": lambda operands, equation: (equation, *operands),
}


#: Operations that name places: of equal elements any may be named.
PLACES = {"argsort", "kthvalue", "median", "mode", "sort", "topk"}


#: Operations whose gradient PyTorch itself computes with a number of float32.
LOOSE = {"nn.functional.hardsigmoid": 1e-6, "cov": 1e-6}


class Unlike(AssertionError):
    """The result here is not PyTorch's."""


def ours(name: str) -> Callable[..., Any] | None:
    """What has the name here: a function, or a method."""
    module: Any = sg
    *path, last = name.split(".")
    for part in path:
        module = getattr(module, part, None)
    found = getattr(module, last, None) if module is not None else None
    if found is None and not path:
        found = getattr(sg.Tensor, last, None)
    return found if callable(found) else None


def called(name: str, input: Any, args: Any, kwargs: Any) -> Any:
    """The result of an operation here, whose input is no leaf where it changes it."""
    if name.endswith("_") and not name.endswith("__"):
        input = input.clone()
    arguments = ORDER.get(name, lambda *given: given)(input, *args)
    return ours(name)(*arguments, **kwargs)  # type: ignore[misc]


def operations() -> list[Any]:
    """The operations of PyTorch's table that this project has under the same name."""
    seen: dict[str, Any] = {}
    for op in op_db:
        if op.name not in LEFT_OUT and not op.variant_test_name and ours(op.name) is not None:
            seen.setdefault(op.name, op)
    return list(seen.values())


def here(value: Any, leaves: list[sg.Tensor] | None = None) -> Any:
    """PyTorch's arguments as this project's."""
    if isinstance(value, torch.Tensor):
        made = sg.Tensor(value.detach().numpy().copy(order="K"))
        if value.requires_grad:
            made.requires_grad_()
            if leaves is not None:
                leaves.append(made)
        return made
    if isinstance(value, torch.dtype):
        return np.dtype(TYPES[value])
    if isinstance(value, torch.device):
        return sg.device(str(value))
    if isinstance(value, torch.Size):
        return tuple(value)
    if type(value) in (list, tuple):
        return type(value)(here(part, leaves) for part in value)
    if isinstance(value, dict):
        return {n: here(x, leaves) for n, x in value.items() if x is not torch.preserve_format}
    return value


def tensors_of(value: Any) -> Iterator[Any]:
    """The tensors in a result, in order."""
    if isinstance(value, torch.Tensor | sg.Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for part in value:
            yield from tensors_of(part)


def leaves_of(value: Any) -> Iterator[torch.Tensor]:
    """The tensors among PyTorch's arguments that require gradients, in order."""
    if isinstance(value, torch.Tensor) and value.requires_grad:
        yield value
    elif isinstance(value, list | tuple):
        for part in value:
            yield from leaves_of(part)
    elif isinstance(value, dict):
        for part in value.values():
            yield from leaves_of(part)


def supported(value: Any) -> bool:
    """Whether the arguments are of kinds that exist here."""
    if isinstance(value, torch.Tensor):
        plain = value.layout == torch.strided and not value.is_conj() and not value.is_neg()
        return value.dtype in TYPES and plain
    if isinstance(value, torch.dtype):
        return value in TYPES
    if isinstance(value, torch.memory_format | torch.layout | complex):
        return value is torch.preserve_format
    if isinstance(value, list | tuple):
        return all(map(supported, value))
    if isinstance(value, dict):
        return all(map(supported, value.values()))
    return True


def compare(found: Any, expected: Any, what: str, tolerance: float) -> None:
    """Raise :class:`Unlike` where two results differ."""
    one, other = list(tensors_of(found)), list(tensors_of(expected))
    if len(one) != len(other):
        raise Unlike(f"{what}: {len(one)} tensors, not {len(other)}")
    if not one and not isinstance(expected, list | tuple):
        if found != expected and not (found != found and expected != expected):
            raise Unlike(f"{what}: {found!r}, not {expected!r}")
        return
    for a, b in zip(one, other, strict=True):
        x, y = a.numpy(force=True), b.numpy(force=True)
        if x.shape != y.shape:
            raise Unlike(f"{what}: shape {x.shape}, not {y.shape}")
        if x.dtype != y.dtype:
            raise Unlike(f"{what}: type {x.dtype}, not {y.dtype}")
        np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance, err_msg=what)


def check(op: Any, sample: Any, dtype: torch.dtype) -> str:
    """Run one sample; "same", "refused" by both, "unsupported", or raise."""
    arguments = (sample.input, sample.args, sample.kwargs)
    if not supported(arguments) or sample.kwargs.get("dropout_p"):
        return "unsupported"
    tolerance = LOOSE.get(op.name, 1e-9) if dtype == torch.float64 else 1e-5
    leaves: list[sg.Tensor] = []
    input, args, kwargs = here(arguments, leaves)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            expected = op(sample.input, *sample.args, **sample.kwargs)
        except Exception:
            return "refused"
        found = called(op.name, input, args, kwargs)
        if not supported(list(tensors_of(expected))):
            return "unsupported"
        if op.name in PLACES and dtype != torch.float64:
            found, expected = ([x for x in tensors_of(y)][:-1] for y in (found, expected))
        compare(found, expected, "values", tolerance)
        theirs = list(leaves_of(arguments))
        if not theirs:
            return "same"
        pairs = [
            (a, b)
            for a, b in zip(tensors_of(found), tensors_of(expected), strict=True)
            if b.requires_grad and b.numel()
        ]
        if not pairs:
            return "same"
        weights = [np.cos(np.arange(b.numel())).reshape(b.shape) for _, b in pairs]
        scored = [
            (b * torch.from_numpy(np.asarray(w)).to(b.dtype)).sum()
            for (_, b), w in zip(pairs, weights, strict=True)
        ]
        twice = op.supports_gradgrad
        first = torch.autograd.grad(sum(scored), theirs, create_graph=twice, allow_unused=True)
        for a, _ in pairs:
            if not a.requires_grad:
                raise Unlike("a result does not require a gradient")
        loss = sum(
            (a * sg.tensor(w, a.dtype)).sum() for (a, _), w in zip(pairs, weights, strict=True)
        )
        mine = sg.autograd.grad(loss, leaves, create_graph=True, allow_unused=True)
        _compare_gradients(mine, first, leaves, "first gradient", tolerance)
        if not op.supports_gradgrad:
            return "same"
        both = [
            (m, t) for m, t in zip(mine, first, strict=True) if t is not None and t.requires_grad
        ]
        both = [(m, t) for m, t in both if m is not None and m.requires_grad]
        if both:
            try:
                total = sum((t * t).sum() for _, t in both)
                again = torch.autograd.grad(total, theirs, allow_unused=True)
            except RuntimeError:  # there is no second derivative in PyTorch
                return "same"
            total = sum((m * m).sum() for m, _ in both)
            mine = sg.autograd.grad(total, leaves, allow_unused=True)
            _compare_gradients(mine, again, leaves, "second gradient", tolerance * 10)
    return "same"


def _compare_gradients(
    mine: Any, theirs: Any, leaves: list[sg.Tensor], what: str, tolerance: float
) -> None:
    for m, t, leaf in zip(mine, theirs, leaves, strict=True):
        x = np.zeros(leaf.shape) if m is None else m.numpy(force=True)
        y = np.zeros(leaf.shape) if t is None else t.numpy(force=True)
        np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance, err_msg=what)


def samples(op: Any, dtype: torch.dtype) -> list[Any]:
    """PyTorch's samples of an operation, with gradients where it has them."""
    gradients = op.supports_autograd and dtype.is_floating_point
    return list(op.sample_inputs("cpu", dtype, requires_grad=gradients))


def run(op: Any) -> tuple[Counter[str], list[str]]:
    """All samples of an operation: how many ended how, and what failed."""
    counts: Counter[str] = Counter()
    faults: list[str] = []
    for dtype in (torch.float64, torch.int64, torch.bool, torch.uint8):
        if dtype not in op.dtypes:
            continue
        for number, sample in enumerate(samples(op, dtype)):
            try:
                counts[check(op, sample, dtype)] += 1
            except Exception as fault:
                counts["failed"] += 1
                text = " ".join(f"{type(fault).__name__}: {fault}".split())
                faults.append(
                    f"{op.name} {dtype} sample {number}: {text[:300]}\n      {sample}"[:700]
                )
    return counts, faults


def _refuses(op: Any, sample: Any) -> bool:
    """Whether PyTorch does: some samples are errors under other settings alone."""
    try:
        op(sample.input, *sample.args, **sample.kwargs)
    except Exception:
        return True
    return False


def refusals(op: Any) -> list[str]:
    """Inputs that PyTorch refuses, and this project takes."""
    accepted = []
    for error in op.error_inputs("cpu") if op.error_inputs_func else ():
        sample = error.sample_input
        if not supported((sample.input, sample.args, sample.kwargs)):
            continue
        if not _refuses(op, sample):
            continue
        try:
            input, args, kwargs = here((sample.input, sample.args, sample.kwargs))
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                called(op.name, input, args, kwargs)
        except Exception:
            continue
        accepted.append(f"{op.name} takes {sample} (PyTorch: {error.error_regex})"[:400])
    return accepted
