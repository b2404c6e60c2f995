"""Sweeps: which trials there are, that one which fails stops nothing, and that one goes on."""

import json
import sys
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from scratchgan.gan import Config, Run, RunError, sweep
from scratchgan.gan.sweep import Result, best, read_sweep, run_sweep, run_trial


def plan(tmp_path, text):
    path = tmp_path / "sweep.toml"
    path.write_text(text)
    return path


def test_a_grid_is_every_combination(tmp_path):
    text = """
        recipe = "seed"
        [settings]
        epochs = 2
        [vary]
        lr = [1e-3, 1e-4]
        generator_widths = [[3], [4, 5]]
        objective = ["hinge", "minimax"]
    """
    trials = read_sweep(plan(tmp_path, text))
    assert len(trials) == len({trial.name for trial in trials}) == 8
    for trial in trials:
        rest = {"lr": 2e-4, "generator_widths": (128, 256), "objective": "non-saturating"}
        assert replace(trial.config, **rest) == Config.from_recipe("seed", epochs=2)
    assert {t.config.generator_widths for t in trials} == {(3,), (4, 5)}
    assert trials[0].name == "001-lr=0.001-generator_widths=3-objective=hinge"


def test_a_random_search_is_decided_by_its_seed(tmp_path):
    text = """
        recipe = "seed"
        search = "random"
        trials = 200
        seed = {}
        [vary]
        lr = {{ low = 1e-4, high = 1e-2, log = true }}
        dropout = {{ low = 0.1, high = 0.3 }}
        batch_size = {{ low = 3, high = 5 }}
        latent_dim = {{ low = 1, high = 100, log = true }}
        objective = ["hinge", "minimax"]
    """
    first, again, other = (read_sweep(plan(tmp_path, text.format(seed))) for seed in (0, 0, 1))
    assert first == again != other
    rates = sorted(trial.config.lr for trial in first)
    assert 1e-4 <= rates[0] < 1.2e-4
    assert 0.8e-2 < rates[-1] <= 1e-2
    assert 0.6e-3 < rates[100] < 1.6e-3  # half of them below the middle of the log scale
    assert all(0.1 <= trial.config.dropout <= 0.3 for trial in first)
    sizes = Counter(trial.config.batch_size for trial in first)
    assert set(sizes) == {3, 4, 5}
    assert min(sizes.values()) > 40
    assert all(type(trial.config.latent_dim) is int for trial in first)
    assert {trial.config.objective for trial in first} == {"hinge", "minimax"}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("lr = ", "is no TOML"),
        ("turbo = 1", "there is no 'turbo' in a sweep"),
        ("\ufeffturbo = 1", "there is no 'turbo' in a sweep"),
        ("a = " + "[" * 5000, "is no TOML"),
        ("settings = 3", "settings is 3; it must be a table"),
        ("recipe = 3", "recipe is 3; it must be a text"),
        ("seed = true", "seed is True; it must be an integer"),
        ("[settings]\nturbo = 1\n[vary]\nlr = [3]", "there is no setting 'turbo'"),
        ("search = 'random'\n[vary]\nlr = {low = 0.1, high = inf}", "goes from 0.1 to inf"),
        ("search = 'random'\n[vary]\nseed = {low = 0, high = 18446744073709551615}", "goes from 0"),
        ("", "nothing is varied; give a table [vary]"),
        ("[vary]\nlr = 3", "vary.lr is 3; a grid takes a list of values"),
        ("[vary]\nlr = []", "vary.lr is []; a grid takes a list of values"),
        ("[vary]\nturbo = [3]", "turbo"),
        ("[vary]\nlr = [-3]", "lr is -3; it must be a number above 0"),
        ("recipe = 'cake'\n[vary]\nlr = [3]", "there is no recipe 'cake'"),
        ("search = 'luck'\n[vary]\nlr = [3]", "search is 'luck'; it must be grid or random"),
        ("search = 'random'\ntrials = 0\n[vary]\nlr = [3]", "trials is 0; it must be"),
        ("search = 'random'\nseed = -1\n[vary]\nlr = [3]", "seed is -1; it must be"),
        ("search = 'random'\n[vary]\nlr = 3", "vary.lr is 3; give a list, or low and high"),
        ("search = 'random'\n[vary]\nlr = {low = 3, high = 2}", "vary.lr goes from 3 to 2"),
        ("search = 'random'\n[vary]\nlr = {low = 0, high = 2, log = true}", "must be above 0"),
        (f"[vary]\nseed = {list(range(200))}\nlr = {[1.0] * 200}", "the grid has 40,000 trials"),
    ],
)
def test_a_sweep_that_is_none(tmp_path, text, fault):
    path = plan(tmp_path, text)
    with pytest.raises(RunError) as caught:
        read_sweep(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert fault in str(caught.value)


def test_a_sweep_that_is_nowhere(tmp_path):
    with pytest.raises(RunError, match="cannot be read"):
        read_sweep(tmp_path / "nowhere.toml")


@pytest.fixture
def trials(tmp_path, tiny_mnist):
    """Two, of which the second asks for more images than there are."""
    text = f"""
        recipe = "seed"
        [settings]
        data = "{tiny_mnist}"
        epochs = 1
        latent_dim = 3
        [vary]
        batch_size = [64, 300]
    """
    return read_sweep(plan(tmp_path, text))


def test_a_trial_that_fails_stops_nothing_and_what_was_done_is_kept(trials, tmp_path):
    folder = tmp_path / "out"
    results = {r.trial.config.batch_size: r for r in run_sweep(trials, folder, workers=2)}
    assert results[64].measures["n"] == 10_000
    assert results[64].measures["frechet_distance"] > 1
    assert results[300].measures is None
    assert results[300].fault.startswith("batch_size is 300, but ")
    assert best(results.values(), lambda m: m["frechet_distance"]) is results[64]
    run = Run.open(folder / trials[0].name)
    assert run.config == trials[0].config

    weights = (run.folder / "generator.safetensors").stat().st_mtime_ns
    again = run_trial(trials[0], folder)
    assert again.measures == results[64].measures
    assert (run.folder / "generator.safetensors").stat().st_mtime_ns == weights


def test_what_was_cut_short_or_is_another_trial_is_done_anew(trials, tmp_path):
    trial = trials[1]  # which fails at once, so that one sees that it was tried
    run = Run.create(tmp_path / trial.name, trial.config)
    assert run_trial(trial, tmp_path).measures is None
    assert "batch_size is 300" in run_trial(trial, tmp_path).fault
    run = Run.create(tmp_path / trial.name, replace(trial.config, seed=9))
    assert "batch_size is 300" in run_trial(trial, tmp_path).fault
    run = Run.create(tmp_path / trial.name, trial.config)
    (run.folder / "evaluation.json").write_text(json.dumps({"frechet_distance": 0}))
    assert run_trial(trial, tmp_path).measures == {"frechet_distance": 0}


@pytest.mark.parametrize(
    "left", [[], [".0123456789abcdef.part"], [".lock", ".ab.part", ".cd.part"]]
)
def test_what_was_killed_before_it_had_written_its_settings_is_done_anew(left, trials, tmp_path):
    folder = tmp_path / trials[1].name
    folder.mkdir()
    for name in left:
        (folder / name).touch()
    assert "batch_size is 300" in run_trial(trials[1], tmp_path).fault


def test_what_another_trial_has_done_is_not_removed(trials, tmp_path):
    trial = trials[1]
    run = Run.create(tmp_path / trial.name, replace(trial.config, seed=9))
    (run.folder / "evaluation.json").write_text(json.dumps({"frechet_distance": 0}))
    assert "holds something else than this trial" in run_trial(trial, tmp_path).fault
    (run.folder / "config.json").unlink()
    (run.folder / "evaluation.json").rename(run.folder / "thesis.tex")
    assert "holds something else than this trial" in run_trial(trial, tmp_path).fault
    assert (run.folder / "thesis.tex").exists()


def test_images_that_cannot_be_judged_are_not_trained_on(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (64, 8, 8), np.uint8)
    np.savez(tmp_path / "small.npz", images=images)
    text = f"[settings]\ndata = '{tmp_path / 'small.npz'}'\n[vary]\nbatch_size = [8]\n"
    (trial,) = read_sweep(plan(tmp_path, text))
    assert (
        "only MNIST's ten digits of 28x28 pixels can be judged" in run_trial(trial, tmp_path).fault
    )
    assert not (tmp_path / trial.name).exists()


def test_an_interrupted_sweep_ends_its_trainings_and_goes_on(trials, tmp_path, monkeypatch):
    long = [replace(trials[0], config=replace(trials[0].config, epochs=10**6)), trials[1]]
    results = run_sweep(long, tmp_path / "out", workers=2)
    assert next(results).measures is None  # the other goes on
    with pytest.raises(KeyboardInterrupt):
        results.throw(KeyboardInterrupt())  # it waits for them, and a million epochs take weeks
    assert not (tmp_path / "out" / long[0].name / "evaluation.json").exists()
    again = dict(enumerate(run_sweep(trials, tmp_path / "out", workers=1)))
    assert sorted(result.measures is None for result in again.values()) == [False, True]


def test_no_training_begins_once_it_was_interrupted(trials, tmp_path):
    """Also where a thread was about to begin one at that moment."""
    children = sweep._Children()
    children.end()
    result = run_trial(trials[0], tmp_path, children=children)
    assert result.measures is None
    assert list(tmp_path.iterdir()) == [tmp_path / "sweep.toml"]


def test_a_run_that_another_process_trains_is_not_removed(trials, tmp_path):
    """One that a sweep left behind when it was killed, say."""
    run = Run.create(tmp_path / trials[0].name, trials[0].config)
    with run.locked():
        result = run_trial(trials[0], tmp_path)
    assert result.fault == f"{run.folder}: another process trains this run"
    assert Run.open(run.folder).config == trials[0].config


def test_of_two_sweeps_in_one_folder_one_waits_for_nothing(trials, tmp_path):
    first = run_sweep(trials[1:] * 2, tmp_path / "out", workers=1)
    assert next(first).measures is None
    with pytest.raises(RunError, match="out: another process runs a sweep there"):
        next(run_sweep(trials, tmp_path / "out"))
    assert len(list(first)) == 1
    assert len(list(run_sweep(trials[1:], tmp_path / "out"))) == 1


def test_a_file_in_the_place_of_a_run(trials, tmp_path):
    (tmp_path / trials[0].name).touch()
    assert "holds something else than this trial" in run_trial(trials[0], tmp_path).fault


def test_a_process_that_cannot_be_started(trials, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nowhere"))
    fault = run_trial(trials[0], tmp_path).fault
    assert fault == "its process cannot be started (No such file or directory)"


def test_where_all_failed_there_is_no_best(trials):
    assert best([Result(trials[0], None, "bad luck")], lambda m: m["recall"]) is None


def test_a_folder_that_cannot_be_made(trials, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="cannot be made"):
        list(run_sweep(trials, tmp_path / "file" / "sweep"))


def test_a_cluster(trials, tmp_path):
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None
    ) as cluster:
        results = list(run_sweep(trials, tmp_path / "out", scheduler=cluster.scheduler_address))
    assert sorted(result.measures is None for result in results) == [False, True]
