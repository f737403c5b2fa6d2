"""The report of a study whose folder holds what its pages leave, made by hand: no network is trained here."""

import base64
import re
from html.parser import HTMLParser

import pandas as pd
import pytest
from faked import ANSWERED, finish, new_study, pages_left

from srlab import plots
from srlab.errors import InputError
from srlab.pages.report import write_report


class Reader(HTMLParser):
    """Every tag with its attributes, and all words."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.words = [], []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.words.append(data)

    def all(self, tag, attribute):
        return [found[attribute] for name, found in self.tags if name == tag and attribute in found]


@pytest.fixture
def study(tmp_path, monkeypatch):
    study = new_study(tmp_path, monkeypatch)
    pages_left(study)
    return study


@pytest.fixture
def finished(study, monkeypatch):
    """The study as if its runs were there."""
    return finish(study, monkeypatch)


@pytest.fixture
def page(finished):
    path = write_report(finished)
    assert path == finished.folder / "report.html"
    return Reader(path.read_text(encoding="utf-8"))


def test_every_section_is_there_claims_first(page):
    names = [page.name for page in ANSWERED]
    assert page.all("h2", "id") == ["claims", *(name for name in names if name != "claims")]
    anchors = [link for link in page.all("a", "href") if link.startswith("#")]
    ids = page.all("h2", "id")
    assert [anchor[1:] for anchor in anchors][-len(ids) :] == ids  # after those of the findings
    assert {anchor[1:] for anchor in anchors} == set(ids)
    words = " ".join("".join(page.words).split())
    assert all(page.title in words and f"The answer of {page.name}, on a CPU." in words for page in ANSWERED)
    assert "strong" in {tag for tag, _ in page.tags}  # Markdown was rendered


def test_it_is_whole_in_itself(page):
    inside = "data:image/png;base64,"
    sources = page.all("img", "src")
    assert all(source.startswith(inside) for source in sources)
    shown = [base64.b64decode(source.removeprefix(inside)).decode() for source in sources]
    order = sorted(ANSWERED, key=lambda page: page.name != "claims")
    assert shown == [
        f"picture {name}"
        for page in order
        for name in page.figures
        if name in plots.DRAWINGS or name in page.in_report
    ]
    assert all(page.all("img", "alt"))
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in page.tags}


def test_it_links_only_to_what_the_study_leaves_beside_it_and_to_papers(page, finished):
    links = [link for link in page.all("a", "href") if not link.startswith("#")]
    papers = {link for link in links if link.startswith("https:")}
    assert papers == {"https://arxiv.org/abs/2404.04922", "https://arxiv.org/abs/2504.06634"}
    made = {path for page in ANSWERED for path in page.outputs(finished)}
    assert {finished.folder / link for link in links if link not in papers} <= made
    assert {link.split("/")[0] for link in links if link not in papers} == {"tables", "notebooks"}
    drawn = [name for page in ANSWERED for name in page.figures if name in plots.DRAWINGS]
    tables = {f"tables/{table}.csv" for name in drawn for table in plots.DRAWINGS[name].tables}
    assert tables <= set(links)


def test_it_opens_with_the_findings_that_tables_hold(finished):
    gains = pd.DataFrame({"benchmark": ["Set5"], "model": ["nlan"], "gain_db": [0.1], "seeds": [1]})
    gains.to_csv(finished.folder / "tables" / "comparison_gains.csv", index=False)
    html = write_report(finished).read_text(encoding="utf-8")
    opening, _ = html.split("<nav>")
    assert "+0.100 dB, of 1 seed" in opening and '<a href="#06_comparison">' in opening


def test_what_is_said_of_the_study_and_the_claims(page):
    words = " ".join("".join(page.words).split())
    assert "With fewer than three seeds no verdict on quality is drawn." in words
    assert "(seven photographs), evaluated on" in words and "a CPU, 2 threads, torch 2.0." in words
    assert "border cropped: 2 px" in words
    assert "50 % [40 %, 60 %]" in words and "smaller: 60 % [50 to 70 %] of what is claimed" in words
    assert not re.search(r"\bnan\b|None|\{\{|\{%", words)  # what was not measured is a dash


def test_it_says_so_if_a_run_is_missing(study):
    with pytest.raises(InputError, match="every run of profile 'smoke' is needed; missing: timing-trained"):
        write_report(study)
    assert not (study.folder / "report.html").exists()
