"""Padding: more elements on the sides of dimensions."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from scratchgan import functions, ops
from scratchgan.autograd.arguments import require_tensors
from scratchgan.autograd.tensor import Tensor
from scratchgan.backend import kernels_for
from scratchgan.functions.beside import places_beside

#: NumPy's words for the modes that repeat elements of the tensor.
_MODES: dict[str, Any] = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def pad(
    input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> Tensor:
    """``input`` with more elements before and after those that it has along the last dimensions.

    Args:
        input: Of any shape.
        pad: How many before and after along the last dimension, then along the one before it, and
            so on; negative numbers cut off.
        mode: ``"constant"``: ``value``; or the input's own elements: ``"reflect"`` (mirrored at
            the outermost), ``"replicate"`` (the outermost again), ``"circular"`` (from the other
            end). The last three are for the last 1, 2 or 3 of one or two dimensions more.
        value: For ``"constant"``; 0 if None.

    Raises:
        ValueError: ``pad`` has too many or an odd number of elements, reaches too far, or there is
            no such mode.
        NotImplementedError: The mode is not for so many dimensions.
    """
    require_tensors("pad", input=input)
    widths = functions.sizes_of("pad", (tuple(pad),))
    if len(widths) % 2 or len(widths) > 2 * input.ndim:
        raise ValueError(
            f"pad: {len(widths)} widths for an input of shape {input.shape}; expected two for each "
            "of the last dimensions"
        )
    around = [(0, 0)] * (input.ndim - len(widths) // 2)
    around += reversed(list(zip(widths[::2], widths[1::2], strict=True)))
    for dim, (before, after) in enumerate(around):
        if input.shape[dim] + before + after < 0:
            raise ValueError(
                f"pad: nothing is left of the {input.shape[dim]} elements along dim {dim} after "
                f"{before} and {after}"
            )
    if mode == "constant":
        return _with_constant(input, around, 0.0 if value is None else value)
    if mode not in _MODES:
        raise ValueError(
            f"pad: there is no mode {mode!r}; choose one of constant, {', '.join(_MODES)}"
        )
    if value:
        raise ValueError(f"pad: mode {mode!r} takes no value, and {value} was given")
    count = len(widths) // 2
    if not (1 <= count <= 3 and input.ndim - count in (1, 2)):
        raise NotImplementedError(
            f"pad: mode {mode!r} with {len(widths)} widths is for {count + 1} or {count + 2} "
            f"dimensions, and the input has the shape {input.shape}"
        )
    for dim, sides in enumerate(around):
        if sides != (0, 0):
            input = _with_own(input, dim, sides, mode)
    return input


def _with_constant(x: Tensor, around: list[tuple[int, int]], value: float) -> Tensor:
    kept = tuple(
        slice(max(-before, 0), n - max(-after, 0))
        for n, (before, after) in zip(x.shape, around, strict=True)
    )
    if any(part != slice(0, n) for part, n in zip(kept, x.shape, strict=True)):
        x = ops.view(x, index=kept)
    shape = tuple(
        n + max(before, 0) + max(after, 0)
        for n, (before, after) in zip(x.shape, around, strict=True)
    )
    place = tuple(
        slice(max(before, 0), max(before, 0) + n)
        for n, (before, _) in zip(x.shape, around, strict=True)
    )
    if not value:
        return ops.scatter(x, shape=shape, index=place)
    kernels = kernels_for[type(x.array)]
    around_it = kernels.empty(shape, x.dtype, like=x.array)
    kernels.fill(value, out=around_it)
    return ops.put(Tensor(around_it), x, template=place)


def _with_own(x: Tensor, dim: int, sides: tuple[int, int], mode: str) -> Tensor:
    """The elements along ``dim``, and on both sides more of them."""
    length = x.shape[dim]
    most = {"reflect": length - 1, "circular": length, "replicate": None}[mode]
    if (most is not None and max(sides) > most) or not length:
        raise ValueError(
            f"pad: mode {mode!r} takes at most {most or 0} elements on each side along dim {dim} "
            f"of an input of shape {x.shape}, not {sides}"
        )
    before, after = sides
    order = np.pad(np.arange(length), [max(n, 0) for n in sides], _MODES[mode])
    order = order[max(-before, 0) : len(order) - max(-after, 0)]
    places = places_beside(x, order)
    return ops.gather(x, places, template=(*[slice(None)] * dim, "array"))
