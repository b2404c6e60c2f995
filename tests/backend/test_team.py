"""Threads that run tasks together: all of each task, in order, however they wait and sleep."""

import multiprocessing
import threading
import time
from typing import Any

import numpy as np
import pytest

import scratchgan as sg
from scratchgan.backend.cpu import addresses
from scratchgan.backend.cpu import kernels as numba_kernels
from scratchgan.backend.cpu.threads import pool as team

pytestmark = pytest.mark.usefixtures("every_product_is_shared")


A = np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32)


def product(a: Any) -> Any:
    out = np.empty_like(a)
    numba_kernels.matmul(a, a, out=out)
    return out


def test_work_is_done_after_sleep_and_after_work():
    sg.set_num_threads(3)
    expected = product(A)
    for pause in (0, 0, 0.05, 0, 0.005, 0.001, 0.01) * 10:
        time.sleep(pause)
        np.testing.assert_array_equal(product(A), expected)


def test_threads_of_the_user_take_turns():
    sg.set_num_threads(2)
    inputs = [A * i for i in range(4)]
    expected = [product(x) for x in inputs]
    faults: list[int] = []

    def work(i: int) -> None:
        faults.extend(i for _ in range(300) if not np.array_equal(product(inputs[i]), expected[i]))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults


def test_addresses():
    frozen = A.copy()
    frozen.flags.writeable = False
    nothing = np.empty((0, 3))
    for x in (A, A[3:, ::-2], A.T, frozen, nothing, np.array(1.0), A.view(np.int32), np.arange(3)):
        assert addresses.begin_of(x) == x.__array_interface__["data"][0]


def helpers() -> set[threading.Thread]:
    return {x for x in threading.enumerate() if x.name.startswith("scratchgan worker")}


def test_the_number_of_threads():
    before = helpers()
    sg.set_num_threads(3)
    assert sg.get_num_threads() == team.thread_pool().threads == 3
    product(A)
    mine = helpers() - before
    assert len(mine) == 2
    sg.set_num_threads(1)
    product(A)
    deadline = time.monotonic() + 10
    while helpers() & mine and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not helpers() & mine  # they went home
    for wrong in (0, -1, 1.5, True, "2"):
        with pytest.raises(ValueError, match=r"set_num_threads: .* is not a whole number above 0"):
            sg.set_num_threads(wrong)  # type: ignore[arg-type]
    assert sg.get_num_threads() == 1
    assert team.why_as_many() == "set_num_threads() said so"


def test_helpers_do_not_pile_up():
    for _ in range(100):
        for n in (2, 3):
            sg.set_num_threads(n)
            product(A)
    assert len(helpers()) < 20


@pytest.mark.parametrize(
    ("setting", "expected", "reason"),
    [
        (None, 8, "a test says so"),
        ("", 8, "a test says so"),
        ("1", 1, "OMP_NUM_THREADS=1"),
        (" 3 ", 3, "OMP_NUM_THREADS=3"),
        ("4,2", 4, "OMP_NUM_THREADS=4,2"),
        ("64", 8, "a test says so; OMP_NUM_THREADS=64 would be more than these"),
        ("100000", 8, "a test says so; OMP_NUM_THREADS=100000 would be more than these"),
    ],
)
def test_the_first_number_is_that_of_the_environment(
    setting: str | None, expected: int, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(team, "_threads", None)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if setting is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", setting)
    assert team.get_num_threads() == expected
    assert team.why_as_many() == reason


@pytest.mark.parametrize("setting", ["many", "0", "-1", "1.5", ",4", "²"])
def test_a_number_that_is_none_is_told(setting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(team, "_threads", None)
    monkeypatch.setenv("OMP_NUM_THREADS", setting)
    with pytest.warns(RuntimeWarning, match=f"OMP_NUM_THREADS is '{setting}', which is no number"):
        assert team.get_num_threads() == 8


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork")
def test_a_forked_process_has_a_team_of_its_own():
    sg.set_num_threads(2)
    expected = product(A)
    context = multiprocessing.get_context("fork")
    with context.Pool(1) as pool:
        got = pool.apply_async(product, (A,)).get(60)
    np.testing.assert_array_equal(got, expected)


def test_an_interrupt_when_helpers_were_called_leaves_no_one_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sg.set_num_threads(3)
    expected = product(A)
    mine = team.thread_pool()
    lead = mine._leader

    def interrupted(*arguments: Any) -> None:
        lead(*arguments)
        raise KeyboardInterrupt

    for pause in (0.05, 0.0):  # the helpers sleep, or they do not
        time.sleep(pause)
        with monkeypatch.context() as patch:
            patch.setattr(mine, "_leader", interrupted)
            with pytest.raises(KeyboardInterrupt):
                product(A)
        np.testing.assert_array_equal(product(A), expected)
