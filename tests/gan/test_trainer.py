"""Training: a function of the settings, that writes all it should, also when it is cut short."""

import copy
import csv
import os
import signal
import threading
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.image import imread
from safetensors.numpy import load_file

import scratchgan as sg
from scratchgan.gan import (
    Callback,
    Config,
    Game,
    Run,
    RunError,
    Trainer,
    load_images,
    writing_to,
)
from scratchgan.gan.signals import Stopped, ends_tidily, stops_between_steps

FILES = ["config.json", "discriminator.safetensors", "generator.safetensors"]
FILES += ["histograms", "losses.png", "metrics.csv", "report.html", "samples", "timings.csv"]
FILES += ["training.gif"]

# Some tests here send signals.
pytestmark = pytest.mark.usefixtures("usual_signals")

STEPS_PER_EPOCH = 256 // 4


class Watching(Callback):
    """Calls a function after each step with the step and its metrics."""

    def __init__(self, watch):
        self.watch = watch

    def on_step_end(self, trainer, row):
        self.watch(trainer.step, row)


def train(run, images, *watches):
    """Train as the settings of a run say, with all of its files."""
    watching = [Watching(watch) for watch in watches]
    Trainer(run.config, images).run([*writing_to(run), *watching])


@pytest.fixture(scope="module")
def config(tiny_mnist):
    return Config.from_recipe(
        "seed", data=str(tiny_mnist), epochs=4, batch_size=4, latent_dim=3, seed=5
    )


@pytest.fixture(scope="module")
def images(config):
    return load_images(config)


@pytest.fixture(scope="module")
def whole_run(config, images, tmp_path_factory):
    """A run to the end, and what was seen while it ran."""
    seen = []
    run = Run.create(tmp_path_factory.mktemp("training") / "run", config)
    train(run, images, lambda step, metrics: seen.append((step, metrics)))
    return run, seen


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


