"""Training: a function of the settings, that writes all it should, also when it is cut short."""

import csv
import os
import signal
import threading

import numpy as np
import pytest
from matplotlib.image import imread
from safetensors.numpy import load_file

import scratchgan as sg
from scratchgan.gan import GAN, Config, Run, RunError, load_images, train
from scratchgan.gan.training import interrupts_between_steps

FILES = ["config.json", "discriminator.safetensors", "generator.safetensors"]
FILES += ["losses.png", "metrics.csv", "samples"]

STEPS_PER_EPOCH = 256 // 4


@pytest.fixture(autouse=True)
def ctrl_c_interrupts():
    """Also where the tests run in the background of a shell, which has Ctrl-C ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def config(tiny_mnist):
    return Config(str(tiny_mnist), epochs=4, batch_size=4, latent_dim=3, seed=5)


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
    paths = [*run.folder.glob("*.safetensors"), *run.folder.glob("samples/*")]
    files = {path.relative_to(run.folder).as_posix(): path.read_bytes() for path in paths}
    return files, [{**row, "seconds": None} for row in rows(run)]


def test_all_files_are_written(whole_run):
    run, _ = whole_run
    assert names(run.folder) == FILES
    assert names(run.folder / "samples") == [f"epoch-000{i}.png" for i in (1, 2, 3, 4)]
    assert imread(run.sample_path(4)).shape == (512, 512)


def test_metrics_every_100_steps(whole_run):
    run, seen = whole_run
    table = rows(run)

    assert [(int(row["step"]), int(row["epoch"])) for row in table] == [(100, 2), (200, 4)]
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
    assert 0 < float(table[0]["seconds"]) < float(table[1]["seconds"])

    assert [step for step, _ in seen] == list(range(1, 257))
    read = {metrics.step: metrics for _, metrics in seen if metrics}
    assert list(read) == [64, 100, 128, 192, 200, 256]
    assert [metrics.epoch for metrics in read.values()] == [1, 2, 2, 3, 4, 4]
    assert f"{read[100].generator_loss:.6g}" == table[0]["generator_loss"]


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
    other = Run.create(tmp_path, Config(**{**config.to_dict(), **change}))
    train(other, images)

    before, after = (load_file(run.folder / "generator.safetensors") for run in (first, other))
    assert all((before[name] != after[name]).any() for name in before)


def test_jit_changes_speed_and_not_the_training(config, images, tmp_path):
    weights = []
    for jit in (True, False):
        run = Run.create(tmp_path / str(jit), Config(**{**config.to_dict(), "jit": jit}))
        train(run, images)
        weights.append(load_file(run.folder / "generator.safetensors"))
    for name, replayed in weights[0].items():
        np.testing.assert_allclose(replayed, weights[1][name], atol=1e-5)


def test_every_move_has_noise_of_its_own_and_every_epoch_an_order(
    config, images, tmp_path, monkeypatch
):
    real_seen, noise_seen = [], []
    d_step, g_step = GAN.discriminator_step, GAN.generator_step

    def watched_d_step(gan, real, noise):
        real_seen.append(real.numpy())
        noise_seen.append(noise.numpy())
        return d_step(gan, real, noise)

    def watched_g_step(gan, noise):
        noise_seen.append(noise.numpy())
        return g_step(gan, noise)

    monkeypatch.setattr(GAN, "discriminator_step", watched_d_step)
    monkeypatch.setattr(GAN, "generator_step", watched_g_step)
    eager = Config(**{**config.to_dict(), "epochs": 2, "jit": False})
    train(Run.create(tmp_path, eager), images)

    assert len(np.unique(np.concatenate(noise_seen), axis=0)) == 2 * 2 * 256
    first, second = np.concatenate(real_seen).reshape(2, 256, 784)
    assert (first != second).any()
    np.testing.assert_array_equal(np.unique(first, axis=0), np.unique(second, axis=0))
    assert len(np.unique(first, axis=0)) == 256


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


def raise_interrupt():
    raise KeyboardInterrupt


@pytest.mark.parametrize("interrupt", [press_ctrl_c, raise_interrupt])
def test_an_interrupted_run_has_everything_until_then(
    whole_run, config, images, tmp_path, interrupt
):
    run = Run.create(tmp_path, config)
    interrupted(run, images, at_step(130, interrupt))

    assert names(run.folder) == FILES
    assert names(run.folder / "samples") == [f"epoch-000{i}.png" for i in (1, 2, 3)]
    assert [row["step"] for row in rows(run)] == ["100"]
    files, table = results(run)
    whole_files, whole_table = results(whole_run[0])
    assert table == whole_table[:1]
    for name in ("samples/epoch-0001.png", "samples/epoch-0002.png"):
        assert files[name] == whole_files[name]
    for name in ("samples/epoch-0003.png", "generator.safetensors"):
        assert files[name] != whole_files[name]


def test_ctrl_c_cuts_no_step_in_half(config, images, tmp_path, monkeypatch):
    """Pressed while G moves, it leaves what a press after that step leaves."""
    config = Config(**{**config.to_dict(), "jit": False})
    after = Run.create(tmp_path / "after", config)
    interrupted(after, images, at_step(3, press_ctrl_c))

    moves = []
    step_of_g = GAN.generator_step

    def pressed_in_the_middle(gan, noise):
        moves.append(noise)
        if len(moves) == 3:
            press_ctrl_c()
        return step_of_g(gan, noise)

    monkeypatch.setattr(GAN, "generator_step", pressed_in_the_middle)
    during = Run.create(tmp_path / "during", config)
    interrupted(during, images, at_step(4, lambda: None))

    assert len(moves) == 3
    assert results(during) == results(after)


def test_a_second_ctrl_c_strikes_at_once():
    with interrupts_between_steps():
        press_ctrl_c()
        with pytest.raises(KeyboardInterrupt):
            press_ctrl_c()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_who_handles_ctrl_c_otherwise_is_left_alone():
    pressed = []
    signal.signal(signal.SIGINT, lambda *_: pressed.append(True))
    try:
        with interrupts_between_steps() as stop_if_interrupted:
            press_ctrl_c()
            stop_if_interrupted()
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    assert pressed == [True]


def test_training_in_another_thread(config, images, tmp_path):
    """Only the main thread may set signal handlers."""
    run = Run.create(tmp_path, Config(**{**config.to_dict(), "epochs": 1}))
    thread = threading.Thread(target=train, args=(run, images))
    thread.start()
    thread.join()
    assert names(run.folder) == FILES


def test_fewer_images_than_a_batch(tiny_mnist):
    fault = f"batch_size is 257, but {tiny_mnist} holds only 256 images"
    with pytest.raises(RunError, match=fault):
        load_images(Config(str(tiny_mnist), batch_size=257))
    assert len(load_images(Config(str(tiny_mnist), batch_size=256))) == 256
