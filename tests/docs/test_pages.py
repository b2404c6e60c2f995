"""The code on the pages of docs/ runs, prints what the pages show and draws their figures.

Run this file to draw the figures anew.
"""

import contextlib
import io
import linecache
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib import pyplot

PAGES = Path(__file__).parents[2] / "docs"
STYLE = Path(__file__).with_name("figures.mplstyle")

#: How many blocks of Python each page has.
COUNTS = {
    "book/1-chain-rule": 2,
    "book/2-tape": 5,
    "book/3-vjps": 5,
    "book/4-network": 4,
    "book/5-adam": 3,
    "book/6-logits": 4,
    "book/7-gan": 3,
    "book/8-second-derivatives": 4,
    "book/9-jit": 5,
    "checkpoints": 1,
    "extending": 6,
    "gan": 2,
    "gradients": 9,
    "inspector": 2,
    "jit": 6,
    "pytorch": 2,
}
#: A chapter that goes on where another ended, whose blocks run first.
GOES_ON_FROM = {"book/3-vjps": "book/2-tape"}
#: tests/cuda/test_docs.py runs the first; the second shows a row of the table as it stands there.
ELSEWHERE = {"gpu", "design"}

BLOCK = re.compile(r"```python\n(.*?)```\n(?:\n```text\n(.*?)```)?", re.DOTALL)


def blocks_of(page: str) -> list[tuple[str, str]]:
    """The blocks of Python, each with the output below it."""
    return BLOCK.findall((PAGES / f"{page}.md").read_text(encoding="utf-8"))


def run(page: str, scope: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Each block with the output shown, after it ran, and what it printed."""
    for number, (code, shown) in enumerate(blocks_of(page)):
        name = f"{page}-{number}.py"  # scalar definitions are read from their source
        linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), pyplot.rc_context(fname=STYLE):
            exec(compile(code, name, "exec"), scope)
        yield code, shown, printed.getvalue()


def figures_of(page: str) -> list[str]:
    text = (PAGES / f"{page}.md").read_text(encoding="utf-8")
    return re.findall(r'savefig\("(.*?)"', text)


@pytest.mark.usefixtures("own_primitives")
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's, of a division by zero
@pytest.mark.parametrize("page", COUNTS)
def test_a_page(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(linecache, "cache", dict(linecache.cache))
    pyplot.switch_backend("svg")
    scope: dict[str, Any] = {"__name__": page}
    for _ in run(GOES_ON_FROM[page], scope) if page in GOES_ON_FROM else ():
        pass
    for code, shown, printed in run(page, scope):
        assert printed == shown, code
    pyplot.close("all")

    assert len(blocks_of(page)) == COUNTS[page]
    for name in figures_of(page):
        assert f"]({name})" in (PAGES / f"{page}.md").read_text(encoding="utf-8")
        drawn, committed = (drawing(folder / name) for folder in (tmp_path, (PAGES / page).parent))
        assert drawn[0] == committed[0], "other words; run python tests/docs/test_pages.py"
        assert drawn[1] == committed[1], "other shapes; run python tests/docs/test_pages.py"
        np.testing.assert_allclose(drawn[2], committed[2], atol=2)


def drawing(path: Path) -> tuple[list[str], list[str], list[float]]:
    """What an SVG file shows: its words, its kinds of strokes, and where they go, in points.

    Versions of Matplotlib place legends a point apart.
    """
    text = path.read_text(encoding="utf-8")
    strokes = " ".join(re.findall(r'<path d="(.*?)"', text, re.DOTALL))
    numbers = [float(x) for x in re.findall(r"-?\d+\.?\d*", strokes)]
    texts = re.findall(r"<text.*?>(.*?)</text>", text, re.DOTALL)
    words = [re.sub(r"<.*?>|\s", "", written) for written in texts]
    return words, re.findall("[A-Za-z]", strokes), numbers


def test_every_page_with_code_runs() -> None:
    with_code = {
        str(path.relative_to(PAGES).with_suffix(""))
        for path in PAGES.rglob("*.md")
        if "```python" in path.read_text(encoding="utf-8")
    }
    assert with_code == {*COUNTS, *ELSEWHERE}


def test_design_shows_a_row_as_it_stands_in_the_code() -> None:
    ((row, _),) = blocks_of("design")
    table = PAGES.parent / "scratchgan" / "ops" / "elementwise.py"
    assert row in table.read_text(encoding="utf-8")


def test_every_figure_is_drawn_by_its_page() -> None:
    drawn = {PAGES / page / ".." / name for page in COUNTS for name in figures_of(page)}
    assert {path.resolve() for path in drawn} == set((PAGES / "book").glob("*.svg"))


if __name__ == "__main__":
    warnings.simplefilter("ignore", RuntimeWarning)
    pyplot.switch_backend("svg")
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for page in sys.argv[1:] or COUNTS:
            if figures_of(page):
                for _ in run(page, {"__name__": page}):
                    pass
            for name in figures_of(page):
                drawn = re.sub(r"\n +<dc:date>.*?</dc:date>", "", Path(name).read_text())
                (PAGES / page).with_name(name).write_text(drawn)
