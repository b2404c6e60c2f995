"""Nothing takes the place of what it is not like: gradients, data, what hooks return, states.

Compiled kernels take addresses, so an array that is too small would be read and written beyond its
end. Each way to bring one in is tried here, with shapes and types that are wrong in all ways.
"""

import copy
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import scratchgan as sg
from scratchgan import nn, optim
from scratchgan.autograd import TapeError
from scratchgan.backend import kernels_for
from scratchgan.backend.cpu import kernels as numba_kernels

SHAPE = (4, 3)

#: Tensors that are not like one of shape (4, 3) and type float32, and what a message says of them.
WRONG = {
    "larger": (sg.ones(2_000_000), "shape (2000000,), not (4, 3)"),
    "transposed": (sg.ones(3, 4), "shape (3, 4), not (4, 3)"),
    "flat": (sg.ones(12), "shape (12,), not (4, 3)"),
    "one row": (sg.ones(1, 3), "shape (1, 3), not (4, 3)"),
    "one number": (sg.tensor(1.0), "shape (), not (4, 3)"),
    "one more dimension": (sg.ones(1, 4, 3), "shape (1, 4, 3), not (4, 3)"),
    "empty": (sg.ones(0, 3), "shape (0, 3), not (4, 3)"),
    "of float64": (sg.ones(*SHAPE, dtype="float64"), "type float64, not float32"),
    "of integers": (sg.ones(*SHAPE, dtype="int32"), "type int32, not float32"),
    "all of it": (sg.ones(2, dtype="int64"), "shape (2,), not (4, 3) and one of type int64, not"),
}
wrong = pytest.mark.parametrize("what", WRONG)
OPTIMIZERS: dict[str, Callable[..., optim.Optimizer]] = {
    name: kind
    for name, kind in vars(optim).items()
    if isinstance(kind, type) and issubclass(kind, optim.Optimizer) and kind is not optim.Optimizer
}


def parameter() -> sg.Tensor:
    w = sg.randn(*SHAPE, generator=sg.Generator(0)).requires_grad_()
    (w * w).sum().backward()
    return w


# --- Assignments ------------------------------------------------------------------------


@wrong
def test_a_gradient(what: str) -> None:
    w, (given, words) = parameter(), WRONG[what]
    before = w.grad
    with pytest.raises(RuntimeError, match=r"^grad: ") as error:
        w.grad = given
    assert words in str(error.value)
    assert w.grad is before
    w.grad = None
    w.grad = sg.ones(*SHAPE)


@pytest.mark.parametrize("given", [1.0, [[1.0] * 3] * 4, np.ones(SHAPE, np.float32), "w"])
def test_a_gradient_that_is_no_tensor(given: Any) -> None:
    with pytest.raises(TypeError, match=f"^grad: is a tensor or None, not {type(given).__name__}"):
        parameter().grad = given


@pytest.mark.parametrize("given", [1.0, [[1.0] * 3] * 4, np.ones(SHAPE, np.float32), None])
def test_data_that_is_no_tensor(given: Any) -> None:
    w = parameter()
    before = w.array
    with pytest.raises(TypeError, match=f"^data: is a tensor, not {type(given).__name__}"):
        w.data = given
    with pytest.raises(TypeError, match=r"^data: a tensor that requires a gradient cannot have"):
        w.data = sg.tensor([1, 2])
    assert w.array is before


def test_a_module_that_is_converted_takes_its_gradients_along() -> None:
    layer = nn.Linear(3, 2)
    layer(sg.ones(5, 3)).sum().backward()
    layer.double()
    assert layer.weight.grad is not None
    assert layer.weight.grad.dtype == layer.weight.dtype == np.float64


# --- Hooks ------------------------------------------------------------------------------


def of_a_leaf(hook: Any) -> sg.Tensor:
    w = sg.ones(*SHAPE, requires_grad=True)
    w.register_hook(hook)
    return (w * 2).sum()


def of_a_product(hook: Any) -> sg.Tensor:
    y = sg.ones(*SHAPE, requires_grad=True) * 2
    y.register_hook(hook)
    return (y * y).sum()


def of_a_layer(hook: Any) -> sg.Tensor:
    y = nn.Linear(5, 3)(sg.ones(4, 5))
    y.register_hook(hook)
    return y.sum()


def of_a_layer_with_its_activation(hook: Any) -> sg.Tensor:
    y = nn.Sequential(nn.Linear(5, 3), nn.Tanh())(sg.ones(4, 5))
    y.register_hook(hook)
    return y.sum()


