"""What a run's generator can be used for: pictures, measures, ways between digits, repairs."""

import re

import numpy as np
import pytest
from matplotlib.image import imread
from PIL import Image
from programs import COMPILING


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
