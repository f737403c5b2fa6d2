"""README: its numbers are those of kept tables, and its links lead to files."""

import re

import pandas as pd
import pytest
from kept import ROOT, reference

from srlab.models.registry import REGISTRY, label
from srlab.study.chapter import Tables

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_numbers_of_the_mechanisms_are_those_of_the_tables():
    [block] = re.findall(r"<!-- numbers:.*?<!-- end of numbers -->", README, re.S)
    rows = re.findall(r"^\| ([^|]+) \|.*\| ([−\d.–]+) \| ([+\d.–]+) \| ([\d–]+) \|$", block, re.M)
    recalls = [Tables(reference(profile))["recall_groups"] for profile in ("recall", "recall_family")]
    recall = pd.concat(recalls).set_index("arm")["recall"]
    gains = Tables(reference("verdicts"))["branched_gains"].set_index("arm")["gain_db"]
    costs = Tables(reference("family"))["comparison_costs"]
    costs = costs[costs["part"] == "non-local layers"].set_index("model")["median_ms"]
    assert len(rows) >= 14 and sum(time != "–" for *_, time in rows) >= 8
    models = {label(model): model for model in REGISTRY}
    for name, found, gain, time in rows:
        model = models[name]
        assert found == (f"{recall[model]:.2f}".replace("-", "−") if model in recall else "–"), model
        assert float(gain) == pytest.approx(gains[model], abs=0.0005) if model in gains else gain == "–", model
        assert float(time) == pytest.approx(costs[model], abs=0.5) if model in costs else time == "–", model


@pytest.mark.parametrize(
    "page", ["README.md", "CONTRIBUTING.md", *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md"))]
)
def test_links_lead_to_files(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#\s]+)", text) if not link.startswith("http")]
    missing = [link for link in links if not ((ROOT / page).parent / link).exists()]
    assert missing == []
