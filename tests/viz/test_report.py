"""The report of a training, in a browser: its numbers, its generator, its looks."""

import base64
import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import scratchgan as sg
from scratchgan.data import Images
from scratchgan.gan import Config, Run, RunError, Trainer, writing_to
from scratchgan.gan.reports import compare, write_report
from scratchgan.viz import report
from scratchgan.viz.report.weights import MOST_WEIGHTS, Dense, DrawingNetwork, as_text

#: 64 images of 6 by 5 pixels, in three classes whose names would break a careless page.
NAMES = ("</script><b>a", "{{script}}" + " and so on" * 20, "ordinary")
IMAGES = Images(
    np.random.default_rng(0).integers(0, 256, (64, 6, 5), np.uint8),
    (np.arange(64) % 3).astype(np.uint8),
    NAMES,
)
SETTINGS = {"data": "own.npz", "epochs": 3, "batch_size": 4, "latent_dim": 10, "jit": False}
PLAIN = Config.from_recipe("seed", **SETTINGS, generator_widths=(7, 9), discriminator_widths=(8,))
KINDS = {
    "plain": {},
    "sloped": {"negative_slope": 0.2, "batch_norm": True, "ema_decay": 0.9},
    "asked": {"negative_slope": 0.1, "batch_norm": True, "conditional": True},
}
LOOKS = [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]


@pytest.fixture(scope="module", params=KINDS)
def run(request, tmp_path_factory):
    """A run of each kind, to its end."""
    config = Config.from_dict({**PLAIN.to_dict(), **KINDS[request.param]})
    found = Run.create(tmp_path_factory.mktemp(request.param) / "run", config, IMAGES.subject)
    patch = pytest.MonkeyPatch()
    patch.setattr("scratchgan.gan.vitals.LOG_EVERY", 1)
    patch.setattr("scratchgan.gan.trainer.LOG_EVERY", 5)
    Trainer(config, IMAGES).run(writing_to(found))
    patch.undo()
    return found


def data_of(path, name="data"):
    """What a script of a page holds."""
    text = path.read_text("utf-8")
    return json.loads(re.search(rf'id="{name}">(.*?)</script>', text)[1])


# --- The generator in the page ----------------------------------------------------------


def test_the_pages_generator_draws_what_pythons_does(run, open_page):
    rng = np.random.default_rng(3)
    generator = run.load_generator()
    with open_page(run.folder / "report.html") as page:
        for number in range(6):
            noise = rng.normal(size=10)
            mixture = rng.dirichlet(np.ones(3)) if run.config.conditional else np.zeros(0)
            inputs = [noise, mixture] if run.config.conditional else [noise]
            tensors = [sg.tensor(x[None].astype(np.float32)) for x in inputs]
            with sg.no_grad():
                expected = generator(*tensors).numpy().ravel()
            drawn = page.evaluate(
                "([z, m]) => [...generator.draw(z, m)]", [noise.tolist(), mixture.tolist()]
            )
            # Weights of 11 bits: less than a grey of 256, which is 2 / 255.
            np.testing.assert_allclose(drawn, expected, atol=2 / 255, err_msg=f"{number}")


def test_the_same_rounding_gives_the_same_numbers(run, open_page):
    """The page against a chain of products in NumPy, on the weights that the page holds."""
    held = data_of(run.folder / "report.html")["generator"]
    x = y = np.random.default_rng(0).normal(size=10 + held["classes"]).astype(np.float32)
    for layer in held["layers"]:
        weight, bias = (
            np.frombuffer(base64.b64decode(layer[k]), t)
            for k, t in (("weight", "<f2"), ("bias", "<f4"))
        )
        y = weight.reshape(len(bias), -1).astype(float) @ y + bias
        kinds = {
            "none": lambda v: v,
            "tanh": np.tanh,
            "leaky_relu": lambda v, slope=layer["slope"]: np.where(v > 0, v, slope * v),
        }
        y = kinds[layer["activation"]](y)
    with open_page(run.folder / "report.html") as page:
        drawn = page.evaluate(
            "([z, m]) => [...generator.draw(z, m)]", [x[:10].tolist(), x[10:].tolist()]
        )
    np.testing.assert_allclose(drawn, y, atol=1e-5)


HALVES = st.floats(width=16, allow_nan=False, allow_infinity=False)


@given(st.lists(HALVES, min_size=1, max_size=20))
def test_half_precision_is_read_bit_for_bit(chromium, reader, numbers):
    layer = Dense(np.array([numbers], np.float32), np.zeros(1, np.float32), "none")
    held = as_text(DrawingNetwork([layer], len(numbers), 0, (1, 1)))
    text = held["layers"][0]["weight"]
    assert reader.evaluate("(text) => [...halves(text)]", text) == numbers


