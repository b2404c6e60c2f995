"""Datasets: what has an item for every index, or a stream of items."""

import bisect
import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, chain
from typing import Any, Generic, TypeVar

import numpy as np

from scratchgan.autograd.tensor import Tensor
from scratchgan.random import Generator, default_generator
from scratchgan.utils.data.samplers import permutation

T = TypeVar("T", covariant=True)


class Dataset(Generic[T]):
    """Base class of datasets; a subclass writes ``__getitem__``, and nearly always ``__len__``.

    One that also has ``__getitems__``, which takes a list of indices and gives their items, is
    asked for each batch once.
    """

    def __getitem__(self, index: Any) -> T:
        raise NotImplementedError(f"{type(self).__name__} has no __getitem__ method; write one")

    def __add__(self, other: "Dataset[Any]") -> "ConcatDataset":
        return ConcatDataset([self, other])


class IterableDataset(Dataset[T], Iterable[T]):
    """Base class of streams of items, which have no index; a subclass writes ``__iter__``."""

    def __add__(self, other: Dataset[Any]) -> "ChainDataset":  # type: ignore[override]
        return ChainDataset([self, other])


class ChainDataset(IterableDataset[Any]):
    """The items of several streams, one stream after another.

    Args:
        datasets: Each an :class:`IterableDataset`; anything else is a TypeError when it is come to.
    """

    def __init__(self, datasets: Iterable[Dataset[Any]]) -> None:
        self.datasets = datasets

    def _streams(self) -> Iterator[IterableDataset[Any]]:
        for dataset in self.datasets:
            if not isinstance(dataset, IterableDataset):
                raise TypeError(
                    f"ChainDataset: of IterableDatasets, not of {type(dataset).__name__}; use "
                    "ConcatDataset for what has items by index"
                )
            yield dataset

    def __iter__(self) -> Iterator[Any]:
        return chain.from_iterable(self._streams())

    def __len__(self) -> int:
        return sum([length_of(dataset) for dataset in self._streams()])


class TensorDataset(Dataset[tuple[Tensor, ...]]):
    """The items are tuples of slices along dimension 0, one of each tensor.

    Args:
        tensors: At least one, all of one size along dimension 0.

    Raises:
        TypeError: One is no tensor.
        ValueError: There are none, one has no dimension, or their sizes differ.
    """

    def __init__(self, *tensors: Tensor) -> None:
        for x in tensors:
            if not isinstance(x, Tensor):
                raise TypeError(
                    f"TensorDataset: of tensors, not of {type(x).__name__}; make one with "
                    "scratchgan.tensor"
                )
        lengths = {x.shape[:1] for x in tensors}
        if len(lengths) != 1 or () in lengths:
            shapes = ", ".join([str(x.shape) for x in tensors])
            raise ValueError(
                "TensorDataset: of one or more tensors of one size along dimension 0, not of "
                f"{f'the shapes {shapes}' if tensors else 'none'}"
            )
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple([x[index] for x in self.tensors])

    def __getitems__(self, indices: list[Any]) -> Sequence[tuple[Tensor, ...]]:
        has_own_items = type(self).__getitem__ is not TensorDataset.__getitem__
        if has_own_items or not set(map(type, indices)) <= {int, np.int64}:
            return [self[index] for index in indices]
        return Rows(self[indices])

    def __len__(self) -> int:
        return len(self.tensors[0])


class Rows(Sequence[tuple[Tensor, ...]]):
    """Items of a TensorDataset that were fetched as columns, which is what they are collated to."""

    def __init__(self, columns: tuple[Tensor, ...]) -> None:
        self.columns = columns

    def __getitem__(self, index: Any) -> Any:
        return tuple([column[index] for column in self.columns])

    def __len__(self) -> int:
        return len(self.columns[0])


