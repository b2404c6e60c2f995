"""Whether primitives are recorded: per context, thread and task."""

import asyncio
import threading

import numpy as np
import pytest

import scratchgan as sg
from scratchgan import autograd
from scratchgan.autograd import TapeError, enable_grad, no_grad, set_grad_enabled


def leaf(*values):
    return sg.tensor(values, "float64", requires_grad=True)


def test_modes_nest_and_end():
    x = leaf(1.0)
    recorded = []
    with no_grad():
        recorded.append((x * 2).requires_grad)
        with enable_grad():
            recorded.append((x * 2).requires_grad)
            with set_grad_enabled(False):
                recorded.append((x * 2).requires_grad)
            recorded.append(sg.is_grad_enabled())
        recorded.append((x * 2).requires_grad)
    recorded.append((x * 2).requires_grad)
    assert recorded == [False, True, False, True, False, True]
    with pytest.raises(ZeroDivisionError), no_grad():
        1 / 0  # noqa: B018
    assert sg.is_grad_enabled()


def test_modes_decorate_also_recursive_functions():
    @no_grad()
    def factorial(x, n):
        assert not sg.is_grad_enabled()
        return x if n == 1 else factorial(x, n - 1) * n

    assert not factorial(leaf(1.0), 5).requires_grad
    assert sg.is_grad_enabled()

    @enable_grad()
    def recorded(x):
        return x * 2

    with no_grad():
        assert recorded(leaf(1.0)).requires_grad
        assert not sg.is_grad_enabled()


def test_the_mode_belongs_to_a_thread():
    found = {}
    inside, done = threading.Event(), threading.Event()

    def other():
        inside.wait()
        found["other"] = sg.is_grad_enabled()
        done.set()

    thread = threading.Thread(target=other)
    thread.start()
    with no_grad():
        inside.set()
        done.wait()
    thread.join()
    assert found == {"other": True}


def test_the_mode_belongs_to_a_task():
    """Tasks take turns in one thread; each keeps its own mode."""

    async def inside(mode, turns):
        seen = []
        with mode():
            for _ in range(turns):
                await asyncio.sleep(0)
                seen.append(autograd.is_grad_enabled())
        return seen, autograd.is_grad_enabled()

    async def both():
        return await asyncio.gather(inside(autograd.no_grad, 3), inside(autograd.enable_grad, 5))

    assert asyncio.run(both()) == [([False] * 3, True), ([True] * 5, True)]
    assert autograd.is_grad_enabled()


def test_backward_in_a_hook_and_backward_leave_the_mode_as_it_was():
    x = leaf(1.0)
    y = x * 2
    modes = []
    y.register_hook(lambda g: modes.append(sg.is_grad_enabled()))
    y.backward(retain_graph=True)
    y.backward(create_graph=True)
    assert modes == [False, True]
    assert sg.is_grad_enabled()
    with pytest.raises(TapeError):
        (x * x).backward(sg.ones(5))
    assert sg.is_grad_enabled()


def test_detach_shares_memory_and_leaves_the_tape():
    x = leaf(1.0, 2.0)
    y = x.detach()
    assert not y.requires_grad
    assert np.shares_memory(x.array, y.array)
    (x * y).sum().backward()
    assert x.grad.tolist() == [1.0, 2.0]


def test_threads_have_tapes_of_their_own():
    rng = np.random.default_rng(0)
    weights = [rng.standard_normal((8, 8)) for _ in range(8)]

    def gradient(weight):
        w = sg.tensor(weight, requires_grad=True)
        x = w
        for _ in range(30):
            x = sg.tanh(x @ w)
        x.sum().backward()
        return w.grad.numpy()

    expected = [gradient(w) for w in weights]
    found = [None] * len(weights)

    def work(i):
        found[i] = gradient(weights[i])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(weights))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_mode_as_a_statement_a_context_and_a_decorator():
    x = leaf(1.0)
    sg.set_grad_enabled(False)
    try:
        assert not (x * 2).requires_grad
        with sg.set_grad_enabled(True):
            assert (x * 2).requires_grad
        assert not (x * 2).requires_grad
        with sg.enable_grad():
            assert (x * 2).requires_grad
    finally:
        sg.set_grad_enabled(True)

    @sg.set_grad_enabled(False)
    def recorded():
        return (x * 2).requires_grad

    assert sg.is_grad_enabled()  # it is meant for the function alone
    assert not recorded()
    assert sg.is_grad_enabled()
    assert (x * 2).requires_grad


@pytest.mark.parametrize("decorate", [sg.no_grad(), sg.no_grad])
def test_a_generator_and_a_method_and_a_class_without_a_tape(decorate):
    x = leaf(1.0)

    @decorate
    def halves(count):
        """Says so."""
        for _ in range(count):
            sent = yield (x * 2).requires_grad
            assert not sg.is_grad_enabled()
            if sent == "fail":
                raise ValueError(sent)
        return "end"

    running = halves(3)
    assert next(running) is False
    assert (x * 2).requires_grad  # between two values the mode is the caller's
    with sg.no_grad():
        assert running.send(None) is False
    with pytest.raises(ValueError, match="fail"):
        running.send("fail")
    assert sg.is_grad_enabled()
    assert list(halves(2)) == [False, False]
    assert halves.__doc__ == "Says so."

    class Thing:
        @decorate
        def compute(self):
            return (x * 2).requires_grad

    assert Thing().compute() is False
