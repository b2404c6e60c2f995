"""Data sets: IDX files, MNIST (embedded), and batches in an order that a seed decides."""

from scratchgan.data.batches import batches
from scratchgan.data.idx import DataError, read_idx
from scratchgan.data.mnist import MNIST

__all__ = ["MNIST", "DataError", "batches", "read_idx"]
