"""Figures: the pixels of a grid, the curves of a training, and that Matplotlib comes late."""

import io
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.image import imread

from scratchgan.viz import in_16_greys, save_grid, save_losses
from scratchgan.viz.figures import grid, losses_figure


def images(n, height=28, width=28):
    return np.random.default_rng(n).integers(1, 256, (n, height, width), np.uint8)


@given(st.integers(1, 30), st.integers(1, 5), st.integers(1, 5))
def test_every_image_has_its_cell(n, height, width):
    given_images = images(n, height, width)
    picture = grid(given_images)

    rows, columns = picture.shape[0] // (height + 4), picture.shape[1] // (width + 4)
    assert picture.shape == (rows * (height + 4), columns * (width + 4))
    assert rows in (columns, columns - 1)
    assert (rows - 1) * columns < n <= rows * columns
    rest = picture.copy()
    for i, image in enumerate(given_images):
        top, left = i // columns * (height + 4) + 2, i % columns * (width + 4) + 2
        cell = rest[top : top + height, left : left + width]
        np.testing.assert_array_equal(cell, image)
        cell[:] = 0
    assert not rest.any()  # all else is black


def test_the_grid_as_a_png():
    first, second = io.BytesIO(), io.BytesIO()
    save_grid(first, images(3))
    save_grid(second, images(3))
    assert first.getvalue() == second.getvalue()

    first.seek(0)
    pixels = imread(first)
    expected = grid(images(3)).repeat(2, axis=0).repeat(2, axis=1)
    np.testing.assert_array_equal(np.rint(pixels * 255), expected)


@given(st.integers(0, 255))
def test_the_nearest_of_16_greys(value):
    (found,) = in_16_greys(np.array([value], np.uint8))
    assert found % 17 == 0
    assert abs(int(found) - value) <= 8


@pytest.mark.parametrize("value", [0, 1, 255])
def test_a_uniform_image_keeps_its_grey(value):
    """Not stretched from black to white."""
    file = io.BytesIO()
    save_grid(file, np.full((1, 4, 4), value, np.uint8))
    file.seek(0)
    assert round(imread(file)[8, 8] * 255) == value


METRICS = {
    "step": [100, 200, 300],
    "discriminator_loss": [1.4, 0.9, 1.1],
    "generator_loss": [0.7, 1.5, 1.2],
    "d_real": [0.5, 0.8, 0.7],
    "d_fake": [0.45, 0.2, 0.3],
}
ROWS = [dict(zip(METRICS, row, strict=True)) for row in zip(*METRICS.values(), strict=True)]


def test_the_curves():
    losses, scores = losses_figure(ROWS).axes
    curves = {line.get_label(): line for axes in (losses, scores) for line in axes.lines}

    labels = {"D": "discriminator_loss", "G": "generator_loss"}
    labels |= {"D(x), real images": "d_real", "D(G(z)), fakes": "d_fake"}
    for label, column in labels.items():
        np.testing.assert_array_equal(curves[label].get_xdata(), METRICS["step"])
        np.testing.assert_array_equal(curves[label].get_ydata(), METRICS[column])
    assert losses.get_ylabel() == "loss"
    assert scores.get_ylabel() == "probability of being real"
    assert scores.get_xlabel() == "step"
    assert scores.get_ylim() == (0, 1)


def test_where_digits_were_judged_there_is_a_third_part():
    judged = {"step": 250, "frechet_distance": 3.0, "precision": 0.8, "recall": 0.7}
    losses, _, distance, shares = losses_figure([*ROWS[:2], judged, ROWS[2]]).axes
    assert distance.get_xlabel() == "step"
    assert not losses.get_xlabel()
    for axes, label, value in (
        (distance, "Fréchet distance", 3.0),
        (shares, "precision", 0.8),
        (shares, "recall", 0.7),
    ):
        (line,) = [line for line in axes.lines if line.get_label() == label]
        assert (*line.get_xdata(), *line.get_ydata()) == (250, value)
    np.testing.assert_array_equal(losses.lines[0].get_xdata(), METRICS["step"])


def test_where_the_game_was_measured_there_is_a_part():
    watched = {"diversity": 0.4, "d_accuracy_real": 0.9, "d_accuracy_fake": 0.8}
    rows = [*ROWS[:2], {"step": 250, **watched}, ROWS[2]]
    *_, part = losses_figure(rows).axes
    assert {line.get_label(): line.get_ydata()[0] for line in part.lines} == {
        **{"diversity": 0.4, "accuracy of D, real images": 0.9, "of D, fakes": 0.8}
    }
    rows[2]["effective_classes"] = 3.5
    *_, shares, classes = losses_figure(rows).axes
    assert len(shares.lines) == 3
    assert classes.lines[0].get_ydata() == [3.5]
    assert classes.get_ylim() == (0, 10)


def test_scores_that_are_no_probabilities_are_not_cut_off():
    _, scores = losses_figure([{**ROWS[0], "d_real": 3.0}, {**ROWS[1], "d_fake": -2.0}]).axes
    low, high = scores.get_ylim()
    assert low < -2 < 3 < high
    assert scores.get_ylabel() == "score"


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_the_curves_as_a_png(rows):
    """Also of a training that ended before its first row."""
    file = io.BytesIO()
    save_losses(file, ROWS[:rows])
    file.seek(0)
    assert imread(file).shape == (720, 1080, 4)


def test_matplotlib_comes_with_the_first_figure_and_pyplot_never():
    code = """
import io, sys, numpy
from scratchgan import viz
print("matplotlib" in sys.modules)
viz.save_grid(io.BytesIO(), numpy.zeros((1, 28, 28), numpy.uint8))
viz.save_losses(io.BytesIO(), [])
print("matplotlib" in sys.modules, "matplotlib.pyplot" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "False"]
