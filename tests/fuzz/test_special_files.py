"""What is no file stands in the place of one: every reader says so, and waits for nothing."""

import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import scratchgan as sg
from fuzz.test_data import IDX, LABELS, idx, picture
from fuzz.test_runs import CONFIG, settings_of
from scratchgan.data import DataError, load_images, read_idx, read_picture
from scratchgan.gan import Config, Run, RunError
from scratchgan.gan.checkpoints import read_checkpoint
from scratchgan.gan.sweep import _measures_in, read_sweep
from scratchgan.serialization import LoadError
from scratchgan.vision import datasets

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no pipes in folders")


def provide(path: Path, content: bytes) -> None:
    """Have a file there, where this user may."""
    with suppress(PermissionError):
        if not os.path.exists(path):
            path.write_bytes(content)


def in_run(name: str, read: Callable[[Run], Any]) -> tuple[str, Callable[[Path], Any]]:
    """A reader of a file of a run, whose settings are sound."""

    def prepared(path: Path) -> Any:
        if name != "config.json":
            provide(path.parent / "config.json", settings_of())
        return read(Run.open(path.parent))

    return name, prepared


def in_folder(name: str, **files: bytes) -> tuple[str, Callable[[Path], Any]]:
    """A reader of a folder of IDX files, of which all but one are sound."""

    def prepared(path: Path) -> Any:
        for other, content in files.items():
            provide(path.parent / other.replace("_", "-"), content)
        return load_images(path.parent)

    return name, prepared


IMAGES_28 = idx(LABELS.repeat(784).reshape(3, 28, 28))

READERS: dict[str, tuple[tuple[str, Callable[[Path], Any]], tuple[type[Exception], ...]]] = {
    "read_idx": (("x.idx", read_idx), (DataError,)),
    "npz": (("x.npz", load_images), (DataError,)),
    "csv": (("x.csv", load_images), (DataError,)),
    "one idx file": (("x-idx3-ubyte", load_images), (DataError,)),
    "picture": (("x.png", read_picture), (DataError,)),
    "folder of pictures": (("x.png", lambda path: load_images(path.parent)), (DataError,)),
    "default_loader": (("x.png", lambda path: datasets.default_loader(str(path))), (DataError,)),
    "mnist's images": (
        in_folder("train-images-idx3-ubyte", train_labels_idx1_ubyte=idx(LABELS)),
        (DataError,),
    ),
    "mnist's labels": (
        in_folder("train-labels-idx1-ubyte", train_images_idx3_ubyte=IMAGES_28),
        (DataError,),
    ),
    "load": (("x.pt", sg.load), (LoadError, OSError)),
    "recipe": (("x.toml", lambda path: Config.from_recipe(str(path))), (RunError,)),
    "sweep": (("x.toml", read_sweep), (RunError,)),
    "settings": (in_run("config.json", lambda run: None), (RunError,)),
    "generator": (in_run("generator.safetensors", Run.load_generator), (RunError,)),
    "discriminator": (in_run("discriminator.safetensors", Run.load_discriminator), (RunError,)),
    "checkpoint": (("step-00000001.safetensors", read_checkpoint), (RunError,)),
}


@pytest.fixture(autouse=True)
def awake() -> Iterator[None]:
    """A reader that waits for a pipe is woken, and fails."""

    def wake(*_: object) -> None:
        raise AssertionError("it waits")

    before = signal.signal(signal.SIGALRM, wake)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def stand_in(path: Path, kind: str) -> None:
    if kind == "a folder":
        path.mkdir()
    elif kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a link to nowhere":
        path.symlink_to("nowhere")
    elif kind == "a link to itself":
        path.symlink_to(path.name)
    elif kind == "a device without end":
        path.symlink_to("/dev/zero")
    elif kind == "nothing":
        path.write_bytes(b"")


KINDS = [
    "a folder",
    "a pipe",
    "a link to nowhere",
    "a link to itself",
    "a device without end",
    "nothing",
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_file_is_refused(tmp_path, reader, kind):
    (name, read), errors = READERS[reader]
    if (reader, kind) == ("recipe", "nothing"):
        return  # it has no settings, and all are the defaults
    stand_in(tmp_path / name, kind)
    with pytest.raises(errors) as caught:
        read(tmp_path / name)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root becomes nobody")
@pytest.mark.parametrize("reader", READERS)
def test_what_may_not_be_read_is_refused(reader):
    """A file, and the folder that it is in."""
    (name, read), errors = READERS[reader]
    # Those of pytest are closed to others.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(b"x")
        with suppress(*errors):
            read(path)  # who is nobody may not even import what that imports
        for closed in (path, path.parent):
            path.parent.chmod(0o755)
            closed.chmod(0)
            os.seteuid(65534)
            try:
                with pytest.raises(errors) as caught:
                    read(path)
            finally:
                os.seteuid(0)
            assert "\n" not in str(caught.value)
            assert "Permission denied" in str(caught.value) or "no " in str(caught.value)


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b", "\ud800", "é" * 200, "a/" * 3000])
@pytest.mark.parametrize("reader", READERS)
def test_names_that_no_file_has(tmp_path, reader, name):
    (ending, read), errors = READERS[reader]
    if (reader, name) == ("load", "a\0b"):
        errors = (ValueError,)  # Python's own, for such a name
    if ending in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "config.json"):
        return
    if ending.endswith("or.safetensors") or "folder" in reader:
        return
    with pytest.raises((*errors, ValueError)) as caught:
        read(tmp_path / (name + Path(ending).suffix))
    if name != "\ud800":
        assert isinstance(caught.value, errors), caught.value


def test_a_pipe_in_the_place_of_labels_that_nobody_reads(tmp_path):
    """They are looked at for what the classes are called."""
    (tmp_path / "train-images-idx3-ubyte").write_bytes(IMAGES_28)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(LABELS))
    os.mkfifo(tmp_path / "train-labels-notes")
    assert load_images(tmp_path).names[0] == "0"


def test_a_pipe_in_the_place_of_measures(tmp_path):
    (tmp_path / "config.json").write_bytes(settings_of())
    os.mkfifo(tmp_path / "evaluation.json")
    assert _measures_in(tmp_path, CONFIG) is None


def test_folders_that_lead_into_each_other(tmp_path):
    """2 to the power of 40 ways lead to the picture."""
    for number in range(40):
        folder = tmp_path / "dog" / f"{number:02d}"
        folder.mkdir(parents=True)
        for name in "ab":
            (folder / name).symlink_to(f"../{number + 1:02d}")
    (tmp_path / "dog" / "loop").symlink_to("..")
    (tmp_path / "dog" / "00" / "x.png").write_bytes(picture("PNG", "L"))
    data = datasets.ImageFolder(tmp_path)
    assert [os.path.relpath(path, tmp_path) for path, _ in data.samples] == ["dog/00/x.png"]
    assert load_images(tmp_path / "dog" / "00").pixels.shape == (1, 6, 5)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems allow no such names")
def test_names_are_shown_and_do_nothing(tmp_path):
    path = tmp_path / "\x1b[2J\nx.idx"
    path.write_bytes(IDX[0][:-1])
    with pytest.raises(DataError):
        read_idx(path)
