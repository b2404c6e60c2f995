"""Threads, asyncio tasks and forked processes: none disturbs another, and none waits for ever."""

import asyncio
import itertools
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import scratchgan as sg
from scratchgan import nn
from scratchgan.autograd.anomaly import AnomalyError
from scratchgan.backend.cpu.threads import cores
from scratchgan.backend.cpu.threads import pool as team

THREADS = 4


@pytest.fixture(autouse=True)
def often() -> Iterator[None]:
    """Python goes from one thread to the next a hundred times as often as it does by itself."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(5e-5)
    yield
    sys.setswitchinterval(before)


@pytest.fixture(params=["numba", "numpy"])
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    with sg.use_backend(request.param):
        yield request.param


def at_once(work: Callable[[int], Any], count: int = THREADS) -> list[Any]:
    """What ``work`` gives for each number, all begun at the same moment in threads of their own."""
    together = threading.Barrier(count)

    def begin(number: int) -> Any:
        together.wait()
        return work(number)

    with ThreadPoolExecutor(count) as threads:
        return [future.result(120) for future in [threads.submit(begin, i) for i in range(count)]]


# --- Tapes and recordings ---------------------------------------------------------------


def network(x: Any, w: Any) -> Any:
    """A scalar of all kinds of kernels: a product, a sum, scans, what is drawn from a tensor."""
    h = (x @ w).tanh()
    return (h.exp().sum(1) * h.mean(1) + h.cumsum(1)[:, -1]).square().sum() / 100


def arguments(number: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(number)
    x = sg.tensor(rng.standard_normal((32, 48)).astype(np.float32))
    w = sg.tensor(rng.standard_normal((48, 40)).astype(np.float32), requires_grad=True)
    return x, w


def gradients(function: Callable[..., Any], number: int) -> list[Any]:
    """The value, the gradient, and the gradient of the gradient's sum of squares."""
    x, w = arguments(number)
    y = function(x, w)
    (g,) = sg.autograd.grad(y, w, create_graph=True)
    (h,) = sg.autograd.grad(g.square().sum(), w)
    return [t.detach().numpy().copy() for t in (y, g, h)]


def second_order(x: Any, w: Any) -> tuple[Any, Any]:
    y = network(x, w)
    (g,) = sg.autograd.grad(y, w)
    return y.detach(), g


def test_tapes_in_several_threads_are_those_of_one_alone(backend):
    expected = [gradients(network, i) for i in range(THREADS)]

    def work(number: int) -> None:
        for _ in range(30):
            for one, other in zip(gradients(network, number), expected[number], strict=True):
                np.testing.assert_array_equal(one, other)

    at_once(work)


@pytest.mark.parametrize("shared", [False, True], ids=["a function each", "one function"])
def test_recordings_in_several_threads_are_those_of_one_alone(backend, shared):
    """They are made, planned, compiled and replayed at the same time."""
    expected = [[x.numpy() for x in second_order(*arguments(i))] for i in range(THREADS)]
    one = sg.jit(second_order)
    functions = [one if shared else sg.jit(second_order) for _ in range(THREADS)]

    def work(number: int) -> None:
        for _ in range(100):
            found = functions[number](*arguments(number))
            for ours, theirs in zip(found, expected[number], strict=True):
                np.testing.assert_allclose(ours.numpy(), theirs, rtol=2e-4, atol=1e-6)

    at_once(work)
    at_once(work)


def test_a_training_in_each_thread():
    """Modules, optimizers, jit, and the module hooks of one thread, seen by no other."""

    def work(number: int) -> list[float]:
        model = nn.Sequential(nn.Linear(12, 16), nn.Tanh(), nn.Linear(16, 1))
        for i, p in enumerate(model.parameters()):
            with sg.no_grad():
                p.copy_(sg.tensor(np.random.default_rng((number, i)).standard_normal(p.shape)))
        adam = sg.optim.Adam(model.parameters(), 1e-2)
        x = sg.tensor(np.random.default_rng(number).standard_normal((8, 12)).astype(np.float32))

        def step() -> Any:
            adam.zero_grad()
            loss = model(x).square().mean()
            loss.backward()
            adam.step()
            return loss

        replayed = sg.jit(step)
        return [float(replayed()) for _ in range(40)]

    alone = [work(number) for number in range(THREADS)]
    assert at_once(work) == alone


