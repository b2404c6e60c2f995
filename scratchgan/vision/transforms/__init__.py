"""Changes of images, under torchvision's names: of Pillow's pictures, and of tensors.

Tensors have the shape (..., C, H, W). Each transform is an object that is called with an
image; those that are modules in torchvision are modules here.
"""

from scratchgan.missing import refuse_others
from scratchgan.vision.transforms.conversion import (
    Compose,
    Lambda,
    PILToTensor,
    ToPILImage,
    ToTensor,
)
from scratchgan.vision.transforms.geometry import (
    CenterCrop,
    InterpolationMode,
    RandomHorizontalFlip,
    Resize,
)
from scratchgan.vision.transforms.values import ConvertImageDtype, Grayscale, Normalize

__all__ = [
    "CenterCrop",
    "Compose",
    "ConvertImageDtype",
    "Grayscale",
    "InterpolationMode",
    "Lambda",
    "Normalize",
    "PILToTensor",
    "RandomHorizontalFlip",
    "Resize",
    "ToPILImage",
    "ToTensor",
]

refuse_others(__name__)
