"""Ways between images, and images that a generator can draw."""

import numpy as np
import pytest

import scratchgan as sg
from scratchgan.data import Subject
from scratchgan.gan import Config, Game, Run, RunError, generate
from scratchgan.gan.latent import inpaint, interpolate, neighbours, project, slerp
from scratchgan.gan.sampling import draw

SHAPE = (8, 6)


def made(folder, **settings):
    """A run whose generator draws different things for different noise."""
    sg.manual_seed(0)
    config = Config.from_recipe("seed", latent_dim=4, **settings)
    subject = Subject(SHAPE, ("zero", "one", "two"))
    run = Run.create(folder, config, subject)
    game = Game(config, SHAPE, 3)
    with sg.no_grad():
        for parameter in game.generator.parameters():
            parameter.mul_(3)
    run.save_weights(game.average, game.discriminator)
    return run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return made(tmp_path_factory.mktemp("latent") / "run")


@pytest.fixture(scope="module")
def conditional(tmp_path_factory):
    return made(tmp_path_factory.mktemp("latent") / "conditional", conditional=True)


# --- Ways -------------------------------------------------------------------------------


def test_an_arc_has_the_lengths_of_its_ends():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 50)).astype(np.float32)
    b *= np.linalg.norm(a) / np.linalg.norm(b)
    way = slerp(a, b, np.linspace(0, 1, 9, dtype=np.float32)).numpy()
    np.testing.assert_allclose(way[[0, -1]], [a, b], atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(way, axis=1), np.linalg.norm(a), rtol=1e-5)
    turns = (way[1:] * way[:-1]).sum(1)  # equal angles
    np.testing.assert_allclose(turns, turns[0], rtol=1e-4)


def test_an_arc_between_vectors_of_one_line_is_a_line():
    a = np.array([1, 2], np.float32)
    way = slerp(a, 3 * a, np.array([0, 0.5, 1], np.float32)).numpy()
    np.testing.assert_allclose(way, [a, 2 * a, 3 * a])


def test_a_way_leads_through_the_images_of_its_seeds(run):
    images = interpolate(run, [3, 5, 3], 4)
    assert images.shape == (9, *SHAPE)
    for place, seed in ((0, 3), (4, 5), (8, 3)):
        np.testing.assert_allclose(images[place].astype(int), generate(run, 1, seed)[0], atol=1)
    steps = np.abs(np.diff(images.astype(int), axis=0)).mean((1, 2))
    assert steps.min() > 0
    np.testing.assert_array_equal(images[:5], images[:3:-1])  # there and back


def test_a_way_from_one_class_to_another(conditional):
    images = interpolate(conditional, [3, 3], 8, ["zero", "two"])
    for place, digit in ((0, "zero"), (8, "two")):
        end = generate(conditional, 1, 3, digit)[0]
        np.testing.assert_allclose(images[place].astype(int), end, atol=1)
    assert (np.abs(np.diff(images.astype(int), axis=0)).max((1, 2)) > 0).all()


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (([1], 4), "there are 1 seeds; a way needs two or more"),
        (([1, -2], 4, ["zero", "one"]), "seed is -2; it must be an integer from 0 to"),
        (([1, 2], 0), "steps is 0; it must be an integer from 1 on"),
        (([1, 2], 4, ["zero"]), "there are 1 digits for 2 seeds; give as many"),
        (([1, 2], 4, ["zero", "ten"]), "there is no class 'ten'; choose one of zero, one, two"),
    ],
)
def test_ways_that_lead_nowhere(conditional, arguments, fault):
    with pytest.raises(RunError, match=fault):
        interpolate(conditional, *arguments)


# --- Searches ---------------------------------------------------------------------------


def test_an_image_that_the_generator_drew_is_found(run):
    image = generate(run, 1, seed=77)[0]
    found = project(run, image, steps=300)
    assert found.error < 1e-3
    assert np.abs(found.image.astype(int) - image).mean() < 5
    assert found.noise.shape == (4,)
    assert found.label is None


