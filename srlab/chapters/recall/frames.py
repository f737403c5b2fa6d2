"""Tables of recall: by factor, in groups, by seed, against keys, and in training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from srlab.stats.intervals import SEEDS, over_seeds
from srlab.study.records import Record

#: The distance of the headline, LR pixels; it was chosen before the runs.
DISTANCE = 16.0
#: Scores on tiles without a copy below this count as invention.
INVENTS = -0.05


def images(records: Mapping[str, Sequence[Record]]) -> pd.DataFrame:
    """Return recall of every image: arm (the label of its runs), model, seed, run, and the record's columns."""
    frames = []
    for arm, own in records.items():
        for record in own:
            rows, run = record.table("recall"), record.run
            facts = {"arm": arm, "model": run.network.model, "seed": run.seed, "run": run.hash}
            frames.append(pd.DataFrame(facts, index=rows.index).join(rows))
    return pd.concat(frames, ignore_index=True)


def recall(images: pd.DataFrame) -> pd.DataFrame:
    """Average recall of each arm at each value of each factor.

    Columns: arm, model, factor, value, recall (mean over seeds of the mean over images), low, high (95 % interval over
    seeds by Student's t, not simultaneous; infinite for one seed), seeds, images, invented, found, weight, seen (means,
    see :func:`srlab.chapters.recall.measure.measure_recall`), run.
    """
    rows = []
    for (arm, model, factor, value), own in images.groupby(["arm", "model", "factor", "value"], sort=False):
        of_seeds = own.groupby("seed")["recall"].mean()
        ends = dict(zip(("recall", "low", "high"), over_seeds(of_seeds.to_numpy()), strict=True))
        means = own[["invented", "found", "weight", "seen"]].mean()
        number = {"seeds": len(of_seeds), "images": own["image"].nunique()}
        rows.append({"arm": arm, "model": model, "factor": factor, "value": value, **ends, **number, **means})
        rows[-1]["run"] = " ".join(own["run"].unique())
    return pd.DataFrame(rows)


def at_distance(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows at the headline's distance."""
    return table[(table["factor"] == "distance") & (table["value"] == DISTANCE)]


def seeds(images: pd.DataFrame) -> pd.DataFrame:
    """Average recall at the headline's distance over images: arm, seed, recall, run."""
    each = at_distance(images).groupby(["arm", "seed"], sort=False).agg(recall=("recall", "mean"), run=("run", "first"))
    return each.reset_index()


def groups(recall: pd.DataFrame) -> pd.DataFrame:
    """Group the networks at the headline's distance so that no interval overlaps one of another group, the best first.

    Fewer than `SEEDS` seeds make one group. Variants (options in the label) are excluded.

    Columns: group (from 1) and the columns of :func:`recall`.
    """
    there = at_distance(recall[recall["arm"] == recall["model"]])
    there = there.sort_values("recall", ascending=False, kind="stable").reset_index(drop=True)
    lowest = there["low"].cummin().shift(fill_value=np.inf)
    highest = there["high"][::-1].cummax()[::-1]
    apart = (lowest > highest) & (there["seeds"] >= SEEDS) & (there.index > 0)
    return pd.concat([(1 + apart.cumsum()).rename("group"), there], axis=1)


def costs(recall: pd.DataFrame) -> pd.DataFrame:
    """Return recall at the headline's distance by rising number of keys, for networks with non-local layers."""
    there = at_distance(recall).dropna(subset="seen")
    return there.sort_values(["seen", "arm"], kind="stable").reset_index(drop=True)


def curves(records: Mapping[str, Sequence[Record]]) -> pd.DataFrame:
    """Return recall in training, on the images of the last steps: arm, model, seed, step, recall (1 − loss), run."""
    frames = []
    for arm, own in records.items():
        for record in own:
            if arm == (model := record.run.network.model):
                curve = record.table("curve")
                facts = {"arm": arm, "model": model, "seed": record.run.seed}
                rows = curve.assign(**facts, recall=1 - curve["loss"], run=record.run.hash)
                frames.append(rows[[*facts, "step", "recall", "run"]])
    return pd.concat(frames, ignore_index=True)
