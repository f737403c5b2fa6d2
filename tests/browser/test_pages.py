"""Index and report of a study, opened from the folder as a person does."""

import pytest
from faked import finish, new_study, pages_left

from srlab.report import write_index, write_report

pytestmark = pytest.mark.slow

NAMES = {"short": "a CPU", "word": "x" * 80, "words": "Processor of 80 characters " * 3}
#: JavaScript: the text of elements with letters smaller than so many pixels.
SMALL_LETTERS = """least => [...document.querySelectorAll('body *')].filter(element =>
    [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim())
    && parseFloat(getComputedStyle(element).fontSize) < least).map(element => element.textContent)"""
#: JavaScript: how bright a colour of the page is, from 0 to 1.
BRIGHTNESS = """([where, property]) => {
    const channels = getComputedStyle(document.querySelector(where))[property].match(/\\d+/g).slice(0, 3);
    return channels.reduce((sum, channel) => sum + channel / 3 / 255, 0);
}"""


@pytest.fixture(scope="module", params=[write_index, write_report], ids=["index", "report"])
def written(request, tmp_path_factory):
    """The page by the name of the processor that it was made on."""
    paths = {}
    with pytest.MonkeyPatch.context() as patch:
        for key, name in NAMES.items():
            study = new_study(tmp_path_factory.mktemp("results"), patch)
            pages_left(study, name[:80])
            paths[key] = request.param(finish(study, patch, name[:80]))
        yield paths


def open_page(page, path, width=1200, scheme="light"):
    page.set_viewport_size({"width": width, "height": 844})
    page.emulate_media(color_scheme=scheme)
    page.goto(path.as_uri())


def test_everything_on_it_is_there_and_comes_from_the_folder(written, page, complaints):
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    open_page(page, written["short"])
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == [] and complaints == []
    images = page.evaluate("[...document.images].map(image => [image.src, image.naturalWidth])")
    assert [src for src, width in images if not width] == []
    anchors = page.evaluate("[...document.links].map(link => link.getAttribute('href')).filter(a => a[0] === '#')")
    assert page.evaluate("anchors => anchors.filter(a => !document.getElementById(a.slice(1)))", anchors) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_as_dark_as_the_reader_asks(written, page, scheme):
    open_page(page, written["short"], scheme=scheme)
    paper, ink = (page.evaluate(BRIGHTNESS, ["body", name]) for name in ("backgroundColor", "color"))
    assert (paper < 0.2 and ink > 0.8) if scheme == "dark" else (paper > 0.9 and ink < 0.2)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("width", [390, 1200])
def test_it_fits_whatever_the_processor_is_called(written, page, width, name):
    open_page(page, written[name], width)
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(SMALL_LETTERS, 11) == []
