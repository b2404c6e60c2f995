"""Run folders: what is refused, what is written, and what comes back."""

import json
import math
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

import scratchgan as sg
from scratchgan.gan import OBJECTIVES, PENALTIES, RECIPES, Config, Game, Run, RunError
from scratchgan.gan.runs import new_folder

CONFIG = Config.from_recipe("seed", latent_dim=7)

configs = st.builds(
    Config,
    data=st.none() | st.text(st.characters(exclude_characters="\0"), min_size=1),
    epochs=st.integers(1, 2**63 - 1),
    batch_size=st.integers(1, 2**63 - 1),
    objective=st.sampled_from(list(OBJECTIVES)),
    penalty=st.sampled_from(list(PENALTIES)),
    penalty_weight=st.none() | st.floats(0, 1e300),
    generator_widths=st.lists(st.integers(1, 65536), max_size=32),
    dropout=st.floats(0, 1, exclude_max=True),
    conditional=st.booleans(),
    latent_dim=st.integers(1, 65536),
    lr=st.floats(0, math.inf, exclude_min=True, exclude_max=True),
    seed=st.integers(0, 2**64 - 1),
    backend=st.text(),
)


def settings(**changes):
    """A config.json."""
    about = {"scratchgan": "0.1.0", "shape": [28, 28], "classes": ["a", "b"]}
    return json.dumps({**about, **CONFIG.to_dict(), **changes}).encode()


def refusal(call, *arguments):
    """The message of the RunError that a call raises: one sentence."""
    with pytest.raises(RunError) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- Settings -------------------------------------------------------------------------


@given(configs)
def test_settings_survive_the_file(config):
    assert Config.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("data", [3, True, "a\0b"], "the name of a file or a folder, or none"),
        ("epochs", [0, -1, 1.5, True, "3", None], "an integer from 1 on"),
        ("batch_size", [0, -1, 1.5, True, "3", None], "an integer from 1 on"),
        ("objective", ["wasserstein-gp", None, []], f"one of {', '.join(OBJECTIVES)}"),
        ("penalty", ["r3", None], f"one of {', '.join(PENALTIES)}"),
        ("penalty_weight", [-1.0, math.nan, "1", True], "a number from 0 on"),
        (
            "generator_widths",
            [[0], (0,), (65537,), (1.5,), "3", (3,) * 33, None],
            "up to 32 integers from 1 to 65536, as in 256,512",
        ),
        ("dropout", [1, -0.1, math.nan, None], "a number from 0 to less than 1"),
        ("beta1", [1, -0.1], "a number from 0 to less than 1"),
        ("batch_norm", [1, None, "yes"], "true or false"),
        ("data", [""], "the name of a file or a folder, or none"),
        ("latent_dim", [0, 65537, 1.5, True], "an integer from 1 to 65536"),
        ("lr", [0, -1e-4, math.nan, math.inf, "1", True], "a number above 0"),
        ("seed", [-1, 2**64, 0.5, True], "an integer from 0 to 18446744073709551615"),
        ("backend", [None, 3], "the name of a backend"),
    ],
)
def test_settings_out_of_range(name, values, expected):
    for value in values:
        message = refusal(lambda value=value: Config(**{name: value}))
        assert message == f"{name} is {value!r}; it must be {expected}"


def test_widths_may_be_a_list():
    assert Config(generator_widths=[3, 4]) == Config(generator_widths=(3, 4))


def test_settings_that_do_not_go_together():
    message = refusal(lambda: Config(batch_norm=True, batch_size=1))
    assert message.startswith("batch_size is 1; batch_norm needs 2 images or more")


