"""Words and figures of notebooks become part of a page."""

import base64

import nbformat
import pytest

from srlab.report.figures import LARGEST, _from_point_to_point, inlined
from srlab.report.texts import html, texts, title_of

#: The smallest PNG.
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def svg(name: str) -> str:
    """Return a figure as matplotlib writes it, of one line that a path clips, with a label."""
    return (
        '<?xml version="1.0"?>\n<svg xmlns:xlink="http://www.w3.org/1999/xlink" width="504pt" height="200pt" '
        'viewBox="0 0 504 200" xmlns="http://www.w3.org/2000/svg">\n<metadata>whoever</metadata>\n'
        '<defs><style type="text/css">*{stroke-linejoin: round; stroke-linecap: butt}</style></defs>\n'
        f'<g id="figure_1"><!-- {name} --><path id="letter" d="M 0 0 \nL 3.123456 4.987654 \n"/>'
        '<use xlink:href="#letter" x="1.234567" transform="scale(0.015625)"/>'
        '<path clip-path="url(#clip)" d="M 0 0 L 9 9"/></g>\n'
        '<defs><clipPath id="clip"><rect width="5" height="5"/></clipPath></defs></svg>\n'
    )


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


def test_a_small_svg_becomes_part_of_the_page_under_names_of_its_own(tmp_path):
    (tmp_path / "some.svg").write_text(svg("some"))
    shown = inlined(tmp_path, "some", "What &amp; how")
    assert shown.html.startswith('<svg role="img" aria-label="What &amp; how" viewBox="0 0 504 200" ')
    assert shown.width == 792  # letters of 7 points are 11 pixels high
    assert all(part in shown.html for part in ('id="some-clip"', "url(#some-clip)", 'href="#some-letter"'))
    assert "<style" not in shown.html and "whoever" not in shown.html and "xlink" not in shown.html.partition(">")[2]
    assert 'd="m0 0l3.12 4.99"' in shown.html and 'x="1.23"' in shown.html and "scale(0.015625)" in shown.html


def test_relative_paths_lead_to_the_same_points():
    path = "M 10.004 20.5 \nL 0.1 -7 \nQ 1 2 3.333 4.444 \nz\nM 1 1 \nC 1 2 3 4 100.25 6 \n"
    assert _from_point_to_point(path) == "m10 20.5l-9.9-27.5q.9 9 3.23 11.44zm-9-19.5c0 1 2 3 99.25 5"


@pytest.mark.parametrize("why", ["large", "pictures", "missing"])
def test_a_png_stands_in_for_an_svg_that_does_not_fit(why, tmp_path):
    (tmp_path / "some.png").write_bytes(PIXEL)
    if why != "missing":
        more = {"large": f'<path d="{"M 0 0 " * LARGEST}"/></g>', "pictures": "<image/></g>"}[why]
        (tmp_path / "some.svg").write_text(svg("some").replace("</g>", more))
    assert inlined(tmp_path, "some", "What").html.startswith('<img src="data:image/png;base64,')