@pytest.fixture(scope="module")
def reader(chromium):
    """A page with nothing but the script of the generator."""
    opened = chromium.new_page()
    opened.add_script_tag(path=Path(report.__file__).with_name("generator.js"))
    yield opened
    opened.close()


@given(st.integers(0, 2**32 - 1))
def test_noise_is_standard_normal_and_an_arc_keeps_its_length(chromium, reader, seed):
    numbers = reader.evaluate("(seed) => normals(4000, seed)", seed)
    assert abs(np.mean(numbers)) < 0.1
    assert abs(np.std(numbers) - 1) < 0.1
    ends = reader.evaluate("(seed) => [normals(50, seed), normals(50, seed + 1)]", seed)
    way = reader.evaluate("([a, b]) => [0, 0.3, 1].map((t) => between(a, b, t))", ends)
    np.testing.assert_allclose([way[0], way[2]], ends, atol=1e-9)
    lengths = np.linalg.norm(way, axis=1)
    assert min(lengths[0], lengths[2]) * 0.9 < lengths[1] < max(lengths[0], lengths[2]) * 1.1


def test_what_a_page_cannot_hold_is_left_out():
    def network(weight):
        return DrawingNetwork([Dense(weight, np.zeros(1), "none")], weight.shape[1], 0, (1, 1))

    assert as_text(network(np.ones((1, 3)))) is not None
    assert as_text(network(np.full((1, 3), 1e5))) is None  # no half has this size
    assert as_text(network(np.ones((1, MOST_WEIGHTS + 1)))) is None


# --- The numbers of the page ------------------------------------------------------------


