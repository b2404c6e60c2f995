"""What a run is read from: its settings, its checkpoints, how it was judged; recipes and sweeps."""

import copy
import json
import random
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import scratchgan as sg
from fuzz.harness import Reader, check, seeded, tries, write
from fuzz.mutation import mutated
from fuzz.test_data import PICTURES
from fuzz.test_weights import saved
from scratchgan.data import Images
from scratchgan.gan import Callback, Config, Diverged, Run, RunError, Trainer
from scratchgan.gan.callbacks import MetricsTable
from scratchgan.gan.checkpoints import checksum, read_checkpoint, resume
from scratchgan.gan.evaluation import Evaluation
from scratchgan.gan.recipes import RECIPES
from scratchgan.gan.reports import compare, write_report
from scratchgan.gan.signals import Stopped
from scratchgan.gan.sweep import _measures_in, read_sweep

CONFIG = Config(
    epochs=3,
    batch_size=4,
    latent_dim=2,
    generator_widths=(3,),
    discriminator_widths=(3,),
    jit=False,
)
IMAGES = Images(
    np.random.default_rng(0).integers(0, 256, (8, 3, 2), np.uint8),
    np.zeros(8, np.uint8),
    ("a", "b"),
)

# --- config.json ------------------------------------------------------------------------


def settings_of(**changes: Any) -> bytes:
    about = {"scratchgan": "0.1.0", "shape": [3, 2], "classes": ["a", "b"]}
    return json.dumps({**about, **CONFIG.to_dict(), **changes}).encode()


SETTINGS = [
    settings_of(),
    b"\xef\xbb\xbf" + settings_of(data="x"),
    settings_of().decode().encode("utf-16"),
]


def put_settings(path: Path, content: bytes) -> None:
    path.mkdir(exist_ok=True)
    write(path / "config.json", content)


OPEN = Reader(Run.open, (RunError,), 1500, "run")


def test_settings(tmp_path):
    rng = seeded("settings")
    check(OPEN, tmp_path, (SETTINGS[0][:end] for end in range(len(SETTINGS[0]))), put_settings)
    check(OPEN, tmp_path, (mutated(rng, SETTINGS) for _ in range(tries(OPEN))), put_settings)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=4,
) | st.sampled_from([10**400, -(10**400), 1 << 64, [65536] * 33, "cuda:" + "9" * 5000, "a\0b"])


@given(
    st.dictionaries(
        st.sampled_from([*CONFIG.to_dict(), "shape", "classes", "scratchgan", "x"]), values
    )
)
def test_any_settings_are_read_or_refused(tmp_path_factory, changes):
    check(OPEN, tmp_path_factory.getbasetemp(), [settings_of(**changes)], put_settings)


@pytest.mark.parametrize("depth", [*range(900, 1000, 7), 100_000])
def test_settings_of_any_depth(tmp_path, depth):
    """Also of one that the reader of JSON bears, and who shows it in a message does not."""
    for start, end in (("[", "]"), ('{"a":', "}")):
        content = settings_of(lr="HERE").replace(
            b'"HERE"', (start * depth + "1" + end * depth).encode()
        )
        check(OPEN, tmp_path, [content], put_settings)


# --- Recipes and sweeps -----------------------------------------------------------------

TOML = [path.read_bytes() for path in RECIPES.values()]
#: What a key of many parts takes grows with its square; a file may hold 16 KiB.
SQUARE = 1 << 15
RECIPE = Reader(
    lambda path: Config.from_recipe(str(path)), (RunError,), 1000, "mine.toml", expansion=SQUARE
)

SWEEPS = [
    b'recipe = "seed"\nsearch = "grid"\n[settings]\nepochs = 1\n[vary]\nlr = [1e-3, 1e-4]\n'
    b'objective = ["hinge"]\n',
    b'search = "random"\ntrials = 3\nseed = 1\n[vary]\nlr = { low = 1e-4, high = 1, log = true }\n'
    b"latent_dim = { low = 2, high = 9 }\nbatch_norm = [true, false]\n",
]
SWEEP = Reader(read_sweep, (RunError,), 1000, "mine.toml", expansion=SQUARE)


