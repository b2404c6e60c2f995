"""What TensorBoard gets is what the run has."""

import sys

import numpy as np
import pytest
from PIL import Image

from scratchgan.data import Images
from scratchgan.gan import Callback, Config, Run, RunError, train
from scratchgan.gan.signals import Stopped
from scratchgan.gan.tensorboard import TensorBoard

#: 24 images of 3 by 2 pixels.
IMAGES = Images(
    np.random.default_rng(0).integers(0, 256, (24, 3, 2), np.uint8),
    np.zeros(24, np.uint8),
    ("a",),
)
SMALL = Config.from_recipe(
    "seed",
    **{"data": "own", "epochs": 3, "batch_size": 4, "latent_dim": 2, "jit": False},
    **{"generator_widths": (3,), "discriminator_widths": (3,)},
)


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setattr("scratchgan.gan.trainer.LOG_EVERY", 4)
    monkeypatch.setattr("scratchgan.gan.vitals.LOG_EVERY", 4)
    return Run.create(tmp_path / "run", SMALL, IMAGES.subject)


def events(run):
    """All events that count: those of an earlier file, but for what a later one takes again."""
    from tensorboardX.event_file_writer import EventFileWriter  # noqa: F401, it must be there
    from tensorboardX.proto.event_pb2 import Event

    found = []
    for path in sorted((run.folder / "tensorboard").iterdir()):
        content, place = path.read_bytes(), 0
        while place < len(content):
            size = int.from_bytes(content[place : place + 8], "little")
            event = Event.FromString(content[place + 12 : place + 12 + size])
            place += 16 + size
            if event.HasField("session_log"):
                found = [each for each in found if each.step < event.step]
            found.extend([event] if event.HasField("summary") else [])
    return found


def scalars(run):
    return {
        (value.tag, event.step): value.simple_value
        for event in events(run)
        for value in event.summary.value
        if value.HasField("simple_value")
    }


class StopAt(Callback):
    def on_step_end(self, trainer, row):
        if trainer.step == 9:
            raise Stopped(2)


def check(run):
    rows = (run.folder / "metrics.csv").read_text().splitlines()
    names = rows[0].split(",")
    told = scalars(run)
    count = 0
    for row in rows[1:]:
        values = dict(zip(names, row.split(","), strict=True))
        for name in names[2:]:
            if values[name]:
                tag = name.replace(".", "/", 1)
                assert told[tag, int(values["step"])] == pytest.approx(
                    float(values[name]), rel=1e-5
                )
                count += 1
    # The seconds are told beside them.
    assert len(told) == count + len(rows) - 1
    kinds = [value for event in events(run) for value in event.summary.value]
    pictures = [value.image for value in kinds if value.HasField("image")]
    assert len(pictures) == SMALL.epochs
    with Image.open(run.sample_path(3)) as grid:
        assert (pictures[-1].width * 2, pictures[-1].height * 2) == grid.size
    histograms = [value for value in kinds if value.HasField("histo")]
    assert len(histograms) == SMALL.epochs * 8  # two layers of each, weights and biases


def test_what_a_run_has(run):
    train(run, IMAGES, [TensorBoard(run)])
    check(run)


def test_a_run_that_was_stopped_tells_nothing_twice(run):
    with pytest.raises(Stopped):
        train(run, IMAGES, [TensorBoard(run), StopAt()])
    train(run, IMAGES, [TensorBoard(run)])
    check(run)


def test_without_the_package_the_extra_is_named(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(RunError, match=r"pip install 'scratchgan\[tensorboard\]'"):
        TensorBoard(run)
