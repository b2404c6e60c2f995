"""``torch.utils`` of a program that is made for PyTorch: of it, :mod:`scratchgan.utils.data`."""

from scratchgan.utils import data

__all__ = ["data"]
