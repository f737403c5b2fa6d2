"""The page of results, opened from the folder as a person does."""

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from faked import PIXEL, finish, new_study, pages_left
from kept import reference
from playwright.sync_api import expect

from srlab.pages.index import write_index
from srlab.pages.report import write_report

pytestmark = pytest.mark.slow

INDEX = reference("quick") / "index.html"


@pytest.fixture
def index(page, complaints):
    page.goto(INDEX.as_uri())
    return page


def test_every_image_is_there_and_the_browser_has_no_complaints(index, complaints, screenshots):
    index.screenshot(path=screenshots / "index.png", full_page=True)
    images = index.evaluate("[...document.images].map(image => [image.src, image.naturalWidth])")
    assert len(images) >= 8
    assert [src for src, width in images if not width] == []
    assert complaints == []


def test_every_link_leads_somewhere(index):
    links = index.evaluate("[...document.links].map(link => link.href)")
    files = [Path(unquote(urlsplit(link).path)) for link in links]
    assert len(files) > 40
    # Rendered notebooks are not kept in git; test_notebooks.py makes them and looks whether they are there.
    kept = [file for file in files if (file.parent.name, file.suffix) != ("notebooks", ".html")]
    assert [file for file in kept if not file.is_file()] == []


def test_a_figure_opens_larger_and_the_way_back_leads_to_the_page(index):
    index.locator("figure a").first.click()
    expect(index).to_have_url(re.compile(r"\.svg$"))
    index.go_back()
    expect(index.get_by_role("heading", level=1)).to_contain_text("quick on ")


def test_it_fits_a_telephone(index):
    index.set_viewport_size({"width": 390, "height": 844})
    assert index.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("name", ["x" * 80, "Processor of 80 characters " * 3], ids=["one word", "words"])
@pytest.mark.parametrize("write", [write_index, write_report], ids=["index", "report"])
def test_it_fits_a_telephone_whatever_the_processor_is_called(
    write, name, page, tmp_path, monkeypatch, screenshots
):
    study = new_study(tmp_path, monkeypatch)
    pages_left(study, name[:80], PIXEL)
    path = write(finish(study, monkeypatch, name[:80]))
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(path.as_uri())
    page.screenshot(path=screenshots / f"telephone_{path.stem}_{name[:5]}.png", full_page=True)
    assert page.get_by_text(name[:80].strip()).count() >= 1
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    # Columns of words are no columns of letters.
    narrow = "cell => cell.innerText.split(/[^a-z]/).some(word => word.length > 4 && word.length < 13) && "
    cells = page.locator("td").evaluate_all(
        f"cells => cells.filter({narrow} cell.clientWidth < 40).map(cell => cell.innerText)"
    )
    assert cells == []
