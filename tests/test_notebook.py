"""A tensor in a notebook: a table, and a picture where it is one."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

import scratchgan as sg


def picture_of(x):
    """The picture in what a notebook shows, or None."""
    found = re.search(r"base64,([^']+)'", x._repr_html_())
    return found and np.asarray(Image.open(io.BytesIO(base64.b64decode(found[1]))))


def test_the_table_says_what_it_is():
    x = sg.tensor([1.0, 2.0], requires_grad=True)
    text = (x * 2)._repr_html_()
    for fact in ("(2,)", "float32", "cpu", "True", "mul", "tensor([2., 4.]"):
        assert fact in text
    assert picture_of(x) is None


@pytest.mark.parametrize(("low", "high"), [(-1, 1), (0, 1)])
@pytest.mark.parametrize("shape", [(28, 28), (1, 28, 28), (3, 1, 28, 28)])
def test_images_are_shown_as_they_are(shape, low, high):
    rng = np.random.default_rng(0)
    numbers = rng.uniform(low, high, shape).astype(np.float32)
    numbers.flat[:2] = low, high
    shown = picture_of(sg.tensor(numbers))
    plane = np.concatenate(list(numbers.reshape(-1, 28, 28)), axis=1)
    expected = np.rint((plane - low) / (high - low) * 255)
    np.testing.assert_array_equal(shown[::4, ::4], expected)


@pytest.mark.parametrize(("count", "said"), [(16, None), (17, "The first 16 of 17.")])
def test_of_a_large_batch_the_first_are_shown_and_that_is_said(count, said):
    numbers = np.linspace(0, 1, count * 64, dtype=np.float32).reshape(count, 1, 8, 8)
    x = sg.tensor(numbers)
    assert picture_of(x).shape == (8 * 14, 16 * 8 * 14)
    found = re.search("<p>(.*)</p>", x._repr_html_())
    assert (found and found[1]) == said


def test_bytes_are_shown_as_they_are():
    pixels = np.arange(784, dtype=np.uint8).reshape(28, 28)
    np.testing.assert_array_equal(picture_of(sg.tensor(pixels))[::4, ::4], pixels)


@pytest.mark.parametrize(
    "x",
    [
        sg.ones(28, 28) * 3,  # not the numbers of an image
        sg.ones(28, 28) * float("nan"),
        sg.ones(4, 4),  # a small matrix
        sg.ones(1000, 784),
        sg.ones(3, 2, 28, 28),
        sg.zeros(0, 1, 28, 28),
        sg.ones(28, 28, dtype=sg.int64),
    ],
)
def test_other_tensors_are_shown_as_numbers(x):
    assert picture_of(x) is None
    assert "<pre>" in x._repr_html_()
