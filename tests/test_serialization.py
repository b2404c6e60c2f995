"""save and load: what goes in comes out, and nothing else is opened."""

import io
import pickle
from collections import OrderedDict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import scratchgan as sg
from scratchgan import nn
from scratchgan.serialization import LoadError

DTYPES = [np.float32, np.float64, np.int64, np.int32, np.uint8, np.bool_]
arrays = st.sampled_from(DTYPES).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, min_side=0, max_side=3))
)
tensors = arrays.map(lambda x: sg.Tensor(np.asfortranarray(x)))
plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
objects = st.recursive(
    plain | tensors,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=5) | st.integers(0, 9), inner, max_size=3)
    ),
    max_leaves=8,
)


def same(one, other):
    assert type(one) is type(other)
    if isinstance(one, sg.Tensor):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one.numpy(), other.numpy())
    elif isinstance(one, dict):
        assert list(one) == list(other)
        for key in one:
            same(one[key], other[key])
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for x, y in zip(one, other, strict=True):
            same(x, y)
    else:
        assert one == other


@given(objects)
def test_what_is_saved_is_loaded(value):
    file = io.BytesIO()
    sg.save(value, file)
    file.seek(0)
    same(sg.load(file), value)


def test_a_training_goes_on(tmp_path):
    sg.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 1))
    model[0].weight.data = model[0].weight.data.T.contiguous().T  # columns side by side
    adam = sg.optim.Adam(model.parameters())
    x = sg.randn(8, 3)

    def step(model, adam):
        loss = model(x).square().mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        return loss.item()

    step(model, adam)
    state = {"model": model.state_dict(), "adam": adam.state_dict(), "epoch": 3}
    sg.save(state, tmp_path / "state.pt")
    expected = [step(model, adam) for _ in range(3)]

    loaded = sg.load(tmp_path / "state.pt")
    assert loaded["epoch"] == 3
    assert isinstance(loaded["model"], OrderedDict)
    again = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 1))
    again.load_state_dict(loaded["model"])
    other = sg.optim.Adam(again.parameters())
    other.load_state_dict(loaded["adam"])
    assert [step(again, other) for _ in range(3)] == expected


def test_a_safetensors_file_of_another_program(tmp_path):
    from safetensors.numpy import save_file

    save_file({"a": np.arange(3.0)}, tmp_path / "a.safetensors")
    assert sg.load(tmp_path / "a.safetensors")["a"].tolist() == [0.0, 1.0, 2.0]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (nn.Linear(1, 1), r"a module is code, which is not saved; save its state_dict\(\)"),
        ({"a": [object()]}, "a.0 is a object; only tensors"),
        ({(1, 2): 3}, r"a key of a dict is a text or an integer, not \(1, 2\)"),
        (lambda x: x, "it is a function"),
        (1j, "it is a complex"),
    ],
)
def test_what_is_not_saved(value, message, tmp_path):
    with pytest.raises(TypeError, match=f"save: {message}"):
        sg.save(value, tmp_path / "file")
    assert not list(tmp_path.iterdir())


class Trap:
    def __reduce__(self):
        return (pytest.fail, ("it was unpickled",))


@pytest.mark.parametrize(
    "content",
    [b"", b"\x80\x04", pickle.dumps(Trap()), b"\xff" * 64, b"PK\x03\x04" + b"\0" * 64],
)
def test_what_is_no_such_file(content, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(LoadError, match=f"load: {path} is no file that save wrote"):
        sg.load(path)


def test_every_byte_of_the_description_may_be_wrong(tmp_path):
    file = io.BytesIO()
    sg.save({"a": sg.ones(2), "b": [1, "x", (None, 2.5)]}, file)
    content = file.getvalue()
    for at in range(len(content) - 8):
        for byte in (0, ord("}"), ord('"'), content[at] ^ 1):
            damaged = content[:at] + bytes([byte]) + content[at + 1 :]
            try:
                sg.load(io.BytesIO(damaged))
            except LoadError:
                continue
    for end in range(len(content)):
        with pytest.raises(LoadError):
            sg.load(io.BytesIO(content[:end]))
