"""Transforms of the values of an image."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from scratchgan import dtypes
from scratchgan.autograd.tensor import Tensor
from scratchgan.creation import tensor
from scratchgan.functions import unbind
from scratchgan.nn.module import Module
from scratchgan.vision.transforms.images import is_picture, not_for


class ConvertImageDtype(Module):
    """A tensor with values of another type: 0 ... the largest integer stands for [0, 1].

    Args:
        dtype: The type.
    """

    def __init__(self, dtype: DTypeLike) -> None:
        self.dtype = dtypes.of("ConvertImageDtype", dtype)

    def forward(self, image: Tensor) -> Tensor:
        """The tensor; itself if it has the type.

        Raises:
            RuntimeError: The floating type does not hold all integers of the other one.
            TypeError: It is no tensor.
        """
        if not isinstance(image, Tensor):
            raise not_for("ConvertImageDtype", "a tensor", image)
        old, new = image.dtype, self.dtype
        if old == new or old.kind == new.kind == "f":
            return image.to(new)
        if new.kind == "f":
            return image.to(new) / float(_largest(old))
        largest = _largest(new)
        if old.kind == "f":
            if largest.bit_length() > np.finfo(old).nmant + 1:
                raise RuntimeError(f"ConvertImageDtype: {old} does not hold all values of {new}")
            # A little less than one more: every integer stands for equally many values.
            return (image * (largest + 1 - 1e-3)).to(new)
        more_bits = largest.bit_length() - _largest(old).bit_length()
        return image.to(new) << more_bits if more_bits >= 0 else (image >> -more_bits).to(new)


def _largest(dtype: dtypes.DType) -> int:
    return 1 if dtype == dtypes.bool_ else int(np.iinfo(dtype).max)


class Normalize(Module):
    """``(x - mean) / std`` for each channel of a tensor (..., C, H, W) of floating type.

    Args:
        mean: A number for each channel, or one for all.
        std: A number for each channel, or one for all.
        inplace: Whether the tensor itself is changed.

    Raises:
        ValueError: A number of ``std`` is 0.
    """

    def __init__(self, mean: Any, std: Any, inplace: bool = False) -> None:
        self.mean = mean
        self.std = std
        self.inplace = inplace
        self._mean, self._std = (np.asarray(x, np.float64).ravel().tolist() for x in (mean, std))
        self._counts = {len(self._mean), len(self._std)} - {1}
        if 0 in self._std:
            raise ValueError(f"Normalize: std is {std}; no number may be 0, since it divides")

    def forward(self, tensor: Tensor) -> Tensor:
        """The tensor, changed.

        Raises:
            TypeError: It is no tensor of floating type.
            ValueError: It has fewer than three dimensions, or another number of channels.
        """
        if not isinstance(tensor, Tensor) or tensor.dtype.kind != "f":
            kind = tensor.dtype if isinstance(tensor, Tensor) else type(tensor).__name__
            raise TypeError(
                f"Normalize: takes a tensor of floating type, not {kind}; put it behind ToTensor()"
            )
        if tensor.ndim < 3 or (self._counts and self._counts != {tensor.shape[-3]}):
            raise ValueError(
                f"Normalize: {len(self._mean)} means and {len(self._std)} deviations are not for a "
                f"tensor of shape {tensor.shape}; it has the shape (..., C, H, W)"
            )
        mean = _for_channels(self._mean, tensor)
        std = _for_channels(self._std, tensor)
        return tensor.sub_(mean).div_(std) if self.inplace else (tensor - mean) / std

    def __repr__(self) -> str:
        return f"Normalize(mean={self.mean}, std={self.std})"


def _for_channels(numbers: list[float], image: Tensor) -> Any:
    """A value for each channel: a tensor (C, 1, 1), or the number itself, which is faster."""
    if len(numbers) == 1:
        return numbers[0]
    return tensor(numbers, image.dtype, device=image.device).reshape(-1, 1, 1)


class Grayscale(Module):
    """An image without colours: ``0.2989 R + 0.587 G + 0.114 B``.

    Args:
        num_output_channels: 1, or 3 equal ones.

    Raises:
        ValueError: It is another number.
    """

    def __init__(self, num_output_channels: int = 1) -> None:
        if num_output_channels not in (1, 3):
            raise ValueError(
                f"Grayscale: num_output_channels is {num_output_channels}; it must be 1 or 3"
            )
        self.num_output_channels = num_output_channels

    def forward(self, img: Any) -> Any:
        """The image, of a picture a picture.

        Raises:
            TypeError: It is neither a picture nor a tensor of 1 or 3 channels.
        """
        if is_picture(img):
            from PIL import Image

            grey = img.convert("L")
            return grey if self.num_output_channels == 1 else Image.merge("RGB", [grey] * 3)
        if not isinstance(img, Tensor) or img.ndim < 3 or img.shape[-3] not in (1, 3):
            raise not_for("Grayscale", "a picture of Pillow or a tensor (..., 1 or 3, H, W)", img)
        if img.shape[-3] == 3:
            red, green, blue = unbind(img, -3)
            img = (0.2989 * red + 0.587 * green + 0.114 * blue).to(img.dtype).unsqueeze(-3)
        return img.expand(*img.shape[:-3], self.num_output_channels, *img.shape[-2:])

    def __repr__(self) -> str:
        return f"Grayscale(num_output_channels={self.num_output_channels})"
