"""A fixture for tests of threads."""

from collections.abc import Iterator

import pytest

import scratchgan as sg
from scratchgan.backend import products


@pytest.fixture
def every_product_is_shared(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Threads share even the smallest; afterwards there are as many as before."""
    monkeypatch.setattr(products, "WORTH_SHARING", 0)
    before = sg.get_num_threads()
    yield
    sg.set_num_threads(before)
