"""A finished study without its cost: what its pages leave and what its runs record, made by hand."""

import base64

import pandas as pd
import pytest
from kept import ROOT

from srlab.pages.catalogue import PAGES
from srlab.study.profiles import load_profile
from srlab.study.study import Study

#: What the smoke study answers: with one seed it is not asked whether attention is at work.
SMOKE = load_profile(ROOT / "profiles" / "smoke.yaml")
ANSWERED = [page for page in PAGES if page.answered and page.asked(SMOKE)]
#: The smallest PNG, for pages that a browser opens.
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def claims(device: str = "a CPU") -> pd.DataFrame:
    """Two rows of the table of claims: one measured, one not."""
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
    on = {
        "spread": "9 rounds",
        "device": device,
        "workload": "ten layers",
        "verdict": "holds in direction",
    }
    absent = dict.fromkeys([*measured, "spread", "device", "workload"])
    untested = {"against": "lspn", "verdict": "not testable at this budget, because of something"}
    return pd.DataFrame([known | measured | on, known | absent | untested])


def pages_left(study: Study, device: str = "a CPU", png: bytes | None = None) -> None:
    """Write what the notebooks leave: answers, figures (`png`, or words) and the table of claims."""
    for folder in ("answers", "figures", "tables"):
        (study.folder / folder).mkdir(parents=True)
    for page in ANSWERED:
        page.answer(study).write_text(f"The **answer** of `{page.name}`, on {device}.\n")
        for name in page.figures:
            (study.folder / "figures" / f"{name}.png").write_bytes(png or f"picture {name}".encode())
    claims(device).to_csv(study.folder / "tables" / "claims.csv", index=False)


def finish(study: Study, monkeypatch: pytest.MonkeyPatch, device: str = "a CPU") -> Study:
    """The study as if two of its runs were there and all."""
    environment = {"name": device, "threads": 2, "torch": "2.0", "kind": "cpu", "commit": "0123456789"}
    convention = {"lr": "bicubic", "y_rounding": "none", "border": 2}
    records = [study.record(run) for run in (study.timing(), study.training("lcoan"))]
    for record in records:
        facts = {"environment": environment, "data": "seven photographs", "convention": convention}
        record.__dict__["facts"] = facts | {"finished": "2026-01-01T00:00:00"}
    monkeypatch.setattr(study, "finished_records", lambda: records)
    return study


def new_study(folder, monkeypatch: pytest.MonkeyPatch) -> Study:
    """The smoke study with its results in `folder`."""
    monkeypatch.delenv("SRLAB_DATA", raising=False)
    monkeypatch.setenv("SRLAB_DEVICE", "cpu")
    monkeypatch.setenv("SRLAB_RESULTS", str(folder))
    return Study("smoke", ROOT)