# --- Modes ------------------------------------------------------------------------------


def test_a_mode_is_of_its_thread():
    inside, looked = threading.Event(), threading.Event()

    def quiet() -> bool:
        with sg.no_grad():
            inside.set()
            assert looked.wait(60)
            return sg.is_grad_enabled()

    with ThreadPoolExecutor(1) as thread:
        future = thread.submit(quiet)
        assert inside.wait(60)
        here = sg.is_grad_enabled()
        w = sg.ones(2, requires_grad=True)
        assert (w * 2).requires_grad
        looked.set()
        assert (future.result(60), here) == (False, True)
        sg.set_grad_enabled(False)
        try:
            assert thread.submit(sg.is_grad_enabled).result(60)
        finally:
            sg.set_grad_enabled(True)


def test_an_anomaly_is_of_the_thread_that_looks():
    def nan(number: int) -> str:
        x = sg.tensor([-1.0])
        for _ in range(200):
            if number % 2:
                with sg.autograd.detect_anomaly(), pytest.raises(AnomalyError):
                    x.log()
            else:
                assert np.isnan(x.log().item())
        return "done"

    with np.errstate(invalid="ignore"):
        assert at_once(nan) == ["done"] * THREADS


def test_hooks_are_called_in_the_thread_of_the_pass():
    def work(number: int) -> set[int]:
        seen = set()
        for _ in range(50):
            w = sg.full((3,), float(number), requires_grad=True)
            w.register_hook(lambda g: seen.add((threading.get_ident(), g.numpy().sum())))
            (w * w).sum().backward()
        return seen

    found = at_once(work)
    assert [len(seen) for seen in found] == [1] * THREADS
    assert [next(iter(seen))[1] for seen in found] == [6.0 * i for i in range(THREADS)]


def test_modes_are_of_their_asyncio_tasks():
    async def task(number: int) -> list[bool]:
        seen = []
        for i in range(50):
            if number % 3 == 0:
                with sg.no_grad():
                    await asyncio.sleep(0)
                    seen.append(sg.is_grad_enabled())
            elif number % 3 == 1:
                sg.set_grad_enabled(i % 2 == 0)
                await asyncio.sleep(0)
                seen.append(sg.is_grad_enabled() == (i % 2 == 0))
            else:
                with pytest.raises(AnomalyError), sg.autograd.detect_anomaly():
                    await asyncio.sleep(0)
                    sg.zeros(1).reciprocal()
                sg.zeros(1).reciprocal()
                await asyncio.sleep(0)
                seen.append(sg.is_grad_enabled())
        return seen

    async def all_of_them() -> list[list[bool]]:
        return await asyncio.gather(*map(task, range(9)))

    with np.errstate(divide="ignore"):
        found = asyncio.run(all_of_them())
    assert found == [[number % 3 != 0] * 50 for number in range(9)]
    assert sg.is_grad_enabled()


# --- The team of threads ----------------------------------------------------------------


def test_the_number_of_threads_changes_while_they_work(monkeypatch):
    """Whoever had hold of the old team computes alone, and does not wait for who went home."""
    monkeypatch.setattr(team, "WORTH_SHARING", 0)
    monkeypatch.setattr(cores, "usable", lambda: (8, "a test says so"))
    before = sg.get_num_threads()
    a = sg.randn(48, 48)
    expected = (a @ a).numpy()
    counts = [0] * THREADS

    def work(number: int) -> None:
        if number == 0:
            for n in itertools.cycle((2, 3, 1)):
                sg.set_num_threads(n)
                if min(counts[1:]) >= 50:
                    return
        while min(counts[1:]) < 50:
            np.testing.assert_array_equal((a @ a).numpy(), expected)
            counts[number] += 1

    try:
        at_once(work)
    finally:
        sg.set_num_threads(before)


