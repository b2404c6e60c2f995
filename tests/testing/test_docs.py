"""The code of docs/gradients.md runs, and prints what the page shows."""

import linecache
import re
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "gradients.md"


@pytest.mark.usefixtures("own_primitives")
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's, of a division by zero
def test_the_page_on_gradients(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = re.findall(
        r"```python\n(.*?)```\n(?:\n```text\n(.*?)```)?",
        PAGE.read_text(encoding="utf-8"),
        re.DOTALL,
    )
    assert len(blocks) == 9
    scope: dict[str, Any] = {"__name__": "gradients"}
    for number, (code, shown) in enumerate(blocks):
        name = f"gradients-{number}.py"  # scalar definitions are read from their source
        lines = code.splitlines(keepends=True)
        monkeypatch.setitem(linecache.cache, name, (len(code), None, lines, name))
        exec(compile(code, name, "exec"), scope)
        assert capsys.readouterr().out == shown, code
