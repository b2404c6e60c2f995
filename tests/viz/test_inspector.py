"""The inspector: what it writes down is what was computed, and the page shows it."""

import itertools
import json
import re
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import scratchgan as sg
from scratchgan import nn, optim
from scratchgan.autograd import TapeError
from scratchgan.autograd.primitive import REGISTRY
from scratchgan.gan import Config, Game, Run, load_images
from scratchgan.gan.inspection import inspect as inspect_gan
from scratchgan.viz.inspector import formulas, record, write_page
from scratchgan.viz.inspector.recording import Backward, Forward, Update, record_backward
from scratchgan.viz.inspector.summary import summary


@pytest.fixture
def trained_step():
    """A model, and a function that takes one step of its training."""
    sg.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
    adam = optim.Adam(model.parameters(), lr=0.1)
    x = sg.randn(5, 3)

    def step():
        adam.zero_grad()
        loss = (model(x) ** 2).mean()
        loss.backward()
        adam.step()

    return model, x, step


def of_kind(recording, kind):
    return [moment for moment in recording.moments if isinstance(moment, kind)]


# --- What is written down ---------------------------------------------------------------


def test_forward_backward_and_update_come_in_order(trained_step):
    model, x, step = trained_step
    recording = record(step, {"model": model, "x": x})
    kinds = [type(moment) for moment in recording.moments]
    assert kinds == sorted(kinds, key=[Forward, Backward, Update].index)
    backward = [moment.call for moment in of_kind(recording, Backward)]
    assert backward == sorted(backward, reverse=True)
    updated = [recording.values[moment.before].name for moment in of_kind(recording, Update)]
    assert updated == ["model.0.weight", "model.0.bias", "model.2.weight", "model.2.bias"]


def test_the_numbers_are_those_of_the_computation(trained_step):
    model, x, step = trained_step
    before = {name: p.numpy(force=True).copy() for name, p in model.named_parameters()}
    recording = record(step, {"": model, "x": x})
    for name, parameter in model.named_parameters():
        update = next(
            m for m in of_kind(recording, Update) if recording.values[m.before].name == name
        )
        np.testing.assert_array_equal(recording.values[update.before].array, before[name])
        np.testing.assert_array_equal(
            recording.values[update.after].array, parameter.numpy(force=True)
        )
        np.testing.assert_array_equal(
            recording.values[update.gradient].array, parameter.grad.numpy()
        )


def test_modules_are_groups_and_a_second_pass_is_another(trained_step):
    model, x, _ = trained_step
    recording = record(lambda: model(x) + model(x), {"model": model})
    groups = [call.group for call in recording.calls]
    first, second = ("model", "0"), ("model (2)", "0")
    assert groups == [first, ("model", "2"), second, ("model (2)", "2"), ()]
    assert recording.modules[first] == recording.modules[second] == "Linear"


def test_recording_changes_nothing(trained_step):
    model, _, step = trained_step
    states = []
    for run in (step, lambda: record(step)):
        sg.manual_seed(1)
        for parameter in model.parameters():
            parameter.data.copy_(sg.randn(*parameter.shape))
        run()
        states.append([p.grad.numpy().copy() for p in model.parameters()])
    for one, other in zip(*states, strict=True):
        np.testing.assert_array_equal(one, other)


def test_second_derivatives_show_the_backward_that_they_go_through():
    x = sg.tensor([1.0, 2.0], requires_grad=True)

    def penalty():
        (slope,) = sg.autograd.grad((x**3).sum(), x, create_graph=True)
        (slope**2).sum().backward()

    recording = record(penalty, {"x": x})
    assert ("backward",) in {call.group for call in recording.calls}
    # d/dx of (3 x²)² is 36 x³; it comes by two ways, which add up.
    leaves = [
        recording.values[gradient].array
        for moment in of_kind(recording, Backward)
        for position, gradient in moment.left.items()
        if recording.values[recording.calls[moment.call].inputs[position]].name == "x"
    ]
    first = sum(leaves) - 3 * x.numpy(force=True) ** 2  # without the first pass's own
    np.testing.assert_allclose(first, 36 * x.numpy(force=True) ** 3, rtol=1e-6)


