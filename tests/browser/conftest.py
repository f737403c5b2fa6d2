"""A browser, and a folder for its screenshots."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import ROOT, find_chromium
from playwright.sync_api import Browser, Page, sync_playwright

NO_CHROMIUM = "needs Chromium: install it (Debian: `apt-get install chromium`), or set CHROMIUM to its path"


@pytest.fixture(scope="module")  # no longer: papermill needs asyncio, which playwright blocks
def chromium() -> Iterator[Browser]:
    if find_chromium() is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(NO_CHROMIUM)
    with sync_playwright() as playwright:
        arguments = ["--disable-gpu", "--disable-quic", "--disable-sync"]  # no window and no requests of its own
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def page(chromium: Browser) -> Page:
    """A window of a new browser profile."""
    return chromium.new_page(viewport={"width": 1400, "height": 1600})


@pytest.fixture(scope="module")
def complaints(page: Page) -> list[str]:
    """Errors in the browser's console from now on."""
    heard: list[str] = []
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on("console", lambda said: heard.append(said.text) if said.type == "error" else None)
    return heard


@pytest.fixture(scope="session")
def screenshots() -> Path:
    """The folder for screenshots: $SRLAB_ARTIFACTS, or build/screenshots."""
    folder = Path(os.environ.get("SRLAB_ARTIFACTS") or ROOT / "build" / "screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(autouse=True)
def _last_sight(request: pytest.FixtureRequest, page: Page, screenshots: Path) -> Iterator[None]:
    """Save what the window shows when a test ends."""
    yield
    page.screenshot(path=screenshots / f"{re.sub(r'[^a-z0-9]+', '_', request.node.name)}.png")
