"""Jitted functions in several threads and tasks at once."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from jit.twins import data, same

import scratchgan as sg


@pytest.fixture(params=["numpy", "numba"], autouse=True)
def backend(request: pytest.FixtureRequest) -> Iterator[None]:
    with sg.use_backend(request.param):
        yield


def in_threads(count: int, work: Callable[[int], None]) -> None:
    faults: list[BaseException] = []

    def run(number: int) -> None:
        try:
            work(number)
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]


def test_threads_that_call_one_function() -> None:
    step = sg.jit(lambda x: (x * 2 + 1).exp().sum(1))

    def work(number: int) -> None:
        for k in range(40):
            x = data(8, 5, seed=100 * number + k) * 0.1
            same(step(x), (x * 2 + 1).exp().sum(1))

    in_threads(6, work)


def test_tasks_of_asyncio() -> None:
    async def trained(number: int) -> list[Any]:
        w = sg.full((2,), float(number), requires_grad=True)

        @sg.jit
        def step(x: sg.Tensor) -> sg.Tensor:
            w.grad = None
            (w * x).sum().backward()
            return w.grad * 2  # type: ignore[operator]

        values = []
        for k in range(4):
            with sg.no_grad() if k == 3 else contextlib.nullcontext():
                await asyncio.sleep(0)
                if k < 3:
                    values.append(step(sg.full((2,), float(k))).tolist()[0])
        return [*values, len(step.recordings)]

    async def all_of_them() -> list[list[Any]]:
        return await asyncio.gather(*map(trained, range(5)))

    assert asyncio.run(all_of_them()) == [[0.0, 2.0, 4.0, 1]] * 5


def test_threads_that_record_at_once() -> None:
    shared = [sg.full((3,), float(k), requires_grad=True) for k in range(1, 5)]
    barrier = threading.Barrier(len(shared))

    def work(number: int) -> None:
        w = shared[number]

        def step(x: sg.Tensor) -> sg.Tensor:
            barrier.wait(60)  # a replay waits for nobody
            w.grad = None
            for _ in range(5):
                loss = (x * w * sum(v.detach().sum() for v in shared)).sum()
                loss.backward()
            return loss.detach()

        jitted = sg.jit(step)
        for k in range(3):
            x = data(3, seed=number + k)
            same(jitted(x), (x * w.detach() * 30).sum())
            assert w.grad is not None
            same(w.grad, x * 150)

    in_threads(len(shared), work)


def test_a_thread_beside_a_recording_is_not_recorded() -> None:
    recording, done = threading.Event(), threading.Event()

    def slow(x: sg.Tensor) -> sg.Tensor:
        recording.set()
        assert done.wait(60)
        return x * 2

    step = sg.jit(slow)

    def work(number: int) -> None:
        if number == 0:
            same(step(sg.ones(3)), sg.ones(3) * 2)
            return
        assert recording.wait(60)
        try:
            y = sg.ones(4)
            for _ in range(50):
                y = (y * 1.5).tanh()
            assert y.sum().item() > 0  # reads a value, as a recording may not
            other = sg.jit(lambda x: x + 1)
            assert other(sg.ones(1)).item() == other(sg.zeros(1)).item() + 1
        finally:
            done.set()

    in_threads(2, work)
    assert step._latest is not None
    assert [call.kernel for call in step._latest.program.plan.recorded] == ["mul"]