def rows(run):
    with (run.folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def results(run):
    """All that a training made, but for the time that it took."""
    paths = [*run.folder.glob("*.safetensors"), *run.folder.glob("*/*-*.*")]
    files = {path.relative_to(run.folder).as_posix(): path.read_bytes() for path in paths}
    return files, rows(run)


def test_all_files_are_written(whole_run):
    run, _ = whole_run
    assert names(run.folder) == FILES
    assert names(run.folder / "samples") == [f"epoch-000{i}.png" for i in (1, 2, 3, 4)]
    assert imread(run.sample_path(4)).shape == (512, 512)


def test_metrics_every_100_steps_and_where_the_game_was_measured(whole_run):
    run, seen = whole_run
    table = rows(run)

    steps = [(int(row["step"]), int(row["epoch"])) for row in table]
    assert steps == [(100, 2), (128, 2), (200, 4), (256, 4)]
    assert [row["step"] for row in table if row["diversity"]] == ["128", "256"]
    assert names(run.folder / "histograms") == ["epoch-0002.json", "epoch-0004.json"]
    for row in table:
        d_loss, g_loss, d_real, d_fake = (
            float(row[name])
            for name in ("discriminator_loss", "generator_loss", "d_real", "d_fake")
        )
        assert 0 < d_real < 1
        assert 0 < d_fake < 1
        # The logarithm is concave: -log of a mean is the least that the mean of -log can be.
        assert d_loss >= -np.log(d_real) - np.log(1 - d_fake)
        assert g_loss > 0
    with (run.folder / "timings.csv").open(newline="") as file:
        timings = list(csv.DictReader(file))
    assert [row["step"] for row in timings] == ["100", "128", "200", "256"]
    assert 0 < float(timings[0]["seconds"]) < float(timings[1]["seconds"])

    assert [step for step, _ in seen] == list(range(1, 257))
    read = {row["step"]: row for _, row in seen if row}
    assert list(read) == [64, 100, 128, 192, 200, 256]
    assert [row["epoch"] for row in read.values()] == [1, 2, 2, 3, 4, 4]
    assert f"{read[100]['generator_loss']:.6g}" == table[0]["generator_loss"]


def test_a_run_is_a_function_of_its_settings(whole_run, config, images, tmp_path):
    first, _ = whole_run
    sg.manual_seed(123)  # whatever was drawn before

    again = Run.create(tmp_path / "again", config)
    train(again, images)

    assert results(again) == results(first)


@pytest.mark.parametrize(
    "change", [{"seed": 6}, {"objective": "minimax"}, {"lr": 1e-4}, {"batch_size": 8}]
)
def test_every_setting_matters(whole_run, config, images, tmp_path, change):
    first, _ = whole_run
    other = Run.create(tmp_path, replace(config, **change))
    train(other, images)

    before, after = (load_file(run.folder / "generator.safetensors") for run in (first, other))
    assert all((before[name] != after[name]).any() for name in before)


def test_jit_changes_speed_and_not_the_training(config, images, tmp_path):
    weights = []
    for jit in (True, False):
        run = Run.create(tmp_path / str(jit), replace(config, jit=jit))
        train(run, images)
        weights.append(load_file(run.folder / "generator.safetensors"))
    for name, replayed in weights[0].items():
        np.testing.assert_allclose(replayed, weights[1][name], atol=1e-5)


def test_every_move_has_noise_of_its_own_and_every_epoch_an_order(config, images, monkeypatch):
    real_seen, noise_seen = [], []
    step = Game.step

    def watched(game, real, d_noise, g_noise, labels=None):
        real_seen.append(real.numpy().copy())
        noise_seen.extend([d_noise.numpy().copy(), g_noise.numpy().copy()])
        return step(game, real, d_noise, g_noise, labels)

    monkeypatch.setattr(Game, "step", watched)
    Trainer(replace(config, epochs=2, jit=False), images).run()

    assert len(np.unique(np.concatenate(noise_seen), axis=0)) == 2 * 2 * 256
    first, second = np.concatenate(real_seen).reshape(2, 256, 784)
    assert (first != second).any()
    np.testing.assert_array_equal(np.unique(first, axis=0), np.unique(second, axis=0))
    assert len(np.unique(first, axis=0)) == 256


def test_what_draws_is_made_anew_after_a_step(config, images):
    drawn = []

    class Draw(Callback):
        def on_step_end(self, trainer, row):
            if trainer.step in (3, 4):
                noise = sg.randn(2, 3, generator=sg.Generator(0))
                drawn.append(trainer.samples(noise))
                assert (trainer.samples(noise) == drawn[-1]).all()
                states.append(copy.deepcopy(trainer.state_dict()))

    states = []
    trainer = Trainer(replace(config, epochs=1), images)
    trainer.run([Draw()])
    assert (drawn[0] != drawn[1]).any()
    for state, expected in zip(states, drawn, strict=True):
        trainer.load_state_dict(state)
        noise = sg.randn(2, 3, generator=sg.Generator(0))
        np.testing.assert_array_equal(trainer.samples(noise), expected)


# --- Cut short ------------------------------------------------------------------------


def interrupted(run, images, watch):
    with pytest.raises(KeyboardInterrupt):
        train(run, images, watch)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    return run


def at_step(chosen, action):
    def watch(step, metrics):
        assert step <= chosen, "the training went on"
        if step == chosen:
            action()

    return watch


def press_ctrl_c():
    os.kill(os.getpid(), signal.SIGINT)


def terminate():
    os.kill(os.getpid(), signal.SIGTERM)


def close_the_terminal():
    os.kill(os.getpid(), signal.SIGHUP)


def ask():
    raise Stopped(signal.SIGINT)


@pytest.mark.parametrize("interrupt", [press_ctrl_c, terminate, close_the_terminal, ask])
def test_an_interrupted_run_has_everything_until_then(
    whole_run, config, images, tmp_path, interrupt
):
    run = Run.create(tmp_path, config)
    interrupted(run, images, at_step(130, interrupt))

    assert names(run.folder) == FILES
    assert names(run.folder / "samples") == [f"epoch-000{i}.png" for i in (1, 2, 3)]
    assert [row["step"] for row in rows(run)] == ["100", "128"]
    files, table = results(run)
    whole_files, whole_table = results(whole_run[0])
    assert table == whole_table[:2]
    for name in ("samples/epoch-0001.png", "samples/epoch-0002.png"):
        assert files[name] == whole_files[name]
    for name in ("samples/epoch-0003.png", "generator.safetensors"):
        assert files[name] != whole_files[name]


def test_ctrl_c_cuts_no_step_in_half(config, images, tmp_path, monkeypatch):
    """Pressed while G moves, it leaves what a press after that step leaves."""
    config = replace(config, jit=False)
    after = Run.create(tmp_path / "after", config)
    interrupted(after, images, at_step(3, press_ctrl_c))

    moves = []
    step_of_g = Game.generator_step

    def pressed_in_the_middle(game, noise, *others):
        moves.append(noise)
        if len(moves) == 3:
            press_ctrl_c()
        return step_of_g(game, noise, *others)

    monkeypatch.setattr(Game, "generator_step", pressed_in_the_middle)
    during = Run.create(tmp_path / "during", config)
    interrupted(during, images, at_step(4, lambda: None))

    assert len(moves) == 3
    assert results(during) == results(after)


def test_a_second_ctrl_c_strikes_at_once():
    with stops_between_steps():
        press_ctrl_c()
        with pytest.raises(KeyboardInterrupt):
            press_ctrl_c()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("interrupt", [press_ctrl_c, terminate, close_the_terminal])
def test_a_signal_after_the_last_step_is_not_lost(config, images, tmp_path, interrupt):
    """It comes while the last files are written; they are, all of them."""

    class AtTheEnd(Callback):
        def on_train_end(self, trainer):
            interrupt()

    run = Run.create(tmp_path, replace(config, epochs=1))
    with pytest.raises(Stopped):
        Trainer(run.config, images).run([AtTheEnd(), *writing_to(run)])
    assert names(run.folder) == FILES


def test_a_command_ends_tidily_by_any_signal():
    for number in (signal.SIGTERM, signal.SIGHUP):
        with pytest.raises(SystemExit) as ended, ends_tidily():
            os.kill(os.getpid(), number)
        assert ended.value.code == 128 + number
        assert signal.getsignal(number) is signal.SIG_DFL
        with ends_tidily(), pytest.raises(Stopped), stops_between_steps() as stop_if_asked:
            os.kill(os.getpid(), number)
            stop_if_asked()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with ends_tidily(), stops_between_steps():
            close_the_terminal()
    finally:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


def test_who_handles_ctrl_c_otherwise_is_left_alone():
    pressed = []
    signal.signal(signal.SIGINT, lambda *_: pressed.append(True))
    try:
        with stops_between_steps() as stop_if_asked:
            press_ctrl_c()
            stop_if_asked()
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    assert pressed == [True]


def test_training_in_another_thread(config, images, tmp_path):
    """Only the main thread may set signal handlers."""
    run = Run.create(tmp_path, replace(config, epochs=1))
    thread = threading.Thread(target=train, args=(run, images))
    thread.start()
    thread.join()
    assert names(run.folder) == FILES


def test_fewer_images_than_a_batch(tiny_mnist):
    fault = f"batch_size is 257, but {tiny_mnist} holds only 256 images"
    with pytest.raises(RunError, match=fault):
        load_images(Config(str(tiny_mnist), batch_size=257))
    assert len(load_images(Config(str(tiny_mnist), batch_size=256)).pixels) == 256
    with pytest.raises(RunError, match=f"batch_size is 64 × 5, but {tiny_mnist} holds only 256"):
        load_images(Config(str(tiny_mnist), batch_size=64, discriminator_steps=5))


# --- Settings ---------------------------------------------------------------------------


def test_a_training_that_diverges_says_so(config, images):
    trainer = Trainer(replace(config, lr=1e30), images)
    with np.errstate(all="ignore"), pytest.raises(RunError, match="the training diverged at step"):
        trainer.run()


def test_a_training_is_run_once(config, images):
    trainer = Trainer(replace(config, epochs=1), images)
    trainer.run()
    with pytest.raises(RuntimeError, match="this training is at step 64; make a new Trainer"):
        trainer.run()


def test_other_images_than_digits_are_not_judged(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 8, 8), np.uint8)
    np.savez(tmp_path / "small.npz", images=pixels)
    config = Config(data=str(tmp_path / "small.npz"), evaluate_every=1)
    with pytest.raises(RunError, match="evaluate_every is 1, but only MNIST's ten digits"):
        load_images(config)


