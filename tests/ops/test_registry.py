"""The registry is the test plan: every primitive is held to what holds for all of them."""

import pytest
from hypothesis import settings

from scratchgan.autograd.primitive import REGISTRY
from scratchgan.testing import check_primitive
from scratchgan.testing.samplers import SAMPLERS

OWN = [name for name, p in REGISTRY.items() if p.forward.__module__.split(".")[0] == "scratchgan"]


@pytest.mark.parametrize("name", OWN)
def test_every_rule_for_primitives(name):
    assert name in SAMPLERS, f"{name!r} has no row in scratchgan.testing.samplers"
    check_primitive(REGISTRY[name].function, examples=settings().max_examples)


def test_no_sampler_outlives_its_primitive():
    assert set(SAMPLERS) <= set(REGISTRY)
