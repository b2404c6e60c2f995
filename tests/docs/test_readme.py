"""README.md does what it says, and README.zh-CN.md says the same."""

import re
import sys
from pathlib import Path
from types import FrameType

import pytest

import scratchgan as sg

ROOT = Path(__file__).parents[2]
FILES = ("README.md", "README.zh-CN.md")
ENGLISH, CHINESE = ((ROOT / name).read_text(encoding="utf-8") for name in FILES)
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r'\]\(([^)]+)\)|src="([^"]+)"')


def test_its_code_prints_what_stands_behind_each_print(capsys: pytest.CaptureFixture[str]) -> None:
    code = "\n".join(code for language, code in BLOCK.findall(ENGLISH) if language == "python")
    exec(code, {})
    printed = capsys.readouterr().out.splitlines()
    expected = re.findall(r"^print\(.*?\)  # (tensor.*)$", code, re.MULTILINE)
    assert printed[:2] == expected
    assert "square" in printed[2] and "lambda g, x:" in "\n".join(printed[2:])


def test_both_have_the_same_blocks() -> None:
    assert BLOCK.findall(ENGLISH) == BLOCK.findall(CHINESE)
    assert [language for language, _ in BLOCK.findall(ENGLISH)] == ["sh", "python", "sh"]


def test_both_have_the_same_links_and_each_leads_to_the_other() -> None:
    links = [{a or b for a, b in LINK.findall(text)} for text in (ENGLISH, CHINESE)]
    assert links[0] - {"README.zh-CN.md"} == links[1] - {"README.md"}
    assert "README.zh-CN.md" in ENGLISH[:100]
    assert "README.md" in CHINESE[:100]
    assert all((ROOT / link).exists() for link in links[0])


def test_both_have_the_same_parts_and_rows() -> None:
    marks = [re.findall(r"^(#+ |\| )", text, re.MULTILINE) for text in (ENGLISH, CHINESE)]
    assert marks[0] == marks[1]


def test_it_fits_a_screen_or_two() -> None:
    assert len(ENGLISH.splitlines()) < 80


def test_make_has_its_targets() -> None:
    targets = re.findall(r"^make ([\w-]+)", ENGLISH, re.MULTILINE)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert len(targets) == 3
    assert all(re.search(f"^{target}:", makefile, re.MULTILINE) for target in targets)


def test_the_core_is_the_files_that_it_names() -> None:
    core = ENGLISH.split("## Reading the core")[1].split("\n## ")[0]
    named = {ROOT / path for path, _ in LINK.findall(core) if path.endswith(".py")}
    assert sum(len(path.read_text(encoding="utf-8").splitlines()) for path in named) <= 1400

    seen: set[str] = set()

    def see(frame: FrameType, event: str, value: object) -> None:
        seen.add(frame.f_code.co_filename)

    x, y = sg.randn(3, requires_grad=True), sg.randn(3, requires_grad=True)
    g = sg.ones(3)
    for _ in range(2):
        (x * y).backward(g)  # kernels are looked up when they are first used
    before = sys.gettrace()
    sys.settrace(see)
    try:
        (x * y).backward(g)
    finally:
        sys.settrace(before)
    assert {Path(file) for file in seen} <= named | {Path(__file__)}
