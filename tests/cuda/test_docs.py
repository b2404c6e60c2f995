"""The code of docs/gpu.md runs."""

import re
from pathlib import Path
from typing import Any

import pytest

import scratchgan as sg

PAGE = Path(__file__).parents[2] / "docs" / "gpu.md"


def test_the_page_on_gpus(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(blocks) == 4
    scope: dict[str, Any] = {}
    sg.manual_seed(0)
    exec("\n".join(blocks), scope)
    losses = [float(x) for x in capsys.readouterr().out.strip(" []\n").split(",")]
    assert len(losses) == 3
    assert "__global__" in scope["step"].explain(1)