def test_threads_that_begin_at_once_share_a_team(monkeypatch):
    made: list[int] = []
    make = team.ThreadPool

    def counted(threads: int) -> Any:
        made.append(threads)
        return make(threads)

    monkeypatch.setattr(team, "ThreadPool", counted)
    for _ in range(20):
        sg.set_num_threads(sg.get_num_threads())
        made.clear()
        at_once(lambda number: team.thread_pool(), 8)
        assert len(made) == 1


# --- Programs in processes of their own ---------------------------------------------------

#: What children compute, large enough that threads share it.
BEGINNING = """
import faulthandler, os, signal, sys, threading, time, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # Python's own, of forks of many threads
# What hangs says where, and dies. A forked child inherits no alarm.
faulthandler.register(signal.SIGALRM, chain=True)
signal.alarm(150)
import numpy as np
import scratchgan as sg
from scratchgan.backend.cpu.threads import cores
cores.usable = lambda: (3, "a test says so")
if __name__ == "__main__":
    sg.set_num_threads(3)
sg.set_backend(os.environ["CHOSEN_BACKEND"])

rng = np.random.default_rng(0)
X = sg.tensor(rng.standard_normal((256, 300)).astype(np.float32))
W = sg.tensor(rng.standard_normal((300, 280)).astype(np.float32), requires_grad=True)

def compute(_=0):
    w = W.detach().clone().requires_grad_()
    y = (X @ w).tanh().exp().mean()
    (g,) = sg.autograd.grad(y, w)
    return float(y), float(g.double().square().sum())

@sg.jit
def replayed(x, w):
    y = (x @ w).tanh().exp().mean()
    (g,) = sg.autograd.grad(y, w)
    return y.detach(), g

def compute_replayed(_=0):
    y, g = replayed(X, W)
    return float(y), float(g.double().square().sum())

def forked(work):
    '''What a child computes, which must come to its end.'''
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            signal.alarm(60)
            os.write(writing, repr(work()).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as file:
        said = file.read()
    os.waitpid(child, 0)
    assert said, "the child died"
    return eval(said)

def busy(work):
    '''Within it, another thread does ``work`` again and again.'''
    stop = threading.Event()
    def go_on():
        while not stop.is_set():
            work()
    thread = threading.Thread(target=go_on, daemon=True)
    thread.start()
    return stop, thread
"""

AFTER_WORK = """
expected = compute(), compute_replayed()
for _ in range(5):
    assert forked(lambda: (compute(), compute_replayed())) == expected
    assert (compute(), compute_replayed()) == expected
assert forked(lambda: forked(lambda: (compute(), compute_replayed()))) == expected
"""

DURING_A_KERNEL = """
expected = compute(), compute_replayed()
for work in (compute, compute_replayed):
    stop, thread = busy(work)
    for _ in range(25):
        assert forked(lambda: (compute(), compute_replayed())) == expected
    stop.set(); thread.join()
"""

DURING_A_RECORDING = """
expected = compute(), compute_replayed()
def record():
    sg.jit(lambda x: (x * 2).sum())(sg.ones(3))
stop, thread = busy(record)
def all_of_it():
    record()
    return compute(), compute_replayed()
for _ in range(25):
    assert forked(all_of_it) == expected
stop.set(); thread.join()
"""

