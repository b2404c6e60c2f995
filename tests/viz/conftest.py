"""A browser for the pages: Chromium, where it is installed.

With the environment variable SCREENSHOTS set to a folder, each page that a test opens is kept there
as the test leaves it, at the widths of a desktop and of a telephone.
"""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

#: Pixels: the widths at which a page is kept.
_WIDTHS = (1280, 390)

#: What the browser's executable is called where it comes from.
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A browser that Playwright drives."""
    found = next((path for name in _NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("there is no Chromium")
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Any, request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Opens a file; a fault in its script, or a request to any network, fails the test."""

    @contextmanager
    def opened(path: Path, width: int = 1280, height: int = 800, scheme: str = "light") -> Any:
        faults: list[str] = []
        page = chromium.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
        page.on(
            "request",
            lambda asked: None if asked.url.startswith("file:") else faults.append(asked.url),
        )
        try:
            page.goto(path.as_uri())
            yield page
            if folder := os.environ.get("SCREENSHOTS"):
                _keep(page, Path(folder), f"{request.node.name}-{path.stem}")
        finally:
            page.close()
            # Said too where a test has failed: it is why.
            assert not faults

    return opened


def _keep(page: Any, folder: Path, name: str) -> None:
    """Write what a page looks like by now, as PNG files."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = re.sub(r"[^\w.]+", "-", name)
    for width in _WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        page.screenshot(path=folder / f"{stem}-{width}.png", full_page=True)
