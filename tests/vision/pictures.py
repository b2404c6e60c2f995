"""Pictures to try transforms on, and how they are compared with torchvision's."""

import numpy as np
import pytest
from PIL import Image

import scratchgan as sg

MODES = ["L", "RGB", "RGBA", "LA", "1", "I", "F", "I;16"]


def picture(mode="L", height=4, width=6, seed=0):
    rng = np.random.default_rng(seed)
    if mode == "1":
        return Image.fromarray(rng.integers(0, 256, (height, width), np.uint8)).convert("1")
    if mode == "I;16":
        pixels = rng.integers(0, 60_000, (height, width), np.uint16)
        return Image.frombytes(mode, (width, height), pixels.tobytes())
    if mode in "IF":
        numbers = rng.integers(0, 99_999, (height, width)).astype({"I": "i4", "F": "f4"}[mode])
        return Image.fromarray(numbers)
    channels = len(mode)
    pixels = rng.integers(0, 256, (height, width, channels), np.uint8)
    return Image.fromarray(pixels[..., 0] if channels == 1 else pixels)


def torchvision(part):
    """torchvision's module, or this test is skipped."""
    return pytest.importorskip(f"torchvision.{part}", reason="torchvision is not installed")


def alike(ours, theirs):
    """Whether two images are: pictures pixel for pixel, tensors bit for bit."""
    if isinstance(ours, Image.Image):
        assert (ours.mode, ours.size, ours.tobytes()) == (
            theirs.mode,
            theirs.size,
            theirs.tobytes(),
        )
        return
    assert isinstance(ours, sg.Tensor)
    assert ours.dtype == theirs.numpy().dtype
    np.testing.assert_array_equal(ours.array, theirs.numpy())


def read(file):
    with Image.open(file) as picture:
        picture.load()
        return picture
