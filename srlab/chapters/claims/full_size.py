"""Claims about quality at their own size: networks as their authors released them, measured here on the same images."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from srlab.chapters.claims.verdicts import NO_SHARE, NOTHING, UNDECIDED, Verdict, judge
from srlab.measure.published import PUBLISHED_AS, published
from srlab.models.registry import label
from srlab.stats.gains import NO_RUN
from srlab.stats.intervals import Estimate, over_seeds
from srlab.stats.rules import QualityClaim, rules
from srlab.stats.words import count
from srlab.study.chapter import Tables

#: The basis of these rows.
FULL_SIZE = "full size"


def judged(root: Path, claim: QualityClaim) -> tuple[Verdict, Estimate | None, dict[str, str]]:
    """Judge a claim on released networks, image by image; without weights of both networks it is not tested.

    A claim is about the mean over these very images, so ± the margin judges it; the interval is for other images.
    Return the verdict, the mean difference (dB) with its interval over images, and facts: spread, workload, run.
    """
    arm, against, benchmark = claim.full_size.arm, claim.full_size.against, claim.full_size.benchmark
    gains, scale = _gains(root)
    own = gains[gains["dataset"] == benchmark].pivot_table(index="name", columns="model", values="gain_db")
    if {arm, against} <= set(own.columns):
        found = over_seeds((own[arm] - own[against]).to_numpy())
        margin, mean = rules().quality.margin_db, found.value
        within = (mean, mean - margin, mean + margin)
        verdict = judge(*within, claim.claimed, NOTHING[claim.quantity], margin, 2 * margin)
        runs = gains.loc[gains["model"].isin([arm, against]), "run"].unique()
        facts = {"spread": count(len(own), "image"), "workload": f"×{scale}, networks as released; {benchmark}"}
        return verdict, found, facts | {"run": " ".join(runs)}
    missing = [label(model) for model in (arm, against) if model not in own.columns]
    known = published().query("dataset == @benchmark.lower() and scale == @scale").set_index("method")["psnr_y"]
    numbers = [
        f"{label(model)} has {known[name]:.2f} dB as published"
        for model in (arm, against)
        if (name := PUBLISHED_AS.get(model)) in known.index
    ]
    sentence = "; ".join([f"no weights of {' and '.join(missing)} are at hand", *numbers])
    return Verdict(UNDECIDED, NO_SHARE, sentence), None, {"run": NO_RUN}


def _gains(root: Path) -> tuple[pd.DataFrame, int]:
    """Return gains over bicubic of every released network that was measured, image by image, and their scale."""
    found = [Tables(folder) for folder in sorted(root.glob("results/reference/released-*"))]
    if not found:
        return pd.DataFrame(columns=["model", "dataset", "name", "gain_db", "run"]), 0
    return found[0]["similarity_images"], int(found[0]["released_quality"]["scale"].iloc[0])
