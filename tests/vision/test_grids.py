"""Grids of images, and files of them, against torchvision where it is installed."""

import io
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from vision.pictures import alike, read, torchvision

import scratchgan as sg
from scratchgan.vision.utils import make_grid, save_image


@given(
    st.integers(2, 9), st.integers(1, 3), st.integers(1, 5), st.integers(0, 3), st.integers(1, 10)
)
def test_every_image_has_its_place(count, channels, size, padding, nrow):
    images = sg.rand(count, channels, size, size + 1) + 1
    grid = make_grid(images, nrow, padding, pad_value=0.5)
    columns, colours = min(nrow, count), 3 if channels == 1 else channels
    rows = -(-count // columns)
    height, width = size + padding, size + 1 + padding
    assert grid.shape == (colours, rows * height + padding, columns * width + padding)
    rest = grid.array.copy()
    for i, image in enumerate(images.array):
        top, left = i // columns * height + padding, i % columns * width + padding
        cell = rest[:, top : top + size, left : left + size + 1]
        np.testing.assert_array_equal(cell, np.broadcast_to(image, cell.shape))
        cell[:] = 0.5
    assert (rest == 0.5).all()


@pytest.mark.parametrize("shape", [(5, 1, 2, 3), (5, 3, 2, 3), (1, 3, 2, 2), (3, 4, 4), (2, 2)])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"nrow": 2, "padding": 1, "pad_value": 0.3},
        {"normalize": True},
        {"normalize": True, "value_range": (0.2, 0.7)},
        {"normalize": True, "scale_each": True},
        {"scale_each": True},
    ],
    ids=str,
)
def test_a_grid_is_that_of_torchvision(shape, options, tmp_path):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    theirs = torchvision("utils")
    x = sg.randn(*shape)
    other = torch.from_numpy(x.array.copy())
    expected = theirs.make_grid(other, **options)
    alike(make_grid(x, **options), expected)
    save_image(x, tmp_path / "ours.png", **options)
    theirs.save_image(other, tmp_path / "theirs.png", **options)
    alike(read(tmp_path / "ours.png"), read(tmp_path / "theirs.png"))


def test_grids_by_hand():
    assert make_grid(sg.ones(2, 2)).tolist() == [[[1, 1], [1, 1]]] * 3
    x = sg.tensor([[[[1.0]], [[2.0]]], [[[3.0]], [[5.0]]]])
    grid = make_grid([x[0], x[1]], padding=1, pad_value=9)
    assert grid.tolist() == [
        [[9, 9, 9, 9, 9], [9, 1, 9, 3, 9], [9, 9, 9, 9, 9]],
        [[9, 9, 9, 9, 9], [9, 2, 9, 5, 9], [9, 9, 9, 9, 9]],
    ]
    scaled = make_grid(x, padding=0, normalize=True)
    assert scaled.tolist() == [[[0, 0.5]], [[0.25, 1]]]
    each = make_grid(x, padding=0, normalize=True, scale_each=True)
    assert each.tolist() == [[[0, 0]], [[1, 1]]]
    limited = make_grid(x, padding=0, normalize=True, value_range=(2, 4))
    assert limited.tolist() == [[[0, 0.5]], [[0, 1]]]
    narrow = make_grid(x, padding=0, normalize=True, value_range=(0, 1e-7))  # less than 1e-5
    np.testing.assert_allclose(narrow.array, 0.01, rtol=1e-5)
    assert x[0, 0].item() == 1  # as it was
    assert make_grid(sg.ones(2, 1, 1, 1, dtype=sg.uint8)).dtype == sg.uint8


def test_a_grid_is_off_the_tape():
    assert not make_grid(sg.zeros(2, 3, 2, 2, requires_grad=True)).requires_grad


def test_what_a_grid_refuses():
    for given_to in (3, np.zeros((2, 2)), [np.zeros((2, 2))], (sg.zeros(2, 2),)):
        with pytest.raises(TypeError, match="make_grid: images are a tensor or a list of tensors"):
            make_grid(given_to)
    with pytest.raises(ValueError, match="make_grid: there are no images"):
        make_grid([])
    for shape in ((3,), (0, 3, 2, 2), (1, 1, 1, 2, 2)):
        with pytest.raises(ValueError, match="make_grid: images have the shape"):
            make_grid(sg.zeros(*shape))
    with pytest.raises(ValueError, match="make_grid: nrow is 0"):
        make_grid(sg.zeros(2, 2), nrow=0)
    with pytest.raises(TypeError, match=r"make_grid: value_range is a tuple"):
        make_grid(sg.zeros(2, 2), normalize=True, value_range=[0, 1])
    with pytest.raises(TypeError, match="make_grid: normalize is for images of floating type"):
        make_grid(sg.zeros(2, 2, dtype=sg.uint8), normalize=True)


def test_an_image_as_a_file(tmp_path):
    x = sg.tensor([[[0.0, 0.5]], [[1.0, 2.0]], [[-1.0, 0.25]]], requires_grad=True)
    for file in (tmp_path / "x.png", str(tmp_path / "y.PNG")):
        save_image(x, file)
        assert read(file).format == "PNG"
        assert np.asarray(read(file)).tolist() == [[[0, 255, 0], [128, 255, 64]]]
    save_image(x, tmp_path / "z.xyz", format="bmp")
    save_image(x, stream := io.BytesIO(), "png")
    assert read(stream).size == read(tmp_path / "z.xyz").size == (2, 1)
    save_image(sg.zeros(3, 1, 4, 4), tmp_path / "grid.png", nrow=2, padding=1)
    assert read(tmp_path / "grid.png").size == (11, 11)


def test_a_file_appears_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "x.png"
    path.write_bytes(b"before")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(
        OSError, match=r"save_image: the file cannot be written .No space"
    ) as caught:
        save_image(sg.zeros(2, 2), path)
    assert caught.value.filename == str(path)
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_saved(tmp_path):
    with pytest.raises(TypeError, match=r"save_image: values are .* not uint8; divide by 255"):
        save_image(sg.zeros(2, 2, dtype=sg.uint8), tmp_path / "x.png")
    with pytest.raises(ValueError, match=r"save_image: .*x.xyz has no ending .*give the format"):
        save_image(sg.zeros(2, 2), tmp_path / "x.xyz")
    with pytest.raises(FileNotFoundError, match="save_image: the file cannot be written"):
        save_image(sg.zeros(2, 2), tmp_path / "none" / "x.png")
    assert not list(tmp_path.iterdir())