@pytest.mark.parametrize(
    ("reader", "seeds"), [(RECIPE, TOML), (SWEEP, SWEEPS)], ids=["recipe", "sweep"]
)
def test_recipes_and_sweeps(tmp_path, reader, seeds):
    rng = seeded(f"toml {len(seeds)}")
    check(reader, tmp_path, (seeds[0][:end] for end in range(len(seeds[0]))), write)
    check(reader, tmp_path, (mutated(rng, seeds) for _ in range(tries(reader))), write)


TRAPS = [
    *(b"lr = " + word for word in (b"nan", b"inf", b"1e999", b"0x" + b"f" * 9999, b"1" * 9999)),
    *(b"epochs = 0x" + b"f" * 9999, b"lr" + b".a" * 900 + b" = 1", b"lr" + b".a" * 8_000 + b" = 1"),
    *(b"lr = " + b"[" * 900 + b"]" * 900, b"lr = " + b"{a=" * 300 + b"1" + b"}" * 300),
    *(b"x" * 16_000 + b" = 1", b"x" * 70_000 + b" = 1", b'"\\u0000" = 1', b'"a\\nb\\u001b[2J" = 1'),
    *(b"[vary]\nlr = [" + b"1e-3," * 2700 + b"]", b"trials = 10000000000000000000\n[vary]\nlr=[1]"),
    *(b"[vary.lr]\nlow = nan\nhigh = 1", b"[vary.lr]\nlow = 0x" + b"f" * 9999 + b"\nhigh = 1"),
    b'search = "random"\n[vary.epochs]\nlow = 0x7fffffffffffffff\nhigh = 0x7fffffffffffffff',
    b'search = "random"\n[vary.seed]\nlow = -0x7fffffffffffffff\nhigh = 0x7fffffffffffffff',
    b'search = "random"\nseed = 0x' + b"f" * 9999 + b"\n[vary]\nlr = [1e-3]",
    b"[vary]\n" + b"".join(b"a%d = [1, 2]\n" % i for i in range(1000)),
    b'recipe = "../../../etc/passwd"\n[vary]\nlr = [1]',
    b'recipe = "/dev/zero"\n[vary]\nlr = [1]',
    b'recipe = "a\\u0000.toml"\n[vary]\nlr = [1]',
    b'recipe = "' + b"x" * 9999 + b'.toml"\n[vary]\nlr = [1]',
    b'recipe = "a.a.a.toml"\nrecipe = 3',
]


@pytest.mark.parametrize("reader", [RECIPE, SWEEP], ids=["recipe", "sweep"])
def test_toml_that_is_a_trap(tmp_path, reader):
    check(reader, tmp_path, TRAPS, write)


# --- Checkpoints ------------------------------------------------------------------------


def trained() -> dict[str, Any]:
    """What a checkpoint holds after four steps."""
    trainer = Trainer(CONFIG, IMAGES)
    trainer.step, trainer.seconds = 4, 1.5
    row = dict.fromkeys(("discriminator_loss", "generator_loss", "d_real", "d_fake"), 0.5)
    trainer.row = {"step": 4, "epoch": 2, **row, "seconds": 1.5}
    trainer.rows = [trainer.row]
    return {
        **{"format": 1, "config": CONFIG.to_dict(), "images": checksum(IMAGES)},
        "training": trainer.state_dict(),
    }