def test_a_setting_that_there_is_not():
    assert refusal(lambda: Config.from_recipe("seed", turbo=1)) == "there is no setting 'turbo'"


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_is_one(recipe):
    assert isinstance(Config.from_recipe(recipe), Config)
    assert Config.from_recipe(recipe, seed=3) == replace(Config.from_recipe(recipe), seed=3)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"lr = ", "is no TOML ("),
        (b"\xff", "is no TOML ("),
        (b"a = " + b"[" * 5000, "is no TOML ("),
        (b"\xef\xbb\xbfturbo = 1", "there is no setting 'turbo'"),
        (b"turbo = 1", "there is no setting 'turbo'"),
        (b"lr = -1", "lr is -1; it must be a number above 0"),
        (b"generator_widths = 3", "generator_widths is 3; it must be up to 32 integers"),
        (b"[model]\nlatent_dim = 3", "model is {'latent_dim': 3}; it must be one of mlp"),
    ],
)
def test_a_recipe_that_is_none(tmp_path, content, fault):
    path = tmp_path / "mine.toml"
    path.write_bytes(content)
    message = refusal(Config.from_recipe, str(path))
    assert str(path) in message
    assert fault in message


def test_a_recipe_that_is_nowhere(tmp_path):
    assert refusal(Config.from_recipe, "nowhere").startswith("there is no recipe 'nowhere'; choose")
    path = str(tmp_path / "nowhere.toml")
    assert (
        refusal(Config.from_recipe, path) == f"{path}: cannot be read (No such file or directory)"
    )


# --- Folders --------------------------------------------------------------------------


def test_a_run_is_created_and_opened(tmp_path):
    folder = tmp_path / "deep" / "run"
    created = Run.create(folder, CONFIG)
    assert Run.open(str(folder)) == created == Run(folder, CONFIG)
    settings = json.loads((folder / "config.json").read_text())
    assert settings == {
        "scratchgan": "0.1.0",
        "shape": [28, 28],
        "classes": list("0123456789"),
        **json.loads(json.dumps(CONFIG.to_dict())),
    }


def test_an_empty_folder_will_do(tmp_path):
    assert Run.create(tmp_path, CONFIG) == Run.open(tmp_path)


def test_a_folder_with_another_run_is_refused(tmp_path):
    Run.create(tmp_path, CONFIG)
    before = (tmp_path / "config.json").read_bytes()
    message = refusal(Run.create, tmp_path, Config(seed=1))
    assert message == f"{tmp_path}: already holds another run; choose a new folder"
    assert (tmp_path / "config.json").read_bytes() == before


def test_a_folder_with_other_files_is_refused(tmp_path):
    (tmp_path / "thesis.tex").touch()
    message = refusal(Run.create, tmp_path, CONFIG)
    assert message == f"{tmp_path}: already holds other files; choose a new folder"
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_is_no_folder(tmp_path):
    file = tmp_path / "file"
    file.touch()
    for path in (file, file / "run", file / "run" / "run"):
        message = f"{path}: cannot be made a run folder ({file} is a file)"
        assert refusal(Run.create, path, CONFIG) == message
    assert refusal(Run.open, file) == f"{file}: holds no run (there is no config.json)"


def test_of_two_runs_at_once_one_has_the_folder(tmp_path, monkeypatch):
    folder = tmp_path / "run"
    folder.mkdir()  # by the other, after this one has looked
    monkeypatch.setattr(os.path, "lexists", lambda path: path != folder)
    message = refusal(Run.create, folder, CONFIG)
    assert message == f"{folder}: cannot be made a run folder (File exists)"
    assert list(folder.iterdir()) == []


def test_runs_that_begin_at_the_same_moment_have_folders_of_their_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    count = 12
    together = threading.Barrier(count)

    def begin(seed):
        together.wait()
        return Run.create_next("mnist", Config(seed=seed))

    with ThreadPoolExecutor(count) as threads:
        runs = list(threads.map(begin, range(count)))
    assert len({run.folder for run in runs}) == count
    assert all(Run.open(run.folder) == run for run in runs)


def test_a_name_that_cannot_be_numbered_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").symlink_to("nowhere")
    assert "cannot be made a run folder" in refusal(Run.create_next, "mnist", CONFIG)


