"""Datasets, samplers and the DataLoader, under PyTorch's names.

A :class:`Dataset` has an item for every index, a :class:`Sampler` says which indices come in which
order, and a :class:`DataLoader` puts the items together to batches, with :func:`default_collate`
unless told otherwise. Shuffling draws from the generator that is given, or else from the default
stream, so that :func:`scratchgan.manual_seed` makes it repeatable.
"""

from scratchgan.missing import refuse_others
from scratchgan.utils.data.collate import default_collate, default_convert
from scratchgan.utils.data.datasets import (
    ChainDataset,
    ConcatDataset,
    Dataset,
    IterableDataset,
    Subset,
    TensorDataset,
    random_split,
)
from scratchgan.utils.data.loader import DataLoader, get_worker_info
from scratchgan.utils.data.samplers import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
)

__all__ = [
    "BatchSampler",
    "ChainDataset",
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "IterableDataset",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "Subset",
    "SubsetRandomSampler",
    "TensorDataset",
    "default_collate",
    "default_convert",
    "get_worker_info",
    "random_split",
]

refuse_others(__name__)