class ConcatDataset(Dataset[Any]):
    """The items of several datasets one after another.

    Args:
        datasets: At least one, each with a length.

    Raises:
        ValueError: There are none.
        TypeError: One is an IterableDataset, whose items have no index.
    """

    def __init__(self, datasets: Iterable[Dataset[Any]]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("ConcatDataset: there are no datasets; give at least one")
        if any(isinstance(dataset, IterableDataset) for dataset in self.datasets):
            raise TypeError(
                "ConcatDataset: an IterableDataset has no items by index; use ChainDataset"
            )
        self.cumulative_sizes = list(accumulate([length_of(dataset) for dataset in self.datasets]))

    def __getitem__(self, index: int) -> Any:
        place = index + len(self) if index < 0 else index
        if not 0 <= place < len(self):
            raise IndexError(f"ConcatDataset: {index} is out of range for {len(self)} items")
        which = bisect.bisect_right(self.cumulative_sizes, place)
        before = self.cumulative_sizes[which - 1] if which else 0
        return self.datasets[which][place - before]

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]


class Subset(Dataset[T]):
    """Some items of a dataset.

    Args:
        dataset: The whole.
        indices: Of the items, in their order here.

    Raises:
        NotImplementedError: A subclass has its own ``__getitem__``, but not ``__getitems__``,
            through which it is read.
    """

    def __init__(self, dataset: Dataset[T], indices: Sequence[int]) -> None:
        own = type(self)
        if own.__getitem__ is not Subset.__getitem__ and own.__getitems__ is Subset.__getitems__:
            raise NotImplementedError(
                f"{own.__name__}: has its own __getitem__, but batches come from __getitems__; "
                "write it too: return [self[index] for index in indices]"
            )
        self.dataset = dataset
        self.indices = indices

    def __getitem__(self, index: Any) -> T:
        if isinstance(index, list):
            return self.dataset[[self.indices[i] for i in index]]
        return self.dataset[self.indices[index]]

    def __getitems__(self, indices: list[Any]) -> Sequence[T]:
        return items_of(self.dataset, [self.indices[index] for index in indices])

    def __len__(self) -> int:
        return len(self.indices)


def items_of(dataset: Any, indices: list[Any]) -> Sequence[Any]:
    """The items at ``indices``, by one call where the dataset can."""
    together: Callable[[list[Any]], Sequence[Any]] | None
    together = getattr(dataset, "__getitems__", None)
    return together(indices) if together else [dataset[index] for index in indices]


def length_of(dataset: Any) -> int:
    """``len(dataset)``, which the type of a dataset does not promise."""
    return len(dataset)


def random_split(
    dataset: Dataset[T],
    lengths: Sequence[int | float],
    generator: Generator | None = default_generator,
) -> list[Subset[T]]:
    """The items of a dataset at random in several, each item in one of them.

    Args:
        dataset: The whole.
        lengths: How many items each gets; or fractions that add up to 1. These are rounded down,
            and the items left over go one each to the first.
        generator: What decides; None for the default stream.

    Raises:
        TypeError: The lengths are no integers and do not add up to 1.
        ValueError: A fraction is not from 0 to 1, a length is negative, or the lengths do not add
            up to that of the dataset.
    """
    count = length_of(dataset)
    if math.isclose(sum(lengths), 1) and sum(lengths) <= 1:
        if not all(0 <= fraction <= 1 for fraction in lengths):
            raise ValueError(f"random_split: fractions are from 0 to 1, not {list(lengths)}")
        sizes = [math.floor(count * fraction) for fraction in lengths]
        for i in range(count - sum(sizes)):
            sizes[i % len(sizes)] += 1
        if 0 in sizes:
            text = f"random_split: part {sizes.index(0)} of {count} items is empty"
            warnings.warn(text, stacklevel=2)
    elif all(isinstance(length, int | np.integer) for length in lengths):
        sizes = [int(length) for length in lengths]
    else:
        raise TypeError(
            f"random_split: lengths are integers, or fractions that add up to 1, not {lengths}"
        )
    if min(sizes, default=0) < 0:
        raise ValueError(f"random_split: the length {min(sizes)} is negative")
    if sum(sizes) != count:
        raise ValueError(
            f"random_split: the lengths {list(lengths)} do not add up to the {count} items of the "
            "dataset; give such that do, or fractions that add up to 1"
        )
    order = permutation(count, generator)
    ends = accumulate(sizes)
    return [Subset(dataset, order[end - n : end]) for end, n in zip(ends, sizes, strict=True)]