def test_new_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = []
    for _ in range(3):
        folder = new_folder("mnist")
        folder.mkdir(parents=True)
        names.append(folder.as_posix())
    assert names == ["runs/mnist", "runs/mnist-2", "runs/mnist-3"]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "is no JSON"),
        (b"{", "is no JSON"),
        (b"\xff\xfe", "is no JSON"),
        (b"[" * 100_000, "is no JSON"),
        (b"[]", "it holds a list, not settings by name"),
        (b"{}", "it says nothing of the version that wrote it"),
        (settings(shape=None), "shape is None; it must be a height and a width"),
        (settings(shape=[28, 1e9]), "shape is [28, 1000000000.0]; it must be"),
        (settings(classes=[3]), "classes is [3]; it must be a list of names"),
        (settings(fun=1), "there is no setting 'fun'"),
        (settings(lr=math.nan), "lr is nan; it must be"),
        (settings(latent_dim=10**15), "latent_dim is 1000"),
    ],
)
def test_a_damaged_config(tmp_path, content, fault):
    path = tmp_path / "config.json"
    path.write_bytes(content)
    message = refusal(Run.open, tmp_path)
    assert message.startswith(f"{path}: ")
    assert fault in message


# --- Files ----------------------------------------------------------------------------


@pytest.fixture
def saved(tmp_path):
    """A run with weights, and the generator that they come from."""
    run = Run.create(tmp_path, CONFIG)
    game = Game(CONFIG)
    run.save_weights(game.average, game.discriminator)
    return run, game.generator


def test_the_generator_comes_back(saved):
    run, generator = saved
    z = sg.randn(5, 7)
    loaded = run.load_generator()
    np.testing.assert_array_equal(loaded(z).detach().numpy(), generator(z).detach().numpy())


def test_weights_are_named_as_in_the_state_dict(saved):
    run, _ = saved
    g = load_file(run.folder / "generator.safetensors")
    d = load_file(run.folder / "discriminator.safetensors")
    assert {name: array.shape for name, array in g.items() if "weight" in name} == {
        **{"0.weight": (128, 7), "2.weight": (256, 128), "4.weight": (784, 256)}
    }
    assert d["1.weight"].shape == (256, 784)
    assert d["1.weight"].dtype == np.float32


def test_a_run_without_weights(tmp_path):
    run = Run.create(tmp_path, CONFIG)
    message = refusal(run.load_generator)
    assert message == f"{tmp_path}: holds no generator.safetensors; train it first"


@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_truncated_weights(saved, keep):
    run, _ = saved
    path = run.folder / "generator.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    assert refusal(run.load_generator).startswith(f"{path}: is no safetensors file (")


def rewritten(saved, change):
    """The refusal after ``change`` was made to the generator's weights."""
    run, _ = saved
    path = run.folder / "generator.safetensors"
    state = load_file(path)
    change(state)
    save_file(state, path)
    message = refusal(run.load_generator)
    assert message.startswith(f"{path}: ")
    return message


def test_weights_of_another_run(saved):
    message = rewritten(saved, lambda state: state.update({"0.weight": np.ones((128, 8), "f4")}))
    assert "is not the generator of this run: the shape of '0.weight' is (128, 8)" in message


def test_weights_with_other_names(saved):
    message = rewritten(saved, lambda state: state.update(extra=state.pop("2.bias")))
    assert "'2.bias' is missing; 'extra' is not expected" in message


@pytest.mark.parametrize("value", [math.nan, -math.inf])
def test_weights_that_diverged(saved, value):
    message = rewritten(saved, lambda state: state["4.bias"].__setitem__(3, value))
    assert "some weights are not finite" in message


def test_weights_of_a_type_that_numpy_has_not(saved):
    run, _ = saved
    path = run.folder / "generator.safetensors"
    header = b'{"0.weight":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}'
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"\0\0")
    assert refusal(run.load_generator).startswith(f"{path}: is no safetensors file")
