"""Hypothesis profiles (HYPOTHESIS_PROFILE=deep draws 50 times as many examples) and fixtures."""

import os
import signal
import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from threadpoolctl import threadpool_limits

from scratchgan.autograd.primitive import REGISTRY
from scratchgan.backend.scalar import DEFINITIONS
from scratchgan.ops import ACTIVATIONS

# The default draws the same examples every time, so that a change is what makes a test fail. No
# test is about time: a machine that is busy with other things must not make one fail.
patient = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("default", max_examples=50, derandomize=True, **patient)
settings.register_profile("deep", max_examples=2500, print_blob=True, **patient)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.fixture
def own_primitives() -> Iterator[None]:
    """A test that defines primitives and activations leaves none behind in the tables."""
    tables: tuple[dict[str, Any], ...] = (REGISTRY, DEFINITIONS, ACTIVATIONS)
    before = [dict(table) for table in tables]
    yield
    for table, rows in zip(tables, before, strict=True):
        table.clear()
        table.update(rows)


@pytest.fixture
def usual_signals() -> Iterator[None]:
    """Signals do what they usually do, also in processes that the test starts.

    Whoever runs the tests may have some ignored, which processes inherit: the background of a shell
    Ctrl-C, and nohup the end of the terminal.
    """
    usual = {"SIGINT": signal.default_int_handler, "SIGTERM": signal.SIG_DFL}
    usual |= {"SIGHUP": signal.SIG_DFL} if hasattr(signal, "SIGHUP") else {}
    before = {name: signal.signal(getattr(signal, name), usual[name]) for name in usual}
    yield
    for name, handler in before.items():
        signal.signal(getattr(signal, name), handler)


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """The products here are tiny: beside other work on the machine, more threads only wait."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="session")
def tiny_mnist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 256 images and labels in MNIST's naming."""
    folder = tmp_path_factory.mktemp("tiny-mnist")
    rng = np.random.default_rng(0)
    for name, shape in (("images-idx3", (256, 28, 28)), ("labels-idx1", (256,))):
        header = struct.pack(f">BBBB{len(shape)}I", 0, 0, 8, len(shape), *shape)
        content = rng.integers(0, 256 if len(shape) == 3 else 10, shape, np.uint8).tobytes()
        (folder / f"train-{name}-ubyte").write_bytes(header + content)
    return folder


SUMMARY = pytest.StashKey[Counter[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[SUMMARY] = Counter()


@pytest.fixture(scope="session")
def summary(request: pytest.FixtureRequest) -> Counter[str]:
    """Counts to show at the end of the run."""
    return request.config.stash[SUMMARY]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker, one of several that run the tests at the same time, sends what it counted."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["summary"] = dict(session.config.stash[SUMMARY])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    node.config.stash[SUMMARY].update(getattr(node, "workeroutput", {}).get("summary", {}))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    for name, count in config.stash[SUMMARY].items():
        terminalreporter.write_line(f"{name}: {count}")
    # Nothing is skipped in silence: what this machine lacks, and how many tests that concerns.
    reasons: Counter[str] = Counter()
    for report in terminalreporter.stats.get("skipped", ()):
        _, _, reason = report.longrepr
        reasons[reason.removeprefix("Skipped: ")] += 1
    for reason, count in reasons.most_common():
        terminalreporter.write_line(f"skipped: {count} tests, because {reason}")
