"""The DataLoader: batches of a dataset, one after another."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar

from scratchgan.random import Generator
from scratchgan.utils.data.collate import default_collate, default_convert
from scratchgan.utils.data.datasets import Dataset, IterableDataset, Rows, items_of
from scratchgan.utils.data.samplers import BatchSampler, RandomSampler, SequentialSampler

T = TypeVar("T", covariant=True)

#: The attributes that cannot change once a loader is made, since its order comes from them.
_FIXED = ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers")


class DataLoader(Generic[T]):
    """Goes through a dataset in batches; each ``for`` loop over it is one epoch.

    All items are made in the process of the caller, when their batch is asked for. The options for
    speed change nothing here and are taken so that programs for PyTorch run: ``num_workers``,
    ``pin_memory``, ``timeout``, ``worker_init_fn`` (there are no workers to call it),
    ``multiprocessing_context``, ``prefetch_factor``, ``persistent_workers``,
    ``pin_memory_device``, ``in_order``. What PyTorch refuses of them is refused too.

    Args:
        dataset: What has items by index and a length, or an :class:`IterableDataset`.
        batch_size: Items per batch; None gives the items one by one, as
            :func:`default_convert` has them.
        shuffle: Whether each epoch has a random order of its own, from a :class:`RandomSampler`.
        sampler: The indices in their order, in place of ``shuffle``.
        batch_sampler: The lists of indices of the batches, in place of ``batch_size``,
            ``shuffle``, ``sampler`` and ``drop_last``.
        num_workers: 0 or more.
        collate_fn: What makes a batch of a list of items; by default :func:`default_collate`.
        pin_memory: Of no effect.
        drop_last: Whether a last batch that is smaller is left out.
        timeout: 0 or more.
        worker_init_fn: Of no effect.
        multiprocessing_context: Only with workers.
        generator: Decides the order when shuffling; None for the default stream.
        prefetch_factor: Only with workers.
        persistent_workers: Only with workers.
        pin_memory_device: Of no effect.
        in_order: Of no effect.

    Raises:
        ValueError: Options exclude each other, or one is outside its range; setting an attribute
            that the order comes from raises it too.
    """

    def __init__(
        self,
        dataset: Dataset[T],
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable[Any] | None = None,
        batch_sampler: Iterable[list[Any]] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[Any], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        multiprocessing_context: Any = None,
        generator: Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        shuffle = bool(shuffle)
        _check_range(num_workers=num_workers, timeout=timeout, prefetch_factor=prefetch_factor)
        if num_workers == 0:
            _check_unset(
                "is only for num_workers > 0; leave it out",
                prefetch_factor=prefetch_factor,
                persistent_workers=persistent_workers,
                multiprocessing_context=multiprocessing_context,
            )
        if isinstance(dataset, IterableDataset):
            _check_unset(
                "is not for an IterableDataset, whose items come in an order of their own",
                shuffle=shuffle,
                sampler=sampler,
                batch_sampler=batch_sampler,
            )
        if sampler is not None:
            _check_unset("excludes sampler, which is the order; give one of them", shuffle=shuffle)
        if batch_sampler is not None:
            why = "excludes batch_sampler, which makes the batches; leave it out"
            _check_unset(why, shuffle=shuffle, sampler=sampler, drop_last=drop_last)
            if batch_size != 1:
                raise ValueError(f"DataLoader: batch_size={batch_size} {why}")
        elif batch_size is None:
            _check_unset("is for batches, but batch_size is None", drop_last=drop_last)

        if sampler is None:
            if isinstance(dataset, IterableDataset):
                sampler = dataset  # the items themselves, in their order
            elif shuffle:
                sampler = RandomSampler(dataset, generator=generator)  # type: ignore[arg-type]
            else:
                sampler = SequentialSampler(dataset)  # type: ignore[arg-type]
        is_single = batch_sampler is None and batch_size is None
        if batch_sampler is not None:
            batch_size = None
        elif batch_size is not None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)

        self.dataset: Any = dataset
        self.batch_size = batch_size
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self.num_workers = num_workers
        self.collate_fn = collate_fn or (default_convert if is_single else default_collate)
        self.pin_memory = pin_memory
        self.drop_last = drop_last
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.multiprocessing_context = multiprocessing_context
        self.generator = generator
        self.prefetch_factor = prefetch_factor
        self.persistent_workers = persistent_workers
        self.pin_memory_device = pin_memory_device
        self.in_order = in_order

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _FIXED and name in vars(self):
            raise ValueError(
                f"DataLoader: {name} cannot change once the loader is made; make another loader"
            )
        super().__setattr__(name, value)

    def __iter__(self) -> Iterator[Any]:
        if isinstance(self.dataset, IterableDataset):
            return (self.collate_fn(items) for items in self._order)
        return (self._fetched(indices) for indices in self._order)

    def __len__(self) -> int:
        """The batches of an epoch."""
        return len(self._order)

    @property
    def _order(self) -> Any:
        """The index, or the list of them, that each step of an epoch fetches."""
        return self.sampler if self.batch_sampler is None else self.batch_sampler

    def _fetched(self, index: Any) -> Any:
        if self.batch_sampler is None:
            return self.collate_fn(self.dataset[index])
        items = items_of(self.dataset, index)
        if isinstance(items, Rows) and self.collate_fn is not default_collate:
            items = list(items)  # a function of the user's may sort them, say
        return self.collate_fn(items)


def _check_range(**options: float | None) -> None:
    for name, value in options.items():
        if value is not None and value < 0:
            raise ValueError(f"DataLoader: {name} is {value}; it must be 0 or more")


def _check_unset(why: str, **options: Any) -> None:
    for name, value in options.items():
        if value is not None and value is not False:
            raise ValueError(f"DataLoader: {name}={value!r} {why}")


def get_worker_info() -> None:
    """None, as PyTorch has it outside of worker processes: there are none here."""
