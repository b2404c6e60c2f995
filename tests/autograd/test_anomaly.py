"""detect_anomaly: the primitive and the line where a nan or an inf first appears."""

import threading

import numpy as np
import pytest

import scratchgan as sg
from scratchgan import ops
from scratchgan.autograd import detect_anomaly
from scratchgan.autograd.anomaly import AnomalyError
from scratchgan.autograd.observe import is_observed
from scratchgan.jit import JitError

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's, of the same


def leaf(*values):
    return sg.tensor(values, requires_grad=True)


def caught(function):
    with pytest.raises(AnomalyError) as error, detect_anomaly():
        function()
    return str(error.value).split("\n  ")


def test_forward():
    def step():
        x = leaf(0.0, 1.0)
        y = sg.exp(x)
        z = sg.log(y - 1)  # the line that is told
        return z.sum().backward()

    what, where, origin = caught(step)
    assert what == "an inf appears in 'log', in the forward"
    assert where.startswith(f"called at {__file__}:")
    assert where.endswith("in step: z = sg.log(y - 1)  # the line that is told")
    assert origin == "no input of it held one"


def test_a_jitted_function_runs_as_it_is():
    @sg.jit
    def step(x):
        return sg.log(x - 1).sum()

    zero, two = sg.tensor([0.0]), sg.tensor([2.0])
    step(two)
    assert caught(lambda: step(zero))[0] == "a nan appears in 'log', in the forward"
    step(zero)  # a replay, which nobody watches
    fresh = sg.jit(lambda x: sg.log(x - 1))
    with detect_anomaly():
        assert fresh(two).item() == 0.0
    with pytest.raises(JitError, match="nothing has been recorded"):
        fresh.explain()


def test_forward_without_gradients_and_through_a_composed_function():
    what, where, _ = caught(lambda: (sg.tensor([0.0]) / 0.0).mean())
    assert what == "a nan appears in 'div', in the forward"
    assert "(sg.tensor([0.0]) / 0.0).mean()" in where
    # softmax calls log_softmax; the user called softmax.
    what, where, _ = caught(lambda: sg.softmax(sg.tensor([np.inf, 0.0]), 0))
    assert what == "a nan appears in 'log_softmax', in the forward"
    assert "sg.softmax(" in where


def test_backward_names_the_line_of_the_forward():
    def step():
        x = leaf(0.0, 1.0)
        y = sg.sqrt(x)
        total = (y * 2).sum()
        total.backward()

    what, where, origin = caught(step)
    assert what == "an inf appears in the backward of 'sqrt', in the gradient of 'x'"
    assert where.endswith("in step: y = sg.sqrt(x)")
    assert origin == "no input of it held one"


def test_second_backward():
    def step():
        x = leaf(1.0)
        (g,) = sg.autograd.grad(x * x, x, create_graph=True)
        sg.sqrt(g - 2.0).backward()

    assert caught(step)[0] == "an inf appears in the backward of 'sqrt', in the gradient of 'x'"

    def through_the_way_back():  # the derivative of the derivative of sqrt at 1e-30 overflows
        x = leaf(1e-30)
        (g,) = sg.autograd.grad(sg.sqrt(x), x, create_graph=True)
        g.backward()

    what, where, _ = caught(through_the_way_back)
    assert "in the backward of" in what
    assert "grad(sg.sqrt(x), x, create_graph=True)" in where


def test_where_gradients_are_added_up():
    def step():
        x = leaf(1.0)
        y = x * 1.0
        (y + y).backward(sg.tensor([3e38]))

    what, where, _ = caught(step)
    assert what == "an inf appears in 'add', in the backward"
    assert where.endswith("in step: (y + y).backward(sg.tensor([3e38]))")


def test_a_rule_that_serves_all_inputs_of_a_layer():
    def step():
        x, w, b = leaf(1.0).reshape(1, 1), leaf(1.0).reshape(1, 1), leaf(0.0)
        y = ops.linear(x, w, b, activation="tanh")
        y.backward(sg.tensor([[np.nan]]))

    what, where, origin = caught(step)
    assert what == "a nan appears in the backward of 'linear', in the gradient of its inputs"
    assert "ops.linear(x, w, b" in where
    assert origin.startswith("it was given one: by a leaf, a gradient passed to backward")


def test_a_nan_from_outside_is_said_to_come_from_there():
    what, _, origin = caught(lambda: leaf(np.nan) * 2)
    assert what == "a nan appears in 'mul', in the forward"
    assert origin.startswith("it was given one")


def test_an_inf_that_the_user_put_there_may_stay():
    with detect_anomaly():
        masked = sg.where(sg.tensor([True, False, False]), -np.inf, leaf(0.0, 1.0, 2.0))
        probabilities = sg.softmax(masked, -1)
        (probabilities * sg.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert probabilities.tolist()[0] == 0.0


def test_a_tape_from_outside_can_only_tell_the_line_of_the_backward():
    y = sg.sqrt(leaf(0.0))
    what, where, _ = caught(lambda: y.backward())
    assert what == "an inf appears in 'div', in the backward"
    assert "y.backward()" in where


def test_off_is_off():
    x = leaf(0.0)
    with detect_anomaly():
        assert is_observed()
        with detect_anomaly():
            sg.exp(x)
        assert is_observed()
    assert not is_observed()
    assert sg.log(x).tolist() == [-np.inf]
    (sg.sqrt(x) * 0).backward()
    assert np.isnan(x.grad.item())


def test_another_thread_is_not_watched():
    results = []
    with detect_anomaly():
        thread = threading.Thread(target=lambda: results.append(sg.log(sg.tensor([0.0])).item()))
        thread.start()
        thread.join()
    assert results == [-np.inf]


def test_results_are_the_same_under_watch():
    def gradients():
        x = sg.tensor(np.linspace(-1, 1, 6).reshape(2, 3), requires_grad=True)
        y = sg.concatenate([sg.tanh(x), x[:, ::-1]]).amax(dim=0)
        (g,) = sg.autograd.grad((y * y).sum(), x, create_graph=True)
        return g, *sg.autograd.grad(sg.sin(g).sum(), x)

    plain = gradients()
    with detect_anomaly():
        watched = gradients()
    for a, b in zip(plain, watched, strict=True):
        assert a.tolist() == b.tolist()
