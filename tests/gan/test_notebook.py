"""A training as a notebook shows it: what is published, and what is changed in place."""

import base64
import io
import re
import sys
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from scratchgan.data import Images
from scratchgan.gan import Callback, Config, NotebookDisplay, RunError, Trainer
from scratchgan.gan.sampling import GRID_ROWS
from scratchgan.viz.figures import grid

#: 24 images of 3 by 2 pixels.
IMAGES = Images(
    np.random.default_rng(0).integers(0, 256, (24, 3, 2), np.uint8),
    np.arange(24, dtype=np.uint8) % 2,
    ("a", "b"),
)
SMALL = {
    **{"data": "own", "epochs": 3, "batch_size": 4, "latent_dim": 2, "jit": False},
    **{"generator_widths": (3,), "discriminator_widths": (3,)},
}


@pytest.fixture
def shell(monkeypatch, tmp_path):
    """IPython, which keeps what it is asked to show."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    shells = pytest.importorskip("IPython.core.interactiveshell")
    from IPython.core.displaypub import CapturingDisplayPublisher
    from traitlets.config import Config as Settings

    settings = Settings()
    settings.HistoryManager.enabled = False
    kept = {name: getattr(sys, name) for name in ("excepthook", "displayhook")}
    shell = shells.InteractiveShell.instance(
        config=settings, user_module=ModuleType("notebook"), user_ns={}
    )
    shell.display_pub = CapturingDisplayPublisher()
    yield shell
    shells.InteractiveShell.clear_instance()
    shell.restore_sys_module_state()
    shell.builtin_trap.deactivate()
    for name, hook in kept.items():
        setattr(sys, name, hook)


class Seen(Callback):
    """Keeps the rows of metrics and the grids, as a training that shows nothing would."""

    def __init__(self):
        self.rows, self.grids = [], []

    def on_step_end(self, trainer, row):
        self.rows.append(trainer.row)

    def on_epoch_end(self, trainer):
        self.grids.append(grid(trainer.sample_grid(), GRID_ROWS))


def published(shell, kind):
    """What was shown of a kind, and whether each replaced what was there; all in one place."""
    found = [output for output in shell.display_pub.outputs if kind in output["data"]]
    assert len({output["transient"]["display_id"] for output in found}) == 1
    return [output["data"] for output in found], [output["update"] for output in found]


def cells(html):
    """The row of a table by its headings."""
    names, texts = (re.findall(rf"<{tag}>([^<]*)</{tag}>", html) for tag in ("th", "td"))
    return dict(zip(names, texts, strict=False))


@pytest.mark.parametrize("is_conditional", [False, True])
def test_a_cell_that_trains_shows_a_line_and_the_digits(shell, monkeypatch, is_conditional):
    monkeypatch.setattr("scratchgan.gan.notebook._REDRAW", -1.0)
    monkeypatch.setattr("scratchgan.gan.trainer.LOG_EVERY", 1)
    config, seen = Config.from_recipe("seed", **SMALL, conditional=is_conditional), Seen()
    shell.user_ns.update(trainer=Trainer(config, IMAGES), seen=seen)
    cell = "from scratchgan.gan import NotebookDisplay\ntrainer.run([seen, NotebookDisplay()])"
    shell.run_cell(cell).raise_error()

    lines, updates = published(shell, "text/html")
    assert updates == [False] + [True] * 17
    for step, (line, row) in enumerate(zip(lines, seen.rows, strict=True), start=1):
        shown = cells(line["text/html"])
        done = (step - 1) % 6 + 1
        assert (shown["epoch"], shown["step"]) == (f"{-(-step // 6)}/3", f"{done}/6")
        assert shown["loss D"] == f"{row['discriminator_loss']:.3f}"
        assert shown["loss G"] == f"{row['generator_loss']:.3f}"
        assert shown["D(x)"] == f"{row['d_real']:.2f}"
        assert shown["D(G(z))"] == f"{row['d_fake']:.2f}"
        assert (shown["images/s"] == "-") == (shown["time left"] == "-") == (done == 1)
        assert f"<progress value='{done}' max='6'>" in line["text/html"]
        for name, text in shown.items():
            assert not name or f"{name} {text}" in line["text/plain"]
    assert shown["time left"] == "0:00:00"

    pictures, updates = published(shell, "image/png")
    assert updates == [False, True, True]
    for picture, expected in zip(pictures, seen.grids, strict=True):
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(picture["image/png"]))))
        np.testing.assert_array_equal(pixels[::2, ::2], expected)
    assert len(expected) == (2 if is_conditional else 8) * (3 + 4)


def test_the_line_is_not_brought_up_to_date_in_every_step(shell, monkeypatch):
    monkeypatch.setattr("scratchgan.gan.notebook._REDRAW", 1e9)
    Trainer(Config.from_recipe("seed", **SMALL), IMAGES).run([NotebookDisplay()])
    lines, _ = published(shell, "text/html")
    assert [cells(line["text/html"])["step"] for line in lines] == ["6/6"] * 3


def test_it_changes_nothing_of_the_training(shell):
    config = Config.from_recipe("seed", **SMALL)
    shown, hidden = Trainer(config, IMAGES), Trainer(config, IMAGES)
    shown.run([NotebookDisplay()])
    hidden.run()
    weights = (trainer.game.generator.state_dict() for trainer in (shown, hidden))
    for ours, theirs in zip(*(w.values() for w in weights), strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


def test_where_there_is_no_notebook(monkeypatch):
    pytest.importorskip("IPython")
    with pytest.raises(RunError, match="IPython is not running; leave it out"):
        NotebookDisplay()
    monkeypatch.setitem(sys.modules, "IPython.core.getipython", None)
    with pytest.raises(RunError, match=r"there is none .*pip install notebook"):
        NotebookDisplay()
