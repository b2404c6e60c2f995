"""A run that was stopped, in whatever way, ends with the bytes of one that never was."""

import errno
import json
import multiprocessing
import os
import random
import re
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scratchgan import files, serialization
from scratchgan.data import Images
from scratchgan.gan import Callback, Config, Diverged, Pace, Run, RunError, Trainer, train
from scratchgan.gan.checkpoints import Checkpoints, checkpoints_of, read_checkpoint, resume
from scratchgan.gan.signals import Stopped

#: 24 images of 3 by 2 pixels.
IMAGES = Images(
    np.random.default_rng(0).integers(0, 256, (24, 3, 2), np.uint8),
    (np.arange(24) % 3).astype(np.uint8),
    ("a", "b", "c"),
)
SMALL = Config.from_recipe(
    "seed",
    **{"epochs": 3, "batch_size": 4, "latent_dim": 2, "seed": 3},
    **{"generator_widths": (3,), "discriminator_widths": (3,)},
)
STEPS = SMALL.epochs * (24 // 4)
EVERY_STEP = Pace(steps=1)


class StopAt(Callback):
    """Asks the training to stop after a step."""

    def __init__(self, step):
        self.step = step

    def on_step_end(self, trainer, row):
        if trainer.step == self.step:
            raise Stopped(signal.SIGINT)


def content(run):
    """All files of a run that are the same for the same settings, by name."""
    paths = [path for path in run.folder.rglob("*") if path.is_file()]
    own = {path.relative_to(run.folder).as_posix(): path for path in paths}
    timed = [name for name in own if name.startswith("checkpoints/")] + ["timings.csv", ".lock"]
    found = {name: path.read_bytes() for name, path in own.items() if name not in timed}
    if page := found.get("report.html"):  # what was timed stands in a script of its own
        found["report.html"] = re.sub(rb'<script [^>]*id="timings">[^<]*</script>', b"", page)
    return found


def new_run(folder, config=SMALL):
    return Run.create(folder, config, IMAGES.subject)


def run_whole(folder, config=SMALL):
    run = new_run(folder, config)
    train(run, IMAGES)
    return content(run)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The files of a run that was never stopped."""
    return run_whole(tmp_path_factory.mktemp("whole") / "run")


def test_all_files_are_compared(whole):
    assert sorted(whole) == [
        *("config.json", "discriminator.safetensors", "generator.safetensors"),
        *("histograms/epoch-0003.json", "losses.png", "metrics.csv", "report.html"),
        *("samples/epoch-0001.png", "samples/epoch-0002.png", "samples/epoch-0003.png"),
        "training.gif",
    ]


# --- Stopped between two steps --------------------------------------------------------

CHOICES = {
    "objective": ["non-saturating", "relativistic", "wasserstein"],
    "penalty": ["none", "r1-r2"],
    "batch_norm": [False, True],
    "dropout": [0.0, 0.3],
    "spectral_norm": [False, True],
    "conditional": [False, True],
    "discriminator_steps": [1, 2],
    "ema_decay": [0.0, 0.9],
    "lr_schedule": ["constant", "cosine"],
    "jit": [False, True],
}


@settings(max_examples=settings().max_examples // 10)
@given(
    chosen=st.fixed_dictionaries({name: st.sampled_from(x) for name, x in CHOICES.items()}),
    stops=st.lists(st.integers(1, 17), max_size=3).map(sorted),
    pace=st.sampled_from([EVERY_STEP, Pace(steps=5), Pace(seconds=1e6)]),
)
def test_a_run_that_was_stopped_goes_on_as_if_not(tmp_path_factory, chosen, stops, pace):
    folder = tmp_path_factory.mktemp("stopped")
    config = replace(SMALL, **chosen)
    expected = run_whole(folder / "whole", config)
    run = new_run(folder / "run", config)
    for step in stops:
        with suppress(Stopped):
            train(run, IMAGES, [StopAt(step)], pace=pace)
    train(run, IMAGES, pace=pace)
    assert content(run) == expected


@pytest.mark.parametrize("step", [1, 5, 6, 7, 12, 17, 18])
def test_nothing_is_lost_when_it_is_asked_to_stop(tmp_path, step):
    """Just when an epoch ends, either."""
    run = new_run(tmp_path / "run")
    with pytest.raises(Stopped):
        train(run, IMAGES, [StopAt(step)], pace=Pace(seconds=1e6))
    assert [_step(path) for path in checkpoints_of(run)] == [step, 0]


def test_rows_are_neither_lost_nor_told_twice(tmp_path, monkeypatch):
    """Also those of evaluations, which an epoch that was cut short has none of."""
    monkeypatch.setattr("scratchgan.gan.trainer.LOG_EVERY", 4)
    monkeypatch.setattr("scratchgan.gan.vitals.LOG_EVERY", 4)
    found = type("Found", (), {"numbers": lambda self: {"recall": 0.5}})()
    monkeypatch.setattr("scratchgan.gan.callbacks.evaluate", lambda images, labels: found)
    config = replace(SMALL, evaluate_every=1)
    expected = run_whole(tmp_path / "whole", config)
    run = new_run(tmp_path / "run", config)
    for step in (3, 6, 8, 12, 16):
        with suppress(Stopped):
            train(run, IMAGES, [StopAt(step)])
    train(run, IMAGES)
    assert content(run) == expected
    steps = [line.split(b",")[0] for line in expected["metrics.csv"].splitlines()]
    assert steps == b"step 4 6 8 12 16 18".split()


def test_a_run_that_is_done_stays_as_it_is(whole, tmp_path):
    run = new_run(tmp_path / "run")
    train(run, IMAGES)
    told = []
    train(run, IMAGES, tell=told.append)
    assert content(run) == whole
    assert told == [f"Going on from step 18, as {checkpoints_of(run)[0]} has it"]


def test_the_newest_two_are_kept_and_those_asked_for(tmp_path):
    run = new_run(tmp_path / "run", replace(SMALL, epochs=5))
    train(run, IMAGES, pace=EVERY_STEP, keep_every=2)
    newest, ends_of_epochs = [30, 29], [24, 12]
    assert [_step(path) for path in checkpoints_of(run)] == newest + ends_of_epochs


@pytest.mark.parametrize("pace", [Pace(steps=7), Pace(seconds=0)])
def test_a_checkpoint_is_written_as_often_as_asked(tmp_path, pace):
    run = new_run(tmp_path / "run")
    seen = []

    class Look(Callback):
        def on_step_end(self, trainer, row):
            seen.append([_step(path) for path in checkpoints_of(run)[:1]])

    train(run, IMAGES, [Look()], pace=pace)
    newest = [found[0] if found else 0 for found in seen]  # before each step's own
    if pace.steps:
        assert newest == [0] * 7 + [7] * 7 + [14] * 4
    else:
        assert newest == list(range(STEPS))


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5", "s", "1e3", "ten", "5 s", "60S", "9" * 30])
def test_a_pace_that_is_none(text):
    with pytest.raises(RunError, match=r"checkpoint_every is .*; it must be a number of steps"):
        Pace.parse(text)


def test_paces():
    assert Pace.parse("500") == Pace(steps=500)
    assert Pace.parse("2.5s") == Pace(seconds=2.5)


# --- Killed ---------------------------------------------------------------------------


def _train_in_a_child(folder):
    """A training as a process of its own: a checkpoint after each step, and a slow disk."""
    flush = os.fsync

    def slow(descriptor):
        flush(descriptor)
        time.sleep(0.005)

    os.fsync = slow
    train(Run.open(folder), IMAGES, pace=EVERY_STEP)


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")
@pytest.mark.parametrize("seed", range(4))
def test_a_run_that_is_killed_at_any_moment_goes_on(whole, tmp_path, seed):
    """25 trainings, and 100 with all seeds, each killed at a random moment after a random step."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["scratchgan.gan", "tests.gan.test_checkpoints"])
    rng = random.Random(seed)
    killed = drafts = 0
    for number in range(25):
        run = new_run(tmp_path / f"{number}")
        child = context.Process(target=_train_in_a_child, args=(run.folder,))
        child.start()
        step = rng.randrange(STEPS)
        while child.is_alive() and not any(_step(path) >= step for path in checkpoints_of(run)):
            time.sleep(0.001)
        time.sleep(rng.uniform(0, 0.02))
        child.kill()
        child.join()
        killed += child.exitcode == -signal.SIGKILL
        drafts += bool(list((run.folder / "checkpoints").glob(".*.part")))
        train(run, IMAGES, pace=EVERY_STEP)
        assert content(run) == whole, f"run {number} ended with other bytes"
        shutil.rmtree(run.folder)
    # Most were at work when they were killed, and some within a checkpoint.
    assert killed > 12
    assert drafts > 0


def _step(path):
    return int(path.name[5:13])


def test_two_processes_do_not_train_one_run(tmp_path):
    run = new_run(tmp_path / "run")
    with run.locked(), pytest.raises(RunError, match="another process trains this run"):
        train(run, IMAGES)
    train(run, IMAGES)


def test_who_cannot_have_a_run_takes_nothing_of_it(tmp_path):
    """Not even of one that has no weights yet."""
    run = new_run(tmp_path / "run")
    with run.locked():
        assert run.discard_if_untrained()
        assert sorted(path.name for path in run.folder.iterdir()) == [".lock", "config.json"]
    assert not run.discard_if_untrained()
    assert not run.folder.exists()


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")
def test_a_run_that_is_killed_before_a_checkpoint_was_due_goes_on(whole, tmp_path):
    """Its weights are there, so that it is no new run either."""
    run = new_run(tmp_path / "run")
    child = multiprocessing.get_context("forkserver").Process(
        target=_train_until_killed, args=(run.folder,)
    )
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    assert run.is_trained()
    train(run, IMAGES)
    assert content(run) == whole


def _train_until_killed(folder):
    class Kill(Callback):
        def on_epoch_end(self, trainer):
            os.kill(os.getpid(), signal.SIGKILL)

    train(Run.open(folder), IMAGES, [Kill()])


# --- Damaged --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """The bytes of a checkpoint of the smallest game."""
    folder = tmp_path_factory.mktemp("checkpoint") / "run"
    config = replace(SMALL, generator_widths=(1,), discriminator_widths=(1,), latent_dim=1)
    run = new_run(folder, config)
    with suppress(Stopped):
        train(run, IMAGES, [StopAt(8)])
    return checkpoints_of(run)[0].read_bytes()


def test_a_byte_that_has_changed_is_detected(checkpoint, tmp_path):
    """Each byte in turn, in the header, the metadata and the weights."""
    rng = random.Random(0)
    path = tmp_path / "step-00000008.safetensors"
    for place in range(len(checkpoint)):
        damaged = bytearray(checkpoint)
        damaged[place] ^= rng.randrange(1, 256)
        path.write_bytes(damaged)
        with pytest.raises(RunError, match="is no checkpoint"):
            read_checkpoint(path)
    path.write_bytes(checkpoint)
    assert read_checkpoint(path)["training"]["step"] == 8


def test_a_file_that_was_cut_off_is_detected(checkpoint, tmp_path):
    path = tmp_path / "step-00000008.safetensors"
    for end in (*range(len(checkpoint)), None):
        path.write_bytes(checkpoint[:end] + b"\0" * (end is None))
        with pytest.raises(RunError, match="is no checkpoint"):
            read_checkpoint(path)


def stopped_run(folder, config=SMALL):
    run = new_run(folder, config)
    with suppress(Stopped):
        train(run, IMAGES, [StopAt(8)], pace=EVERY_STEP)
    return run


def damage(path):
    written = bytearray(path.read_bytes())
    written[len(written) // 2] ^= 1
    path.write_bytes(written)


def test_a_damaged_newest_is_named_and_the_one_before_taken(whole, tmp_path):
    run = stopped_run(tmp_path / "run")
    newest, before = checkpoints_of(run)
    damage(newest)
    told = []
    train(run, IMAGES, tell=told.append)
    assert told == [
        f"{newest}: is damaged, or is no checkpoint; it is left out",
        f"Going on from step 7, as {before} has it",
    ]
    assert content(run) == whole


def test_without_a_sound_one_nothing_is_trained(tmp_path):
    run = stopped_run(tmp_path / "run")
    for path in checkpoints_of(run):
        damage(path)
    before = content(run)
    with pytest.raises(RunError, match=r"no checkpoint is sound: .*step-00000008.*step-00000007"):
        train(run, IMAGES)
    assert content(run) == before


def test_checkpoints_that_cannot_be_listed_are_not_taken_for_none(tmp_path, monkeypatch):
    """By a network drive that has gone away, say; nothing is begun anew or removed."""
    run = new_run(tmp_path / "run")
    with pytest.raises(Stopped):
        train(run, IMAGES, [StopAt(2)])
    (run.folder / "generator.safetensors").unlink()
    before = content(run)

    def broken(_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patched:
        patched.setattr(os, "listdir", broken)
        patched.setattr(Path, "iterdir", broken)
        with pytest.raises(RunError, match="checkpoints: cannot be read \\(Input/output error\\)"):
            train(run, IMAGES)
        assert run.discard_if_untrained()
    assert content(run) == before


def test_weights_without_a_checkpoint_are_not_written_over(tmp_path):
    """As in a run of a version that wrote none."""
    run = stopped_run(tmp_path / "run")
    shutil.rmtree(run.folder / "checkpoints")
    before = content(run)
    with pytest.raises(RunError, match="has weights but no checkpoint"):
        train(run, IMAGES)
    assert content(run) == before


def rewritten(run, change):
    """The newest checkpoint, with a sound checksum, after ``change`` of what it holds."""
    path = checkpoints_of(run)[0]
    held = read_checkpoint(path)
    change(held)
    serialization.save(held, path)
    return path


FORGED = {
    "format": lambda held: held.pop("format"),
    "newer": lambda held: held.update(format=99),
    "config": lambda held: held.update(config=[]),
    "unknown setting": lambda held: held["config"].update(fun=1),
    "images": lambda held: held.update(images=3),
    "no game": lambda held: held["training"].pop("game"),
    "no step": lambda held: held["training"].pop("step"),
    "step beyond": lambda held: held["training"].update(step=10**9),
    "step below": lambda held: held["training"].update(step=-1),
    "text": lambda held: held["training"].update(step="8"),
    "rows": lambda held: held["training"].update(rows=[1, 2]),
    "row": lambda held: held["training"].update(row={"step": "x"}),
    "factor": lambda held: held["training"].update(lr_factor=7.0),
    "nan": lambda held: held["training"]["game"]["generator"]["0.weight"].fill_(float("nan")),
    "shape": lambda held: held["training"]["game"]["generator"].update(
        {"0.weight": held["training"]["game"]["generator"]["0.bias"]}
    ),
    "no weights": lambda held: held["training"]["game"].update(generator={}),
    "no state": lambda held: held["training"]["game"].update(generator_optimizer={}),
}


@pytest.mark.parametrize("change", FORGED.values(), ids=FORGED)
def test_a_forged_checkpoint_is_left_out(whole, tmp_path, change):
    """What a sound checksum does not say: that it is what a training wrote."""
    run = stopped_run(tmp_path / "run")
    path = rewritten(run, change)
    told = []
    train(run, IMAGES, tell=told.append)
    assert told[0].startswith(f"{path}: ")
    assert "\n" not in told[0]
    assert content(run) == whole


def test_other_settings_are_listed(tmp_path):
    run = stopped_run(tmp_path / "run")
    path = run.folder / "config.json"
    held = json.loads(path.read_text())
    path.write_text(json.dumps({**held, "lr": 0.5, "dropout": 0.25}))
    with pytest.raises(
        RunError, match=r"other settings: dropout is 0\.0, not 0\.25; lr is 0\.0002, not 0\.5$"
    ):
        train(Run.open(run.folder), IMAGES)


def test_other_images_are_refused(tmp_path):
    run = stopped_run(tmp_path / "run")
    others = IMAGES._replace(pixels=IMAGES.pixels[::-1])
    with pytest.raises(RunError, match="the images are not those that it was trained on"):
        train(run, others)


# --- Faults ---------------------------------------------------------------------------


@contextmanager
def full_disk(monkeypatch, at) -> Iterator[list[str]]:
    """A disk that is full from write number ``at`` on; yields the names that were to be written."""
    begun = []
    open_one = files.atomic_write

    @contextmanager
    def atomic_write(path):
        begun.append(path.name)
        with open_one(path) as file:
            yield file
            if len(begun) > at:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("scratchgan.gan.files.atomic_write", atomic_write)
        yield begun


def test_a_disk_that_is_full_at_any_write(whole, tmp_path, monkeypatch):
    pace = Pace(steps=4)
    with full_disk(monkeypatch, 10**9) as begun:
        train(new_run(tmp_path / "count"), IMAGES, pace=pace)
    names = list(begun)
    assert len(names) > 20
    for at, name in enumerate(names[1:]):
        run = new_run(tmp_path / str(at))
        with full_disk(monkeypatch, at) as begun, pytest.raises(RunError) as fault:
            train(run, IMAGES, pace=pace)
        assert f"{name}: cannot be written (No space left on device)" in str(fault.value)
        assert not list(run.folder.rglob("*.part"))
        train(run, IMAGES, pace=pace)
        assert content(run) == whole


def test_a_folder_that_vanishes(tmp_path):
    class Remove(Callback):
        def on_step_end(self, trainer, row):
            shutil.rmtree(tmp_path / "run", ignore_errors=True)

    with pytest.raises(RunError, match=r"cannot be (made|written)"):
        train(new_run(tmp_path / "run"), IMAGES, [Remove()], pace=EVERY_STEP)


def test_a_clock_that_is_set_back(tmp_path, monkeypatch):
    moments = iter(range(10**9, 0, -1000))
    monkeypatch.setattr(time, "time", lambda: next(moments))
    run = new_run(tmp_path / "run")
    train(run, IMAGES, pace=Pace(seconds=0))
    assert [_step(path) for path in checkpoints_of(run)] == [18, 17]


# --- Divergence -----------------------------------------------------------------------


@pytest.mark.parametrize("jit", [False, True])
def test_a_divergence_is_found_where_it_arises(tmp_path, jit):
    config = replace(SMALL, lr=1e30, jit=jit)
    run = new_run(tmp_path / "run", config)
    with np.errstate(all="ignore"), pytest.raises(Diverged) as fault:
        train(run, IMAGES, pace=EVERY_STEP)
    assert "the training diverged at step 1: an inf appears in 'linear" in str(fault.value)
    assert " of discriminator." in str(fault.value)
    assert "(Linear); take a lower learning rate than 1e+30" in str(fault.value)


def test_what_was_finite_stays(tmp_path, monkeypatch):
    """The checkpoint before the step that diverged."""
    poison_after(monkeypatch, 11)
    run = new_run(tmp_path / "run")
    with np.errstate(all="ignore"), pytest.raises(Diverged, match="diverged at step 12: a nan"):
        train(run, IMAGES, pace=EVERY_STEP)
    assert [_step(path) for path in checkpoints_of(run)] == [10, 9]


def poison_after(monkeypatch, step):
    """Have weights of D hold an inf after a step."""
    take = Trainer._take_step

    def poisoned(trainer, play, batch):
        moves = take(trainer, play, batch)
        if trainer.step == step:
            trainer.game.discriminator.state_dict()["1.weight"].fill_(float("inf"))
        return moves

    monkeypatch.setattr(Trainer, "_take_step", poisoned)


def test_a_divergence_far_from_what_was_kept(tmp_path, monkeypatch):
    """The steps in between are found again, though a GPU's losses are read but now and then."""
    poison_after(monkeypatch, 11)
    run = new_run(tmp_path / "run", replace(SMALL, epochs=1, batch_size=2))
    with np.errstate(all="ignore"), pytest.raises(Diverged, match="diverged at step 12: a nan"):
        train(run, IMAGES)


def test_a_divergence_goes_back_and_on(tmp_path):
    config = replace(SMALL, lr=3e3)
    run, told = new_run(tmp_path / "run", config), []
    with np.errstate(all="ignore"):
        with pytest.raises(Diverged):
            train(new_run(tmp_path / "stops", replace(config, lr=1e20)), IMAGES)
        train(run, IMAGES, pace=EVERY_STEP, on_divergence="restore", tell=told.append)
    assert read_checkpoint(checkpoints_of(run)[0])["training"]["step"] == STEPS
    run.load_generator()
    factors = [sentence for sentence in told if "going back" in sentence]
    factor = read_checkpoint(checkpoints_of(run)[0])["training"]["lr_factor"]
    assert factor == 0.5 ** len(factors)


def test_a_divergence_before_a_checkpoint_was_due_goes_back_to_the_beginning(tmp_path, monkeypatch):
    """There are weights by then, of the first epoch."""
    poison_after(monkeypatch, 8)
    run, told = new_run(tmp_path / "run"), []

    def tell(sentence):
        told.append(sentence)
        monkeypatch.undo()

    with np.errstate(all="ignore"):
        train(run, IMAGES, pace=Pace(seconds=1e6), on_divergence="restore", tell=tell)
    beginning = run.folder / "checkpoints" / "step-00000000.safetensors"
    assert told[1] == f"Going on from step 0, as {beginning} has it"
    assert read_checkpoint(checkpoints_of(run)[0])["training"]["lr_factor"] == 0.5


def test_what_diverges_again_and_again_is_given_up(tmp_path):
    run, told = new_run(tmp_path / "run", replace(SMALL, lr=1e38)), []
    with np.errstate(all="ignore"), pytest.raises(Diverged):
        train(run, IMAGES, on_divergence="restore", tell=told.append)
    assert len([sentence for sentence in told if "going back" in sentence]) == 10


# --- Earlier versions -----------------------------------------------------------------


def test_a_run_of_the_first_version_opens(tmp_path):
    """It had eight settings, and MNIST's shape and classes went without saying."""
    first = {
        **{"scratchgan": "0.1.0", "data": None, "epochs": 30, "batch_size": 64},
        **{"objective": "non-saturating", "latent_dim": 100, "lr": 2e-4, "seed": 0},
        **{"backend": "numba"},
    }
    (tmp_path / "config.json").write_text(json.dumps(first))
    run = Run.open(tmp_path)
    assert run.config == Config()
    assert run.subject.shape == (28, 28)
    assert run.subject.names == tuple("0123456789")


def test_nothing_but_the_state_is_needed(tmp_path):
    """A trainer of another process has drawn other numbers before."""
    run = stopped_run(tmp_path / "run")
    one, other = Trainer(SMALL, IMAGES), Trainer(SMALL, IMAGES)
    other.game.generator.state_dict()["0.weight"].zero_()
    for trainer in (one, other):
        assert resume(trainer, run).checkpoint == checkpoints_of(run)[0]
        trainer.run([Checkpoints(run, Pace(steps=10**6))])
    for name, tensor in one.game.generator.state_dict().items():
        np.testing.assert_array_equal(tensor, other.game.generator.state_dict()[name])
