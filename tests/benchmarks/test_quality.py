"""The comparison of GANs: its table, its twins of PyTorch's, and what it makes of results."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import scratchgan as sg
from benchmarks.quality import contenders, report
from benchmarks.quality import run as quality
from scratchgan.gan import OBJECTIVES, RECIPES, Game

TRIALS = contenders.trials()


def result(distance, seed=0):
    rng = np.random.default_rng(seed)
    first = {"frechet_distance": distance, "precision": 0.8, "recall": 0.9, "classes": [0.1] * 10}
    curve = [
        {"images": 60_000, "distance": distance * 4},
        {"images": 120_000, "distance": distance},
    ]
    digits = rng.integers(0, 256, (40, 28, 28)).astype(np.uint8)
    return {"first": first, "second": first, "curve": curve, "digits": digits}


def results(trials=TRIALS):
    about = {
        "machine": {
            **{"processor": "A", "cores": 2, "memory_bytes": 1 << 34, "system": "Linux x"},
            **{"python": "3.11", "load_before": 0.0},
        },
        **{"command": "python -m benchmarks quality", "date": "2026-01-01", "failures": {}},
    }
    made = [(trial, result(1.0 + trial.seed)) for trial in trials]
    paces = {
        c.name: [x / 120_000 for x in ((30, 31, 20) if c.package == "torch" else (9, 10, 99))]
        for c in contenders.contenders()
    }
    return report.Results(result(0.04), made, paces, about)


def test_every_objective_and_every_recipe_is_trained_with_each_seed():
    ours = [c for c in contenders.contenders() if c.package == "scratchgan"]
    assert {c.config.objective for c in ours} == set(OBJECTIVES)
    assert {c.recipe for c in ours} >= set(RECIPES)
    twins = {c.recipe for c in contenders.contenders() if c.package == "torch"}
    assert twins == set(RECIPES)
    assert len(TRIALS) == 3 * len(contenders.contenders())
    assert len({trial.folder for trial in TRIALS}) == len(TRIALS)
    assert {trial.config.seed for trial in TRIALS} == {0, 1, 2}


def test_objectives_are_compared_with_all_else_equal():
    by_name = {c.recipe: c.config for c in contenders.contenders() if c.package == "scratchgan"}
    base = by_name[contenders.BASE]
    for name, config in by_name.items():
        if name.startswith(f"{contenders.BASE}: "):
            same = replace(config, objective=base.objective, penalty=base.penalty)
            assert same == base


def test_the_table_has_means_spreads_and_the_distance_at_equal_time():
    table = report.quality(results())
    row = next(line for line in table.splitlines() if line.startswith("| seed |"))
    # Distances 1, 2 and 3 at 10 seconds, which is the shortest training.
    assert row.startswith("| seed | 2 ± 1 | 2 ± 1 | 0.80 ± 0.00 | 0.90 ± 0.00 | 10.0 ± 0.0% |")
    assert "distance after 10 s" in table
    assert row.endswith("| 10 ± 0 | 2 ± 1 |")
    # Halfway between its points, whose distances are 4 and 1, PyTorch's is their geometric mean.
    twin = results().of("torch")["seed"][0]
    assert report.distance_at(twin, 22.5) == pytest.approx(2.0)


def test_parity_says_how_far_apart_and_how_far_the_seeds_are():
    row = next(line for line in report.parity(results()).splitlines() if "| seed" in line)
    assert row == "| seed | 2 ± 1 | 2 ± 1 | 0 | 2 | 3.00 |"


def test_pictures_and_tables_are_written_of_what_there_is(tmp_path):
    report.write(tmp_path, results([]))
    assert [path.name for path in tmp_path.iterdir()] == ["quality.md"]
    report.write(tmp_path, results(TRIALS[:3]))
    for name in ("curves.png", "digits.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    assert "120,000 images each, mean of 1 seeds" in (tmp_path / "quality.md").read_text()


@pytest.fixture
def trainings(tmp_path, monkeypatch):
    """Has trainings and judges leave something at once; the list of what was trained."""
    done = []
    measured = result(1.0)["first"]

    def fake(*arguments):
        *_, script, first, folder = arguments
        if script.endswith("pace"):
            return SimpleNamespace(output="1e-6\n")
        where = Path(folder)
        if script.endswith("judges"):
            judged = {"first": measured, "second": measured}
            (where / "measures.json").write_text(json.dumps(judged))
            return
        if json.loads(first)["objective"] == "hinge":
            raise RuntimeError("python failed:\nRunError: the training diverged")
        done.append(where.name)
        np.save(where / "digits.npy", np.zeros((40, 28, 28), np.uint8))
        point = {"images": 1.0, "distance": 1.0}
        (where / "curve.json").write_text(json.dumps([point]))

    monkeypatch.setattr(quality.process, "run", fake)
    monkeypatch.setattr(quality, "find_spec", lambda name: True)
    return done


def test_it_goes_on_where_it_was_and_a_failure_stops_nothing(tmp_path, trainings, monkeypatch):
    failed = quality.run(tmp_path, True, "command", lambda text: None)
    all_but_hinge = [t.folder for t in contenders.trials(True) if t.config.objective != "hinge"]
    assert trainings == all_but_hinge
    assert failed == len(contenders.trials(True)) - len(all_but_hinge) > 0
    assert "failed: RunError: the training diverged" in (tmp_path / "quality.md").read_text()

    trainings.clear()
    (tmp_path / "trainings" / all_but_hinge[1] / "measures.json").unlink()
    settings = tmp_path / "trainings" / all_but_hinge[2] / "settings.json"
    settings.write_text(settings.read_text().replace('"epochs": 1', '"epochs": 2'))
    quality.run(tmp_path, True, "command", lambda text: None)
    assert trainings == all_but_hinge[1:3]  # what was cut short, and what had other settings


@pytest.fixture
def doubles():
    torch = pytest.importorskip("torch")
    sg.set_default_dtype(np.float64)
    torch.set_default_dtype(torch.float64)
    yield
    sg.set_default_dtype(np.float32)
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("conditional", [False, True], ids=["free", "conditional"])
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_step_of_the_twin_is_a_step_of_the_game(doubles, recipe, conditional):
    """From the same weights, images and noise, and without what is drawn by chance.

    Where a gradient is 0 but for rounding, as those of the last bias of a critic and of a bias
    before a batch norm are, Adam makes a whole step of float32's rounding. Float64's is far below
    its epsilon.
    """
    import torch

    from benchmarks.quality.with_torch import Twin
    from scratchgan.gan import Config

    config = Config.from_recipe(recipe, batch_size=16, dropout=0.0, conditional=conditional)
    if config.penalty == "gradient":  # its places are drawn
        config = replace(config, penalty="r1")
    sg.manual_seed(0)
    game, twin = Game(config), Twin(config)
    for ours, theirs in (
        (game.generator, twin.generator),
        (game.average, twin.average),
        (game.discriminator, twin.discriminator),
    ):
        state = {k: torch.from_numpy(t.numpy().copy()) for k, t in ours.state_dict().items()}
        theirs.load_state_dict(state)
    rng = np.random.default_rng(0)
    size = config.batch_size * config.discriminator_steps
    for _ in range(3):
        real = rng.uniform(-1, 1, (size, 784))
        d_noise = rng.standard_normal((size, config.latent_dim))
        g_noise = rng.standard_normal((config.batch_size, config.latent_dim))
        labels = rng.integers(0, 10, size)
        here = game.step(
            sg.tensor(real.reshape(-1, 1, 28, 28)),
            *(sg.tensor(d_noise), sg.tensor(g_noise)),
            sg.tensor(labels) if conditional else None,
        )
        there = twin.step(*map(torch.from_numpy, (real, d_noise, g_noise, labels)))
        losses = [here.discriminator_loss.item(), here.generator_loss.item()]
        assert losses == pytest.approx([x.item() for x in there], rel=1e-6, abs=1e-9)
    for ours, theirs in zip(game.average.parameters(), twin.average.parameters(), strict=True):
        apart = np.abs(ours.numpy(force=True) - theirs.detach().numpy())
        assert apart.max() < 0.01 * config.lr