class Rates(Callback):
    """Notes the learning rates of both players."""

    def __init__(self):
        self.seen = []

    def on_step_end(self, trainer, row):
        game = trainer.game
        optimizers = game.generator_optimizer, game.discriminator_optimizer
        self.seen.append({optimizer.param_groups[0]["lr"] for optimizer in optimizers})


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", lambda share: 1.0),
        ("linear", lambda share: 1.0 - share),
        ("cosine", lambda share: np.cos(np.pi * share / 2) ** 2),
    ],
)
def test_the_learning_rate_falls_as_it_is_told(config, images, schedule, expected):
    rates = Rates()
    config = replace(config, epochs=1, lr_schedule=schedule, lr=0.01)
    trainer = Trainer(config, images)
    trainer.run([rates])
    wanted = [0.01 * expected(step / STEPS_PER_EPOCH) for step in range(STEPS_PER_EPOCH)]
    assert all(len(seen) == 1 for seen in rates.seen)
    np.testing.assert_allclose([*map(min, rates.seen)], wanted, rtol=1e-6)


def test_a_schedule_is_replayed(config, images, monkeypatch):
    """And is not recorded anew in every step."""
    jitted = []
    monkeypatch.setattr(
        "scratchgan.gan.trainer.jit", lambda f: jitted.append(sg.jit(f)) or jitted[0]
    )
    settings = {"lr_schedule": "linear", "dropout": 0.3, "batch_norm": True, "ema_decay": 0.9}
    Trainer(replace(config, epochs=1, **settings), images).run()
    assert len(jitted[0].recordings) == 1


