"""Weights and whatever else ``sg.save`` writes: files of safetensors, sound, spoilt and forged."""

import io
import json
import math
import random
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save as plain_file

import scratchgan as sg
from fuzz.harness import Reader, check, seeded, tries, write
from fuzz.mutation import NUMBERS, mutated, safetensors_of
from scratchgan import serialization
from scratchgan.gan import Config, Run, RunError
from scratchgan.gan.game import MOST_WEIGHTS, new_players
from scratchgan.gan.sampling import generate
from scratchgan.serialization import LoadError


def saved(value: Any) -> bytes:
    file = io.BytesIO()
    sg.save(value, file)
    return file.getvalue()


# --- sg.load ----------------------------------------------------------------------------

OBJECTS = [
    saved({"a": sg.arange(3.0), "b": [1, "x", (None, 2.5, True)], 7: sg.zeros(2, 0)}),
    saved(sg.ones(2, 2, dtype=sg.int64)),
    plain_file({"w": np.ones((2, 3), np.float32), "b": np.ones(3, np.float16)}),
]

LOAD = Reader(sg.load, (LoadError,), 3000, "file.safetensors")


def parts(content: bytes) -> tuple[dict[str, Any], bytes]:
    size = struct.unpack("<Q", content[:8])[0]
    return json.loads(content[8 : 8 + size]), content[8 + size :]


def sealed(content: bytes) -> bytes:
    """With a checksum that is right, if it is a file with one."""
    try:
        header, rest = parts(content)
        about = json.loads(header["__metadata__"]["scratchgan"])
        about["sha256"] = serialization._NO_CHECKSUM
        header["__metadata__"]["scratchgan"] = json.dumps(about)
        content = safetensors_of(json.dumps(header).encode(), rest)
        checksum = serialization.hashlib.sha256(content).hexdigest()
        return content.replace(serialization._NO_CHECKSUM.encode(), checksum.encode(), 1)
    except (ValueError, KeyError, TypeError, struct.error, AttributeError, RecursionError):
        return content


def forged_description(rng: random.Random) -> bytes:
    """A sound file whose description of what it holds is anything."""
    header, rest = parts(rng.choice(OBJECTS[:2]))
    about = json.loads(header["__metadata__"]["scratchgan"])
    content = json.dumps(about["content"]).encode()
    spoilt = mutated(rng, [content, b'{"tensor": "a"}', b'{"dict": [["a", {"list": [1]}]]}'])
    text = json.dumps({"sha256": "", "content": None})
    try:
        text = json.dumps({"sha256": "", "content": json.loads(spoilt)})
    except (ValueError, RecursionError):
        text = json.dumps(about).replace(json.dumps(about["content"]), spoilt.decode("latin-1"))
    if rng.random() < 0.2:
        text = mutated(rng, [json.dumps(about).encode()]).decode("latin-1")
    header["__metadata__"]["scratchgan"] = text
    return sealed(safetensors_of(json.dumps(header).encode(), rest))


DTYPES = [
    "F32",
    "F64",
    "F16",
    "BF16",
    "I64",
    "U8",
    "BOOL",
    "C64",
    "F8_E4M3",
    "U64",
    "X",
    "f32",
    "F4",
    3,
    None,
]


def forged_header(rng: random.Random, content: bytes) -> bytes:
    """A file whose header describes other tensors than it holds."""
    header, rest = parts(content)
    name = rng.choice([name for name in header if name != "__metadata__"])
    change = rng.choice(("dtype", "shape", "data_offsets", "name", "spoil"))
    if change == "dtype":
        header[name]["dtype"] = rng.choice(DTYPES)
    elif change == "shape":
        header[name]["shape"] = [rng.choice(NUMBERS) for _ in range(rng.randrange(5))]
    elif change == "data_offsets":
        header[name]["data_offsets"] = [rng.choice([*NUMBERS, -1, 1.5]) for _ in range(2)]
    elif change == "name":
        header[rng.choice(("", "../x", "a\0b", "a\n\x1b[2J", "\ud800", "x" * 5000))] = header.pop(
            name
        )
    else:
        return sealed(safetensors_of(mutated(rng, [json.dumps(header).encode()]), rest))
    return sealed(safetensors_of(json.dumps(header).encode(), rest))


def test_load(tmp_path):
    rng = seeded("load")
    third = tries(LOAD) // 3
    check(LOAD, tmp_path, (seed[:end] for seed in OBJECTS for end in range(len(seed))), write)
    check(LOAD, tmp_path, (mutated(rng, OBJECTS) for _ in range(third)), write)
    check(LOAD, tmp_path, (forged_description(rng) for _ in range(third)), write)
    check(LOAD, tmp_path, (forged_header(rng, rng.choice(OBJECTS)) for _ in range(third)), write)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["tensor", "dict", "OrderedDict", "list", "tuple", "x"]),
            inner,
            max_size=2,
        )
    ),
    max_leaves=8,
)


@given(json_values)
def test_any_description_is_read_or_refused(tmp_path_factory, described):
    header, rest = parts(OBJECTS[1])
    about = {"sha256": "", "content": described}
    header["__metadata__"]["scratchgan"] = json.dumps(about)
    content = sealed(safetensors_of(json.dumps(header).encode(), rest))
    check(LOAD, tmp_path_factory.getbasetemp(), [content], write)


