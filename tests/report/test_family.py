"""The family's table has one source; its figure and its measured columns follow from that and the tables."""

import pandas as pd
from kept import ROOT
from legible import faults

from srlab.files import read_table
from srlab.models import REGISTRY
from srlab.plots.style import STYLE
from srlab.report.family import MISSING, REUSED, draw, facts, family, measured
from srlab.report.site_data import Results
from srlab.study.study import Study

FACTS = facts(ROOT / "docs" / "family.md")


def results(folder):
    return Results(folder, ROOT / "results" / "reference", folder)


def test_every_mechanism_of_the_family_is_in_the_registry_with_its_paper():
    assert len(FACTS) == FACTS["model"].nunique() == 10 and FACTS.notna().all(axis=None)
    for row in FACTS.to_dict("records"):
        names = [name.strip(" `") for name in row["in code"].split(",")]
        assert names[0] == row["model"] and set(names) <= REGISTRY.keys() & STYLE.keys()
        papers = {REGISTRY[name].paper.removeprefix("arXiv:") for name in names}
        older = row["model"] == "trunk_nla"  # than the paper that the registry names
        assert older or row["venue"] == "this study" or all(paper.split(",")[0] in row["paper"] for paper in papers)
        assert row["year"] == "–" if row["venue"] == "this study" else 2018 <= int(row["year"]) <= 2025


def test_measurements_are_those_of_the_tables_or_missing(tmp_path):
    found, note = measured(FACTS, results(tmp_path))
    costs = read_table(next((ROOT / "results/reference").glob("family-*")) / "tables/comparison_costs.csv")
    layers = costs[costs["part"] == "non-local layers"].set_index("model")["median_ms"]
    for row in found.itertuples():
        assert row.time == (f"{layers[row.model]:.0f} ms" if row.model in layers else MISSING)
    assert "64×64" in note
    (tmp_path / "recall-mine" / "tables").mkdir(parents=True)
    rows = {"league": ["equal keys"] * 2 + ["other"], "arm": ["lcoan", "nlsn", "nlsn"], "recall": [0.123, -0.001, 0.9]}
    groups = pd.DataFrame(rows).assign(seeds=5)
    groups.to_csv(tmp_path / "recall-mine" / "tables" / "recall_groups.csv", index=False)
    recall = measured(FACTS, results(tmp_path))[0].set_index("model")["recall"]
    assert recall[["lcoan", "nlsn", "trunk_lsp"]].tolist() == ["0.12", "0.00", MISSING]


def test_the_figure_has_each_mechanism_in_its_cell(tmp_path):
    figure = draw(*measured(FACTS, results(tmp_path)))
    names = {
        text.get_text(): text.get_position()[0] for text in figure.axes[0].texts if text.get_fontweight() == "bold"
    }
    across = FACTS[REUSED].drop_duplicates().tolist()
    assert {name: across[int(x)] for name, x in names.items()} == dict(
        zip(FACTS["mechanism"], FACTS[REUSED], strict=True)
    )
    assert faults(figure) == []


def test_the_report_has_table_and_figure(tmp_path, monkeypatch):
    monkeypatch.setenv("SRLAB_RESULTS", str(tmp_path))
    study = Study("smoke", ROOT)
    shown = family(study)
    missing = (measured(FACTS, results(tmp_path))[0] == MISSING).to_numpy().sum()
    assert shown["table"].count("<tr") == 1 + len(FACTS) and shown["table"].count(MISSING) == missing > 0
    assert shown["figure"].html.startswith("<img") and (study.folder / "figures" / "family.png").is_file()
    monkeypatch.setattr(study, "root", tmp_path)
    assert family(study) is None
