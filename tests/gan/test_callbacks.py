"""What is written while a training goes on."""

import csv
import math
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.image import imread
from PIL import Image

from scratchgan.gan import Config, Run, Trainer, load_images, writing_to
from scratchgan.gan.callbacks import Evaluation, MetricsTable
from scratchgan.gan.evaluation import Evaluation as Measures


@pytest.fixture
def run(tmp_path):
    return Run.create(tmp_path / "run", Config.from_recipe("seed"))


def at(step, epoch, *rows):
    """A trainer that is at this step."""
    within = step % 100 != 0
    return SimpleNamespace(step=step, epoch=epoch, rows=list(rows), is_within_epoch=within)


COLUMNS = ("step", "epoch", "discriminator_loss", "generator_loss", "d_real", "d_fake", "seconds")


def test_metrics(run):
    rows = (100, 1, 1.25, 0.1, 2 / 3, 0.5, 0.75), (1234567, 2, math.nan, 1e-7, 1.0, 0.0, 12345.678)
    MetricsTable(run).on_epoch_end(at(200, 2, *[dict(zip(COLUMNS, r, strict=True)) for r in rows]))
    assert (run.folder / "metrics.csv").read_bytes() == (
        b"step,epoch,discriminator_loss,generator_loss,d_real,d_fake\n"
        b"100,1,1.25,0.1,0.666667,0.5\n"
        b"1234567,2,nan,1e-07,1,0\n"
    )
    assert (run.folder / "timings.csv").read_bytes() == (
        b"step,seconds\n100,0.75\n1234567,12345.7\n"
    )


def test_metrics_before_there_are_any(run):
    MetricsTable(run).on_epoch_end(at(3, 1))
    assert (run.folder / "metrics.csv").read_text() == ",".join(COLUMNS[:-1]) + "\n"
    assert (run.folder / "timings.csv").read_text() == "step,seconds\n"


@pytest.mark.parametrize("conditional", [False, True])
def test_digits_are_judged_as_often_as_asked(tiny_mnist, tmp_path, monkeypatch, conditional):
    judged = []

    def judge(images, labels):
        judged.append(len(images))
        if conditional:
            np.testing.assert_array_equal(labels, np.repeat(np.arange(10), 1000))
        else:
            assert labels is None
        found = dict.fromkeys(Measures.__dataclass_fields__, 0.5)
        return Measures(**{**found, "n": 10, "classes": (0.1,) * 10})

    monkeypatch.setattr("scratchgan.gan.callbacks.evaluate", judge)
    config = Config.from_recipe(
        "seed",
        data=str(tiny_mnist),
        epochs=4,
        batch_size=64,
        latent_dim=3,
        evaluate_every=2,
        conditional=conditional,
    )
    run = Run.create(tmp_path / "judged", config)
    Trainer(config, load_images(config)).run(writing_to(run))
    assert judged == [10_000, 10_000]
    with (run.folder / "metrics.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["frechet_distance"]]
    assert [(row["step"], row["epoch"]) for row in rows] == [("8", "2"), ("16", "4")]
    assert rows[-1]["diversity"]  # both that is measured at the end of the last epoch are there
    assert {row["share_of_9"] for row in rows} == {"0.1"}
    assert all(row["discriminator_loss"] for row in rows)
    height, width, _ = imread(run.folder / "losses.png").shape
    assert height >= width  # with a third part, where there are two without


def test_an_evaluation_joins_the_row_of_its_step(monkeypatch):
    found = SimpleNamespace(numbers=lambda: {"recall": 0.5})
    monkeypatch.setattr("scratchgan.gan.callbacks.evaluate", lambda images, labels: found)
    trainer = at(100, 1, {"step": 100, "epoch": 1, "d_real": 0.75})
    trainer.row = trainer.rows[0]
    trainer.config = Config.from_recipe("seed")
    trainer.generate = lambda n, stream: np.zeros((n, 28, 28), np.uint8)
    Evaluation(1, n=10).on_epoch_end(trainer)
    assert trainer.rows == [{"step": 100, "epoch": 1, "d_real": 0.75, "recall": 0.5}]


def test_an_epoch_that_was_cut_short_is_not_judged(monkeypatch):
    monkeypatch.setattr("scratchgan.gan.callbacks.evaluate", lambda images, labels: 1 / 0)
    trainer = at(130, 2, {"step": 100, "epoch": 1, "d_real": 0.75})
    Evaluation(1, n=10).on_epoch_end(trainer)
    assert trainer.rows == [{"step": 100, "epoch": 1, "d_real": 0.75}]


def test_a_conditional_grid_has_a_row_for_each_class(tiny_mnist, tmp_path):
    config = Config.from_recipe(
        "seed", data=str(tiny_mnist), epochs=1, batch_size=256, latent_dim=3, conditional=True
    )
    run = Run.create(tmp_path / "run", config)
    Trainer(config, load_images(config)).run(writing_to(run))
    assert imread(run.sample_path(1)).shape == (10 * 64, 8 * 64)


def test_the_film_is_the_grids_and_rests_at_its_end(tiny_mnist, tmp_path):
    settings = {"data": str(tiny_mnist), "epochs": 3, "batch_size": 64, "latent_dim": 3}
    run = Run.create(tmp_path / "run", Config.from_recipe("seed", **settings))
    Trainer(run.config, load_images(run.config)).run(writing_to(run))
    with Image.open(run.folder / "training.gif") as film:
        assert film.n_frames == 3
        for epoch in (1, 2, 3):
            film.seek(epoch - 1)
            seen = np.asarray(film.convert("L")).astype(int)
            with Image.open(run.sample_path(epoch)) as grid:
                assert np.abs(seen - np.asarray(grid.convert("L"))).max() <= 8  # of 16 greys
            assert film.info["duration"] == (2000 if epoch == 3 else 60)