@pytest.mark.parametrize("depth", [100, 400, *range(960, 1000, 3), 5000])
def test_a_description_of_any_depth(tmp_path, depth):
    """Also of one that the reader of JSON bears, and who walks through it does not."""
    header, rest = parts(OBJECTS[1])
    for kind in ('{"list": [', '{"dict": [["a", '):
        ending = "]}" if kind == '{"list": [' else "]]}"
        described = kind * depth + "1" + ending * depth
        for text in (f'{{"sha256": "{"0" * 64}", "content": {described}}}', described):
            header["__metadata__"]["scratchgan"] = text
            file = safetensors_of(json.dumps(header).encode(), rest)
            checksum = serialization.hashlib.sha256(file).hexdigest()
            file = file.replace(b"0" * 64, checksum.encode(), 1)
            check(LOAD, tmp_path, [file], write)


# --- The weights of a run ---------------------------------------------------------------

CONFIG = Config(latent_dim=2, generator_widths=(3,), discriminator_widths=(3,), batch_norm=True)
SHAPE = (3, 2)


def weights(name: str, config: Config = CONFIG) -> dict[str, np.ndarray]:
    player = getattr(new_players(config, SHAPE, 10), name)
    return {key: tensor.numpy() for key, tensor in player.state_dict().items()}


def settings_of(config: Config = CONFIG, **changes: Any) -> bytes:
    about = {"scratchgan": "0.1.0", "shape": SHAPE, "classes": list("0123456789")}
    return json.dumps({**about, **config.to_dict(), **changes}).encode()


def put_into_run(name: str):
    def put(path: Path, content: bytes) -> None:
        path.mkdir(exist_ok=True)
        write(path / "config.json", settings_of())
        write(path / f"{name}.safetensors", content)

    return put


def forged_weights(rng: random.Random, name: str) -> bytes:
    state = weights(name)
    key = rng.choice(list(state))
    change = rng.choice(("value", "dtype", "shape", "left out", "more", "order"))
    if change == "value":
        state[key] = np.full_like(
            state[key],
            rng.choice((np.nan, np.inf, 3e38, -3e38, 0, -1))
            if state[key].dtype.kind == "f"
            else -1,
        )
    elif change == "dtype":
        kinds = ["f2", "f8", "i8", "i1", "u8", "?", "c8"]
        state[key] = np.full(state[key].shape, rng.choice((0, 1, 1e300))).astype(rng.choice(kinds))
    elif change == "shape":
        state[key] = rng.choice(
            (state[key].ravel(), state[key][None], state[key].ravel()[:0], np.ones(3, np.float32))
        )
    elif change == "left out":
        del state[key]
    elif change == "more":
        state[rng.choice(("x", "0.weight.x", "\x1b[2J\n", "x" * 9999, ""))] = np.ones(1, np.float32)
    else:
        state = dict(reversed(state.items()))
    content = plain_file(state)
    return mutated(rng, [content]) if rng.random() < 0.3 else content


def draw(path: Path) -> None:
    """Also with weights that are finite, of which what is drawn is not."""
    generate(Run.open(path), 2, 0)


GENERATOR = Reader(draw, (RunError,), 500, "run", must_name=False)
DISCRIMINATOR = Reader(lambda path: Run.open(path).load_discriminator(), (RunError,), 500, "run")
PLAYERS = {"generator": GENERATOR, "discriminator": DISCRIMINATOR}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of what is cast to spoil it
@pytest.mark.parametrize("name", PLAYERS)
def test_weights(tmp_path, name):
    rng, reader = seeded(name), PLAYERS[name]
    put_into_run(name)(tmp_path / "run", plain_file(weights(name)))
    reader.read(tmp_path / "run")  # kernels are compiled
    seeds = [plain_file(weights(name))]
    half = tries(reader) // 2
    forged = [forged_weights(rng, name) for _ in range(half)]
    check(reader, tmp_path, (mutated(rng, seeds) for _ in range(half)), put_into_run(name))
    check(reader, tmp_path, forged, put_into_run(name))


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e200, -1e200])
def test_a_count_that_no_integer_can_be(tmp_path, value):
    state = {**weights("generator"), "1.num_batches_tracked": np.array(value)}
    check(GENERATOR, tmp_path, [plain_file(state)], put_into_run("generator"))


HUGE = {
    "generator_widths": [65536] * 32,
    "discriminator_widths": [65536] * 32,
    "latent_dim": 65536,
    "shape": [1024, 1024],
    "classes": [str(i) for i in range(256)],
}


@pytest.mark.parametrize("loaded", ["generator", "discriminator"])
@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("name", HUGE)
def test_settings_that_ask_for_much(tmp_path, name, loaded, conditional):
    """More than the file of weights holds is never made room for."""
    reader = Reader(lambda path: getattr(Run.open(path), f"load_{loaded}")(), (RunError,), 0, "run")

    def put(path: Path, content: bytes) -> None:
        path.mkdir(exist_ok=True)
        write(path / "config.json", content)
        write(path / f"{loaded}.safetensors", plain_file(weights(loaded)))

    content = settings_of(**{name: HUGE[name], "conditional": conditional})
    check(reader, tmp_path, [content], put)


@pytest.mark.parametrize("widths", [(65536, 65536), (1 << 14, 1 << 15)])
def test_a_game_that_no_memory_holds(widths):
    config = Config(generator_widths=widths)
    with pytest.raises(RunError, match=r"the generator would have [\d,]+ weights; it may have"):
        new_players(config, (28, 28), 10)
    assert MOST_WEIGHTS == 1 << 28
