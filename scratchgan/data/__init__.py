"""Data sets: MNIST (embedded), images of one's own, and batches in an order that a seed decides."""

from scratchgan.data.batches import batches
from scratchgan.data.idx import DataError, read_idx
from scratchgan.data.images import Images, Subject, load_images
from scratchgan.data.mnist import MNIST
from scratchgan.data.pictures import read_picture

__all__ = [
    "MNIST",
    "DataError",
    "Images",
    "Subject",
    "batches",
    "load_images",
    "read_idx",
    "read_picture",
]
