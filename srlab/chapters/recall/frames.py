"""Tables of recall: by factor, in groups, by seed, against keys, and in training."""

from __future__ import annotations

import numpy as np
import pandas as pd

from srlab.stats.intervals import SEEDS, over_seeds

#: The distance of the headline, LR pixels; it was chosen before the runs.
DISTANCE = 16.0
#: Scores on tiles without a copy below this count as invention.
INVENTS = -0.05


def recall(images: pd.DataFrame) -> pd.DataFrame:
    """Average recall of each arm at each value of each factor.

    Columns: arm, model, factor, value, recall (mean over seeds of the mean over images), low, high (95 % interval over
    seeds by Student's t, not simultaneous; infinite for one seed), seeds, images, invented, found, weight, seen (means,
    see :func:`srlab.chapters.recall.measure.measure_recall`), run.
    """
    rows, keys = [], ["arm", "model", "factor", "value"]
    for known, own in images.groupby(keys, sort=False):
        of_seeds = own.groupby("seed")["recall"].mean().to_numpy()
        row = dict(zip([*keys, "recall", "low", "high"], [*known, *over_seeds(of_seeds)], strict=True))
        row |= {"seeds": len(of_seeds), "images": own["image"].nunique()}
        row |= own[["invented", "found", "weight", "seen"]].mean()
        rows.append(row | {"run": " ".join(own["run"].unique())})
    return pd.DataFrame(rows)


def at_distance(table: pd.DataFrame) -> pd.DataFrame:
    return table[(table["factor"] == "distance") & (table["value"] == DISTANCE)]


def seeds(images: pd.DataFrame) -> pd.DataFrame:
    """Average recall at the headline's distance over images: arm, seed, recall, run."""
    each = at_distance(images).groupby(["arm", "seed"], sort=False).agg(recall=("recall", "mean"), run=("run", "first"))
    return each.reset_index()


def groups(recall: pd.DataFrame) -> pd.DataFrame:
    """Group the networks at the headline's distance so that no interval overlaps one of another group, the best first.

    Columns: group (from 1) and those of :func:`recall`. Fewer than `SEEDS` seeds make one group; variants (options in
    the label) are excluded.
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


def curves(found: pd.DataFrame) -> pd.DataFrame:
    """Return recall in training, without variants: arm, model, seed, step, recall (1 − loss of the last steps), run."""
    own = found[found["arm"] == found["model"]].assign(recall=lambda rows: 1 - rows["loss"])
    return own[["arm", "model", "seed", "step", "recall", "run"]].reset_index(drop=True)
