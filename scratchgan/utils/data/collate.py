"""From items to a batch."""

import copy
from collections.abc import Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any

import numpy as np

from scratchgan.autograd.tensor import Tensor
from scratchgan.creation import from_numpy, tensor
from scratchgan.dtypes import float64
from scratchgan.functions import cat
from scratchgan.utils.data.datasets import Rows


def default_collate(batch: Sequence[Any]) -> Any:
    """Items put together to a batch, a new dimension 0.

    Tensors, NumPy arrays and NumPy numbers are stacked and keep their type; Python's floats become
    float64, integers int64. Texts stay as they are. Items that are dictionaries, tuples or lists
    give one dictionary, list (a namedtuple for those) or list of what is collated of their parts.

    Args:
        batch: The items, of one kind.

    Raises:
        RuntimeError: The shapes of tensors, or the lengths of lists, differ.
        TypeError: Items of another kind, such as pictures or None.
    """
    if isinstance(batch, Rows):
        return list(batch.columns)
    first = batch[0]
    if isinstance(first, Tensor):
        return _stacked(batch)
    if isinstance(first, np.ndarray) and first.dtype.kind in "biuf":
        return _stacked([from_numpy(array) for array in batch])
    if isinstance(first, np.bool_ | np.number):
        return from_numpy(np.array(batch))
    if isinstance(first, float):
        return tensor(batch, float64)
    if isinstance(first, int):
        return tensor(batch)
    if isinstance(first, str | bytes):
        return batch
    if isinstance(first, Mapping):
        parts = {key: default_collate([item[key] for item in batch]) for key in first}
        return _rebuilt(first, parts)
    if isinstance(first, Sequence):
        if any(len(item) != len(first) for item in batch):
            raise RuntimeError(
                f"default_collate: items of {sorted({len(item) for item in batch})} parts are in "
                "one batch; make them of one length, or give the DataLoader a collate_fn"
            )
        return _rebuilt(first, [default_collate(parts) for parts in zip(*batch, strict=True)])
    raise TypeError(
        f"default_collate: a batch is made of tensors, NumPy arrays, numbers, texts, dictionaries "
        f"and lists, not of {_kind(first)}; make tensors of the items, or give the DataLoader a "
        "collate_fn"
    )


def _kind(item: Any) -> str:
    return f"arrays of {item.dtype}" if isinstance(item, np.ndarray) else type(item).__name__


def _stacked(tensors: Sequence[Tensor]) -> Tensor:
    shapes = {x.shape for x in tensors}
    if len(shapes) > 1:
        raise RuntimeError(
            f"default_collate: tensors of the shapes {', '.join(map(str, sorted(shapes)))} are in "
            "one batch; make them of one shape, or give the DataLoader a collate_fn"
        )
    # As stack, in a third of its time for small ones.
    shape = tensors[0].shape
    return cat([x if shape else x.reshape(1) for x in tensors]).reshape(len(tensors), *shape)


def default_convert(data: Any) -> Any:
    """An item with its NumPy arrays and numbers as tensors; for a DataLoader without batches."""
    if isinstance(data, np.ndarray | np.bool_ | np.number):
        array = np.asarray(data)
        return from_numpy(array) if array.dtype.kind in "biuf" else data
    if isinstance(data, Mapping):
        return _rebuilt(data, {key: default_convert(data[key]) for key in data})
    if isinstance(data, Sequence) and not isinstance(data, str | bytes):
        return _rebuilt(data, [default_convert(part) for part in data])
    return data


def _rebuilt(container: Any, parts: Any) -> Any:
    """``parts``, a dictionary or a list, in a container of the kind of ``container``."""
    if isinstance(container, tuple):
        return type(container)(*parts) if hasattr(container, "_fields") else parts
    try:
        if isinstance(container, MutableMapping | MutableSequence):
            clone: Any = copy.copy(container)  # which may have more to it than its parts
            for key, part in parts.items() if isinstance(parts, dict) else enumerate(parts):
                clone[key] = part
            return clone
        return type(container)(parts)
    except TypeError:  # such as a range, or an array of numbers
        return parts
