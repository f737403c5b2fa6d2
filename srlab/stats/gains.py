"""Gains in PSNR: paired by image and seed, with intervals over seeds."""

from __future__ import annotations

import numpy as np
import pandas as pd

from srlab.stats.intervals import SEEDS, equivalent, matrix, seed_difference
from srlab.stats.rules import rules

#: The `run` of rows that no run made: bicubic enlargement.
NO_RUN = "none"
#: The name of all benchmarks together.
ALL = "all"
#: Gains within ± this are no effect, dB.
MARGIN = rules().quality.margin_db


def over_bicubic(quality: pd.DataFrame, bicubic: pd.DataFrame) -> pd.DataFrame:
    """Return `quality` with `gain_db`: psnr_y less that of the bicubic enlargement of the same image."""
    keys = ["benchmark", "name"]
    both = quality.merge(bicubic[[*keys, "psnr_y"]], on=keys, suffixes=("", "_bicubic"))
    return both.assign(gain_db=both["psnr_y"] - both["psnr_y_bicubic"])


def means(quality: pd.DataFrame, by: str = "model") -> pd.DataFrame:
    """Average quality per benchmark: over images within each run, then over seeds, with lowest and highest seed.

    `quality` is as `srlab.study.frames.quality` returns it; `by` is the column to group by, "model" or an option.
    Returns benchmark, `by`, images, seeds, psnr_y (dB), lowest_db, highest_db, ssim_y, run (hashes).
    """
    keys = ["benchmark", by]
    runs = quality.groupby([*keys, "run"], sort=False)
    each = runs.agg(psnr_y=("psnr_y", "mean"), ssim_y=("ssim_y", "mean"), images=("name", "size"))
    return (
        each.reset_index()
        .groupby(keys, sort=False)
        .agg(
            images=("images", "first"),
            seeds=("run", lambda runs: (runs != NO_RUN).sum()),
            psnr_y=("psnr_y", "mean"),
            lowest_db=("psnr_y", "min"),
            highest_db=("psnr_y", "max"),
            ssim_y=("ssim_y", "mean"),
            run=("run", " ".join),
        )
        .reset_index()
    )


def paired(quality: pd.DataFrame, by: str, reference: object, within: str | None = None) -> pd.DataFrame:
    """Pair each image's PSNR with that of the reference network of the same seed.

    With `within`, each value of that column has a reference of its own. Returns the rows of `quality` that are not the
    reference's, with `gain_db`, the difference in psnr_y, and run_reference.
    """
    keys = ["benchmark", "name", "seed", *([within] if within else [])]
    others, own = quality[quality[by] != reference], quality[quality[by] == reference]
    joined = others.merge(own[[*keys, "psnr_y", "run"]], on=keys, suffixes=("", "_reference"))
    return joined.assign(gain_db=joined["psnr_y"] - joined["psnr_y_reference"])


def differences(
    quality: pd.DataFrame,
    by: str = "model",
    reference: object = "no_attention",
    within: str | None = None,
    margin: float = MARGIN,
) -> pd.DataFrame:
    """Compute mean gains over a reference, paired by image and seed, with simultaneous 95 % intervals per benchmark.

    With `within`, each value of that column has a reference of its own. Gains within ±`margin` (dB) are no effect.

    Returns benchmark (also "all" if there are several), `within`, `by`, gain_db (mean over images and seeds), low_db,
    high_db (interval, infinite for one seed), spread_db (standard deviation over seeds, NaN for one seed), images,
    images_higher (images with a higher mean over seeds), seeds, significant (the interval excludes zero), equal (the
    interval lies within ±margin), run_reference, run. `significant` and `equal` need `SEEDS` seeds; a gain may be both.
    Intervals: `srlab.stats.intervals.seed_difference`.
    """
    gains = paired(quality, by, reference, within)
    if gains["benchmark"].nunique() > 1:
        gains = pd.concat([gains, gains.assign(name=gains["benchmark"] + " " + gains["name"], benchmark=ALL)])
    arm = [within, by] if within else [by]
    rows = []
    for benchmark, all_arms in gains.groupby("benchmark", sort=False):
        arms = list(all_arms.groupby(arm, sort=False))
        for values, own in arms:
            found = matrix(own)
            gain, seeds = seed_difference(found, len(arms)), len(found)
            image = own.groupby("name")["gain_db"].mean()
            rows.append(
                {
                    "benchmark": benchmark,
                    **dict(zip(arm, values, strict=True)),
                    "gain_db": gain.value,
                    "low_db": gain.low,
                    "high_db": gain.high,
                    "spread_db": found.mean(1).std(ddof=1) if seeds > 1 else np.nan,
                    "images": len(image),
                    "images_higher": int((image > 0).sum()),
                    "seeds": seeds,
                    "significant": gain.excludes_zero and seeds >= SEEDS,
                    "equal": equivalent(gain, margin) and seeds >= SEEDS,
                    "run_reference": " ".join(own["run_reference"].unique()),
                    "run": " ".join(own["run"].unique()),
                }
            )
    return pd.DataFrame(rows)


def late_gains(curves: pd.DataFrame) -> pd.DataFrame:
    """Compute the gain of each run in the last quarter of its steps: `late_db`, RGB-PSNR of held-out patches."""
    rows = []
    for (run, model, seed), each in curves.groupby(["run", "model", "seed"], sort=False):
        psnr = each.set_index("step")["validation_psnr"]
        before = psnr[psnr.index <= 0.75 * psnr.index.max()]
        late = psnr.iloc[-1] - (before.iloc[-1] if len(before) else psnr.iloc[0])
        rows.append({"run": run, "model": model, "seed": seed, "late_db": late})
    return pd.DataFrame(rows)


def pareto(table: pd.DataFrame, cost: str, quality: str = "gain_db") -> pd.DataFrame:
    """Return the Pareto front: rows beaten by no other in both cost and quality, by rising cost."""
    order = table.sort_values([cost, quality], ascending=[True, False])
    return order[order[quality] > order[quality].cummax().shift(fill_value=-np.inf)]


def pooled(gains: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of all benchmarks together, or those of the only benchmark."""
    several = (gains["benchmark"] == ALL).any()
    return gains[gains["benchmark"] == (ALL if several else gains["benchmark"].iloc[0])]
