"""A pytest plugin: tests that start a program are skipped, and counted.

An emulated Python cannot start another one, which the kernel would take for a foreign binary.
"""

import subprocess
from typing import Any

import pytest


def refuse(*_: Any, **__: Any) -> None:
    pytest.skip("an emulated Python can start no other")


subprocess.Popen.__init__ = refuse  # type: ignore[method-assign]
