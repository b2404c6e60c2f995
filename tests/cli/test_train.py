"""``scratchgan train``: its options, what it writes and shows, how it goes on, what it refuses."""

import inspect
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path

import pytest
from programs import COMMAND, COMPILING

import scratchgan as sg
from scratchgan.cli import training
from scratchgan.gan import OBJECTIVES, PENALTIES, RECIPES, Config, Run
from scratchgan.gan.checkpoints import checkpoints_of
from scratchgan.gan.evaluation import Evaluation


def test_train_in_a_pipe_shows_a_plain_line_for_each_epoch(trained):
    folder, out = trained
    first, headings, *epochs, last = out.splitlines()

    assert first == f"Training on 256 images, writing to {folder}"
    assert headings.split() == [
        *("epoch", "loss", "D", "loss", "G", "D(x)", "D(G(z))", "images/s", "time", "left")
    ]
    row = r" +{}/2 +\d\.\d{{3}} +\d\.\d{{3}} +0\.\d\d +0\.\d\d +[\d,]+ +0:00:\d\d"
    assert len(epochs) == 2
    for epoch, line in enumerate(epochs, start=1):
        assert re.fullmatch(row.format(epoch), line)
        assert len(line) == len(headings) < 80
    assert str(folder / "samples" / "epoch-0002.png") in last


def test_train_passes_its_options_on(trained, tiny_mnist):
    folder, _ = trained
    assert Run.open(folder).config == Config.from_recipe(
        "seed", data=str(tiny_mnist), epochs=2, batch_size=32, seed=7, backend=sg.get_backend()
    )


def test_train_writes_the_run(trained):
    folder, _ = trained
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert files == {
        *(".lock", "config.json", "metrics.csv", "timings.csv", "losses.png"),
        *("generator.safetensors", "discriminator.safetensors"),
        *("histograms/epoch-0002.json", "report.html", "training.gif"),
        *("samples/epoch-0001.png", "samples/epoch-0002.png"),
        *("checkpoints/step-00000000.safetensors", "checkpoints/step-00000016.safetensors"),
    }


def test_runs_are_compared(scratchgan, trained, tmp_path):
    folder, _ = trained
    page = tmp_path / "both.html"
    code, out, err = scratchgan("compare", folder, folder, "--out", page)
    assert (code, out, err) == (0, f"{page}: 2 runs\n", "")
    assert "<title>" in page.read_text("utf-8")
    for given, said in (
        ([folder], "1 run cannot be compared with itself; name two or more"),
        ([folder, tmp_path], f"{tmp_path}: holds no run (there is no config.json)"),
    ):
        code, out, err = scratchgan("compare", *given, "--out", page)
        assert (code, out, err) == (1, "", f"scratchgan: {said}\n")


def test_the_backend_is_chosen(scratchgan, tiny_mnist, tmp_path):
    for backend in sg.backend.CPU_BACKENDS:
        out = tmp_path / backend
        options = ("--data", tiny_mnist, "--epochs", 1, "--batch-size", 256, "--out", out)
        code, _, err = scratchgan("train", *options, "--backend", backend)
        assert code == 0
        assert err in ("", COMPILING)
        assert Run.open(out).config.backend == backend
        assert sg.get_backend() == backend


