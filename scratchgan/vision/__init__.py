"""Images under torchvision's names: data sets, transforms, and grids as picture files.

A program for PyTorch imports them from ``scratchgan.vision`` in place of ``torchvision``. Pillow
is imported when it is first used.
"""

from scratchgan.missing import refuse_others
from scratchgan.vision import datasets, transforms, utils

__all__ = ["datasets", "transforms", "utils"]

refuse_others(__name__)