def test_a_tape_that_is_there_is_read_and_stays_as_it_is():
    x = sg.tensor([1.0, 2.0], requires_grad=True)
    w = sg.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    loss = ((w @ x).tanh() * 2).sum()
    recording = record_backward(loss, {"x": x, "w": w})
    assert x.grad is None
    loss.backward()  # not freed, and as before
    left = {
        recording.values[recording.calls[m.call].inputs[position]].name: recording.values[value]
        for m in of_kind(recording, Backward)
        for position, value in m.left.items()
        if isinstance(recording.calls[m.call].inputs[position], int)
    }
    np.testing.assert_array_equal(left["w"].array, w.grad.numpy())
    tanh = next(call for call in recording.calls if call.primitive.name == "tanh")
    kept = recording.values[tanh.output].array
    np.testing.assert_allclose(kept, np.tanh(w.numpy(force=True) @ x.numpy(force=True)), rtol=1e-6)


def test_groups_bear_the_classes_of_their_modules():
    """Also of those that compute nothing themselves, and of one that is called by another name."""

    class Tree(nn.Module):
        def __init__(self):
            super().__init__()
            self.blocks = nn.ModuleList([nn.Sequential(nn.Linear(3, 3), nn.Tanh())])

        def forward(self, x):
            return self.blocks[0](x)

    tree, x = Tree(), sg.ones(2, 3)
    for names, top in ((None, "Tree"), (tree, "Tree"), ({"t": tree}, "t")):
        recording = record(lambda: tree(x), names)
        (call,) = recording.calls
        assert call.group == (top, "blocks", "0", "0")
        classes = [recording.modules[call.group[:depth]] for depth in range(1, 5)]
        assert classes == ["Tree", "ModuleList", "Sequential", "Linear"]
    recording = record(lambda: tree.blocks[0](x), {"t": tree})
    assert recording.modules[("t",)] == "Tree"


def test_without_names_a_page_has_those_of_variables(trained_step, tmp_path):
    model, x, step = trained_step
    for what in (model(x).sum(), step):
        (tape,) = data_of(sg.inspect(what, tmp_path / "page.html"))["tapes"]
        kinds = {value["name"]: value["kind"] for value in tape["values"] if value["name"]}
        assert kinds == {
            **dict.fromkeys([f"model.{i}" for i in ("0.weight", "0.bias")], "parameter"),
            **dict.fromkeys([f"model.{i}" for i in ("2.weight", "2.bias")], "parameter"),
            **{"x": "input"},
        }


def test_a_tensor_that_changes_is_an_update_of_any_type(tmp_path):
    """A mask, a counter, and what becomes infinite; no warning is given."""
    names = {
        "mask": sg.tensor([True, False]),
        "count": sg.tensor([0, 255], dtype=sg.uint8),
        "x": sg.tensor([1.0, float("inf")]),
    }

    def step():
        for x in names.values():
            x + x
        names["mask"].copy_(sg.tensor([False, True]))
        names["count"].copy_(sg.tensor([1, 0], dtype=sg.uint8))
        names["x"].mul_(2)

    path = sg.inspect(step, tmp_path / "page.html", names=names)
    (tape,) = data_of(path)["tapes"]
    changes = {tape["values"][m[1]]["name"]: m[4] for m in tape["moments"] if m[0] == "u"}
    numbers = {name: change["numbers"] for name, change in changes.items()}
    assert numbers == {"mask": [-1, 1], "count": [1, -255], "x": [1, "nan"]}


def data_of(path):
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', path.read_text())
    return json.loads(found[1])


def test_a_long_function_is_recorded_in_steps_as_many_as_its_calls():
    """Every call looks for parameters that have changed: at those, and not at all that there is."""
    x = sg.tensor(1.0, requires_grad=True)

    def chain(length):
        y = x
        for _ in range(length):
            y = y * 1.0001
        y.backward()

    def lines(length):
        count = 0

        def counting(frame, event, argument):
            nonlocal count
            count += event == "line"
            return counting

        before = sys.gettrace()
        sys.settrace(counting)
        try:
            record(lambda: chain(length), {"x": x})
        finally:
            sys.settrace(before)
        return count

    lines(10)
    assert lines(800) < 12 * lines(80)


@pytest.mark.parametrize("image", [28, (28,), (0, 28), (-1, -1), "ab", (1.0, 2.0)])
def test_an_image_has_a_height_and_a_width(image, tmp_path):
    x = sg.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(ValueError, match="image must be the height and width of images"):
        sg.inspect(x * 2, tmp_path / "a.html", image=image)


