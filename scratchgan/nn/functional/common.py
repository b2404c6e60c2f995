"""Helpers that functions share: checks of inputs, changes in place, reductions of losses."""

import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from scratchgan import ops
from scratchgan.autograd.arguments import require_tensors
from scratchgan.autograd.tensor import Tensor
from scratchgan.backend import kernels_for
from scratchgan.in_place import become
from scratchgan.jit.context import current

Reductions = Mapping[str, Callable[[Tensor], Tensor]]

REDUCTIONS: Reductions = {
    "mean": ops.mean,
    "sum": ops.sum,
    "none": lambda losses: losses,
}


def check_reduction(name: str, reduction: str, reductions: Reductions = REDUCTIONS) -> None:
    """Raise a ValueError that begins with ``name`` if there is no such reduction."""
    if reduction not in reductions:
        raise ValueError(
            f"{name}: there is no reduction {reduction!r}; choose one of {', '.join(reductions)}"
        )


def reduction_of(name: str, size_average: Any, reduce: Any, reduction: str) -> str:
    """``reduction``, or what the two words say that PyTorch had before it.

    Args:
        name: Of the loss, for messages.
        size_average: None, or whether the losses' mean is taken and not their sum.
        reduce: None, or whether one number is wanted.
        reduction: What counts if both are None.

    Raises:
        TypeError: One is neither a boolean nor None.
    """
    if size_average is None and reduce is None:
        return reduction
    for word, value in (("size_average", size_average), ("reduce", reduce)):
        if value is not None and not isinstance(value, bool):
            raise TypeError(
                f"{name}: {word} is a boolean (a word that reduction replaces), not {value!r:.80}; "
                "say what is meant by keyword, as in reduction='sum'"
            )
    found = "none" if reduce is False else "sum" if size_average is False else "mean"
    warnings.warn(
        f"{name}: size_average and reduce are deprecated; say reduction={found!r}", stacklevel=3
    )
    return found


def reduced(name: str, losses: Tensor, reduction: str) -> Tensor:
    """The mean of ``losses``, their sum, or themselves."""
    check_reduction(name, reduction)
    return REDUCTIONS[reduction](losses)


def require_floats(name: str, **inputs: Any) -> None:
    """Raise a TypeError if an input is no tensor of floating point elements."""
    for word, x in inputs.items():
        if not isinstance(x, Tensor):
            require_tensors(name, **{word: x})
        if x.array.dtype.kind not in "fc":
            raise TypeError(f"{name}: {word} has floating point elements, not {x.dtype}")


def may_read() -> bool:
    """Whether values may be looked at: a replay of what is recorded has others."""
    return current.get() is None


def extremes(x: Tensor) -> tuple[float, float]:
    """The smallest and the largest element; nan if one is nan. Past the tape."""
    array = x.array
    if isinstance(array, np.ndarray):
        return float(array.min()), float(array.max())
    kernels = kernels_for[type(array)]
    found = []
    for name in ("min", "max"):
        out = kernels.empty((), array.dtype, like=array)
        getattr(kernels, name)(array, axis=tuple(range(array.ndim)), keepdims=False, out=out)
        found.append(float(kernels.to_host(out)))
    return found[0], found[1]


def has_nan(x: Tensor) -> bool:
    """Whether an element is nan. Past the tape."""
    return math.isnan(x.item() if x.array.size == 1 else extremes(x)[0])


def changed_in_place(name: str, x: Tensor, compute: Callable[[Tensor], Tensor]) -> Tensor:
    """``x`` itself, which becomes ``compute(x)``.

    Raises:
        RuntimeError: It is a leaf that requires a gradient, or shares its memory.
    """
    return become(x, f"{name} with inplace=True", compute)
