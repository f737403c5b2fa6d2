"""Tables of frozen: gains over the features alone and over the local layer, at each third of the budget; verdicts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from srlab.stats.gains import differences
from srlab.stats.intervals import Estimate, equivalent, seed_difference
from srlab.stats.rules import rules
from srlab.study.records import Record

RULES = rules().frozen
#: The features alone: nothing is trained, and the gain is exactly zero.
NOTHING = "nothing"
#: What stands before the arms, in this order.
CONTROLS = (NOTHING, RULES.local, RULES.positive)
#: An estimate where there is none.
UNKNOWN = Estimate(np.nan, np.nan, np.nan)


def images(records: Sequence[Record]) -> pd.DataFrame:
    """Return a row per base, arm, seed, third of the budget (1 to 3) and image.

    Columns: base, arm (a network on the trunk, or "nothing"), seed, parameters (trained), run, third, benchmark, name,
    psnr_y (dB).
    """
    frames = []
    for record in records:
        found, run = record.table("images"), record.run
        facts = {"base": run.base, "arm": run.network.model, "seed": run.seed}
        rows = found.assign(**facts, parameters=record.facts["parameters"], run=run.hash)
        frames.append(rows)
        if run.network.model == RULES.local:
            frames.append(rows.assign(arm=NOTHING, parameters=0, psnr_y=rows["base_psnr_y"]))
    columns = ["base", "arm", "seed", "parameters", "run", "third", "benchmark", "name", "psnr_y"]
    return pd.concat(frames, ignore_index=True)[columns]


def gains(images: pd.DataFrame) -> pd.DataFrame:
    """Compare every arm with the features alone and with the local layer, at each third, on all images together.

    Columns: base, arm (controls first), third, gain_db (over the features alone), over_local_db, low_db, high_db,
    rise_db, rise_low_db, rise_high_db (of over_local_db since the third before), seeds, images, parameters, run.
    Intervals are simultaneous over the arms of a base.
    """
    rows = []
    for base, own in images.groupby("base", sort=False):
        psnr = own.pivot_table(index="seed", columns=["arm", "third", "benchmark", "name"], values="psnr_y")
        arms = [arm for arm in dict.fromkeys([*CONTROLS, *own["arm"]]) if arm in psnr]
        facts = own.groupby("arm").agg(parameters=("parameters", "first"), run=("run", _joined))
        for arm in arms:
            before = None
            for third in sorted(own["third"].unique()):
                here = psnr[arm][third].dropna()
                over = (here - psnr[RULES.local][third]).loc[here.index].to_numpy()
                gain = seed_difference(over, len(arms) - 1)
                rise = UNKNOWN if before is None else seed_difference(over - before, len(arms) - 1)
                before = over
                rows.append(
                    {
                        "base": base,
                        "arm": arm,
                        "third": third,
                        "gain_db": float((here - psnr[NOTHING][third]).loc[here.index].to_numpy().mean()),
                        "over_local_db": gain.value,
                        "low_db": gain.low,
                        "high_db": gain.high,
                        "rise_db": rise.value,
                        "rise_low_db": rise.low,
                        "rise_high_db": rise.high,
                        "seeds": len(here),
                        "images": here.shape[1],
                        **facts.loc[arm],
                    }
                )
    return pd.DataFrame(rows)


def _joined(runs: pd.Series) -> str:
    return " ".join(runs.unique())


def seeds(images: pd.DataFrame) -> pd.DataFrame:
    """Return the mean gain over the local layer at the end of the budget: base, arm, seed, over_local_db, run."""
    last = images[images["third"] == images["third"].max()]
    mean = last.groupby(["base", "arm", "seed", "run"], sort=False, as_index=False)["psnr_y"].mean()
    local = mean[mean["arm"] == RULES.local].set_index(["base", "seed"])["psnr_y"]
    over = mean["psnr_y"].to_numpy() - local.loc[list(zip(mean["base"], mean["seed"], strict=True))].to_numpy()
    return mean.assign(over_local_db=over)[["base", "arm", "seed", "over_local_db", "run"]]


def verdicts(gains: pd.DataFrame) -> pd.DataFrame:
    """Judge each arm at the end of the budget by the rules of the chapter; a column `verdict` beside those of `gains`.

    "nothing", "gain", "loss" and "undecided" are about the local layer; "not settled" and "no verdict" come first.
    Controls have none ("").
    """
    last = gains[gains["third"] == gains["third"].max()].drop(columns="third")
    sees = last[last["arm"] == RULES.positive].set_index("base")["low_db"] > 0

    def judged(row: pd.Series) -> str:
        if row["arm"] in CONTROLS:
            return ""
        if row["seeds"] < RULES.seeds or not sees.get(row["base"], False):
            return "no verdict"
        if row["rise_high_db"] >= RULES.rise_db:
            return "not settled"
        gain = Estimate(row["over_local_db"], row["low_db"], row["high_db"])
        if equivalent(gain, RULES.margin_db):
            return "nothing"
        return "gain" if gain.low > 0 else "loss" if gain.high < 0 else "undecided"

    found = last.assign(verdict=last.apply(judged, axis=1)).reset_index(drop=True)
    return found.assign(run=found.pop("run"))


def benchmarks(images: pd.DataFrame) -> pd.DataFrame:
    """Compare arms with the local layer at the end of the budget, each benchmark for itself.

    Columns: base, and those of :func:`srlab.stats.gains.differences`.
    """
    last = images[images["third"] == images["third"].max()]
    found = [
        differences(own, "arm", RULES.local, margin=RULES.margin_db).assign(base=base)
        for base, own in last.groupby("base", sort=False)
    ]
    rows = pd.concat(found, ignore_index=True)
    return rows[["base", *rows.columns[:-1]]]
