"""A finished study without its cost: what its pages leave and what its runs record, made by hand."""

import base64

import pandas as pd
import pytest
from kept import ROOT
from torch import nn

from srlab.measure.evaluation import convention
from srlab.report.catalogue import PAGES
from srlab.stats.claims import COLUMNS, claim_row
from srlab.stats.statistics import Estimate
from srlab.stats.verdicts import (
    CONFIRMED,
    CONTRADICTED,
    NO_EFFECT,
    NO_SHARE,
    SMALLER,
    UNDECIDED,
    Verdict,
    unmeasured,
)
from srlab.study.profiles import load_profile
from srlab.study.rules import rules
from srlab.study.study import Study
from srlab.weights.checkpoints import save_network

#: What the smoke study answers: with one seed it is not asked whether attention is at work.
SMOKE = load_profile(ROOT / "profiles" / "smoke.yaml")
ANSWERED = [page for page in PAGES if page.answered and page.asked(SMOKE)]
#: The smallest PNG, for pages that a browser opens.
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def claims(device: str = "a CPU") -> pd.DataFrame:
    """A table of claims, made by hand: every verdict, every kind of claim, and one that was not measured."""
    law = rules()
    time, gain = law.costs.claims["lcoa-time"], law.quality.claims["sscan-psnr"]
    linear, memory = law.costs.claims["sscan-linear"], law.costs.claims["sscan-memory"]
    facts = {"device": device, "margin": 5.0, "basis": "as published", "spread": "5 processes", "run": "aa"}
    facts |= {"workload": "ten layers", "arm": "lcoan"}
    half = Verdict(SMALLER, Estimate(0.6, 0.5, 0.7), "60 % [50 to 70 %] of what is claimed")
    other = Verdict(CONTRADICTED, Estimate(-9.0, -9.5, -8.5), "the effect is the other way")
    rows = [
        claim_row("lcoa-time", time, half, Estimate(50.0, 40.0, 60.0), **facts, against="trunk_nla"),
        claim_row("lcoa-time", time, other, Estimate(-747.0, -790.0, -705.0), **facts, against="enlcn"),
    ]
    facts |= {"basis": "branched", "margin": 0.05, "arm": "trunk_fgca", "spread": "5 seeds, 65 images"}
    for kind, value in ((CONFIRMED, 0.2), (NO_EFFECT, 0.01), (UNDECIDED, 0.05)):
        found = Estimate(value, value - 0.03, value + 0.03)
        verdict = Verdict(kind, Estimate(*(end / gain.claimed for end in found)), "so it is")
        rows.append(claim_row("sscan-psnr", gain, verdict, found, **facts, against=f"a {kind} network"))
    networks = {"arm": "sscan", "against": "nlsn", "basis": ""}
    rows.append(claim_row("sscan-psnr", gain, unmeasured("something lacks"), None, **networks))
    facts |= {"basis": "ours", "margin": 0.1, "spread": "5 processes"}
    for name, claim in (("sscan-linear", linear), ("sscan-memory", memory)):
        verdict = Verdict(CONFIRMED, NO_SHARE, "so it is")
        rows.append(claim_row(name, claim, verdict, Estimate(1.1, 1.0, 1.2), **facts, against="trunk_bra"))
    return pd.DataFrame(rows, columns=COLUMNS)


def svg(name: str) -> str:
    """A figure as matplotlib writes it, of one line that a path clips, with a label."""
    return (
        '<?xml version="1.0"?>\n<svg xmlns:xlink="http://www.w3.org/1999/xlink" width="504pt" height="200pt" '
        'viewBox="0 0 504 200" xmlns="http://www.w3.org/2000/svg">\n<metadata>whoever</metadata>\n'
        '<defs><style type="text/css">*{stroke-linejoin: round; stroke-linecap: butt}</style></defs>\n'
        f'<g id="figure_1"><!-- {name} --><path id="letter" d="M 0 0 \nL 3.123456 4.987654 \n"/>'
        '<use xlink:href="#letter" x="1.234567" transform="scale(0.015625)"/>'
        '<path clip-path="url(#clip)" d="M 0 0 L 9 9"/></g>\n'
        '<defs><clipPath id="clip"><rect width="5" height="5"/></clipPath></defs></svg>\n'
    )


def pages_left(study: Study, device: str = "a CPU") -> None:
    """Write what the notebooks leave: answers, figures, and the table of claims."""
    for folder in ("answers", "figures", "tables"):
        (study.folder / folder).mkdir(parents=True)
    for page in ANSWERED:
        page.answer(study).write_text(f"The **answer** of `{page.name}`, on {device}.\n")
        for name in page.figures:
            (study.folder / "figures" / f"{name}.png").write_bytes(PIXEL)
            (study.folder / "figures" / f"{name}.svg").write_text(svg(name))
    claims(device).to_csv(study.folder / "tables" / "claims.csv", index=False)


def finish(study: Study, monkeypatch: pytest.MonkeyPatch, device: str = "a CPU") -> Study:
    """The study as if two of its runs were there and all."""
    environment = {"name": device, "threads": 2, "torch": "2.0", "kind": "cpu", "commit": "0123456789"}
    records = [study.record(run) for run in (study.timing(), study.training("lcoan"))]
    for record in records:
        facts = {"environment": environment, "data": "seven photographs", "convention": convention(2)}
        record.__dict__["facts"] = facts | {"finished": "2026-01-01T00:00:00"}
    records[0].__dict__["profile"] = pd.DataFrame({"size": [16], "warmup": [1], "repeats": [2]})
    monkeypatch.setattr(study, "finished_records", lambda: records)
    return study


def teach(study: Study, model: str) -> nn.Module:
    """The network, as if the study had trained it: weights of a seed that random ones never have, and empty tables."""
    record = study.record(study.training(model))
    network = record.run.network
    taught = network.build(study.profile.scale, seed=5).eval()
    save_network(record.folder / "weights.safetensors", taught, model, study.profile.scale, network.options)
    for name in ("curve.csv", "images.csv", "run.json"):
        (record.folder / name).touch()
    return taught


def new_study(folder, monkeypatch: pytest.MonkeyPatch) -> Study:
    """The smoke study with its results in `folder`."""
    monkeypatch.delenv("SRLAB_DATA", raising=False)
    monkeypatch.setenv("SRLAB_DEVICE", "cpu")
    monkeypatch.setenv("SRLAB_RESULTS", str(folder))
    return Study("smoke", ROOT)