def test_no_grad_is_touched_and_hooks_act_as_in_a_backward():
    x = sg.tensor([1.0, 2.0], requires_grad=True)
    y = x * 2
    y.retain_grad()
    y.register_hook(lambda gradient: gradient * 5)
    loss = y.sum()
    recording = record_backward(loss, {"x": x})
    assert y.grad is None
    assert x.grad is None
    (left,) = of_kind(recording, Backward)[1].left.values()
    np.testing.assert_array_equal(recording.values[left].array, [10, 10])
    loss.backward()
    np.testing.assert_array_equal(x.grad.numpy(), [10, 10])
    np.testing.assert_array_equal(y.grad.numpy(), [5, 5])


def test_what_cannot_be_inspected(tmp_path):
    with pytest.raises(TapeError, match=r"shape \(2,\) is a leaf: no primitive made it"):
        sg.inspect(sg.zeros(2, requires_grad=True), tmp_path / "a.html")
    with pytest.raises(TapeError, match="does not require a gradient"):
        sg.inspect(sg.tensor(1.0), tmp_path / "a.html")
    with pytest.raises(ValueError, match="inspect: the function computed nothing"):
        sg.inspect(lambda: None, tmp_path / "a.html")
    assert not list(tmp_path.iterdir())


# --- What is shown ----------------------------------------------------------------------


@given(st.lists(st.floats(), min_size=1, max_size=40), st.booleans())
def test_a_summary_is_json_and_counts_every_element(numbers, as_matrix):
    array = np.array(numbers)
    shown = summary(array.reshape(1, -1) if as_matrix else array)
    json.dumps(shown, allow_nan=False)
    finite = array[np.isfinite(array)].astype(np.float64)
    assert shown["bad"] == array.size - finite.size
    if finite.size:
        assert (shown["min"], shown["max"]) == (finite.min(), finite.max())
        assert sum(shown.get("bars", [finite.size])) == finite.size
        exact = [Fraction(x) for x in finite.tolist()]
        size = max(abs(x) for x in exact)
        assert abs(Fraction(shown["mean"]) - sum(exact) / len(exact)) <= size / 10**12
        square = sum(x * x for x in exact) / len(exact)
        assert abs(Fraction(shown["rms"]) ** 2 - square) <= size * size / 10**12 or size < 1e-300


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_every_primitive_has_a_formula_that_is_well_formed(name):
    import xml.etree.ElementTree as ET

    primitive = REGISTRY[name]
    shown = [formulas.of_forward(primitive), *map(formulas.of_vjp, primitive.vjps.values())]
    for text in filter(None, shown):
        ET.fromstring(text)
    assert "out" in shown[0]


def text_of(markup):
    return re.sub(r"<[^>]+>", "", markup)


def test_formulas_are_set_as_one_writes_them():
    vjps = {name: REGISTRY[name].vjps for name in ("mul", "matmul", "tanh", "div")}
    assert text_of(formulas.of_vjp(vjps["mul"]["x"])) == "g·y"
    assert text_of(formulas.of_vjp(vjps["matmul"]["y"])) == "x⊤g"
    assert text_of(formulas.of_vjp(vjps["tanh"]["x"])) == "g·(1−out·out)"
    assert "<mfrac>" in formulas.of_vjp(vjps["div"]["x"])


# --- In a browser -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def gan_page(tmp_path_factory):
    """The page of the tutorial's GAN."""
    return inspect_gan(None, tmp_path_factory.mktemp("inspector") / "gan.html")


def test_the_page_is_one_small_file(gan_page):
    text = gan_page.read_text()
    assert gan_page.stat().st_size < 5 << 20
    assert "http://" not in re.sub(r"http://www\.w3\.org/\S+", "", text)
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=", text)


def test_a_run_is_called_after_its_folder(tmp_path, monkeypatch):
    """Also where that is the one that one is in."""
    config = Config.from_recipe("seed", generator_widths=(4,), discriminator_widths=(4,))
    folder = tmp_path / "the <run>"
    run = Run.create(folder, config, load_images(config).subject)
    game = Game(config)
    run.save_weights(game.generator, game.discriminator)
    monkeypatch.chdir(folder)
    for one in (run, Run.open(Path())):
        page = inspect_gan(one, tmp_path / "page.html").read_text("utf-8")
        assert "<h1>A step of the &lt;run&gt;</h1>" in page


