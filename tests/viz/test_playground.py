"""The playground: the page computes what the package computes, and trains."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import scratchgan as sg
from scratchgan import cli, nn, optim
from scratchgan.autograd.primitive import REGISTRY
from scratchgan.gan.objectives import OBJECTIVES
from scratchgan.gan.playground import playground
from scratchgan.viz.playground.javascript import JavaScriptError, Printer, of_definition

ADAM = {"lr": 1e-2, "betas": (0.5, 0.999), "eps": 1e-8}
SLOPE = 0.2


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return playground(tmp_path_factory.mktemp("page") / "playground.html")


@pytest.fixture(scope="module")
def page(chromium: Any, path: Path) -> Iterator[Any]:
    """The page, for what it computes."""
    faults: list[str] = []
    page = chromium.new_page()
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(path.as_uri())
    yield page
    page.close()
    assert not faults


def close(found: Any, wanted: Any, tolerance: float) -> None:
    shown = wanted.numpy(force=True)
    assert found["shape"] == list(shown.shape)
    flat = shown.ravel()
    np.testing.assert_allclose(found["data"], flat, rtol=tolerance, atol=tolerance)


def sent(x: np.ndarray) -> dict[str, Any]:
    return {"data": x.ravel().tolist(), "shape": list(x.shape)}


# --- What is printed ------------------------------------------------------------------

#: Runs a primitive and goes back through its node.
RUN = """({ name, inputs, needs, keywords, g }) => {
  const given = ({ data, shape }) => new Tensor(data, shape);
  const plain = (x) => ({ data: [...x.data], shape: x.shape });
  const tensors = inputs.map(given);
  tensors.forEach((x, i) => { x.requiresGrad = needs[i]; });
  const out = op[name](...tensors, keywords);
  const back = out.node ? withoutTape(() => pullBack(out.node, given(g))) : [];
  return { out: plain(out), gradients: back.map(([, gradient]) => plain(gradient)) };
}"""

#: The inputs and keywords of primitives that are no arithmetic on one element, or take keywords.
SHAPES = {
    "matmul": ([(3, 4), (4, 2)], {}),
    "sum": ([(3, 4)], {"dim": None, "keepdim": False}),
    "mean": ([(3, 4)], {"dim": None, "keepdim": False}),
    "permute": ([(3, 4)], {"dims": (1, 0)}),
    "expand": ([(4,)], {"shape": (3, 4)}),
    "clip": ([(3, 4)], {"min": -0.5, "max": 1.5}),
    "leaky_relu": ([(3, 4)], {"negative_slope": 0.3}),
    "leaky_relu_backward": ([(3, 4), (3, 4)], {"negative_slope": 0.3}),
}


@settings(max_examples=5, deadline=None)
@given(data=st.data())
def test_primitives_and_vjps_are_those_of_the_package(page: Any, data: st.DataObject) -> None:
    names = page.evaluate("Object.keys(rules)")
    assert {"add", "matmul", "leaky_relu", "sigmoid", "binary_cross_entropy_with_logits"} <= {
        *names
    }
    for name in names:
        row = REGISTRY[name]
        # The last one of several broadcasts.
        usual = (
            [(3, 4), (3, 4), (4,)][-len(row.inputs) :] if len(row.inputs) > 1 else [(3, 4)],
            {},
        )
        shapes, keywords = SHAPES.get(name, usual)
        random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
        arrays = [random.normal(size=shape) * 2 for shape in shapes]
        arrays[0][..., 0] = 0.0  # where derivatives are one-sided
        needs = [x in row.vjps for x in row.inputs]
        tensors = [sg.tensor(x, requires_grad=n) for x, n in zip(arrays, needs, strict=True)]
        out = row(*tensors, **keywords)
        g = random.normal(size=out.shape)
        found = page.evaluate(
            RUN,
            {
                **{"name": name, "inputs": [sent(x) for x in arrays], "needs": needs},
                **{"keywords": keywords, "g": sent(g)},
            },
        )
        close(found["out"], out, 1e-12)
        leaves = [x for x, n in zip(tensors, needs, strict=True) if n]
        assert len(found["gradients"]) == len(leaves)
        if leaves:
            wanted = sg.autograd.grad(out, leaves, sg.tensor(g))
            for mine, theirs in zip(found["gradients"], wanted, strict=True):
                close(mine, theirs, 1e-12)


def test_nan_counts_as_true(page: Any) -> None:
    assert page.evaluate("op.where(NaN, 1, 2).item()") == 1
    assert sg.ops.where(float("nan"), sg.tensor(1.0), 2.0).item() == 1


def test_only_what_is_needed_is_printed(page: Any) -> None:
    assert page.evaluate("Object.keys(rules).includes('tanh')") is False


def test_what_is_not_translated_is_refused() -> None:
    with pytest.raises(JavaScriptError, match=r"a_power.*'x \*\* 2' is not translated"):
        Printer().of_function(a_power)
    printer = Printer()
    printer.need("cat")
    with pytest.raises(JavaScriptError, match="cat: has no scalar definition"):
        printer.table()
    with pytest.raises(JavaScriptError, match="there is no primitive 'nothing'"):
        printer.need("nothing")


def a_power(x: Any) -> Any:
    return x**2


def test_words_of_javascript_are_no_names() -> None:
    from scratchgan.backend.scalar import Definition

    def taken(new: float) -> float:
        return -new

    assert "taken(new_)" in of_definition(Definition(taken))


# --- Steps of the game ------------------------------------------------------------------

#: Three steps; what the networks were, what they saw, and of each move the loss and gradients.
STEPS = """(options) => {
  const plain = (x) => ({ data: [...x.data], shape: x.shape });
  const game = new Game(options);
  const of = (network) => network.parameters.map(plain);
  const first = { generator: of(game.generator), discriminator: of(game.discriminator) };
  const steps = [];
  for (let k = 0; k < 3; k++) {
    const real = pointsOf(options.dataset, game.stream, options.batch);
    const noise = game.stream.noise(options.batch), other = game.stream.noise(options.batch);
    const lossD = game.moveD(real, noise);
    const gradientsD = game.discriminator.parameters.map((x) => plain(x.grad));
    const samples = game.samples(other), at = plain(game.gradientsAt(samples, real));
    const lossG = game.moveG(other, real);
    const gradientsG = game.generator.parameters.map((x) => plain(x.grad));
    steps.push({ real: plain(real), noise: plain(noise), other: plain(other), at,
      lossD, lossG, gradientsD, gradientsG,
      generator: of(game.generator), discriminator: of(game.discriminator) });
  }
  return { first, steps };
}"""


def network(first: list[dict[str, Any]]) -> nn.Module:
    layers: list[nn.Module] = []
    for weight in first[::2]:
        out, inside = weight["shape"]
        layers += [nn.Linear(inside, out), nn.LeakyReLU(SLOPE)]
    made = nn.Sequential(*layers[:-1]).double()
    for parameter, given_one in zip(made.parameters(), first, strict=True):
        with sg.no_grad():
            parameter.copy_(received(given_one))
    return made


def received(x: dict[str, Any]) -> Any:
    return sg.tensor(np.array(x["data"]).reshape(x["shape"]))


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_steps_are_those_of_the_package(page: Any, objective: str) -> None:
    row = OBJECTIVES[objective]
    clip = 0.1 if objective == "wasserstein" else 0.0
    options = {
        **{"dataset": "ring", "objective": objective, "batch": 16, "seed": 3, "clip": clip},
        **{"widthG": 5, "widthD": 7, "lrG": 1e-2, "lrD": 1e-2, "negative_slope": SLOPE},
        **{"beta1": 0.5, "beta2": 0.999, "eps": 1e-8},
    }
    found = page.evaluate(STEPS, options)
    generator = network(found["first"]["generator"])
    discriminator = network(found["first"]["discriminator"])
    adam_g = optim.Adam(generator.parameters(), **ADAM)
    adam_d = optim.Adam(discriminator.parameters(), **ADAM)
    for step in found["steps"]:
        real = received(step["real"])
        fake = generator(received(step["noise"])).detach()
        loss = row.discriminator(discriminator(real), discriminator(fake), 1.0)
        adam_d.zero_grad()
        loss.backward()
        compare(discriminator, step["gradientsD"])
        assert step["lossD"] == pytest.approx(loss.item(), rel=1e-9)
        adam_d.step()
        if clip:
            with sg.no_grad():
                for parameter in discriminator.parameters():
                    parameter.copy_(parameter.clip(-clip, clip))

        fake = generator(received(step["other"]))
        logits = [discriminator(fake)]
        if row.is_relative:
            logits.insert(0, discriminator(real).detach())
        loss = row.generator(*logits)
        (at,) = sg.autograd.grad(loss, fake, retain_graph=True)
        close(step["at"], at, 1e-9)
        adam_g.zero_grad()
        loss.backward()
        compare(generator, step["gradientsG"])
        assert step["lossG"] == pytest.approx(loss.item(), rel=1e-9)
        adam_g.step()
        for made, name in ((generator, "generator"), (discriminator, "discriminator")):
            for parameter, after in zip(made.parameters(), step[name], strict=True):
                close(after, parameter, 1e-7)  # Adam's first steps divide by tiny gradients


def compare(made: nn.Module, gradients: list[dict[str, Any]]) -> None:
    for parameter, gradient in zip(made.parameters(), gradients, strict=True):
        close(gradient, parameter.grad, 1e-9)


@given(
    st.lists(st.floats(-3, 3).filter(lambda x: abs(x) > 1e-3), min_size=1, max_size=5),
    st.floats(0, 0.1),
)
@settings(max_examples=10, deadline=None)
def test_adam_is_that_of_the_package(page: Any, gradients: list[float], decay: float) -> None:
    x = sg.tensor([0.5], dtype=sg.float64, requires_grad=True)
    optimizer = optim.Adam([x], weight_decay=decay, **ADAM)
    for g in gradients:
        x.grad = sg.tensor([g], dtype=sg.float64)
        optimizer.step()
    found = page.evaluate(
        "([gradients, options]) => gradients.reduce((s, g) => adam(g, s, options), [0.5, 0, 0, 0])",
        [
            gradients,
            {"lr": 1e-2, "beta1": 0.5, "beta2": 0.999, "eps": 1e-8, "weight_decay": decay},
        ],
    )
    assert found[0] == pytest.approx(x.item(), rel=1e-12)
    assert found[3] == len(gradients)


# --- The page ---------------------------------------------------------------------------

TRAIN = """(steps) => {
  const distance = () => {
    const { data } = game.samples(view.cloud);
    let total = 0;
    for (let i = 0; i < data.length; i += 2) {
      const distances = [0, 1, 2, 3, 4, 5, 6, 7].map((k) => onCircle(k * Math.PI / 4, 1))
        .map(([x, y]) => Math.hypot(data[i] - x, data[i + 1] - y));
      total += Math.min(...distances);
    }
    return total / (data.length / 2);
  };
  const before = distance();
  for (let k = 0; k < steps; k++) advance();
  show();
  return { before, after: distance(), losses: history.flatMap((x) => [x.lossD, x.lossG]) };
}"""


def test_it_learns_the_ring_of_8(open_page: Any, path: Path) -> None:
    with open_page(path) as page:
        found = page.evaluate(TRAIN, 300)
        assert len(found["losses"]) == 600
        assert np.isfinite(found["losses"]).all()
        assert found["after"] < found["before"] / 2
        assert page.locator("#status").inner_text().startswith("Step 300: loss of D")


def test_the_same_seed_is_the_same_game(open_page: Any, path: Path) -> None:
    with open_page(path) as page:
        twice = (
            "() => [0, 1].map(() => { restart(); once(); once(); return JSON.stringify(history); })"
        )
        first, second = page.evaluate(twice)
        assert first == second


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_it_fits_and_draws(open_page: Any, path: Path, width: int, scheme: str) -> None:
    assert path.stat().st_size < 1e6
    with open_page(path, width=width, scheme=scheme) as page:
        page.evaluate("once()")
        assert page.evaluate("document.documentElement.scrollWidth") == width
        # Each layer changes the picture.
        picture = "document.getElementById('plane').toDataURL()"
        pictures = {page.evaluate(picture)}
        boxes = page.locator("#layers input")
        for i in range(boxes.count()):
            boxes.nth(i).click()
            pictures.add(page.evaluate(picture))
        assert len(pictures) == boxes.count() + 1


def test_the_command_writes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, code in (("it.html", 0), ("it.txt", 1)):
        monkeypatch.setattr("sys.argv", ["scratchgan", "playground", "--out", str(tmp_path / name)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert (ended.value.code or 0) == code
    assert "must end in .html" in capsys.readouterr().err
    assert [x.name for x in tmp_path.iterdir()] == ["it.html"]
    text = (tmp_path / "it.html").read_text("utf-8")
    assert not re.search(r"\{\{\w+\}\}", text)
    assert "scalar.leaky_relu" in text


def test_what_the_docs_say_of_a_discriminator_against_samples_that_stay(
    open_page: Any, path: Path
) -> None:
    """With G's learning rate at 0 (docs/playground.md)."""
    with open_page(path) as page:

        def after(objective: str, clip: float) -> tuple[float, float]:
            page.select_option("[name=objective]", objective)
            for name, value in (("lrG", 0), ("clip", clip)):
                page.fill(f"[name={name}]", str(value))
                page.keyboard.press("Tab")
            page.evaluate("restart(); for (let i = 0; i < 300; i++) advance(); show()")
            said = page.locator("#status").text_content()
            found = re.fullmatch(
                r"Step 300: loss of D ([-.\d]+), of G [-.\d]+; longest .* sample ([-+.e\d]+)", said
            )
            assert found
            return float(found[1]), float(found[2])

        assert after("minimax", 0)[1] < 0.003
        assert after("non-saturating", 0)[1] > 0.15
        assert after("wasserstein", 0)[0] < -400
        assert after("wasserstein", 0.1)[0] > -1


