"""A browser for the pages: Chromium, where it is installed."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

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
def open_page(chromium: Any) -> Callable[..., Any]:
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
        finally:
            page.close()
            # Said too where a test has failed: it is why.
            assert not faults

    return opened