def test_a_search_is_decided_by_its_seed(run):
    image = generate(run, 1, seed=77)[0]
    one, same, other = (project(run, image, 20, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.noise, same.noise)
    assert (one.noise != other.noise).any()


def test_a_conditional_search_tells_as_what_it_drew(conditional):
    generator = conditional.load_generator()
    for name in conditional.subject.names:
        image = generate(conditional, 1, 5, name)[0]
        found = project(conditional, image, steps=200)
        assert found.error < 1e-3
        again = draw(generator, sg.tensor(found.noise[None]), sg.tensor([found.label]))[0]
        np.testing.assert_allclose(again.astype(int), found.image, atol=1)


def test_a_way_leads_through_the_classes_in_turn(conditional):
    """If nobody says which, as :func:`generate` draws them."""
    names = conditional.subject.names
    seeds = [3] * (len(names) + 1)
    asked = interpolate(conditional, seeds, 2, [*names, names[0]])
    np.testing.assert_array_equal(interpolate(conditional, seeds, 2), asked)


def test_a_long_way_between_classes(conditional):
    """Longer than what goes through the generator at once."""
    assert len(interpolate(conditional, [1, 2], 1500, ["zero", "one"])) == 1501


@pytest.mark.parametrize("kind", ["run", "conditional"])
def test_what_is_hidden_is_drawn_anew_and_the_rest_stays(kind, request):
    run = request.getfixturevalue(kind)
    image = generate(run, 1, seed=77)[0]
    known = np.ones(SHAPE, bool)
    known[2:6, 2:4] = False
    damaged = np.where(known, image, np.uint8(0))
    repaired, found = inpaint(run, damaged, known)
    np.testing.assert_array_equal(repaired[known], image[known])
    np.testing.assert_array_equal(repaired[~known], found.image[~known])
    before, after = (np.abs(x.astype(int) - image)[~known].mean() for x in (damaged, repaired))
    assert after < before / 2
    # What the hidden pixels hold is not looked at.
    other = np.where(known, image, np.uint8(99))
    np.testing.assert_array_equal(inpaint(run, other, known)[0], repaired)


def test_what_is_known_stays_where_the_generator_cannot_draw_it(run):
    image = np.random.default_rng(0).integers(0, 256, SHAPE, np.uint8)
    known = np.arange(image.size).reshape(SHAPE) % 3 > 0
    repaired, found = inpaint(run, image, known, steps=20)
    np.testing.assert_array_equal(repaired[known], image[known])
    assert (found.image[known] != image[known]).any()


def test_a_repair_is_drawn_from_likely_noise(run, monkeypatch):
    """The more its length counts, the shorter it is."""
    image = generate(run, 1, seed=77)[0]
    known = np.zeros(SHAPE, bool)
    known[0] = True
    lengths = []
    for weight in (0.0, 1.0):
        monkeypatch.setattr("scratchgan.gan.latent._LENGTH_IN_INPAINT", weight)
        _, found = inpaint(run, image, known, steps=100)
        lengths.append(np.square(found.noise).mean())
    assert lengths[1] < lengths[0] / 2


def test_a_repair_is_one_that_d_takes_for_real(run, monkeypatch):
    """The more D's opinion counts, the more real what is found."""
    image = generate(run, 1, seed=77)[0]
    known = np.zeros(SHAPE, bool)
    known[0] = True
    opinions = []
    for weight in (0.0, 10.0):
        monkeypatch.setattr("scratchgan.gan.latent._PRIOR", weight)
        _, found = inpaint(run, image, known, steps=100)
        drawn = sg.tensor(found.image[None, None] / np.float32(127.5) - 1)
        opinions.append(run.load_discriminator()(drawn).item())
    assert opinions[1] > opinions[0]


@pytest.mark.parametrize(
    ("image", "known", "fault"),
    [
        ((6, 8), "half", "the image has 8x6 pixels; this generator draws 6x8"),
        ((8, 6), (6, 8), "the mask has 8x6 pixels, but the image has 6x8"),
        ((8, 6), None, "the mask hides every pixel; leave some"),
        ((8, 6), (8, 6), "the mask hides nothing; make white what is to be drawn anew"),
    ],
)
def test_what_cannot_be_repaired(run, image, known, fault):
    mask = np.zeros(image, bool) if known is None else np.ones(image, bool)
    if known == "half":
        mask[::2] = False
    elif known is not None:
        mask = np.ones(known, bool)
    with pytest.raises(RunError, match=fault):
        inpaint(run, np.zeros(image, np.uint8), mask)


def test_a_search_without_steps(run):
    with pytest.raises(RunError, match="steps is 0; it must be an integer from 1 on"):
        project(run, np.zeros(SHAPE, np.uint8), steps=0)


# --- Neighbours -------------------------------------------------------------------------


def test_neighbours_are_training_images_nearest_first(tiny_mnist, tmp_path):
    config = Config.from_recipe("seed", data=str(tiny_mnist), latent_dim=4)
    run = Run.create(tmp_path / "run", config)
    game = Game(config)
    run.save_weights(game.average, game.discriminator)
    rows, distances = neighbours(run, 3, 5, seed=2)
    assert rows.shape == (3, 6, 28, 28)
    np.testing.assert_array_equal(rows[:, 0], generate(run, 3, 2))
    assert (np.diff(distances, axis=1) >= 0).all()
    there = (rows[:, 1:].astype(float) - rows[:, :1]) / 255
    np.testing.assert_allclose(np.sqrt((there**2).sum((2, 3))), distances, rtol=1e-4)
    for n, k, fault in ((0, 1, "n is 0"), (1, 0, "k is 0"), (1, 257, "k is 257")):
        with pytest.raises(RunError, match=f"{fault}; it must be an integer from 1 to"):
            neighbours(run, n, k)