def test_one_steps_through_it(gan_page, open_page):
    with open_page(gan_page) as page:
        assert page.locator("#moment").text_content().endswith("before the first")
        total = page.evaluate("tape.moments.length")
        for _ in range(total):
            page.keyboard.press("ArrowRight")
        assert page.evaluate(f"time === {total}")
        assert page.locator(".node.got").count() > 10
        page.keyboard.press("Home")
        assert page.evaluate("time === 0")
        assert page.locator(".node.done, .node.got, .edge.done, .edge.got").count() == 0
        page.keyboard.press("End")
        assert page.evaluate(f"time === {total}")
        page.get_by_role("tab", name="G moves").click()
        assert page.evaluate("time === 0 && tape.title === 'G moves'")


def test_it_shows_the_numbers_of_the_tensors(gan_page, open_page):
    sg.manual_seed(0)
    game = Game(Config.from_recipe("seed", batch_size=16))
    weight = game.discriminator.state_dict()["1.weight"].numpy()
    with open_page(gan_page) as page:
        page.keyboard.press("End")
        page.keyboard.press("/")
        page.keyboard.type("discriminator.1.weight")
        page.keyboard.press("Enter")
        page.wait_for_selector("h2:text-is('discriminator.1.weight')")
        shown = page.locator("#details")
        card = shown.locator(".card").first
        cells = [float(cell) for cell in card.locator("dd").all_text_contents()]
        wanted = [weight.min(), weight.mean(), weight.max(), weight.std()]
        np.testing.assert_allclose(cells, wanted, rtol=2e-3, atol=1e-8)
        assert shown.locator(".card b").all_text_contents() == [
            *("value", "gradient from linear", "value", "change")
        ]
        assert card.locator("canvas").count() == 1


def test_modules_fold(gan_page, open_page):
    with open_page(gan_page) as page:
        before = page.locator(".node").count()
        page.get_by_text("generator Sequential").click()
        assert page.locator(".node.folded").count() == 1
        assert page.locator(".node").count() < before - 5
        page.locator(".node.folded").click()
        assert page.locator(".node").count() == before


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_it_fits_the_screen(gan_page, open_page, width, scheme):
    with open_page(gan_page, width=width, height=840, scheme=scheme) as page:
        for _ in range(12):
            page.keyboard.press("ArrowRight")
        assert page.evaluate("time === 12")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        now = page.locator(".node.now").bounding_box()
        graph = page.locator("#graph").bounding_box()
        assert graph["x"] <= now["x"] <= graph["x"] + graph["width"]
        assert graph["y"] <= now["y"] <= graph["y"] + graph["height"]


@pytest.mark.parametrize("length", [2_000, 5_000])
def test_a_long_tape_stays_usable(open_page, tmp_path, length):
    x = sg.tensor(1.0, requires_grad=True)

    def chain():
        y = x
        for _ in range(length):
            y = y * 1.0001
        y.backward()

    with open_page(write_page(tmp_path / "long.html", {"chain": record(chain, {"x": x})})) as page:
        assert page.evaluate("tape.moments.length") == 2 * length
        # Each call stands below the one before, and is joined to it, where pieces meet too.
        heights = page.evaluate("tape.byCall.map((key) => tape.shapes.get(key).getCTM().f)")
        assert heights == sorted(set(heights))
        assert page.evaluate("tape.lines.size") == length
        page.keyboard.press("ArrowRight")
        # The call, and x.
        assert page.evaluate("document.querySelectorAll('.node.done').length === 2")


def test_text_in_a_name_is_only_text(open_page, tmp_path):
    x = sg.tensor([1.0, 2.0], requires_grad=True)
    name = "</script><script>document.title = 'taken'</script>{{script}}<!--<script>"
    path = tmp_path / "page.html"
    sg.inspect(lambda: (x * 2).sum().backward(), path, names={name: x}, title=name)
    with open_page(path) as page:
        page.keyboard.press("End")
        assert page.title() == name
        assert page.locator("h1").text_content() == name


