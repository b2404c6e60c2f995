"""Images under torchvision's names: data sets, transforms, and grids as picture files.

A program for PyTorch imports them from ``scratchgan.vision`` in place of ``torchvision``. Pillow
is imported when it is first used.
"""

from scratchgan.vision import datasets, transforms, utils

__all__ = ["datasets", "transforms", "utils"]