def test_a_conditional_training_sees_the_labels_of_its_images(config, images, monkeypatch):
    seen = []
    step = Game.step

    def watched(game, real, d_noise, g_noise, labels=None):
        seen.extend(zip(real.numpy().copy(), labels.numpy().copy(), strict=True))
        return step(game, real, d_noise, g_noise, labels)

    monkeypatch.setattr(Game, "step", watched)
    config = replace(config, epochs=1, jit=False, conditional=True, batch_size=64)
    Trainer(config, images).run()
    known = {pixels.tobytes(): label for pixels, label in zip(*images[:2], strict=True)}
    for image, label in seen:
        pixels = np.rint((image[0] + 1) * 127.5).astype(np.uint8)
        assert known[pixels.tobytes()] == label
    assert len(seen) == 256


def test_samples_are_drawn_by_the_average_with_statistics_of_its_own(config, images):
    settings = {"ema_decay": 0.9, "batch_norm": True, "conditional": True, "epochs": 1}
    trainer = Trainer(replace(config, **settings), images)
    trainer.run()
    z, labels = sg.randn(20, 3), sg.tensor(np.arange(20) % 10)
    before = trainer.game.generator.state_dict()["body.1.running_mean"].numpy().copy()
    drawn = trainer.samples(z, labels)
    assert drawn.shape == (20, 28, 28)
    np.testing.assert_array_equal(drawn, trainer.samples(z, labels))
    after = trainer.game.generator.state_dict()["body.1.running_mean"].numpy()
    np.testing.assert_array_equal(before, after)  # G goes on as if nothing had been drawn
    assert trainer.game.average.training