def test_the_page_holds_the_numbers_of_the_tables(run):
    columns = data_of(run.folder / "report.html")["columns"]
    with (run.folder / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert set(columns) == set(rows[0])
    for name, held in columns.items():
        assert held == [float(row[name]) if row[name] else None for row in rows]
    timings = data_of(run.folder / "report.html", "timings")
    with (run.folder / "timings.csv").open(newline="") as file:
        timed = list(csv.DictReader(file))
    assert timings["seconds"] == [float(row["seconds"]) for row in timed]
    assert timings["images_per_step"] == 4


def test_the_slider_moves_all_of_the_page(run, open_page):
    with open_page(run.folder / "report.html") as page:
        seen = []
        for place in (0, 1, 2):
            page.locator("#epoch").fill(str(place))
            assert page.locator("#now").text_content() == f"epoch {place + 1} of 3"
            seen.append(
                page.locator("#grid").get_attribute("src")
                + page.locator("#histograms").inner_text()
            )
            readings = page.locator("#collapse .reading").all_text_contents()
            assert all(text.startswith(f"step {16 * (place + 1)}:") for text in readings)
        assert len(set(seen)) == 3


def test_charts_are_read_with_the_keyboard(run, open_page):
    with (run.folder / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    with open_page(run.folder / "report.html") as page:
        chart = page.locator("#game svg.plot").first
        chart.focus()
        page.keyboard.press("Home")
        for row in rows:
            reading = page.locator("#game .reading").first.text_content()
            step, d, g = re.fullmatch(r"step (\d+): D ([-.\de]+), G ([-.\de]+)", reading).groups()
            assert step == row["step"]
            assert float(d) == pytest.approx(float(row["discriminator_loss"]), rel=0.01)
            assert float(g) == pytest.approx(float(row["generator_loss"]), rel=0.01)
            page.keyboard.press("ArrowRight")


def test_the_explorer_answers(run, open_page):
    with open_page(run.folder / "report.html") as page:

        def drawn(name):
            return page.locator(name).evaluate("(canvas) => canvas.toDataURL()")

        before, way = drawn("#drawn"), drawn("#way")
        page.locator("#dimensions input").first.press("ArrowRight")
        moved = drawn("#drawn")
        page.locator("#fresh").press("Enter")
        assert len({before, moved, drawn("#drawn")}) == 3
        page.locator("#part").press("ArrowRight")
        assert drawn("#way") != way
        assert page.locator("#class").is_visible() == run.config.conditional
        if run.config.conditional:
            assert page.locator("#class option").all_text_contents() == list(NAMES)
            before = drawn("#drawn")
            page.locator("#class").select_option("2")
            assert drawn("#drawn") != before


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_the_page_fits_and_is_legible(run, open_page, width, scheme):
    with open_page(run.folder / "report.html", width=width, scheme=scheme) as page:
        assert page.evaluate("document.documentElement.scrollWidth") == width
        paper, ink = (
            page.evaluate(f"getComputedStyle(document.body).{x}")
            for x in ("backgroundColor", "color")
        )
        luminances = [_luminance(colour) for colour in (paper, ink)]
        assert (luminances[0] > luminances[1]) == (scheme == "light")
        # WCAG 2.2, 1.4.6: enhanced contrast.
        assert (max(luminances) + 0.05) / (min(luminances) + 0.05) > 7
        heights = page.evaluate(
            "[...document.querySelectorAll('button')].map((x) => x.offsetHeight)"
        )
        assert min(height for height in heights if height) >= 24  # WCAG 2.2, 2.5.8
        dashes = (
            page.locator("#game svg.plot")
            .first.locator(".curve")
            .evaluate_all("(curves) => curves.map((x) => x.style.strokeDasharray)")
        )
        assert len(set(dashes)) == 2  # two curves are told apart without their colours


def _luminance(colour):
    """The relative luminance of WCAG 2.2."""
    parts = [int(x) / 255 for x in re.findall(r"\d+", colour)[:3]]
    linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


# --- Runs that are not as they should be -------------------------------------------------


def new_run(folder):
    return Run.create(folder, PLAIN, IMAGES.subject)


def test_a_run_without_anything_has_a_page(tmp_path, open_page):
    run = new_run(tmp_path / "run")
    write_report(run)
    with open_page(run.folder / "report.html") as page:
        assert not page.locator("#explorer").is_visible()
        assert not page.locator("#time").is_visible()
        assert "Nothing was measured" in page.locator("#game").inner_text()


@pytest.mark.parametrize(
    "content",
    [
        "step,epoch\n1",
        "step,epoch\n1,x\n",
        "a,b\n1,2\n",
        "step,epoch\n1,2,3\n",
        "step\n\0\n",
        "step\n1\n",
    ],
)
def test_a_damaged_table_is_one_sentence(content, tmp_path):
    run = new_run(tmp_path / "run")
    (run.folder / "metrics.csv").write_text(content)
    with pytest.raises(RunError, match=r"metrics\.csv: is no table"):
        write_report(run)


@pytest.mark.parametrize(
    "content",
    ["", "[]", "3", '{"epoch": 1, "step": 2}', '{"epoch": 1, "step": 2, "layers": {"a": 1}}', "\0"],
)
def test_damaged_samples_and_histograms_are_left_out(content, tmp_path):
    run = new_run(tmp_path / "run")
    for path in (run.histograms_path(1), run.sample_path(1)):
        path.parent.mkdir()
        path.write_text(content)
    write_report(run)
    held = data_of(run.folder / "report.html")
    assert held["histograms"] == held["samples"] == []


PARTS = st.sampled_from(
    ["epoch", "step", "layers", "shape", "weights", "updates", "low", "high", "rms", "counts", "x"]
)
NUMBERS = st.sampled_from(["1", "-2.5", "", "nan", "1e999", "1e300", "x", '"', "\0", "9" * 400])
CELLS = st.lists(st.lists(NUMBERS, min_size=1, max_size=4), max_size=4)
JSON = st.recursive(
    st.none() | st.integers() | st.floats() | st.just(10**400) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(PARTS, inner, max_size=8),
)


@given(CELLS, JSON)
def test_whatever_lies_in_a_folder_is_a_page_or_one_sentence(tmp_path_factory, cells, found):
    run = new_run(tmp_path_factory.mktemp("odd") / "run")
    lines = ["step,epoch,diversity", *map(",".join, cells)]
    (run.folder / "metrics.csv").write_text("\n".join(lines))
    (run.folder / "evaluation.json").write_text(json.dumps(found))
    run.histograms_path(1).parent.mkdir()
    run.histograms_path(1).write_text(json.dumps(found))
    for make in (lambda: write_report(run), lambda: compare([run, run], run.folder / "c.html")):
        try:
            make()
        except RunError as fault:
            assert "metrics.csv: is no table" in str(fault)


def test_a_long_training_has_a_small_page(tmp_path):
    run = new_run(tmp_path / "run")
    rng = np.random.default_rng(0)
    names = ["step", "epoch", *(f"x{i}" for i in range(30))]
    lines = [",".join(names)]
    lines += [",".join(map(str, [100 * i, i, *rng.random(30).round(6)])) for i in range(1, 9000)]
    (run.folder / "metrics.csv").write_text("\n".join(lines) + "\n")
    run.sample_path(1).parent.mkdir()
    run.histograms_path(1).parent.mkdir()
    from PIL import Image

    h = {"low": -1, "high": 1, "rms": 0.1, "counts": [100] * 32}
    layer = {"shape": [1, 1], "weights": h, "updates": h}
    for epoch in range(1, 200):
        Image.fromarray(rng.integers(0, 256, (512, 512), np.uint8)).save(run.sample_path(epoch))
        each = {
            "epoch": epoch,
            "step": epoch,
            "layers": {f"generator.{i}": layer for i in range(12)},
        }
        run.histograms_path(epoch).write_text(json.dumps(each))
    write_report(run)
    page = run.folder / "report.html"
    assert page.stat().st_size < 5e6
    held = data_of(page)
    assert [held["samples"][i]["epoch"] for i in (0, -1)] == [1, 199]
    assert [held["columns"]["step"][i] for i in (0, -1)] == [100, 899900]


# --- Side by side --------------------------------------------------------------------------


@pytest.fixture
def two(tmp_path):
    """Two runs that differ in a setting, one of them judged."""
    runs = []
    for number, lr in enumerate((2e-4, 1e-2)):
        config = Config.from_dict({**PLAIN.to_dict(), "lr": lr, "epochs": 1})
        found = Run.create(tmp_path / f"<b>{number}", config, IMAGES.subject)
        Trainer(config, IMAGES).run(writing_to(found))
        runs.append(found)
    (runs[1].folder / "evaluation.json").write_text(
        '{"recall": 0.25, "classes": [1], "x": Infinity}'
    )
    return runs


@pytest.mark.parametrize(("width", "scheme"), LOOKS[1:3])
def test_runs_side_by_side(two, open_page, tmp_path, width, scheme):
    path = tmp_path / "compare.html"
    compare(two, path)
    with open_page(path, width=width, scheme=scheme) as page:
        cells = page.locator("#settings td").all_text_contents()
        assert cells == ["0.0002", "0.01"]
        assert page.locator("#settings th[scope=row]").all_text_contents() == ["lr"]
        assert page.locator("#measures td").all_text_contents() == ["—", "0.25"]
        assert page.locator("#samples img").count() == 2
        assert "Loss of D" in page.locator("#curves").inner_text()
        assert page.evaluate("document.documentElement.scrollWidth") == width
        # Long names of runs leave room for the rest, and one for another.
        assert page.locator("#settings th[scope=row]").bounding_box()["height"] < 40
        for caption in page.locator("#samples figcaption").all():
            assert caption.evaluate("it => it.scrollWidth <= it.clientWidth")
        legend = page.locator("#curves .legend").first.locator("li").all_text_contents()
        assert legend == [str(run.folder) for run in two]


def test_a_run_that_ended_sooner_is_read_where_it_ended(tmp_path, open_page):
    runs = [new_run(tmp_path / name) for name in ("short", "long")]
    for run, steps in zip(runs, (2, 4), strict=True):
        lines = [f"{10 * i},1,{i}.5" for i in range(1, steps + 1)]
        (run.folder / "metrics.csv").write_text(
            "\n".join(["step,epoch,discriminator_loss", *lines])
        )
    path = tmp_path / "compare.html"
    compare(runs, path)
    short, long = (str(run.folder) for run in runs)
    with open_page(path) as page:
        reading = page.locator("#curves .reading").first
        assert reading.text_content() == f"images 160: {short} 2.5 (at 80), {long} 4.5"
        page.locator("#curves svg.plot").first.focus()
        page.keyboard.press("Home")
        assert reading.text_content() == f"images 40: {short} 1.5, {long} 1.5"


def test_many_runs_on_a_telephone_are_scrolled_and_no_word_is_cut(tmp_path, open_page):
    runs = []
    for number in range(6):
        config = Config.from_dict({**PLAIN.to_dict(), "objective": "hinge", "seed": number})
        runs.append(Run.create(tmp_path / str(number), config, IMAGES.subject))
    runs.append(new_run(tmp_path / "other"))
    path = tmp_path / "compare.html"
    compare(runs, path)
    with open_page(path, width=390) as page:
        cells = page.locator("#settings td")
        assert "hinge" in cells.all_text_contents()
        heights = {cell.bounding_box()["height"] for cell in cells.all()}
        assert max(heights) < 40  # one line each
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        scrolled = page.locator("#settings")
        assert scrolled.evaluate("it => it.scrollWidth > it.clientWidth")


def test_names_without_a_code_in_utf_8(tmp_path, open_page):
    """A folder may be called by bytes that are no text."""
    config = Config.from_dict({**PLAIN.to_dict(), "data": "d\udcff.npz"})
    runs = [Run.create(tmp_path / f"{i}\udcff", config, IMAGES.subject) for i in range(2)]
    compare(runs, tmp_path / "compare.html")
    write_report(runs[0])
    for page in (tmp_path / "compare.html", runs[0].folder / "report.html"):
        copy = tmp_path / "page.html"
        copy.write_bytes(page.read_bytes())
        with open_page(copy) as page:
            assert page.locator("h1").is_visible()


def test_what_cannot_be_compared(two, tmp_path):
    with pytest.raises(RunError, match="1 run cannot be compared with itself; name two or more"):
        compare(two[:1], tmp_path / "page.html")
    with pytest.raises(RunError, match=r"does not end in \.html"):
        compare(two, tmp_path / "page.pdf")