def test_names_of_any_length_leave_the_page_as_it_is(open_page, tmp_path):
    """They are cut where they are drawn, and stand in the title."""
    model = nn.Sequential()
    model.add_module("a/b" * 100, nn.Sequential(nn.Linear(2, 2), nn.Softmax(1)))
    model.add_module("<i>" * 100, nn.Linear(2, 2))
    path = tmp_path / "page.html"
    names = {"m" * 300: model}
    sg.inspect(lambda: model(sg.ones(1, 2)).sum().backward(), path, names=names, title="t" * 300)
    for width in (1280, 390):
        with open_page(path, width=width) as page:
            page.keyboard.press("End")
            assert page.evaluate("time === tape.moments.length")
            assert page.evaluate("document.documentElement.scrollWidth") == width
            wide = page.locator("#details")
            assert wide.evaluate("it => it.scrollWidth <= it.clientWidth")
            assert page.locator("#find").bounding_box()["width"] > 100
            assert page.evaluate("Math.max(...tape.nodes.map((node) => node.label.length)) > 300")
            # No text is wider than its box, and no group's name lies on another's.
            assert page.evaluate(
                "[...document.querySelectorAll('.node, .group')].every((g) => "
                "[...g.querySelectorAll('text:not(.nabla)')].every((t) => "
                "t.getBBox().width <= g.querySelector('rect').getBBox().width))"
            )
            tops = page.evaluate(
                "[...document.querySelectorAll('.group > text')].map((t) => t.getBBox().y)"
            )
            assert len(tops) > 1
            assert min(abs(a - b) for a, b in itertools.combinations(tops, 2)) > 13


def test_a_parameter_is_called_as_its_module_knows_it(open_page, tmp_path):
    model = nn.Sequential(nn.Sequential(nn.Linear(2, 2), nn.Softmax(1)))
    x = sg.ones(1, 2)
    for number, names in enumerate((None, model, {"m": model})):
        path = tmp_path / f"{number}.html"
        sg.inspect(lambda: (model(x) + model(x)).sum().backward(), path, names=names)
        with open_page(path) as page:
            labels = page.evaluate(
                "tape.nodes.filter((n) => n.kind === 'parameter').map((n) => n.label)"
            )
            assert labels == ["0.weight", "0.bias"] * 2


def test_elements_that_are_not_finite_are_told(open_page, tmp_path):
    x = sg.tensor([[1.0, float("nan")], [float("inf"), 2.0]], requires_grad=True)
    empty = sg.zeros(0, 2, requires_grad=True)
    path = tmp_path / "page.html"
    sg.inspect(lambda: (sg.cat([x * x, empty * 1]) * 1).sum().backward(), path, names={"x": x})
    with open_page(path) as page:

        def marks(what):
            page.keyboard.press("/")
            page.locator("#find").fill(what)
            page.keyboard.press("Enter")
            page.keyboard.press("Escape")
            return [text.strip() for text in page.locator("#details .mark").all_text_contents()]

        page.keyboard.press("End")
        told = "⚠ 2 of its elements are not finite"
        assert marks("x") == [told] * 3  # the value, and a gradient from each side
        # Of nothing there is no gradient that vanishes.
        page.evaluate("choose(tape.byCall[1])")
        assert page.locator("#details h2").text_content() == "mul 1"
        assert page.locator("#details .mark").count() == 0


def test_what_changes_several_times_is_shown_where_it_was(open_page, tmp_path):
    w = sg.tensor([1.0, 2.0], requires_grad=True)

    def step():
        loss = (w * 3).sum()
        loss.backward()
        with sg.no_grad():
            for size in (10, 100):
                w.add_(size)
                sg.ones(1) * size  # what runs between makes two changes of it

    with open_page(sg.inspect(step, tmp_path / "page.html")) as page:
        total = page.evaluate("tape.moments.length")
        seen = []
        for _ in range(total):
            page.keyboard.press("ArrowRight")
            if "update of w" in page.locator("#moment").text_content():
                assert page.locator("#details h2").text_content() == "w"
                cards = page.locator("#details .card p:first-of-type").all_text_contents()
                seen.append(cards)
        before, gradient, first, by_ten = ["1  2"], ["3  3"], ["11  12"], ["10  10"]
        assert seen[0] == [*before, *gradient, *first, *by_ten]
        assert seen[1] == [*seen[0], "111  112", "100  100"]


def test_the_space_bar_opens_what_it_is_on(gan_page, open_page):
    with open_page(gan_page) as page:
        page.keyboard.press("ArrowRight")
        page.locator("#details summary").first.focus()
        page.keyboard.press("Space")
        assert page.locator("#details details").first.get_attribute("open") is not None
        assert page.evaluate("timer") is None


def test_a_page_appears_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "page.html"
    path.write_text("before")
    monkeypatch.setattr(formulas, "of_forward", lambda primitive: 1 / 0)
    x = sg.tensor(1.0, requires_grad=True)
    with pytest.raises(ZeroDivisionError):
        sg.inspect(x * 2, path)
    assert path.read_text() == "before"
