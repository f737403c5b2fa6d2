"""A browser, and a place for what it saw."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import ROOT, find_chromium, start_chromium
from playwright.sync_api import Browser, Page, sync_playwright

NO_CHROMIUM = "needs Chromium: install it (Debian: `apt-get install chromium`), or set CHROMIUM to where it is"


@pytest.fixture(scope="module")  # no longer: asyncio, which papermill runs, cannot be used meanwhile
def chromium() -> Iterator[Browser]:
    if find_chromium() is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(NO_CHROMIUM)
    with sync_playwright() as playwright:
        browser = start_chromium(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def page(chromium: Browser) -> Page:
    """A window of a new browser profile."""
    return chromium.new_page(viewport={"width": 1400, "height": 1600})


@pytest.fixture(scope="module")
def complaints(page: Page) -> list[str]:
    """What the browser's console called an error; ask for it before the window shows a page."""
    heard: list[str] = []
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on("console", lambda said: heard.append(said.text) if said.type == "error" else None)
    return heard


@pytest.fixture(scope="session")
def screenshots() -> Path:
    """The folder where screenshots are kept: $SRLAB_ARTIFACTS, or build/screenshots."""
    folder = Path(os.environ.get("SRLAB_ARTIFACTS") or ROOT / "build" / "screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(autouse=True)
def _last_sight(request: pytest.FixtureRequest, page: Page, screenshots: Path) -> Iterator[None]:
    """Keep what the window shows when a test ends, however it ends."""
    yield
    page.screenshot(path=screenshots / f"{re.sub(r'[^a-z0-9]+', '_', request.node.name)}.png")
