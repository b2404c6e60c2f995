"""The book as a whole: its links, its table of contents, its reference."""

import importlib.util
import re
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import scratchgan
from scratchgan import autograd, data, gan, nn, optim, testing, utils, vision
from scratchgan.autograd import function, functional

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs"
SITE = PAGES / "site"
EVERY_PAGE = sorted(str(path.relative_to(PAGES)) for path in PAGES.rglob("*.md"))


def loaded_hooks() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hooks", SITE / "hooks.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


hooks = loaded_hooks()


def text_of(page: str) -> str:
    return (PAGES / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", EVERY_PAGE)
def test_links_lead_somewhere(page: str) -> None:
    """To a file; and where one says the name of something in the code, the file defines it."""
    for text, target, _ in hooks.LINK.findall(text_of(page)):
        path = hooks.linked_file(page, target)
        assert (PAGES / page).parent.joinpath(target).exists(), target
        name = re.fullmatch(r"`(\w+(?:\.\w+)?)`", text)
        if path and path.endswith(".py") and name and not name[1].endswith(".py"):
            assert hooks.line_of((ROOT / path).read_text(encoding="utf-8"), text), (text, target)


def test_a_name_has_its_line() -> None:
    source = "a: int = 1\n\n\nclass B:\n    def c(self): ...\n\n\ndef d(): ...\n"
    lines = {
        text: hooks.line_of(source, f"[`{text}`]") for text in ("a", "B", "B.c", "c", "d", "e")
    }
    assert lines == {"a": 1, "B": 4, "B.c": 5, "c": 5, "d": 8, "e": None}


def test_links_out_of_the_pages_are_told_from_those_between_them() -> None:
    assert hooks.linked_file("book/2-tape.md", "../../scratchgan/cli.py") == "scratchgan/cli.py"
    assert hooks.linked_file("book/2-tape.md", "../gan.md") is None
    assert hooks.linked_file("gan.md", "../examples/x.py") == "examples/x.py"


def test_every_page_is_in_the_table_of_contents_once() -> None:
    listed = re.findall(
        r"^ +- (?:\w+: )?(\S+\.md)$", (SITE / "mkdocs.yml").read_text(), re.MULTILINE
    )
    assert sorted(listed) == EVERY_PAGE


def test_nothing_comes_from_the_network() -> None:
    settings = (SITE / "mkdocs.yml").read_text()
    assert "font: false" in settings
    assert "http" not in settings
    for page in EVERY_PAGE:
        assert not re.search(r"!\[[^\]]*\]\(http|<(script|iframe|img)[^>]+http", text_of(page))


# --- The reference ----------------------------------------------------------------------

MEMBERS = re.compile(
    r"^::: (\S+)\n    options:\n(?:      \w.*\n)*?      members: \[([^]]*)\]", re.M
)
REFERENCE = [text_of(page) for page in EVERY_PAGE if page.startswith("reference/")]
DESCRIBED = [
    (module, name.strip())
    for text in REFERENCE
    for module, names in MEMBERS.findall(text)
    for name in names.split(",")
]
ROOMS = (scratchgan, autograd, function, functional, nn, nn.functional, nn.init, nn.utils, optim)
ROOMS += (
    optim.lr_scheduler,
    import_module("scratchgan.jit"),
    gan,
    data,
    utils.data,
    vision.transforms,
    testing,
)


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.__name__)
def test_every_public_name_is_described(room: ModuleType) -> None:
    public = getattr(room, "__all__", None) or [
        name
        for name, value in vars(room).items()
        if getattr(value, "__module__", "") == room.__name__ and not name.startswith("_")
    ]
    described = {name for module, name in DESCRIBED if module == room.__name__}
    elsewhere = {id(getattr(import_module(module), name)) for module, name in DESCRIBED}
    for name in public:
        value = getattr(room, name)
        assert (
            name in described
            or isinstance(value, ModuleType)
            or id(value) in elsewhere
            or any(f"`{name}`" in text for text in REFERENCE)
        ), f"{room.__name__}.{name} is on no page of docs/reference"


def test_each_name_is_described_once_and_exists() -> None:
    assert len(DESCRIBED) == len(set(DESCRIBED))
    for module, name in DESCRIBED:
        assert hasattr(import_module(module), name), f"{module}.{name}"


def test_the_wheel_holds_no_docs() -> None:
    settings = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert '[tool.hatch.build.targets.wheel]\npackages = ["scratchgan"]' in settings
