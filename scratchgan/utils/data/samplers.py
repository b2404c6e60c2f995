"""Samplers: which items of a dataset come in which order."""

from collections.abc import Iterable, Iterator, Sequence, Sized
from itertools import islice
from typing import Any, Generic, TypeVar

import numpy as np

from scratchgan.dtypes import float64
from scratchgan.random import Generator, rand, randint

T = TypeVar("T", covariant=True)


def permutation(count: int, generator: Generator | None) -> list[int]:
    """0 ... count - 1 in a random order."""
    # Among float64 numbers hardly two are equal, which would keep their order.
    keys = rand(count, dtype=float64, generator=generator).array
    order: list[int] = np.argsort(keys, kind="stable").tolist()
    return order


class Sampler(Generic[T]):
    """Base class of orders of indices, or of batches of them; a subclass writes ``__iter__``."""

    def __iter__(self) -> Iterator[T]:
        raise NotImplementedError(f"{type(self).__name__} has no __iter__ method; write one")


class SequentialSampler(Sampler[int]):
    """0, 1, ... up to the length of ``data_source``."""

    def __init__(self, data_source: Sized) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(Sampler[int]):
    """The indices of ``data_source`` in a random order, another one each time.

    Args:
        data_source: What has the length.
        replacement: Whether each index is drawn from all, so that some come twice and some never.
        num_samples: How many indices; by default as many as there are. Without replacement each
            comes once before one comes again.
        generator: What decides; None for the default stream.

    Raises:
        TypeError: ``replacement`` is no bool.
        ValueError: ``num_samples``, or without it the length, is not 1 or more.
    """

    def __init__(
        self,
        data_source: Sized,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: Generator | None = None,
    ) -> None:
        if not isinstance(replacement, bool):
            raise TypeError(f"RandomSampler: replacement is True or False, not {replacement!r}")
        self.data_source = data_source
        self.replacement = replacement
        self._num_samples = num_samples
        self.generator = generator
        if not isinstance(self.num_samples, int) or self.num_samples < 1:
            raise ValueError(
                f"RandomSampler: num_samples is {self.num_samples!r}; it must be 1 or more (it is "
                "the length of the dataset, where none is given)"
            )

    @property
    def num_samples(self) -> int:
        """How many indices come."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def __iter__(self) -> Iterator[int]:
        count = len(self.data_source)
        if self.replacement:
            yield from randint(0, count, (self.num_samples,), generator=self.generator).tolist()
            return
        for drawn in range(0, self.num_samples, count):
            yield from permutation(count, self.generator)[: self.num_samples - drawn]

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(Sampler[int]):
    """Given indices in a random order, another one each time; of ``generator`` as above."""

    def __init__(self, indices: Sequence[int], generator: Generator | None = None) -> None:
        self.indices = indices
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        for place in permutation(len(self.indices), self.generator):
            yield self.indices[place]

    def __len__(self) -> int:
        return len(self.indices)


class BatchSampler(Sampler[list[Any]]):
    """Lists of what another sampler gives.

    Args:
        sampler: The other, anything to iterate over.
        batch_size: The length of each list, but perhaps of the last.
        drop_last: Whether a shorter last one is left out.

    Raises:
        ValueError: ``batch_size`` is not 1 or more, or ``drop_last`` is no bool.
    """

    def __init__(self, sampler: Iterable[Any], batch_size: int, drop_last: bool) -> None:
        if not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size < 1:
            raise ValueError(f"batch_size is {batch_size!r}; it must be an integer, 1 or more")
        if not isinstance(drop_last, bool):
            raise ValueError(f"drop_last is {drop_last!r}; it must be True or False")
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last

    def __iter__(self) -> Iterator[list[Any]]:
        indices = iter(self.sampler)
        while batch := list(islice(indices, self.batch_size)):
            if len(batch) == self.batch_size or not self.drop_last:
                yield batch

    def __len__(self) -> int:
        whole, left = divmod(len(self.sampler), self.batch_size)  # type: ignore[arg-type]
        return whole + (left > 0 and not self.drop_last)