def places(held: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something stands in a checkpoint."""
    found = [at] if at else []
    if isinstance(held, dict):
        found += [place for key, value in held.items() for place in places(value, (*at, key))]
    if isinstance(held, list):
        found += [place for i, value in enumerate(held) for place in places(value, (*at, i))]
    return found


def odd(rng: random.Random) -> Any:
    deep: Any = 1
    for _ in range(rng.choice((3, 300))):
        deep = {"a": deep}
    return rng.choice(
        [
            *(
                None,
                True,
                -1,
                0,
                1.5,
                1e300,
                float("nan"),
                float("inf"),
                "",
                "x" * 3000,
                "a\nb\x1b[2J",
            ),
            *(
                [],
                {},
                [1],
                {"step": 1},
                {"a": []},
                (1, 2),
                deep,
                1 << 64,
                10**300,
                -(10**300),
                [[]] * 3,
            ),
            *(sg.zeros(0), sg.zeros(3, 2), sg.tensor(float("nan")), sg.ones(2, dtype=sg.int64)),
        ]
    )


def forged(rng: random.Random, held: dict[str, Any], known: list[tuple[Any, ...]]) -> bytes:
    """A checkpoint with a sound checksum, in which some things are others."""
    held = copy.deepcopy(held)
    for _ in range(rng.choice((1, 1, 2))):
        *path, last = rng.choice(known)
        inside = held
        try:
            for key in path:
                inside = inside[key]
            if isinstance(inside, sg.Tensor):  # that was put there
                continue
            change = rng.choice(("other", "other", "left out", "more"))
            if change == "other":
                inside[last] = odd(rng)
            elif change == "left out":
                del inside[last]
            else:
                inside[rng.choice(("x", 99, last))] = odd(rng)
        except (KeyError, IndexError, TypeError):
            continue
    return saved(held)


READ = Reader(read_checkpoint, (RunError,), 1000, "step-00000004.safetensors")


def test_checkpoints_as_files(tmp_path):
    rng = seeded("checkpoints")
    seeds = [saved(trained()), saved({"format": 1}), saved(3)]
    check(READ, tmp_path, (mutated(rng, seeds) for _ in range(tries(READ))), write)


class Stop(Callback):
    """Ends a training after the first epoch."""

    def on_epoch_end(self, trainer: Trainer) -> None:
        raise Stopped(2)


def test_a_training_goes_on_from_a_sound_checkpoint_or_stays_as_it_is(tmp_path):
    """And where it goes on, it can: neither a step nor a file fails on what was read."""
    rng = seeded("resume")
    trainer = Trainer(CONFIG, IMAGES)
    run = Run(tmp_path / "run", CONFIG, IMAGES.subject)
    first = copy.deepcopy(trainer.state_dict())

    def state() -> bytes:
        return saved(trainer.state_dict())

    def read(path: Path) -> None:
        resume(trainer, run)
        with suppress(Diverged, Stopped):  # diverged, of numbers that are finite and too large
            trainer.run([MetricsTable(run), Stop()])
        trainer._kept = None
        trainer.load_state_dict(first)

    with suppress(Stopped):  # kernels are compiled
        trainer.run([Stop()])
    trainer._kept = None
    trainer.load_state_dict(first)
    reader = Reader(read, (RunError,), 300, "run", state=state)

    def put(path: Path, content: bytes) -> None:
        folder = path / "checkpoints"
        folder.mkdir(parents=True, exist_ok=True)
        write(folder / "step-00000004.safetensors", content)

    held = trained()
    known = places(held)
    check(reader, tmp_path, (forged(rng, held, known) for _ in range(tries(reader))), put)
    assert reader.counts["read"] < 0.3 * reader.counts["refused"]


def test_options_of_an_optimizer_that_are_tensors(tmp_path):
    """Of numbers that a float32 does not hold, which who compares them with a number says."""
    trainer = Trainer(CONFIG, IMAGES)
    huge = sg.tensor([1e300, 1e300], dtype=sg.float64)
    folder = tmp_path / "run" / "checkpoints"
    folder.mkdir(parents=True)
    options = trainer.game.generator_optimizer.param_groups[0].keys() - {"params", "lr"}
    assert options
    for option in options:
        held = trained()
        held["training"]["game"]["generator_optimizer"]["param_groups"][0][option] = huge
        write(folder / "step-00000004.safetensors", saved(held))
        with warnings.catch_warnings(), pytest.raises(RunError, match=f"has {option} "):
            warnings.simplefilter("error")
            resume(trainer, Run(tmp_path / "run", CONFIG, IMAGES.subject))


def test_a_trainer_that_refuses_a_state_is_as_it_was():
    """Not by way of a file."""
    rng = seeded("trainer")
    trainer = Trainer(CONFIG, IMAGES)
    before = saved(trainer.state_dict())
    held = trained()["training"]
    known = [place for place in places(held) if place[0] == "game"]
    refused = 0
    for _ in range(tries(TRAINER)):
        spoilt = copy.deepcopy(held)
        *path, last = rng.choice(known)
        inside = spoilt
        for key in path:
            inside = inside[key]
        if rng.random() < 0.5:
            del inside[last]
        else:
            inside[last] = odd(rng)
        try:
            trainer.load_state_dict(spoilt)
        except Exception:
            refused += 1
            assert saved(trainer.state_dict()) == before
        else:
            trainer = Trainer(CONFIG, IMAGES)
    assert refused > tries(TRAINER) // 2


TRAINER = Reader(lambda path: None, (), 250)

# --- How a trial of a sweep was judged --------------------------------------------------

MEASURES = json.dumps(dict.fromkeys(Evaluation.__dataclass_fields__, 0.5)).encode()
JUDGED = Reader(lambda path: _measures_in(path, CONFIG), (), 500, "run")


def test_measures(tmp_path):
    rng = seeded("measures")

    def put(path: Path, content: bytes) -> None:
        put_settings(path, settings_of())
        write(path / "evaluation.json", content)

    many = [
        *(mutated(rng, [MEASURES]) for _ in range(tries(JUDGED))),
        b"[" * 99_999,
        b"[]",
        b"3",
        MEASURES,
    ]
    check(JUDGED, tmp_path, many, put)
    assert _measures_in(tmp_path / "run", CONFIG)["n"] == 0.5


# --- What pages are drawn from ----------------------------------------------------------

HISTOGRAM = {"low": 0.0, "high": 1.0, "rms": 0.5, "counts": [1, 2]}
LAYER = {"shape": [3, 2], "weights": HISTOGRAM, "updates": HISTOGRAM}
OF_PAGES = {
    "metrics.csv": b"step,epoch,discriminator_loss,generator_loss,d_real,d_fake\n4,1,1,1,0.5,0.5\n",
    "timings.csv": b"step,seconds\n4,1.5\n",
    "evaluation.json": MEASURES,
    "samples/epoch-0001.png": PICTURES[0],
    "histograms/epoch-0001.json": json.dumps(
        {"epoch": 1, "step": 4, "layers": {"generator.0": LAYER}}
    ).encode(),
}


def draw_pages(path: Path) -> None:
    run = Run.open(path)
    write_report(run)
    compare([run, run], path / "x.html")


DRAW = Reader(draw_pages, (RunError,), 400, "run", must_name=False)


def test_pages(tmp_path):
    rng = seeded("pages")
    put_settings(tmp_path / "run", settings_of())
    for folder in ("samples", "histograms"):
        (tmp_path / "run" / folder).mkdir()

    def contents() -> Iterator[bytes]:
        for _ in range(tries(DRAW)):
            name = rng.choice(list(OF_PAGES))
            yield name.encode() + b"=" + mutated(rng, [OF_PAGES[name]])

    def put(path: Path, content: bytes) -> None:
        name, _, spoilt = content.partition(b"=")
        for each, sound in OF_PAGES.items():
            write(path / each, spoilt if each == name.decode() else sound)

    check(DRAW, tmp_path, contents(), put)
    assert DRAW.counts["read"] > 20


@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "1e999", ""])
@pytest.mark.parametrize("table", ["metrics.csv", "timings.csv"])
def test_pages_of_numbers_that_are_none(tmp_path, table, number):
    """Each number of each table in turn, but those that say where a row belongs."""
    put_settings(tmp_path / "run", settings_of())
    head, row = OF_PAGES[table].decode().splitlines()
    fields = row.split(",")
    for place in range(len(fields)):
        for each, sound in OF_PAGES.items():
            (tmp_path / "run" / each).parent.mkdir(exist_ok=True)
            write(tmp_path / "run" / each, sound)
        spoilt = ",".join([*fields[:place], number, *fields[place + 1 :]])
        write(tmp_path / "run" / table, f"{head}\n{spoilt}\n".encode())
        if head.split(",")[place] in ("step", "epoch"):
            with pytest.raises(RunError, match=f"{table}: is no table"):
                draw_pages(tmp_path / "run")
        else:
            draw_pages(tmp_path / "run")


def test_no_name_ends_a_script_of_a_page(tmp_path):
    trap = "</script><script>alert(1)</script>"
    folder = tmp_path / trap.replace("/", "_")
    put_settings(folder, settings_of(data=f"x{trap}", classes=[trap, "b"]))
    draw_pages(folder)
    for page in tmp_path.rglob("*.html"):
        assert "<script>alert" not in page.read_text("utf-8")