# All code is in the cache, but that of the other thread, which imports Numba for it.
DURING_THE_FIRST_COMPILATION = """
expected = compute(), compute_replayed()
assert "numba" not in sys.modules
def record():
    sg.jit(lambda x: (x * 2).sin().cos().tanh().exp().sin().cos().abs().sin().sum())(sg.ones(3))
stop, thread = busy(record)
while "numba" not in sys.modules:
    time.sleep(0.001)
def all_of_it():
    record()
    return compute(), compute_replayed()
for _ in range(3):
    assert forked(all_of_it) == expected
stop.set(); thread.join()
"""

DURING_A_COMPILATION = """
# The cache is empty: the first call of each kernel compiles.
reached = threading.Event()
from scratchgan.backend.cpu.codegen import machine_code
machine_code.on_compile = lambda name: (reached.set(), time.sleep(0.3))
stop, thread = busy(compute)
reached.wait(60 if os.environ["CHOSEN_BACKEND"] == "numba" else 0)
found = [forked(compute) for _ in range(3)]
stop.set(); thread.join()
assert found == [compute()] * 3
"""

DURING_A_CHANGE_OF_THE_TEAM = """
expected = compute()
def change():
    sg.set_num_threads(2); compute(); sg.set_num_threads(3)
stop, thread = busy(change)
for _ in range(25):
    assert forked(compute) == expected
stop.set(); thread.join()
"""


def run(program: str, backend: str, cache: Path | None = None) -> None:
    environment = {**os.environ, "CHOSEN_BACKEND": backend}
    if cache is not None:
        environment["SCRATCHGAN_CACHE_DIR"] = str(cache)
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr[-3000:]


FORKS = {
    "after work": AFTER_WORK,
    "during a kernel": DURING_A_KERNEL,
    "during a recording": DURING_A_RECORDING,
    "during a compilation": DURING_A_COMPILATION,
    "during a change of the team": DURING_A_CHANGE_OF_THE_TEAM,
}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("moment", FORKS)
def test_a_forked_process_computes_the_same(moment, backend, tmp_path):
    run(BEGINNING + FORKS[moment], backend, tmp_path if "compilation" in moment else None)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_process_forked_while_numba_is_imported_computes_the_same(tmp_path):
    run(BEGINNING + AFTER_WORK, "numba", tmp_path)
    run(BEGINNING + DURING_THE_FIRST_COMPILATION, "numba", tmp_path)


OF_MULTIPROCESSING = """
import multiprocessing
if __name__ == "__main__":
    expected = compute(), compute_replayed()
    stop, thread = busy(compute)
    context = multiprocessing.get_context(METHOD)
    with context.Pool(2) as pool:
        assert pool.map(compute, range(6)) == [expected[0]] * 6
        assert pool.map(compute_replayed, range(6)) == [expected[1]] * 6
    stop.set(); thread.join()
"""


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_processes_of_multiprocessing_compute_the_same(method, backend, tmp_path):
    import multiprocessing

    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system has no {method}")
    program = tmp_path / "program.py"  # a file, since the others import it
    program.write_text(BEGINNING + OF_MULTIPROCESSING.replace("METHOD", repr(method)))
    run(f"import runpy; runpy.run_path({str(program)!r}, run_name='__main__')", backend)


IMPORTING = """
import faulthandler, signal, sys, threading
faulthandler.register(signal.SIGALRM, chain=True)
signal.alarm(150)
sys.setswitchinterval(1e-6)
together, found = threading.Barrier(8), []
def work(number):
    together.wait()
    if number % 2:
        import scratchgan as sg
    else:
        from scratchgan import nn, optim, gan, data, vision, utils
        import scratchgan as sg
    model = sg.nn.Linear(3, 2)
    model(sg.ones(4, 3)).sum().backward()
    with sg.no_grad():
        assert sg.jit(model)(sg.ones(4, 3)).shape == (4, 2)
    found.append(model.weight.grad.tolist())
threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert found == [[[4.0] * 3] * 2] * 8, found
"""


@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_threads_that_import_at_once(backend):
    run(IMPORTING, backend)
