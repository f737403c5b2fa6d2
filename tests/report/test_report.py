"""The report of a study whose folder holds what its pages leave, made by hand: no network is trained here."""

import json
import re
from html.parser import HTMLParser

import pandas as pd
import pytest
from faked import ANSWERED, finish, new_study, pages_left
from kept import ROOT
from PIL import Image

from srlab import plots
from srlab.errors import InputError
from srlab.report.catalogue import pages_of
from srlab.report.index import write_index
from srlab.report.report import write_report
from srlab.stats.headlines import Finding
from srlab.study.study import Study


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


CHAPTERS = ["claims", *(page.name for page in ANSWERED if page.name != "claims")]


def shown(page):
    return [name for name in page.figures if name in plots.DRAWINGS or name in page.in_report]


def test_every_chapter_is_there_claims_first_and_provenance_last(page):
    assert page.all("h2", "id") == [*CHAPTERS, "about"]
    anchors = [link[1:] for link in page.all("a", "href") if link.startswith("#")]
    assert anchors[: len(CHAPTERS) + 1] == [*CHAPTERS, "about"]  # the contents; findings follow
    words = " ".join("".join(page.words).split())
    assert all(page.title in words and f"The answer of {page.name}, on a CPU." in words for page in ANSWERED)
    assert "Does each claim hold here?" in words and "Claims, contrasts and margins stand in" in words
    assert "strong" in {tag for tag, _ in page.tags}  # Markdown was rendered


def test_it_is_whole_in_itself(page):
    order = sorted(ANSWERED, key=lambda page: page.name != "claims")
    figures = [f"figure-{name}" for page in order for name in shown(page)]
    assert page.all("figure", "id") == figures
    drawn = [tag for tag, attributes in page.tags if tag == "svg" and attributes["aria-label"]]
    assert len(drawn) == len(figures)
    assert all(source.startswith("data:") for source in page.all("img", "src") + page.all("link", "href"))
    assert not page.all("script", "src") and not {"iframe", "object"} & {tag for tag, _ in page.tags}


def test_what_is_named_in_a_figure_is_named_once_in_the_page(page):
    names = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(names) == len(set(names))
    used = [link[1:] for link in page.all("use", "href")]
    used += [link.removeprefix("url(#").removesuffix(")") for link in page.all("path", "clip-path")]
    assert len(used) > 20 and set(used) <= set(names)


def test_captions_are_whole(page):
    words = " ".join("".join(page.words).split())
    short = "Attention weights of one query pixel (the strongest corner) in each mechanism."
    assert f"{short} 1 is the weight that each token would have if all weighed alike. Grey tokens" in words


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


def test_it_opens_with_the_findings_that_tables_hold_each_with_its_figure(finished):
    gains = pd.DataFrame({"benchmark": ["Set5"], "model": ["trunk_nla"], "gain_db": [0.1], "seeds": [1]})
    gains = gains.assign(low_db=[0.05], high_db=[0.15], run="aa")
    gains.to_csv(finished.folder / "tables" / "comparison_gains.csv", index=False)
    html = write_report(finished).read_text(encoding="utf-8")
    opening, chapters = html.split("<section>", 1)
    assert "+0.100 dB, of 1 seed" in opening and '<a href="#06_comparison">' in opening
    assert re.search(r'<a class="card" href="#figure-gains"><img src="data:image/png;base64,', opening)
    told = chapters.index("Differences and their intervals")
    assert chapters.index('id="06_comparison"') < told < chapters.index('id="07_attention_maps"')
    assert all(number in chapters[told:] for number in ("0.100", "0.050", "0.150"))


def test_findings_are_five_at_most(finished, monkeypatch):
    eight = [(f"finding {number}", ("claims",), "claims") for number in range(8)]
    monkeypatch.setattr("srlab.report.opening.headlines", lambda folder: [Finding(*each) for each in eight])
    assert write_report(finished).read_text(encoding="utf-8").count("<p>finding ") == 5


def test_what_is_said_of_the_study_and_the_claims(page):
    words = " ".join("".join(page.words).split())
    assert "fewer than 3 seeds, so no verdict on quality" in words
    assert "9 training photographs" in words and "a CPU, 2 threads, torch 2.0" in words
    assert "From scratch: 4 steps of 2 × 16×16 LR pixels." in words and "Border left out: 2 px" in words
    assert "50 % [40 %, 60 %]" in words and "smaller: 60 % [50 to 70 %] of what is claimed" in words
    assert not re.search(r"\bnan\b|None|\{\{|\{%", words)  # what was not measured is a dash


def test_it_says_so_if_a_run_is_missing(study):
    with pytest.raises(InputError, match="every run of profile 'smoke' is needed; missing: timing-trained"):
        write_report(study)
    assert not (study.folder / "report.html").exists()


@pytest.mark.parametrize("write", [write_index, write_report], ids=["index", "report"])
def test_a_profile_of_recall_alone_has_pages(write, tmp_path, monkeypatch):
    """It trains no comparison, times nothing, and needs no photographs."""
    monkeypatch.setenv("SRLAB_RESULTS", str(tmp_path))
    study = Study("recall", ROOT)
    for run in study.runs():
        record = study.record(run)
        record.folder.mkdir(parents=True)
        environment = {"name": "a CPU", "threads": 2, "torch": "2.0", "kind": "cpu", "commit": "0123456789"}
        for file in record.files:
            file.write_text("run\n")
        facts = {"config": run.model_dump(mode="json"), "environment": environment, "finished": "2026-01-01"}
        (record.folder / "run.json").write_text(json.dumps(facts))
    [page] = pages_of(study)
    for folder in ("figures", "answers"):
        (study.folder / folder).mkdir()
    for name in page.figures:
        Image.new("RGB", (70, 20)).save(study.folder / "figures" / f"{name}.png")
    page.answer(study).write_text("Some were found.\n")
    said = write(study).read_text(encoding="utf-8")
    assert "a CPU" in said and "images made by rule" in said and "photograph" not in said
