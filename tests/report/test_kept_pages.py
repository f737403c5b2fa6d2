"""The committed pages: nothing that they lead to is missing in a clone, and they are small enough to send."""

import re
from html import unescape
from urllib.parse import unquote

import pytest
from kept import references

PAGES = [folder / f"{name}.html" for folder in references() for name in ("index", "report")]
PAGES = [page for page in PAGES if page.is_file()]


def test_there_are_some():
    assert len(PAGES) >= 8


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}-{page.stem}")
def test_every_relative_link_of_a_committed_page_is_in_the_tree(page):
    html = page.read_text(encoding="utf-8")
    links = [unescape(link) for link in re.findall(r'<(?:a|img)\b[^>]*?(?:href|src)="([^"]+)"', html)]
    links = [link for link in links if not link.startswith(("https://", "data:"))]
    assert len(links) > 5
    dead = []
    for link in links:
        file, _, anchor = unquote(link).partition("#")
        target = page.parent / file if file else page
        if not target.is_file() or (anchor and f'id="{anchor}"' not in target.read_text(encoding="utf-8")):
            dead.append(link)
    assert dead == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}-{page.stem}")
def test_a_committed_page_is_small_enough_to_send(page):
    assert page.stat().st_size < 3_000_000


@pytest.mark.parametrize("folder", references(), ids=lambda folder: folder.name)
def test_committed_notebooks_hold_no_bars_of_progress(folder):
    with_bars = [path.name for path in folder.glob("notebooks/*.ipynb") if "%|" in path.read_text(encoding="utf-8")]
    assert with_bars == []
