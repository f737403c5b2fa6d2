"""What pages take from a notebook: its question, how it measured, its captions; and its figures, made part of a page."""

import nbformat
import pytest
from faked import PIXEL, svg
from kept import ROOT

from srlab.report.catalogue import PAGES
from srlab.report.figures import LARGEST, _from_point_to_point, inlined
from srlab.report.texts import CAPTION, texts

OPENING = """# A title

Some words.

**Asked:** does it help?

**Measured:** this.

- And that.
"""


@pytest.fixture
def notebook(tmp_path):
    cells = [
        nbformat.v4.new_markdown_cell(OPENING),
        nbformat.v4.new_code_cell('plots.draw("one", study.folder, frame)'),
        nbformat.v4.new_markdown_cell("*(a) Dots: images.* *Bars: seeds.*"),
        nbformat.v4.new_code_cell('plots.save(figure, study.folder, "two")'),
        nbformat.v4.new_markdown_cell("**No** caption"),
    ]
    path = tmp_path / "some.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


def test_question_and_measure_are_those_of_the_first_cell(notebook):
    said = texts(notebook)
    assert said.asked == "Does it help?" and said.measured == "This.\n\n- And that.\n"


def test_a_caption_is_of_the_figure_drawn_above_it(notebook):
    assert texts(notebook).captions == {"one": "(a) Dots: images.* *Bars: seeds."}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_caption_of_a_notebook_is_of_one_of_its_figures(page):
    path = ROOT / "notebooks" / f"{page.name}.ipynb"
    cells = nbformat.read(path, as_version=4).cells
    captions = [cell for cell in cells if cell.cell_type == "markdown" and CAPTION.fullmatch(cell.source.strip())]
    assert len(captions) == len(set(texts(path).captions) & set(page.figures))


def test_a_small_svg_becomes_part_of_the_page_under_names_of_its_own(tmp_path):
    (tmp_path / "some.svg").write_text(svg("some"))
    shown = inlined(tmp_path, "some", "What &amp; how")
    assert shown.html.startswith('<svg role="img" aria-label="What &amp; how" viewBox="0 0 504 200" ')
    assert shown.width == 792  # letters of 7 points are 11 pixels high
    assert all(part in shown.html for part in ('id="some-clip"', "url(#some-clip)", 'href="#some-letter"'))
    assert "<style" not in shown.html and "whoever" not in shown.html and "xlink" not in shown.html.partition(">")[2]
    assert 'd="m0 0l3.12 4.99"' in shown.html and 'x="1.23"' in shown.html and "scale(0.015625)" in shown.html


def test_lines_told_from_point_to_point_lead_where_they_led():
    path = "M 10.004 20.5 \nL 0.1 -7 \nQ 1 2 3.333 4.444 \nz\nM 1 1 \nC 1 2 3 4 100.25 6 \n"
    assert _from_point_to_point(path) == "m10 20.5l-9.9-27.5q.9 9 3.23 11.44zm-9-19.5c0 1 2 3 99.25 5"


def test_a_letter_and_the_halo_behind_it_are_one_path(tmp_path):
    letter = '<path d="' + "M 0 0 L 9.5 9.5 " * 9 + '" style="{}"/>'
    drawn = svg("some").replace("</g>", f"{letter.format('stroke: white')}{letter.format('fill: black')}</g>")
    (tmp_path / "some.svg").write_text(drawn)
    html = inlined(tmp_path, "some", "What").html
    assert html.count("m0 0l9.5 9.5") == 1 and 'id="some-twice-0"' in html
    assert all(f'<use href="#some-twice-0" style="{style}"/>' in html for style in ("stroke: white", "fill: black"))


@pytest.mark.parametrize("why", ["large", "of pictures", "not there"])
def test_where_an_svg_is_too_large_the_png_stands(why, tmp_path):
    (tmp_path / "some.png").write_bytes(PIXEL)
    if why != "not there":
        more = {"large": f'<path d="{"M 0 0 " * LARGEST}"/></g>', "of pictures": "<image/></g>"}[why]
        (tmp_path / "some.svg").write_text(svg("some").replace("</g>", more))
    shown = inlined(tmp_path, "some", "What")
    assert shown.html.startswith('<img src="data:image/png;base64,') and shown.html.endswith('alt="What">')