def test_keys_and_controls(open_page: Any, path: Path) -> None:
    with open_page(path) as page:
        page.keyboard.press("ArrowRight")
        page.keyboard.press("s")
        assert page.evaluate("game.steps") == 2
        page.keyboard.press(" ")
        page.evaluate(
            "new Promise((done, failed) => { setTimeout(failed, 30000);"
            "const look = () => game.steps > 4 ? done() : setTimeout(look, 10); look(); })"
        )
        page.keyboard.press(" ")
        assert page.evaluate("isPlaying") is False
        page.keyboard.press("r")
        assert page.evaluate("game.steps") == 0
        # A button that was clicked keeps the focus, and the space bar; the rest goes on.
        for place in ("#once", "#restart", "#layers input"):
            page.locator(place).first.click()
            before = page.evaluate("game.steps")
            page.keyboard.press("ArrowRight")
            assert page.evaluate("game.steps") == before + 1
        page.focus("#restart")
        page.keyboard.press(" ")
        assert page.evaluate("game.steps") == 0
        assert page.evaluate("isPlaying") is False
        page.select_option("[name=objective]", "wasserstein")
        assert page.evaluate("game.options.objective") == "wasserstein"
        assert page.input_value("[name=clip]") == "0.1"
        for name in page.evaluate("Object.keys(datasets)"):
            page.select_option("[name=dataset]", name)
            page.keyboard.press("Escape")
            page.evaluate("once()")
            assert np.abs(page.evaluate("[...view.real.data]")).max() < 1.7
        page.fill("[name=widthG]", "1000")
        page.keyboard.press("Tab")
        assert page.input_value("[name=widthG]") == "128"
        assert page.evaluate("game.generator.parameters[0].shape") == [128, 2]
        page.fill("[name=batch]", "")
        page.keyboard.press("Tab")
        assert page.input_value("[name=batch]") == "128"
