"""Tables to look at show names for people; code names stay in the frames, and under the pointer."""

import re

import pandas as pd
import pytest

from srlab.models.registry import label
from srlab.stats.tables import header, styled


def test_cells_have_names_for_people_and_code_names_only_under_the_pointer():
    frame = pd.DataFrame({"model": ["trunk_lsp", "bicubic"], "gain_db": [0.0226, float("inf")], "equal": [True, False]})
    html = styled(frame.assign(run="abc")).to_html()
    cells = [re.sub("<.*?>", "", cell) for cell in re.findall(r"<td.*?</td>", html, re.S)]
    assert cells == [label("trunk_lsp"), "0.023", "yes", "bicubic", "–", "no"]
    assert re.findall(r'content: "(.*?)"', html) == ["trunk_lsp"]
    assert re.findall(r"<th[^>]*>(.*?)</th>", html) == ["model", "gain (dB)", "equal"]


@pytest.mark.parametrize(
    ("column", "words"),
    [("low_db", "low (dB)"), ("median_ms", "median time (ms)"), ("images_higher", "images higher"), ("ms", "ms")],
)
def test_headers_have_units(column, words):
    assert header(column) == words
