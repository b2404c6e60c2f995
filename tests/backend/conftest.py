"""A fixture for tests of threads."""

from collections.abc import Iterator

import pytest

import scratchgan as sg
from scratchgan.backend.cpu.threads import cores
from scratchgan.backend.cpu.threads import pool as team


@pytest.fixture
def every_product_is_shared(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Threads share even the smallest, more than there are cores; afterwards all is as before."""
    monkeypatch.setattr(team, "WORTH_SHARING", 0)
    monkeypatch.setattr(cores, "usable", lambda: (8, "a test says so"))
    before = sg.get_num_threads()
    yield
    sg.set_num_threads(before)
