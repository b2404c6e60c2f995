"""Pictures in files of any kind that Pillow reads, as grey pixels."""

import io
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from scratchgan.data.idx import DataError
from scratchgan.messages import one_line

if TYPE_CHECKING:
    from PIL.Image import Image

#: The formats of pictures that are read, by Pillow's names. It reads more kinds, some by running
#: a program of the system (EPS, by Ghostscript), whatever the file's name says.
_KINDS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM")
#: The endings of files that are taken for pictures.
ENDINGS = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".pgm", ".ppm")

#: The most pixels of a picture. A file of some bytes may say that it has any number, and each takes
#: some 20 bytes while it is looked at.
MOST_PIXELS = 1 << 25


def read_picture(
    path: str | os.PathLike[str], size: tuple[int, int] | None = None, grey: bool = False
) -> NDArray[np.uint8]:
    """The pixels of a picture, uint8 (height, width), 0 is black and 255 is white.

    Args:
        path: The file.
        size: The height and width that it is brought to: what is not of this shape is padded with
            black until it is, and then resized. None leaves it as it is.
        grey: Whether colours may be turned to grey. Transparent places become black.

    Raises:
        DataError: It cannot be read, or has colours and ``grey`` is False.
    """
    pixels, _ = fitted_picture(path, size, grey)
    return pixels


def fitted_picture(
    path: str | os.PathLike[str], size: tuple[int, int] | None = None, grey: bool = False
) -> tuple[NDArray[np.uint8], str]:
    """:func:`read_picture`, and what was done to the picture, in words; empty if nothing was."""
    from PIL import Image

    path = Path(path)
    done = []
    picture = opened(path)
    if "A" in picture.getbands() or "transparency" in picture.info:
        black = Image.new("RGBA", picture.size, "black")
        picture = Image.alpha_composite(black, picture.convert("RGBA")).convert("RGB")
        done.append("put on black")
    if picture.mode.startswith("I"):  # greys of 16 bits
        picture = picture.convert("I").point(lambda x: x * (1 / 257) + 0.5).convert("L")
        done.append("brought from 16 bits to 8")
    if picture.mode == "F":
        raise DataError(f"{path}: has numbers with fractions as pixels; save it with 8 bits")
    if picture.mode not in ("1", "L"):
        colours = np.asarray(picture.convert("RGB"))
        if (colours != colours[..., :1]).any():
            if not grey:
                raise DataError(f"{path}: has colours; ask for grey ones (grey)")
            done.append("turned to grey")
    picture = picture.convert("L")
    if size is not None and (picture.height, picture.width) != size:
        done.append(f"brought from {picture.width}x{picture.height} to {size[1]}x{size[0]} pixels")
        picture = _resized(picture, size)
    return np.array(picture), ", ".join(done)


def opened(path: Path) -> "Image":
    """The picture in a file, as Pillow has it, all of it read.

    Raises:
        DataError: It is no picture of the kinds that :data:`ENDINGS` name, or a damaged one.
    """
    from PIL import Image

    if not os.path.isfile(path):  # False also for a name that no file can have
        raise DataError(f"{path}: {'not a file' if os.path.exists(path) else 'no such file'}")
    try:
        # From memory: a file takes room for all that it is asked for, also for what it has not, and
        # Pillow asks for what a length in a damaged picture says, up to 2 GiB.
        content = io.BytesIO(path.read_bytes())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is odd about it, and can be read nonetheless
            picture = Image.open(content, formats=_KINDS)
            if picture.width * picture.height > MOST_PIXELS:
                raise DataError(
                    f"{path}: has {picture.width}x{picture.height} pixels; at most "
                    f"{MOST_PIXELS:,} are read"
                )
            picture.load()
            return picture
    except DataError:
        raise
    except Image.DecompressionBombError:  # of far more
        raise DataError(f"{path}: has too many pixels; at most {MOST_PIXELS:,} are read") from None
    except OSError:
        raise DataError(f"{path}: is no picture, or a damaged one") from None
    except Exception as fault:  # Pillow's readers raise what they like on damaged files
        raise DataError(f"{path}: is a damaged picture ({one_line(fault)})") from None


def _resized(picture: "Image", size: tuple[int, int]) -> "Image":
    from PIL import Image, ImageOps

    height, width = size
    scale = min(width / picture.width, height / picture.height)
    # Pillow alone leaves no pixel of a very narrow picture, or, before version 13, fails.
    inner = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    picture = picture.resize(inner, Image.Resampling.LANCZOS)
    return ImageOps.pad(picture, (width, height), Image.Resampling.LANCZOS, color=0)