HOOKED = (of_a_leaf, of_a_product, of_a_layer, of_a_layer_with_its_activation)
hooked = pytest.mark.parametrize("make", HOOKED)


@hooked
@wrong
def test_what_a_hook_returns(make: Any, what: str) -> None:
    given, words = WRONG[what]
    with pytest.raises(TapeError, match=r"^backward: the hook .*<lambda> must return") as error:
        make(lambda g: given).backward()
    assert words in str(error.value)


@hooked
@pytest.mark.parametrize("shrink", [lambda g: g[:1, :1], lambda g: g.mean(), lambda g: g.T])
def test_what_a_hook_makes_of_a_gradient(make: Any, shrink: Any) -> None:
    with pytest.raises(TapeError, match="must return a gradient like the one that it was given"):
        make(shrink).backward()


@hooked
@pytest.mark.parametrize("given", [1.0, np.ones(SHAPE, np.float32), False])
def test_a_hook_that_returns_no_tensor(make: Any, given: Any) -> None:
    with pytest.raises(TypeError, match=f"returned {type(given).__name__}; a hook returns"):
        make(lambda g: given).backward()


def test_in_a_recording_too() -> None:
    w = sg.ones(*SHAPE, requires_grad=True)
    w.register_hook(lambda g: g[:1])

    @sg.jit
    def step(x: sg.Tensor) -> sg.Tensor:
        (w * x).sum().backward()
        return x * 1

    with pytest.raises(TapeError, match="must return a gradient like the one"):
        step(sg.ones(*SHAPE))


# --- Optimizers -------------------------------------------------------------------------


@pytest.mark.parametrize("name", OPTIMIZERS)
@wrong
def test_a_state_that_no_longer_fits(name: str, what: str) -> None:
    first, w = sg.ones(2, requires_grad=True), parameter()
    optimizer = OPTIMIZERS[name]([first, w], lr=0.1)
    good = optimizer.state[w]
    for part in good:
        if good[part].shape == WRONG[what][0].shape:
            continue  # a count is one number
        optimizer.state[w] = {**good, part: WRONG[what][0]}
        before = w.tolist()
        with pytest.raises(RuntimeError, match=rf"^{name}.step: the state of parameter 1 ") as e:
            optimizer.step()
        assert f"{part} is a numpy.ndarray of shape {WRONG[what][0].shape}" in str(e.value)
        assert w.tolist() == before


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_module_that_was_converted_after_its_optimizer_was_made(name: str) -> None:
    layer = nn.Linear(3, 2)
    optimizer = OPTIMIZERS[name](layer.parameters(), lr=0.1)
    layer.double()
    layer(sg.ones(5, 3, dtype="float64")).sum().backward()
    with pytest.raises(RuntimeError, match=r"parameter is .* float64, not .* float32") as error:
        optimizer.step()
    assert "Make an optimizer after its module was converted or moved" in str(error.value)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_state_that_lacks_something(name: str) -> None:
    w = parameter()
    optimizer = OPTIMIZERS[name]([w], lr=0.1)
    good = optimizer.state[w]
    for part in good:
        optimizer.state[w] = {n: x for n, x in good.items() if n != part}
        with pytest.raises(RuntimeError, match=f"there is no {part}"):
            optimizer.step()
    optimizer.state[w] = {**good, "more": w}
    with pytest.raises(RuntimeError, match="more is unknown"):
        optimizer.step()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_order_of_a_state_means_nothing(name: str) -> None:
    results = []
    for turns in (False, True):
        w = parameter()
        optimizer = OPTIMIZERS[name]([w], lr=0.1)
        if turns:
            optimizer.state[w] = dict(reversed(optimizer.state[w].items()))
        optimizer.step()
        results.append(w.tolist())
    assert results[0] == results[1]


# --- The last line: kernels -------------------------------------------------------------


def arrays_of(*shapes: tuple[int, ...], dtype: Any = np.float32) -> list[np.ndarray]:
    return [np.ones(shape, dtype) for shape in shapes]


