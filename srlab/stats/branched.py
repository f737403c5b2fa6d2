"""What each arm of the branched experiment adds to a trained trunk, and how far it opened its gates."""

from __future__ import annotations

import pandas as pd

from srlab.stats.frames import ALL, count, differences, paired, quality
from srlab.stats.statistics import SEEDS
from srlab.study.records import check_rules
from srlab.study.rules import rules
from srlab.study.study import Study

#: The second control: as many parameters as attention or more, in a layer that looks no further than a convolution.
LOCAL = "trunk_conv7"


def images(study: Study) -> pd.DataFrame:
    """An evaluated image of a branch a row: arm (its label) and the columns of `srlab.stats.quality`.

    Raises
    ------
    InputError
        If a run began under other rules than those in force.
    """
    runs = study.branches()
    records = [study.obtain(run) for run in runs]
    check_rules(records, "quality")
    found = quality(records)
    return found.assign(arm=found["run"].map({run.hash: study.label(run) for run in runs}))


def gains(images: pd.DataFrame) -> pd.DataFrame:
    """By how much each arm is better than the control on all benchmarks together, the best first.

    Returns
    -------
    DataFrame
        The columns of `srlab.stats.differences` for `arm`, margin_db (within which there is no effect),
        over_local_db, over_local_low_db, over_local_high_db (the same against the second control; NaN where it was
        not trained, and of itself).
    """
    law = rules().quality
    found = _over(images, law.control).assign(margin_db=law.margin_db)
    ends = {"gain_db": "over_local_db", "low_db": "over_local_low_db", "high_db": "over_local_high_db"}
    if LOCAL in set(images["arm"]):
        local = _over(images, LOCAL).rename(columns=ends)[["arm", *ends.values()]]
    else:
        local = pd.DataFrame(columns=["arm", *ends.values()], dtype=float).astype({"arm": str})
    found = found.merge(local, how="left", on="arm").sort_values("gain_db", ascending=False, kind="stable")
    return found[[*(column for column in found if column != "run"), "run"]].reset_index(drop=True)


def _over(images: pd.DataFrame, reference: str) -> pd.DataFrame:
    found = differences(images, "arm", reference)
    return found[found["benchmark"] == (ALL if images["benchmark"].nunique() > 1 else images["benchmark"].iloc[0])]


def seeds(images: pd.DataFrame) -> pd.DataFrame:
    """The gain over the control of each trunk, mean over images: arm, seed, gain_db, run."""
    each = paired(images, "arm", rules().quality.control).groupby(["arm", "seed"], sort=False)
    return each.agg(gain_db=("gain_db", "mean"), run=("run", "first")).reset_index()


def gates(study: Study) -> pd.DataFrame:
    """How far each gate opened, by `srlab.models.trunk.gates_of`: arm, seed, layer, open, run."""
    rows = [
        {"arm": study.label(run), "seed": run.seed, "layer": layer, "open": value, "run": run.hash}
        for run in study.branches()
        for layer, value in study.obtain(run).facts["gates"].items()
    ]
    return pd.DataFrame(rows, columns=["arm", "seed", "layer", "open", "run"])


def answer(gains: pd.DataFrame, gates: pd.DataFrame) -> str:
    """What attention adds, arm by arm, and how far its gates opened; the intervals are in the table of gains."""
    margin, number = gains["margin_db"].iloc[0], int(gains["seeds"].min())
    control = f"the same trunk that went on without attention (`{rules().quality.control}`)"
    if number < SEEDS:
        return (
            f"With {count(number, 'seed')} no verdict is drawn. {SEEDS} trunks or more can tell an arm from its luck."
        )
    better, worse = gains["told_apart"] & (gains["gain_db"] > 0), gains["told_apart"] & (gains["gain_db"] < 0)
    parts = {
        "better": better & ~gains["equal"],
        "worse": worse & ~gains["equal"],
        f"no effect beyond ±{margin:g} dB": gains["equal"],
        "undecided": ~(better | worse | gains["equal"]),
    }
    images = count(int(gains["images"].iloc[0]), "image")
    lines = [f"Against {control}, dB, by intervals that hold all at once ({count(number, 'trunk')}, {images}):", ""]
    lines += [f"- {words}: {_listed(gains[chosen], 'gain_db')}" for words, chosen in parts.items()]
    lines.append("")
    if gains["over_local_low_db"].notna().any():
        farther = gains[(gains["over_local_low_db"] > 0) & (gains["arm"] != LOCAL)]
        far = _listed(farther, "over_local_db")
        lines.append(f"Better than a layer that looks no further than a convolution (`{LOCAL}`): {far}.")
    opened = gates.groupby("arm")["open"].mean().sort_values()
    if len(opened):
        lines.append(
            f"Gates began at 0 and ended at {opened.iloc[0]:.2f} (`{opened.index[0]}`) to {opened.iloc[-1]:.2f} "
            f"(`{opened.index[-1]}`), where 1 adds as much of what was attended as networks from scratch do."
        )
    return "\n".join(lines)


def _listed(arms: pd.DataFrame, column: str) -> str:
    """Arms with their gains; "none" of none."""
    return ", ".join(f"`{arm}` {gain:+.3f}" for arm, gain in zip(arms["arm"], arms[column], strict=True)) or "none"
