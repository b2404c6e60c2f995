"""The command line: what it writes and shows, and that every mistake is one clear sentence."""

import errno
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

import numpy as np
import pytest
from matplotlib.image import imread
from PIL import Image

import scratchgan as sg
from scratchgan import cli
from scratchgan.backend.cpu.codegen import machine_code, object_files
from scratchgan.backend.cpu.processor import host
from scratchgan.cli import training
from scratchgan.gan import OBJECTIVES, PENALTIES, RECIPES, Config, Run
from scratchgan.gan.checkpoints import checkpoints_of
from scratchgan.gan.evaluation import Evaluation
from scratchgan.gan.sweep import Result

COMMAND = [sys.executable, "-c", "from scratchgan.cli import main; main()"]
#: What a start says on stderr where kernels must be compiled, and nobody sees it in a terminal.
COMPILING = "Compiling kernels for this processor, once; it takes some seconds\n"


@pytest.fixture(autouse=True)
def as_before():
    """A command may choose another backend."""
    with sg.use_backend(sg.get_backend()):
        yield


@pytest.fixture
def scratchgan(monkeypatch, capsys):
    """Runs the command in this process: exit code, stdout, stderr."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["scratchgan", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        return ended.value.code or 0, out, err

    return run


@pytest.fixture
def refused(scratchgan):
    """Runs a command that must fail with one sentence, and gives the sentence."""

    def run(*arguments):
        code, out, err = scratchgan(*arguments)
        assert code > 0
        assert out == ""
        assert re.fullmatch(r"scratchgan: [^\n]+\n", err)
        assert "Traceback" not in err
        return err.removeprefix("scratchgan: ").rstrip("\n")

    return run


@pytest.fixture(scope="module")
def trained(tiny_mnist, tmp_path_factory):
    """A run folder that the command made, and what it showed in a pipe."""
    folder = tmp_path_factory.mktemp("cli") / "run"
    options = ["--recipe", "seed", "--data", tiny_mnist, "--epochs", 2, "--batch-size", 32]
    options += ["--seed", 7]
    done = subprocess.run(
        [*COMMAND, *map(str, ["train", *options, "--out", folder])],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr in ("", COMPILING)
    return folder, done.stdout


# --- train ----------------------------------------------------------------------------


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


# --- What surrounds the command --------------------------------------------------------


def in_a_shell(line, **environment):
    """Runs a line of shell in which "$@" is the command: exit code, stdout, stderr."""
    done = subprocess.run(
        ["bash", "-c", line, "bash", *COMMAND],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr
    return done.returncode, done.stdout, done.stderr


NOWHERE = (">&-", ">&- 2>&-", "> /dev/full", "> /dev/full 2>&1", "| head -c 1", "<&- >&-")
linux = pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")


@linux
@pytest.mark.parametrize("where", NOWHERE)
def test_a_training_that_nobody_reads_is_whole(where, tiny_mnist, tmp_path):
    options = f"train --data {tiny_mnist} --epochs 2 --batch-size 64 --out {tmp_path}/run"
    code, _, err = in_a_shell(f'set -o pipefail; "$@" {options} {where}')
    assert code == 0
    assert err in ("", COMPILING)
    assert len(list((tmp_path / "run").rglob("*.*"))) == 14


@linux
@pytest.mark.parametrize("command", ["info", "cache", "gradcheck relu", "--help"])
def test_output_that_is_lost_is_told(command):
    code, _, err = in_a_shell(f'"$@" {command} > /dev/full')
    assert code == 1
    assert err.removeprefix(COMPILING) == (
        "scratchgan: the output: cannot be written (No space left on device)\n"
    )
    code, _, err = in_a_shell(f'"$@" {command} | true')
    assert err in ("", COMPILING)


@pytest.mark.parametrize(
    "variables",
    [
        {"MPLBACKEND": "module://matplotlib_inline.backend_inline"},
        {"MPLBACKEND": "nonsense"},
        {"NUMBA_DISABLE_JIT": "1"},
        {"OMP_NUM_THREADS": "100000"},
        {"OMP_NUM_THREADS": "4,2"},
        {"PYTHONIOENCODING": "ascii"},
        {"TERM": "dumb"},
    ],
    ids=str,
)
def test_variables_of_other_programs(variables, tiny_mnist, tmp_path):
    options = f"train --data {tiny_mnist} --epochs 1 --batch-size 64 --out {tmp_path}/run"
    code, _out, err = in_a_shell(f'"$@" {options}', **variables)
    assert code == 0
    assert err in ("", COMPILING)
    assert (tmp_path / "run" / "losses.png").exists()


def test_a_number_of_threads_that_is_none_is_one_sentence():
    code, _out, err = in_a_shell('"$@" info', OMP_NUM_THREADS="many")
    assert code == 0
    assert "scratchgan: OMP_NUM_THREADS is 'many', which is no number of threads; " in err


def test_a_matplotlibrc_does_not_draw_the_figures(tmp_path):
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\n")
    code = "import io, scratchgan.viz as v; v.save_losses(io.BytesIO(), [])"
    environment = {**os.environ, "MATPLOTLIBRC": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


@pytest.mark.parametrize("failing", ["config.json", "epoch-0001.png", "metrics.csv"])
def test_a_disk_that_is_full_at_first_leaves_no_folder(
    refused_late, failing, tiny_mnist, tmp_path, full_at
):
    full_at(failing)
    message = refused_late("train", "--data", tiny_mnist, "--out", tmp_path / "run")
    assert f"{failing}: cannot be written (No space left on device)" in message
    assert not (tmp_path / "run").exists()


def test_a_disk_that_is_full_later_leaves_what_there_is(
    refused_late, tiny_mnist, tmp_path, full_at
):
    full_at("epoch-0002.png")
    message = refused_late("train", "--data", tiny_mnist, "--out", tmp_path / "run")
    assert "epoch-0002.png: cannot be written (No space left on device)" in message
    assert Run.open(tmp_path / "run").load_generator() is not None
    assert not list(tmp_path.rglob("*.part"))


@pytest.fixture
def full_at(monkeypatch):
    """Has the disk be full when the file of this name is to take its place."""

    def full_at(name):
        replace = os.replace

        def failing(source, target):
            if Path(target).name == name:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            replace(source, target)

        monkeypatch.setattr(os, "replace", failing)

    return full_at


@pytest.fixture
def refused_late(scratchgan):
    """Runs a command that must fail with one sentence on stderr, after it showed something."""

    def run(*arguments):
        code, _, err = scratchgan(*arguments)
        assert code == 1
        return err.removeprefix(COMPILING)

    return run


def odd_path(tmp_path, kind):
    path = tmp_path / "odd"
    if kind == "a link to itself":
        path.symlink_to("odd")
    elif kind == "a link to nowhere":
        path.symlink_to("nowhere")
    elif kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a device":
        return Path("/dev/null")
    elif kind == "below a file":
        (tmp_path / "file").touch()
        return tmp_path / "file" / "odd"
    elif kind == "too long":
        return tmp_path / ("x" * 300)
    elif kind == "much too long":
        return tmp_path / "/".join(["x" * 100] * 50)
    elif kind == "no text":
        return tmp_path / "\udcff"
    elif kind == "empty":
        return ""
    return path


ODD = (
    *("a link to itself", "a link to nowhere", "a pipe", "a device", "below a file"),
    *("too long", "much too long", "no text", "empty", "missing"),
)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")
@pytest.mark.parametrize("kind", ODD)
def test_odd_paths_are_refused_in_one_sentence(kind, refused, trained, tmp_path, monkeypatch):
    path = odd_path(tmp_path, kind)
    refused("train", "--data", path, "--out", tmp_path / "run")
    refused("generate", path, "--out", tmp_path / "a.npz")
    if kind not in ("no text", "missing", "a link to nowhere"):  # folders can be made there
        refused("train", "--data", tmp_path, "--out", path)
    assert not (tmp_path / "run").exists()
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_bytes((trained[0] / "config.json").read_bytes())
    if kind in ("a link to itself", "a link to nowhere", "a pipe"):
        os.rename(path, broken / "generator.safetensors")
        refused("generate", broken, "--out", tmp_path / "a.npz")


def test_files_that_are_too_large_are_not_read(refused, tmp_path):
    with (tmp_path / "config.json").open("wb") as file:
        file.truncate(1 << 40)
    message = refused("generate", tmp_path, "--out", tmp_path / "a.npz")
    assert "holds 1,099,511,627,776 bytes, more than any config.json of a run" in message


# --- The cache ------------------------------------------------------------------------


@pytest.fixture
def small_cache(tmp_path, monkeypatch):
    """A cache with two files."""
    monkeypatch.setenv("SCRATCHGAN_CACHE_DIR", str(tmp_path))
    for name in ("a.o", "b.o"):
        object_files.write(name, object_files.ObjectFile({"f": "f"}, [], bytes(100_000)))
    return tmp_path / "machine-code"


def test_the_cache_is_shown_checked_and_emptied(scratchgan, small_cache):
    shown = f"{small_cache}: 2 files, 0.2 MB\n"
    assert scratchgan("cache") == (0, shown, "")
    whole = "every file is as it was written\n"
    assert scratchgan("cache", "--verify") == (0, shown + whole, "")
    (small_cache / "b.o").write_bytes(b"")
    code, out, _ = scratchgan("cache", "--verify")
    assert code == 1
    assert f"\n{small_cache}/b.o: is damaged, and will be compiled anew\n" in out
    code, out, _ = scratchgan("cache", "--clear")
    assert (code, out) == (0, f"{small_cache}: removed 2 files, 0.1 MB\n")
    assert list(small_cache.iterdir()) == []
    assert scratchgan("cache", "--clear")[0] == 0


def test_a_cache_that_is_not_there(scratchgan, tmp_path, monkeypatch):
    monkeypatch.setenv("SCRATCHGAN_CACHE_DIR", str(tmp_path / "nowhere"))
    for options in ((), ("--verify",), ("--clear",)):
        code, _out, err = scratchgan("cache", *options)
        assert (code, err) == (0, "")
    assert not (tmp_path / "nowhere").exists()


def test_a_cache_that_cannot_be_emptied(refused, small_cache, monkeypatch):
    def unlink(self, missing_ok=False):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

    monkeypatch.setattr(Path, "unlink", unlink)
    message = refused("cache", "--clear")
    assert message == f"{small_cache}/a.o: cannot be written (Permission denied)"


def test_one_thing_at_a_time(refused):
    assert "choose one" in refused("cache", "--verify", "--clear")


# --- generate -------------------------------------------------------------------------


def test_generate_an_array(scratchgan, trained, tmp_path):
    folder, _ = trained
    for name in ("a.npz", "b.npz"):
        path = tmp_path / name
        code, out, err = scratchgan("generate", folder, "--n", 100, "--seed", 1, "--out", path)
        assert (code, out) == (0, f"{tmp_path / name}: 100 images\n")
        assert err in ("", COMPILING)
    scratchgan("generate", folder, "--n", 100, "--seed", 2, "--out", tmp_path / "c.npz")

    a, b, c = (np.load(tmp_path / name)["images"] for name in ("a.npz", "b.npz", "c.npz"))
    assert a.shape == (100, 28, 28)
    assert a.dtype == np.uint8
    np.testing.assert_array_equal(a, b)
    assert (a != c).any()


def test_evaluate(scratchgan, trained):
    folder, _ = trained
    code, out, _ = scratchgan("evaluate", folder, "--n", 200)
    assert code == 0
    rows = {line.strip("│ ").split("│")[0].strip() for line in out.splitlines()}
    assert {"frechet distance", "recall", "nearest", "share of digit 9"} <= rows


def test_what_evaluate_refuses(refused, trained, tmp_path):
    folder, _ = trained
    assert "too few to be judged" in refused("evaluate", folder, "--n", 99)
    assert "holds no run" in refused("evaluate", tmp_path)


def test_generate_a_grid(scratchgan, trained, tmp_path):
    folder, _ = trained
    code, _, _ = scratchgan("generate", folder, "--n", 9, "--out", tmp_path / "grid.png")
    assert code == 0
    assert imread(tmp_path / "grid.png").shape == (3 * 64, 3 * 64)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["{tmp}/nowhere"], "{tmp}/nowhere: holds no run (there is no config.json)"),
        (["{run}", "--n", 0], "n is 0; it must be an integer from 1 to 1000000"),
        (["{run}", "--seed", -1], "seed is -1; it must be"),
        (["{run}", "--out", "{tmp}/a.jpg"], "{tmp}/a.jpg: ends neither in .npz"),
        (["{run}", "--out", "{tmp}/no/a.npz"], "{tmp}/no/a.npz: cannot be written (No such file"),
        (["{run}", "--n", 10**18], "n is 1000000000000000000; it must be"),
        ([], "Missing argument 'run'"),
    ],
)
def test_what_generate_refuses(refused, trained, tmp_path, options, sentence):
    def filled(text):
        return str(text).format(run=trained[0], tmp=tmp_path)

    arguments = ["--out", tmp_path / "a.npz", *map(filled, options)]
    assert refused("generate", *arguments).startswith(filled(sentence))
    assert not list(tmp_path.iterdir())


def test_generate_needs_out(refused, trained):
    assert refused("generate", trained[0]).startswith("Missing option '--out'")


def test_generate_refuses_broken_weights(refused, trained, tmp_path):
    broken = tmp_path / "run"
    broken.mkdir()
    for name in ("config.json", "generator.safetensors"):
        (broken / name).write_bytes((trained[0] / name).read_bytes()[: 10**5])
    message = refused("generate", broken, "--out", tmp_path / "a.npz")
    assert message.startswith(f"{broken / 'generator.safetensors'}: is no safetensors file")


# --- info, and the rest ---------------------------------------------------------------


def test_info(scratchgan):
    code, out, err = scratchgan("info")
    assert code == 0
    assert err in ("", COMPILING)
    assert f"numpy {np.__version__}\n" in out
    for name in sg.backend.CPU_BACKENDS:
        assert f"{name} is available\n" in out
    assert f"\nprocessor {host()}\n" in out
    assert re.search(r"\n +\w.*: (16|32) vectors of \d+ bits\n", out)
    assert re.search(r"\n +AMX (computes large products of float32|cannot be used here)\n", out)
    assert re.search(rf"\nthreads +{sg.get_num_threads()} \(.+\)\n", out)
    assert "\nkernels   none fell back to NumPy\n" in out
    assert re.search(r"\nBLAS +\S+ .*\d+ threads?\n", out)
    assert "MNIST(60000 training images from " in out
    assert "MNIST(10000 test images from " in out
    assert re.search(r"\ncache +.*: [1-9]\d* files, \d+\.\d MB\n", out)


def test_info_lists_what_fell_back(scratchgan, monkeypatch):
    monkeypatch.setitem(machine_code.failures, "adam", "RuntimeError: a test says so")
    _, out, _ = scratchgan("info")
    assert "\nkernels   adam fell back to NumPy: RuntimeError: a test says so\n" in out


def test_info_says_why_a_backend_is_unavailable(scratchgan, monkeypatch):
    from scratchgan import backend

    load = backend._load

    def without_numba(name):
        if name == "numba":
            raise backend.BackendError("the numba backend is not available: it is a test")
        return load(name)

    monkeypatch.setattr(backend, "_load", without_numba)
    code, out, _ = scratchgan("info")
    assert code == 0
    assert "the numba backend is not available: it is a test\n" in out
    assert "numpy is available\n" in out


def test_info_says_that_the_environment_names_no_backend():
    done = subprocess.run(
        [*COMMAND, "info"],
        capture_output=True,
        text=True,
        env={**os.environ, "SCRATCHGAN_BACKEND": "abacus"},
        check=True,
    )
    assert "there is no backend named 'abacus'; choose one of numpy, numba\n" in done.stdout


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_help(scratchgan, arguments):
    code, out, err = scratchgan(*arguments)
    assert (code, err) == (0, "")
    for command in ("train", "generate", "info"):
        assert f"\n  {command} " in out


def test_a_command_that_does_not_exist(refused):
    assert refused("trian").startswith("No such command 'trian'")


def test_version(scratchgan):
    assert scratchgan("--version") == (0, f"scratchgan {sg.__version__}\n", "")
    assert re.fullmatch(r"\d+\.\d+\.\d+", sg.__version__)


def test_python_runs_the_command_too():
    command = [sys.executable, "-m", "scratchgan", "generate", "nowhere", "--out", "x.png"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("scratchgan: nowhere")


def test_help_imports_nothing_heavy():
    heavy = "{'numba', 'matplotlib', 'safetensors', 'rich', 'threadpoolctl', 'PIL', 'llvmlite'}"
    code = (
        "import sys\nfrom scratchgan.cli import main\nsys.argv[1:] = ['--help']\n"
        f"try: main()\nexcept SystemExit: print(sorted({heavy} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


# --- What a generator can be used for ---------------------------------------------------


@pytest.fixture(scope="module")
def conditional(tiny_mnist, tmp_path_factory):
    """A conditional run."""
    folder = tmp_path_factory.mktemp("cli") / "conditional"
    options = ["--recipe", "seed", "--conditional", "--data", tiny_mnist, "--epochs", 1]
    done = subprocess.run(
        [*COMMAND, "train", *map(str, options), "--batch-size", "64", "--out", str(folder)],
        capture_output=True,
        check=True,
    )
    assert b"Traceback" not in done.stderr
    return folder


def test_a_digit_that_is_asked_for(scratchgan, conditional, tmp_path):
    out = tmp_path / "sevens.npz"
    code, text, _ = scratchgan("generate", conditional, "--digit", 7, "--n", 3, "--out", out)
    assert (code, text) == (0, f"{out}: 3 images\n")


def test_a_step_that_one_looks_at_names_what_went_in(scratchgan, conditional, tmp_path):
    code, _, _ = scratchgan("inspect", conditional, "--out", tmp_path / "step.html")
    assert code == 0
    page = (tmp_path / "step.html").read_text("utf-8")
    inputs = ("real images", "labels", "noise of D's move", "noise of G's move")
    assert {name for name in inputs if f'"name":"{name}","kind":"input"' in page} == {*inputs}


def test_a_way_between_digits(scratchgan, trained, conditional, tmp_path):
    folder, _ = trained
    way = ("--seeds", "1,2,3", "--steps", 4)
    code, text, _ = scratchgan("interpolate", folder, *way, "--out", tmp_path / "way.png")
    assert (code, text) == (0, f"{tmp_path / 'way.png'}: 9 images\n")
    assert imread(tmp_path / "way.png").shape[:2] == (3 * 64, 4 * 64)
    film = ("--digits", "3,8,0", "--out", tmp_path / "way.gif")
    code, _, _ = scratchgan("interpolate", conditional, *way, *film)
    assert code == 0
    with Image.open(tmp_path / "way.gif") as opened:
        assert (opened.n_frames, opened.size) == (9, (224, 224))


@pytest.fixture
def picture(tmp_path):
    """A picture of another size, with a mask for it."""
    Image.fromarray(np.full((40, 50), 200, np.uint8)).save(tmp_path / "picture.png")
    mask = np.zeros((40, 50), np.uint8)
    mask[10:30, 20:30] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    return tmp_path / "picture.png", tmp_path / "mask.png"


def test_a_picture_is_drawn_again(scratchgan, trained, picture, tmp_path):
    folder, _ = trained
    out = tmp_path / "drawn.png"
    options = ("--image", picture[0], "--out", out, "--steps", 3)
    code, text, _ = scratchgan("project", folder, *options)
    assert code == 0
    said, result = text.splitlines()
    assert said == f"{picture[0]}: brought from 50x40 to 28x28 pixels"
    assert re.fullmatch(rf"{re.escape(str(out))}: the picture, .* error \d\.\d{{4}}\)", result)
    assert imread(out).shape[:2] == (64, 128)


def test_a_picture_is_repaired(scratchgan, trained, picture, tmp_path):
    folder, _ = trained
    out = tmp_path / "repaired.png"
    options = ("--image", picture[0], "--mask", picture[1], "--out", out, "--steps", 3)
    code, text, _ = scratchgan("inpaint", folder, *options)
    assert code == 0
    assert "known pixels, and the repair" in text.splitlines()[-1]
    assert imread(out).shape[:2] == (64, 192)


def test_neighbours_are_shown(scratchgan, trained, tmp_path):
    folder, _ = trained
    out = tmp_path / "near.png"
    code, text, _ = scratchgan("neighbours", folder, "--n", 3, "--k", 2, "--out", out)
    assert code == 0
    assert text.startswith(f"{out}: 3 images, and the 2 training images nearest to each (")
    assert imread(out).shape[:2] == (192, 192)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("generate {run} --digit 3 --out {tmp}/a.png", "{run}: its generator draws what it likes"),
        (
            "interpolate {run} --out {tmp}/a.npz",
            "{tmp}/a.npz: ends neither in .png (a grid)",
        ),
        ("interpolate {run} --seeds 1,x --out {tmp}/a.png", "seeds is '1,x'; it must be integers"),
        ("interpolate {run} --seeds 1 --out {tmp}/a.png", "there are 1 seeds; a way needs two"),
        ("project {run} --image {tmp}/no.png --out {tmp}/a.png", "{tmp}/no.png: no such file"),
        ("project {run} --image {tmp} --out {tmp}/a.png", "{tmp}: not a file"),
        ("project {run} --image {pic} --out {tmp}/a.gif", "{tmp}/a.gif: ends not in .png"),
        ("project {run} --image {pic} --out {tmp}/no/a.png", "{tmp}/no/a.png: cannot be written"),
        (
            "inpaint {run} --image {pic} --mask {pic} --out {tmp}/a.png",
            "the mask hides every pixel",
        ),
        ("interpolate {run} --seeds 1,-1 --out {tmp}/a.png", "seed is -1; it must be an integer"),
        ("project {run} --seed -1 --image {pic} --out {tmp}/a.png", "seed is -1; it must be"),
        ("inpaint {run} --image {pic} --mask {wide} --out {tmp}/a.png", "{wide} has 84x28 pixels"),
        ("train --data= --out {tmp}/a.run", "data is ''; it must be the name"),
        ("train --batch-size 1 --out {tmp}/a.run", "batch_size is 1; batch_norm needs 2"),
        ("neighbours {run} --n 0 --out {tmp}/a.png", "n is 0; it must be"),
        ("neighbours {run} --n 2000 --k 9 --out {tmp}/a.png", "{tmp}/a.png: a grid holds at most"),
        ("neighbours {tmp} --out {tmp}/a.png", "{tmp}: holds no run"),
    ],
)
def test_uses_that_are_refused(scratchgan, trained, tmp_path, arguments, sentence):
    Image.fromarray(np.full((28, 28), 200, np.uint8)).save(tmp_path / "pic.png")
    Image.fromarray(np.full((28, 84), 200, np.uint8)).save(tmp_path / "wide.png")
    names = {"run": trained[0], "tmp": tmp_path, "pic": tmp_path / "pic.png"}
    names["wide"] = tmp_path / "wide.png"
    if arguments.startswith("project") and "no/a.png" in arguments:
        arguments += " --steps 1"
    code, _, err = scratchgan(*arguments.format(**names).split())
    assert code > 0
    assert "Traceback" not in err
    assert sentence.format(**names) in err.replace("Invalid value: ", "")
    assert not list(tmp_path.glob("a.*"))


def test_a_sweep_is_told_as_it_goes(scratchgan, tmp_path, monkeypatch):
    (tmp_path / "lr.toml").write_text("[vary]\nlr = [1e-3, 1e-2, 1e-4]\n")
    measures = dict.fromkeys(("precision", "recall", "imbalance"), 0.5)

    def run(trials, folder, workers, scheduler):
        assert (folder, workers, scheduler) == (tmp_path / "out", 3, None)
        yield Result(trials[0], {**measures, "frechet_distance": 2.0})
        yield Result(trials[1], None, "it diverged")
        yield Result(trials[2], {**measures, "frechet_distance": 1.5})

    monkeypatch.setattr("scratchgan.gan.sweep.run_sweep", run)
    options = ("--out", tmp_path / "out", "--workers", 3)
    code, text, _ = scratchgan("sweep", tmp_path / "lr.toml", *options)
    assert code == 0
    assert "2/3 002-lr=0.01: it diverged\n" in text
    assert "1/3 001-lr=0.001: Fréchet 2.000, precision 0.500" in text
    rows = [line.split() for line in text.splitlines() if line.startswith("│")]
    assert [row[1] for row in rows] == ["0.0001", "0.001"]
    assert text.endswith(f"The best is {tmp_path / 'out' / '003-lr=0.0001'}\n")


def test_a_sweep_of_which_nothing_came(scratchgan, tmp_path, monkeypatch):
    (tmp_path / "lr.toml").write_text("[vary]\nlr = [1e-3]\n")
    monkeypatch.setattr(
        "scratchgan.gan.sweep.run_sweep", lambda trials, *_: [Result(trials[0], None, "bad luck")]
    )
    code, text, _ = scratchgan("sweep", tmp_path / "lr.toml", "--out", tmp_path / "out")
    assert code == 1
    assert text.endswith("No training came to its end\n")


@pytest.mark.parametrize(("stop", "code"), [(KeyboardInterrupt(), 130), (SystemExit(143), 143)])
def test_a_sweep_that_is_stopped(scratchgan, tmp_path, monkeypatch, stop, code):
    (tmp_path / "many.toml").write_text("[vary]\nlr = [0.1, 0.2]\n")

    def run(trials, *_):
        yield Result(trials[0], None, "bad luck")
        raise stop

    monkeypatch.setattr("scratchgan.gan.sweep.run_sweep", run)
    found, out, _ = scratchgan("sweep", tmp_path / "many.toml", "--out", tmp_path / "out")
    assert found == code
    assert out.endswith("Stopped after 1 of 2; the same command goes on\n")


def test_a_sweep_that_is_none(refused, tmp_path):
    message = refused("sweep", tmp_path / "nowhere.toml")
    assert message == f"{tmp_path / 'nowhere.toml'}: cannot be read (No such file or directory)"