ADAM = {"lr": 0.1, "beta1": 0.9, "beta2": 0.99, "eps": 1e-8, "weight_decay": 0.0}
#: Kernels that hand addresses on: inputs, outputs and scalars as they should be.
CALLS: dict[str, tuple[list[np.ndarray], list[np.ndarray], dict[str, Any]]] = {
    "matmul": (arrays_of((40, 30), (30, 50)), arrays_of((40, 50)), {}),
    "linear": (
        arrays_of((40, 30), (50, 30), (50,)),
        arrays_of((40, 50)),
        {"activation": "tanh", "scalars": ()},
    ),
    "linear_backward": (
        arrays_of((40, 50), (40, 50)),
        arrays_of((40, 50), (50,)),
        {"activation": "tanh", "scalars": ()},
    ),
    "adam": (
        arrays_of((40, 50), (30,)),
        [
            *(*arrays_of((40, 50), (40, 50), (40, 50)), np.zeros((), np.intp)),
            *(*arrays_of((30,), (30,), (30,)), np.zeros((), np.intp)),
        ],
        ADAM,
    ),
    "sum": (arrays_of((40, 50)), arrays_of((50,)), {"axis": (0,), "keepdims": False}),
    "sum_all": (arrays_of((40, 50)), arrays_of(()), {}),
    "copy": (arrays_of((600, 500)), arrays_of((600, 500)), {}),
    "uniform": ([np.zeros(2, np.uint64)], arrays_of((40, 50)), {}),
    "normal": ([np.zeros(2, np.uint64)], arrays_of((40, 50)), {}),
}


@st.composite
def changed(draw: st.DrawFn, array: np.ndarray) -> np.ndarray:
    """An array of another shape or type, or one that cannot be written."""
    kind = draw(st.sampled_from(["smaller", "larger", "type", "fewer dimensions", "read-only"]))
    if kind == "type":
        return array.astype(draw(st.sampled_from([np.float64, np.float32, np.int8, np.int64])))
    if kind == "read-only":
        array = array.copy()
        array.flags.writeable = False
        return array
    if kind == "fewer dimensions" or not array.shape:
        return array.reshape(-1)
    shape = list(array.shape)
    axis = draw(st.integers(0, len(shape) - 1))
    shape[axis] = draw(st.integers(0, shape[axis] - 1)) if kind == "smaller" else shape[axis] * 2
    return np.ones(shape, array.dtype)


CANARY = 64


def with_canaries(array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A copy with memory on both sides that nobody may touch, and all of that memory."""
    memory = np.full(array.nbytes + 2 * CANARY, 77, np.uint8)
    inside = memory[CANARY : CANARY + array.nbytes].view(array.dtype).reshape(array.shape)
    inside[...] = array
    inside.flags.writeable = array.flags.writeable
    return inside, memory


@pytest.mark.parametrize("name", CALLS)
@given(st.data())
def test_no_kernel_touches_what_is_beside_its_arrays(name: str, data: st.DataObject) -> None:
    inputs, outs, keywords = copy.deepcopy(CALLS[name])
    arrays = [*inputs, *outs]
    position = data.draw(st.integers(0, len(arrays) - 1))
    arrays[position] = data.draw(changed(arrays[position]))
    guarded = [with_canaries(array) for array in arrays]
    given_in = [array for array, _ in guarded[: len(inputs)]]
    given_out = [array for array, _ in guarded[len(inputs) :]]
    out = given_out[0] if name not in ("adam", "linear_backward") else tuple(given_out)
    with (
        np.errstate(all="ignore"),
        suppress(ValueError, TypeError, IndexError),
    ):  # refused, here or by NumPy
        getattr(numba_kernels, name)(*given_in, out=out, **keywords)
    for array, memory in guarded:
        assert (memory[:CANARY] == 77).all()
        assert (memory[CANARY + array.nbytes :] == 77).all()


def test_views_stay_within_their_memory() -> None:
    kernels = kernels_for[np.ndarray]
    owner = np.zeros(100, np.uint8)
    float32 = np.dtype(np.float32)
    for offset, shape, strides in (
        (0, (26,), (4,)),
        (100, (1,), (4,)),
        (-4, (1,), (4,)),
        (0, (2,), (-4,)),
        (96, (2,), (4,)),
        (0, (2, 13), (52, 4)),
    ):
        with pytest.raises(ValueError, match="does not fit there"):
            kernels.part(owner, offset=offset, shape=shape, strides=strides, dtype=float32)
    for offset, shape, strides in (
        (0, (25,), (4,)),
        (96, (25,), (-4,)),
        (100, (0,), (4,)),
        (96, (7,), (0,)),
    ):
        kernels.part(owner, offset=offset, shape=shape, strides=strides, dtype=float32)
