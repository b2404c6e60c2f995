"""Images of one's own, and what is refused."""

import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
from PIL import Image

from scratchgan.data import DataError, load_images, read_picture
from scratchgan.data.images import CLOTHES, DIGITS
from scratchgan.data.pictures import fitted_picture

rng = np.random.default_rng(0)


def raw_archive(path, **members):
    """An archive whose members are no arrays."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def pixels(n=3, height=5, width=4):
    return rng.integers(0, 256, (n, height, width), np.uint8)


def refusal(call, *arguments, **keywords):
    with pytest.raises(DataError) as caught:
        call(*arguments, **keywords)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- Pictures ---------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["png", "bmp", "gif", "pgm", "tiff"])
def test_a_grey_picture_is_its_pixels(tmp_path, ending):
    (expected,) = pixels(1)
    path = tmp_path / f"picture.{ending}"
    Image.fromarray(expected).save(path)
    found, done = fitted_picture(path)
    np.testing.assert_array_equal(found, expected)
    assert done == ""


def test_grey_colours_are_grey(tmp_path):
    (expected,) = pixels(1)
    Image.fromarray(expected).convert("RGB").save(tmp_path / "grey.png")
    np.testing.assert_array_equal(read_picture(tmp_path / "grey.png"), expected)


def test_what_is_done_to_a_picture_is_said(tmp_path):
    colours = np.zeros((10, 20, 4), np.uint8)
    colours[:, :10] = (255, 0, 0, 255)  # the left half is red, the right one transparent
    path = tmp_path / "red.png"
    Image.fromarray(colours, "RGBA").save(path)
    assert refusal(read_picture, path) == f"{path}: has colours; ask for grey ones (grey)"
    found, done = fitted_picture(path, (28, 28), grey=True)
    assert done == "put on black, turned to grey, brought from 20x10 to 28x28 pixels"
    assert found.shape == (28, 28)
    assert found[14, 5] == 76  # the luminance of red
    assert not found[14, 20:].any()
    assert not found[:6].any()  # padded, not stretched


@pytest.mark.parametrize("size", [(5, 262), (262, 5), (1, 400)])
def test_a_very_narrow_picture_keeps_a_pixel(tmp_path, size):
    Image.new("L", size, 200).save(tmp_path / "narrow.png")
    found, _ = fitted_picture(tmp_path / "narrow.png", (7, 7))
    assert found.shape == (7, 7)
    assert (found == 200).sum() == 7


def test_a_picture_of_16_bits_is_scaled(tmp_path):
    (expected,) = pixels(1)
    Image.fromarray(expected.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    found, done = fitted_picture(tmp_path / "deep.png")
    np.testing.assert_array_equal(found, expected)
    assert done == "brought from 16 bits to 8"


def test_files_that_are_no_pictures(tmp_path):
    path = tmp_path / "x.png"
    assert refusal(read_picture, path) == f"{path}: no such file"
    assert refusal(read_picture, tmp_path) == f"{tmp_path}: not a file"
    for content in (b"", b"hello", b"\x89PNG\r\n\x1a\n" + b"\0" * 50):
        path.write_bytes(content)
        assert refusal(read_picture, path).startswith(f"{path}: is ")
    Image.fromarray(pixels(1, 50, 50)[0]).save(path)
    path.write_bytes(path.read_bytes()[:-700])
    assert refusal(read_picture, path).startswith(f"{path}: is ")


def test_a_picture_with_too_many_pixels(tmp_path, monkeypatch):
    path = tmp_path / "huge.png"
    Image.new("1", (8192, 4097)).save(path)
    most = "at most 33,554,432 are read"
    assert refusal(read_picture, path) == f"{path}: has 8192x4097 pixels; {most}"
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # Pillow refuses twice as many itself
    assert refusal(read_picture, path) == f"{path}: has too many pixels; {most}"


def test_every_grey_of_16_bits(tmp_path):
    path = tmp_path / "greys.png"
    greys = np.arange(1 << 16, dtype=np.uint16).reshape(256, 256)
    Image.fromarray(greys).save(path)
    np.testing.assert_array_equal(read_picture(path), np.rint(greys / 257))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "I"])
def test_a_picture_takes_little_memory(tmp_path, mode):
    """Not many times its pixels, of which a small file may claim millions."""
    path = tmp_path / "wide.tif"
    Image.new(mode, (1000, 500)).save(path, compression="tiff_deflate")
    tracemalloc.start()
    try:
        read_picture(path, (7, 7), grey=True)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 7 * 1000 * 500


# --- Folders ----------------------------------------------------------------------------


def save_pictures(folder, images):
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{number}.png")


def test_subfolders_are_classes(tmp_path):
    cats, dogs = pixels(2), pixels(3)
    save_pictures(tmp_path / "dog", dogs)
    save_pictures(tmp_path / "cat", cats)
    (tmp_path / "empty").mkdir()
    (tmp_path / "cat" / "notes.txt").touch()
    found = load_images(tmp_path)
    np.testing.assert_array_equal(found.pixels, [*cats, *dogs])
    assert found.labels.tolist() == [0, 0, 1, 1, 1]
    assert found.names == ("cat", "dog")
    assert found.subject == ((5, 4), ("cat", "dog"))


def test_a_folder_without_subfolders_is_one_class(tmp_path):
    images = pixels(3)
    save_pictures(tmp_path / "stars", images)
    found = load_images(tmp_path / "stars")
    np.testing.assert_array_equal(found.pixels, images)
    assert found.names == ("stars",)
    assert not found.labels.any()


def test_pictures_of_many_sizes_are_brought_to_one(tmp_path):
    save_pictures(tmp_path, pixels(1, 9, 9))
    Image.fromarray(pixels(1, 30, 20)[0]).save(tmp_path / "z.png")
    message = refusal(load_images, tmp_path)
    assert message == (
        f"{tmp_path / 'z.png'}: has 20x30 pixels, and those before it have 9x9; ask for one size "
        "(image_size)"
    )
    assert load_images(tmp_path, size=12).pixels.shape == (2, 12, 12)


def test_pictures_beside_folders_of_pictures(tmp_path):
    save_pictures(tmp_path / "cat", pixels(2))
    (tmp_path / ".thumbs").mkdir()
    save_pictures(tmp_path / ".thumbs", pixels(1))
    (tmp_path / "cat" / "._0.png").write_bytes(b"of another system")
    assert load_images(tmp_path).names == ("cat",)
    save_pictures(tmp_path, pixels(1))
    assert "holds pictures (0.png) beside folders of pictures (cat)" in refusal(
        load_images, tmp_path
    )


def test_a_folder_with_nothing_to_see(tmp_path):
    assert refusal(load_images, tmp_path).startswith(f"{tmp_path}: holds no pictures and no IDX")
    message = refusal(load_images, tmp_path / "nowhere")
    assert message.startswith(f"{tmp_path / 'nowhere'}: no such file or folder; give IDX files")
    (tmp_path / "x.txt").touch()
    assert refusal(load_images, tmp_path / "x.txt").startswith(
        f"{tmp_path / 'x.txt'}: is nothing to learn from; give IDX files"
    )


# --- Files ------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [("images", "labels"), ("x_train", "y_train")])
def test_npz(tmp_path, names):
    images, labels = pixels(3), np.array([2, 0, 2])
    path = tmp_path / "data.npz"
    np.savez(path, **dict(zip(names, (images, labels), strict=True)))
    found = load_images(path)
    np.testing.assert_array_equal(found.pixels, images)
    assert found.labels.tolist() == [2, 0, 2]
    assert found.names == ("0", "1", "2")
    np.savez(path, **{names[0]: images})
    assert load_images(path).names == ("image",)


@pytest.mark.parametrize(
    ("arrays", "fault"),
    [
        ({"pictures": pixels()}, "holds pictures, but no array 'images' or 'x_train'"),
        ({"images": pixels().astype(float)}, "holds 3x5x4 elements of float64, not grey images"),
        ({"images": pixels()[0]}, "holds 5x4 elements of uint8, not grey images"),
        ({"images": pixels(0)}, "holds no images"),
        ({"images": np.array([{}])}, "cannot be read as npz"),
        ({"images": pixels(), "labels": np.zeros(2, int)}, "holds 2 labels of int64 for 3 images"),
        ({"images": pixels(), "labels": np.zeros(3)}, "holds 3 labels of float64 for 3 images"),
        ({"images": pixels(), "labels": np.array([0, -1, 2])}, "labels outside of 0 to 255"),
        ({"images": pixels(), "labels": np.array([0, 1, 256])}, "labels outside of 0 to 255"),
    ],
)
def test_arrays_that_are_no_images(tmp_path, arrays, fault):
    path = tmp_path / "data.npz"
    np.savez(path, **arrays)
    message = refusal(load_images, path)
    assert message.startswith(f"{path}: ")
    assert fault in message


@pytest.mark.parametrize("content", [b"", b"PK\3\4", b"hello", b"\x93NUMPY"])
def test_a_damaged_npz(tmp_path, content):
    path = tmp_path / "data.npz"
    path.write_bytes(content)
    assert refusal(load_images, path).startswith(f"{path}: cannot be read as npz (")


def test_an_archive_of_something_else(tmp_path):
    path = tmp_path / "data.npz"
    raw_archive(path, images=b"hello")
    assert refusal(load_images, path).endswith("holds something else than arrays")
    np.savez_compressed(path, images=pixels(50, 28, 28))
    content = bytearray(path.read_bytes())
    content[200:2000] = bytes(1800)
    path.write_bytes(content)
    assert refusal(load_images, path).startswith(f"{path}: cannot be read as npz (")


def test_a_header_that_asks_for_all_memory(tmp_path):
    path = tmp_path / "data.npz"
    header = "{'descr': '|u1', 'fortran_order': False, 'shape': (1000000, 1000, 1000)}".ljust(117)
    magic = b"\x93NUMPY\x01\x00" + len(header + "\n").to_bytes(2, "little")
    raw_archive(path, **{"images.npy": magic + header.encode() + b"\n"})
    assert refusal(load_images, path).startswith(f"{path}: cannot be read as npz (")


def test_an_array_alone(tmp_path):
    path = tmp_path / "data.npz"
    with path.open("wb") as file:
        np.save(file, pixels())
    assert refusal(load_images, path).endswith(
        "holds one array without a name; save it by np.savez"
    )


def csv_of(images, labels=None):
    rows = images.reshape(len(images), -1)
    headings = [f"pixel{i}" for i in range(rows.shape[1])]
    if labels is not None:
        rows, headings = np.column_stack([labels, rows]), ["label", *headings]
    lines = [headings, *rows.tolist()]
    return "".join(",".join(map(str, line)) + "\n" for line in lines)


def test_csv(tmp_path):
    images, path = pixels(3, 4, 4), tmp_path / "train.csv"
    path.write_text(csv_of(images, [7, 0, 7]))
    found = load_images(path)
    np.testing.assert_array_equal(found.pixels, images)
    assert found.labels.tolist() == [7, 0, 7]
    path.write_text(csv_of(images))
    np.testing.assert_array_equal(load_images(path).pixels, images)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("", "holds no images"),
        ("label,pixel0\n", "holds no images"),
        ("1,2,3,4\n", "has no line of headings"),
        ("label,a,b,c\n1,2,3,4\n", "has 3 pixels in a line; no square has so many"),
        ("label,a,b,c,d\n1,2,3,4,256\n", "has pixels outside of 0 to 255"),
        ("label,a,b,c,d\n1,2,3,4,x\n", "cannot be read as CSV"),
        ("label,a,b,c,d\n1,2,3,4\n1,2,3,4,5\n", "cannot be read as CSV"),
        ("label,a\n-1,3\n2,4\n", "has labels outside of 0 to 255"),
        ("label,a\n99999,3\n2,4\n", "has labels outside of 0 to 255"),
        ("label\n3\n", "holds no pixels beside the labels"),
    ],
)
def test_a_csv_that_is_none(tmp_path, content, fault):
    path = tmp_path / "train.csv"
    path.write_text(content)
    assert fault in refusal(load_images, path)


def test_csv_as_other_programs_write_it(tmp_path):
    images, path = pixels(3, 4, 4), tmp_path / "TRAIN.CSV"
    text = csv_of(images, [7, 0, 7])
    for written in (text.encode("utf-8-sig"), text.replace("label", '"label"').encode()):
        path.write_bytes(written)
        assert load_images(path).labels.tolist() == [7, 0, 7]


def test_images_that_say_nothing(tmp_path):
    path = tmp_path / "data.npz"
    np.savez(path, images=np.full((3, 4, 4), 7, np.uint8))
    assert refusal(load_images, path) == (
        f"{path}: every pixel of every image is 7; there is nothing to learn"
    )
    np.savez(path, images=pixels(2, 1025, 1))
    assert refusal(load_images, path).endswith("at most 1024x1024 can be learned")


def test_one_idx_file(tiny_mnist):
    found = load_images(tiny_mnist / "train-images-idx3-ubyte")
    assert found.pixels.shape == (256, 28, 28)
    assert found.names == ("image",)


def test_mnist_and_its_relatives(tiny_mnist, tmp_path):
    assert load_images().names == DIGITS
    assert load_images(tiny_mnist).names == DIGITS
    (tmp_path / "Fashion-MNIST").symlink_to(tiny_mnist)
    assert load_images(tmp_path / "Fashion-MNIST").names == DIGITS  # a link has another name
    clothes = tmp_path / "my-fashion"
    clothes.mkdir()
    for path in tiny_mnist.iterdir():
        (clothes / path.name).write_bytes(path.read_bytes())
    assert load_images(clothes).names == CLOTHES


def test_only_pictures_are_resized(tmp_path):
    path = tmp_path / "data.npz"
    np.savez(path, images=pixels())
    message = refusal(load_images, path, size=7)
    assert message.endswith("images of 4x5 pixels; only pictures are brought to another size (7)")


def idx_folder(folder, images, labels):
    folder.mkdir()
    for name, array in (("images-idx3", images), ("labels-idx1", labels)):
        header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
        (folder / f"train-{name}-ubyte").write_bytes(header + array.tobytes())
    return folder


def test_idx_files_of_other_classes_or_of_nothing(tmp_path):
    letters = idx_folder(tmp_path / "letters", pixels(3, 28, 28), np.array([0, 25, 3], np.uint8))
    assert load_images(letters).names == tuple(map(str, range(26)))
    black = idx_folder(tmp_path / "black", np.zeros((3, 28, 28), np.uint8), np.zeros(3, np.uint8))
    assert refusal(load_images, black).endswith("there is nothing to learn")


def test_only_pictures_are_brought_to_another_size(tiny_mnist):
    for source, name in ((None, "MNIST"), (tiny_mnist, tiny_mnist)):
        assert refusal(load_images, source, 14) == (
            f"{name}: holds images of 28x28 pixels; only pictures are brought to another size (14)"
        )
        assert load_images(source, 28).pixels.shape[1:] == (28, 28)


def test_a_csv_file_with_quotes(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text('"label","a","b","c","d"\n"1","0","3","5","255"\n"0","1","2","3","4"\n')
    assert load_images(path).labels.tolist() == [1, 0]
    assert load_images(path).pixels.tolist() == [[[0, 3], [5, 255]], [[1, 2], [3, 4]]]


def test_what_is_not_grey_or_not_there(tmp_path):
    path = tmp_path / "data.npz"
    np.savez(path, images=np.zeros((2, 4, 4, 3), np.uint8))
    assert refusal(load_images, path).endswith(
        "holds 2x4x4x3 elements of uint8, not grey images (n, height, width) of uint8"
    )
    np.savez(path, images=np.zeros((0, 4, 4), np.uint8))
    assert refusal(load_images, path).endswith("holds no images")