def test_without_out_each_training_has_a_new_folder(scratchgan, tiny_mnist, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = ("train", "--data", tiny_mnist, "--epochs", 1, "--batch-size", 256)
    for name in (tiny_mnist.name, f"{tiny_mnist.name}-2"):
        code, out, _ = scratchgan(*options)
        assert code == 0
        assert f"writing to {Path('runs', name)}\n" in out
        assert Run.open(Path("runs", name)).config.data == str(tiny_mnist)


def test_every_setting_is_an_option(scratchgan):
    options = inspect.signature(training.train).parameters
    assert set(options) - {field.name for field in fields(Config)} == {
        *("recipe", "out", "evaluate", "resume"),
        *("checkpoint_every", "keep_every", "on_divergence", "tensorboard"),
    }
    _, text, _ = scratchgan("train", "--help")
    text = re.sub(r"-?\n +", lambda cut: cut[0][: cut[0].index("\n")] or " ", text)
    for choice in (*OBJECTIVES, *PENALTIES, *RECIPES, *sg.backend.CPU_BACKENDS):
        assert choice in text
    for field in fields(Config):
        assert f"--{field.name.replace('_', '-')}" in text


SETTINGS = {
    "image_size": 28,
    "grey": True,
    "epochs": 1,
    "batch_size": 64,
    "discriminator_steps": 2,
    "model": "mlp",
    "latent_dim": 5,
    "generator_widths": (7, 6),
    "discriminator_widths": (5,),
    "negative_slope": 0.1,
    "batch_norm": True,
    "dropout": 0.25,
    "spectral_norm": True,
    "conditional": True,
    "objective": "least-squares",
    "label_smoothing": 0.05,
    "penalty": "r1",
    "penalty_weight": 0.5,
    "weight_clip": 0.5,
    "lr": 1e-3,
    "lr_schedule": "cosine",
    "beta1": 0.25,
    "beta2": 0.75,
    "ema_decay": 0.5,
    "seed": 3,
    "backend": "numpy",
    "device": "cpu",
    "jit": False,
    "evaluate_every": 7,
}


def written(name, value):
    """A setting as an option."""
    option = f"--{name.replace('_', '-')}"
    if isinstance(value, bool):
        return [option if value else option.replace("--", "--no-", 1)]
    return [option, ",".join(map(str, value)) if isinstance(value, tuple) else value]


def test_options_are_settings(scratchgan, tiny_mnist, tmp_path):
    settings = {"data": str(tiny_mnist), **SETTINGS}
    assert set(settings) == {field.name for field in fields(Config)}
    options = [part for name, value in settings.items() for part in written(name, value)]
    code, _, err = scratchgan("train", "--out", tmp_path / "run", *options)
    assert (code, err.replace(COMPILING, "")) == (0, "")
    assert Run.open(tmp_path / "run").config == Config(**settings)


def test_a_recipe_gives_what_no_option_does(scratchgan, tiny_mnist, tmp_path):
    recipe = tmp_path / "mine.toml"
    recipe.write_text(
        "epochs = 1\nbatch_size = 128\ngenerator_widths = [3, 4]\nlatent_dim = 5\n"
        "backend = 'numpy'\n"
    )
    options = ("--recipe", recipe, "--data", tiny_mnist, "--latent-dim", 6)
    code, _, _ = scratchgan("train", "--out", tmp_path / "run", *options)
    assert code == 0
    assert Run.open(tmp_path / "run").config == Config(
        data=str(tiny_mnist),
        epochs=1,
        batch_size=128,
        generator_widths=(3, 4),
        latent_dim=6,
        backend="numpy",
    )


def test_a_training_on_mnist_says_how_good_its_digits_are(scratchgan, tmp_path, monkeypatch):
    found = dict.fromkeys(Evaluation.__dataclass_fields__, 0.5)
    judged = Evaluation(**{**found, "n": 10_000, "classes": (0.05, *[0.1] * 8, 0.15)})
    real = Evaluation(**{**found, "n": 10_000, "frechet_distance": 0.04, "classes": (0.1,) * 10})
    monkeypatch.setattr("scratchgan.gan.evaluation.evaluate", lambda images, labels: judged)
    monkeypatch.setattr("scratchgan.gan.evaluation.of_real_digits", lambda n: real)
    few = ("--epochs", 1, "--batch-size", 30_000, "--generator-widths", 2)
    few += ("--discriminator-widths", 2)
    for number, options in enumerate(([], ["--no-evaluate"])):
        out = tmp_path / str(number)
        code, text, _ = scratchgan("train", "--out", out, *few, *options)
        assert code == 0
        says = "a Fréchet distance of 0.50 from real ones (real ones among themselves: 0.04)"
        assert (says in text) == (not options)
        assert ("the rarest digit is 5.0% of them, the commonest 15.0%" in text) == (not options)
        assert (f"scratchgan generate {out} --digit 7 --out digits.png" in text) == (not options)
        told = "50.0% of them are taken for the digit that was asked for"
        assert (told in text) == (not options)


@pytest.mark.usefixtures("usual_signals")
@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_ends_it_cleanly(name, code, tiny_mnist, tmp_path):
    """Ctrl-C, what a batch system sends before it kills, or the end of a terminal."""
    folder = tmp_path / "run"
    options = ["--data", tiny_mnist, "--epochs", 1_000_000, "--batch-size", 64, "--out", folder]
    with subprocess.Popen(
        [*COMMAND, *map(str, ["train", *options])],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    ) as process:
        try:
            wait_for(folder / "generator.safetensors")
            process.send_signal(getattr(signal, name))
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()

    assert process.returncode == code
    assert err in ("", COMPILING)
    last = out.splitlines()[-1]
    how = re.escape(f"to go on: scratchgan train --resume {folder}")
    steps = int(re.fullmatch(rf"Stopped after ([\d,]+) steps; {how}", last)[1].replace(",", ""))
    assert checkpoints_of(Run.open(folder))[0].name == f"step-{steps:08d}.safetensors"
    for name in ("metrics.csv", "losses.png", "discriminator.safetensors", "samples"):
        assert (folder / name).exists(), name
    assert Run.open(folder).load_generator() is not None


def stopped_by(scratchgan, monkeypatch, how, *options):
    """The last line of a training that ``how`` happens to at the end of an epoch."""
    monkeypatch.setattr("scratchgan.progress.Rows.on_step_end", how)
    code, out, err = scratchgan("train", *options)
    assert (code, err.replace(COMPILING, "")) == (130, "")
    return out.splitlines()[-1]


@pytest.mark.usefixtures("usual_signals")
def test_a_training_says_from_where_it_goes_on(scratchgan, tiny_mnist, tmp_path, monkeypatch):
    """Which is not where it was, if it had to stop at once."""
    few = ("--data", tiny_mnist, "--epochs", 3, "--batch-size", 64, "--no-jit", "--out")

    def at_once(rows, trainer, row):
        rows.standing.on_step_end(trainer, row)
        if trainer.step == 6:
            raise KeyboardInterrupt

    line = stopped_by(scratchgan, monkeypatch, at_once, *few, tmp_path / "a run")
    resume = f"scratchgan train --resume '{tmp_path / 'a run'}'"
    assert line == f"Stopped after 6 steps; to go on from step 0: {resume}"

    def asked_at(step):
        def how(rows, trainer, row):
            rows.standing.on_step_end(trainer, row)
            if trainer.step == step:
                os.kill(os.getpid(), signal.SIGINT)

        return how

    line = stopped_by(scratchgan, monkeypatch, asked_at(6), "--resume", tmp_path / "a run")
    assert line == f"Stopped after 6 steps; to go on: {resume}"

    line = stopped_by(scratchgan, monkeypatch, asked_at(12), "--resume", tmp_path / "a run")
    assert line.startswith("Done: ")


def test_a_run_that_another_process_trains_stays_as_it_is(refused_late, tiny_mnist, tmp_path):
    folder = tmp_path / "run"
    run = Run.create(folder, Config(data=str(tiny_mnist), epochs=1, batch_size=64))
    with run.locked():
        message = refused_late("train", "--resume", folder)
        assert message == f"scratchgan: {folder}: another process trains this run\n"
        assert Run.open(folder).config == run.config


def test_images_may_have_moved_but_not_changed(scratchgan, tiny_mnist, tmp_path):
    shutil.copytree(tiny_mnist, tmp_path / "data")
    options = ("--data", tmp_path / "data", "--epochs", 2, "--batch-size", 64)
    assert scratchgan("train", *options, "--out", tmp_path / "whole")[0] == 0
    shutil.copytree(tmp_path / "whole", tmp_path / "run")
    checkpoints_of(Run.open(tmp_path / "run"))[0].unlink()
    (tmp_path / "data").rename(tmp_path / "moved")
    on = ("train", "--resume", tmp_path / "run")
    assert "data: no such file or folder" in scratchgan(*on)[2]
    assert scratchgan(*on, "--data", tmp_path / "moved")[0] == 0
    for path in (tmp_path / "whole").glob("*.safetensors"):
        assert path.read_bytes() == (tmp_path / "run" / path.name).read_bytes()

    images = tmp_path / "moved" / "train-images-idx3-ubyte"
    images.write_bytes(images.read_bytes()[:-1] + b"x")
    code, _, err = scratchgan(*on, "--data", tmp_path / "moved")
    assert code == 1
    assert "the images are not those that it was trained on" in err
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    code, _, err = scratchgan(*on, "--data", tmp_path / "moved")
    assert "was begun with other settings, and goes on with them: data is " in err


@pytest.mark.usefixtures("usual_signals")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_signal_leaves_no_half_of_a_file(name, trained, tmp_path):
    """It comes in the middle of one, and a command that is no training ends at once."""
    (folder, _), number = trained, getattr(signal, name)
    before = (
        "import os, numpy\n"
        f"numpy.savez = lambda file, **arrays: (file.write(b'x'), os.kill(os.getpid(), {number:d}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"{before}\n{COMMAND[-1]}", "generate", folder]
        + ["--out", tmp_path / "a.npz"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 128 + number
    assert done.stderr.replace(COMPILING, "") == ""
    assert list(tmp_path.iterdir()) == []


def test_a_training_goes_on(scratchgan, trained, tiny_mnist, tmp_path):
    """From a checkpoint to the same weights; what contradicts its settings is listed."""
    whole, _ = trained
    folder = tmp_path / "run"
    shutil.copytree(whole, folder)
    options = ["--recipe", "seed", "--data", tiny_mnist, "--epochs", 2, "--batch-size", 32]
    options += ["--seed", 7]
    again = tmp_path / "again"
    paced = ["--checkpoint-every", 5, "--keep-every", 1]
    assert scratchgan("train", *options, *paced, "--out", again)[0] == 0
    names = sorted(path.name for path in (again / "checkpoints").iterdir())
    assert names == [f"step-{step:08d}.safetensors" for step in (8, 15, 16)]
    (again / "checkpoints" / names[-1]).unlink()
    code, out, err = scratchgan("train", "--resume", again, "--epochs", 2)
    assert (code, err) == (0, "")
    assert f"Going on from step 15, as {again / 'checkpoints' / names[1]} has it\n" in out
    for name in ("generator.safetensors", "metrics.csv", "samples/epoch-0002.png", "losses.png"):
        assert (again / name).read_bytes() == (whole / name).read_bytes()

    code, _, err = scratchgan("train", "--resume", again, "--lr", 0.5, "--seed", 8)
    sentence = "was begun with other settings, and goes on with them"
    assert code == 1
    assert err == f"scratchgan: {again}: {sentence}: lr is 0.0002, not 0.5; seed is 7, not 8\n"
    code, _, err = scratchgan("train", "--resume", again, "--recipe", "seed")
    assert err.endswith(": epochs is 2, not 30; batch_size is 32, not 64\n")
    code, _, err = scratchgan("train", "--resume", tmp_path / "nowhere")
    assert err == f"scratchgan: {tmp_path / 'nowhere'}: holds no run (there is no config.json)\n"
    code, _, err = scratchgan("train", "--resume", again, "--out", tmp_path / "new")
    assert (code, err) == (
        1,
        f"scratchgan: --resume {again} writes into that folder; leave --out away\n",
    )


def wait_for(path, seconds=120):
    end = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < end, f"{path} did not appear"
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--epochs", 0], "epochs is 0; it must be an integer from 1 on"),
        (["--epochs", "many"], "Invalid value for '--epochs': "),
        (["--batch-size", -1], "batch_size is -1; it must be"),
        (["--batch-size", 257], "batch_size is 257, but {data} holds only 256 images"),
        (["--objective", "gan"], "objective is 'gan'; it must be one of minimax, non-saturating"),
        (["--generator-widths", "3,x"], "generator_widths is '3,x'; it must be up to 32 integers"),
        (["--penalty-weight", -1], "penalty_weight is -1.0; it must be a number from 0 on"),
        (["--recipe", "cake"], "there is no recipe 'cake'; choose "),
        (["--recipe", "{tmp}/no.toml"], "{tmp}/no.toml: cannot be read (No such file"),
        (
            ["--batch-size", 64, "--discriminator-steps", 9],
            "batch_size is 64 × 9, but {data} holds",
        ),
        (["--latent-dim", 0], "latent_dim is 0; it must be"),
        (["--lr", "nan"], "lr is nan; it must be a number above 0"),
        (["--seed", -1], "seed is -1; it must be"),
        (["--backend", "abacus"], "there is no backend named 'abacus'; choose one of"),
        (["--turbo"], "No such option: --turbo"),
        (["--checkpoint-every", "often"], "checkpoint_every is 'often'; it must be a number of"),
        (["--keep-every", -1], "Invalid value for '--keep-every': "),
        (["--on-divergence", "cry"], "on_divergence is 'cry'; it must be stop or restore"),
        (["--data", "{tmp}/nowhere"], "{tmp}/nowhere: no such file or folder; give"),
        (["--data", "{tmp}"], "{tmp}: holds no pictures and no IDX files; give "),
        (["--data", "{tmp}/broken"], "{tmp}/broken/train-images-idx3-ubyte: "),
        (["--out", "{tmp}/file/run"], "{tmp}/file/run: cannot be made a run folder"),
        (["--out", "{data}"], "{data}: already holds other files; choose a new folder"),
    ],
)
def test_what_train_refuses(refused, tiny_mnist, tmp_path, options, sentence):
    (tmp_path / "file").touch()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "train-labels-idx1-ubyte").touch()
    (tmp_path / "broken" / "train-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03")

    def filled(text):
        return str(text).format(data=tiny_mnist, tmp=tmp_path)

    before = sorted(tmp_path.rglob("*"))
    always = ["--data", tiny_mnist, "--out", tmp_path / "run"]
    message = refused("train", *always, *map(filled, options))
    assert message.startswith(filled(sentence))
    assert sorted(tmp_path.rglob("*")) == before  # not even a run folder was begun


def test_train_refuses_the_folder_of_another_run(refused, trained, tiny_mnist):
    folder, _ = trained
    before = (folder / "config.json").read_bytes()
    message = refused("train", "--data", tiny_mnist, "--out", folder)
    assert message == f"{folder}: already holds another run; choose a new folder"
    assert (folder / "config.json").read_bytes() == before
