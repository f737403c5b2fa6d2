"""The report of a study whose folder holds what its pages leave, made by hand: no network is trained here."""

import base64
import re
from html.parser import HTMLParser

import pandas as pd
import pytest
from kept import ROOT

from srlab import plots
from srlab.errors import InputError
from srlab.pages.catalogue import PAGES
from srlab.pages.report import write_report
from srlab.study.study import Study

ANSWERED = [page for page in PAGES if page.answered]


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


def claims():
    known = {
        "id": "lcoa-time",
        "claim": "LCoA is fast",
        "claimed": 83.0,
        "quantity": "time_reduction_percent",
    }
    known |= {"source": "https://arxiv.org/abs/2404.04922", "against": "nlan", "run": "aa"}
    measured = {
        "measured": 50.0,
        "low": 40.0,
        "high": 60.0,
        "share": 0.6,
        "share_low": 0.5,
        "share_high": 0.7,
    }
    device = {
        "spread": "9 rounds",
        "device": "a CPU",
        "workload": "ten layers",
        "verdict": "holds in direction",
    }
    absent = dict.fromkeys([*measured, "spread", "device", "workload"])
    untested = {"against": "lspn", "verdict": "not testable at this budget, because of something"}
    return pd.DataFrame([known | measured | device, known | absent | untested])


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.delenv("SRLAB_DATA", raising=False)
    monkeypatch.setenv("SRLAB_DEVICE", "cpu")
    monkeypatch.setenv("SRLAB_RESULTS", str(tmp_path))
    study = Study("smoke", ROOT)
    for folder in ("answers", "figures", "tables"):
        (study.folder / folder).mkdir(parents=True)
    for page in ANSWERED:
        page.answer(study).write_text(f"The **answer** of `{page.name}`.\n")
        for name in page.figures:
            (study.folder / "figures" / f"{name}.png").write_bytes(f"picture {name}".encode())
    claims().to_csv(study.folder / "tables" / "claims.csv", index=False)
    return study


@pytest.fixture
def finished(study, monkeypatch):
    """The study as if its runs were there."""
    environment = {"name": "a CPU", "threads": 2, "torch": "2.0", "kind": "cpu"}
    convention = {"lr": "bicubic", "y_rounding": "none", "border": 2}
    records = [study.record(run) for run in (study.timing(), study.training("lcoan"))]
    for record in records:
        facts = {"environment": environment, "data": "seven photographs", "convention": convention}
        record.__dict__["facts"] = facts
    monkeypatch.setattr(study, "finished_records", lambda: records)
    return study


@pytest.fixture
def page(finished):
    path = write_report(finished)
    assert path == finished.folder / "report.html"
    return Reader(path.read_text(encoding="utf-8"))


def test_every_section_is_there_claims_first(page):
    names = [page.name for page in ANSWERED]
    assert page.all("h2", "id") == ["claims", *(name for name in names if name != "claims")]
    anchors = [link for link in page.all("a", "href") if link.startswith("#")]
    assert [anchor[1:] for anchor in anchors] == page.all("h2", "id")
    words = " ".join("".join(page.words).split())
    assert all(page.title in words and f"The answer of {page.name}." in words for page in ANSWERED)
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
    assert papers == {"https://arxiv.org/abs/2404.04922"}
    made = {path for page in ANSWERED for path in page.outputs(finished)}
    assert {finished.folder / link for link in links if link not in papers} <= made
    assert {link.split("/")[0] for link in links if link not in papers} == {"tables", "notebooks"}
    tables = {f"tables/{table}.csv" for name in plots.DRAWINGS for table in plots.DRAWINGS[name].tables}
    assert tables <= set(links)


def test_what_is_said_of_the_study_and_the_claims(page):
    words = " ".join("".join(page.words).split())
    assert "With fewer than three seeds no verdict on quality is drawn." in words
    assert "(seven photographs), evaluated on" in words and "a CPU, 2 threads, torch 2.0." in words
    assert "border cropped: 2 px" in words
    assert "50 % [40 %, 60 %]" in words and "holds in direction" in words
    assert not re.search(r"\bnan\b|None|\{\{|\{%", words)  # what was not measured is a dash


def test_it_says_so_if_a_run_is_missing(study):
    with pytest.raises(InputError, match="every run of profile 'smoke' is needed; missing: timing-trained"):
        write_report(study)
    assert not (study.folder / "report.html").exists()
