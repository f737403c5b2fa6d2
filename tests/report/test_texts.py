"""Words and figures of notebooks become part of a page."""

import base64

import nbformat
import pytest

from srlab.report.figures import LARGEST, inlined
from srlab.report.texts import html, texts, title_of

#: The smallest PNG.
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


SVG = '<svg width="504pt" viewBox="0 0 504 200" xmlns="http://www.w3.org/2000/svg"><path d="M 0 0 L 3 4"/></svg>'


def test_question_measure_and_captions_are_read_from_a_notebook(tmp_path):
    cells = [
        nbformat.v4.new_markdown_cell("# A title\n\nWords.\n\n**Asked:** does it?\n\n**Measured:** this.\n\n- That."),
        nbformat.v4.new_code_cell('chapter.draw("one")'),
        nbformat.v4.new_markdown_cell("*(a) Dots: images.* *Bars: seeds.*"),
        nbformat.v4.new_code_cell('chapter.draw("two")'),
        nbformat.v4.new_markdown_cell("**No** caption"),
    ]
    path = tmp_path / "some.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    said = texts(path)
    assert (said.asked, said.measured) == ("Does it?", "This.\n\n- That.")
    assert said.captions == {"one": "(a) Dots: images.* *Bars: seeds."} and title_of(path) == "A title"
    assert "<strong>b</strong>" in html("a **b**")


def test_a_figure_is_an_svg_inside_the_page(tmp_path):
    (tmp_path / "some.svg").write_text(SVG)
    shown = inlined(tmp_path, "some", "What &amp; how")
    content = base64.b64encode(SVG.encode()).decode()
    assert shown.html == f'<img src="data:image/svg+xml;base64,{content}" alt="What &amp; how">'
    assert shown.width == 693  # letters of 8 points are 11 pixels high


@pytest.mark.parametrize("why", ["large", "pictures", "missing"])
def test_a_png_stands_in_for_an_svg_that_does_not_fit(why, tmp_path):
    (tmp_path / "some.png").write_bytes(PIXEL)
    if why != "missing":
        more = {"large": f'<path d="{"M 0 0 " * LARGEST}"/></svg>', "pictures": "<image/></svg>"}[why]
        (tmp_path / "some.svg").write_text(SVG.replace("</svg>", more))
    assert inlined(tmp_path, "some", "What").html.startswith('<img src="data:image/png;base64,')
