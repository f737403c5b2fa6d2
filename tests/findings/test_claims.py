"""The rules by which a claim is judged; what it is measured with is tested where that is made."""

import numpy as np
import pandas as pd
import pytest
from kept import ROOT, reference

from srlab.findings.claims import DIRECTION, HOLDS, NOT, UNTESTED, judge, published_claims, summary
from srlab.findings.tables import claims_markdown

NO_EFFECT = f"{UNTESTED} the interval holds no effect"


def row(quantity, claimed, low, high, **more):
    return {
        "quantity": quantity,
        "claimed": claimed,
        "measured": (low + high) / 2,
        "low": low,
        "high": high,
    } | more


@pytest.mark.parametrize(
    ("quantity", "claimed", "low", "high", "verdict"),
    [
        ("time_reduction_percent", 83.0, 80.0, 84.0, HOLDS),
        ("time_reduction_percent", 83.0, 90.0, 95.0, HOLDS),
        ("time_reduction_percent", 83.0, 10.0, 40.0, DIRECTION),
        ("time_reduction_percent", 83.0, -40.0, -10.0, NOT),
        ("time_reduction_percent", 83.0, -5.0, 90.0, NO_EFFECT),
        ("latency_ratio", 3.7, 3.5, 3.7, HOLDS),
        ("latency_ratio", 3.7, 1.2, 3.6, DIRECTION),
        ("latency_ratio", 3.7, 0.2, 0.9, NOT),
        ("latency_ratio", 3.7, 0.9, 1.1, NO_EFFECT),
        ("memory_ratio", 6.2, 7.0, 7.0, HOLDS),
        ("memory_ratio", 6.2, 1.5, 1.5, DIRECTION),
        ("memory_ratio", 6.2, 1.0, 1.0, NOT),
        ("memory_ratio", 6.2, 0.5, 0.5, NOT),
        ("memory_ratio", np.nan, 2.0, 2.0, DIRECTION),  # "less memory", by no number
        ("memory_ratio", np.nan, 0.5, 0.5, NOT),
        ("psnr_gain_db", 0.1, 0.02, 0.12, HOLDS),
        ("psnr_gain_db", 0.1, 0.02, 0.09, DIRECTION),
        ("psnr_gain_db", 0.1, -0.2, -0.1, NOT),
        ("psnr_gain_db", 0.1, -0.1, 0.3, NO_EFFECT),
    ],
)
def test_verdicts(quantity, claimed, low, high, verdict):
    assert judge(row(quantity, claimed, low, high)) == verdict
    assert judge(row(quantity, claimed, low, high, untested=None)) == verdict


@pytest.mark.parametrize(
    ("low", "high", "other", "verdict"),
    [
        (0.9, 1.1, 1.5, HOLDS),
        (0.7, 0.8, 0.7, HOLDS),
        (1.1, 1.3, 1.5, DIRECTION),
        (1.1, 1.6, 1.5, NOT),
        (1.9, 2.1, 1.0, NOT),
    ],
)
def test_growth_is_judged_by_one_and_by_the_baseline(low, high, other, verdict):
    assert judge(row("growth_exponent", 1.0, low, high, other=other)) == verdict


def test_what_was_not_tested_is_not_judged_however_clear_it_looks():
    found = row("psnr_gain_db", 0.1, 0.3, 0.4, untested="1 seed tells nothing of the spread between seeds")
    assert judge(found) == (
        "not testable at this budget, because 1 seed tells nothing of the spread between seeds"
    )


def test_the_published_claims():
    claims = published_claims()
    assert len(claims) == 12 and claims["id"].is_unique
    assert claims["source"].str.fullmatch(r"arXiv:\d{4}\.\d{5}").all()
    assert set(claims["quantity"]) == {
        "time_reduction_percent",
        "psnr_gain_db",
        "latency_ratio",
        "memory_ratio",
        "growth_exponent",
    }
    assert claims.loc[claims["claimed"].isna(), "id"].tolist() == ["sscan-memory"]


def test_the_summary_counts_verdicts_and_names_every_comparison():
    rows = pd.DataFrame(
        [
            ("lcoa-time", "LCoA is fast", "nlan", HOLDS),
            ("lcoa-time", "LCoA is fast", "lspn", DIRECTION),
            ("esc-psnr", "ESC is good", "hit_srf", f"{UNTESTED} one reason"),
            ("sscan-psnr", "SSCAN is good", "nlsn", f"{UNTESTED} another"),
            ("sscan-psnr", "SSCAN is good", "bran", NOT),
        ],
        columns=["id", "claim", "against", "verdict"],
    )
    first, *told = summary(rows).replace("\n\n", "\n").splitlines()
    assert first.startswith("5 comparisons of 3 claims: 2 not testable at this budget, ")
    assert all(f"1 {verdict}" in first for verdict in (HOLDS, DIRECTION, NOT))
    assert (
        told[0] == "- **lcoa-time**, LCoA is fast: holds (against nlan); holds in direction (against lspn)."
    )
    assert len(told) == 3 and "because another (against nlsn); does not hold (against bran)" in told[2]


def test_the_readme_shows_the_claims_as_they_were_measured():
    table = reference("cpu") / "tables" / "claims.csv"
    assert claims_markdown(pd.read_csv(table)) in (ROOT / "README.md").read_text(encoding="utf-8")
