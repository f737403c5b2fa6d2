"""Index and report of a study, opened from the folder as a person does."""

import pandas as pd
import pytest
from faked import new_study
from lab import brightness
from matplotlib.figure import Figure

from srlab.measure.evaluation import convention
from srlab.plots import save
from srlab.report import write_index, write_report
from srlab.stats import styled

pytestmark = pytest.mark.slow

NAMES = {"short": "a CPU", "word": "x" * 80, "words": "Processor of 80 characters " * 3}
#: JavaScript: the text of elements with letters smaller than so many pixels.
SMALL_LETTERS = """least => [...document.querySelectorAll('body *')].filter(element =>
    [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim())
    && parseFloat(getComputedStyle(element).fontSize) < least).map(element => element.textContent)"""


def finished(folder, patch, processor, chapters=None):
    """A study as if one of its runs were all, with an answer and a figure of each chapter, or of the first ones."""
    study = new_study(folder, patch)
    study.settings = dict(list(study.settings.items())[:chapters])
    record = study.record(study.training("lcoan"))
    environment = {"name": processor, "threads": 2, "torch": "2.0", "commit": "0123456789"}
    record.__dict__["facts"] = {"environment": environment, "convention": convention(2), "finished": "2026-01-01"}
    patch.setattr(study, "finished_records", lambda: [record])
    figure = Figure((7, 2))
    for ax in figure.subplots(1, 2, sharey=True):
        ax.plot([0, 1])
    (study.folder / "answers").mkdir(parents=True)
    save(figure, study.folder, "drawn")
    drawn = {path: path.read_bytes() for path in (study.folder / "figures").iterdir()}
    for chapter in study.chapters:
        table = "\n".join(["| column " * 12 + "|", "|---" * 12 + "|", "| value " * 12 + "|"])
        answer = f"The **answer** of `{chapter.name}`, on {processor}.\n\n{table}\n"
        (study.folder / "answers" / f"{chapter.name}.md").write_text(answer)
        for path, content in drawn.items():
            path.with_stem(next(iter(chapter.module.FIGURES))).write_bytes(content)
    return study


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """A study by the name of its processor; one has every chapter."""
    with pytest.MonkeyPatch.context() as patch:
        yield {
            key: finished(tmp_path_factory.mktemp("results"), patch, name[:80], None if key == "short" else 1)
            for key, name in NAMES.items()
        }


@pytest.fixture(scope="module", params=[write_index, write_report], ids=["index", "report"])
def written(request, studies):
    """The page of each study."""
    return {key: request.param(study) for key, study in studies.items()}


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
    paper, ink = (brightness(page, "body", name) for name in ("backgroundColor", "color"))
    assert (paper < 0.2 and ink > 0.8) if scheme == "dark" else (paper > 0.9 and ink < 0.2)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("width", [390, 1200])
def test_it_fits_whatever_the_processor_is_called(written, page, width, name):
    open_page(page, written[name], width)
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(SMALL_LETTERS, 11) == []


def test_panels_stand_below_each_other_on_telephones(written, page):
    for width in (390, 1200, 390):
        open_page(page, written["short"], width)
        cards = page.locator("[data-panels]")
        for number in range(cards.count()):  # none on the index
            card, narrow = cards.nth(number), width < 640
            assert card.locator("img").is_visible() != narrow
            boxes = [panel.bounding_box() for panel in card.locator("div.panel").all() if panel.is_visible()]
            assert len(boxes) == 2 * narrow and all(0 < box["width"] < 390 and box["height"] > 50 for box in boxes)
            assert boxes == sorted(boxes, key=lambda box: box["y"])


def test_tooltips_of_a_table_do_not_widen_a_page(page):
    table = styled(pd.DataFrame({name: ["trunk_lsp"] for name in ("model", *map(str, range(20)), "arm")})).to_html()
    page.set_viewport_size({"width": 390, "height": 844})
    page.set_content(f'<!doctype html><div style="overflow: auto">{table}</div>')
    assert "pd-t" in table and page.evaluate("document.documentElement.scrollWidth") <= 390
