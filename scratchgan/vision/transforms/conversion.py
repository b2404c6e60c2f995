"""Transforms from pictures to tensors and back, and those that call others."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from scratchgan import dtypes
from scratchgan.autograd.tensor import Tensor
from scratchgan.creation import from_numpy
from scratchgan.vision.transforms.images import is_picture, not_for

#: The types of pixels by the mode of a picture; all others have uint8.
_PIXELS = {"I": np.int32, "F": np.float32, "I;16": np.int16, "I;16L": np.int16, "I;16B": np.int16}


class Compose:
    """One transform after another.

    Args:
        transforms: The transforms, or any functions of one argument.
    """

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]) -> None:
        self.transforms = transforms

    def __call__(self, img: Any) -> Any:
        """``img`` through all of them."""
        for transform in self.transforms:
            img = transform(img)
        return img

    def __repr__(self) -> str:
        return "\n    ".join(["Compose(", *map(str, self.transforms)]) + "\n)"


class Lambda:
    """Any function as a transform.

    Args:
        lambd: The function, of one argument.

    Raises:
        TypeError: It cannot be called.
    """

    def __init__(self, lambd: Callable[[Any], Any]) -> None:
        if not callable(lambd):
            raise TypeError(f"Lambda: takes a function, not {type(lambd).__name__}")
        self.lambd = lambd

    def __call__(self, img: Any) -> Any:
        """The function's result for it."""
        return self.lambd(img)

    def __repr__(self) -> str:
        return "Lambda()"


class ToTensor:
    """A picture, or an array (H, W, C) or (H, W), as a tensor (C, H, W).

    Bytes 0 ... 255 become numbers in [0, 1] of the default floating type; other numbers stay as
    they are: 32 and 16 bits of a picture, or an array of another type than uint8.
    """

    def __call__(self, pic: Any) -> Tensor:
        """The tensor, in memory of its own.

        Raises:
            TypeError: It is neither a picture nor such an array.
        """
        if is_picture(pic):
            pixels = np.asarray(pic, _PIXELS.get(pic.mode, np.uint8))
            if pic.mode == "1":
                pixels = pixels * np.uint8(255)
        elif isinstance(pic, np.ndarray) and pic.ndim in (2, 3):
            pixels = pic
        else:
            raise not_for("ToTensor", "a picture of Pillow or an array (H, W, C) or (H, W)", pic)
        pixels = _channels_first(pixels)
        if pixels.dtype != np.uint8:
            return from_numpy(np.array(pixels, order="C"))
        dtype = dtypes.get_default_dtype()
        floats = pixels.astype(dtype, order="C")
        floats /= dtype.type(255)
        return from_numpy(floats)

    def __repr__(self) -> str:
        return "ToTensor()"


def _channels_first(pixels: NDArray[Any]) -> NDArray[Any]:
    """(H, W, C) or (H, W) as (C, H, W)."""
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


class PILToTensor:
    """A picture as a tensor (C, H, W) of the type of its pixels, not scaled."""

    def __call__(self, pic: Any) -> Tensor:
        """The tensor, in memory of its own.

        Raises:
            TypeError: It is no picture of Pillow.
        """
        if not is_picture(pic):
            raise not_for("PILToTensor", "a picture of Pillow", pic)
        return from_numpy(np.array(_channels_first(np.asarray(pic)), order="C"))

    def __repr__(self) -> str:
        return "PILToTensor()"


class ToPILImage:
    """A tensor (C, H, W) or (H, W), or an array (H, W, C) or (H, W), as a picture.

    Numbers of floating type are taken for [0, 1] and multiplied by 255, but for the mode ``"F"``.

    Args:
        mode: The mode of Pillow; by default ``"L"``, ``"LA"``, ``"RGB"`` or ``"RGBA"`` for 1 to 4
            channels of bytes, ``"I"`` for int32, ``"I;16"`` for int16.
    """

    #: By the number of channels, for bytes; the first is the default.
    _MODES: ClassVar[dict[int, tuple[str, ...]]] = {
        1: ("L",),
        2: ("LA",),
        3: ("RGB", "YCbCr", "HSV"),
        4: ("RGBA", "CMYK", "RGBX"),
    }
    #: By the type, for one channel of it.
    _MODES_OF_TYPES: ClassVar[dict[str, str]] = {"int32": "I", "int16": "I;16", "float32": "F"}

    def __init__(self, mode: str | None = None) -> None:
        self.mode = mode

    def __call__(self, pic: Any) -> Any:
        """The picture.

        Raises:
            TypeError: It is no such tensor or array, or Pillow has no mode for its type.
            ValueError: It has more than four channels, or the mode is not for it.
        """
        from PIL import Image

        if not isinstance(pic, Tensor | np.ndarray) or pic.ndim not in (2, 3):
            raise not_for("ToPILImage", "a tensor or an array of 2 or 3 dimensions", pic)
        array = np.asarray(pic.detach().cpu() if isinstance(pic, Tensor) else pic)
        if isinstance(pic, Tensor) and pic.ndim == 3:
            array = array.transpose(1, 2, 0)
        if array.dtype.kind == "f" and self.mode != "F":
            array = (array * 255).astype(np.uint8)
        channels = array.shape[2] if array.ndim == 3 else 1
        if channels not in self._MODES:
            raise ValueError(f"ToPILImage: a picture has 1 to 4 channels, not {channels}")
        modes = self._MODES[channels] if array.dtype == np.uint8 else ()
        if channels == 1 and array.dtype.name in self._MODES_OF_TYPES:
            modes = (self._MODES_OF_TYPES[array.dtype.name],)
        if not modes:
            raise TypeError(
                f"ToPILImage: Pillow has no picture of {channels} channels of {array.dtype}; use "
                "uint8"
            )
        mode = self.mode or modes[0]
        if mode not in modes:
            raise ValueError(
                f"ToPILImage: the mode of {channels} channels of {array.dtype} is "
                f"{' or '.join(modes)}, not {mode}"
            )
        return Image.frombytes(mode, (array.shape[1], array.shape[0]), array.tobytes())

    def __repr__(self) -> str:
        return "ToPILImage()" if self.mode is None else f"ToPILImage(mode={self.mode})"
