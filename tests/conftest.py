"""Hypothesis profiles (HYPOTHESIS_PROFILE=deep draws 50 times as many examples) and fixtures."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from scratchgan.backend.scalar import DEFINITIONS
from scratchgan.primitive import REGISTRY

# The default draws the same examples every time, so that a change is what makes a test fail.
settings.register_profile("default", max_examples=50, deadline=None, derandomize=True)
settings.register_profile("deep", max_examples=2500, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.fixture
def own_primitives() -> Iterator[None]:
    """A test that defines primitives leaves none behind in the registry."""
    registry, definitions = dict(REGISTRY), dict(DEFINITIONS)
    yield
    for table, before in ((REGISTRY, registry), (DEFINITIONS, definitions)):
        table.clear()
        table.update(before)
