"""The pages of results, opened from the folder as a person does."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from faked import finish, new_study, pages_left
from kept import reference
from playwright.sync_api import expect

from srlab.report.index import write_index
from srlab.report.report import write_report

pytestmark = pytest.mark.slow

PAGES = {
    f"{profile} {name}": reference(profile) / f"{name}.html"
    for profile, name in (("quick", "index"), ("quick", "report"), ("night", "index"), ("night", "report"))
}
REPORTS = {name: path for name, path in PAGES.items() if "report" in name}
#: JavaScript: the text of elements whose letters are smaller than so many pixels.
SMALL_LETTERS = """least => [...document.querySelectorAll('body *')].filter(element =>
    [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim())
    && parseFloat(getComputedStyle(element).fontSize) < least).map(element => element.textContent)"""
#: JavaScript: how bright a colour of the page is, from 0 to 1.
BRIGHTNESS = """([where, property]) => {
    const channels = getComputedStyle(document.querySelector(where))[property].match(/\\d+/g).slice(0, 3);
    return channels.reduce((sum, channel) => sum + channel / 3 / 255, 0);
}"""
#: Pixels that the smallest letters of a figure are high, of 7 points where nothing is scaled.
FIGURE_LETTERS = """() => [...document.querySelectorAll('.card svg')].map(svg =>
    7 * svg.getBoundingClientRect().width / svg.viewBox.baseVal.width)"""


@pytest.fixture(params=PAGES.values(), ids=PAGES.keys())
def kept(request, page, complaints):
    """A committed page, and what it asked of anybody."""
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.set_viewport_size({"width": 1200, "height": 900})
    page.emulate_media(color_scheme="light")
    page.goto(request.param.as_uri())
    return page, [url for url in asked if not url.startswith(("file:", "data:"))]


@pytest.fixture(params=REPORTS.values(), ids=REPORTS.keys())
def report(request, page):
    page.set_viewport_size({"width": 1200, "height": 900})
    page.goto(request.param.as_uri())
    return page


def test_every_image_is_there_nothing_is_asked_of_anybody_and_the_browser_has_no_complaints(kept, complaints):
    page, asked = kept
    images = page.evaluate("[...document.images].map(image => [image.src, image.naturalWidth])")
    assert [src for src, width in images if not width] == []
    assert len(images) + page.locator(".card svg").count() >= 3
    assert asked == [] and complaints == []


def test_every_link_leads_somewhere(kept):
    page, _ = kept
    links = page.evaluate("[...document.links].map(link => link.href)")
    files = {Path(unquote(urlsplit(link).path)) for link in links if link.startswith("file:")}
    assert len(files) > 4 and [file for file in files if not file.is_file()] == []
    anchors = page.evaluate("[...document.links].map(link => link.getAttribute('href')).filter(a => a[0] === '#')")
    assert page.evaluate("anchors => anchors.filter(a => !document.getElementById(a.slice(1)))", anchors) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_as_dark_as_the_reader_asks_and_figures_stand_on_light_cards(kept, scheme, screenshots, request):
    page, _ = kept
    page.emulate_media(color_scheme=scheme)
    page.screenshot(path=screenshots / f"{request.node.callspec.id}.png".replace(" ", "_"))
    paper, ink = (page.evaluate(BRIGHTNESS, ["body", name]) for name in ("backgroundColor", "color"))
    assert (paper < 0.2 and ink > 0.8) if scheme == "dark" else (paper > 0.9 and ink < 0.2)
    assert page.evaluate(BRIGHTNESS, [".card", "backgroundColor"]) == 1


@pytest.mark.parametrize("width", [390, 1200])
def test_it_fits_and_can_be_read(kept, width, screenshots, request):
    page, _ = kept
    page.set_viewport_size({"width": width, "height": 844})
    page.screenshot(path=screenshots / f"{request.node.callspec.id}.png".replace(" ", "_"))
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(SMALL_LETTERS, 11) == []
    assert all(pixels >= 10.9 for pixels in page.evaluate(FIGURE_LETTERS))


def test_the_first_screen_tells_what_was_found(report):
    for finding in report.locator(".found li").all()[:2]:
        expect(finding.locator("strong").first).to_be_in_viewport(ratio=1)
        expect(finding.locator("img")).to_be_in_viewport(ratio=1)
    assert 1 <= report.locator(".found li").count() <= 5


def test_a_finding_leads_to_its_chapter_and_its_figure(report):
    finding = report.locator(".found li").first
    finding.locator("img").click()
    expect(report.locator("figure:target")).to_be_in_viewport()
    report.go_back()
    finding.locator("p a").first.click()
    expect(report.locator("h2:target")).to_be_in_viewport()


def test_contents_stay_in_sight_on_a_wide_screen(report):
    contents = report.get_by_role("navigation", name="Contents")
    expect(contents.get_by_role("link").first).to_be_visible()
    report.locator("#about").scroll_into_view_if_needed()
    expect(contents.get_by_role("link", name="How it was made and measured")).to_be_in_viewport(ratio=1)
    body, side = report.locator("main").bounding_box(), contents.bounding_box()
    assert side["x"] + side["width"] <= body["x"]


def test_contents_are_folded_on_a_telephone_and_open_on_demand(report):
    report.set_viewport_size({"width": 390, "height": 844})
    contents = report.get_by_role("navigation", name="Contents")
    link = contents.get_by_role("link", name="How it was made and measured")
    expect(link).not_to_be_visible()
    report.locator("#about").scroll_into_view_if_needed()
    contents.get_by_text("Contents").click()
    expect(link).to_be_visible()
    link.click()
    expect(report.locator("h2:target")).to_be_in_viewport()
    expect(link).not_to_be_visible()


def test_runs_are_folded_away(page):
    page.goto(PAGES["quick index"].as_uri())
    runs = page.locator("details", has_text="every number comes from one of these")
    expect(runs.get_by_role("link").first).not_to_be_visible()
    runs.locator("summary").click()
    expect(runs.get_by_role("link").first).to_be_visible()


@pytest.mark.parametrize("name", ["x" * 80, "Processor of 80 characters " * 3], ids=["one word", "words"])
@pytest.mark.parametrize("write", [write_index, write_report], ids=["index", "report"])
def test_it_fits_a_telephone_whatever_the_processor_is_called(write, name, page, tmp_path, monkeypatch, screenshots):
    study = new_study(tmp_path, monkeypatch)
    pages_left(study, name[:80])
    path = write(finish(study, monkeypatch, name[:80]))
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(path.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
    page.screenshot(path=screenshots / f"telephone_{path.stem}_{name[:5]}.png", full_page=True)
    assert page.get_by_text(name[:80].strip()).count() >= 1
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    # Columns of words are no columns of letters.
    narrow = "cell => cell.innerText.split(/[^a-z]/).some(word => word.length > 4 && word.length < 13) && "
    cells = page.locator("td").evaluate_all(
        f"cells => cells.filter({narrow} cell.clientWidth < 40).map(cell => cell.innerText)"
    )
    assert cells == []
