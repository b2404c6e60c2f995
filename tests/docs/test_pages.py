"""The code on the pages of docs/ runs, and prints what the pages show."""

import linecache
import re
from pathlib import Path
from typing import Any

import pytest

PAGES = Path(__file__).parents[2] / "docs"


@pytest.mark.usefixtures("own_primitives")
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's, of a division by zero
@pytest.mark.parametrize(
    ("page", "count"), [("gradients", 9), ("backprop", 7), ("jit", 5), ("gan", 2), ("pytorch", 2)]
)
def test_a_page(
    page: str, count: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = re.findall(
        r"```python\n(.*?)```\n(?:\n```text\n(.*?)```)?",
        (PAGES / f"{page}.md").read_text(encoding="utf-8"),
        re.DOTALL,
    )
    assert len(blocks) == count
    scope: dict[str, Any] = {"__name__": page}
    for number, (code, shown) in enumerate(blocks):
        name = f"{page}-{number}.py"  # scalar definitions are read from their source
        lines = code.splitlines(keepends=True)
        monkeypatch.setitem(linecache.cache, name, (len(code), None, lines, name))
        exec(compile(code, name, "exec"), scope)
        assert capsys.readouterr().out == shown, code
