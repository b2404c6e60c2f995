"""Hypothesis profiles: HYPOTHESIS_PROFILE=deep draws 50 times as many examples."""

import os

from hypothesis import settings

# The default draws the same examples every time, so that a change is what makes a test fail.
settings.register_profile("default", max_examples=50, deadline=None, derandomize=True)
settings.register_profile("deep", max_examples=2500, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))
